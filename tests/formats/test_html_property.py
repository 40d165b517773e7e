"""Random pages of our own grammar: numbers, comparators and units of what a reader sees = those of the text.

Only what table spans repeat may be more, and nothing is less; what a rule removes is never in the account.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from html import escape

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from filters.numbers import NumberToken, numeric_tokens
from scrapers.formats.html import html_to_text

WORDS = st.sampled_from(["give", "often", "oral", "of", "note", "patients", "dose"])
VALUES = st.sampled_from(
    ["5 mg", "<120 mmHg", ">60 bpm", "≥2.5 g/day", "≤0.05", "±3 %", "(500 mg)", "[2015]", "12 weeks", "120/80",
     "10-20 mL", "p<0.05", "2 * 3", "1,000 IU", "-4.5", "+7", "1:10", "[B 3]", "CD4 <200", "<2 years"]
)  # fmt: skip
MARKED = st.sampled_from(
    [("10<sup>9</sup>/L", "10^9/L"), ("5 mg/m<sup>2</sup>", "5 mg/m^2"), ("H<sub>2</sub>O", "H2O"),
     ("10<span style='vertical-align: super'>-3</span> g", "10^-3 g"), ("CO<sub>2</sub> 40 mmHg", "CO2 40 mmHg"),
     ("dose </=7 mg", "dose </=7 mg"), ("ANC <LLN 9", "ANC <LLN 9"), ("under <8 days", "under <8 days"),
     ("<a href='/d/44'>drug 6 mg</a>", "drug 6 mg"), ("<a href='#table5'>5</a>", "5"), ("<ins>3 mg</ins>", "3 mg"),
     ("<img alt='≥' src='ge77.gif'>15", "≥15"), ("&ge;16 &plusmn;17&nbsp;mg 1&shy;8 mg", "≥16 ±17 mg 18 mg"),
     ("<math><mfrac><mn>21</mn><mn>22</mn></mfrac></math>", "21/22"), ("23<br>24 mg", "23\n24 mg"),
     ("<abbr title='77'>25</abbr> <b>26</b> <q>27</q>", "25 26 27")]
)  # fmt: skip
UNSEEN = st.sampled_from(
    ["<del>901 mg</del>", "<span style='display:none'>902 mg</span>", "<span class='sr-only'>903 mg</span>",
     "<script>x < 904</script>", "<br><button>905</button><br>",
     "<!-- 906 <907 -->", "<s>908</s>", "<template>909</template>",
     "<img src='data:image/png;base64,910' alt=''>", "<span class='ck-suggestion-marker-deletion'>911</span>",
     "<span hidden>912</span>"]
)  # fmt: skip


@dataclass
class Page:
    """Markup, the text a reader sees in it, and the text that spans repeat."""

    markup: str = ""
    seen: str = ""
    repeated: str = ""
    parts: list[str] = field(default_factory=list)


@st.composite
def inline(draw: st.DrawFn) -> Page:
    page = Page(markup="word ", seen="word ")
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.integers(0, 3))
        if kind == 0:
            page.markup += draw(UNSEEN) + " "
            continue
        if kind == 1:
            markup, seen = draw(MARKED)
        else:
            seen = f"{draw(WORDS)} {draw(VALUES)}"
            markup = escape(seen)
        page.markup += f"{markup} word "
        page.seen += f"{seen} word "
    return page


@st.composite
def table(draw: st.DrawFn, depth: int) -> Page:
    page = Page(markup="<table>")
    if draw(st.booleans()):
        caption = draw(inline())
        page.markup += f"<caption>{caption.markup}</caption>"
        page.seen += caption.seen
    head = draw(st.booleans())
    for row in range(draw(st.integers(1, 3))):
        page.markup += "<tr>"
        for _ in range(draw(st.integers(1, 3))):
            cell = draw(blocks(depth - 1)) if depth and draw(st.integers(0, 4)) == 0 else draw(inline())
            tall, wide = draw(st.sampled_from([(1, 1), (1, 1), (2, 1), (1, 2), (0, 1)]))
            name = "th" if head and row == 0 else "td"
            page.markup += f"<{name} rowspan={tall} colspan={wide}>{cell.markup}</{name}>"
            page.seen += f" {cell.seen} "
            page.repeated += cell.repeated
            if (tall, wide) != (1, 1):
                page.repeated += f" {cell.seen} " * 6
        page.markup += draw(st.sampled_from(["</tr>", "", "</tr>outside 31 mg ", "</tr><td>loose 32 mg</td>"]))
        if page.markup.endswith(("31 mg ", "32 mg</td>")):
            page.seen += " outside 31 mg " if page.markup.endswith("31 mg ") else " loose 32 mg "
    page.markup += "</table>"
    return page


@st.composite
def blocks(draw: st.DrawFn, depth: int) -> Page:
    page = Page()
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(
            st.sampled_from(["p", "p", "h2", "div", "ul", "ol", "dl", "table", "details", "pre", "panel", "text"])
        )
        if kind == "table" and depth:
            inner = draw(table(depth - 1))
            page.markup += inner.markup
        elif kind in ("div", "details", "ul", "ol", "dl", "panel") and depth:
            inner = draw(blocks(depth - 1))
            before, after = {
                "div": ("<div class=row>", "</div>"),
                "details": ("<details><summary>more</summary>", "</details>"),
                "ul": ("<ul><li>", "</li>loose</ul>"),
                "ol": ("<ol><li>", "</ol>"),
                "dl": ("<dl><dt>term</dt><dd>", "</dd></dl>"),
                "panel": ("<h3><button>open</button></h3><div style='display: none' class='accordion-body'>", "</div>"),
            }[kind]
            page.markup += f"{before}{inner.markup}{after}"
        else:
            inner = draw(inline())
            name = kind if kind in ("p", "h2", "pre") else "section"
            page.markup += f"<{name}>{inner.markup}</{name}>"
        page.seen += f" {inner.seen} "
        page.repeated += inner.repeated
    return page


def tokens(text: str) -> Counter[NumberToken]:
    return Counter(numeric_tokens(text.replace("_", "")))


def check(page: Page, text: str) -> None:
    before, after = tokens(page.seen), tokens(text)
    assert not before - after
    assert not (after - before) - tokens(page.repeated)
    assert not any(token.value.startswith("90") for token in after if token.kind == "number")


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(blocks(3))
def test_every_number_comparator_and_unit_a_reader_sees_is_in_the_text(page: Page) -> None:
    check(page, html_to_text(f"<body><nav>99</nav><main>{page.markup}</main></body>", root="main").text)


PROSE = "<p>Give the drug to all patients who are older than that age and have no contraindication to it.</p>" * 3


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(blocks(2))
def test_nothing_is_lost_where_the_main_part_has_to_be_found(page: Page) -> None:
    around = "<header><a href=/>Site 907</a></header><nav><a href=/a>Home 908</a></nav>"
    html = f"<body>{around}<div id=c>{PROSE}{page.markup}{PROSE}</div><footer>Copyright 909</footer></body>"
    check(page, html_to_text(html, root=".none").text)
