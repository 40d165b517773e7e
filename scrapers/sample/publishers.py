"""Guideline publishers of the sample world: the same guidelines, each in the shape of one real site.

CPS and CDC are here, MAGIC is in `host_magic`. Structure follows what is known of the sites (containers, paging,
metas); all text and styling is ours. Every host also misbehaves in ways its real counterpart does: see the
faults of each. What is written is told as
`{"items": {name: sha256 of its payload}, "documents": [doc_id], "aside": {name: reason}}`.
"""

from __future__ import annotations

import html
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from manifests.identity import sha256_hex
from scrapers.sample.blocks import Guideline
from scrapers.sample.markup import html_blocks
from scrapers.sample.pdf import guideline_pdf
from scrapers.sample.tree import Tree

CPS, CDC = "www.cps.ca", "stacks.cdc.gov"
ROBOTS = "User-agent: *\nCrawl-delay: {delay}\nDisallow: {path}\n"
CRAWL_DELAY_SECONDS = 0.02
EARLIER = "Wed, 21 Oct 2015 07:28:00 GMT"
Truth = dict[str, Any]
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def native_id(publisher: str, slug: str) -> str:
    """The publisher's own id of the guideline `slug`: the second half of its `doc_id`.

    >>> native_id("cps", "asthma"), native_id("cdc", "asthma") == native_id("cdc", "asthma")
    ('asthma', True)
    """
    if publisher == "cps":
        return slug
    return str(10_000 + zlib.crc32(f"{publisher} {slug}".encode()) % 900_000)


def truth_of(publisher: str, guidelines: Sequence[Guideline], items: dict[str, str], aside: dict[str, str]) -> Truth:
    """What acquiring and reading `publisher` must give."""
    documents = sorted(f"{publisher}:{native_id(publisher, one.slug)}" for one in guidelines)
    return {"items": items, "documents": documents, "aside": aside}


def host_of(world: Path, name: str, *, disallow: str) -> Tree:
    """The host `name` with the crawl delay and the one wish of its robots.txt."""
    tree = Tree(world, name)
    tree.put("/robots.txt", ROBOTS.format(delay=CRAWL_DELAY_SECONDS, path=disallow), content_type="text/plain")
    return tree


# ------------------------------------------------------------------------------------------------------------ CPS


def render_cps(guidelines: Sequence[Guideline], folder: Path) -> Truth:
    """Write www.cps.ca below `folder`."""
    host = host_of(folder, CPS, disallow="/en/documents/position/members-")
    listing = "/en/documents/statements-by-date"
    newest = sorted(guidelines, key=lambda one: (one.published, one.slug), reverse=True)
    rows = [(f"/en/documents/position/{one.slug}", one.title) for one in newest]
    first, second, last = rows[0], rows[1], rows[-1]
    rows[2:2] = [
        ("/en/documents/position/members-only-draft", "For members: draft under discussion"),
        ("/en/documents/position/withdrawn-statement", "A statement that is no longer there"),
        ("/en/documents/position/former-name", f"{second[1]} (former address)"),
        ("/en/documents/position/statement-as-pdf", "A statement that is only a PDF"),
        ("/en/documents/position/interrupted", "A statement on a bad day"),
        ("https://journal.example.org/article/1", "The same in our journal"),
        ("../../../en/documents/position/../tools/growth-charts", "Growth charts"),
    ]
    # A statement moved to the next page while the list was read: both pages show it.
    rows.insert(11, rows[9])
    rows.append((f"https://{CPS}{first[0]}#top", first[1]))
    pages = [rows[start : start + 10] for start in range(0, len(rows), 10)]
    for number, links in enumerate([*pages, []]):
        listed = "".join(
            f'<div class="stmt"><div class="stmt-title"><a href="{html.escape(link)}">{html.escape(title)}</a></div>'
            '<div class="stmt-date">Position statement</div></div>'
            for link, title in links
        )
        path = f"{listing}/P{number * 10}" if number else listing
        # The total on the page is wrong on purpose: nothing may rest on it.
        found = f'<p>312 statements</p><div class="listing">{listed or "<p>No results.</p>"}</div>'
        host.put(path, _cps_page("Statements by date", found))
    items: dict[str, str] = {}
    for one in guidelines:
        page = _cps_statement(one, newest)
        host.put(f"/en/documents/position/{one.slug}", page)
        items[one.slug] = sha256_hex(page.encode())
    door = (
        '<div class="statement-wrapper"><h1>A statement that is only a PDF</h1>'
        '<p>Read the statement <a href="/uploads/statement.pdf">here (PDF)</a>.</p></div>'
    )
    door = _cps_page("A statement that is only a PDF", door)
    host.put("/en/documents/position/statement-as-pdf", door)
    items["statement-as-pdf"] = sha256_hex(door.encode())
    host.put("/en/documents/position/interrupted", _cps_page("Service interruption", "<p>Come back later.</p>"))
    host.put("/en/documents/position/members-only-draft", _cps_page("Draft", "<p>Members only.</p>"))
    moved = {"status": 301, "headers": {"Location": f"https://cps.ca{second[0]}"}}
    host.fault("/en/documents/position/former-name", *[moved] * 8)
    host.fault(first[0], {"status": 503, "headers": {"Retry-After": "0"}})
    host.fault(last[0], {"truncate": 300})
    host.fault(f"{listing}/P10", {"status": 429, "headers": {"Retry-After": "0"}},
               {"status": 429, "headers": {"Retry-After": EARLIER}})  # fmt: skip
    host.close()
    # The bare domain answers too; the publisher's redirects lead there.
    bare = host_of(folder, "cps.ca", disallow="/en/documents/position/members-")
    bare.put(second[0], _cps_statement(newest[1], newest))
    bare.close()
    aside = {
        "former-name": "extract.same_id",
        "interrupted": "extract.not_a_document",
        "members-only-draft": "extract.not_fetched",
        "statement-as-pdf": "extract.stub",
        "withdrawn-statement": "extract.not_fetched",
    }
    return truth_of("cps", guidelines, items, aside)


def _cps_page(title: str, main: str, language: str = "en") -> str:
    menu = "".join(f'<li><a href="/en/{name.lower()}">{name}</a></li>' for name in ("Statements", "Advocacy", "About"))
    return (
        f'<!DOCTYPE html><html lang="{language}"><head><meta charset="utf-8"><title>{html.escape(title)} | CPS</title>'
        f'</head><body><header><nav><ul>{menu}</ul></nav><form><input name="q"></form></header>'
        f'<main id="main-content">{main}</main><footer><p>Sample Society, 100 Example Road. 2 locations.</p>'
        "<p>Disclaimer: this page is synthetic.</p></footer></body></html>"
    )


def _cps_statement(one: Guideline, others: Sequence[Guideline]) -> str:
    dates = [f"<p><b>Posted:</b> {_spoken(one.published)}</p>"]
    if one.updated:
        dates.append(f"<p><b>Updated:</b> {_spoken(one.updated)}</p>")
    banner = '<p class="banner">This statement has been archived.</p>' if one.status == "archived" else ""
    if one.successor:
        (later,) = (x for x in others if x.slug == one.successor)
        link = f'<a href="/en/documents/position/{later.slug}">{html.escape(later.title)}</a>'
        banner = f'<p class="banner">This statement has been replaced by {link}.</p>'
    related = "".join(f'<li><a href="/en/documents/position/{x.slug}">{x.slug}</a></li>' for x in others[:3])
    body = (
        '<div class="statement-wrapper">'
        f"<h1>{html.escape(one.title)}</h1>{banner}"
        f'<div class="meta">{"".join(dates)}</div>'
        '<div class="hide-for-print share"><a href="#">Share</a> <a href="#">Print</a> 12 shares</div>'
        f"{html_blocks(one.blocks, nested=True)}"
        '<div class="--podcast"><p>Listen to episode 7 of the podcast.</p></div>'
        f'<div class="related-content"><h2>Related content</h2><ul>{related}</ul></div>'
        '<p class="show-for-print">Printed from the sample world, copy 1 of 1.</p></div>'
    )
    return _cps_page(one.title, body, one.language)


def _spoken(date: str) -> str:
    year, month, day = date.split("-")
    return f"{_MONTHS[int(month) - 1]} {int(day)}, {year}"


# ------------------------------------------------------------------------------------------------------------ CDC


def render_cdc(guidelines: Sequence[Guideline], folder: Path) -> Truth:
    """Write stacks.cdc.gov below `folder`."""
    host = host_of(folder, CDC, disallow="/restricted/")
    ids = [native_id("cdc", one.slug) for one in guidelines]
    listed = [*ids[:4], "7001", *ids[4:8], "7002", ids[0], "7004", "7005", *ids[8:], "7006", "7003"]
    # The last page is empty.
    pages = [*(listed[start : start + 10] for start in range(0, len(listed), 10)), []]
    starts = [f"/cbrowse?pid=cdc%3A100&parentId=cdc%3A100&maxResults=100&start={10 * n}" for n in range(len(pages))]
    for number, page in enumerate(pages):
        rows = "".join(f'<div class="object-title"><a href="/view/cdc/{one}">Record {one}</a></div>' for one in page)
        rows += '<div class="object-title"><a href="https://www.example.org/view/cdc/1">Elsewhere</a></div>'
        after = f'<a id="nextPage" href="{html.escape(starts[number + 1])}">Next</a>' if number + 1 < len(pages) else ""
        host.put(
            starts[number],
            f"<!DOCTYPE html><html><body><main><p>1 to 10 of 9,999</p>{rows}{after}</main></body></html>",
            content_type="text/html",
        )
    items: dict[str, str] = {}
    for number, (one, native) in enumerate(zip(guidelines, ids, strict=True)):
        pdf = f"/view/cdc/{native}/cdc_{native}_DS1.pdf"
        host.put(f"/view/cdc/{native}", _cdc_record(one, native, pdf if number % 4 else ""), content_type="text/html")
        octets = "application/octet-stream" if number % 5 == 0 else "application/pdf"
        payload = guideline_pdf(one)
        host.put(pdf, payload, content_type=octets)
        items[native] = sha256_hex(payload)
    broken = "/view/cdc/{0}/cdc_{0}_DS1.pdf"
    for native in ("7001", "7002", "7003"):
        host.put(
            f"/view/cdc/{native}", _cdc_record(guidelines[0], native, broken.format(native)), content_type="text/html"
        )
    # A PDF that was cut when it was uploaded, and a sign-in page under a PDF's address; 7003 is not there at all.
    cut = guideline_pdf(guidelines[0])[:700]
    host.put(broken.format("7001"), cut, content_type="application/pdf")
    items["7001"] = sha256_hex(cut)
    host.put(
        broken.format("7002"), "<!DOCTYPE html><html><title>Sign in</title></html>", content_type="application/pdf"
    )
    # 7004 has no metas; 7005 is not there; the PDF of 7006 is another host's.
    host.put("/view/cdc/7004", "<!DOCTYPE html><html><body><main>New look</main></body></html>")
    elsewhere = _cdc_record(guidelines[0], "7006", "/files/7006.pdf").replace(
        f"https://{CDC}", "https://www.example.org"
    )
    host.put("/view/cdc/7006", elsewhere, content_type="text/html")
    host.fault(f"/view/cdc/{ids[1]}", {"status": 429, "headers": {"Retry-After": "0"}},
               {"status": 429, "headers": {"Retry-After": EARLIER}})  # fmt: skip
    host.fault(broken.format(ids[2]), {"truncate": 400})
    host.close()
    aside = {
        "7001": "extract.corrupt",
        "7002": "extract.not_a_document",
        "7003": "extract.not_fetched",
        "7004": "extract.unknown_format",
        "7005": "extract.not_fetched",
        "7006": "extract.unsafe",
    }
    return truth_of("cdc", guidelines, items, aside)


def _cdc_record(one: Guideline, native: str, pdf: str) -> str:
    metas = {
        "citation_title": one.title,
        "citation_publication_date": one.published.replace("-", "/"),
        "citation_publisher": "Centers for Disease Control and Prevention (U.S.) (synthetic)",
        "citation_keywords": "synthetic",
        "citation_pdf_url": f"https://{CDC}{pdf}" if pdf else "",
    }
    head = "".join(f'<meta name="{k}" content="{html.escape(v)}">' for k, v in metas.items() if v)
    status = "<p>Status: Archived</p>" if one.status == "archived" else ""
    return (
        f'<!DOCTYPE html><html lang="en"><head><title>Stacks</title>{head}</head><body><header>A-Z index</header>'
        f'<main><h1>{html.escape(one.title)}</h1>{status}<button id="download-document-submit">Download</button>'
        f"<p>cdc:{native}</p></main></body></html>"
    )
