"""The polite client: one way to ask a publisher for something.

It says who it is and whom to write to, obeys robots.txt and its crawl delay, waits between requests to a host,
honours Retry-After, backs off and gives up, follows redirects only to hosts the loader expects, connects to public
addresses only, and hands back whole bodies: a body cut short is asked for again. What it cannot do is one of the
errors of `scrapers.http_errors`.

`routes` maps a public host (or `*`) to "address:port", as `curl --connect-to` does, spoken to in plain http: the
sample world and a site's mirror are reached so. Addresses, robots.txt, redirects and captures keep the public names.
"""

from __future__ import annotations

import datetime
import hashlib
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from http.cookiejar import DefaultCookiePolicy
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit

import requests
from requests.adapters import HTTPAdapter

from manifests.errors import RecipeError
from scrapers import addresses
from scrapers.answers import Answer, Now, Response, TryAgain, conditions, host_of, is_address, redirected
from scrapers.http_errors import (
    AddressRefused,
    FetchError,
    GaveUp,
    RedirectRefused,
    Rejected,
    RobotsRefused,
    Truncated,
    WrongChecksum,
)
from scrapers.pacing import MAX_RETRY_AFTER_SECONDS, Clock, Pace, Sleep, backoff_seconds
from scrapers.resume import Partial
from scrapers.robots import MAX_BYTES as ROBOTS_BYTES
from scrapers.robots import Robots

__all__ = ["Client", "Response"]

AGENT = "medtrove"
MAX_BYTES = 256 * 1024 * 1024
"""Of one body held in memory; bulk files are downloaded to disk instead."""
MAX_DOWNLOAD_BYTES = 64 * 1024**3
MAX_REDIRECTS = 5

_Result = TypeVar("_Result")


class Client:
    """One polite client; threads may share it."""

    def __init__(
        self,
        contact: str,
        routes: Mapping[str, str] | None = None,
        delay_seconds: float = 1.0,
        timeout_seconds: tuple[float, float] = (10.0, 60.0),
        max_bytes: int = MAX_BYTES,
        max_tries: int = 5,
        allow_loopback: bool = False,  # noqa: FBT001
        concurrency: int = 1,
        *,
        clock: Clock = time.monotonic,
        sleep: Sleep = time.sleep,
        now: Now = lambda: datetime.datetime.now(datetime.UTC),
    ) -> None:
        if not contact.strip() or not contact.isprintable():
            raise RecipeError(
                f"the contact is {contact!r}.",
                where="[network] contact",
                why="Publishers must be able to write to whoever fetches from them.",
                fix='Write contact = "you@your-institution.org".',
            )
        self.concurrency, self.max_tries = concurrency, max_tries
        self.user_agent = f"{AGENT}/{_version()} (+{contact.strip()})"
        self._routes, self._timeout, self._max_bytes = dict(routes or {}), timeout_seconds, max_bytes
        self._delay_seconds, self._now = delay_seconds, now
        self._allow_loopback = allow_loopback
        self._pace = Pace(delay_seconds=delay_seconds, clock=clock, sleep=sleep)
        self._robots: dict[str, Robots | FetchError] = {}
        self._robots_lock = threading.Lock()
        guard = HTTPAdapter if allow_loopback else addresses.PublicOnly
        self._public = _session(guard(pool_maxsize=max(10, concurrency)), use_proxies=True)
        self._routed = _session(HTTPAdapter(pool_maxsize=max(10, concurrency)), use_proxies=False)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._public.close()
        self._routed.close()

    def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        allowed_hosts: Collection[str] = (),
        max_bytes: int | None = None,
        conditional: Mapping[str, str] | None = None,
        expect: str = "",
        expect_md5: str = "",
    ) -> Response:
        """The whole answer for `url`; a `FetchError` unless it is a 2xx, or a 304 to `conditional`.

        `conditional`: headers of an earlier answer, of which `etag` and `last-modified` are used. `expect` is one of
        `html json xml pdf gzip`: anything else, and a challenge page whatever is expected, is `WrongContent`. A body
        whose MD5 is not `expect_md5` (32 hex) is asked for again, then `WrongChecksum`.
        """
        limit = self._max_bytes if max_bytes is None else max_bytes
        asked = {**conditions(conditional or {}), **(headers or {})}

        def once() -> Response:
            with self._open(url, asked, allowed_hosts) as answer:
                if answer.status == 304:
                    return answer.response(b"")
                body = answer.body(limit, expect=expect)
                _check_md5(hashlib.md5(body, usedforsecurity=False).hexdigest(), expect_md5, answer)
                return answer.response(body)

        return self._insist(url, once)

    def download(
        self,
        url: str,
        target: Path,
        *,
        allowed_hosts: Collection[str] = (),
        max_bytes: int = MAX_DOWNLOAD_BYTES,
        expect_md5: str = "",
        mode: int | None = None,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Response:
        """Fetch `url` into the file `target`, going on by Range where an earlier try, or process, stopped.

        The bytes gather in `<target>.partial`, which takes its name when whole and, if given, of MD5 `expect_md5`
        (`WrongChecksum` after all tries). The answer's `body` is empty, its `sha256` that of the file.
        """
        partial = Partial(target, mode=mode)

        def once() -> Response:
            asked = {"Accept-Encoding": "identity", **partial.range_headers()}
            try:
                opened = self._open(url, asked, allowed_hosts)
            except Rejected as error:
                if error.status != 416:
                    raise
                partial.discard()
                raise TryAgain("the file changed while it was fetched", status=416, wait_seconds=0.0) from None
            with opened as answer:
                response = answer.response(b"")
                with partial.appending(status=answer.status, headers=response.headers) as stream:
                    answer.copy(stream, max_bytes, progress)
            sha256, md5 = partial.digests()
            try:
                _check_md5(md5, expect_md5, answer)
            except TryAgain:
                partial.discard()
                raise
            partial.finish()
            return replace(response, status=200, sha256=sha256)

        return self._insist(url, once)

    def _insist(self, url: str, once: Callable[[], _Result]) -> _Result:
        """`once` until it gives a result or has had all its tries."""
        tries = 0
        while True:
            tries += 1
            try:
                return once()
            except TryAgain as failure:
                wait = failure.wait_seconds
                if tries >= self.max_tries or (wait or 0.0) > MAX_RETRY_AFTER_SECONDS:
                    raise _given_up(failure, url, tries) from None
                if wait is None:
                    wait = backoff_seconds(tries, delay_seconds=self._delay_seconds)
                self._pace.hold(host_of(url), wait)

    def _open(self, url: str, headers: Mapping[str, str], allowed_hosts: Collection[str]) -> Answer:
        """The open 2xx or 304 answer that `url` leads to."""
        allowed = {host_of(url), *allowed_hosts}
        seen: list[str] = []
        while True:
            robots = self._robots_of(url)
            if not robots.allows(url):
                raise RobotsRefused(
                    "robots.txt asks programs not to fetch this.",
                    url=url,
                    why="The publisher's wish is obeyed; the item is left out and counted.",
                )
            answer = self._send(url, headers, crawl_delay_seconds=robots.crawl_delay_seconds)
            seen.append(url)
            if not answer.redirect:
                break
            with answer:
                url = redirected(url, answer.redirect, allowed)
            if url in seen or len(seen) > MAX_REDIRECTS:
                raise RedirectRefused(f"redirects in circles: {' -> '.join([*seen, url])}.", url=seen[0])
        if 200 <= answer.status < 300 or answer.status == 304:
            return answer
        with answer:
            raise answer.failure()

    def _send(self, url: str, headers: Mapping[str, str], *, crawl_delay_seconds: float = 0.0) -> Answer:
        """One request, in its time; `TryAgain` when nothing answers."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        sent = {"Host": parts.netloc, "User-Agent": self.user_agent, "Accept": "*/*", "Accept-Encoding": "gzip"}
        sent |= headers
        route = self._routes.get(host, self._routes.get("*", ""))
        session, address = self._public, url
        if route:
            session, address = self._routed, urlunsplit(("http", route, parts.path or "/", parts.query, ""))
        elif is_address(host) and not self._allow_loopback and not addresses.is_public(host):
            raise addresses.refuse(url, host)
        self._pace.wait(host_of(url), crawl_delay_seconds=crawl_delay_seconds)
        try:
            raw = session.get(address, headers=sent, timeout=self._timeout, allow_redirects=False, stream=True)
        except AddressRefused as error:
            raise addresses.refuse(url, error.address) from None
        except requests.exceptions.SSLError:
            raise TryAgain(f"the certificate of {host} cannot be trusted") from None
        except requests.exceptions.Timeout:
            raise TryAgain(f"no answer within {self._timeout[1]:g} seconds") from None
        except requests.exceptions.ConnectionError:
            raise TryAgain(f"{host} cannot be reached") from None
        except requests.exceptions.RequestException as error:
            raise Rejected(f"no address that can be asked: {type(error).__name__}.", url=url) from None
        return Answer(raw, url, sent, self._now)

    def _robots_of(self, url: str) -> Robots:
        """What the robots.txt of the host of `url` says; asked once in the client's life."""
        host = host_of(url)
        with self._robots_lock:
            if host not in self._robots:
                try:
                    self._robots[host] = self._fetch_robots(url)
                except FetchError as error:
                    self._robots[host] = error
            found = self._robots[host]
        if isinstance(found, FetchError):
            raise found
        return found

    def _fetch_robots(self, url: str) -> Robots:
        host, address = host_of(url), urlunsplit((*urlsplit(url)[:2], "/robots.txt", "", ""))
        allowed = {host, host.removeprefix("www."), f"www.{host}"}

        def once() -> str:
            at = address
            for _ in range(MAX_REDIRECTS + 1):
                with self._send(at, {}) as answer:
                    if answer.redirect:
                        at = redirected(at, answer.redirect, allowed)
                        continue
                    if 200 <= answer.status < 300:
                        return b"".join(answer.pieces(ROBOTS_BYTES, cut=True)).decode("utf-8", "replace")
                    # RFC 9309, 2.3.1: a 4xx means that there are no wishes, anything else that all is forbidden.
                    if 400 <= answer.status < 500 and answer.status not in (408, 425, 429):
                        return ""
                    raise answer.failure()
            raise RedirectRefused("redirects in circles.", url=address)

        return Robots(self._insist(address, once), AGENT)


def _check_md5(found: str, expected: str, answer: Answer) -> None:
    if expected and found != expected.lower():
        raise TryAgain(f"MD5 {found} instead of {expected}", status=answer.status, wrong=True)


def _given_up(failure: TryAgain, url: str, tries: int) -> FetchError:
    kind = WrongChecksum if failure.wrong else Truncated if failure.truncated else GaveUp
    asks = f", and asks to wait {failure.wait_seconds:.0f} seconds" if failure.wait_seconds else ""
    return kind(f"{failure.what} at try {tries}{asks}.", url=url, status=failure.status)


def _session(adapter: HTTPAdapter, *, use_proxies: bool) -> requests.Session:
    session = requests.Session()
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    session.trust_env = use_proxies
    # Passwords of a .netrc are not sent to publishers, and cookies would make a page depend on the one before.
    session.auth = lambda request: request
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return session


def _version() -> str:
    try:
        return version(AGENT)
    except PackageNotFoundError:
        return "0"
