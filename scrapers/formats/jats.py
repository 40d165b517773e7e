"""JATS XML (PMC, Europe PMC, SciELO, publishers) as articles of text.

One file gives the article, then each sub-article or response (`s1`, `s2`, ...) and each translated abstract (`a1`,
...) as texts of their own. Body, abstracts, captions, tables, formulas and floats are content; references,
acknowledgements and declarations leave as whole blocks and are counted. Elements are told by their local name, so
any JATS or NLM version reads alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from lxml import etree

from scrapers.formats import jats_floats as _floats  # noqa: F401  (registers figures, tables and footnotes)
from scrapers.formats import jats_lists as _lists  # noqa: F401  (registers lists)
from scrapers.formats import xml_safe
from scrapers.formats.errors import Unreadable
from scrapers.formats.inline import collapse, normalise
from scrapers.formats.jats_blocks import heading, render, render_one, title_of
from scrapers.formats.jats_citations import CITATIONS, References, dropped, kept, with_marks, without_marks
from scrapers.formats.jats_front import XML_LANG, Front, read_front
from scrapers.formats.jats_inline import TRANSPARENT, Context, child_of, inline_text, loose_texts
from scrapers.formats.jats_removed import removed_by_title
from scrapers.formats.languages import iso_639_1

NOTICES = frozenset(
    {
        "correction",
        "corrected-article",
        "retraction",
        "partial-retraction",
        "addendum",
        "expression-of-concern",
        "erratum",
    }
)
"""Article types that are about another article."""

_SHORT_ABSTRACTS = frozenset({"teaser", "toc", "precis", "short", "web-summary"})
_ABSTRACT_TITLES = {
    "graphical": "Graphical abstract",
    "key-points": "Key points",
    "executive-summary": "Executive summary",
    "lay-summary": "Lay summary",
    "lay-abstract": "Lay abstract",
    "plain-language-summary": "Plain language summary",
    "author-highlights": "Highlights",
    "highlights": "Highlights",
    "editors-summary": "Editors' summary",
    "longsummary": "Summary",
    "patient": "Patient summary",
}
_RETRACTED_TITLE = re.compile(r"\s*\[?(?:retracted(?:\s+article)?|withdrawn)\s*(?::|\]|-|\u2013|\.)", re.I)
_CONTAINERS = frozenset({"articles", "pmc-articleset", "article-set"})


@dataclass(slots=True)
class JatsArticle:
    """One text of a JATS file. Empty string = the file does not say."""

    article_type: str
    text: str
    """Title, abstracts, body, back matter and floats in the corpus's text convention."""
    title: str
    abstract: str
    """The main abstract alone, without its heading."""
    pmid: str
    pmcid: str
    """`PMC` + digits; empty for sub-articles and translated abstracts, which have no record of their own."""
    doi: str
    lang: str
    year: int | None
    published: str
    licence: str
    licence_evidence: str
    part: str
    """Empty for the article, `s1`... for sub-articles and responses, `a1`... for translated abstracts."""
    notice: bool
    """A correction, retraction notice, addendum or expression of concern."""
    retracted: bool
    """Marked as retracted in the file itself; most retracted articles are not, their index says so."""
    counts: dict[str, int] = field(default_factory=dict)
    journal: str = ""
    """Empty for sub-articles and translated abstracts."""


def parse(data: bytes, citations: str = "drop") -> list[JatsArticle]:
    """Every text in `data`, the article first; Unreadable when it is no JATS, broken or unsafe.

    `citations` is one of `jats_citations.CITATIONS`.
    """
    if citations not in CITATIONS:
        raise ValueError(f"citations is {citations!r}, not one of {', '.join(CITATIONS)}")
    root = xml_safe.parse(data)
    _drop_namespace(root)
    etree.strip_tags(root, *TRANSPARENT)
    try:
        if root.tag == "article":
            return list(_texts(root, citations))
        if root.tag in _CONTAINERS:
            return [text for article in root.iterfind("article") for text in _texts(article, citations)]
    except RecursionError:
        raise Unreadable("extract.unsafe", "Elements nested beyond the limit.") from None
    raise Unreadable("extract.not_a_document", "The root element is not a JATS article.")


def _drop_namespace(root: Any) -> None:
    """JATS 1.4 from OAI-PMH has a default namespace; the same file from the bucket has none."""
    tag = root.tag
    own = tag.partition("}")[0] + "}" if tag.startswith("{") else ""
    if root.tag.rpartition("}")[2] in _CONTAINERS or "OAI-PMH" in tag:
        first = root.find(".//{*}article")
        own = first.tag.partition("}")[0] + "}" if first is not None and first.tag.startswith("{") else own
    if own:
        for element in root.iter(f"{own}*"):
            element.tag = element.tag[len(own) :]


def _texts(article: Any, citations: str) -> Iterator[JatsArticle]:
    references = References.of(article) if citations == "bib_ref" else None
    cited = references.cite if references is not None else kept if citations == "keep" else dropped(article)

    def context() -> Context:
        return Context(cited=cited, references=references)

    main = _article(article, context(), part="", parent=None)
    yield main
    # They stand beside the body, never in it, and the body is most of the file.
    beside = (child for child in article if child.tag not in ("front", "body", "back", "floats-group"))
    subs = (sub for child in beside for sub in child.iter("sub-article", "response"))
    for number, sub in enumerate(subs, start=1):
        yield _article(sub, context(), part=f"s{number}", parent=main)
    yield from _translated_abstracts(article, main, context)


def _article(element: Any, context: Context, *, part: str, parent: JatsArticle | None) -> JatsArticle:
    meta = element.find("front/article-meta")
    if meta is None:
        meta = element.find("front-stub")
    front = read_front(meta, context)
    lang = iso_639_1(element.get(XML_LANG, "")) or (parent.lang if parent else "")
    blocks: list[str] = [heading(1, front.title)] if front.title else []
    abstract = _abstracts(meta, lang, blocks, context) if meta is not None else ""
    body = element.find("body")
    if body is not None:
        render(body, blocks, 2, context)
    else:
        context.count("extract.no_body")
    for name in ("back", "floats-group", "floats-wrap"):
        found = element.find(name)
        if found is not None:
            render(found, blocks, 2, context)
    article_type = (element.get("article-type") or element.get("response-type") or "").strip()
    return _assembled(
        element,
        front,
        blocks,
        context,
        abstract=abstract,
        lang=lang,
        part=part,
        parent=parent,
        article_type=article_type,
    )


def _assembled(
    element: Any,
    front: Front,
    blocks: list[str],
    context: Context,
    *,
    abstract: str,
    lang: str,
    part: str,
    parent: JatsArticle | None,
    article_type: str,
) -> JatsArticle:
    if article_type in NOTICES:
        context.count("extract.notice")
    if front.licence is not None:
        licence, evidence = front.licence.licence, front.licence.evidence
    else:
        licence, evidence = (parent.licence, parent.licence_evidence) if parent else ("unknown", "none")
    return JatsArticle(
        article_type=article_type,
        text=with_marks(normalise("\n\n".join(blocks)), context.counts),
        title=without_marks(normalise(front.title)),
        abstract=without_marks(normalise(abstract)),
        pmid="" if part else front.pmid,
        pmcid="" if part else front.pmcid,
        doi=front.doi if not (parent and front.doi == parent.doi) else "",
        lang=lang,
        year=front.year or (parent.year if parent else None),
        published=front.published or (parent.published if parent else ""),
        licence=licence,
        licence_evidence=evidence,
        part=part,
        notice=article_type in NOTICES,
        retracted=article_type == "retracted-article" or bool(_RETRACTED_TITLE.match(front.title)),
        counts=context.counts,
        journal=" ".join((element.findtext("front/journal-meta//journal-title") or "").split()),
    )


def _abstracts(meta: Any, lang: str, blocks: list[str], context: Context) -> str:
    """Append every abstract that is text of this article; returns the main one."""
    main = summary = ""
    for element in meta.iterfind("abstract"):
        kind = (element.get("abstract-type") or "").strip().lower()
        if kind in _SHORT_ABSTRACTS:
            context.leave_out("short_abstracts", element)
            continue
        parts = _abstract_blocks(element, context)
        if not parts:
            continue
        title = title_of(element, context) or _ABSTRACT_TITLES.get(kind, "Abstract")
        blocks.append(heading(2, title))
        blocks += parts
        if kind in ("", "abstract", "structured"):
            main = main or "\n\n".join(parts)
        elif kind == "summary":
            summary = summary or "\n\n".join(parts)
    return main or summary


def _abstract_blocks(element: Any, context: Context) -> list[str]:
    """Blocks of an abstract; sections of a structured one as `LABEL: text`."""
    blocks: list[str] = []
    loose = (element.text or "").strip() or any((child.tail or "").strip() for child in element)
    if loose and child_of(element, "sec") is None:
        render(element, blocks, 3, context, skip=("title", "label"))
        return blocks
    for child in element:
        if child.tag in ("title", "label"):
            continue
        parts: list[str] = []
        if child.tag == "sec":
            label = collapse(title_of(child, context)).rstrip(".:")
            removed = removed_by_title(label)
            if removed:
                context.leave_out(removed, child)
                continue
            render(child, parts, 3, context, skip=("title", "label"))
            if label and parts:
                parts[0] = f"{label}: {parts[0]}"
        else:
            render_one(child, parts, 3, context)
        blocks += parts
    if loose:
        blocks += loose_texts(element)
    return blocks


def _translated_abstracts(article: Any, main: JatsArticle, new_context: Callable[[], Context]) -> Iterator[JatsArticle]:
    meta = article.find("front/article-meta")
    if meta is None:
        return
    titles = {found.get(XML_LANG, ""): found for found in meta.iterfind("title-group/trans-title-group")}
    number = 0
    for element in meta.iterfind("trans-abstract"):
        context = new_context()
        parts = _abstract_blocks(element, context)
        if not parts:
            continue
        number += 1
        code = element.get(XML_LANG, "")
        title = ""
        group = titles.get(code)
        if group is not None and group.find("trans-title") is not None:
            title = inline_text(group.find("trans-title"), context)
        front = Front(title, "", "", "", None, "", None)
        blocks = ([heading(1, title)] if title else []) + parts
        yield _assembled(
            element,
            front,
            blocks,
            context,
            abstract="\n\n".join(parts),
            lang=iso_639_1(code),
            part=f"a{number}",
            parent=main,
            article_type="trans-abstract",
        )
