"""Lines that a hospital system broke at a fixed width, joined into paragraphs again.

Only a line that was full is joined, and only to a line that goes on: never to a list item, a heading `Xxx:`, a
prescription, vital signs, a table or laboratory row, or an indented line. A placeholder `[** … **]` that was broken is
whole again wherever it stands, and so is a number: `03/` and `14/2019` are one date. No character but line ends and
the white space around them changes.
"""

from __future__ import annotations

import re

_NARROWEST_WRAP = 65
"""MIMIC-IV notes wrap at 70-80 characters, MIMIC-CXR at 79; a line that had room for the next word was not wrapped."""

_BULLETS = "-*\u2022\u00b7+>#=\u2013\u2014\u2023\u25aa\u25cf\u25cb\u25e6\u2192\uf0b7~"
_BULLETS += (
    "\u2043\u2219\u25a0\u25a1\u25b8\u25ba\u25c6\u25c7\u2610\u2611\u2612\u2713\u2714\u2717\u2718\u2756\u27a2\u27a4"
)
_BULLETS += "\uf0a7\uf0d8\uf0fc"
_ITEM = re.compile(
    rf"\s*(?:[{re.escape(_BULLETS)}]|\(?\d{{1,2}}[.)](?!\d)|\(?[A-Za-z][.)]\s|\(?[IVXivx]{{1,5}}[.)]\s"
    r"|o\s|\[\s?[xX ]?\s?\]|_{4,})"
)
# What Boston's systems print below a drug.
_PRESCRIPTION = re.compile(r"\s*(?:(?:Sig|Disp|Refills?|Qty)\s?:|RX\s?\*|#\*?\d)", re.IGNORECASE)
_VITALS = re.compile(
    r"\s*(?:VS\b|Vitals?\b|(?:T|T[cm]|Tmax|Temp|BP|SBP|DBP|MAP|HR|P|Pulse|RR|R|SpO2|O2(?: ?sats?)?|Sats?|Wt|Weight|Ht"
    r"|BMI|FSBG|FSG|I/?O|GCS)[ :=]+[<>~]?\d)"
)
# A drug and its dose open a line of a list that has no marks; two such lines are two drugs.
_DRUG = re.compile(
    r"\s*[A-Za-z][\w-]+(?: [A-Za-z(][\w()/-]*){0,3} [<>~]?\d[\d.,/-]*\s?"
    r"(?:mg|mcg|ug|\u00b5g|\u03bcg|g|gm|mL|ml|cc|units?|mEq|meq|mmol|IU|%|puffs?|tab(?:let)?s?|cap(?:sule)?s?|drops?)(?![A-Za-z])"
)
_OPENED = re.compile(r"\[\*\*(?:(?!\*\*\]).)*\Z")
_CLOSES = re.compile(r"(?:(?!\[\*\*).)*?\*\*\]")
_NUMERIC = re.compile(r"[<>~]?[-+]?\d[\d.,/%*()HL-]*|[-/|*]+|_{3}")
_HEADING = re.compile(r"\s*[A-Z][A-Za-z0-9 /&,()'.-]{0,48}:(?:\s|$)")
_SHOUTED = re.compile(r"\s*[A-Z][A-Z /&,()'-]{3,}:?\s*$")
_COLUMNS = re.compile(r"\S\s{3,}\S|\t|\|")
_RESULT = re.compile(r"[A-Za-z)%\]][-=:]\s?[<>]?\d+(?:\.\d+)?")
_TIMED = re.compile(r"\b\d{1,2}:\d{2}\s?[AaPp][Mm]\b")
_INSIDE = re.compile(r"\d[-/]\Z|[\w.]@\Z")
_SPACES = re.compile(r"[ \t]+$", re.M)
_BLANKS = re.compile(r"\n{3,}")


def unwrap(text: str) -> str:
    """`text` with wrapped lines joined, line ends as `\\n`, no more than one blank line in a row."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    open_lines: list[list[str]] = []
    previous = ""
    for line in lines:
        line = line.rstrip()
        if open_lines and _continues(previous, line):
            part = line.lstrip()
            # A space there would hide a date or an address from whoever looks for one.
            inside = _INSIDE.search(previous) is not None and part[:1].isalnum()
            if inside and (previous[-1] == "@" or part[0].isdecimal()):
                part = open_lines[-1].pop() + part
            open_lines[-1].append(part)
        else:
            open_lines.append([line])
        previous = line
    written = [" ".join(parts) for parts in open_lines]
    joined = "\n".join(line[1:] if line[:1] == " " and line[1:2] != " " else line for line in written)
    return _BLANKS.sub("\n\n", _SPACES.sub("", joined)).strip("\n")


def _continues(line: str, following: str) -> bool:
    """Whether `following` goes on where `line` was broken for want of room."""
    if not line.strip() or not following.strip():
        return False
    if _OPENED.search(line) and _CLOSES.match(following):
        return True
    word = following.split(None, 1)[0]
    if len(line) + 1 + len(word) <= _NARROWEST_WRAP or line.endswith(":"):
        return False
    if _ITEM.match(following) or _HEADING.match(following) or _SHOUTED.match(following) or _SHOUTED.match(line):
        return False
    if _row(line) or _row(following) or _PRESCRIPTION.match(following) or _VITALS.match(following):
        return False
    if _DRUG.match(line) and _DRUG.match(following):
        return False
    return _indent(following) <= max(_indent(line), 1) or bool(_ITEM.match(line))


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _row(line: str) -> bool:
    """A row of a table or of laboratory results."""
    if _COLUMNS.search(line.strip()):
        return True
    words = line.split()
    if len(words) >= 4 and sum(1 for word in words if _NUMERIC.fullmatch(word)) * 4 >= len(words) * 3:
        return True
    results = len(_RESULT.findall(line))
    return results >= 3 or (results >= 1 and _TIMED.search(line) is not None)
