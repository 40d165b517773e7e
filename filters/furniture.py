"""Which lines may be taken out for being repeated: what a publication says of itself, and nothing a patient needs.

Frequent is not the same as idle ("Consult the product label"), so what may go is narrow, be it ever so frequent. A line
with a number, comparator, unit or dose word stays; so do headings, labels, rows of tables. Of the rest every sentence
must be one of three kinds: a notice of law ("All rights reserved"), navigation ("Back to top"), or a sentence about the
publication without a clinical word. A negation stays too, but for those by which a publisher denies liability,
endorsement or permission.
"""

from __future__ import annotations

import re
import unicodedata

from filters.numbers import numeric_tokens
from manifests.identity import line_key

MAX_CHARACTERS = 400
"""Longer lines are paragraphs, and are not counted."""


def _words(*parts: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(parts)})\b", re.IGNORECASE)


_NOTICE = _words(
    r"copyright", r"all rights reserved", r"terms (?:of (?:use|service)|and conditions)",
    r"(?:privacy|cookies?) (?:policy|notice)", r"(?:uses?|accept(?: all)?) cookies", r"disclaimer",
    r"(?:be|is|are) (?:reprinted|reproduced|redistributed)",
    r"permissions? (?:of|from) the (?:publisher|author|copyright)", r"(?:not|nor) (?:\w+ ){0,3}endorse\w*",
    r"registered trademarks?",
    r"(?:substitute|replacement) for (?:\w+ ){0,3}(?:advice|judge?ment|consultation)", r"for informational purposes",
    r"(?:views|opinions) expressed", r"(?:assumes?|accepts?|disclaims?) (?:\w+ ){0,3}(?:liability|responsibility)",
    r"warrant(?:y|ies)",
)  # fmt: skip
_NAVIGATION = _words(
    r"subscribe to", r"newsletter", r"sign (?:in|up) (?:to|for|with)", r"bookmark this", r"e-?mail this page",
    r"print this page", r"share this page", r"follow us on", r"back to top", r"skip to (?:main|content)",
    r"table of contents", r"on this page", r"(?:page )?last (?:reviewed|updated)",
    r"(?:download|view) (?:the |this )?pdf", r"adobe (?:reader|acrobat)", r"(?:enable|requires) javascript",
)  # fmt: skip
# Words of a sentence about the document or its site; any other sentence is taken to be what the document says.
_PUBLICATION = _words(
    r"document", r"publication", r"publish\w*", r"guideline (?:was|is|developers?|document|development|panel)",
    r"appendi(?:x|ces)", r"web ?(?:site|page)", r"page", r"online", r"full text", r"article", r"journal", r"chapter",
    r"section", r"editors?", r"authors?", r"committee", r"task force", r"panel", r"societ(?:y|ies)", r"association",
    r"academy", r"college", r"acknowledg\w*", r"fund(?:ed|ing)", r"conflicts? of interest", r"disclosures?",
    r"members?", r"reviewers?", r"peer review", r"public comment", r"download", r"link", r"version",
    r"available (?:at|from|on|in)",
)  # fmt: skip
_NEGATION = re.compile(
    r"\b(?:not?|non|nor|none|never|neither|without|except|unless|avoid\w*|den(?:y|ies|ied)|absent|absence|negative"
    r"|free of|cannot|stop\w*|discontinu\w*|withhold|contraindicat\w*|rather than|instead|only|\w+n['’]t)\b",
    re.IGNORECASE,
)
# What a notice may deny: with these taken out no negation may be left in it.
_DENIALS = _words(
    r"(?:(?:is|are|was|were|be) )?(?:not|never|nor)"
    r"(?: (?:be|is|are|intended|meant|to|as|used|considered|relied|upon|a|an|any|by|itself|constitute|the))*"
    r" (?:substitute|replacement) for",
    r"(?:(?:do|does) )?(?:not|nor) (?:\w+ ){0,3}endorse\w*",
    r"(?:may|can|must|should) not be (?:(?:further|otherwise) )?"
    r"(?:reprinted|reproduced|redistributed|copied|stored|transmitted|published|sold)",
    r"without (?:the |a )?(?:(?:prior|express|explicit|written|formal) )*permission",
    r"no part of this (?:publication|document|work|page|site|website|book|report|guideline)",
    r"no (?:liability|responsibility|warrant(?:y|ies))", r"without (?:any )?(?:warrant(?:y|ies)|liability)",
    r"(?:do|does) not (?:assume|accept|warrant|guarantee)", r"not (?:be )?(?:held )?(?:responsible|liable)",
    r"(?:do|does) not necessarily (?:reflect|represent|state)", r"non-?commercial", r"not for profit",
    r"(?:for )?informational purposes only",
)  # fmt: skip
_DOSE = re.compile(
    r"\b(?:[munkp]c?g|m?l|iu|units?|mmol|mmhg|kg|dos\w+|tablets?|capsules?|daily|once|twice|hourly|weekly|monthly|bid"
    r"|tid|qid|prn|half|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|hundred|first"
    r"|second|third|per ?cent|percent|(?:more|less|greater|fewer|higher|lower|older|younger) than|at least|at most"
    r"|up to|above|below|between|hours?|minutes?|days?|weeks?|months?)\b"
    r"|[%°µμ]",
    re.IGNORECASE,
)
_CLINICAL = re.compile(
    r"\b(?:patient|person|people|women|woman|men|man|child|infant|neonat|pregnan|adult|famil|histor|diseas|disorder"
    r"|syndrom|symptom|sign|pain|fever|infect|cancer|tumou?r|diabet|heart|cardi|renal|kidney|liver|hepat|lung|pulmon"
    r"|blood|bone|brain|skin|muscle|nerv|gene|inherit|mutat|chromosom|protein|cell|drug|medic(?:ation|ine)|therap|treat"
    r"|surg|operat|transplant|vaccin|antibiot|steroid|insulin|aspirin|diagnos|screen|test|scan|imag|x-ray|biops|examin"
    r"|exam\b|assess|monitor|prognos|risk|benefit|harm|adverse|side effect|toxic|allerg|mortal|death|die|surviv|outcome"
    r"|trial|stud(?:y|ies)|cohort|random|placebo|significan|evidence|recommend|grade|strong|weak|conditional|consensus"
    r"|quality|certain|should|must|offer|consider|refer|indicat|prescri|manag|care\b|nurs|physician|doctor|clinic"
    r"|hospital|emergenc|admit|discharg|normal|abnormal|stable|acute|chronic|severe|mild|moderate|method|result"
    r"|conclusion|background|objective|common)",
    re.IGNORECASE,
)
# Even in a notice, what a reader is told to do or not to do with a treatment is clinical.
_DIRECTS = re.compile(
    r"\b(?:do not (?:use|take|give|stop|delay|disregard)|never|avoid|contraindicat\w*|allerg\w*|overdose|poison\w*"
    r"|warnings?|pregnan\w*|children|call (?:your|emergency)|seek|emergenc\w*|side effects?|drugs?|tablets?"
    r"|recommend\w*|should|must|monitor\w*|administer\w*|prescri\w*|stop\w*|symptoms?|therap\w*)\b",
    re.IGNORECASE,
)
_DIGIT = re.compile(r"\d")
_TABLE_OR_HEADING = re.compile(r"[ \t]*(?:\||#{1,6} )")
_MARK = re.compile(r"^[ \t]*[-*•] +")
_SENTENCE_END = re.compile(r"[.!?][\"'”’)\]]*\Z")
_SENTENCES = re.compile(r"(?<=[.!?]) +|(?<=[.!?][\"'”’)\]]) +")
_MIN_SENTENCE_WORDS = 6
_MIN_ALONE_WORDS = 2
"""Words from which a sentence inside a longer line is one, and no end of an abbreviation."""

# A line that may name somebody: its words are listed nowhere, also of an open source. Telephone numbers have digits.
_PERSON = re.compile(
    r"\S@\S|\b(?:Dr|Drs|Prof|Professor|Mr|Mrs|Ms|Miss|Sir|Dame)\b\.?\s+[^\W\d_]"
    r"|\b(?:[Rr]eviewed|[Ee]dited|[Ww]ritten|[Aa]pproved|[Uu]pdated|[Ss]igned|[Aa]uthored|[Pp]repared|[Dd]ictated|[Vv]erified)"
    r"(?: \w+)? by\b|\b(?:M\.?D|Ph\.?D|R\.?N|D\.?O|MBBS|MPH|FRCP|FACP|NP|PA-C)\b"
)


def normal_form(line: str) -> str:
    """The line in the one form under which it is counted and listed: NFC, without a bullet, spaces evened out."""
    return " ".join(unicodedata.normalize("NFC", _MARK.sub("", line)).split())


def line_hash(line: str) -> int:
    """The line's 64-bit name: that of its normal form."""
    return line_key(normal_form(line))


def removable(line: str) -> bool:
    """Whether nothing clinical can leave with the line, be it ever so frequent."""
    return bool(furniture_kind(line))


def furniture_kind(line: str) -> str:
    """`notice`, `navigation` or `publication`; empty for a line that must stay.

    The kind of a line of several sentences is that of its first; each must be of one.
    """
    # The cheap tests first: every line of a source is asked, and nearly all end here.
    if len(line) > MAX_CHARACTERS or _DIGIT.search(line) or not line.strip() or _TABLE_OR_HEADING.match(line):
        return ""
    body = _MARK.sub("", line).strip()
    # A label ("Allergies:") belongs to what follows it.
    if body.endswith((":", ",", ";", "-")) or not body[:1].isalnum():
        return ""
    if not (_NOTICE.search(body) or _NAVIGATION.search(body) or _PUBLICATION.search(body)):
        return ""
    if _DOSE.search(body) or numeric_tokens(line):
        return ""
    sentences = _SENTENCES.split(body)
    alone, marked = len(sentences) == 1, bool(_MARK.match(line))
    kinds = [_sentence_kind(sentence, alone=alone, marked=marked) for sentence in sentences]
    return kinds[0] if all(kinds) else ""


def _sentence_kind(sentence: str, *, alone: bool, marked: bool) -> str:
    if not alone and len(sentence.split()) < _MIN_ALONE_WORDS:
        return ""
    if _NOTICE.search(sentence):
        rest = _DENIALS.sub(" ", sentence)
        return "" if _NEGATION.search(rest) or _DIRECTS.search(rest) else "notice"
    if _NEGATION.search(sentence):
        return ""
    if _NAVIGATION.search(sentence):
        rest = _NAVIGATION.sub(" ", sentence)
        return "" if _CLINICAL.search(rest) or _DIRECTS.search(sentence) else "navigation"
    if marked or _CLINICAL.search(sentence):
        return ""
    # A short line without a full stop may be a heading without its mark, or an answer on a form.
    whole = _SENTENCE_END.search(sentence) and len(sentence.split()) >= _MIN_SENTENCE_WORDS
    return "publication" if whole and _PUBLICATION.search(sentence) else ""


def may_name_a_person(line: str) -> bool:
    """Whether the line holds an address, a title or a signature, so that its words are better not listed."""
    return _PERSON.search(line) is not None
