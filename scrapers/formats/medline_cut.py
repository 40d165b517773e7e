"""A MEDLINE file cut into its records before any is parsed, so that a broken one costs itself alone.

Tags are looked for in the bytes, outside comments, CDATA sections and processing instructions. What stands before the
first record (declaration, DOCTYPE, root) is parsed once, for its safety, and kept for the records that need it. One
record is held at a time. The encoding must have ASCII's characters in ASCII's bytes, as UTF-8 has.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, NamedTuple

from scrapers.formats import xml_safe
from scrapers.formats.errors import Unreadable
from scrapers.formats.xml_pieces import MAX_ELEMENT_BYTES, MAX_HEAD_BYTES

ROOT = "PubmedArticleSet"
RECORDS = ("PubmedArticle", "PubmedBookArticle", "DeleteCitation")
"""What stands below the root; a file may also consist of one of them alone."""
_READ = 1 << 18
_TOLD_BYTES = 1 << 16
_START = re.compile(rb"<(PubmedArticle|PubmedBookArticle|DeleteCitation)(?=[\s/>])")
_OVERLAP = 32
"""More than the longest of these start tags takes."""
_EMPTY_TAG = re.compile(rb"<\w+(?:\s[^<>]*)?/>")
_END = re.compile(rb"\s*>")
_ROOT_TAG = re.compile(rb"<PubmedArticleSet(?:\s[^<>]*)?>\s*$")
_ROOT_END = re.compile(rb"</PubmedArticleSet\s*>")
_NO_ELEMENT = re.compile(rb"<!--.*?-->|<\?.*?\?>", re.DOTALL)
# Files laid end to end repeat their heads between two records.
_NO_RECORD = re.compile(
    rb"(?:\s+|<!--.*?-->|<\?.*?\?>|<!DOCTYPE\s[^<>\[]*>|</?PubmedArticleSet(?:\s[^<>]*)?>|\xef\xbb\xbf)*", re.DOTALL
)
_ENCODING = re.compile(rb"""<\?xml\s[^>]*?encoding\s*=\s*["']([\w.-]+)""")
_MARKED_ENDS = {b"<!--": b"-->", b"<![CDATA[": b"]]>", b"<?": b"?>"}
_MARKED = re.compile(rb"<!--|<!\[CDATA\[|<\?")


@dataclass(frozen=True, slots=True)
class Head:
    """What stands before the first record; `before` and `after` around one make it a document of its own."""

    before: bytes
    after: bytes
    needed: bool
    """The declared encoding is not UTF-8: no record can do without."""


class Cut(NamedTuple):
    """One record, or why there is none."""

    name: str
    """One of `RECORDS`; empty for bytes between records that are none."""
    data: bytes
    """If refused, what there is of it, at most 64 KiB."""
    head: Head
    marked: bool = False
    """It holds comments, CDATA sections or processing instructions: bytes that look like tags may be none."""
    refused: Unreadable | None = None


def cuts(stream: IO[bytes], *, max_bytes: int = MAX_ELEMENT_BYTES) -> Iterator[Cut]:
    """Every record of the uncompressed `stream`.

    Unreadable before the first if the file is no MEDLINE or unsafe, and after the last if the stream is damaged or
    ends early.
    """
    return _Scan(stream, max_bytes).cuts()


class _Scan:
    def __init__(self, stream: IO[bytes], max_bytes: int) -> None:
        # `read` of a buffered stream loses what it has already when it meets damage; `read1` gives it first.
        self._read = getattr(stream, "read1", stream.read)
        self._max_bytes = max_bytes
        self._buffer = bytearray()
        self._at = 0
        """What comes before is done with."""
        self._damaged = self._ended = False

    def cuts(self) -> Iterator[Cut]:
        head: Head | None = None
        while opened := self._start(MAX_HEAD_BYTES if head is None else self._max_bytes):
            start, name = opened.start(), opened[1]
            if head is None:
                head = _head(bytes(self._buffer[:start]))
            else:
                yield from self._between(start, head)
            self._at = start
            yield self._record(name, opened.end(), head)
            if self._at > _READ:
                del self._buffer[: self._at]
                self._at = 0
        if head is None:
            if len(self._buffer) > MAX_HEAD_BYTES:
                raise Unreadable("extract.not_a_document", "No record of MEDLINE in its first megabyte.")
            self._check_without_records()
            return
        yield from self._between(len(self._buffer), head)
        if self._damaged or not (self._ended or not head.after):
            told = "is damaged or cut short" if self._damaged else f"ends before </{ROOT}>"
            raise Unreadable("extract.corrupt", f"The file {told}.")

    def _start(self, most: int) -> re.Match[bytes] | None:
        """The next start tag of a record; None if the stream, or `most` bytes, have none."""
        at = self._at
        while True:
            found = _START.search(self._buffer, at)
            if found:
                comment = self._buffer.rfind(b"<!--", self._at, found.start())
                if comment < 0 or self._buffer.find(b"-->", comment, found.start()) >= 0:
                    return found
                at = self._find(b"-->", found.end())
                if at < 0:
                    return None
                continue
            at = max(at, len(self._buffer) - _OVERLAP)
            if len(self._buffer) - self._at > most or not self._more():
                return None

    def _record(self, name: bytes, at: int, head: Head) -> Cut:
        """The record whose start tag stands at `self._at`; what follows it is next."""
        start, named = self._at, name.decode()
        if self._buffer[at : at + 1] != b">" and (whole := _EMPTY_TAG.match(self._buffer, start)):
            self._at = whole.end()
            return Cut(named, whole[0], head)
        close = b"</" + name
        found = self._find(close, at)
        if found < 0:
            again = _START.search(self._buffer, at)
            if again:
                return self._refused(named, again.start(), head, "extract.corrupt", "The next begins before it ends.")
            if len(self._buffer) - start > self._max_bytes:
                detail = f"A record of more than {self._max_bytes} bytes."
                return self._refused(named, len(self._buffer), head, "extract.too_large", detail)
            detail = f"The file {'is damaged or cut short' if self._damaged else 'ends'} inside this record."
            return self._refused(named, len(self._buffer), head, "extract.corrupt", detail)
        again_at = self._buffer.find(b"<" + name, at, found)
        # One character is found ten times as fast as a pattern, and neither is common.
        buffer = self._buffer
        marked = (buffer.find(b"!", at, found) >= 0 or buffer.find(b"?", at, found) >= 0) and bool(
            _MARKED.search(buffer, at, found)
        )
        if marked:
            found, again_at = self._unmarked(close, at), -1
        self._find(b">", found)
        ended = _END.match(self._buffer, found + len(close)) if found >= 0 else None
        if again_at >= 0 or not ended:
            end = again_at if again_at >= 0 else max(found, at)
            return self._refused(named, end, head, "extract.corrupt", "The next begins before it ends.")
        self._at = ended.end()
        return Cut(named, bytes(self._buffer[start : self._at]), head, marked)

    def _unmarked(self, close: bytes, at: int) -> int:
        """Where `close` stands outside comments, CDATA sections and processing instructions; -1 if nowhere."""
        while (found := self._find(close, at)) >= 0:
            marked = _MARKED.search(self._buffer, at, found)
            if not marked:
                break
            end = _MARKED_ENDS[marked[0]]
            at = self._find(end, marked.end()) + len(end)
            if at < len(end):
                return -1
        return found

    def _refused(self, name: str, end: int, head: Head, reason: str, detail: str) -> Cut:
        start, self._at = self._at, end
        data = bytes(self._buffer[start : min(end, start + _TOLD_BYTES)])
        return Cut(name, data, head, refused=Unreadable(reason, detail))

    def _between(self, end: int, head: Head) -> Iterator[Cut]:
        """What stands from here to `end` between two records, if it is more than white space and comments."""
        data = bytes(self._buffer[self._at : end])
        if not data or data.isspace():
            return
        self._ended = self._ended or bool(_ROOT_END.search(data))
        if not _NO_RECORD.fullmatch(data):
            refused = Unreadable("extract.corrupt", "Bytes between two records that are none.")
            yield Cut("", data[:_TOLD_BYTES], head, refused=refused)

    def _find(self, wanted: bytes, at: int) -> int:
        """Where `wanted` stands from `at` on; -1 if the stream ends, or a record would be too large, before."""
        while (found := self._buffer.find(wanted, at)) < 0:
            at = max(at, len(self._buffer) - len(wanted) + 1)
            if len(self._buffer) - self._at > self._max_bytes or not self._more():
                break
        return found

    def _more(self) -> bool:
        try:
            data: bytes = self._read(_READ)
        except (EOFError, OSError, ValueError):
            self._damaged = True
            return False
        self._buffer += data
        return bool(data)

    def _check_without_records(self) -> None:
        if self._damaged:
            raise Unreadable("extract.corrupt", "The compressed stream is damaged before the first record.")
        if bytes(self._buffer[:2]) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            raise Unreadable("extract.not_a_document", "The file is UTF-16; it is read as UTF-8 only.")
        if xml_safe.parse(bytes(self._buffer)).tag != ROOT:
            raise Unreadable("extract.not_a_document", f"The root element is not {ROOT}.")


def _head(data: bytes) -> Head:
    encoding = _ENCODING.search(data)
    needed = bool(encoding) and encoding[1].lower() not in (b"utf-8", b"us-ascii") if encoding else False
    if _ROOT_TAG.search(_NO_ELEMENT.sub(b"", data)):
        head = Head(data, f"</{ROOT}>".encode(), needed)
        xml_safe.parse(data + head.after)
        return head
    # A record alone may be the whole file; an element of another name is another format.
    if xml_safe.parse(data + f"<{ROOT}/>".encode()).tag != ROOT:
        raise Unreadable("extract.not_a_document", f"The root element is not {ROOT}.")
    return Head(data, b"", needed)
