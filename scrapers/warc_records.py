"""WARC 1.1 records (ISO 28500:2017) written and read with warcio, each a gzip member of its own.

https://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/

warcio makes and parses the records; only the compression around them is igzip's instead of zlib's at its highest
level, which over millions of captures would cost more than everything else together.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from typing import IO, Any
from urllib.parse import quote, urlsplit, urlunsplit

from isal import igzip_lib, isal_zlib

from scrapers.answers import Response

NOT_MODIFIED = "http://netpreserve.org/warc/1.1/revisit/server-not-modified"
"""Profile of a revisit record (6.7.3): the publisher said 304, the payload is the one captured earlier."""
COMPRESSION = 2
"""Level of igzip. At 3 a page takes twice as long and is hardly smaller; zlib at 6 takes six times as long."""
PIECE_BYTES = 1 << 16
_GZIP = 31  # zlib's window bits for a gzip member
_DAMAGED: Any = igzip_lib.IsalError  # its stub calls the class an instance
_KNOWN = frozenset(int(status) for status in HTTPStatus)

Headers = Iterable[tuple[str, str]]


class NoRecord(Exception):
    """No whole record where one was expected."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record as read back."""

    kind: str
    http_headers: Any
    """warcio's `StatusAndHeaders` of a response; None where there are none."""
    payload: bytes
    date: str = ""
    """When it was captured: ISO 8601, UTC."""


def write_response(stream: IO[bytes], exchange: Response) -> str:
    """Append what came: status line, headers, payload. Returns the record's id."""
    more = {"WARC-Payload-Digest": f"sha256:{hashlib.sha256(exchange.body).hexdigest()}"}
    return _write(stream, "response", exchange.url, exchange.retrieved, more, http=_head(exchange), body=exchange.body)


def write_not_modified(stream: IO[bytes], exchange: Response, *, earlier_url: str, earlier: str, sha256: str) -> str:
    """Append that a publisher answered 304: the payload is the one with this `sha256`, retrieved at `earlier`."""
    more = {
        "WARC-Profile": NOT_MODIFIED,
        "WARC-Refers-To-Target-URI": _uri(earlier_url),
        **({"WARC-Refers-To-Date": earlier} if earlier else {}),
        "WARC-Payload-Digest": f"sha256:{sha256}",
    }
    return _write(stream, "revisit", exchange.url, exchange.retrieved, more, http=_head(exchange))


def write_request(stream: IO[bytes], exchange: Response, response_id: str) -> None:
    """Append what was asked to get the response of this id."""
    parts = urlsplit(exchange.url)
    path = _uri(urlunsplit(("", "", parts.path or "/", parts.query, "")))
    asked = _headers_of(f"GET {path} HTTP/1.1", exchange.request_headers.items(), is_request=True)
    _write(stream, "request", exchange.url, exchange.retrieved, {"WARC-Concurrent-To": response_id}, http=asked)


def write_resource(stream: IO[bytes], url: str, body: bytes, date: str) -> None:
    """Append content that was made here of other captures, without a protocol exchange (6.4)."""
    more = {
        "WARC-Payload-Digest": f"sha256:{hashlib.sha256(body).hexdigest()}",
        "Content-Type": "application/octet-stream",
    }
    _write(stream, "resource", url, date, more, body=body)


def write_info(stream: IO[bytes], name: str, fields: Mapping[str, str], date: str) -> None:
    """Append the record that says what made the segment `name` (6.2)."""
    lines = "".join(f"{field}: {' '.join(text.split())}\r\n" for field, text in fields.items())
    _write(stream, "warcinfo", "", date, {"WARC-Filename": name}, body=lines.encode())


def read_record(stream: IO[bytes]) -> Record:
    """The record that starts where `stream` stands; NoRecord if there is no whole one."""
    from warcio.exceptions import ArchiveLoadFailed

    plain = io.BytesIO(_member(stream))
    try:
        record = _loader().parse_record_stream(plain, known_format="warc")
        # The body as stored: `content_stream` would undo an encoding that is no longer there.
        date = str(record.rec_headers.get_header("WARC-Date") or "")
        return Record(record.rec_type, record.http_headers, record.raw_stream.read(), date)
    except (ArchiveLoadFailed, EOFError):
        raise NoRecord from None


def http_header(record: Record, name: str) -> str:
    """The header `name` of a response record, empty if it has none."""
    return str(record.http_headers.get_header(name, "")) if record.http_headers else ""


@cache
def _loader() -> Any:
    from warcio.recordloader import ArcWarcRecordLoader

    return ArcWarcRecordLoader(verify_http=False)


@cache
def _writer_class() -> Any:
    """warcio's writer of plain records with sha256 digests; imported late, because reading needs none of it."""
    from warcio.utils import Digester
    from warcio.warcwriter import WARCWriter

    class Writer(WARCWriter):  # type: ignore[misc]
        @staticmethod
        def _create_digester() -> Any:
            return Digester("sha256")

    return Writer


def _write(
    stream: IO[bytes],
    kind: str,
    url: str,
    date: str,
    more: Mapping[str, str],
    *,
    http: Any = None,
    body: bytes = b"",
) -> str:
    plain = io.BytesIO()
    writer = _writer_class()(plain, gzip=False, warc_version="1.1")
    record = writer.create_warc_record(
        _uri(url),
        kind,
        payload=io.BytesIO(body) if body else None,
        length=len(body),
        warc_headers_dict={"WARC-Date": date, **more},
        # Without HTTP headers of its own warcio would look for some at the start of the payload.
        http_headers=http,
    )
    writer.write_record(record)
    pack = isal_zlib.compressobj(COMPRESSION, isal_zlib.DEFLATED, _GZIP)
    stream.write(pack.compress(plain.getvalue()) + pack.flush())
    return str(record.rec_headers.get_header("WARC-Record-ID"))


def _member(stream: IO[bytes]) -> bytes:
    unpack = isal_zlib.decompressobj(_GZIP)
    pieces = []
    try:
        while not unpack.eof:
            piece = stream.read(PIECE_BYTES)
            if not piece:
                raise NoRecord
            pieces.append(unpack.decompress(piece))
    except _DAMAGED:
        raise NoRecord from None
    return b"".join(pieces)


def _head(exchange: Response) -> Any:
    reason = HTTPStatus(exchange.status).phrase if exchange.status in _KNOWN else ""
    # Headers that are true of the stored body, which is neither chunked nor compressed any more.
    changed = ("content-encoding", "transfer-encoding", "content-length")
    headers = [(f"x-archive-orig-{name}" if name in changed else name, text) for name, text in exchange.headers.items()]
    return _headers_of(f"{exchange.status} {reason}".rstrip(), [*headers, ("content-length", str(len(exchange.body)))])


def _headers_of(line: str, headers: Headers, *, is_request: bool = False) -> Any:
    from warcio.statusandheaders import StatusAndHeaders

    # A header may be folded over lines; unfolded it says the same, and no line of its own can be smuggled in.
    plain = [(name, " ".join(text.split()).encode("latin-1", "replace").decode("latin-1")) for name, text in headers]
    return StatusAndHeaders(line, plain, protocol="" if is_request else "HTTP/1.1", is_http_request=is_request)


def _uri(url: str) -> str:
    """`url` without what may not stand in a header line."""
    return url if url.isprintable() and " " not in url else quote(url, safe="%/:?#[]@!$&'()*+,;=~")
