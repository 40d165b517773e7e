"""HTML pages: each rule on a small page, charsets, finding the main content, and no number lost."""

from __future__ import annotations

import os
import re
import tarfile
from collections import Counter
from html import escape, unescape
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from scrapers.formats import ngc
from scrapers.formats.errors import Unreadable
from scrapers.formats.html import html_to_text

REALDATA = os.environ.get("MEDTROVE_REALDATA")


def text(markup: str) -> str:
    return html_to_text(f"<html><body><nav>menu 9</nav><main>{markup}</main></body></html>", root="main").text


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        ("<h1>Title</h1><h3>Deep</h3><p>a</p>", "# Title\n\n### Deep\n\na"),
        ("<p>p <0.05 and <120 mg, <2 years, &lt;=5</p>", "p <0.05 and <120 mg, <2 years, <=5"),
        ("<p>10<sup>-3</sup> m<sup>2</sup> CO<sub>2</sub></p>", "10^-3 m^2 CO2"),
        ("<p>See <a href='/x'>the dose table</a> now</p>", "See the dose table now"),
        ("<p>Use it [strong recommendation] [2015, amended 2021]</p>",
         "Use it [strong recommendation] [2015, amended 2021]"),
        ("<ul><li>one (500 mg)<ol><li>two</li></ol></li><li><p>a</p><p>b</p></li></ul>",
         "- one (500 mg)\n  - two\n- a\n  b"),
        ("<ul><li>one</li><ul><li>nested</li></ul></ul>", "- one\n  - nested"),
        ("<p>Give <del>5</del><ins>10</ins> mg</p>", "Give 10 mg"),
        ("<p>a<img src='data:image/png;base64,AAAA'>b</p>", "ab"),
        ("<p>one<br>two<br><br>three</p>", "one\ntwo\n\nthree"),
        ("<div>a<div>b</div>c</div>", "a\n\nb\n\nc"),
        ("<dl><dt>Dose</dt><dd>5 mg</dd><dt>Route</dt><dd>oral</dd></dl>", "- Dose: 5 mg\n- Route: oral"),
        ("<pre>a\n  b</pre>", "```\na\n  b\n```"),
        ("<p>shown<sup><a href='#ref1'>1</a>,<a href='#ref2'>2</a></sup>.</p>", "shown."),
        ("<p>shown<sup class='reference'>[3]</sup> here</p>", "shown here"),
        ("<p>x <math><mfrac><mn>1</mn><mn>2</mn></mfrac></math> y</p>", "x 1/2 y"),
        ("<script>var x = 1</script><style>p{}</style><p>a</p>", "a"),
        ("<p>2 * 3 and 12 weeks</p>", "2 * 3 and 12 weeks"),
    ],
)  # fmt: skip
def test_rules(markup: str, expected: str) -> None:
    assert text(markup) == expected


def test_table_with_caption_and_spans() -> None:
    markup = (
        "<table><caption>Table 1</caption><thead><tr><th rowspan=2>Drug</th><th colspan=2>Dose</th></tr>"
        "<tr><th>low</th><th>high</th></tr></thead><tbody><tr><td>A|B</td><td>1<br>2</td><td></td></tr></tbody></table>"
    )
    assert text(markup) == (
        "Table 1\n\n| Drug | Dose | Dose |\n| --- | --- | --- |\n| Drug | low | high |\n| A\\|B | 1 2 |  |"
    )


def test_a_table_that_arranges_the_page_is_opened() -> None:
    assert text("<table><tr><td><h2>Dose</h2><p>5 mg</p></td></tr></table>") == "## Dose\n\n5 mg"


def test_dropped_selectors_and_pictures_are_counted() -> None:
    page = (
        "<main><p>a</p><div class='share'>x</div><div class='share'>y</div><img src='data:x'><img src='a.png'></main>"
    )
    found = html_to_text(page, root=("article", "main"), drop=(".share",))
    assert found.text == "a"
    assert found.counts == {
        "extract.dropped_by_selector": 2,
        "extract.embedded_pictures": 1,
        "extract.pictures": 1,
        "extract.outside_content_characters": 2,
    }


def test_what_a_page_says_outside_its_content_is_counted() -> None:
    page = (
        "<body><nav>Menu 12</nav><main><p>Give 5 mg.</p><p class='ad'>Call 555</p></main><footer>2026</footer></body>"
    )
    found = html_to_text(page, root="main", drop=(".ad",))
    assert found.text == "Give 5 mg."
    assert found.counts["extract.outside_content_characters"] == len("Menu12Call5552026")
    assert found.counts["extract.outside_content_digits"] == 9
    whole = html_to_text("<body><p>Give 5 mg.</p></body>", root="body").counts
    assert not [name for name in whole if name.startswith("extract.outside")]


def test_several_roots_are_read_once_and_in_order() -> None:
    page = "<div class=c><p>1</p><div class=c><p>2</p></div></div><div class=c><p>3</p></div>"
    assert html_to_text(page, root=".c").text == "1\n\n2\n\n3"


@pytest.mark.parametrize(
    ("head", "title"),
    [
        ("<title>Site: page</title>", "Site: page"),
        ("<title>Site: page</title><meta property='og:title' content='Page'>", "Page"),
    ],
)
def test_title_from_the_head(head: str, title: str) -> None:
    assert html_to_text(f"<head>{head}</head><main><p>a</p></main>", root="main").title == title


@pytest.mark.parametrize(
    ("encoded", "expected"),
    [
        ("<meta charset=windows-1252><p>5 µg ≤".replace("≤", "…").encode("cp1252"), "5 µg …"),
        ("<meta http-equiv=Content-Type content='text/html; charset=iso-8859-1'><p>±5".encode("latin-1"), "±5"),
        ("<p>5 µg ≥ 3".encode(), "5 µg ≥ 3"),
        ("<meta charset=utf-8><p>dose ±5 \u0096 7".encode("latin-1"), "dose ±5 – 7"),
        ("\ufeff<p>±5".encode("utf-16"), "±5"),
        ("<meta charset=nonsense><p>±5".encode(), "±5"),
    ],
)
def test_charsets(encoded: bytes, expected: str) -> None:
    assert html_to_text(encoded, root="p").text == expected


PROSE = "Give the drug to all patients who are older than eighteen years and have no contraindication to it. "


def test_main_content_is_found_and_keeps_powers_tables_and_thresholds() -> None:
    page = (
        "<html><head><title>Site</title></head><body><nav><a href=/a>Home</a><a href=/b>About</a></nav>"
        f"<article><h1>Guideline</h1><p>{PROSE * 3}Dose 10<sup>-3</sup> g if p <0.05.</p><p>{PROSE * 3}</p>"
        "<table><tr><th rowspan=2>Drug</th><th colspan=2>Dose</th></tr><tr><td>5 mg</td><td>7 mg</td></tr></table>"
        f"<p>{PROSE * 2}</p></article><footer>Copyright 2020</footer></body></html>"
    )
    found = html_to_text(page, root=".not-there")
    assert found.counts["extract.main_content"] == 1
    assert "Dose 10^-3 g if p <0.05." in found.text
    assert "| Drug | Dose | Dose |\n| --- | --- | --- |\n| Drug | 5 mg | 7 mg |" in found.text
    assert "Home" not in found.text
    assert found.title == "Guideline"


def test_thousands_of_open_tags_lose_no_text() -> None:
    assert re.findall(r"\d+", text("<div><b>" * 3000 + "deep 5 mg" + "</div>" * 2999 + "<p>7</p>")) == ["5", "7"]


@pytest.mark.parametrize("data", [b"%PDF-1.4 ...", b"\x1f\x8b\x08rest", b"PK\x03\x04"])
def test_binary_files_are_refused(data: bytes) -> None:
    with pytest.raises(Unreadable, match=r"extract\.unknown_format"):
        html_to_text(data)


_TEXT = st.text(alphabet="0123456789 ab<>=.%±", min_size=1, max_size=8)
_BLOCKS = st.sampled_from(["p", "div", "li", "h2", "td", "blockquote", "dd"])
_INLINE = st.sampled_from(["b", "span", "sup", "sub", "a", "em"])


@st.composite
def _page(draw: st.DrawFn, depth: int = 3) -> tuple[str, str]:
    markup, flat = "", ""
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.integers(0, 3)) if depth else 3
        if kind == 3:
            word = draw(_TEXT)
            markup, flat = markup + escape(word), flat + word
            continue
        tag = draw(_INLINE if kind == 0 else _BLOCKS)
        inner, inner_flat = draw(_page(depth - 1))
        border = "" if tag in ("b", "span", "a", "em") else " "
        opened, closed = {
            "li": ("<ul><li>", "</li></ul>"),
            "td": ("<table><tr><td>x</td><td>", "</td></tr></table>"),
            "dd": ("<dl><dt>t</dt><dd>", "</dd></dl>"),
        }.get(tag, (f"<{tag}>", f"</{tag}>"))
        markup += opened + inner + closed
        flat += f"{border}{inner_flat}{border}"
    return markup, flat


@settings(max_examples=60)
@given(_page())
def test_no_page_loses_a_digit_or_a_comparator(page: tuple[str, str]) -> None:
    markup, flat = page
    # The parser moves blocks out of inline elements and paragraphs: runs may be cut, none may go.
    found = text(markup)
    assert Counter(re.findall(r"\d", found)) == Counter(re.findall(r"\d", flat))
    assert Counter(re.findall(r"[<>=±]", found)) == Counter(re.findall(r"[<>=±]", flat))


def _is_clinical(entry: Any) -> bool:
    section = entry.getparent().get("Name")
    return section in ("Recommendations", "Contraindications", "Qualifying Statements", "Scope", "Regulatory Alert")


@pytest.mark.skipif(not REALDATA, reason="MEDTROVE_REALDATA is not set: the real-data pack is not here")
def test_ngc_summaries_keep_every_number_of_their_clinical_fields() -> None:
    summaries = digits = lost = signs = lost_signs = 0
    with tarfile.open(Path(str(REALDATA)) / "guidelines" / "ngc_public_domain.tar.xz") as archive:
        for member in archive:
            handle = archive.extractfile(member) if member.name.endswith(".xml") else None
            if handle is None:
                continue
            data = handle.read()
            summary = ngc.parse(data)
            summaries += 1
            assert summary.title
            assert summary.text.startswith(f"# {summary.title}\n\n")
            assert summary.year is not None
            fields = etree.fromstring(data).iterfind("Section[@Name]/Field/FieldValue")
            values = " ".join(value.get("Value", "") for value in fields if _is_clinical(value.getparent()))
            plain = unescape(re.sub(r"<(?:/?[a-z!][^<>]*)>", " ", values))
            before = Counter(re.findall(r"\d+", plain))
            digits += before.total()
            lost += (before - Counter(re.findall(r"\d+", summary.text))).total()
            compared = Counter(re.findall("[<>≤≥±]", plain))
            signs += compared.total()
            lost_signs += (compared - Counter(re.findall("[<>≤≥±]", summary.text))).total()
    assert summaries == 32
    assert digits > 1500
    assert lost == 0
    assert signs > 0
    assert lost_signs == 0
