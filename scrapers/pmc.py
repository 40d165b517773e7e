"""PMC: full-text articles from the bucket `pmc-oa-opendata`, one XML a version, only under accepted licences.

Since August 2026 the bucket is the one bulk door. An S3 inventory names every version's metadata JSON; the JSON gives
licence code, retraction, manuscript flag and the XML's MD5. Of the versions of one PMCID the newest published one
counts (an author manuscript only if there is nothing else); if the newest is retracted the article is retracted,
never replaced by an older version. No XML is fetched before its licence is accepted; what is refused is counted by
licence and listed in `refused.tsv`.

Option `ids`: a file of PMCIDs, one a line, to fetch instead of the whole inventory; `max_articles`; `licences`.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

from manifests.document import Document, Quarantined, Status
from manifests.errors import RecipeError, SourceError
from manifests.licences import decide
from manifests.store import Store
from scrapers.capture import Listing, Wanted, capture
from scrapers.formats import jats
from scrapers.formats.errors import Unreadable
from scrapers.formats.jats import JatsArticle
from scrapers.formats.jsonl import opened
from scrapers.http_errors import Gone
from scrapers.options import checked
from scrapers.snapshot import is_complete, payload
from scrapers.source import AcquireContext, Item, SourceConfig

BUCKET = "pmc-oa-opendata"
BASE = f"https://{BUCKET}.s3.amazonaws.com"
INVENTORY = f"inventory-reports/{BUCKET}/metadata"
COMMERCIAL = ("CC0-1.0", "CC-BY-4.0", "CC-BY-SA-4.0")
"""Licences accepted by default. Versions are not compared: the bucket's codes state none."""

_KEY = re.compile(r"metadata/(PMC\d+)\.(\d+)\.json$")
_DAY = re.compile(r"/(\d{4}-\d\d-\d\dT\d\d-\d\dZ)/$")
_PREFIX = re.compile(rb"<Prefix>([^<]+)</Prefix>")
_XML_URL = re.compile(rf"s3://{BUCKET}/([^?]+\.xml)(?:\?md5=([0-9a-f]{{32}}))?$")
_TRUE = (True, 1, "true", "True", "yes", "Y")
_DAYS_TRIED = 5


class Loader:
    """The source `pmc`."""

    def __init__(self, config: SourceConfig) -> None:
        self.config = config
        self._options = checked(config, {"licences": list(COMMERCIAL), "ids": "", "max_articles": 0})
        self._accepted = frozenset(_family(str(licence)) for licence in self._options["licences"])

    def acquire(self, context: AcquireContext) -> None:
        if is_complete(context.raw):
            return
        refused: list[tuple[str, str, str]] = []

        def discover(listing: Listing) -> Iterator[Wanted]:
            yield from self._discover(listing, refused)
            rows = "".join("\t".join(row) + "\n" for row in sorted(refused))
            context.raw.write_bytes("refused.tsv", f"pmcid\tversion\twhy\n{rows}".encode())

        capture(context, source=self.config.source, snapshot=self.config.snapshot, discover=discover)

    def _discover(self, listing: Listing, refused: list[tuple[str, str, str]]) -> Iterator[Wanted]:
        taken = 0
        for pmcid, versions in self._candidates(listing):
            found = _metadata(listing, pmcid, versions)
            if not found:
                continue
            chosen = chosen_version(found)
            why = self._refusal(chosen)
            if why:
                listing.count(f"refused: {why}")
                refused.append((pmcid, str(chosen["version"]), why))
                continue
            wanted = self._wanted(pmcid, chosen)
            if wanted is None:
                listing.count("refused: no XML")
                refused.append((pmcid, str(chosen["version"]), "no XML"))
                continue
            yield wanted
            taken += 1
            if taken == self._options["max_articles"]:
                listing.count("stopped at max_articles")
                return

    def _candidates(self, listing: Listing) -> Iterator[tuple[str, list[int]]]:
        """(PMCID, versions) to look at, by PMCID."""
        known = _inventory(listing)
        if not self._options["ids"]:
            yield from sorted(known.items())
            return
        for pmcid in _ids(Path(self._options["ids"])):
            if pmcid in known:
                yield pmcid, known[pmcid]
            else:
                listing.set_aside(pmcid, "extract.not_fetched", "The bucket's inventory has no such PMCID.")

    def _refusal(self, metadata: dict[str, Any]) -> str:
        """Why this version is not fetched; empty if it is."""
        if metadata.get("is_historical_ocr") in _TRUE:
            return "scanned, OCR text only"
        code = metadata.get("license_code")
        licence = decide([], [], code).licence if code else "unknown"
        return "" if _family(licence) in self._accepted else f"licence {code or 'not stated'}"

    def _wanted(self, pmcid: str, metadata: dict[str, Any]) -> Wanted | None:
        address = _XML_URL.match(str(metadata.get("xml_url") or ""))
        if address is None:
            return None
        meta = {name: metadata.get(name) for name in ("license_code", "pmid", "doi", "title", "version")}
        meta["manuscript"] = metadata.get("is_manuscript") in _TRUE
        # Most retracted articles bear no mark in their XML: the bucket's word is the one that counts.
        meta["retracted"] = metadata.get("is_retracted") in _TRUE
        url = f"{BASE}/{address[1]}"
        return Wanted(pmcid, url, meta=meta, expect_md5=address[2] or "", expect="xml")

    def read(self, item: Item, raw: Store, resolved: Any | None) -> Iterator[Document | Quarantined]:
        """The article, then its sub-articles and translated abstracts."""
        try:
            articles = jats.parse(payload(raw, item))
        except Unreadable as error:
            yield Quarantined(item.item, self.config.source, error.reason, error.detail, item.sha256)
            return
        meta = json.loads(item.meta)
        code = meta.get("license_code")
        for article in articles:
            yield self._document(article, item, meta, code)

    def _document(self, article: JatsArticle, item: Item, meta: dict[str, Any], code: str | None) -> Document:
        licence, evidence = joint_licence(article, code)
        whole = not article.part
        document = article_document(
            article,
            self.config,
            doc_id=f"{self.config.source}:{item.item}" + ("" if whole else f"#{article.part}"),
            url=f"https://pmc.ncbi.nlm.nih.gov/articles/{item.item}/",
            licence=licence,
            evidence=evidence,
            pmcid=item.item if whole else "",
            pmid=str(meta.get("pmid") or "") if whole else "",
            raw_ref=item.sha256,
        )
        if meta.get("retracted"):
            document.document_status = "retracted"
        return document


def chosen_version(found: list[dict[str, Any]]) -> dict[str, Any]:
    """The version that stands for the article: the newest if that is retracted, else the newest published one."""
    newest = max(found, key=lambda metadata: int(metadata["version"]))
    if newest.get("is_retracted") in _TRUE:
        return newest
    return max(found, key=lambda metadata: (metadata.get("is_manuscript") not in _TRUE, int(metadata["version"])))


def joint_licence(article: JatsArticle, code: str | None) -> tuple[str, str]:
    """(licence, evidence) of the bucket's code and the article's own permissions: the stricter one, never a guess."""
    own = article.licence
    if not code:
        return own, article.licence_evidence
    if own == "unknown":
        return decide([], [], code).licence, "bucket:license_code"
    if not own.removeprefix("LicenseRef-").startswith("CC"):
        return own, f"bucket:license_code+{article.licence_evidence} (conflict)"
    decision = decide([own.removeprefix("LicenseRef-")], [], code)
    evidence = f"bucket:license_code+{article.licence_evidence}"
    return decision.licence, f"{evidence} (conflict)" if decision.conflict else evidence


def article_document(
    article: JatsArticle,
    config: SourceConfig,
    *,
    doc_id: str,
    url: str,
    licence: str,
    evidence: str,
    pmcid: str,
    pmid: str,
    raw_ref: str,
) -> Document:
    """`article` as a document of the source `config`."""
    status: Status = "retracted" if article.retracted or article.article_type == "retraction" else "current"
    return Document(
        doc_id=doc_id,
        source=config.source,
        kind="abstract" if article.counts.get("extract.no_body") and article.abstract else config.kind,
        text=article.text,
        title=article.title,
        url=url,
        licence=licence,
        licence_evidence=evidence,
        lang=article.lang,
        year=article.year,
        published=article.published,
        raw_ref=raw_ref,
        document_status=status,
        restricted=config.restricted,
        pmid=article.pmid or pmid,
        pmcid=article.pmcid or pmcid,
        doi=article.doi,
        counts={**article.counts, **({"extract.notice": 1} if article.notice else {})},
    )


def _family(licence: str) -> str:
    """`CC-BY` of `CC-BY-4.0`, `LicenseRef-CC-BY` and `CC BY`: conditions without a version."""
    plain = licence.strip().removeprefix("LicenseRef-").upper().replace(" ", "-")
    return re.sub(r"-\d\.\d.*$", "", plain)


def _inventory(listing: Listing) -> dict[str, list[int]]:
    """PMCID -> versions, from the newest complete inventory."""
    page = listing.page(f"{BASE}/?list-type=2&prefix={INVENTORY}/&delimiter=/", expect="xml")
    days = sorted({found[1] for prefix in _PREFIX.findall(page) if (found := _DAY.search(prefix.decode()))})
    for day in reversed(days[-_DAYS_TRIED:]):
        try:
            manifest = json.loads(listing.page(f"{BASE}/{INVENTORY}/{day}/manifest.json", expect="json"))
        except Gone:
            continue  # the newest day appears before its manifest does
        return _versions(listing, manifest)
    raise SourceError(
        f"no complete inventory among {', '.join(days[-_DAYS_TRIED:]) or 'none'}.",
        where=f"{BASE}/{INVENTORY}/",
        why="The inventory names the articles; without it there is nothing to ask for.",
        fix="Try again tomorrow; if it stays so, the bucket's layout has changed and this loader must follow.",
    )


def _versions(listing: Listing, manifest: dict[str, Any]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for file in sorted(manifest["files"], key=lambda entry: str(entry["key"])):
        body = listing.page(f"{BASE}/{file['key']}", expect="gzip")
        text = io.TextIOWrapper(opened(io.BytesIO(body), str(file["key"])), encoding="utf-8", newline="")
        for row in csv.reader(text):
            key = _KEY.match(row[1]) if len(row) > 1 else None
            if key:
                found.setdefault(key[1], []).append(int(key[2]))
    return {pmcid: sorted(versions) for pmcid, versions in found.items()}


def _metadata(listing: Listing, pmcid: str, versions: Iterable[int]) -> list[dict[str, Any]]:
    """Metadata of each version that is still there."""
    urls = [f"{BASE}/metadata/{pmcid}.{version}.json" for version in versions]
    bodies = [body for body in listing.pages(urls, expect="json") if body is not None]
    if not bodies:
        # Between the inventory and now NLM has withdrawn it.
        listing.count("refused: withdrawn")
    return [cast("dict[str, Any]", json.loads(body)) for body in bodies]


def _ids(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").split()
    except OSError as error:
        raise RecipeError(
            f"the list of PMCIDs {str(path)!r} cannot be read: {error.strerror or error}.",
            where="[sources.pmc] options.ids",
            fix="Give a text file with one PMCID a line.",
        ) from None
    return sorted({line if line.startswith("PMC") else f"PMC{line}" for line in lines})
