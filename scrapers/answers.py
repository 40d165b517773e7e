"""One answer as it comes in: read whole or not at all, checked for length and kind, under its public address."""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import IO
from urllib.parse import urljoin, urlsplit, urlunsplit

import requests

from scrapers import sniff
from scrapers.http_errors import FetchError, Forbidden, Gone, RedirectRefused, Rejected, TooLarge, WrongContent
from scrapers.pacing import retry_after_seconds

PIECE_BYTES = 1 << 14
"""What is lost of a body when the connection breaks: a piece is handed on only when it is full."""
_REDIRECTS = (301, 302, 303, 307, 308)
_TRY_AGAIN = (408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524)
"""The 52x are a cache that cannot reach its publisher."""

Now = Callable[[], datetime.datetime]


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer, under its public address."""

    status: int
    """2xx, or 304 after a conditional request."""
    url: str
    """Where the body came from, after redirects."""
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    """Without transfer or content encoding: the payload."""
    sha256: str
    """Of the payload, 64 hex."""
    request_headers: Mapping[str, str] = field(default_factory=dict)
    retrieved: str = ""
    """UTC, `2026-01-31T12:00:00Z`."""


class TryAgain(Exception):
    """This try failed in a way that the next may not; never leaves the client."""

    def __init__(
        self,
        what: str,
        *,
        status: int = 0,
        wait_seconds: float | None = None,
        truncated: bool = False,
        wrong: bool = False,
    ) -> None:
        super().__init__(what)
        self.what, self.status, self.wait_seconds = what, status, wait_seconds
        self.truncated, self.wrong = truncated, wrong


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer whose body is still to be read."""

    raw: requests.Response
    url: str
    """The public address that was asked."""
    sent: Mapping[str, str]
    """Request headers, as the publisher would see them."""
    now: Now

    def __enter__(self) -> Answer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.raw.close()

    @property
    def status(self) -> int:
        return self.raw.status_code

    @property
    def redirect(self) -> str:
        """Where it points, as written; empty if it is no redirect."""
        return str(self.raw.headers.get("location", "")) if self.status in _REDIRECTS else ""

    def pieces(self, limit: int, *, cut: bool = False) -> Iterator[bytes]:
        """The body; TooLarge beyond `limit` bytes, or with `cut` just the first `limit`."""
        stated = self.raw.headers.get("content-length", "")
        if not cut and stated.isdecimal() and int(stated) > limit:
            raise self._too_large(int(stated), limit)
        n_bytes = 0
        try:
            for piece in self.raw.iter_content(PIECE_BYTES):
                n_bytes += len(piece)
                if n_bytes > limit:
                    if cut:
                        yield piece[: len(piece) - (n_bytes - limit)]
                        return
                    raise self._too_large(n_bytes, limit)
                yield piece
        except (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError):
            what = f"the body ended before its {stated} bytes" if stated else "the body is damaged or cut short"
            raise TryAgain(what, status=self.status, truncated=True) from None
        except requests.exceptions.ConnectionError:
            raise TryAgain("the connection broke inside the body", status=self.status, truncated=True) from None

    def body(self, limit: int, *, expect: str = "") -> bytes:
        """The whole body; WrongContent if it is not what `expect` names, or a page that keeps programs out."""
        body = b"".join(self.pieces(limit))
        kind = sniff.kind_of(body)
        title = sniff.challenge(body) if kind == "html" else ""
        if title or not sniff.fits(body, expect):
            came = "a page that keeps programs out" if title else f"{kind} of {len(body)} bytes"
            titled = f" titled {(title or sniff.title_of(body))!r}" if kind == "html" else ""
            raise WrongContent(
                f"asked for {expect or 'a file'}, got {came}{titled} with HTTP {self.status}.",
                url=self.url,
                status=self.status,
                why="Taken as it is, an error page would become a document.",
            )
        return body

    def copy(self, stream: IO[bytes], limit: int, progress: Callable[[int], None]) -> None:
        """Append the body to `stream`, which may not grow beyond `limit` bytes."""
        start = stream.tell()
        for piece in self.pieces(limit - start):
            stream.write(piece)
            progress(stream.tell())

    def response(self, body: bytes) -> Response:
        """The whole answer with `body`."""
        headers = {name.lower(): value for name, value in self.raw.headers.items()}
        retrieved = self.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        return Response(self.status, self.url, headers, body, hashlib.sha256(body).hexdigest(), self.sent, retrieved)

    def failure(self) -> FetchError | TryAgain:
        """What an answer that is neither 2xx nor 304 nor a redirect means."""
        status = self.status
        if status in _TRY_AGAIN:
            wait = retry_after_seconds(self.raw.headers.get("retry-after", ""), now=self.now())
            return TryAgain(f"HTTP {status}", status=status, wait_seconds=wait)
        if status in (404, 410):
            return Gone(f"HTTP {status}: not there.", url=self.url, status=status)
        if status in (401, 403, 451):
            return Forbidden(
                f"HTTP {status}: the publisher refuses.",
                url=self.url,
                status=status,
                why="It wants credentials, or keeps programs out.",
            )
        return Rejected(f"HTTP {status}.", url=self.url, status=status)

    def _too_large(self, n_bytes: int, limit: int) -> TooLarge:
        return TooLarge(f"{n_bytes} bytes or more, the limit is {limit}.", url=self.url, status=self.status)


def host_of(url: str) -> str:
    """Host and port of `url` as written in it, lower case."""
    return urlsplit(url).netloc.rpartition("@")[2].lower()


def is_address(host: str) -> bool:
    """True if `host` is an IP address instead of a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def redirected(url: str, location: str, allowed: Collection[str]) -> str:
    """Where `location` leads from `url`; RedirectRefused if that is no web address on one of the `allowed` hosts."""
    target = urlsplit(urljoin(url, location))
    if target.scheme not in ("http", "https") or host_of(target.geturl()) not in allowed:
        raise RedirectRefused(
            f"redirects to {target.scheme}://{target.netloc}, which is not among {', '.join(sorted(allowed))}.",
            url=url,
            why="A document must come from its publisher.",
            fix="If the publisher has moved, add the host to the loader's hosts and to the source's card.",
        )
    # A publisher reached in private does not send us back to plain http.
    scheme = "https" if url.startswith("https:") else target.scheme
    return urlunsplit((scheme, target.netloc, target.path or "/", target.query, ""))


def conditions(headers: Mapping[str, str]) -> dict[str, str]:
    """Request headers that ask for a body only if it differs from the answer whose `headers` these are."""
    wanted = {"etag": "If-None-Match", "last-modified": "If-Modified-Since"}
    return {name: headers[key] for key, name in wanted.items() if headers.get(key)}
