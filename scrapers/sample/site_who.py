"""World Health Organization in the sample world: the publications hub, landing pages, and PDFs on other hosts.

Shapes as reported in 2026 (hub rows, containers of a landing page, addresses of bitstreams); all text is ours.
"""

from __future__ import annotations

import datetime
import html
import json
import uuid
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from scrapers.sample.blocks import Block, Guideline
from scrapers.sample.guidance import written_guideline
from scrapers.sample.pdf import guideline_pdf
from scrapers.sample.pdf_scan import scanned
from scrapers.sample.tree import Tree
from scrapers.sample.who_records import write_records

HUB, IRIS, APPS = "www.who.int", "iris.who.int", "apps.who.int"
LISTING = (
    "/api/hubs/publications?sf_site=15210d59-ad60-47ff-a542-7ed76645f0c7&sf_provider=OpenAccessProvider&sf_culture=en"
    "&$select=Title,ItemDefaultUrl,FormatedDate,Tag,DownloadUrl"
    "&$filter=publishingoffices/any(s:s%20eq%20c09761c0-ab8e-4cfa-9744-99509c4d306b)"
    "&$orderby=PublicationDateAndTime%20desc&$top=25&$skip={skip}&$count=true"
)
OPTIONS = {"who": {"min_expected": 5}}
STATED_TOO_MANY = 3
"""Rows that `@odata.count` promises and no page holds."""
OPEN_LINE = "Some rights reserved. This work is available under the licence CC BY-NC-SA 3.0 IGO (synthetic)."
CLOSED_LINE = "(c) Sample Health Organization. All rights reserved (synthetic)."
THRESHOLDS = Block(
    "bullets",
    (
        "Offer treatment when systolic pressure is <120 mmHg or the pulse is >60 per minute [strong recommendation].",
        "oral rehydration: 75 ml/kg over 4 hours (±10%), in children of 2 years and more.",
    ),
)
_UNDATED_ROW = "9789240010014"
"""Its date stands on its landing page only."""
_MOVED_PDF = "9789240010028"
"""The hub still names the repository's former address."""
_BUSY = {"status": 429, "headers": {"Retry-After": "0"}}
_BUSY_UNTIL = {"status": 429, "headers": {"Retry-After": "Fri, 01 Jan 2021 00:00:00 GMT"}}
_DOWN = {"status": 503, "headers": {"Retry-After": "0"}}


@dataclass(frozen=True, slots=True)
class Publication:
    """One row of the hub and what stands behind it."""

    native: str
    guideline: Guideline
    link: str = ""
    """As the row has it; empty: `/<native>`."""
    tag: str = "Guideline"
    title: str = ""
    copyright: str = "© Sample Health Organization"
    in_row: bool = True
    """Whether the row names the PDF; if not, the landing page does."""
    body: bytes = b""


def publications(seed: int) -> list[Publication]:
    """The publications that become documents."""
    found = []
    for number in range(8):
        one = written_guideline("who", seed, number)
        year = 2017 + number
        line = "" if number == 5 else OPEN_LINE
        blocks = (*([Block("paragraph", line)] if line else []), THRESHOLDS, *one.blocks)
        guideline = replace(one, published=f"{year}-{one.published[5:]}", blocks=blocks)
        native = f"97892400{10_000 + 7 * number}" if number % 3 else f"WHO-SAMPLE-{year}.{number}"
        found.append(Publication(native, guideline, in_row=number % 2 == 0, body=guideline_pdf(guideline)))
    return found


def write(world: Path, seed: int) -> dict[str, Any]:
    """Write the hosts of WHO and return what a loader must find."""
    hub, iris, apps = (Tree(world, name) for name in (HUB, IRIS, APPS))
    for host, path in ((hub, "/publications/drafts/"), (iris, "/server/api/core/bitstreams/0")):
        host.put("/robots.txt", f"User-agent: *\nCrawl-delay: 0.01\nDisallow: {path}\n", content_type="text/plain")
    good = publications(seed)
    any_guideline = good[0].guideline
    aside: dict[str, str] = {}

    def odd(native: str, reason: str, **changes: Any) -> Publication:
        if reason:
            aside[native] = reason
        dated = replace(any_guideline, title=f"Guideline on {native}", published=changes.pop("published", "2021-05-04"))
        return Publication(native, dated, body=changes.pop("body", good[0].body), **changes)

    gone, closed_pdf = "extract.not_fetched", replace(any_guideline, blocks=(Block("paragraph", CLOSED_LINE),) * 9)
    pages = [
        [
            replace(good[0], link=f"https://{HUB}/publications/i/item/{good[0].native}"),
            good[1],
            odd("landing-is-gone", gone),
            odd("pdf-is-gone", gone, in_row=False),
            odd("page-instead-of-pdf", "extract.not_a_document", body=b"<!DOCTYPE html><html><title>Sign in</title>"),
            good[2],
            odd("off-domain", "", link="https://who.example.org/publications/i/item/off-domain"),
            odd("admin", "", link="/publications/i/item/../../../admin"),
            odd("before-the-open-licence", "extract.forbidden_by_terms", published="2016-10-31"),
            odd("no-date", "extract.forbidden_by_terms", published=""),
            good[3],
        ],
        [
            replace(good[3], link=f"/publications/i/item/{good[3].native}"),
            good[4],
            odd("reserved-on-its-page", "extract.forbidden_by_terms", copyright="All rights reserved."),
            odd("reserved-in-its-pdf", "extract.licence_conflict", body=guideline_pdf(closed_pdf)),
            odd("no-pdf", "extract.stub"),
            odd("pdf-elsewhere", "extract.unsafe"),
            odd("out-of-bounds", gone),
            good[5],
            odd("zero-bytes", "extract.not_a_document", body=b""),
            odd("in-french", ""),
        ],
        [
            odd("former-id", ""),
            good[6],
            odd("scanned", "extract.no_text_layer", body=scanned(good[0].body)),
            odd("no-container", "extract.not_a_document"),
            odd("service-page", "extract.not_a_document"),
            odd("a-report", "", tag="Publication", title="Global report on sample health"),
            odd("a-summary", "", title="Sample guideline: executive summary"),
            replace(good[7], tag="Publication", title=f"WHO guideline: {good[7].guideline.title}"),
            good[0],
        ],
        [],
    ]
    stated = sum(map(len, pages)) + STATED_TOO_MANY
    for number, page in enumerate(pages):
        rows = [_row(one) for one in page]
        answer = {"@odata.context": f"https://{HUB}/api/hubs/$metadata", "@odata.count": stated, "value": rows}
        hub.put(LISTING.format(skip=25 * number), json.dumps(answer), content_type="application/json; charset=utf-8")
    for one in (one for page in pages for one in page):
        _publish(one, hub, iris, apps, superseded=one.native == good[4].native)
    moved = {"status": 301, "headers": {"Location": _landing_path(good[6].native)}}
    hub.fault(_landing_path("former-id"), *[moved] * 8)
    hub.fault(LISTING.format(skip=25), _BUSY, _DOWN)
    hub.fault(_landing_path(good[1].native), _BUSY_UNTIL)
    iris.fault(_pdf_path(good[2].native), {"truncate": 300})
    iris.fault(_pdf_path(good[3].native), _DOWN)
    write_records(
        iris, [(f"Guideline: {one.guideline.title}", _pdf_path(one.native).split("/")[-2], one.body) for one in good]
    )
    for host in (hub, iris, apps):
        host.close()
    reads = {"reserved-in-its-pdf", "scanned"}
    items = {one.native: one.body for page in pages for one in page if one in good or one.native in reads}
    items |= {one.native: one.body for one in good}
    return {
        "sources": {
            "who": {
                "items": {name: sha256(body).hexdigest() for name, body in sorted(items.items())},
                "documents": sorted(f"who:{one.native}" for one in good),
                "aside": aside,
            }
        }
    }


def _publish(one: Publication, hub: Tree, iris: Tree, apps: Tree, *, superseded: bool) -> None:
    """The landing page and the PDF of one publication, or what is wrong with them."""
    if one.native == "service-page":
        page = "<!DOCTYPE html><html><title>Service interruption</title><body>Please try later.</body></html>"
        hub.put(_landing_path(one.native), page)
    elif one.native == "no-container":
        hub.put(_landing_path(one.native), "<!DOCTYPE html><html><main><h1>New design</h1></main></html>")
    elif one.native != "landing-is-gone":
        hub.put(_landing_path(one.native), _landing(one, superseded=superseded))
    if one.native in ("pdf-is-gone", "in-french"):
        return
    octets = "application/octet-stream" if one.native.endswith("7") else "application/pdf"
    iris.put(_pdf_path(one.native), one.body, content_type=octets)
    if _old_address(one):
        apps.fault(_old_path(one), *[{"status": 302, "headers": {"Location": _pdf_url(one.native)}}] * 8)
        apps.put(_old_path(one), "moved")


def _row(one: Publication) -> dict[str, Any]:
    download: str | None = _download(one) if one.in_row and one.native not in ("no-pdf",) else None
    return {
        "Title": one.title or f"{one.guideline.title} ",
        "ItemDefaultUrl": one.link or f"/{one.native}",
        "FormatedDate": None if one.native == _UNDATED_ROW else _spoken(one),
        "Tag": one.tag,
        "DownloadUrl": download,
    }


def _download(one: Publication) -> str:
    if one.native == "pdf-elsewhere":
        return "https://files.example.org/guideline.pdf"
    if one.native == "in-french":
        return f"https://{APPS}/iris/bitstream/handle/10665/1/9789240000000-fre.pdf?sequence=1"
    return f"http://{APPS}{_old_path(one)}" if _old_address(one) else _pdf_url(one.native)


def _old_address(one: Publication) -> bool:
    return one.native == _MOVED_PDF


def _old_path(one: Publication) -> str:
    return f"/iris/bitstream/handle/10665/250000/{one.native}-eng.pdf?sequence=1"


def _landing_path(native: str) -> str:
    return f"/publications/i/item/{native}"


def _pdf_path(native: str) -> str:
    made = str(uuid.uuid5(uuid.NAMESPACE_URL, native))
    made = f"0{made[1:]}" if native == "out-of-bounds" else f"f{made[1:]}"
    return f"/server/api/core/bitstreams/{made}/content"


def _pdf_url(native: str) -> str:
    return f"https://{IRIS}{_pdf_path(native)}"


def _landing(one: Publication, *, superseded: bool) -> str:
    title = html.escape(one.guideline.title)
    banner = "<p>This publication has been superseded by the edition of next year.</p>" if superseded else ""
    named = _download(one) if one.native in ("pdf-elsewhere", _MOVED_PDF) else f"{_pdf_url(one.native)}?download=true"
    pdf = f'<a href="{named}" target="_blank">Download (1.2 MB)</a>'
    button = "" if one.native == "no-pdf" else f'<div class="button button-blue-background">{pdf}</div>'
    isbn = f'<div class="detail"><div class="label">ISBN</div><div class="value">ISBN: {_isbn(one)}</div></div>'
    return (
        f'<!DOCTYPE html><html lang="en"><head><title>{title}</title>'
        f'<link rel="canonical" href="https://{HUB}{_landing_path(one.native)}"></head>'
        '<body><nav><a href="/">Home</a></nav>'
        '<header class="dynamic-content__header dynamic-content__container">'
        f'<h1 class="dynamic-content__heading">{title}</h1>{banner}<div class="dynamic-content__data">'
        f'<div class="dynamic-content__date">{_spoken(one)}</div>'
        f'<div class="dynamic-content__tag"><span>&nbsp;&#124;&nbsp;</span>{one.tag}</div></div></header>'
        '<section class="dynamic-content__section dynamic-content__container">'
        f'<div class="dynamic-content__figure-container">{button}</div>'
        '<div class="dynamic-content__description"><h3>Overview </h3><p>What the sample guideline is about. It replaces'
        ' the edition of 2009.</p><div class="dynamic-content__accordion"><p><a href="/publications/i/item/other">'
        "Another one</a></p></div></div>"
        f'<div class="dynamic-content__details"><div class="detail"><div class="label">Copyright</div>'
        f'<div class="value">{html.escape(one.copyright)}</div></div>{isbn}</div></section>'
        '<footer><a href="https://www.example.org/annual-report.pdf">Annual report</a></footer></body></html>'
    )


def _spoken(one: Publication) -> str:
    """The date as WHO writes it."""
    day = one.guideline.published
    return f"{datetime.date.fromisoformat(day):%-d %B %Y}" if day else ""


def _isbn(one: Publication) -> str:
    return f"978-92-4-{one.native[6:12]}-{one.native[12]}" if one.native.isdecimal() else "none"
