from __future__ import annotations

from pathlib import Path

import pytest

from filters.language import language_rule
from filters.rule import Drop, Keep
from manifests.document import Document
from manifests.errors import RecipeError

_FRENCH = """
Le traitement de première intention est la metformine, sauf contre-indication ou intolérance. La dose est augmentée
progressivement jusqu'à la dose maximale tolérée, en surveillant la fonction rénale au moins une fois par an. Chez le
sujet âgé fragile, les objectifs glycémiques sont moins stricts et le risque d'hypoglycémie doit être évalué.
"""
_ENGLISH = """
Metformin is the first-line treatment unless it is contraindicated or not tolerated. The dose is raised step by step
to the highest tolerated one, and renal function is checked at least once a year. In frail older people the targets
for glucose are less strict, and the risk of hypoglycaemia must be weighed against the benefit of treatment.
"""


def _document(text: str, lang: str = "") -> Document:
    return Document("s:1", "s", "guideline", text, lang=lang)


def test_language_is_detected_and_recorded() -> None:
    rule = language_rule()
    english, french = rule(_document(_ENGLISH)), rule(_document(_FRENCH, lang="en"))
    assert isinstance(english, Keep)
    assert english.fields == {"lang": "en"}
    assert isinstance(french, Drop)
    assert french.reason == "language.not_allowed"
    assert french.fields == {"lang": "fr"}
    assert isinstance(language_rule(allowed=["en", "fr"])(_document(_FRENCH)), Keep)


def test_terse_text_is_judged_by_what_the_source_declares_or_not_at_all() -> None:
    rule = language_rule()
    terse = "Metformin 500 mg PO BID\nASA 81 mg qd"
    for declared, lang in (("", "und"), ("en", "en")):
        verdict = rule(_document(terse, lang=declared))
        assert isinstance(verdict, Keep)
        assert verdict.fields["lang"] == lang
    assert isinstance(rule(_document(terse, lang="fr")), Drop)


def test_a_table_does_not_decide() -> None:
    table = "\n".join("| le traitement de la douleur chez les enfants | dans les deux cas |" for _ in range(50))
    verdict = language_rule()(_document(f"{_ENGLISH}\n\n{table}\n\n{_ENGLISH}"))
    assert verdict.fields == {"lang": "en"}


def test_wrong_parameters_are_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="'xx'"):
        language_rule(allowed=["en", "xx"])
    with pytest.raises(RecipeError, match="is not there"):
        language_rule(model=str(tmp_path / "lid.bin"))
    (tmp_path / "lid.bin").write_bytes(b"not a model")
    with pytest.raises(RecipeError, match="not a fastText model"):
        language_rule(model=str(tmp_path / "lid.bin"))


def test_real_text(real_texts: dict[str, list[str]]) -> None:
    rule = language_rule()
    for kind, texts in real_texts.items():
        kept = sum(isinstance(rule(_document(text)), Keep) for text in texts)
        if kind == "spanish":
            assert kept == 0
        else:
            assert kept >= 0.995 * len(texts), kind
