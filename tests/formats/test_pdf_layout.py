"""The law for PDFs: whatever the layout, every number, comparator and unit survives, and sentences keep their order."""

from __future__ import annotations

import random
import re
from collections import Counter

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from scrapers.formats.pdf import PdfText, read_here
from scrapers.sample.pdf import columns_pdf, mixed_pdf, table_pdf

TOKEN = re.compile(r"\d+(?:[.,/]\d+)*|[<>]=?|\xb1|%|mg/kg/day|mg/kg|mg|mmHg|\xb5g|mL")
SENTENCE = re.compile(r"\S(?:[^.]|\.(?=\d))+\.")
HEAD = "Recommendations of the invented society"
Blocks = list[str | list[list[str]]]


@st.composite
def sentence(draw: st.DrawFn) -> str:
    subject = draw(st.sampled_from(["Adults", "Children in hospital", "People with kidney disease", "Nursing mothers"]))
    verb = draw(st.sampled_from(["were given", "should receive", "took no more than", "may be started on"]))
    dose = draw(st.one_of(st.integers(1, 900).map(str), st.floats(0.1, 99).map(lambda x: f"{x:.1f}")))
    unit = draw(st.sampled_from(["mg", "mg/kg", "mg/kg/day", "\xb5g", "mL"]))
    sign = draw(st.sampled_from(["<", ">", "<=", ">=", "\xb1", ""]))
    limit = draw(st.integers(1, 300))
    end = draw(
        st.sampled_from(["of weight", "mmHg in those over-treated before admission", "% of what had been recommended"])
    )
    return f"{subject} {verb} {dose} {unit} when the measurement was {sign}{limit} {end}."


def a_sentence(draw: random.Random) -> str:
    subject = draw.choice(["Adults", "Children in hospital", "People with kidney disease", "Nursing mothers"])
    verb = draw.choice(["were given", "should receive", "took no more than", "may be started on"])
    dose = str(draw.randint(1, 900)) if draw.random() < 0.5 else f"{draw.uniform(0.1, 99):.1f}"
    unit = draw.choice(["mg", "mg/kg", "mg/kg/day", "\xb5g", "mL"])
    sign = draw.choice(["<", ">", "<=", ">=", "\xb1", ""])
    end = draw.choice(["of weight", "mmHg in those over-treated before admission", "% of what had been recommended"])
    return f"{subject} {verb} {dose} {unit} when the measurement was {sign}{draw.randint(1, 300)} {end}."


CELL = st.one_of(
    st.builds(lambda n, unit: f"{n} {unit}", st.integers(1, 999), st.sampled_from(["mg", "mg/kg", "mL", "%"])),
    st.builds(lambda sign, n: f"{sign}{n}", st.sampled_from(["<", ">=", "\xb1"]), st.integers(1, 99)),
    st.sampled_from(["twice daily", "none"]),
)
LONG = st.one_of(CELL, st.just("with food and a full glass of water every morning"))


@st.composite
def table(draw: st.DrawFn, cell: st.SearchStrategy[str] = CELL) -> list[list[str]]:
    width = draw(st.integers(2, 4))
    head = ["Drug", "Dose", "Limit", "Remark"][:width]
    names = draw(st.lists(st.sampled_from(["amoxicillin", "ibuprofen", "digoxin", "zinc"]), min_size=2, max_size=6))
    return [head, *([name, *draw(st.lists(cell, min_size=width - 1, max_size=width - 1))] for name in names)]


def paragraphs(most: int) -> st.SearchStrategy[str]:
    return st.lists(sentence(), min_size=2, max_size=most).map(" ".join)


def tokens(text: str) -> Counter[str]:
    return Counter(TOKEN.findall(text))


def planted(blocks: Blocks) -> str:
    return " ".join(block if isinstance(block, str) else " ".join(map(" ".join, block)) for block in blocks)


def in_order(sentences: list[str], found: PdfText) -> None:
    flat = " ".join(found.text.split())
    at = 0
    for one in sentences:
        at = flat.find(one, at)
        assert at >= 0, (one, found.text)
        at += len(one)


def pipe_rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| ---")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


# A document of pages shrinks too slowly to wait for.
QUICK = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)


INTERLEAVED = pytest.mark.xfail(strict=True, reason="one page, three paragraphs: two short columns look like a table")


# Documents by seed: what hypothesis draws, even derandomized, changes with the modules that are loaded.
@pytest.mark.parametrize("seed", [pytest.param(n, marks=INTERLEAVED if n == 19 else ()) for n in range(40)])
def test_columns_keep_every_number_and_the_order_of_sentences(seed: int) -> None:
    draw = random.Random(seed)
    texts = [" ".join(a_sentence(draw) for _ in range(draw.randint(2, 5))) for _ in range(draw.randint(1, 40))]
    columns, title = draw.randint(1, 3), draw.random() < 0.5
    over = "A guideline on doses" if title else ""
    found = read_here(columns_pdf(texts, columns=columns, title=over, head=HEAD, pages_from=311))
    left = found.counts.get("extract.running_lines", 0)
    # One or two pages are too few to know a running head by.
    assert found.text.count(HEAD) == (0 if found.pages >= 3 else found.pages)
    assert left == (found.pages if found.pages >= 3 else 0)
    kept = Counter(str(311 + n) for n in range(found.pages)) if found.pages < 2 else Counter()
    assert found.counts.get("extract.page_numbers", 0) == (found.pages if found.pages >= 2 else 0)
    assert tokens(found.text) == tokens(" ".join(texts)) + kept
    in_order([one for text in texts for one in SENTENCE.findall(text)], found)


@QUICK
@given(st.lists(st.one_of(paragraphs(4), table(LONG)), min_size=1, max_size=8), st.integers(1, 2), st.booleans())
def test_columns_and_tables_keep_every_number(blocks: Blocks, columns: int, ruled: bool) -> None:
    found = read_here(mixed_pdf(blocks, columns=columns, ruled=ruled))
    assert tokens(found.text) == tokens(planted(blocks))


@QUICK
@given(table(LONG), paragraphs(3), paragraphs(3))
def test_a_ruled_table_is_a_pipe_table_cell_for_cell(rows: list[list[str]], before: str, after: str) -> None:
    found = read_here(table_pdf(rows, ruled=True, before=before, after=after))
    assert pipe_rows(found.text) == rows
    in_order([before, " | ".join(rows[0]), after], found)


@QUICK
@given(table(), paragraphs(3), paragraphs(3))
def test_a_table_without_rules_keeps_rows_together(rows: list[list[str]], before: str, after: str) -> None:
    found = read_here(table_pdf(rows, ruled=False, before=before, after=after))
    assert tokens(found.text) == tokens(planted([before, rows, after])) + Counter("1")  # the number of its only page
    assert pipe_rows(found.text) == rows


def test_an_empty_cell_stays_empty_and_a_pipe_is_escaped() -> None:
    rows = [["Drug", "Dose", "Limit"], ["zinc", "", "10 mg"], ["iron", "5 mg", ""], ["a|b", "7 mg", ">9"]]
    for ruled in (True, False):
        text = read_here(table_pdf(rows, ruled=ruled)).text
        assert "| zinc |  | 10 mg |\n| iron | 5 mg |  |\n| a\\|b | 7 mg | >9 |" in text


def test_cells_centred_beside_a_taller_one_stay_in_their_row() -> None:
    long = "90 mg/kg/day in two doses taken with food and a large glass of water"
    rows = [["Drug", "Dose", "Limit"], ["amoxicillin", "40 mg/kg", long], ["ibuprofen", "5 mg/kg", "10 mg/kg"]]
    assert pipe_rows(read_here(table_pdf(rows, ruled=False)).text) == rows
