"""PubMed's bulk XML of sample abstracts: header, skeleton and element order as in NLM's files of 2026."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from scrapers.sample.literature import Abstract

_HEADER = (
    '<?xml version="1.0" encoding="utf-8"?>\n'
    '<!DOCTYPE PubmedArticleSet PUBLIC "-//NLM//DTD PubMedArticle, 1st January 2026//EN" '
    '"https://dtd.nlm.nih.gov/ncbi/pubmed/out/pubmed_260101.dtd">\n<PubmedArticleSet>\n'
)
_NLM_CATEGORY = {"BACKGROUND": "BACKGROUND", "OBJECTIVE": "OBJECTIVE", "METHODS": "METHODS", "RESULTS": "RESULTS"}


def medline_file(records: Sequence[Abstract], deleted: Sequence[str] = ()) -> bytes:
    """One file of the baseline or of the updates; `deleted` PMIDs are withdrawn after its records."""
    parts = [_HEADER, *(_record(record) for record in records)]
    if deleted:
        pmids = "".join(f'    <PMID Version="1">{pmid}</PMID>\n' for pmid in deleted)
        parts.append(f"  <DeleteCitation>\n{pmids}  </DeleteCitation>\n")
    parts.append("</PubmedArticleSet>\n")
    return "".join(parts).encode()


def _record(record: Abstract) -> str:
    ids = [("pubmed", record.pmid), ("doi", record.doi), ("pmc", record.pmcid)]
    types = "".join(
        f"<PublicationType UI={quoteattr(ui)}>{escape(name)}</PublicationType>" for ui, name in record.types
    )
    vernacular = f"        <VernacularTitle>{escape(record.vernacular_title)}</VernacularTitle>\n"
    corrections = ""
    if record.retraction_in:
        corrections = (
            '      <CommentsCorrectionsList><CommentsCorrections RefType="RetractionIn">'
            f'<RefSource>Retracted</RefSource><PMID Version="1">{record.retraction_in}</PMID></CommentsCorrections>'
            "</CommentsCorrectionsList>\n"
        )
    # A reference list full of other articles' ids, as in every real record: none of them is this record's.
    reference = (
        "<ReferenceList><Reference><Citation>Bexley C. Model Med J. 2011</Citation><ArticleIdList>"
        '<ArticleId IdType="pubmed">11111111</ArticleId><ArticleId IdType="doi">10.99999/other.1</ArticleId>'
        "</ArticleIdList></Reference></ReferenceList>"
    )
    return (
        '  <PubmedArticle>\n    <MedlineCitation Status="MEDLINE" Owner="NLM" IndexingMethod="Automated">\n'
        f'      <PMID Version="{record.version}">{record.pmid}</PMID>\n'
        f"      <DateRevised><Year>{record.year}</Year><Month>12</Month><Day>30</Day></DateRevised>\n"
        '      <Article PubModel="Print-Electronic">\n'
        f'        <Journal><JournalIssue CitedMedium="Internet"><Volume>7</Volume><PubDate><Year>{record.year}</Year>'
        f"<Month>{record.month}</Month></PubDate></JournalIssue><Title>{escape(record.journal)}</Title></Journal>\n"
        f"        <ArticleTitle>{_inline(record.title)}</ArticleTitle>\n"
        f'        <ELocationID EIdType="doi" ValidYN="Y">{record.doi}</ELocationID>\n'
        f"{_abstract(record)}"
        '        <AuthorList CompleteYN="Y"><Author ValidYN="Y"><LastName>Selwick</LastName><ForeName>R</ForeName>'
        "<AffiliationInfo><Affiliation>Example Institute. rselwick@example.org.</Affiliation></AffiliationInfo>"
        "</Author></AuthorList>\n"
        f"        <Language>{record.language}</Language>\n"
        f"        <PublicationTypeList>{types}</PublicationTypeList>\n"
        + (vernacular if record.vernacular_title else "")
        + "      </Article>\n      <MedlineJournalInfo><Country>Nowhere</Country><MedlineTA>Sample</MedlineTA>"
        "</MedlineJournalInfo>\n"
        + corrections
        + "".join(
            f'      <OtherAbstract Type="{kind}" Language="{language}"><AbstractText>{_inline(text)}</AbstractText>'
            "</OtherAbstract>\n"
            for kind, language, text in record.other
        )
        + "    </MedlineCitation>\n    <PubmedData>\n      <PublicationStatus>ppublish</PublicationStatus>\n"
        + "      <ArticleIdList>"
        + "".join(f'<ArticleId IdType="{kind}">{value}</ArticleId>' for kind, value in ids if value)
        + f"</ArticleIdList>\n      {reference}\n    </PubmedData>\n  </PubmedArticle>\n"
    )


def _abstract(record: Abstract) -> str:
    if not record.sections:
        return ""
    texts = "".join(
        f"          <AbstractText Label={quoteattr(label)} NlmCategory="
        f'"{_NLM_CATEGORY.get(label, "CONCLUSIONS")}">{_inline(text)}</AbstractText>\n'
        if label
        else f"          <AbstractText>{_inline(text)}</AbstractText>\n"
        for label, text in record.sections
    )
    return f"        <Abstract>\n{texts}        </Abstract>\n"


def _inline(text: str) -> str:
    """Escaped, with the powers of ten set as superscripts, as publishers send them."""
    return escape(text).replace("10^9", "10<sup>9</sup>")
