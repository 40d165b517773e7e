from __future__ import annotations

import pytest

from filters.rule import Drop, Keep
from filters.status import licence_rule, status_rule
from manifests.document import Document
from manifests.errors import RecipeError


def _document(**fields: object) -> Document:
    return Document("s:1", "s", "article", "text", **fields)  # type: ignore[arg-type]


def test_only_named_statuses_leave() -> None:
    rule = status_rule(drop=["retracted", "superseded"])
    verdict = rule(_document(document_status="retracted"))
    assert isinstance(verdict, Drop)
    assert verdict.reason == "source.retracted"
    assert isinstance(rule(_document(document_status="superseded")), Drop)
    assert isinstance(rule(_document(document_status="archived")), Keep)
    assert isinstance(rule(_document(counts={"extract.notice": 1})), Keep)


def test_notices_leave_where_the_recipe_says_so() -> None:
    verdict = status_rule(drop=["notice"])(_document(counts={"extract.notice": 1}))
    assert isinstance(verdict, Drop)
    assert verdict.reason == "source.notice"
    assert isinstance(status_rule(drop=["notice"])(_document()), Keep)


def test_unknown_status_is_named() -> None:
    with pytest.raises(RecipeError, match="'withdrawn'"):
        status_rule(drop=["withdrawn"])


@pytest.mark.parametrize(
    ("licence", "pattern", "kept"),
    [
        ("CC-BY-4.0", "CC-BY-*", True),
        ("CC-BY-NC-4.0", "CC-BY-[0-9]*", False),
        ("CC-BY-3.0", "CC-BY-[0-9]*", True),
        ("cc0-1.0", "CC0-1.0", True),
        ("unknown", "CC*", False),
        ("unknown", "*", True),
        ("LicenseRef-PhysioNet-1.5.0", "LicenseRef-PhysioNet-*", True),
    ],
)
def test_licence_patterns(licence: str, pattern: str, *, kept: bool) -> None:
    rule = licence_rule(allowed=["Apache-2.0", pattern])
    assert isinstance(rule(_document(licence=licence)), Keep) == kept
    assert isinstance(rule(_document(licence=licence)), Keep) == kept  # remembered verdicts are the same


def test_a_string_is_not_a_list_of_licences() -> None:
    with pytest.raises(RecipeError, match="list of licences"):
        licence_rule(allowed="CC-BY-4.0")
