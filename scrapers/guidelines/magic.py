"""MAGICapp: living guidelines of many institutions, from its public JSON.

One call gives the catalogue (there is no paging); each row names the JSON of its guideline. Sections nest, texts are
HTML, recommendations carry a strength. Pictures inside the JSON and deletions under tracked changes are no text;
sections about the making of a guideline (interests, funding, members) are left out and counted.
"""

from __future__ import annotations

import datetime
import html
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from manifests.document import Document, Quarantined
from manifests.errors import SourceError
from manifests.store import Store
from scrapers.capture import Listing, Wanted, capture
from scrapers.formats.errors import Unreadable
from scrapers.formats.html import html_to_text
from scrapers.guidelines.listed import check_found, listed_options, polite_client
from scrapers.guidelines.sections import REFERENCES, heading_name, standing
from scrapers.snapshot import payload
from scrapers.source import AcquireContext, Item, SourceConfig

CATALOGUE = "https://api.magicapp.org/api/v1/guidelines?limit=5000"
DOMAIN = "magicapp.org"
DELAY_SECONDS = 2.0
MAX_DEPTH = 40
"""Sections nest 4 deep in what others have seen; deeper than this is no guideline."""

LEFT_OUT = REFERENCES | {
    "methods", "methodology", "how this guideline was made", "conflicts of interest", "conflict of interest",
    "declaration of interests", "declarations of interest", "disclosure", "disclosures", "funding", "authorship",
    "authors", "members", "panel members", "acknowledgements", "acknowledgments", "isbn", "copyright", "how to cite",
    "how to use this guideline",
}  # fmt: skip
"""About the guideline, not guidance. Discussion, abstract, conclusion, evidence gaps and appendix carry findings."""

DELETED = (".ck-suggestion-marker-deletion", "del")
"""What an author struck out while changes were tracked; insertions are text."""

_STRENGTHS = {"STRONG": "strong", "WEAK": "weak", "INFO": "information"}
_DRAFT = re.compile(r"#\s*delete", re.IGNORECASE)
_OLD = re.compile(r"^\W*(archived|superseded|outdated|retired)\b", re.IGNORECASE)


class Loader:
    """Published guidelines of app.magicapp.org in the languages the recipe asks for (default English)."""

    def __init__(self, config: SourceConfig) -> None:
        self.config = config
        self._options = listed_options(config, {"languages": ["en"]})

    def acquire(self, context: AcquireContext) -> None:
        """Fetch the catalogue and the JSON of every guideline it names."""
        capture(
            context,
            source=self.config.source,
            snapshot=self.config.snapshot,
            discover=self._discover,
            client=polite_client(context, self.config, delay_seconds=DELAY_SECONDS),
        )

    def _discover(self, listing: Listing) -> Iterator[Wanted]:
        found: set[str] = set()
        for row in _rows(listing.page(CATALOGUE, expect="json")):
            native = str(row["guidelineId"])
            language = str(row.get("language") or "")
            url = secure(str(row.get("jsonPath") or ""))
            if _DRAFT.search(str(row.get("name") or "")):
                listing.count("drafts")
            elif language.lower().split("-")[0] not in self._options["languages"]:
                listing.count("other_languages")
            elif not url:
                listing.count("without_json")
            elif native in found:
                listing.count("listed_again")
            else:
                found.add(native)
                yield Wanted(item=native, url=url, expect="json", meta=_meta(row))
                if len(found) == self._options["limit"]:
                    return
        check_found(len(found), self.config, self._options, what="rows with guidelineId and jsonPath", where=CATALOGUE)

    def read(self, item: Item, raw: Store, resolved: Any | None = None) -> Iterator[Document | Quarantined]:
        """The guideline of one JSON file."""
        meta: dict[str, str] = json.loads(item.meta)
        try:
            guideline = _object(payload(raw, item))
            counts: Counter[str] = Counter()
            name = str(guideline.get("name") or meta["name"]).strip()
            parts = [f"<h1>{html.escape(name, quote=False)}</h1>"]
            for section in _list(guideline.get("sections")):
                _render(section, 2, parts, counts)
            page = html_to_text(f"<html><body>{''.join(parts)}</body></html>", root="body", drop=DELETED)
        except Unreadable as error:
            yield Quarantined(item.item, self.config.source, error.reason, error.detail, item.sha256)
            return
        if all(block.startswith("#") for block in page.text.split("\n\n")):
            detail = "No section with text."
            yield Quarantined(item.item, self.config.source, "extract.stub", detail, item.sha256)
            return
        published = meta["published"]
        yield Document(
            doc_id=f"{self.config.source}:{item.item}",
            source=self.config.source,
            kind=self.config.kind,
            text=page.text,
            title=name,
            url=f"https://app.magicapp.org/#/guideline/{meta['shortCode']}",
            # The catalogue names an institution and no licence: nothing may be assumed.
            licence="unknown" if self.config.licence == "per-document" else self.config.licence,
            licence_evidence="" if self.config.licence == "per-document" else "card",
            lang=meta["language"].lower().split("-")[0],
            year=int(published[:4]) if published else None,
            published=published,
            raw_ref=item.sha256,
            document_status="archived" if _OLD.match(name) else standing(page.text),
            # The viewer's address has no version: what two rows share it for is one guideline.
            family=f"{self.config.source}:{meta['shortCode']}" if meta["shortCode"] else "",
            counts={**page.counts, **counts},
        )


def secure(url: str) -> str:
    """A file address of MAGICapp by https (by http it answers 403); empty if it lies elsewhere.

    >>> secure("http://files.magicapp.org/guideline/1.json")
    'https://files.magicapp.org/guideline/1.json'
    >>> secure("https://files.example.org/1.json")
    ''
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not (host == DOMAIN or host.endswith(f".{DOMAIN}")):
        return ""
    return urlunsplit(("https", parts.netloc, parts.path, parts.query, ""))


def _rows(body: bytes) -> list[Mapping[str, Any]]:
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise SourceError(
            "the catalogue is not a JSON list of guidelines.",
            where=CATALOGUE,
            why="The publisher has changed its interface, or answered with an error.",
            fix="Look at the address in a browser and correct scrapers/guidelines/magic.py.",
        )
    return [row for row in found if row.get("guidelineId")]


def _meta(row: Mapping[str, Any]) -> dict[str, str]:
    meta = {name: str(row.get(name) or "") for name in ("name", "shortCode", "language", "institutionName")}
    return {**meta, "published": _date(row.get("publishDate"))}


def _date(value: Any) -> str:
    """ISO 8601 from a timestamp in milliseconds or an ISO text; empty if it is neither."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0:
        return datetime.datetime.fromtimestamp(value / 1000, datetime.UTC).date().isoformat()
    found = re.match(r"\d{4}(-\d{2}(-\d{2})?)?", str(value or ""))
    return found[0] if found else ""


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise Unreadable("extract.corrupt", "not well-formed JSON") from None
    if not isinstance(found, dict):
        raise Unreadable("extract.unknown_format", f"a JSON {type(found).__name__}, not an object")
    return found


def _list(value: Any) -> Sequence[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _render(section: Mapping[str, Any], level: int, parts: list[str], counts: Counter[str]) -> None:
    """Append one section as HTML."""
    if level > MAX_DEPTH:
        raise Unreadable("extract.unsafe", f"sections nest more than {MAX_DEPTH} deep")
    heading = str(section.get("heading") or "").strip()
    if heading_name(html.unescape(re.sub(r"<[^>]*>", "", heading))) in LEFT_OUT:
        counts["extract.left_out_sections"] += 1
        return
    tag = f"h{min(level, 6)}"
    if heading:
        parts.append(f"<{tag}>{heading}</{tag}>")
    parts.append(_closed(section.get("text")))
    for recommendation in _list(section.get("recommendations")):
        strength = _STRENGTHS.get(str(recommendation.get("strength") or "").upper(), "")
        parts.append(f"<p>Recommendation{f' ({strength})' if strength else ''}:</p>")
        parts.append(_closed(recommendation.get("text")))
        if remarks := _closed(recommendation.get("remarks")):
            parts.append(f"<p>Remarks:</p>{remarks}")
    for inner in _list(section.get("subSections")):
        _render(inner, level + 1, parts, counts)


def _closed(value: Any) -> str:
    """A piece of HTML whose open elements end with it."""
    text = str(value or "").strip()
    return f"<div>{text}</div>" if text else ""
