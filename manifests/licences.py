"""Licences: what a document's own permissions say, and what each licence allows.

`decide` is a pure function of the statements found (addresses, prose, the distributor's code). The most restrictive
statement counts, because a wrong "yes" cannot be undone once a model is trained; the one exception is the CC0 waiver
that some publishers give for an article's data and that says nothing about the article. A version nobody states is
not invented: `LicenseRef-CC-BY` is CC BY of unknown version.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Use = Literal["commercial", "noncommercial", "restricted"]


@dataclass(frozen=True, slots=True)
class LicenceClass:
    """What may be done with documents under a licence."""

    use: Use
    """`restricted`: neither use is clearly allowed (no licence, no derivatives, text mining only, credentials)."""
    attribution: bool
    share_alike: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """The licence of one document."""

    licence: str
    """SPDX id, `LicenseRef-...`, or `unknown`."""
    evidence: str
    """What it was read from: `bucket:license_code`, `permissions:url`, `permissions:text`, joined by `+`, or `none`."""
    conflict: bool
    """The distributor's code and the document's own permissions disagree; the stricter one was taken."""


@dataclass(frozen=True, slots=True)
class _Terms:
    """One statement: a Creative Commons family by its conditions, or a named licence that is none."""

    named: str = ""
    cc0: bool = False
    by: bool = False
    nc: bool = False
    nd: bool = False
    sa: bool = False
    version: str = ""
    igo: bool = False

    @property
    def known(self) -> bool:
        return bool(self.named or self.cc0 or self.by)

    @property
    def family(self) -> str:
        if self.named:
            return self.named
        if self.by:
            return "CC-BY" + "-NC" * self.nc + ("-ND" if self.nd else "-SA" * self.sa)
        return "CC0" if self.cc0 else ""

    @property
    def licence(self) -> str:
        if self.named:
            return f"LicenseRef-{self.named}"
        if not self.by:
            return "CC0-1.0" if self.cc0 else "unknown"
        if not self.version:
            return f"LicenseRef-{self.family}"
        return f"{self.family}-{self.version}" + "-IGO" * self.igo


_RANK = {"": -1, "CC0": 0, "CC-BY": 1, "CC-BY-SA": 2, "CC-BY-ND": 3, "CC-BY-NC": 4, "CC-BY-NC-SA": 5, "CC-BY-NC-ND": 6}
_NAMED_RANK = 7

_CC_URL = re.compile(
    r"creativecommons\.org/+(?:licen[sc]es?|publicdomain)/+([a-z0-9-]+)(?:/+(\d\.\d))?(?:/+(igo)\b)?", re.I
)
_CC_CODE = re.compile(
    r"\bcc[\s_-]*(0|zero|by(?:[\s_/-]*(?:nc|nd|sa|n))*)(?=[\s_/.,;:)]|[\s_-]*\d|licen[sc]e|termsofuse|$)", re.I
)
_CODE_VERSION = re.compile(r"\b([1-4]\.\d)\b")
_PROSE_VERSION = re.compile(r"(?:attribution|creative\s+commons|\bcc[\s-]by)[^.<]{0,60}?\b([1-4]\.\d)\b", re.I)
_NAMED_NC = re.compile(r"creative\s+commons[^.]{0,40}non[\s\u2010-\u2015-]*comm", re.I)
_URL_IN_TEXT = re.compile(r"(?:https?://)?(?:www\.)?creativecommons\.org/[^\s<>\"')\]]+", re.I)

# Named terms that are no Creative Commons licence and win over any address beside them.
_NAMED = (
    (
        "Publisher-COVID-19",
        re.compile(r"COVID-19 resource cent(?:re|er)|for the duration of the .{0,80}pandemic", re.I | re.S),
    ),
    (
        "TDM",
        re.compile(r"text[\s-]+and[\s-]+data[\s-]*min|text and data-mine|for the purposes of academic research", re.I),
    ),
    ("Verbatim-Copying", re.compile(r"verbatim copying and redistribution", re.I)),
    ("PLOS-Open-Access", re.compile(r"Public Library of Science (?:\(PLoS\) )?(?:Open[\s-]*Access|principles)", re.I)),
)
_ACS = re.compile(r"AuthorChoice\s+(?:usage|licen[sc]e)|authorchoice_termsofuse", re.I)
_NC = re.compile(
    r"non[\s\u2010-\u2015-]*commer\w*|\bno commercial (?:use|re-?use)|(?:not|cannot)\b[^.]{0,60}\bfor commercial"
    r"|commercial (?:re-?use|use|purposes?|reproduction)[^.]{0,80}"
    r"(?:contact|permission|not permitted|prohibited|forbidden)"
    r"|for commercial re-?use|promotion of commercial"
    r"|(?:for|your) (?:own )?(?:personal|private)[\w\s,]{0,30}use|educational purposes only|for personal,",
    re.I,
)
_ND = re.compile(
    r"no[\s\u2010-\u2015-]*deriv\w*|without (?:any )?(?:modification|alteration)"
    r"|(?:is|be|work) (?:unaltered|unmodified|not (?:altered|changed|modified))",
    re.I,
)
_SA = re.compile(r"share[\s\u2010-\u2015-]*alike|under (?:the )?(?:same|identical) (?:licen[sc]e|terms)", re.I)
_BY = re.compile(r"creative\s+commons\s+(?:\w+[\s-]+){0,6}?attribution|attribution\s+\d\.\d\s+international", re.I)
_CC0 = re.compile(
    r"creative\s+commons\s+(?:CC\s*0|zero|public\s+domain)|\bCC0\b|public\s+domain\s+dedication|CC0\s+1\.0", re.I
)
_DATA_WAIVER = re.compile(
    r"(?:public\s+domain\s+dedication|CC0|publicdomain/zero)[^<]{0,300}?appl(?:y|ies)\s+to\s+the\s+data|waiver[^<]{0,200}?\bdata\b",
    re.I | re.S,
)
_RESERVED = re.compile(r"all\s+rights\s+reserved|under\s+exclusive\s+licen[sc]e", re.I)
_PUBLIC_DOMAIN = re.compile(
    r"(?:is|are|work)\s+(?:is\s+)?in\s+the\s+public\s+domain|work\s+of\s+the\s+(?:U\.?S\.?|United\s+States)\s+government",
    re.I,
)

_BUCKET = {
    "cc0": _Terms(cc0=True),
    "cc by": _Terms(by=True),
    "cc by-sa": _Terms(by=True, sa=True),
    "cc by-nd": _Terms(by=True, nd=True),
    "cc by-nc": _Terms(by=True, nc=True),
    "cc by-nc-sa": _Terms(by=True, nc=True, sa=True),
    "cc by-nc-nd": _Terms(by=True, nc=True, nd=True),
    "tdm": _Terms(named="TDM"),
}


def decide(urls: Sequence[str], texts: Sequence[str], bucket_code: str | None) -> Decision:
    """The licence that `urls` and `texts` of the article's own permissions and PMC's `license_code` together give."""
    prose = " ".join(" ".join(texts).split())
    from_urls = [terms for url in urls if (terms := _of_url(url)).known]
    from_urls += [terms for url in _URL_IN_TEXT.findall(prose) if (terms := _of_url(url)).known]
    waiver = bool(_DATA_WAIVER.search(prose)) or (
        any(terms.cc0 for terms in from_urls) and any(terms.by for terms in from_urls)
    )
    if waiver:
        from_urls = [terms for terms in from_urls if not terms.cc0]
    from_text = _of_prose(prose, waiver=waiver)
    own = _strictest([*from_urls, from_text])
    evidence = []
    if own.known:
        if any(terms.family == own.family for terms in from_urls) or (own.by and from_urls):
            evidence.append("permissions:url")
        if from_text.known and (
            not evidence or _RANK.get(from_text.family, _NAMED_RANK) >= _RANK.get(own.family, _NAMED_RANK)
        ):
            evidence.append("permissions:text")
    bucket = _of_bucket(bucket_code)
    if not bucket.known:
        if not own.known:
            return Decision(_without_licence(prose), "permissions:text" if prose else "none", conflict=False)
        return Decision(own.licence, "+".join(evidence), conflict=False)
    if not own.known:
        return Decision(bucket.licence, "bucket:license_code", conflict=False)
    if own.family == bucket.family:
        return Decision(own.licence, "+".join(["bucket:license_code", *evidence]), conflict=False)
    chosen = _strictest([own, bucket])
    return Decision(chosen.licence, "+".join(["bucket:license_code", *evidence]), conflict=True)


_FREE = {"CC-PDDC", "PDDL-1.0", "PUBLIC-DOMAIN", "US-GOVERNMENT-WORK", "UNLICENSE", "0BSD"}
"""Public domain, or as good as: no condition at all."""


def classify(licence: str) -> LicenceClass:
    """What `licence` allows; anything not known to allow a use is `restricted`."""
    name = licence.strip().removeprefix("LicenseRef-")
    upper = name.upper()
    if upper.startswith("CC0") or upper in _FREE:
        return LicenceClass("commercial", attribution=False, share_alike=False)
    if upper.startswith("CC-BY"):
        parts = set(upper.split("-"))
        use: Use = "restricted" if "ND" in parts else "noncommercial" if "NC" in parts else "commercial"
        return LicenceClass(use, attribution=True, share_alike="SA" in parts)
    if upper in _PERMISSIVE:
        return LicenceClass("commercial", attribution=True, share_alike=False)
    if upper.startswith(("GFDL", "GPL", "AGPL", "LGPL", "ODBL")):
        return LicenceClass("commercial", attribution=True, share_alike=True)
    if upper in ("NONCOMMERCIAL", "ACS-AUTHORCHOICE"):
        return LicenceClass("noncommercial", attribution=True, share_alike=False)
    return LicenceClass("restricted", attribution=True, share_alike=False)


_PERMISSIVE = frozenset(
    {
        "MIT",
        "APACHE-2.0",
        "BSD-2-CLAUSE",
        "BSD-3-CLAUSE",
        "ISC",
        "ODC-BY-1.0",
        "OGL-UK-3.0",
        "OGL-CANADA-2.0",
        "ETALAB-2.0",
    }
)


def _of_url(url: str) -> _Terms:
    found = _CC_URL.search(url)
    if found:
        return _of_code(found[1], version=found[2] or "", igo=bool(found[3]))
    if _ACS.search(url):
        return _Terms(named="ACS-AuthorChoice")
    code = _CC_CODE.search(url.replace("%20", " "))
    if code:
        version = _CODE_VERSION.search(url[code.end() :])
        return _of_code(code[1], version=version[1] if version else "")
    return _Terms()


def _of_code(code: str, *, version: str = "", igo: bool = False) -> _Terms:
    """Conditions of a licence code as publishers write it: `by-nc-nd`, `cc-by`, `by-ncnd`, `BY NC`."""
    letters = re.sub(r"[^a-z0]", "", code.lower()).removeprefix("cc")
    if letters in ("zero", "0", "publicdomain", "mark"):
        return _Terms(cc0=True)
    if not letters.startswith("by"):
        return _Terms()
    rest = letters[2:]
    if rest.replace("nc", "").replace("nd", "").replace("sa", ""):
        # `by-n` and the like: cut short, so nothing can be said to be allowed.
        return _Terms(by=True, nc=True, nd=True)
    return _Terms(by=True, nc="nc" in rest, nd="nd" in rest, sa="sa" in rest, version=version, igo=igo)


def _of_bucket(code: str | None) -> _Terms:
    if not code:
        return _Terms()
    tidy = " ".join(code.strip().lower().replace("_", " ").split())
    found = _BUCKET.get(tidy) or _BUCKET.get(tidy.replace("cc-by", "cc by"))
    return found if found is not None else _of_url(code)


def _of_prose(prose: str, *, waiver: bool) -> _Terms:
    if not prose:
        return _Terms()
    for name, pattern in _NAMED:
        if pattern.search(prose):
            return _Terms(named=name)
    codes = [terms for found in _CC_CODE.finditer(prose) if (terms := _of_code(found[1])).by]
    by = bool(_BY.search(prose) or codes)
    if _ACS.search(prose) and not by:
        return _Terms(named="ACS-AuthorChoice")
    nc = bool(_NC.search(prose)) or any(terms.nc for terms in codes)
    nd = bool(_ND.search(prose)) or any(terms.nd for terms in codes)
    sa = bool(_SA.search(prose)) or any(terms.sa for terms in codes)
    if by or (nc and re.search(r"creative\s+commons", prose, re.I)):
        # The version belongs to the licence that is named; a restriction said elsewhere makes it another licence.
        named_nc = not nc or any(terms.nc for terms in codes) or bool(_NAMED_NC.search(prose))
        versions = set(_PROSE_VERSION.findall(prose)) if named_nc else set()
        return _Terms(by=True, nc=nc, nd=nd, sa=sa and not nd, version=versions.pop() if len(versions) == 1 else "")
    if nc:
        return _Terms(named="noncommercial")
    if not waiver and _CC0.search(prose):
        return _Terms(cc0=True)
    return _Terms()


def _strictest(statements: Sequence[_Terms]) -> _Terms:
    known = [terms for terms in statements if terms.known]
    if not known:
        return _Terms()
    named = [terms for terms in known if terms.named]
    licensed = [terms for terms in known if terms.by]
    if named:
        # Non-commercial wording beside a CC address narrows that licence rather than replacing it.
        if all(terms.named == "noncommercial" for terms in named) and licensed:
            licensed.append(_Terms(by=True, nc=True))
        else:
            return next(terms for terms in named if terms.named != "noncommercial" or not licensed)
    if not licensed:
        return known[0]
    nc, nd = any(terms.nc for terms in licensed), any(terms.nd for terms in licensed)
    sa = not nd and any(terms.sa for terms in licensed)
    exact = [terms for terms in licensed if terms.version and (terms.nc, terms.nd, terms.sa and not nd) == (nc, nd, sa)]
    if exact:
        return exact[0]
    return _Terms(by=True, nc=nc, nd=nd, sa=sa)


def _without_licence(prose: str) -> str:
    if _PUBLIC_DOMAIN.search(prose):
        return "LicenseRef-public-domain"
    return "LicenseRef-all-rights-reserved" if _RESERVED.search(prose) else "unknown"
