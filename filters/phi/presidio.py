"""Presidio's pattern recognisers, as a second opinion on the few lines that hold a long number nothing else explained.

Only recognisers with a checksum or a shape of their own, without an NLP engine and without a network: those for e-mail
and URL would fetch a list of domains, those for dates and licences fire on pain scores and spinal levels.
"""

from __future__ import annotations

import functools
import logging
from typing import Any

from filters.phi.finding import Finding, View

_RECOGNIZERS: tuple[tuple[str, str], ...] = (
    ("CreditCardRecognizer", "CARD"),
    ("IbanRecognizer", "IBAN"),
    ("UsItinRecognizer", "SSN"),
    ("UsPassportRecognizer", "ID"),
    ("UsMbiRecognizer", "ID"),
    ("UsNpiRecognizer", "ID"),
    ("NhsRecognizer", "ID"),
    ("MedicalLicenseRecognizer", "ID"),
    ("CryptoRecognizer", "ID"),
    ("PhoneRecognizer", "PHONE"),
)
# A line goes to Presidio if it holds eight digits that only spaces and punctuation part, or a long code.
_GATE = r"\d(?:[ ().-]{0,2}\d){7}|\b[A-Z]{1,3}\d{6,}"
_LEAST_SCORE = 0.4
"""Presidio gives less to a shape that any number of that length has."""

_OUR_SCORE = 0.6
"""What its findings count here: a checksum holds for every tenth number, so a second opinion alone is never sure."""


@functools.cache
def _recognizers() -> tuple[tuple[Any, str], ...]:
    logging.getLogger("presidio-analyzer").setLevel(logging.ERROR)
    from presidio_analyzer import predefined_recognizers

    made = []
    for name, entity in _RECOGNIZERS:
        kind: Any = getattr(predefined_recognizers, name)
        made.append((kind(supported_regions=("US", "GB")) if name == "PhoneRecognizer" else kind(), entity))
    return tuple(made)


@functools.cache
def _gate() -> Any:
    import re2

    return re2.compile(_GATE)


def _lines(text: str) -> list[tuple[int, int]]:
    """Start and end of each line that passes the gate."""
    lines: list[tuple[int, int]] = []
    for match in _gate().finditer(text):
        if not lines or match.start() >= lines[-1][1]:
            end = text.find("\n", match.end())
            lines.append((text.rfind("\n", 0, match.start()) + 1, len(text) if end < 0 else end))
    return lines


def find(view: View) -> list[Finding]:
    """Findings in the view, at its own offsets, on the lines that pass the gate."""
    findings = []
    text = view.text
    for line_start, line_end in _lines(text):
        for recognizer, entity in _recognizers():
            for result in recognizer.analyze(text[line_start:line_end], recognizer.supported_entities, None) or ():
                start, end = line_start + result.start, line_start + result.end
                digits = sum(map(str.isdecimal, text[start:end]))
                # 120/80 and 3-4 weeks have the shape of a phone number to it, and rs4073665 that of a licence.
                no_phone = entity == "PHONE" and (digits < 8 or "/" in text[start:end])
                glued = text[max(0, start - 1) : start].isalnum() or text[end : end + 1].isalnum()
                if result.score >= _LEAST_SCORE and not no_phone and not glued:
                    findings.append(Finding(start, end, entity, f"presidio_{result.entity_type.lower()}", _OUR_SCORE))
    return findings
