"""The words in which permissions are written, folded to one case, and how they are looked for.

A pattern that ignores case cannot skip ahead to its first letters, and most of what restricts a licence stands in no
article at all. So a text is folded once, patterns are written in lower case, and each is tried only on a text that
holds a word without which it cannot match. `by(?<!\\wby)` is `\\bby` with its letters first, to skip ahead to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


def fold(text: str) -> str:
    """`text` in lower case, one character for each of its characters.

    What a pattern that ignores case holds for an `i` or an `s` is one here: the Turkish letters and the long s, which
    `str.lower` leaves alone or makes two characters of.
    """
    if not text.isascii():
        text = text.replace("\u0130", "i").replace("\u0131", "i").replace("\u017f", "s")
    return text.lower()


@dataclass(frozen=True, slots=True)
class Wording:
    """Ways to say one thing: patterns in lower case, each with the words of which one is in all that it matches."""

    parts: tuple[tuple[tuple[str, ...], re.Pattern[str]], ...]

    def possible(self, folded: str) -> bool:
        """Whether `folded`, or a part of it, may say so; a cheap no."""
        return any(word in folded for words, _ in self.parts for word in words)

    def said(self, folded: str) -> bool:
        """Whether `folded` says so."""
        for words, pattern in self.parts:
            for word in words:
                if word in folded:
                    if pattern.search(folded):
                        return True
                    break
        return False

    def taken_out(self, folded: str) -> str:
        """`folded` without what says so."""
        for words, pattern in self.parts:
            if any(word in folded for word in words):
                folded = pattern.sub("", folded)
        return folded


def wording(*parts: tuple[str, str]) -> Wording:
    """Words (`one|or|another`) and the pattern that needs one of them, for each part."""
    return Wording(tuple((tuple(words.split("|")), re.compile(pattern)) for words, pattern in parts))


NAMED = (
    (
        "Publisher-COVID-19",
        wording(
            ("covid", r"covid-?19 resource cent"),
            ("for the duration of|for as long as the|pandemic", r"for the duration of|for as long as the|pandemic"),
            ("limited", r"time-?limited"),
        ),
    ),
    (
        "TDM",
        wording(("text", r"text[\s-]*(?:and|&)[\s-]*data[\s-]*min"), ("data", r"\bdata-?\s?min(?:e|ing)\b")),
    ),
    ("Verbatim-Copying", wording(("verbatim", r"verbatim copy|verbatim redistribut"))),
    (
        "PLOS-Open-Access",
        wording(("public library", r"public library of science (?:\(plos\) )?(?:open[\s-]*access|principles)")),
    ),
)
"""Licences of their own, looked for in this order in the whole prose."""

RESTRICTIVE = wording(
    (
        "only",
        r"(?:academic|scholarly|scientific|research|teaching|educational|study)(?:[\s,]+(?:and|or)?\s*\w+)?"
        r" (?:use|purposes?|research)\b[^.]{0,20}\bonly\b"
        r"|\bonly (?:be used )?for (?:academic|scholarly|scientific|research|teaching|educational|personal|private)",
    ),
    (
        "for academic|for scholarly|for teaching|for educational",
        r"for (?:academic|scholarly|teaching|educational)(?:,? (?:and|or|and/or) \w+)? (?:use|purposes)\b",
    ),
    ("purpose", r"purposes? of (?:academic|scholarly|scientific|private) (?:research|study)"),
    ("no part of", r"no part of\b[^.]{0,80}\b(?:may|can|should|is)\b"),
    (
        "not be ",
        r"\b(?:may|must|can|should|shall) ?not be (?:\w+ly )?"
        r"(?:re-?produced|copied|distributed|re-?distributed|used|re-?used|sold|posted|stored|shared|reprinted)",
    ),
    (
        "prohibited|forbidden|not permitted|not allowed|strictly",
        r"(?:re-?use|use|reproduction|redistribution|distribution|copying)[^.;]{0,60}"
        r"(?:prohibited|forbidden|not permitted|not allowed|strictly)",
    ),
    (
        "no ",
        r"no (?:further |other )?(?:re-?use|use|reproduction|redistribution|distribution|part)[^.;]{0,40}"
        r"(?:without|allowed|permitted(?! which does not comply))",
    ),
    (
        "without ",
        r"without (?:the |any )?(?:prior|express|explicit|written|formal)[\w\s,]{0,30}(?:permission|consent|approval)",
    ),
)
ACS = wording(("author", r"author\s?choice|authorchoice_termsofuse"))

COMMERCE = wording(
    ("mer", r"com+er[cz][iy]\w*|com+erical\w*|kom+erzi\w*"),
    ("gewerblich", r"gewerblich\w*"),
    ("profit", r"\bfor[\s-]profit"),
    ("lucrativ", r"\blucrativ"),
    ("\u5546", r"\u5546\u7528|\u5546\u4e1a"),
)
COMMERCE_ALLOWED = wording(
    (
        "mer",
        r"(?:even|including|incl\.|inclusive|inclusivement|incluso|incluindo|incluyendo|anche|y compris"
        r"|m\u00eame|auch|sogar)[\s,(]+(?:\w+[\s'\u2019]){0,4}?(?:com+er[cz]i|kom+erzi)\w*"
        r"|non-?\s?commercial (?:and|as well as|or) (?:for )?commercial"
        r"|(?<!-)\bcommercial (?:and|as well as|or) non-?\s?commercial"
        r"|\bfor commercial (?:re-?)?use, provided"
        r"|commercial (?:re-?)?use (?:is|are) (?:also )?(?:permitted|allowed)",
    )
)
NEGATED = re.compile(
    r"\b(?:no|not|nor|never|without|cannot|can't|prohibit\w*|forbid\w*|forbidden|contact|permissions?|except|unless|only"
    r"|exclud\w+|restrict\w*|request|fee|sem|sin|sans|pas|ohne|nicht|kein\w*|n\u00e3o|senza|prohibid\w*|proibid\w*|interdit\w*)\b"
)
NC = wording(
    ("by", r"by(?<!\wby)[\s_/,-]*nc"),
    ("cc", r"cc(?<!\wcc)[\s_-]*nc"),
    ("nc", r"nc(?<!\wnc)[\s_/-]*(?:nd|sa|by)\b"),
    ("profit", r"non?[\s-]*profit|not?[\s-]+for[\s-]+profit|without profit"),
    ("gewinn", r"ohne gewinn"),
    ("lucr", r"sin (?:fines|\u00e1nimo) de lucro|sem fins lucrativos|sans but lucratif"),
    ("\u975e", r"\u975e\u8425\u5229|\u975e\u71df\u5229|\u975e\u55b6\u5229"),
    (
        "personal|private|internal",
        r"(?:for|your|to) (?:their |own )*(?:personal|private)\b[\w\s,-]{0,40}\b(?:use|purpose|study)"
        r"|(?:personal|private|internal)(?:,? (?:and|or) \w+)? use\b|for personal,|uso personal|privaten? gebrauch",
    ),
    ("educational", r"educational purposes? only"),
    ("uso ", r"uso (?:pessoal|privado)"),
    ("usage ", r"usage (?:personnel|priv\u00e9)"),
)
ND = wording(
    ("by", r"by(?<!\wby)[\s_/,-]*nd\b"),
    (
        "deriv",
        r"(?:\bno|\bnon|\bnot|without|free of)[\s-]*deriv\w*|deriv\w+ (?:works? )?(?:are|is) not"
        r"|not (?:\w+ ){0,6}derivative|sem[\s-]*deriv\w*|sin[\s-]*(?:obras?[\s-]*)?deriv\w*|pas (?:de|d')\s*deriv\w*"
        r"|non opere derivate",
    ),
    ("d\u00e9riv", r"pas (?:de|d')\s*d\u00e9riv\w*"),
    ("without ", r"without (?:any |further )?(?:modif\w+|alter\w+|chang\w+|adapt\w+|transform\w+)"),
    ("no ", r"\bno (?:modif\w+|alter\w+|adapt\w+|changes? )"),
    ("alter", r"un-?alter(?:ed)?\b"),
    ("modified", r"un-?modified"),
    ("unchanged", r"unchanged"),
    ("not ", r"\bnot (?:be )?(?:\w+ly )?(?:alter|chang|modif|transform|adapt|edit)\w*"),
    ("cannot be ", r"cannot be (?:alter|chang|modif|transform|adapt|edit)\w*"),
    (
        "modif",
        r"pas (?:de|d')\s*modif\w*|non modif\w*|sin modific\w*|sem modific\w*|sans modific\w*",
    ),
    ("unver\u00e4ndert", r"unver\u00e4ndert"),
    ("bearbeit", r"keine bearbeit\w*"),
    (" entirety| original form", r"in (?:its|their) (?:entirety|original form)"),
    ("as a whole|article is in whole", r"as a whole|article is in whole"),
)
ND_HARMLESS = wording(
    ("change", r"(?:if|whether|indicat\w*|any)\s+(?:\w+\s+){0,3}changes?\s+(?:were|was|are|have|is)[^.]*")
)
SA = wording(
    ("share", r"share[\s-]*alike"),
    (
        "under ",
        r"under (?:the |an? )?(?:same|identical|similar|this) (?:or \w+ )?(?:licen[sc]e|terms|conditions)",
    ),
    ("compart", r"compart\w+[\s-]*igual"),
    ("partage", r"partage (?:\u00e0 l'identique|dans les m\u00eames)"),
    ("weitergabe", r"weitergabe unter gleichen"),
    ("stesso", r"stesso modo"),
    (" terms", r"(?:same|identical) terms"),
)
BY = wording(
    (
        "creative",
        r"creative\s+commons?\W+(?:\w+[\s-]+){0,6}?\(?"
        r"(?:attribution|atribui\w+|atribuc\w+|reconocimiento|namensnennung|attribuzione)",
    ),
    ("attribution", r"attribution\s+\d\.\d\s+(?:international|unported)|attribution licen[sc]e"),
)
CC = wording(
    ("creative", r"creative\s*commons?\b"),
    ("cc", r"\bcc[\s-]*by\b|\bcc\s?0\b"),
)
CC0 = wording(
    ("creative", r"creative\s+commons?\s+(?:cc\s*0|zero|public\s+domain)"),
    ("cc", r"\bcc[\s-]?0\b"),
    ("public", r"public\s+domain\s+(?:dedication|declaration)"),
)
NOT_THE_ARTICLE = wording(
    ("data", r"\b(?:meta)?data\b|\bdata\s?sets?\b"),
    ("supplement", r"\bsupplement\w*"),
    ("code", r"\bcode\b"),
    ("software", r"\bsoftware\b"),
    ("fig", r"\bfig(?:ure|\.)"),
    ("image", r"\bimages?\b"),
    ("photo", r"\bphoto\w*"),
    ("illustration", r"\billustration"),
    ("table", r"\btables?\b"),
    ("third", r"\bthird[\s-]party"),
    ("video", r"\bvideo"),
    ("cover", r"\bcover\b"),
    ("abstract", r"\babstract\b"),
)
WAIVER = wording(
    ("cc", r"cc[\s-]?0\b"),
    ("public", r"public\s*domain\s*(?:dedication|waiver)|publicdomain/zero"),
    ("waiver", r"\bwaiver\b"),
)
OF_OTHERS = wording(
    ("statutory", r"statutory regulation"),
    ("logo", r"\blogos?\b"),
    ("mark", r"\btrade\s?marks?\b"),
    ("third", r"third[\s-]party material"),
    ("unless indicated", r"unless indicated otherwise in (?:the|a) credit"),
    ("is permitted which does not", r"is permitted which does not comply with these terms"),
    ("without ", r"without (?:further|any further|additional) permission"),
)
"""Known sentences of free licences that speak of other people's material, or repeat that permission is given."""
PERMITTED_FURTHER = wording(("without ", r"without (?:any )?(?:further|additional) permission"))
PROSE_VERSION = re.compile(
    r"(?:attribution|atribui\w+|atribuci\w+|creative\s+commons|\bcc[\s-]by)[^.<]{0,60}?\b([1-4]\.\d)\b"
)
CREATIVE_COMMONS = re.compile(r"creative\s+commons")
NAMED_NC = wording(("comm", r"creative\s+commons?[^.]{0,40}non[\s-]*comm"))
RESERVED = wording(
    ("reserved", r"all\s+rights?\s+(?:are\s+)?reserved"),
    ("exclusive", r"under\s+exclusive\s+licen[sc]e"),
)
GOVERNMENT = wording(
    ("domain", r"(?:is|are|work)\s+(?:is\s+)?in\s+the\s+public\s+domain"),
    ("government", r"works?\s+of\s+the\s+(?:u\.?s\.?|united\s+states)\s+government"),
    ("government", r"u\.?s\.?\s+government\s+(?:works?|employees?)|open\s+government\s+licen[sc]e"),
    ("ogl", r"\bogl\b"),
    ("crown", r"crown\s+copyright"),
)
URL_IN_TEXT = re.compile(r"creativecommons?\.org/[^\s<>\"')\],;]+")
BROKEN_URL = re.compile(r"(creativecommons?\.org/[^\s<>]*?)\s*([-_])\s*(?=(?:nc|nd|sa)\b)")
