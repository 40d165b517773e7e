"""Lines that a hospital system broke at a fixed width, joined into paragraphs again.

Only a line that was full is joined, and only to a line that goes on: never to a list item, a heading `Xxx:`, a
table or laboratory row, or an indented line. No character but line ends and the white space around them changes.
"""

from __future__ import annotations

import re

_NARROWEST_WRAP = 65
"""MIMIC-IV notes wrap at 70-80 characters, MIMIC-CXR at 79; a line that had room for the next word was not wrapped."""

_ITEM = re.compile(r"\s*(?:[-*\u2022\u00b7+>#=]|\(?\d{1,2}[.)](?!\d)|\(?[A-Za-z][.)]\s|\[\s?[xX ]?\s?\]|_{4,})")
_HEADING = re.compile(r"\s*[A-Z][A-Za-z0-9 /&,()'.-]{0,48}:(?:\s|$)")
_SHOUTED = re.compile(r"\s*[A-Z][A-Z /&,()'-]{3,}:?\s*$")
_COLUMNS = re.compile(r"\S\s{3,}\S|\t|\|")
_RESULT = re.compile(r"[A-Za-z)%\]][-=:]\s?[<>]?\d+(?:\.\d+)?")
_TIMED = re.compile(r"\b\d{1,2}:\d{2}\s?[AaPp][Mm]\b")
_SPACES = re.compile(r"[ \t]+$", re.M)
_BLANKS = re.compile(r"\n{3,}")


def unwrap(text: str) -> str:
    """`text` with wrapped lines joined, line ends as `\\n`, no more than one blank line in a row."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    written: list[str] = []
    open_line: str | None = None
    previous = ""
    for line in lines:
        line = line.rstrip()
        if open_line is not None and _continues(previous, line):
            open_line = f"{open_line} {line.lstrip()}"
        else:
            if open_line is not None:
                written.append(open_line)
            open_line = line
        previous = line
    if open_line is not None:
        written.append(open_line)
    joined = "\n".join(line[1:] if line[:1] == " " and line[1:2] != " " else line for line in written)
    return _BLANKS.sub("\n\n", _SPACES.sub("", joined)).strip("\n")


def _continues(line: str, following: str) -> bool:
    """Whether `following` goes on where `line` was broken for want of room."""
    if not line.strip() or not following.strip():
        return False
    word = following.split(None, 1)[0]
    if len(line) + 1 + len(word) <= _NARROWEST_WRAP or line.endswith(":"):
        return False
    if _ITEM.match(following) or _HEADING.match(following) or _SHOUTED.match(following) or _SHOUTED.match(line):
        return False
    if _row(line) or _row(following):
        return False
    return _indent(following) <= max(_indent(line), 1) or bool(_ITEM.match(line))


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _row(line: str) -> bool:
    """A row of a table or of laboratory results."""
    if _COLUMNS.search(line.strip()):
        return True
    results = len(_RESULT.findall(line))
    return results >= 3 or (results >= 1 and _TIMED.search(line) is not None)
