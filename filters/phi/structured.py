"""Identifiers with a shape: dates, phones, addresses on the net and in the street, and numbers that name a person.

RE2 finds candidates in linear time, whatever the text; `filters.phi.context` looks at each with what stands around it.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from filters.phi import context
from filters.phi.finding import Finding, View


@dataclass(frozen=True, slots=True)
class Shape:
    """A pattern of RE2; the span is its first group that matched, or the whole match."""

    entity: str
    name: str
    pattern: str
    check: context.Check


_MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?"
    r"|Nov(?:ember)?|Dec(?:ember)?)"
)
_DAY = r"(?:0?[1-9]|[12]\d|3[01])"


_CUES = (
    r"MRN|MR ?#|MRNO|med(?:ical)?\.? rec(?:ord)?s?\.?|(?:patient|pt|hospital|member|subscriber|beneficiary|policy|"
    r"insurance|health[- ]?plan|plan|account|acct|chart|record|case|encounter|accession|visit|claim|certificate|"
    r"licen[cs]e|passport|device|serial|site|study|unit|reference|ref|group|employee|student|national|tax|vehicle|"
    r"registration|specimen|sample|order|rx|prescription)\.?(?:[ -](?:record|account|plan|card|policy|beneficiary|"
    r"member|insurance|identification|identifier|health|code))?|medicare|medicaid|HICN|MBI|EMR|EHR|NHS|NPI|DEA|VIN|HPN|HP?BN|"
    r"DL|ID"
)
_LINK = r"(?:[ .]{0,2}(?:no|num|number|numbers|id|ID|Id|identifier|code|#)\b?\.?)?"
_GLUE = r"[ \t]{0,2}(?:[:#=(-]|is|was|of|as|with|ending in|listed as|under|,)?[ \t]{0,2}[#:(]?[ \t]{0,2}"


_STATES = (
    "AL|AK|AZ|AR|CA|CO|CT|DE|FL|GA|HI|ID|IL|IN|IA|KS|KY|LA|ME|MD|MA|MI|MN|MS|MO|MT|NE|NV|NH|NJ|NM|NY|NC|ND|OH|OK|OR|PA|"
    "RI|SC|SD|TN|TX|UT|VT|VA|WA|WV|WI|WY|DC|PR|AP|AE"
)
_STREET = (
    "Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Way|Place|Pl|Terrace|Ter|Circle|Cir|Parkway|"
    "Pkwy|Highway|Hwy|Square|Sq|Close|Crescent|Gardens|Grove|Mews|Row|Trail|Alley"
)

_DIALLED = r"\+?\(?\d{1,4}\)?(?:[ .-]{0,2}\(?\d{2,4}\)?){1,5}"

SHAPES: tuple[Shape, ...] = (
    Shape("EMAIL", "email", r"[A-Za-z0-9._%+'-]+@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,24}\b", context.email),
    Shape(
        "EMAIL",
        "email_spelled",
        r"(?i)\b[a-z0-9._+-]+ ?[\[(]at[\])] ?[a-z0-9-]+(?:(?:\.| ?[\[(]dot[\])] ?)[a-z0-9-]+)+\b",
        context.fixed(0.8),
    ),
    Shape("EMAIL", "handle", r"\b([A-Za-z][\w.+-]{2,}@[a-z][\w-]{2,})\b", context.handle),
    Shape(
        "URL",
        "url_user",
        r"(?i)\bhttps?://(?:[^\s/@]+@\S+|\S*"
        r"(?:/~\w|/users?/\w|/profile|/u/\w|[?&](?:patient|mrn|user|name|email|id)=)\S*)",
        context.fixed(0.8),
    ),
    Shape(
        "URL", "social", r"(?i)\b(?:facebook|twitter|linkedin|instagram|tiktok)\.com/[\w.@/-]{3,}", context.fixed(0.8)
    ),
    Shape(
        "DATE",
        "date_iso",
        rf"\b{context.YEAR}(?:-\d{{1,2}}-\d{{1,2}}|/\d{{1,2}}/\d{{1,2}}|\.\d{{1,2}}\.\d{{1,2}})"
        r"(?:[T ]\d\d:\d\d(?::\d\d)?)?",
        context.numeric_date,
    ),
    Shape(
        "DATE",
        "date_numeric",
        r"\b(?:\d{1,2}/\d{1,2}/(?:\d{4}|\d{2})|\d{1,2}-\d{1,2}-(?:\d{4}|\d{2})|\d{1,2}\.\d{1,2}\.\d{4})\b",
        context.numeric_date,
    ),
    Shape(
        "DATE",
        "date_month",
        rf"(?i)\b{_MONTH}\.?,? {{0,2}}{_DAY}(?:st|nd|rd|th)?\b(?:,? {{0,2}}(?:of )?{context.YEAR}\b)?",
        context.month_date,
    ),
    Shape(
        "DATE",
        "date_day",
        rf"(?i)\b{_DAY}(?:st|nd|rd|th)?[ -]{{1,2}}(?:of )?{_MONTH}\b\.?(?:,?[ -]{{1,2}}{context.YEAR}\b)?",
        context.month_date,
    ),
    Shape("DATE", "month_year", rf"(?i)\b{_MONTH}\.?,? {{0,2}}(?:of )?{context.YEAR}\b", context.month_date),
    Shape(
        "DATE",
        "day_month",
        r"(?i)\b(?:on|since|dated?|until|from|by|dos|dob|admitted|discharged|seen):? (\d{1,2}/\d{1,2})\b",
        context.day_month,
    ),
    Shape("DATE", "date_cjk", r"\d{4}年\d{1,2}月\d{1,2}日", context.fixed(0.95)),
    Shape("SSN", "ssn", r"\b\d{3}[- ]?\d{2}[- ]?\d{4}\b", context.ssn),
    Shape(
        "PHONE",
        "phone_us",
        r"(?:\+?1[-. ]?)?(?:\(\d{3}\) ?|\b\d{3}[-. ])\d{3}[-. ]\d{4}\b(?: ?(?:x|ext\.?) ?\d{1,6})?",
        context.phone,
    ),
    Shape("PHONE", "phone_international", r"\+[1-9]\d{0,2}[ .()-]{0,3}\d(?:[ .()/-]{0,3}\d){6,13}", context.phone),
    Shape(
        "PHONE",
        "phone_cue",
        r"(?i)\b(?:tel(?:ephone)?|phone|fax|mobile|cell(?: ?phone|ular| no| number|:)|pager|beeper|callback|hotline)\b"
        rf"[^\d\n+(]{{0,24}}({_DIALLED})",
        context.phone_after_cue,
    ),
    Shape(
        "PHONE",
        "phone_at",
        rf"(?i)\b(?:call|reach|contact|ring|dial|messages?|answering)\b[^\d\n+(]{{0,24}}[ :]({_DIALLED})",
        context.phone_after_cue,
    ),
    Shape(
        "PHONE",
        "phone_kind",
        rf"(?i)({_DIALLED}(?: ?x\d{{1,6}})?)[- ]{{1,2}}(?:office|fax|home|work|cell|mobile|desk)\b",
        context.phone_after_cue,
    ),
    Shape("IP", "ipv4", r"\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b", context.ip),
    Shape("IP", "ipv6", r"\b(?:[0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}\b", context.ipv6),
    Shape("IP", "mac", r"\b(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}\b", context.fixed(0.8)),
    Shape(
        "AGE",
        "age",
        r"(?i)\b((?:9\d|1[01]\d)"
        r"(?:[- ]{0,2}(?:years?|yrs?)[- ]{1,2}old|[- ]{0,2}(?:years?|yrs?) of age|[- ]?y/?o\b|[- ]?y\.o\.))",
        context.age,
    ),
    Shape("AGE", "aged", r"(?i)\b(?:aged?|age is|age of)[: ]{1,2}((?:9\d|1[01]\d))\b", context.age),
    Shape(
        "AGE",
        "age_words",
        r"(?i)\b(?:ninety|(?:one )?hundred)(?:[- ](?:and )?(?:one|two|three|four|five|six|seven|eight|nine))?"
        r"[- ]years?[- ]old",
        context.fixed(0.9),
    ),
    Shape(
        "ID",
        "id_cue",
        rf"(?i)\b(?:{_CUES})s?{_LINK}{_GLUE}"
        r"([A-Z]{0,5}-?\d[A-Z0-9]*(?:-[A-Z0-9]+)*|[A-Z]{1,6}(?:-[A-Z]+)?-\d[A-Z0-9-]*|[A-Z]+\d[A-Z0-9-]*)\b",
        context.identifier,
    ),
    Shape("ID", "mrn", r"(?i)MRN[-: #]{0,3}(\d{5,})", context.fixed(0.95)),
    Shape("ID", "id_hash", r"#([A-Z]{1,4}-?\d{4,})\b", context.fixed(0.7)),
    Shape(
        "CARD", "card", r"\b(?:\d{12,19}|\d{4}[ -]\d{4}[ -]\d{4}[ -]\d{1,7}|\d{4}[ -]\d{6}[ -]\d{5})\b", context.card
    ),
    Shape("IBAN", "iban", r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b", context.iban),
    Shape(
        "ADDRESS",
        "street",
        rf"\b\d{{1,6}}[A-Z]? (?:(?:[NSEW]|North|South|East|West)\.? )?(?:[A-Z][\w'-]* ){{1,4}}(?:{_STREET})\b\.?",
        context.fixed(0.85),
    ),
    Shape("ADDRESS", "po_box", r"(?i)\bP\.? ?O\.? ?Box \d+|\bPSC \d+, Box \d+", context.fixed(0.85)),
    Shape("ADDRESS", "flat", r"\b(?:Apt|Apartment|Suite|Ste|Flat|Unit)\.? #?\d{1,5}[A-Z]?\b", context.fixed(0.6)),
    Shape("ZIP", "zip_state", rf"\b(?:{_STATES}),? (\d{{5}}(?:-\d{{4}})?)\b", context.fixed(0.85)),
    Shape(
        "ZIP",
        "zip_cue",
        r"(?i)\b(?:zip|postal|post) ?code:? ?(?:is )?([A-Z0-9]{3,5}(?:[- ][A-Z0-9]{2,4})?)\b",
        context.fixed(0.8),
    ),
    Shape("ZIP", "postcode", r"\b[A-Z]{1,2}\d[A-Z\d]? \d[ABD-HJLNP-UW-Z]{2}\b", context.fixed(0.6)),
)


@functools.cache
def _engine(entities: frozenset[str]) -> tuple[Any, tuple[tuple[Shape, Any], ...]]:
    """A set of all patterns, which tells in one pass those that occur, and each pattern by itself."""
    import re2

    options = re2.Options()
    options.max_mem = 64 << 20
    options.log_errors = False
    shapes = [shape for shape in SHAPES if shape.entity in entities]
    gate = re2.Set.SearchSet(options)
    for shape in shapes:
        gate.Add(shape.pattern)
    gate.Compile()
    return gate, tuple((shape, re2.compile(shape.pattern, options)) for shape in shapes)


def find(view: View, entities: frozenset[str]) -> list[Finding]:
    """Findings of `entities` in the view, at its own offsets; they may overlap."""
    gate, shapes = _engine(entities)
    text = view.text
    findings = []
    for index in sorted(gate.Match(text) or ()):
        shape, pattern = shapes[index]
        for match in pattern.finditer(text):
            group = next((n for n in range(1, pattern.groups + 1) if match.start(n) >= 0), 0)
            start, end = match.span(group)
            score = shape.check(text, start, end)
            if score:
                findings.append(Finding(start, end, shape.entity, shape.name, score))
    return findings
