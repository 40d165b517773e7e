from __future__ import annotations

import re
import unicodedata
from collections import Counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from filters.clean import clean, clean_rule
from filters.numbers import numeric_tokens
from filters.rule import Drop, Edit, Keep
from manifests.document import Document
from manifests.errors import RecipeError

_HOSTILE = (
    " \t\n\r\x0b\x0c\x85\u2028\u00a0\u2009\u202f\u3000\u00ad\u200b\ufeff\x00\x1f\x9f"
    "0123456789.,-−–+^⁻²³½·eE<>=≤≥±~%/()[]|#'’“ÂÃâ€™œ‰¤éﬁ\u0301\u0338mgµΩ\u2126\ud800 ab"
)


def _texts() -> st.SearchStrategy[str]:
    return st.text(alphabet=st.one_of(st.sampled_from(_HOSTILE), st.characters(codec=None)), max_size=80)


@settings(max_examples=400, deadline=None)
@given(_texts())
@example("â\x80\x935 mg")
@example("Ã\u200b©")
@example("5 \u2000\u0338= 3")
@example("\ufb01\u0301")
@example("\ufb02\u0327\u0301")
def test_cleaning_twice_is_cleaning_once(text: str) -> None:
    once = clean(text)[0]
    assert clean(once) == (once, {name: n for name, n in clean(once)[1].items() if name == "mojibake_refused"})
    assert clean(once)[0] == once


@settings(max_examples=400, deadline=None)
@given(_texts())
@example("â‰¤5")
@example("â€“5")
@example("5\x0050")
@example("5\u00a0-5")
def test_no_number_comparator_or_unit_changes(text: str) -> None:
    assert numeric_tokens(clean(text)[0]) == numeric_tokens(text)


@given(_texts())
@example("\ufb01\u0301")
def test_the_result_is_utf8_with_plain_white_space(text: str) -> None:
    cleaned = clean(text)[0]
    cleaned.encode()
    assert unicodedata.is_normalized("NFC", cleaned)
    assert not set(cleaned) & set("\r\x0b\x0c\x85\u2028\u2029\u00a0\u2009\u200b\u00ad\ufeff\x00")
    assert "\n\n\n" not in cleaned
    assert all(line == line.rstrip(" \t") for line in cleaned.split("\n"))


@pytest.mark.parametrize(
    "text",
    [
        "eGFR <60 and >=15, p<0.05, age <2 years, 2 * 3",
        "A strong recommendation [2015, amended 2021] (500 mg) [link text](https://example.org/a_b)",
        "often used\n\noral dose\n\nof course",
        "| HbA1c   | < 7 % |\n| --- | :--: |\n| 120/80 | 5.5–7.2  |",
        "- 12 weeks\n  - 6 weeks\n\n12 weeks of therapy",
        "“typographic” quotes’ policy… – — ± ≤ µg Ω é",
    ],
)
def test_clinical_text_is_left_alone(text: str) -> None:
    assert clean(text) == (text, {})


def test_each_edit_is_made_and_counted() -> None:
    text, edits = clean(
        "\ufeffﬁbro\u00adsis \u00a0 at  rest\r\n\r\n\r\n\r\nDose:\u20095\u00a0mg  \nCafe\u0301\x07 \ud83d"
    )
    assert text == "fibrosis at rest\n\nDose: 5 mg\nCafé \ufffd"
    assert edits == {
        "blank_lines": 1,
        "controls": 1,
        "invisible": 2,
        "ligatures": 1,
        "line_ends": 4,
        "nfc": 1,
        "space_runs": 2,
        "spaces": 3,
        "surrogates": 1,
        "trailing_spaces": 1,
    }


def test_wrong_decoding_is_repaired_where_no_number_changes() -> None:
    assert clean("the patientâ€™s Crohnâ€™s disease")[0] == "the patient’s Crohn’s disease"
    text, edits = clean("MÃ©niÃ¨re\nâ€“5 points\nMÃ¼ller")  # -5 is not 5, and ¼ reads as a number
    assert text == "Ménière\nâ€“5 points\nMÃ¼ller"
    assert edits == {"mojibake": 1, "mojibake_refused": 2}


def test_quotes_policy() -> None:
    assert clean("“Crohn’s”", quotes="straight")[0] == '"Crohn\'s"'
    with pytest.raises(RecipeError, match="quotes policy 'curly'"):
        clean_rule(quotes="curly")  # type: ignore[arg-type]


def test_verdicts() -> None:
    rule = clean_rule()

    def verdict(text: str) -> object:
        return rule(Document("s:1", "s", "note", text))

    assert isinstance(verdict("A note."), Keep)
    edited = verdict("A  note.")
    assert isinstance(edited, Edit)
    assert edited.text == "A note."
    assert edited.counts == {"clean.space_runs": 1}
    empty = verdict(" \u200b\n\u00a0")
    assert isinstance(empty, Drop)
    assert empty.reason == "clean.empty"


def test_time_grows_with_length_alone() -> None:
    text, _ = clean("a" + " " * 300_000 + "b\t" + "\n " * 100_000 + "c")
    assert text == "a b\n\n c"


def test_the_law_holds_on_real_text(real_texts: dict[str, list[str]]) -> None:
    edits: Counter[str] = Counter()
    for texts in real_texts.values():
        for text in texts:
            cleaned, made = clean(text)
            edits.update(made)
            assert clean(cleaned)[0] == cleaned
            assert numeric_tokens(cleaned) == numeric_tokens(text)
    assert edits["mojibake"] > 0


def _pages() -> st.SearchStrategy[str]:
    """Pages of a PDF: broken words, running heads, doses, lists."""
    line = st.sampled_from(
        [
            "This document is published by the society.",
            "The committee of the college and its members met.",
            "- This document is published by the society.",
            "Give 5 m-",
            "g of the drug treat-",
            "ment of asthma, anti-",
            "biotic treatment at <5 mg",
            "treatment antibiotic mg",
            "non-steroidal drugs, non-",
            "steroidal ones nonsteroidal",
            "| treat- | 5 |",
            "tre-",
            "at-",
            "ment-",
            "# Recommendations",
            "",
            "well-",
            "ment",
            "mentor 7 days",
        ]
    )
    return st.lists(line, max_size=16).map("\n".join)


@settings(max_examples=400, deadline=None)
@given(st.one_of(_pages(), _texts()))
@example("treatment tre-\nat-\nment")
def test_joining_and_taking_out_repeats_keep_the_law(text: str) -> None:
    once = clean(text, hyphenation="join", repeated_lines=3)[0]
    assert clean(once, hyphenation="join", repeated_lines=3)[0] == once
    assert numeric_tokens(once) == numeric_tokens(text)
    # Joining takes out hyphens and line ends and nothing else.
    joined = clean(text, hyphenation="join")[0]
    assert re.sub(r"[\s-]", "", joined) == re.sub(r"[\s-]", "", clean(text)[0])


def test_a_broken_word_is_joined_where_the_document_writes_it_whole() -> None:
    text = "Start treat-\nment, then stop. Treatment is short.\nnon-\nsteroidal and nonsteroidal and non-steroidal"
    joined, edits = clean(text, hyphenation="join")
    assert joined == (
        "Start treatment,\nthen stop. Treatment is short.\nnon-\nsteroidal and nonsteroidal and non-steroidal"
    )
    assert edits == {"hyphenation": 1}
    assert clean("A well-\nknown drug", hyphenation="join")[0] == "A well-\nknown drug"
    assert clean("Give 5 m-\ng now, in mg or g", hyphenation="join")[0] == "Give 5 m-\ng now, in mg or g"


def test_a_running_head_stays_once_and_what_is_clinical_as_often_as_it_stands() -> None:
    head, dose = "This document is published by the society.", "Give the tablets with food every morning."
    text = "\n\n".join([head, dose, "One.", head, dose, "Two.", head, dose])
    cleaned, edits = clean(text, repeated_lines=3)
    assert cleaned == "\n\n".join([head, dose, "One.", dose, "Two.", dose])
    assert edits == {"repeated_lines": 2}
    assert clean(text) == (text, {})
    with pytest.raises(RecipeError, match="repeated_lines = 2"):
        clean_rule(repeated_lines=2)


_LABORATORY = """                 Result     Flag     Reference
Na               140                 133-145
K                3.1        L        3.5-5.1"""


def test_a_table_in_columns_keeps_the_place_of_its_cells_and_prose_does_not() -> None:
    text, edits = clean(f"{_LABORATORY}\n\nIt  is   told   here\n\nName:   A    Unit   5\nprose  goes on")
    assert text == f"{_LABORATORY}\n\nIt is told here\n\nName: A Unit 5\nprose goes on"
    assert edits == {"space_runs": 7}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2\u206210 and a\u206312", "2 10 and a 12"),  # invisible times and comma part two numbers
        ("f\u2061(5)", "f(5)"),
        ("5\x0c6 5\u20286", "5\n6 5\n6"),
        ("1\u2009000 1\u202f000", "1 000 1 000"),
        ("dose\u00ad\n5 1\u00ad000", "dose\n5 1000"),
        ("5\u212a \u2126 \u212b 1\u03875 \u2264\u0338", "5K Ω Å 1·5 ≰"),
        ("o\ufb03ce", "office"),
    ],
)
def test_odd_characters(text: str, expected: str) -> None:
    assert clean(text)[0] == expected
    assert numeric_tokens(expected) == numeric_tokens(text)


@pytest.mark.parametrize("text", ["â¥ 5 mg", "â€ 5 mg", "5 â 6"])
def test_a_repair_never_takes_a_space_for_a_byte_of_a_sign(text: str) -> None:
    assert clean(text)[0] == text
    assert clean(f"Crohnâ€™s {text}")[0] == f"Crohn’s {text}"


_FRAGMENTS = [
    "0.5-1 mg/kg q6h", ">= 60 mL/min/1.73 m2", "p<0.05", "HbA1c 6.5%", "5 × 10^9/L", "5×10⁻⁹", "1,000.5",
    "1·5", "−2.5", "½", "1½", "10²", "m²", "µg", "μg", "㎎", "5㎖", "㏄", "５００ mg", "٥٠٠ mg", "५", "10–20",
    "3′-UTR", "5'-CCA", "5″", "O₂", "Ⅳ", "ⅷ", "±2", "≤≥", "⩽5", "≦6", "<\u0338", "№ 5", "💊",
    "\U0001f468\u200d\U0001f469", "ﬁ", "oﬃce", "post-\noperative", "10-\n20", "IL-\n6", "anti-\nTNF", "1⁄2",
    "⅓", "①", "℃", "5℉", "37.5ºC", "38°C", "x̄", "e\u0301", "Å", "Ω", "\u212b", "1\u202f000", "1\xa0000",
    "1\u200b000", "1\xad000", "\ufeff", "2\u206210", "f\u20615", "\xe2\u2030\xa55", "Â±3", "Ã¼", "Â½", "5Â mg",
    "Âµg", "\xe2\u20ac\u201c 5", "â¥ 5", " a  ", "  5 ", "Na   140   133-145", "K    3.1    L", "\t5\t6",
    "1:10", "CD4+ <200", "+7", "~5", "5/7", "1e-5", ".05", "5.", "| a  |  5 |",
]  # fmt: skip
_BETWEEN = st.sampled_from(["", " ", "  ", "   ", "\n", "\u00a0", "-\n", "\u200b"])


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(_FRAGMENTS), _BETWEEN)).map(lambda parts: "".join(map("".join, parts))))
@example("1½")
@example("Åµg")
@example("Na   140   133-145\nK    3.1    L")
def test_no_fragment_of_a_real_note_changes_its_value(text: str) -> None:
    once = clean(text, hyphenation="join", repeated_lines=3)[0]
    assert numeric_tokens(once) == numeric_tokens(text)
    assert clean(once, hyphenation="join", repeated_lines=3)[0] == once
    # Never NFKC: a power, a fraction or a wide digit is written as its author did.
    for char in "²⁹½⅓㎎㎖₂Ⅳ①５٥′″µμ℃":
        assert once.count(char) == text.count(char)


def test_noncharacters_go_and_marks_of_ours_stay() -> None:
    text, edits = clean(
        "5\ufdd1 mg\uffff \ufdd0[bib_ref] A \ufdd0[/bib_ref] \ufdd0[other] \ufdd0\U0010fffe end \U0001fffd"
    )
    assert text == "5 mg \ufdd0[bib_ref] A \ufdd0[/bib_ref] [other] end \U0001fffd"
    assert edits["noncharacters"] == 5
    assert clean("\ufdd0[bib\u200b_ref] \ufdd0\ufdd0[table]")[0] == "[bib_ref] \ufdd0[table]"
