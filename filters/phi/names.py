"""Names of people in notes, found by what stands around them.

A title, a credential, a label ("Patient:"), a relative, or a frequent given name before a surname or an initial. A name
without any of these is not found; no list of surnames would find it without taking Parkinson, Foley and Wilson too.
"""

from __future__ import annotations

import functools
import re
from importlib import resources
from typing import Any

from filters.phi.finding import Finding, View

_WORD = r"(?:Mc|Mac|O'|D'|De|Di|La|Le|Van)[A-Z][a-z]+|[A-Z][a-z]+(?:['-][A-Z]?[a-z]+)*|[A-Z]{2,}(?:['-][A-Z]+)*"
_NAME = rf"(?:{_WORD})(?: (?:[A-Z]\.?|{_WORD})){{0,2}}"
_SURNAME = rf"(?:(?:[A-Z]\. ?){{0,2}}(?:{_WORD}))(?: (?:[A-Z]\b\.?|{_WORD})){{0,2}}"

_CREDENTIALS = (
    r"M\.?D|D\.?O|R\.?N|N\.?P|P\.?A(?:-C)?|Ph\.?D|LPN|MBBS|FRCP|FACP|FACC|FACS|DDS|DPM|PharmD|APRN|CRNP|CRNA|CNM|LCSW|MSW"
    r"|DNP|MPH"
)
_LABELS = (
    r"(?i:(?:patient|pt|attending|surgeon|physician|provider|referring|primary care|requesting|resident|nurse|guardian|"
    r"emergency contact|next of kin|contact|employer)(?:'s)?(?: (?:name|physician|provider|md|surgeon))?|"
    r"(?:full |last |first |given |family |maiden )?name|(?:electronically |e-?)?signed(?: by)?|dictated by|seen by|"
    r"reviewed by|authored by|cc|dear)"
)

# (detector, pattern with the name as group 1, score)
_CUES: tuple[tuple[str, str, float], ...] = (
    (
        "name_title",
        r"\b(?:Dr|Mr|Mrs|Ms|Miss|Mx|Prof|Professor|Doctor|Nurse|DR|MR|MRS|MS|dr|mr|mrs|ms)\b\.? {0,2}"
        rf"({_SURNAME}|[A-Z]\.)",
        0.85,
    ),
    ("name_credential", rf"\b({_NAME}),? (?:{_CREDENTIALS})\b", 0.8),
    ("name_label", rf"\b{_LABELS} ?: {{0,3}}((?:{_WORD}), ?(?:{_WORD})(?: [A-Z]\b\.?)?|{_NAME})", 0.8),
    ("name_called", rf"\b(?i:my name is|name is|named|goes by|name of|i am|this is|introduced as) ({_NAME})", 0.75),
    (
        "name_patient",
        r"\b(?i:patient|pt|client|resident|(?:wo)?man|(?:fe)?male|boy|girl|lady|gentleman),? "
        r"([A-Z][a-z]+(?: (?:[A-Z][a-z]+|[A-Z]\b\.?))?)",
        0.75,
    ),
    (
        "name_kin",
        r"\b(?i:wife|husband|daughter|son|mother|father|sister|brother|partner|friend|neighbou?r|caregiver|aunt|uncle|"
        r"fiancee?),? \(?([A-Z][a-z]+(?: [A-Z][a-z]+)?)\b",
        0.6,
    ),
    ("name_possessive", r"\b([A-Z][a-z]+ [A-Z]\.)(?:'s)?,", 0.6),
)

_SURNAMES_TOO = {"white", "black", "day", "may", "march", "ward", "page", "english"}
"""Of the words that are no names, those that are surnames after a given name."""

_NO_INITIAL = {"vitamin", "hepatitis", "type", "grade", "stage", "class", "group", "factor", "protein", "influenza"}
_NO_INITIAL |= {"strep", "streptococcus", "phase", "part", "appendix", "table", "figure", "section", "schedule"}
"""Words that a capital letter follows without being an initial: vitamin D, hepatitis B."""


@functools.cache
def _listed(name: str) -> frozenset[str]:
    text = (resources.files("filters.phi") / name).read_text(encoding="utf-8")
    return frozenset(word for line in text.splitlines() if not line.startswith("#") for word in line.split())


def _first_names() -> frozenset[str]:
    return _listed("first_names.txt")


def _no_names() -> frozenset[str]:
    """Capitalised words that follow a cue without being a name."""
    return _listed("no_names.txt")


@functools.cache
def _engine() -> tuple[tuple[tuple[str, Any, float], ...], Any]:
    import re2

    options = re2.Options()
    options.max_mem = 64 << 20
    cues = tuple((name, re2.compile(pattern, options), score) for name, pattern, score in _CUES)
    given = re2.compile(rf"\b([A-Z][a-z]+|[A-Z]{{3,}})((?: [A-Z]\b\.?)?(?: (?:{_WORD}))| [A-Z]\b\.?)", options)
    return cues, given


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """The candidate without the words at its ends that are no names."""
    words = [(start + m.start(), start + m.end()) for m in re.finditer(r"[^\s,]+", text[start:end])]

    def no_name(span: tuple[int, int]) -> bool:
        word = text[span[0] : span[1]].strip(".")
        return len(word) > 1 and word.lower() in _no_names()

    while words and no_name(words[0]):
        return 0, 0  # a cue followed by a plain word is no cue
    for position, span in enumerate(words):
        if no_name(span) and text[span[0] : span[1]].lower() not in _SURNAMES_TOO:
            words = words[:position]
            break
    return (words[0][0], words[-1][1]) if words else (0, 0)


def _patient_name(name: str) -> bool:
    """Whether two capitalised words after "patient" or "female" are a name: an initial, or a frequent given name."""
    words = name.split()
    return words[0].lower() in _first_names() or (len(words) == 2 and len(words[1].strip(".")) == 1)


def _full(text: str, start: int, end: int, detector: str) -> bool:
    """Whether the candidate is more than one capitalised word, which a label or "MD" alone does not make a name."""
    words = text[start:end].split()
    if len(words) > 1 or words[0].lower() in _first_names():
        return True
    if detector == "name_label":
        return re.search(r"name ?: {0,3}$", text[max(0, start - 10) : start], re.IGNORECASE) is not None
    # "Chen, MD" is a name; "Duchenne MD", "Bethesda, MD 20892" and "TPI, NP" are not.
    return words[0][1:].islower() and re.match(r", [A-Z][\w.]+(?! \d)\b", text[end : end + 12]) is not None


def find(view: View) -> list[Finding]:
    """Findings of NAME in the view, at its own offsets; they may overlap."""
    cues, given = _engine()
    text = view.text
    findings = []
    for detector, pattern, score in cues:
        for match in pattern.finditer(text):
            start, end = _trimmed(text, *match.span(1))
            if end - start < 2:
                continue
            if text.endswith("'s", start, end):
                end -= 2
            if detector in ("name_credential", "name_label") and not _full(text, start, end, detector):
                continue
            if detector == "name_title" and text[max(0, match.start() - 1) : match.start()] == "-":
                continue  # a relative molecular mass: "the 72000-Mr protein"
            if detector == "name_title" and re.search(r"\d ?ms$", text[max(0, match.start() - 2) : match.start() + 2]):
                continue  # milliseconds at the end of a sentence: "QTc >500 ms. Sputum smear"
            if detector == "name_patient" and not _patient_name(text[start:end]):
                continue
            if detector == "name_possessive" and text[start:end].split()[0].lower() in _NO_INITIAL:
                continue
            findings.append(Finding(start, end, "NAME", detector, score))
    names = _first_names()
    for match in given.finditer(text):
        second = match[2].split()[-1].strip(".").lower()
        if match[1].lower() in names and (len(second) == 1 or second not in _no_names() or second in _SURNAMES_TOO):
            start, end = _trimmed(text, *match.span())
            # "Bell palsy" and "James-Lange": an eponym has no given name before it, and a hyphen after it.
            if end > start and text[end : end + 1] != "-":
                findings.append(Finding(start, end, "NAME", "name_given", 0.8))
    return findings
