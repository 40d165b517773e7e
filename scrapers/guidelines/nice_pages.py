"""Pages of NICE: which guidance a row of the list names, an overview and its chapters, and the text of them all.

Recommendation numbers (1.1.3) stand before their recommendation, years in brackets after it; tables stay. Left out, as
whole blocks and counted: how guidance is made and whose responsibility its use is, and the list of the committee.
"""

from __future__ import annotations

import html
import json
import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from manifests.document import Status
from manifests.errors import RecipeError
from manifests.identity import sha256_hex
from scrapers.capture import Listing
from scrapers.formats.errors import Unreadable
from scrapers.formats.html import decode, html_to_text
from scrapers.guidelines.sections import heading_name, standing, without_sections
from scrapers.guidelines.versions import version_named

HOST = "www.nice.org.uk"
CHAPTER = "div.chapter"
NAVIGATION = (".stacked-nav a[href*='/chapter/']", "ul.nav-list a[href*='/chapter/']")
"""Today's list of chapters, and the one of older pages."""
DROP = ("nav, .in-page-nav, .chapter-nav, .stacked-nav, .prev-next, .action-banner, .visually-hidden",)
GUIDANCE = frozenset({"AMR", "CG", "DG", "HST", "HTG", "IPG", "MPG", "MTG", "NG", "PH", "QS", "SC", "SG", "TA"})
ADVICE = frozenset({"ES", "ESMPB", "ESNM", "ESUOM", "MIB", "NR"})
SKIPPED_CHAPTERS = ("finding-more-information-and-committee-details",)
ENDS_OVERVIEW = frozenset({
    "your responsibility", "guideline development process", "guidance development process", "commercial arrangement",
    "how we develop nice guidelines", "how to use nice quality standards and how we develop them",
    "endorsing bodies", "supporting organisations",
})  # fmt: skip
"""Headings from which on an overview is about the making and the use of guidance."""
PROCESS_NOTES = (
    "how we prioritise updating our guidance", "decisions about updating our guidance",
    "for information about individual topics", "nice has developed tools and resources",
)  # fmt: skip
LEFT_OUT = frozenset({
    "your responsibility", "finding more information and committee details", "committee members and nice project team",
})  # fmt: skip
"""Sections of chapters; others about process (a commercial arrangement) may hold prices and stay."""
STUB_WORDS = 30
BANNER_CHARS = 1500

_REF = re.compile(r"([A-Z]+)(\d+)")
_PATH = re.compile(r"/(?:guidance|advice)/([a-z]+\d+)")
_CHAPTER = re.compile(r"/(?:guidance|advice)/([a-z]+\d+)/chapter/([^/?#]+)", re.IGNORECASE)
_TAG = re.compile(r"<[^>]*>")
_NUMBER_HEADING = re.compile(r"#{1,6} (\d+(?:\.\d+)+)")
_REPLACED = re.compile(
    r"\bthis (?:\w+ ){0,3}(?:guidance|guideline|advice|quality standard|appraisal)\s+(?:has been|was|is)\s+"
    r"(?:updated and )?(?:replaced|superseded)\b",
    re.IGNORECASE,
)
_WITHDRAWN = re.compile(
    r"\bthis (?:\w+ ){0,3}(?:guidance|guideline|advice|quality standard|appraisal)\s+(?:has been|was|is)\s+withdrawn\b",
    re.IGNORECASE,
)
_ONE_REF = rf"(?P<ref>(?:{'|'.join(sorted(GUIDANCE | ADVICE))})\s?\d{{1,4}})\b"
_BY = re.compile(rf"\s+by\b[^.;]{{0,120}}?\b{_ONE_REF}", re.IGNORECASE)
_REPLACES = re.compile(
    r"\bthis (?:\w+ ){0,3}(?:guidance|guideline|advice|quality standard|appraisal)\s+"
    rf"(?:fully )?(?:updates and )?replaces\b[^.;]{{0,120}}?\b{_ONE_REF}",
    re.IGNORECASE,
)
_UNESCAPED_LESS = re.compile(r"<(?=[\s\d=.,])")
_DATE = re.compile(r"\bPublished:?\s*(?:on )?(\d{1,2} [A-Z][a-z]+ \d{4})")


@dataclass(frozen=True, slots=True)
class Row:
    """One piece of guidance as the list names it."""

    slug: str
    """`ng28`: the reference in lower case, as in addresses."""
    title: str
    published: str = ""
    updated: str = ""
    withdrawn: bool = False

    @property
    def prefix(self) -> str:
        return self.slug.rstrip("0123456789").upper()

    @property
    def url(self) -> str:
        return page_url(self.slug)


def page_url(slug: str) -> str:
    """Address of the overview.

    >>> page_url("ng28"), page_url("mib300")
    ('https://www.nice.org.uk/guidance/ng28', 'https://www.nice.org.uk/advice/mib300')
    """
    folder = "advice" if slug.rstrip("0123456789").upper() in ADVICE else "guidance"
    return f"https://{HOST}/{folder}/{slug}"


def row_of(ref: str) -> Row:
    """The row of a reference that a recipe names."""
    found = _REF.fullmatch(ref.strip().upper())
    if not found or found[1] not in GUIDANCE | ADVICE:
        raise RecipeError(
            f"{ref!r} is no reference of NICE.",
            where="option refs",
            why=f"References are one of {', '.join(sorted(GUIDANCE | ADVICE))} and a number.",
            fix="Write it as NICE does, such as NG28.",
        )
    return Row(found[0].lower(), title="")


def rows(documents: Sequence[Any], listing: Listing) -> Iterator[Row]:
    """The rows that lead to guidance of NICE's own; others are counted."""
    for value in documents:
        document: Mapping[str, Any] = value if isinstance(value, Mapping) else {}
        ref = _REF.fullmatch(str(document.get("guidanceRef") or "").strip().upper())
        link = urlsplit(urljoin(f"https://{HOST}/", str(document.get("pathAndQuery") or document.get("url") or "")))
        path = _PATH.fullmatch(posixpath.normpath(link.path).lower())
        if not ref:
            # The same index serves CKS and BNF, which have no reference of this kind.
            listing.count("rows_without_reference")
        elif ref[1] not in GUIDANCE | ADVICE:
            listing.count("other_programmes")
        elif link.hostname != HOST or not path or path[1] != ref[0].lower():
            listing.count("links_elsewhere")
        else:
            states = [str(state).lower() for state in document.get("guidanceStatus") or []]
            yield Row(
                slug=ref[0].lower(),
                title=" ".join(html.unescape(_TAG.sub("", str(document.get("title") or ""))).split()),
                published=str(document.get("publicationDate") or "")[:10],
                updated=str(document.get("lastUpdated") or "")[:10],
                withdrawn="withdrawn" in states,
            )


class Overview:
    """What an overview page says: whose it is, which chapters there are and whether it still stands."""

    def __init__(self, page: bytes, slug: str) -> None:
        from bs4 import BeautifulSoup

        soup = BeautifulSoup(page, "lxml")
        named: Sequence[Any] = next((links for selector in NAVIGATION if (links := soup.select(selector))), [])
        found = [match for link in named if (match := _CHAPTER.search(urlsplit(str(link["href"])).path))]
        owners = Counter(match[1].lower() for match in found)
        self.slug = slug
        if owners and slug not in owners:
            # An old reference leads on to the guidance that took its place.
            self.slug = owners.most_common(1)[0][0]
        chapters: dict[str, str] = {}
        for match in found:
            if match[1].lower() == self.slug and not unquote(match[2]).lower().endswith(SKIPPED_CHAPTERS):
                chapters.setdefault(match[2].lower(), match[2])
        self.chapters = list(chapters.values())
        main = soup.select_one("main") or soup.body or soup
        for furniture in main.select("nav, script, style, footer"):
            furniture.decompose()
        top = " ".join(main.get_text(" ").split())[:BANNER_CHARS]
        self.standing: Status = standing(top)
        if _REPLACED.search(top):
            self.standing = "superseded"
        elif _WITHDRAWN.search(top):
            self.standing = "archived"
        self.version = _version(" ".join(main.get_text(" ").split()), page, self.slug)
        dated = _DATE.search(top)
        self.published = _iso(dated[1]) if dated else ""


def _version(text: str, page: bytes, own: str) -> str:
    """The reference, as in addresses, of the guidance that an overview says replaced it, or that it replaced."""
    banner = text[:BANNER_CHARS]
    replaced = _REPLACED.search(banner)
    found = _BY.match(banner, replaced.end()) if replaced else None
    if named := found or _REPLACES.search(text):
        ref = re.sub(r"\s", "", named["ref"]).lower()
        return ref if ref != own else ""
    return version_named(page, page_url(own), guidance_slug, own)


def guidance_slug(url: str) -> str:
    """The reference, in lower case, of the guidance at `url`; empty for anything else.

    >>> guidance_slug("https://www.nice.org.uk/guidance/ng28"), guidance_slug("https://cks.nice.org.uk/topics/x/")
    ('ng28', '')
    """
    parts = urlsplit(url)
    path = _PATH.match(posixpath.normpath(parts.path).lower()) if parts.hostname == HOST else None
    return path[1] if path else ""


def version_of(data: bytes, slug: str) -> str:
    """The reference of another version of the guideline that was put together as `data`; empty if it names none."""
    return Overview(str(json.loads(data)["pages"][0]["body"]).encode("utf-8", "surrogateescape"), slug).version


def has_chapter(page: bytes) -> bool:
    """Whether a page has the container of a chapter."""
    from bs4 import BeautifulSoup

    return BeautifulSoup(page, "lxml").select_one(CHAPTER) is not None


def put_together(slug: str, pages: Sequence[tuple[str, bytes]]) -> bytes:
    """The payload of one guideline: its pages in order, each with address and digest, byte for byte in JSON."""
    written = [
        {"url": url, "sha256": sha256_hex(body), "body": body.decode("utf-8", "surrogateescape")} for url, body in pages
    ]
    return json.dumps({"guidance": slug, "pages": written}, ensure_ascii=True, separators=(",", ":")).encode()


def guideline(data: bytes, *, title: str) -> tuple[str, str, dict[str, int]]:
    """Title, text and counts of a guideline that was put together; `title` stands in when its page has none."""
    try:
        pages = [str(page["body"]).encode("utf-8", "surrogateescape") for page in json.loads(data)["pages"]]
        overview, *chapters = pages
    except (ValueError, KeyError, TypeError):
        raise Unreadable("extract.corrupt", "Not the pages of a guideline in JSON.") from None
    counts: Counter[str] = Counter()
    first = html_to_text(_overview(overview, counts), root="body", drop=DROP)
    title = first.title or title
    parts = [f"# {title}"]
    counts.update(first.counts)
    if first.text.strip() not in ("", "## Overview"):
        parts.append(first.text)
    for chapter in chapters:
        found = html_to_text(chapter, root=CHAPTER, drop=DROP)
        counts.update(found.counts)
        text, left_out = without_sections(_lowered(found.text), LEFT_OUT)
        counts["extract.left_out_sections"] += left_out
        if text:
            parts.append(_numbered(text))
    text = "\n\n".join(parts)
    words = sum(len(block.split()) for block in text.split("\n\n") if not block.startswith("#"))
    if words < STUB_WORDS:
        raise Unreadable("extract.stub", f"{words} words under the title, fewer than {STUB_WORDS}.")
    return title, text, {name: n for name, n in counts.items() if n}


def _overview(page: bytes, counts: Counter[str]) -> str:
    """The guidance part of an overview as HTML with the page's title; the rest is counted."""
    from bs4 import BeautifulSoup, Tag

    soup = BeautifulSoup(_UNESCAPED_LESS.sub("&lt;", decode(page, counts)), "lxml")
    heading = soup.select_one("h1")
    title = html.escape(" ".join(heading.get_text(" ").split()), quote=False) if heading else ""
    top = next((one for one in soup.select("h2") if heading_name(one.get_text()) == "overview"), None)
    block = top.find_next_sibling() if top else None
    kept: list[str] = []
    skipping = 0
    for child in block.children if isinstance(block, Tag) else ():
        if not isinstance(child, Tag):
            if str(child).strip() and not skipping:
                kept.append(f"<p>{html.escape(str(child), quote=False)}</p>")
            continue
        level = int(child.name[1]) if re.fullmatch(r"h[1-6]", child.name) else 0
        name = heading_name(child.get_text(" "))
        if (level and name in ENDS_OVERVIEW) or "panel" in (child.get("class") or []):
            counts["extract.left_out_sections"] += 1
            break
        skipping = 0 if level and level <= skipping else skipping
        if level and name == "recommendations":
            # A list of links to the chapters, which follow.
            skipping = level
            counts["extract.left_out_sections"] += 1
        elif name.startswith(PROCESS_NOTES):
            counts["extract.process_notes"] += 1
        elif not skipping:
            kept.append(str(child))
    body = f"<h2>Overview</h2>{''.join(kept)}" if kept else ""
    return f"<html><head><title>{title}</title></head><body>{body}</body></html>"


def _lowered(text: str) -> str:
    """A chapter one level down if it begins at the level of the title."""
    if not re.search(r"^# ", text, re.MULTILINE):
        return text
    return re.sub(r"^(#{1,5}) ", r"#\1 ", text, flags=re.MULTILINE)


def _numbered(text: str) -> str:
    """Numbers that stand as headings of their own before the paragraphs they number.

    >>> _numbered("## 1 Aims\\n\\n##### 1.1.3\\n\\nOffer 5 mg. [2015]")
    '## 1 Aims\\n\\n1.1.3 Offer 5 mg. [2015]'
    """
    blocks: list[str] = []
    number = ""
    for block in text.split("\n\n"):
        found = _NUMBER_HEADING.fullmatch(block)
        if number and (found or block.startswith(("#", "- ", "| ", "```"))):
            blocks.append(number)
            number = ""
        if found:
            number = found[1]
        else:
            blocks.append(f"{number} {block}" if number else block)
            number = ""
    return "\n\n".join([*blocks, number] if number else blocks)


def _iso(spoken: str) -> str:
    from scrapers.formats.dates import iso_date

    day, month, year = spoken.split()
    return iso_date(year, month, day)
