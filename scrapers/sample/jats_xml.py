"""JATS XML of sample articles, in the shape of the article bucket's files: archiving 1.4 without a namespace."""

from __future__ import annotations

from xml.sax.saxutils import escape

from scrapers.sample.literature import Article, Section

_LICENCES = {
    "CC BY": ("http://creativecommons.org/licenses/by/4.0/", "Creative Commons Attribution 4.0 International License"),
    "CC0": ("http://creativecommons.org/publicdomain/zero/1.0/", "Creative Commons CC0 1.0 public domain dedication"),
    "CC BY-NC": (
        "http://creativecommons.org/licenses/by-nc/4.0/",
        "Creative Commons Attribution-NonCommercial 4.0 International License",
    ),
}


def _cited(text: str) -> str:
    """An entry `Surname A, Surname B. Title. Rest` with its people and its title marked up, as most journals do."""
    people, title, rest = text.split(". ", 2)
    names = [escape(one).split(" ") for one in people.split(", ")]
    marked = ", ".join(
        f"<string-name><surname>{surname}</surname> <given-names>{initial}</given-names></string-name>"
        for surname, initial in names
    )
    return f"{marked}. <article-title>{escape(title)}</article-title>. {escape(rest)}"


def jats_file(article: Article, *, permissions_code: str | None = None) -> bytes:
    """`article` as JATS; `permissions_code`: the licence its own permissions state, else its `licence_code`."""
    code = permissions_code or article.licence_code or ""
    abstract = "".join(
        f"<sec><title>{escape(label.capitalize())}</title><p>{_inline(text)}</p></sec>"
        for label, text in article.abstract
    )
    references = "".join(
        f'<ref id="B{n}"><label>{n}</label><mixed-citation>{_cited(text)}</mixed-citation></ref>'
        for n, text in enumerate(article.references, 1)
    )
    keywords = "".join(f"<kwd>{escape(word)}</kwd>" for word in article.keywords)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<!DOCTYPE article PUBLIC "-//NLM//DTD JATS (Z39.96) Journal Archiving and Interchange DTD with MathML3 '
        'v1.4 20241031//EN" "JATS-archivearticle1-4-mathml3.dtd">\n'
        '<article xmlns:mml="http://www.w3.org/1998/Math/MathML" xmlns:xlink="http://www.w3.org/1999/xlink" '
        'xml:lang="en" article-type="research-article" dtd-version="1.4">\n<front>\n'
        f"<journal-meta><journal-title-group><journal-title>{escape(article.journal)}</journal-title>"
        "</journal-title-group></journal-meta>\n<article-meta>\n"
        f'<article-id pub-id-type="pmcid">{article.pmcid}</article-id>\n'
        f'<article-id pub-id-type="pmid">{article.pmid}</article-id>\n'
        f'<article-id pub-id-type="doi">{article.doi}</article-id>\n'
        f"<title-group><article-title>{_inline(article.title.rstrip('.'))}</article-title></title-group>\n"
        '<contrib-group><contrib contrib-type="author"><name><surname>Tarrant</surname><given-names>E</given-names>'
        "</name></contrib></contrib-group>\n"
        f'<pub-date pub-type="epub"><day>4</day><month>3</month><year>{article.year}</year></pub-date>\n'
        f"{_permissions(code, article.year)}<abstract>{abstract}</abstract>\n"
        f"<kwd-group>{keywords}</kwd-group>\n</article-meta>\n</front>\n<body>\n"
        + "".join(_section(section, number) for number, section in enumerate(article.sections, 1))
        + "</body>\n<back><ack><title>Acknowledgements</title><p>We thank nobody, for nothing was done.</p></ack>\n"
        f"<ref-list><title>References</title>{references}</ref-list></back>\n</article>\n"
    ).encode()


def _permissions(code: str, year: int) -> str:
    if code not in _LICENCES:
        reserved = f"&#xa9; {year} The Publisher. All rights reserved."
        return f"<permissions><copyright-statement>{reserved}</copyright-statement></permissions>\n"
    url, name = _LICENCES[code]
    return (
        f"<permissions><copyright-year>{year}</copyright-year><license><license-p>This article is distributed under "
        f'the terms of the <ext-link ext-link-type="uri" xlink:href="{url}">{name}</ext-link>.</license-p></license>'
        "</permissions>\n"
    )


def _section(section: Section, number: int) -> str:
    paragraphs = []
    for place, text in enumerate(section.paragraphs):
        mark = f'<sup>[<xref ref-type="bibr" rid="B{place + 1}">{place + 1}</xref>]</sup>' if place < 4 else ""
        body, dot = (text[:-1], ".") if text.endswith(".") else (text, "")
        paragraphs.append(f"<p>{_inline(body)}{mark}{dot}</p>\n")
    return (
        f'<sec id="s{number}"><title>{escape(section.title)}</title>\n{"".join(paragraphs)}'
        f"{_table(section, number)}{_formula(section)}</sec>\n"
    )


def _table(section: Section, number: int) -> str:
    if not section.table:
        return ""
    head, *rows = section.table
    return (
        f'<table-wrap id="T{number}"><label>Table {number}</label><caption><p>{escape(section.caption)}</p></caption>'
        "<table><thead><tr>"
        + "".join(f"<th>{escape(cell)}</th>" for cell in head)
        + "</tr></thead><tbody>"
        + "".join("<tr>" + "".join(f"<td>{_inline(cell)}</td>" for cell in row) + "</tr>" for row in rows)
        + "</tbody></table></table-wrap>\n"
    )


def _formula(section: Section) -> str:
    if not section.formula:
        return ""
    tex, mathml = section.formula
    return f"<disp-formula><alternatives><tex-math>$${escape(tex)}$$</tex-math>{mathml}</alternatives></disp-formula>\n"


def _inline(text: str) -> str:
    return escape(text).replace("10^9", "10<sup>9</sup>")
