"""PubMed's bulk XML as records, one at a time in constant memory.

Own identifiers only (reference lists hold many others), structured abstracts as `LABEL: text`, other-language and
plain-language abstracts apart, deletions yielded where the file has them. A record that cannot be read is yielded as
`Broken`, and the next one is read. Nothing is merged here: which revision of a PMID counts is decided over all files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import IO, Any

from lxml import etree

from scrapers.formats import xml_safe
from scrapers.formats.errors import Unreadable
from scrapers.formats.jats_inline import Context, child_of
from scrapers.formats.languages import iso_639_1
from scrapers.formats.medline_cut import Cut, cuts
from scrapers.formats.medline_fields import abstract, copyright_line, headings, identifiers, plain, published, title
from scrapers.formats.medline_records import STANDING, Broken, Deleted, Identity, MedlineRecord, OtherAbstract

__all__ = ("Broken", "Deleted", "Identity", "MedlineRecord", "OtherAbstract", "identities", "parse", "record")

_OF_ARTICLE = (
    "Journal",
    "ArticleTitle",
    "Abstract",
    "Language",
    "PublicationTypeList",
    "VernacularTitle",
    "ArticleDate",
)
_OF_BOOK = (
    "PMID",
    "Book",
    "ArticleTitle",
    "VernacularTitle",
    "Language",
    "Abstract",
    "ContributionDate",
)

_PARSER = etree.XMLParser(**xml_safe.PARSER_OPTIONS)
_PMID = re.compile(
    rb"<PubmedArticle(?:\s[^<>]*)?>\s*<MedlineCitation(\s[^<>]*)?>\s*"
    rb"""<PMID(?:\s+Version\s*=\s*["'](\d{1,4})["'])?\s*>\s*(\d+)\s*</PMID>"""
)
_VERSION_ID = re.compile(rb"""\sVersionID\s*=\s*["'](\d{1,4})["']""")
_NOT_READ = tuple((f"<{name}".encode(), f"</{name}>".encode()) for name in ("AuthorList", "History", "ReferenceList"))
_AGAIN = re.compile(rb"\s*")


def parse(stream: IO[bytes]) -> Iterator[MedlineRecord | Deleted | Broken]:
    """Records and deletions in file order; Unreadable after the last one when the stream is damaged or cut short."""
    for cut in cuts(stream):
        if cut.name == "DeleteCitation":
            yield from _deletions(cut)
            continue
        try:
            yield record(_tree(cut))
        except Unreadable as error:
            identity = _identity(cut)
            yield Broken(identity.pmid, identity.version, error.reason, error.detail)


def identities(stream: IO[bytes]) -> Iterator[Identity | Deleted]:
    """One for each that `parse` gives of the same stream, without making records: a fifth of the time.

    A record that cannot be read counts as what its PMID says: older revisions of it are out of date all the same.
    """
    for cut in cuts(stream):
        if cut.name == "DeleteCitation":
            yield from (Identity("", 1) if isinstance(one, Broken) else one for one in _deletions(cut))
        else:
            yield _identity(cut)


def record(element: Any) -> MedlineRecord:
    """One `PubmedArticle` or `PubmedBookArticle` as a record; Unreadable when it has no PMID."""
    if element.tag == "PubmedBookArticle":
        return _book(element)
    citations = [*element.iterchildren("MedlineCitation")]
    if len(citations) != 1:
        raise Unreadable("extract.bad_record", f"{len(citations)} citations in one record.")
    citation = citations[0]
    parts = _children(citation, "PMID", "Article", "CommentsCorrectionsList", "MeshHeadingList")
    identity = _number(parts.get("PMID"), citation)
    article = parts.get("Article")
    found = _children(article, *_OF_ARTICLE)
    journal = _children(found.get("Journal"), "JournalIssue", "Title")
    issue = journal.get("JournalIssue")
    data = child_of(element, "PubmedData")
    ids = identifiers(data.iterchildren("ArticleIdList")) if data is not None else {}
    corrections = parts.get("CommentsCorrectionsList")
    links = corrections.iterchildren("CommentsCorrections") if corrections is not None else ()
    types = found.get("PublicationTypeList")
    names, standing = _standing(
        types.iterchildren("PublicationType") if types is not None else (), [one.get("RefType", "") for one in links]
    )
    context = Context()
    text = abstract(found["Abstract"], context) if "Abstract" in found else ""
    year, date = published(
        child_of(issue, "PubDate") if issue is not None else None,
        found.get("ArticleDate"),
    )
    return MedlineRecord(
        pmid=identity.pmid,
        version=identity.version,
        title=title(found.get("ArticleTitle"), context),
        abstract=text,
        other_abstracts=[
            OtherAbstract(iso_639_1(other.get("Language", "")), other.get("Type", ""), other_text)
            for other in citation.iterchildren("OtherAbstract")
            if (other_text := abstract(other, context, english=other.get("Language", "eng") == "eng"))
        ],
        year=year,
        published=date,
        language=iso_639_1(_line(found.get("Language"))),
        vernacular_title=plain(found.get("VernacularTitle"), context, english=False),
        pmcid=_pmcid(ids.get("pmc", "")),
        doi=ids.get("doi", "") or _doi(article),
        publication_types=names,
        standing=standing,
        copyright=copyright_line(found["Abstract"], text, context) if "Abstract" in found else "",
        counts=context.counts,
        journal=_line(journal.get("Title")),
        mesh=headings(parts.get("MeshHeadingList")),
    )


def _book(element: Any) -> MedlineRecord:
    """A book or chapter of NCBI's Bookshelf, which E-utilities give among articles."""
    document: Any = child_of(element, "BookDocument")
    found = _children(document, *_OF_BOOK)
    identity = _number(found.get("PMID"), None)
    book = _children(found.get("Book"), "PubDate", "BookTitle")
    data = child_of(element, "PubmedBookData")
    ids = identifiers(data.iterchildren("ArticleIdList")) if data is not None else {}
    ids |= identifiers(document.iterchildren("ArticleIdList"))
    names, standing = _standing(document.iterchildren("PublicationType"), ())
    context = Context()
    text = abstract(found["Abstract"], context) if "Abstract" in found else ""
    # A chapter may be younger than its book.
    year, date = published(found.get("ContributionDate"), book.get("PubDate"))
    return MedlineRecord(
        pmid=identity.pmid,
        version=identity.version,
        title=title(found.get("ArticleTitle", book.get("BookTitle")), context),
        abstract=text,
        other_abstracts=[],
        year=year,
        published=date,
        language=iso_639_1(_line(found.get("Language"))),
        vernacular_title=plain(found.get("VernacularTitle"), context, english=False),
        pmcid=_pmcid(ids.get("pmc", "")),
        doi=ids.get("doi", ""),
        publication_types=names,
        standing=standing,
        copyright=copyright_line(found["Abstract"], text, context) if "Abstract" in found else "",
        counts=context.counts,
    )


def _standing(types: Iterable[Any], links: Iterable[str]) -> tuple[list[str], frozenset[str]]:
    """(names of the publication types, what of them and of the links says how the work stands)."""
    names: list[str] = []
    found: list[str] = [*links]
    for one in types:
        names.append((one.text or "").strip())
        found.append(one.get("UI", ""))
    return names, STANDING.intersection(found) | STANDING.intersection(names)


def _tree(cut: Cut) -> Any:
    """The element of one record; Unreadable when it is refused or broken."""
    if cut.refused:
        raise cut.refused
    if not cut.head.needed:
        # An entity or a prefix that only the head declares is met by few.
        with suppress(etree.XMLSyntaxError):
            return etree.fromstring(cut.data if cut.marked else _without_lists(cut.data), _PARSER)
    root = xml_safe.parse(cut.head.before + cut.data + cut.head.after)
    return root if root.tag == cut.name else child_of(root, cut.name)


def _without_lists(data: bytes) -> bytes:
    """`data` without the blocks that nothing here reads, which are a third to a half of the bytes.

    Looked for in the order of NLM's DTD. Cut is from a start tag to the next end tag, only if no such block begins
    between: what a cut takes is then one element, and damage outside of it is still seen by the parser.
    """
    kept: list[bytes] = []
    at = 0
    for opened, closed in _NOT_READ:
        start = data.find(opened, at)
        while start >= 0:
            end = data.find(closed, start)
            if end < 0 or data.find(opened, start + 1, end) >= 0:
                break
            kept.append(data[at:start])
            at = end + len(closed)
            again = _AGAIN.match(data, at)
            start = again.end() if again and data.startswith(opened, again.end()) else -1
    kept.append(data[at:])
    return b"".join(kept)


def _deletions(cut: Cut) -> Iterator[Deleted | Broken]:
    try:
        for pmid in _tree(cut).iterchildren("PMID"):
            yield Deleted((pmid.text or "").strip(), _version(pmid.get("Version")))
    except Unreadable as error:
        yield Broken("", 1, error.reason, f"A list of deletions. {error.detail}")


def _identity(cut: Cut) -> Identity:
    """Of a record, broken or not."""
    stated = _PMID.match(cut.data)
    if stated:
        attributes, version, pmid = stated.groups()
        if not version and attributes and (of_citation := _VERSION_ID.search(attributes)):
            version = of_citation[1]
        return Identity(pmid.decode(), _version(version.decode() if version else None))
    try:
        element = _tree(cut)
        inner = child_of(element, "MedlineCitation" if cut.name == "PubmedArticle" else "BookDocument")
        return _number(child_of(inner, "PMID") if inner is not None else None, inner)
    except Unreadable:
        return Identity("", 1)


def _number(pmid: Any | None, citation: Any | None) -> Identity:
    number = (pmid.text or "").strip() if pmid is not None else ""
    if pmid is None or not number:
        raise Unreadable("extract.bad_record", "A record without a PMID.")
    return Identity(
        number, _version(pmid.get("Version") or (citation.get("VersionID") if citation is not None else None))
    )


def _version(value: str | None) -> int:
    return int(value) if value and value.isdecimal() and len(value) < 5 else 1


def _children(element: Any | None, *tags: str) -> dict[str, Any]:
    """The first child of each name."""
    found: dict[str, Any] = {}
    if element is not None:
        for child in element.iterchildren(*tags):
            found.setdefault(child.tag, child)
    return found


def _line(element: Any | None) -> str:
    return " ".join((element.text or "").split()) if element is not None else ""


def _pmcid(value: str) -> str:
    return f"PMC{value.upper().removeprefix('PMC')}" if value else ""


def _doi(article: Any | None) -> str:
    for found in article.iterchildren("ELocationID") if article is not None else ():
        if found.get("EIdType") == "doi" and found.get("ValidYN", "Y") == "Y":
            return (found.text or "").strip()
    return ""
