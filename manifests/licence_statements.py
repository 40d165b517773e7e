"""What one statement of a licence says: an address, or a code as publishers write it. Prose: `manifests.licence_prose`.

Dashes, spaces and the forms of letters never decide (Unicode NFKC); an address or code cut short allows nothing.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote


@dataclass(frozen=True, slots=True)
class Terms:
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


CUT_SHORT = Terms(by=True, nc=True, nd=True)
"""A code such as `by-n`: something follows, and nobody knows what."""

_DASHES = dict.fromkeys(
    [*range(0x2010, 0x2016), 0x2043, 0x2212, 0x30FB, 0xFE58, 0xFE63, 0xFF0D, 0x00B7, 0x2022, 0x2027], "-"
)
_UNSEEN = dict.fromkeys([0x00AD, 0x180E, *range(0x200B, 0x2010), *range(0x2060, 0x2065), 0xFEFF])
_ODD = re.compile(f"[{re.escape(''.join(map(chr, [*_DASHES, *_UNSEEN])))}]")


def tidy(text: str) -> str:
    """`text` with one kind of dash and one kind of space, and nothing that cannot be seen."""
    if not text.isascii():
        if _ODD.search(text):
            text = text.translate(_UNSEEN).translate(_DASHES)
        text = unicodedata.normalize("NFKC", text)
    return " ".join(text.split())


_CC_URL = re.compile(r"creative\s?commons?\.org/+(?:licen[sc]es?|publicdomain)/+([^\s<>\"'?#)\],;]*)", re.IGNORECASE)
_SHORT_CC_URL = re.compile(r"creative\s?commons?\.org/+((?:cc-?)?(?:by|zero|cc0)[^\s<>\"'?#)\],;]*)", re.IGNORECASE)
CC_CODE = re.compile(
    r"(?:\b|_)cc[\s_(-]*(0|zero|by(?:[\s_/(,+.-]*(?:nc|nd|sa)|[\s_/-]*n(?=[\s_/.,;:)]|$))*)"
    r"(?=[\s_/.,;:)-]|[\s_-]*\d|licen[sc]e|termsofuse|$)",
    re.IGNORECASE,
)
_VERSION = re.compile(r"\b([1-4]\.\d)(?!\d)")
_ACS_URL = re.compile(r"authorchoice(?!_?cc)", re.IGNORECASE)


@lru_cache(maxsize=4096)
def of_url(url: str) -> Terms:
    """What an address or a licence code says; unknown terms if it is neither."""
    url = tidy(unquote(url)).replace(" ", "")
    found = _CC_URL.search(url) or _SHORT_CC_URL.search(url)
    if found:
        return _of_path(found[1])
    if _ACS_URL.search(url):
        return Terms(named="ACS-AuthorChoice")
    code = CC_CODE.search(url)
    if code:
        version = _VERSION.search(url[code.end() :])
        return of_code(code[1], version=version[1] if version else "", igo=url.upper().endswith("-IGO"))
    return Terms()


def of_code(code: str, *, version: str = "", igo: bool = False) -> Terms:
    """Conditions of a licence code as publishers write it: `by-nc-nd`, `cc-by`, `by-ncnd`, `BY NC`."""
    letters = re.sub(r"[^a-z0]", "", code.lower()).removeprefix("cc")
    if letters in ("zero", "0", "publicdomain", "mark"):
        return Terms(cc0=True)
    if not letters.startswith("by"):
        return Terms()
    rest = letters[2:]
    if rest.replace("nc", "").replace("nd", "").replace("sa", "") or code.rstrip()[-1:] in "-_":
        return CUT_SHORT
    nd = "nd" in rest
    return Terms(by=True, nc="nc" in rest, nd=nd, sa="sa" in rest and not nd, version=version, igo=igo)


def _of_path(path: str) -> Terms:
    """Conditions of what follows `licenses/` in a Creative Commons address, well-formed or not."""
    first, *later = [part for part in path.split("/") if part] or [""]
    split = re.match(r"(.*?)[-_.\s]*([1-4]\.\d)(?!\d)(.*)$", first)
    version = ""
    if split:
        first, version, later = split[1], split[2], [split[3], *later]
    code = first
    for part in later:
        plain = re.sub(r"[^a-z]", "", part.lower())
        if re.fullmatch(r"(?:nc|nd|sa)+", plain):
            code += f"-{plain}"
        if not version and (stated := _VERSION.match(part)):
            version = stated[1]
    found = of_code(code, version=version, igo=any(part.lower() == "igo" for part in later))
    # A licence of theirs that is not known (`nc-sa`, `sampling`) is not known to be free.
    return found if found.known or not re.search("[a-z]", code, re.IGNORECASE) else CUT_SHORT
