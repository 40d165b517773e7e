from __future__ import annotations

from pathlib import Path

import pytest

from filters.relevance import features, relevance_rule
from filters.relevance_training import main, train
from filters.rule import Drop, Keep
from manifests.document import Document
from manifests.errors import BuildError, RecipeError

_MEDICAL = [
    "The patient received intravenous antibiotics for pneumonia and improved within three days of treatment",
    "Blood pressure and renal function should be checked before the dose of the inhibitor is raised in adults",
    "Symptoms of heart failure include dyspnoea and oedema and treatment starts with a diuretic and a blocker",
]
_GENERAL = [
    "The old bridge over the river was rebuilt in stone after the flood and carries a narrow road to the village",
    "Bread dough must rest overnight in a cool kitchen before the baker shapes the loaves and heats the oven",
    "Trains leave the station every hour and travellers change at the junction for the harbour and the islands",
]
_COUNCIL = """
The council met on Tuesday to vote on the new library. Members argued for an hour about the cost of the roof, which
the architect had drawn in copper, and about the trees that would have to go. In the end the plan passed by two
votes. Work is to begin next spring, and the children of the town have been asked to choose the colours of the
reading room.
"""


def _document(text: str) -> Document:
    return Document("replay:1", "replay", "replay", text)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "toy.ftz"
    train(_MEDICAL * 40, _GENERAL * 40, path, seed=3)
    return path


def test_training_is_deterministic_and_the_rule_uses_the_model(trained: Path, tmp_path: Path) -> None:
    for name, texts in (("pos", _MEDICAL * 40), ("neg", _GENERAL * 40)):
        (tmp_path / name).write_text("\n".join(texts), encoding="utf-8")
    main([str(tmp_path / "pos"), str(tmp_path / "neg"), str(tmp_path / "again.ftz"), "3"])
    assert (tmp_path / "again.ftz").read_bytes() == trained.read_bytes()
    rule = relevance_rule(model=str(trained))
    kept = rule(_document("Treatment of pneumonia with antibiotics and blood pressure"))
    dropped = rule(_document("The bridge over the river and the road to the harbour"))
    assert isinstance(kept, Keep)
    assert isinstance(dropped, Drop)
    assert dropped.reason == "relevance.low_score"
    assert dropped.fields["score"] == dropped.value == dropped.measures["score"]
    assert dropped.threshold == 0.5


def test_threshold_nought_only_scores() -> None:
    rule = relevance_rule(threshold=0)
    scores = []
    for text in (_MEDICAL[0], _COUNCIL, "", "12 345\n67"):
        verdict = rule(_document(text))
        assert isinstance(verdict, Keep)
        scores.append(verdict.fields["score"])
    assert scores[0] > 0.9
    assert scores[1] < 0.1
    assert 0 <= min(scores) <= max(scores) <= 1


def test_features_are_words_on_one_line() -> None:
    assert features("Dose: the 5 mg\n\nTablet-splitting (≤ 2×) WHICH was") == "dose tablet splitting"


def test_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="is not there"):
        relevance_rule(model=str(tmp_path / "none.ftz"))
    (tmp_path / "broken.ftz").write_bytes(b"nonsense")
    with pytest.raises(RecipeError, match="not a fastText model"):
        relevance_rule(model=str(tmp_path / "broken.ftz"))
    with pytest.raises(BuildError, match="training failed"):
        train(
            ["too little text to learn anything from it at all"], ["nor from this one, which is short"], tmp_path / "x"
        )


def test_bundled_model_on_real_text(real_texts: dict[str, list[str]]) -> None:
    rule = relevance_rule()
    for kind, least in (("guideline", 1.0), ("note", 0.98), ("qa", 0.99), ("abstract", 0.98)):
        texts = real_texts[kind]
        assert sum(isinstance(rule(_document(text)), Keep) for text in texts) >= least * len(texts), kind


def test_bundled_model_is_small() -> None:
    assert (Path(str(__import__("filters").__path__[0])) / "relevance_en.ftz").stat().st_size < 2_000_000
