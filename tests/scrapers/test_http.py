"""The polite client against a server that misbehaves as publishers do."""

from __future__ import annotations

import datetime
import gzip
import hashlib
import json
import os
import pickle
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.errors import RecipeError, SourceError
from scrapers import http_errors
from scrapers.addresses import is_public
from scrapers.http import Client
from scrapers.http_errors import (
    AddressRefused,
    Forbidden,
    GaveUp,
    Gone,
    RedirectRefused,
    RobotsRefused,
    TooLarge,
    Truncated,
    WrongChecksum,
    WrongContent,
)
from scrapers.pacing import backoff_seconds, retry_after_seconds
from scrapers.robots import Robots
from scrapers.sample.server import SampleServer, file_name, serve
from scrapers.sniff import kind_of

HOST = "www.example.org"
PAGE = b"<!DOCTYPE html><html><head><title>A page</title></head><body>BP <b>&lt;120</b></body></html>"


class Site:
    """A world of one host, written file by file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / HOST
        self.folder.mkdir(parents=True)
        self.faults: dict[str, list[dict[str, Any]]] = {}
        self.put("/robots.txt", b"User-agent: *\nDisallow: /private/\n")
        self.put("/a", PAGE)

    def put(self, path: str, body: bytes) -> None:
        (self.folder / file_name(path)).write_bytes(body)

    def fault(self, path: str, *faults: dict[str, Any]) -> None:
        self.faults[path] = list(faults)
        (self.folder / "_faults.json").write_text(json.dumps(self.faults))


class Hands:
    """A clock that only moves when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def moment(self) -> datetime.datetime:
        return datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "world")


@pytest.fixture
def server(site: Site) -> Iterator[SampleServer]:
    """Serves `site` as it was when the test first asked for this fixture."""
    with serve(site.folder.parent) as running:
        yield running


def client(server: SampleServer, hands: Hands | None = None, **changes: Any) -> Client:
    hands = hands or Hands()
    settings: dict[str, Any] = {"delay_seconds": 1.0, "routes": server.routes, "max_tries": 3, **changes}
    return Client("curator@example.org", clock=hands.clock, sleep=hands.sleep, now=hands.moment, **settings)


def asked(server: SampleServer, path: str) -> int:
    return sum(request.path == path for request in server.requests)


def test_a_page_arrives_whole_under_its_public_address(site: Site, server: SampleServer) -> None:
    with client(server) as polite:
        found = polite.get(f"https://{HOST}/a")
    assert (found.status, found.url, found.body) == (200, f"https://{HOST}/a", PAGE)
    assert found.sha256 == hashlib.sha256(PAGE).hexdigest()
    assert found.retrieved == "2026-01-31T12:00:00Z"
    for request in server.requests:
        assert request.host == HOST
        assert request.headers["user-agent"].startswith("medtrove/")
        assert request.headers["user-agent"].endswith(" (+curator@example.org)")
        assert "cookie" not in request.headers
        assert "authorization" not in request.headers


def test_a_client_needs_a_contact() -> None:
    with pytest.raises(RecipeError, match="contact"):
        Client("  ")


def test_robots_is_asked_once_and_obeyed(site: Site, server: SampleServer) -> None:
    site.put("/private/x", PAGE)
    with client(server) as polite:
        polite.get(f"https://{HOST}/a")
        with pytest.raises(RobotsRefused, match=r"robots\.txt"):
            polite.get(f"https://{HOST}/private/x")
        polite.get(f"https://{HOST}/a")
    assert asked(server, "/robots.txt") == 1
    assert asked(server, "/private/x") == 0


def test_a_redirect_into_what_robots_forbids_is_not_followed(site: Site) -> None:
    site.fault("/moved", {"status": 302, "headers": {"Location": "/private/x"}})
    with serve(site.folder.parent) as server, client(server) as polite:
        with pytest.raises(RobotsRefused):
            polite.get(f"https://{HOST}/moved")
        assert asked(server, "/private/x") == 0


def test_requests_keep_the_longer_of_both_delays(site: Site) -> None:
    site.put("/robots.txt", b"User-agent: *\nCrawl-delay: 4\nDisallow:\n")
    hands = Hands()
    with serve(site.folder.parent) as server, client(server, hands, delay_seconds=1.5) as polite:
        for _ in range(3):
            polite.get(f"https://{HOST}/a")
    assert hands.slept == pytest.approx([4.0, 4.0, 4.0])


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7.0), ("Sat, 31 Jan 2026 12:00:09 GMT", 9.0), ("Fri, 30 Jan 2026 12:00:00 GMT", 0.0)]
)
def test_retry_after_is_waited_for(site: Site, header: str, seconds: float) -> None:
    site.fault("/a", {"status": 429, "headers": {"Retry-After": header}})
    hands = Hands()
    with serve(site.folder.parent) as server, client(server, hands, delay_seconds=0.0) as polite:
        assert polite.get(f"https://{HOST}/a").body == PAGE
        assert asked(server, "/a") == 2
    assert sum(hands.slept) == pytest.approx(seconds)


def test_an_absurd_retry_after_is_not_slept_through(site: Site) -> None:
    site.fault("/a", {"status": 503, "headers": {"Retry-After": "864000"}})
    hands = Hands()
    with serve(site.folder.parent) as server, client(server, hands) as polite, pytest.raises(GaveUp, match="864000"):
        polite.get(f"https://{HOST}/a")
    assert sum(hands.slept) < 10


def test_it_backs_off_longer_each_time_and_gives_up(site: Site) -> None:
    site.fault("/a", *[{"status": 503}] * 9)
    hands = Hands()
    with serve(site.folder.parent) as server, client(server, hands, max_tries=4) as polite:
        with pytest.raises(GaveUp, match="HTTP 503 at try 4") as caught:
            polite.get(f"https://{HOST}/a")
        assert asked(server, "/a") == 4
    assert caught.value.status == 503
    assert isinstance(caught.value, SourceError)
    waits = hands.slept[1:]
    assert 1 <= waits[0] <= 2 <= waits[1] <= 4 <= waits[2] <= 8


@given(st.integers(1, 40), st.floats(0, 60))
def test_backoff_stays_within_bounds(tries: int, delay: float) -> None:
    assert 0.25 <= backoff_seconds(tries, delay_seconds=delay) <= 300


def test_a_body_cut_short_is_asked_for_again(site: Site) -> None:
    site.fault("/a", {"truncate": 20})
    with serve(site.folder.parent) as server, client(server) as polite:
        assert polite.get(f"https://{HOST}/a").body == PAGE
        assert asked(server, "/a") == 2


def test_a_body_cut_short_every_time_is_no_document(site: Site) -> None:
    site.fault("/a", *[{"truncate": 20}] * 5)
    with (
        serve(site.folder.parent) as server,
        client(server) as polite,
        pytest.raises(Truncated, match="ended before its 92 bytes"),
    ):
        polite.get(f"https://{HOST}/a")


@pytest.mark.parametrize(
    ("status", "error"), [(404, Gone), (410, Gone), (401, Forbidden), (403, Forbidden), (451, Forbidden)]
)
def test_refusals_are_not_argued_with(site: Site, status: int, error: type[Exception]) -> None:
    site.fault("/a", {"status": status})
    with serve(site.folder.parent) as server, client(server) as polite:
        with pytest.raises(error, match=str(status)):
            polite.get(f"https://{HOST}/a")
        assert asked(server, "/a") == 1


def test_what_came_instead_is_named(site: Site, server: SampleServer) -> None:
    site.put("/x.pdf", PAGE)
    site.put("/x.json", b"%PDF-1.4 ...")
    site.put("/waf", b"<html><head><title>Azure WAF JS Challenge</title></head></html>")
    with client(server) as polite:
        with pytest.raises(WrongContent, match=r"asked for pdf, got html .* titled 'A page' with HTTP 200"):
            polite.get(f"https://{HOST}/x.pdf", expect="pdf")
        with pytest.raises(WrongContent, match="asked for json, got pdf"):
            polite.get(f"https://{HOST}/x.json", expect="json")
        with pytest.raises(WrongContent, match="Azure WAF"):
            polite.get(f"https://{HOST}/waf", expect="html")
        assert polite.get(f"https://{HOST}/a", expect="html").body == PAGE


def test_a_stated_or_real_size_beyond_the_limit_is_refused(site: Site, server: SampleServer) -> None:
    site.put("/big", b"x" * 3000)
    with client(server) as polite:
        with pytest.raises(TooLarge, match="the limit is 2999"):
            polite.get(f"https://{HOST}/big", max_bytes=2999)
        assert len(polite.get(f"https://{HOST}/big", max_bytes=3000).body) == 3000


def test_a_decompression_bomb_stops_at_the_limit(site: Site) -> None:
    bomb = gzip.compress(b"0" * 5_000_000)
    site.put("/bomb", bomb)
    site.fault("/bomb", {"headers": {"Content-Encoding": "gzip"}})
    with serve(site.folder.parent) as server, client(server) as polite, pytest.raises(TooLarge):
        polite.get(f"https://{HOST}/bomb", max_bytes=100_000)


def test_redirects_go_to_expected_hosts_only(site: Site) -> None:
    elsewhere = site.folder.parent / "other.example.net"
    elsewhere.mkdir()
    (elsewhere / file_name("/b")).write_bytes(b"<html>other</html>")
    moved = {"status": 301, "headers": {"Location": "http://other.example.net/b"}}
    site.fault("/b", moved, moved)
    with serve(site.folder.parent) as server, client(server) as polite:
        with pytest.raises(RedirectRefused, match=r"other\.example\.net"):
            polite.get(f"https://{HOST}/b")
        assert not [request for request in server.requests if request.host != HOST]
        found = polite.get(f"https://{HOST}/b", allowed_hosts=["other.example.net"])
    assert found.url == "https://other.example.net/b"


def test_redirects_in_circles_end(site: Site) -> None:
    site.fault("/c", *[{"status": 302, "headers": {"Location": "/d"}}] * 9)
    site.fault("/d", *[{"status": 302, "headers": {"Location": "/c"}}] * 9)
    with serve(site.folder.parent) as server, client(server) as polite, pytest.raises(RedirectRefused, match="circles"):
        polite.get(f"https://{HOST}/c")


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://www.example.org/a", "//evil.test/x"])
def test_redirects_that_are_no_web_address_are_refused(site: Site, location: str) -> None:
    site.fault("/b", {"status": 302, "headers": {"Location": location}})
    with serve(site.folder.parent) as server, client(server) as polite, pytest.raises(RedirectRefused):
        polite.get(f"https://{HOST}/b")


@pytest.mark.parametrize("host", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "[::1]", "192.168.0.9", "0.0.0.0"])
def test_private_addresses_are_refused(server: SampleServer, host: str) -> None:
    with client(server) as polite, pytest.raises(AddressRefused, match="not a public address"):
        polite.get(f"http://{host}:{server.port}/a")
    assert server.requests == []


def test_a_name_that_resolves_to_a_private_address_is_refused(
    server: SampleServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: real("127.0.0.1", *rest, **more))
    with client(server, delay_seconds=0.0) as polite:
        for scheme in ("http", "https"):
            with pytest.raises(AddressRefused, match=r"127\.0\.0\.1"):
                polite.get(f"{scheme}://intranet.example.com:{server.port}/a")
    assert server.requests == []


def test_a_dead_host_is_one_sentence(server: SampleServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    with client(server) as polite:
        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        with pytest.raises(GaveUp, match=r"gone\.example\.com cannot be reached at try 3") as caught:
            polite.get("https://gone.example.com/a")
        with pytest.raises(GaveUp):
            polite.get("https://gone.example.com/b")
    assert "again later" in str(caught.value)


def test_an_unchanged_page_is_not_sent_again(site: Site, server: SampleServer) -> None:
    with client(server) as polite:
        first = polite.get(f"https://{HOST}/a")
        second = polite.get(f"https://{HOST}/a", conditional=first.headers)
    assert (second.status, second.body) == (304, b"")


def test_a_checksum_that_never_fits_is_an_error(site: Site) -> None:
    site.fault("/a", {"body": "something else"})
    right = hashlib.md5(PAGE, usedforsecurity=False).hexdigest()
    with serve(site.folder.parent) as server, client(server) as polite:
        assert polite.get(f"https://{HOST}/a", expect_md5=right).body == PAGE
        with pytest.raises(WrongChecksum):
            polite.get(f"https://{HOST}/a", expect_md5="0" * 32)


def test_a_download_goes_on_where_it_stopped(site: Site, tmp_path: Path) -> None:
    big = os.urandom(700_000)
    site.put("/big.gz", big)
    site.fault("/big.gz", {"truncate": 400_000}, {"status": 503}, {"truncate": 100_000})
    target = tmp_path / "raw" / "big.gz"
    with serve(site.folder.parent) as server, client(server, max_tries=2) as polite:
        with pytest.raises(GaveUp):
            polite.download(f"https://{HOST}/big.gz", target)
        assert not target.exists()
    with serve(site.folder.parent) as server, client(server) as polite:
        found = polite.download(
            f"https://{HOST}/big.gz", target, expect_md5=hashlib.md5(big, usedforsecurity=False).hexdigest()
        )
        ranges = [request.headers.get("range", "") for request in server.requests if request.path == "/big.gz"]
    assert target.read_bytes() == big
    assert found.sha256 == hashlib.sha256(big).hexdigest()
    assert [path.name for path in target.parent.iterdir()] == ["big.gz"]
    assert all(asked.startswith("bytes=") for asked in ranges)


def test_a_download_of_a_changed_file_starts_again(site: Site, tmp_path: Path) -> None:
    site.put("/big.gz", b"old" * 1000)
    site.fault("/big.gz", {"truncate": 500})
    target = tmp_path / "big.gz"
    with serve(site.folder.parent) as server, client(server, max_tries=1) as polite, pytest.raises(Truncated):
        polite.download(f"https://{HOST}/big.gz", target)
    site.put("/big.gz", b"new!" * 1000)
    site.fault("/big.gz")
    with serve(site.folder.parent) as server, client(server) as polite:
        polite.download(f"https://{HOST}/big.gz", target)
    assert target.read_bytes() == b"new!" * 1000


ROBOTS = """
# comment
User-agent: otherbot
Disallow: /

User-Agent: *
User-agent: someone
Disallow: /private   # inline
Disallow: /*.php$
Allow: /private/open
Disallow: /q?x=
Crawl-delay: 0.5
Sitemap: https://www.example.org/sitemap.xml
"""


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/", True),
        ("/private/x", False),
        ("/privately", False),
        ("/private/open/x", True),
        ("/index.php", False),
        ("/index.php5", True),
        ("/q?x=1", False),
        ("/q?y=1", True),
        ("/pr%69vate/x", False),
        ("/robots.txt", True),
    ],
)
def test_robots_rules(path: str, allowed: bool) -> None:
    robots = Robots(ROBOTS, "medtrove")
    assert robots.allows(f"https://{HOST}{path}") is allowed
    assert robots.crawl_delay_seconds == 0.5


def test_robots_of_our_own_name_win_over_the_rest() -> None:
    robots = Robots("User-agent: *\nDisallow: /\n\nUser-agent: MedTrove\nDisallow: /no", "medtrove")
    assert robots.allows("https://a.org/x")
    assert not robots.allows("https://a.org/no")


@given(st.text())
def test_any_robots_text_can_be_read(text: str) -> None:
    assert Robots(text, "medtrove").allows("https://a.org/robots.txt")


def test_robots_that_cannot_be_had_means_nothing_is_fetched(site: Site) -> None:
    site.fault("/robots.txt", *[{"status": 500}] * 9)
    with serve(site.folder.parent) as server, client(server) as polite:
        with pytest.raises(GaveUp, match=r"robots\.txt"):
            polite.get(f"https://{HOST}/a")
        assert asked(server, "/a") == 0


def test_no_robots_means_no_wishes(site: Site) -> None:
    (site.folder / file_name("/robots.txt")).unlink()
    with serve(site.folder.parent) as server, client(server) as polite:
        assert polite.get(f"https://{HOST}/a").status == 200


@given(st.text(max_size=40))
def test_any_retry_after_can_be_read(value: str) -> None:
    found = retry_after_seconds(value, now=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC))
    assert found is None or found >= 0


@given(st.binary(max_size=60))
def test_any_bytes_have_a_kind(body: bytes) -> None:
    assert kind_of(body) in {"pdf", "gzip", "zip", "json", "html", "xml", "empty", "unknown"}


def test_only_public_addresses_are_public() -> None:
    assert is_public("8.8.8.8")
    assert is_public("2001:4860:4860::8888")
    for address in ("127.0.0.1", "::1", "fe80::1%eth0", "::ffff:10.0.0.1", "224.0.0.1", "100.64.0.1", "", "host"):
        assert not is_public(address)


def test_errors_survive_the_way_out_of_a_worker() -> None:
    for kind in http_errors.KINDS.values():
        error = kind("it did not work.", url="https://a.org/x", status=500)
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again), again.url, again.status) == (kind, str(error), error.url, 500)


def test_the_command_line_need_not_pay_for_the_client() -> None:
    """`requests` and `warcio` are heavy: the source registry must not drag them in."""
    code = "import sys, scrapers.source; print('requests' in sys.modules, 'warcio' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.split() == ["False", "False"]
