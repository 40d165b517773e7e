"""Names that never move: document keys, text hashes, fingerprints.

All are pure functions of their arguments: the same on every machine, Python and run.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from typing import Any

import xxhash

_SPACE = re.compile(r"\s+")
_VERSION = re.compile(
    r"(?<=[^\W_])[-_. ]*(?:[-_. ](?:version|ver|v|revision|rev|edition|ed|update)|(?<=\d)v)[-_. ]?"
    r"\d{1,3}(?:[-_.]\d{1,3})*$"
    r"|(?<=[^\W_])[-_. ]+(?:\d{1,2}(?:st|nd|rd|th)[-_. ](?:edition|ed)|updated?)$"
    r"|(?<=[^\W\d_])[-_. ]+(?:19|20)\d\d(?:[-_. ](?:0\d|1[0-2])){0,2}$",
    re.IGNORECASE,
)
# Numbers of a DOI are the publisher's own, 10.1002/jcph.1912 is no edition of 1912; preprint servers mark versions.
_DOI_VERSION = re.compile(r"[/.]v\d{1,3}$", re.IGNORECASE)
# What differs between two renderings of one text and never carries clinical meaning: typographic quotes, the
# dash family and invisible marks. Minus sign U+2212 joins the dashes so that "−5" and "-5" are one number.
_TYPOGRAPHY = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
        **dict.fromkeys("\u00ad\u200b\u200c\u200d\u2060\ufeff"),
    }
)


def doc_key(doc_id: str) -> int:
    """The document's 64-bit key in shards and placements: xxh3_64 of the UTF-8 `doc_id`, seed 0."""
    return xxhash.xxh3_64_intdigest(doc_id.encode())


def family_of(doc_id: str) -> str:
    """`doc_id` without the version, edition, update or year that it ends with: what all versions of one work share."""
    source, colon, native = doc_id.partition(":")
    if source == "doi" or native.startswith("10."):
        return _DOI_VERSION.sub("", doc_id)
    before = ""
    while before != native:
        before, native = native, _VERSION.sub("", native)
    return f"{source}{colon}{native or before}"


def line_key(line: str) -> int:
    """The 64-bit name of a line of boilerplate in its normal form: xxh3_64 of its UTF-8, seed 0."""
    return xxhash.xxh3_64_intdigest(line.encode())


def normalised(text: str) -> str:
    """`text` with case, typography and white space evened out; every letter, digit and comparator stays."""
    # Superscripts must survive: NFKC would turn 10⁻³ into 10-3, so NFC it is.
    return _SPACE.sub(" ", unicodedata.normalize("NFC", text).translate(_TYPOGRAPHY).casefold()).strip()


def text_hash(text: str) -> str:
    """First 128 bits (32 hex) of the sha256 of `normalised(text)`: equal means the same words and numbers."""
    return hashlib.sha256(normalised(text).encode()).hexdigest()[:32]


def canonical_json(value: Any) -> str:
    """`value` as JSON with sorted keys and no spaces; TypeError on anything JSON has no form for."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def fingerprint(value: Any) -> str:
    """16 hex digits naming `value`: the sha256 of its canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:16]


def sha256_hex(data: bytes) -> str:
    """sha256 of `data` as 64 hex digits."""
    return hashlib.sha256(data).hexdigest()
