"""What stands around a candidate decides: one check for each shape of `filters.phi.structured`.

A check gets the text and the candidate's place in it and gives a score, 0 to reject. The shapes of medicine are not
identifiers: BP 169/74, pain 6/10, grade 3/6, EC 3.4.21.62, L4, PMID and NCT numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable

Check = Callable[[str, int, int], float]
"""(text, start, end) of a candidate -> score; 0 rejects it."""

YEAR = r"(?:1[89]|2[01])\d\d"


def fixed(score: float) -> Check:
    return lambda text, start, end: score


def _before(text: str, start: int, length: int = 24) -> str:
    return text[max(0, start - length) : start]


def _glued(text: str, start: int, end: int) -> bool:
    """True where the candidate is part of a longer number or code."""
    return bool(re.search(r"[\w/.+-]$", text[max(0, start - 1) : start])) or bool(
        re.match(r"[\w/]|[-.,]\d", text[end : end + 2])
    )


def numeric_date(text: str, start: int, end: int) -> float:
    if _glued(text, start, end):
        return 0.0
    parts = re.split(r"[-/.]", text[start:end].split("T")[0].split(" ")[0])
    if len(parts[0]) == 4:
        year, first, second = parts
    else:
        first, second, year = parts
    a, b = int(first), int(second)
    if not (1 <= a <= 31 and 1 <= b <= 31 and min(a, b) <= 12):
        return 0.0
    if len(year) == 4:
        return 0.95 if 1850 <= int(year) <= 2200 else 0.0
    return 0.8 if "/" in text[start:end] else 0.5


_UNIT_AFTER = re.compile(
    r"\s*(?:mg|mcg|g|ml|units?|tabs?|times|days?|weeks?|months?|years?|hours?|%|/)\b", re.IGNORECASE
)


def month_date(text: str, start: int, end: int) -> float:
    found = text[start:end]
    word = re.search(r"[A-Za-z]+", found.replace("st", "").replace("nd", "").replace("rd", "").replace("th", ""))
    lower = word is not None and word[0].islower()
    has_year = re.search(YEAR, found) is not None
    if lower and not has_year and re.search(r"\b(?:may|mar|march|dec|sep|sept|jun|jan)\b", found):
        return 0.0
    if not has_year and (_UNIT_AFTER.match(text[end : end + 8]) or re.match(r"[-./]\d|\d", text[end : end + 2])):
        return 0.0
    if has_year and not re.search(r"\d", re.sub(YEAR, "", found)):
        return 0.0 if lower and "may" in found else 0.55  # month and year
    return 0.95 if has_year else 0.75


def day_month(text: str, start: int, end: int) -> float:
    first, second = (int(part) for part in text[start:end].split("/"))
    unit = re.match(r"\s*(?:mm|%|/|-|\d|hx|days?|strength|pain|visits?)", text[end : end + 10])
    return 0.5 if 1 <= first <= 31 and 1 <= second <= 31 and min(first, second) <= 12 and unit is None else 0.0


_PHONE_CUE = re.compile(
    r"(?:tel|phone|fax|call|mobile|cell|pager?|contact|reach|ph|dial)\w*[^\w\n]{0,4}(?:\w+[^\w\n]+){0,3}\(?$", re.I
)


def phone(text: str, start: int, end: int) -> float:
    if re.search(r"[\w+#.,/-]$", _before(text, start, 1)) or re.match(r"[-./]?\d|-?[A-Za-z]{2}", text[end : end + 3]):
        return 0.0
    found = text[start:end]
    if _PHONE_CUE.search(_before(text, start, 40)):
        return 0.95
    if found.startswith(("+", "(")):
        return 0.9
    return 0.75 if re.fullmatch(r"(?:1[-.])?\d{3}[-.]\d{3}[-.]\d{4}(?:\s?(?:x|ext).*)?", found) else 0.4


def phone_after_cue(text: str, start: int, end: int) -> float:
    digits = sum(map(str.isdecimal, text[start:end]))
    return 0.9 if 7 <= digits <= 15 and not re.match(r"\d|[-/]\d|\.\d", text[end : end + 2]) else 0.0


def ssn(text: str, start: int, end: int) -> float:
    if _glued(text, start, end):
        return 0.0
    found = text[start:end]
    if re.search(r"(?:ssn|social security|ss ?#)\W{0,3}(?:\w+\W+){0,3}$", _before(text, start, 44), re.I):
        return 0.99
    if not re.fullmatch(r"\d{3}-\d{2}-\d{4}", found):
        return 0.0
    return 0.75 if found[0] == "9" or found[:3] in ("000", "666") else 0.9


def email(text: str, start: int, end: int) -> float:
    domain = text[start:end].rpartition("@")[2].lower()
    # RFC 2606 reserves .invalid for what is no address.
    return 0.0 if domain.endswith(".invalid") else 0.95


def handle(text: str, start: int, end: int) -> float:
    """A name at a payment or record service (`name@service`), which has no top-level domain."""
    return 0.0 if text[end : end + 1] == "." and text[end + 1 : end + 2].isalnum() else 0.6


def ip(text: str, start: int, end: int) -> float:
    if re.search(r"[\w.-]$", _before(text, start, 1)) or re.match(r"[\w]|[.-]\d", text[end : end + 2]):
        return 0.0
    parts = [int(part) for part in text[start:end].split(".")]
    if max(parts) > 255:
        return 0.0
    before = _before(text, start)
    if re.search(r"\bIP(?:v4)?\b", before):
        return 0.95
    if re.search(
        r"(?:\bE\.?C\.?|section|version|chapter|table|\bsec\.|\bv\.?|release|§)[\s:(]*(?:\w+\s)?$", before, re.I
    ):
        return 0.0
    # Enzyme numbers begin with 1 to 7; the numbers of sections and versions are small.
    if parts[0] <= 7:
        return 0.0
    return 0.8 if max(parts) >= 32 else 0.4


def ipv6(text: str, start: int, end: int) -> float:
    # Eight small numbers in a row are a ratio.
    return 0.9 if re.search(r"[a-fA-F]", text[start:end]) and not _glued(text, start, end) else 0.0


def age(text: str, start: int, end: int) -> float:
    before = _before(text, start, 16)
    # A range ("18-95 years old") or a bound (">90 years of age") is a cohort, not a person.
    if re.search(r"(?:\d\s*(?:-|to|and)\s*|[<>=~]\s*|\b(?:over|above|under|below|to|than|until)\s+)$", before):
        return 0.0
    return 0.9


_NOT_AN_ID = re.compile(
    r"(?:NCT|ISRCTN|PMC|PMID|EUDRACT|ACTRN|CRD|DOI|ICD|CPT|SNOMED|LOINC|ISBN|ISSN|GSE|HGNC|OMIM|CAS|COVID|SARS)", re.I
)
_COMMON_CUES = {"order", "unit", "study", "group", "sample", "accession", "site", "device", "reference", "ref"}
_COMMON_CUES |= {"specimen", "serial", "registration", "rx", "code"}


def identifier(text: str, start: int, end: int) -> float:
    found = text[start:end]
    digits = sum(map(str.isdecimal, found))
    if digits < 4 or _NOT_AN_ID.match(found):
        return 0.0
    if re.match(r"[.,]\d|\s?(?:mg|ml|mL|g|kg|%|mmHg|patients|cases|days|years)\b", text[end : end + 9]):
        return 0.0
    before = _before(text, start, 60)
    if re.search(
        r"\b(?:gene|animal|strain|cat(?:alog(?:ue)?)?|protein|clone|assay|kit|grant)\b\W*(?:\w+\W+)?$", before, re.I
    ):
        return 0.0
    strong = re.search(
        r"(?:MRN|MR ?#|rec(?:ord)?s?\.?|SSN|NHS|NPI|DEA|HICN|MBI|VIN|E[MH]R|HPN|HP?BN|medicare|medicaid)", before, re.I
    )
    explicit = re.search(
        r"(?:#|\bno\b\.?|\bnum|\bnumber|\bid\b|\bidentif|\bcode|:)[^\w]*(?:\w+\s)?[#:(\s]*$", before, re.I
    )
    cue = re.search(r"(\w+)[^\w]*(?:\w+[^\w]+)?$", before)
    if re.fullmatch(rf"{YEAR}(?:-{YEAR}|-\d\d)?", found):
        return 0.0
    if strong:
        return 0.95 if digits >= 5 or not found.isdecimal() else 0.6
    if explicit:
        return 0.85 if digits >= 5 or not found.isdecimal() else 0.5
    if cue is not None and (cue[1].lower().rstrip("s") in _COMMON_CUES or cue[1].lower().endswith("s")):
        return 0.0
    # Without "number" or a colon a cue word is only a hint, and a plain number after it a count.
    return 0.6 if cue is not None and not re.fullmatch(r"\d+(?:-\d{1,4})?", found) else 0.0


def card(text: str, start: int, end: int) -> float:
    digits = re.sub(r"\D", "", text[start:end])
    if not re.match(r"[3-6]|1800|2131|2[2-7]", digits) or _glued(text, start, end):
        return 0.0
    if len(digits) < 13 and not re.search(r"card\W+(?:\w+\W+){0,3}$", _before(text, start, 30), re.I):
        return 0.0
    total = 0
    for position, char in enumerate(reversed(digits)):
        value = int(char) * (1 + position % 2)
        total += value - 9 * (value > 9)
    return 0.85 if total % 10 == 0 and len(set(digits)) > 1 else 0.0


def iban(text: str, start: int, end: int) -> float:
    plain = re.sub(r"\s", "", text[start:end])
    if not 15 <= len(plain) <= 34:
        return 0.0
    return 0.95 if int("".join(str(int(char, 36)) for char in plain[4:] + plain[:4])) % 97 == 1 else 0.0
