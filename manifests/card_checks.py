"""What a value of a source card must be, key by key; each check says what is wrong, empty if nothing."""

from __future__ import annotations

import datetime
import difflib
import re
from collections.abc import Callable, Sequence
from typing import Any

from manifests.document import KINDS

USES = ("commercial", "noncommercial", "restricted")
ACCESS = ("open", "credentialed", "forbidden-without-permission")
PHI_POLICIES = ("guideline", "literature", "note", "web")
PER_DOCUMENT = "per-document"
FETCHERS = ("http", "browser")
BASES = ("published", "measured", "estimated")
"""How a figure was come by: printed by the one who counted, counted by us, or derived from other figures."""

_SPDX = (
    *(f"CC-{terms}-{version}" for terms in ("BY", "BY-SA", "BY-NC", "BY-ND", "BY-NC-SA", "BY-NC-ND")
      for version in ("1.0", "2.0", "2.5", "3.0", "4.0")),
    *("CC-BY-3.0-IGO", "CC-BY-NC-SA-3.0-IGO", "CC-BY-SA-3.0-IGO", "CC-BY-NC-ND-3.0-IGO", "CC0-1.0", "CC-PDDC"),
    *("Apache-2.0", "MIT", "BSD-3-Clause", "GPL-3.0-only", "ODC-By-1.0", "ODbL-1.0", "PDDL-1.0", "OGL-UK-3.0"),
    *("OGL-Canada-2.0", "GFDL-1.3-only", "Unlicense"),
)  # fmt: skip
_LICENCE_REF = re.compile(r"LicenseRef-[A-Za-z0-9.-]+")
_ID = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_HOST = re.compile(r"(?:[a-z0-9-]+\.)+[a-z0-9-]+(?::\d+)?")
_MONTH = re.compile(r"\d{4}(?:-\d{2}(?:-\d{2})?)?")

Check = Callable[[Any], str]
"""What is wrong with a value; empty if nothing."""


def _text(value: Any) -> str:
    return "" if isinstance(value, str) and value.strip() else "it must be text, and not empty"


def _any_text(value: Any) -> str:
    return "" if isinstance(value, str) else "it must be text"


def _flag(value: Any) -> str:
    return "" if isinstance(value, bool) else "it must be true or false"


def _one_of(choices: Sequence[str]) -> Check:
    return lambda value: "" if value in choices else f"it must be one of {', '.join(choices)}"


def _url(value: Any) -> str:
    return "" if isinstance(value, str) and re.match(r"https?://[^/\s]+", value) else "it must be an http(s) address"


def _day(value: Any) -> str:
    return "" if type(value) is datetime.date else "it must be a day such as 2026-01-31, without quotes"


def _until(value: Any) -> str:
    return "" if isinstance(value, str) and _MONTH.fullmatch(value) else 'it must be text such as "2023-08"'


def _count(value: Any) -> str:
    return "" if type(value) is int and value > 0 else "it must be a whole number over 0"


def _table(value: Any) -> str:
    return "" if isinstance(value, dict) else "it must be a table"


def _licence(value: Any) -> str:
    if not isinstance(value, str):
        return "it must be text"
    if value in _SPDX or value == PER_DOCUMENT or _LICENCE_REF.fullmatch(value):
        return ""
    near = difflib.get_close_matches(value, (*_SPDX, PER_DOCUMENT), n=1)
    hint = f"did you mean {near[0]!r}" if near else "no SPDX id known here"
    return f"{hint}? Otherwise write LicenseRef-<name>, or {PER_DOCUMENT!r}"


def _hosts(value: Any) -> str:
    if not isinstance(value, list) or not all(isinstance(host, str) for host in value):
        return "it must be a list of host names"
    bad = [host for host in value if not _HOST.fullmatch(host)]
    return f"{bad[0]!r} is not a host name (no scheme, no path, lower case)" if bad else ""


CARD: dict[str, Check] = {
    "id": lambda value: "" if isinstance(value, str) and _ID.fullmatch(value) else "use lower-case words and dashes",
    "title": _text,
    "publisher": _text,
    "kind": _one_of(KINDS),
    "loader": _text,
    "homepage": _url,
    "licence": _licence,
    "redistribution": _flag,
    "terms_quote": _text,
    "terms_url": _url,
    "terms_read": _day,
    "access": _one_of(ACCESS),
    "restricted": _flag,
    "default_on": _flag,
    "robots": _text,
    "contact": _text,
    "phi_policy": _one_of(PHI_POLICIES),
    "hosts": _hosts,
    "verified_live": lambda value: "" if value is False or not _day(value) else "it must be a day, or false",
    "notes": _any_text,
    "expected_documents": _count,
    "expected_source": _any_text,
    "expected_tokens": _count,
    "expected_basis": _one_of(BASES),
    "expected_from": _any_text,
    "expected_until": _until,
    "expected_per": _table,
    "terms_from": _any_text,
    "archive": _flag,
    "min_listed": _count,
    "fetcher": _one_of(FETCHERS),
}
LICENCE_CLASS: dict[str, Check] = {"use": _one_of(USES), "attribution": _flag, "share_alike": _flag}
EXPECTED: dict[str, Check] = {
    "options": _table,
    "published_until": _until,
    "documents": _count,
    "tokens": _count,
    "basis": _one_of(BASES),
    "source": _text,
    "at_most": _flag,
}
