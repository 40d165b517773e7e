"""Language codes of NLM (MARC, three letters) and of JATS (BCP 47) as ISO 639-1."""

from __future__ import annotations

_PAIRS = """
afr:af alb:sq amh:am ara:ar arm:hy aze:az baq:eu bel:be ben:bn bos:bs bul:bg cat:ca chi:zh zho:zh cze:cs
ces:cs dan:da dut:nl nld:nl eng:en epo:eo est:et fao:fo fin:fi fre:fr fra:fr geo:ka ger:de deu:de gla:gd
gle:ga gre:el ell:el heb:he hin:hi hrv:hr hun:hu ice:is isl:is ind:id ita:it jpn:ja kaz:kk kin:rw kor:ko
kir:ky lat:la lav:lv lit:lt mac:mk mkd:mk mal:ml mao:mi may:ms mlt:mt mon:mn nep:ne nor:no nob:nb nno:nn
per:fa fas:fa pol:pl por:pt pus:ps rum:ro ron:ro rus:ru san:sa slo:sk slk:sk slv:sl som:so spa:es srp:sr
scr:hr scc:sr sun:su swa:sw swe:sv tam:ta tel:te tgl:tl tha:th tur:tr uig:ug ukr:uk urd:ur uzb:uz vie:vi
vol:vo wel:cy cym:cy zul:zu
"""
_MARC = dict(pair.split(":") for pair in _PAIRS.split())


def iso_639_1(code: str) -> str:
    """`code` as ISO 639-1 (`eng`, `EN-us` -> `en`); empty for undetermined, the code itself if it has no short form."""
    base = code.strip().lower().replace("_", "-").partition("-")[0]
    if base in ("und", "mul", "zxx", "mis"):
        return ""
    return _MARC.get(base, base)
