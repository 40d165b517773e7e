"""The cutoff: a date is the span it may mean, and what the cutoff cuts through is nobody's guess."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.published import UNKNOWN, published_rule, span
from filters.rule import Drop, Keep, build
from manifests.document import Document
from manifests.errors import RecipeError


def document(published: str = "", year: int | None = None) -> Document:
    return Document("s:1", "s", "article", "text", published=published, year=year)


@pytest.mark.parametrize("published", ["2022", "2023-08", "2023-08-31", "2023-07-30", "1998"])
def test_what_was_published_before_the_end_of_the_cutoff_stays_uncounted(published: str) -> None:
    assert published_rule(until="2023-08", unknown="drop")(document(published)) == Keep()


@pytest.mark.parametrize(("published", "first"), [("2023-09", 20230901), ("2023-09-01", 20230901), ("2024", 20240101)])
def test_what_came_later_leaves_with_its_day_and_the_cutoffs(published: str, first: int) -> None:
    verdict = published_rule(until="2023-08", unknown="keep")(document(published))
    assert verdict == Drop("source.published_late", float(first), 20230831.0)


@pytest.mark.parametrize("published", ["", "2023", "Summer 2023", "2023-13", "2023-00-05", "2023-02-30"])
def test_an_unknown_date_follows_the_recipe_and_is_counted(published: str) -> None:
    assert published_rule(until="2023-08", unknown="keep")(document(published)) == Keep(counts={UNKNOWN: 1})
    verdict = published_rule(until="2023-08", unknown="drop")(document(published))
    assert isinstance(verdict, Drop)
    assert verdict.reason == "source.published_unknown"


def test_a_year_alone_serves_where_no_date_is_stated() -> None:
    rule = published_rule(until="2023-08", unknown="drop")
    assert rule(document(year=2022)) == Keep()
    assert rule(document("2023-03", year=2024)) == Keep()
    assert rule(document(year=2024)).reason == "source.published_late"  # type: ignore[union-attr]


def test_there_is_no_default_for_the_unknown_and_no_silent_cutoff() -> None:
    with pytest.raises(RecipeError, match="needs the parameter 'unknown'"):
        build("source.published_until", {"until": "2023-08"})
    with pytest.raises(RecipeError, match="unknown = 'perhaps'"):
        build("source.published_until", {"until": "2023-08", "unknown": "perhaps"})
    with pytest.raises(RecipeError, match="until = 'August 2023'"):
        build("source.published_until", {"until": "August 2023", "unknown": "keep"})


DAYS = st.dates(datetime.date(1900, 1, 1), datetime.date(2100, 12, 31))


@given(DAYS, DAYS, st.sampled_from([4, 7, 10]), st.sampled_from([4, 7, 10]))
def test_a_coarser_date_never_gets_a_wrong_answer(
    day: datetime.date, last: datetime.date, precision: int, of_cutoff: int
) -> None:
    """Whatever the precision: kept without a count means published in time, and late means late."""
    cutoff = span(last.isoformat()[:of_cutoff])
    assert cutoff is not None
    end = datetime.date(*cutoff[1])
    verdict = published_rule(until=last.isoformat()[:of_cutoff], unknown="keep")(document(day.isoformat()[:precision]))
    if verdict == Keep():
        assert day <= end
    elif isinstance(verdict, Drop):
        assert day > end
    else:
        assert precision < 10
