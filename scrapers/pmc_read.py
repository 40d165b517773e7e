"""From an article's XML and what its door says of it to documents."""

from __future__ import annotations

import json
from collections.abc import Iterator

from manifests.document import Document, Quarantined, Status
from manifests.errors import RecipeError
from manifests.licences import classify, reconcile
from manifests.store import Store
from scrapers.formats import jats
from scrapers.formats.errors import Unreadable
from scrapers.formats.jats import JatsArticle
from scrapers.formats.jats_citations import CITATIONS
from scrapers.snapshot import payload
from scrapers.source import Item, SourceConfig

ON_CONFLICT = ("quarantine", "stricter")


def checked_on_conflict(value: str, *, where: str) -> str:
    """`value`; RecipeError unless it is one of `ON_CONFLICT`."""
    if value not in ON_CONFLICT:
        raise RecipeError(
            f"on_conflict is {value!r}.",
            where=where,
            why="An article whose two statements of its licence allow different things is put aside, or taken under"
            " the stricter one.",
            fix='Write on_conflict = "quarantine" or on_conflict = "stricter".',
        )
    return value


def checked_citations(value: str, *, where: str) -> str:
    """`value`; RecipeError unless it is one of `CITATIONS`."""
    if value not in CITATIONS:
        raise RecipeError(
            f"citations is {value!r}.",
            where=where,
            why="Citation marks are dropped, kept as the article writes them, or replaced by title and author.",
            fix='Write citations = "drop", "keep" or "bib_ref".',
        )
    return value


def read_article(
    item: Item, raw: Store, config: SourceConfig, *, on_conflict: str, citations: str = "drop"
) -> Iterator[Document | Quarantined]:
    """The article of `item`, then its sub-articles and translated abstracts.

    `item` is named by its PMCID and its meta are those of `scrapers.pmc_bucket.Version`.
    """
    meta = json.loads(item.meta)
    code = meta.get("license_code")
    try:
        articles = jats.parse(payload(raw, item), citations)
    except Unreadable as error:
        yield Quarantined(item.item, config.source, error.reason, error.detail, item.sha256)
        return
    conflict = next((told for one in articles if (told := licence_conflict(one, code))), "")
    if conflict and on_conflict == "quarantine":
        yield Quarantined(item.item, config.source, "extract.licence_conflict", conflict, item.sha256)
        return
    for article in articles:
        decision = reconcile(article.licence, article.licence_evidence, code)
        whole = not article.part
        document = article_document(
            article,
            config,
            doc_id=f"{config.source}:{item.item}" + ("" if whole else f"#{article.part}"),
            url=f"https://pmc.ncbi.nlm.nih.gov/articles/{item.item}/",
            licence=decision.licence,
            evidence=decision.evidence + " (conflict)" * decision.conflict,
            pmcid=item.item if whole else "",
            pmid=str(meta.get("pmid") or "") if whole else "",
            raw_ref=item.sha256,
        )
        if whole and not document.doi:
            document.doi = str(meta.get("doi") or "")
        if whole:
            document.family = str(meta.get("family") or "")
        # Most retracted articles bear no mark in their XML: the door's word counts.
        if meta.get("retracted"):
            document.document_status = "retracted"
        elif meta.get("superseded"):
            document.document_status = "superseded"
        yield document


def licence_conflict(article: JatsArticle, code: str | None) -> str:
    """How the bucket's `code` and the article's own permissions contradict each other; empty if they do not."""
    if not reconcile(article.licence, article.licence_evidence, code).conflict:
        return ""
    bucket = reconcile("unknown", "none", code).licence
    return (
        f"The bucket says {code} ({classify(bucket).use} use), the article itself {article.licence}"
        f" ({classify(article.licence).use}), from {article.licence_evidence}."
    )


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
        indexing=(
            *([f"journal:{article.journal}"] if article.journal else []),
            *([f"type:{article.article_type}"] if article.article_type else []),
        ),
        counts={**article.counts, **({"extract.notice": 1} if article.notice else {})},
    )
