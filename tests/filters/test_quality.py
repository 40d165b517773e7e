from __future__ import annotations

import random
from typing import Any

import pytest

from filters.quality import repetition_rule, word_measures, words_rule
from filters.rule import Drop, Keep, Rule
from manifests.document import Document
from manifests.errors import RecipeError

_PROSE = (
    "Patients with chronic kidney disease have a high risk of heart failure, and that risk is to be weighed "
    "before a drug is chosen. The dose of most drugs must fall with renal function, and levels are to be checked. "
)


def _verdict(rule: Rule, text: str) -> Any:
    return rule(Document("s:1", "s", "article", text))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Too short.", "quality.too_few_words"),
        (_PROSE * 60, "quality.too_many_words"),
        ("a b c d e f " * 10, "quality.mean_word_length"),
        ("unpartedwordsgluedtogether " * 30, "quality.mean_word_length"),
        ("#tags about #dose and #renal function #risk that " * 8, "quality.symbol_ratio"),
        ("120 80 65 " * 20 + _PROSE, "quality.few_alphabetic_words"),
        ("aspirin metformin insulin warfarin " * 10, "quality.no_stop_words"),
    ],
)
def test_each_reason(text: str, reason: str) -> None:
    verdict = _verdict(words_rule(min_words=3, max_words=2000, min_stop_words=2), text)
    assert isinstance(verdict, Drop)
    assert verdict.reason == reason
    assert verdict.value is not None
    assert verdict.threshold is not None
    assert verdict.measures["words"] > 0  # measured whether or not the first rule dropped it


def test_tables_headings_and_terse_notes_are_no_fault() -> None:
    table = "\n".join(f"| {i} | {i * 7} | < {i} | 12.{i} |" for i in range(200))
    text = f"# Results\n\n{_PROSE}\n\n{table}\n\n## Methods\n\n{_PROSE}"
    assert isinstance(_verdict(words_rule(), text), Keep)
    assert isinstance(_verdict(words_rule(), table), Keep)
    assert isinstance(_verdict(words_rule(), "Bactrim 400/80 Tab PO BID #30."), Keep)
    assert word_measures(text)["alpha_ratio"] == 1
    assert word_measures(text)["words"] > 600  # cells are words


def test_repetition_counts_prose_and_not_layout() -> None:
    rule = repetition_rule()
    rows = "\n".join(["| normal | none | 0 |", "- None known", "## Results", "Yes."] * 50)
    assert isinstance(_verdict(rule, f"{_PROSE}\n\n{rows}"), Keep)
    lines = _verdict(rule, "\n".join([_PROSE] * 4))
    assert lines.reason == "quality.repeated_lines"
    assert lines.value == pytest.approx(0.75)
    ngrams = _verdict(rule, _PROSE * 6)
    assert ngrams.reason == "quality.repeated_ngrams"


def test_bounds_that_drop_everything_are_refused() -> None:
    with pytest.raises(RecipeError, match="minimum above its maximum"):
        words_rule(min_words=10, max_words=5)


class _WhitespaceWords:
    def word_tokenize(self, text: str) -> list[str]:
        return text.split()


def _gopher(monkeypatch: pytest.MonkeyPatch) -> Any:
    """datatrove's own filter, given white-space words: the reading of Gopher that we claim."""
    from datatrove.pipeline.filters import gopher_quality_filter

    monkeypatch.setattr(gopher_quality_filter, "split_into_words", lambda text, language: text.split())
    return gopher_quality_filter.GopherQualityFilter(
        min_doc_words=50,
        max_doc_words=3000,
        min_avg_word_length=3,
        max_avg_word_length=10,
        max_symbol_word_ratio=0.1,
        max_bullet_lines_ratio=None,
        max_ellipsis_lines_ratio=None,
        max_non_alpha_words_ratio=0.8,
        min_stop_words=2,
    )


def _ours() -> Rule:
    return words_rule(
        min_words=50,
        max_words=3000,
        min_mean_word_length=3,
        max_mean_word_length=10,
        min_alpha_ratio=0.8,
        max_symbol_ratio=0.1,
        min_stop_words=2,
    )


def test_verdicts_are_those_of_datatrove(monkeypatch: pytest.MonkeyPatch) -> None:
    from datatrove.data import Document as TheirDocument

    theirs, ours = _gopher(monkeypatch), _ours()
    chance = random.Random(7)
    vocabulary = ["the", "of", "and", "dose", "5", "120", "metformin", "x#", "a", "hepatosplenomegaly", "end...", "ok"]
    dropped = 0
    for number in range(600):
        weights = [chance.random() ** 3 for _ in vocabulary]
        text = " ".join(chance.choices(vocabulary, weights, k=chance.choice([20, 49, 50, 51, 200, 3001])))
        expected = theirs.filter(TheirDocument(text=text, id=str(number))) is True
        assert isinstance(_verdict(ours, text), Keep) == expected, number
        dropped += not expected
    assert 100 < dropped < 590


def test_verdicts_are_those_of_datatrove_on_real_text(
    monkeypatch: pytest.MonkeyPatch, real_texts: dict[str, list[str]]
) -> None:
    from datatrove.data import Document as TheirDocument

    theirs, ours = _gopher(monkeypatch), _ours()
    for kind in ("abstract", "note", "qa"):
        for whole in real_texts[kind]:
            # Marks standing alone ("=", "-") are no words to us, and words without a letter to them.
            text = " ".join(word for word in whole.split() if any(map(str.isalnum, word)))
            expected = theirs.filter(TheirDocument(text=text, id="x")) is True
            assert isinstance(_verdict(ours, text), Keep) == expected, kind


@pytest.mark.parametrize(
    ("kind", "highest"), [("article", 0.0), ("abstract", 0.005), ("guideline", 0.0), ("note", 0.0), ("qa", 0.01)]
)
def test_real_medical_text_stays(real_texts: dict[str, list[str]], kind: str, highest: float) -> None:
    rules = [words_rule(), repetition_rule()]
    texts = real_texts[kind]
    dropped = sum(any(isinstance(_verdict(rule, text), Drop) for rule in rules) for text in texts)
    assert dropped <= highest * len(texts)
