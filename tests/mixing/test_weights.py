from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.errors import RecipeError
from mixing.weights import MixPlan, Mixture, Part, plan

TOKENS = {"pmc": 9_000_000, "pubmed": 3_000_000, "notes": 700_000, "guidelines": 300_000, "replay": 2_500_000}
DOCUMENTS = {source: tokens // 500 for source, tokens in TOKENS.items()}
GROUPS = (
    Part("literature", ("pmc", "pubmed"), share=15),
    Part("clinical", ("notes", "guidelines"), share=1),
    Part("replay", ("replay",), share=4),
)


def make(mixture: Mixture) -> MixPlan:
    return plan(TOKENS, DOCUMENTS, mixture)


def check(made: MixPlan) -> None:
    assert [source.source for source in made.sources] == list(TOKENS)
    assert sum(source.effective_tokens for source in made.sources) == made.total_tokens
    assert sum(source.target_share for source in made.sources) == pytest.approx(1)
    for source in made.sources:
        assert source.whole_passes * source.unique_tokens + source.fraction_tokens == source.effective_tokens
        assert 0 <= source.fraction_tokens < source.unique_tokens
        assert abs(source.effective_tokens - source.target_share * made.total_tokens) <= 1
        assert source.epochs <= source.max_epochs + 1 / source.unique_tokens


def test_fifteen_to_one_to_four() -> None:
    made = make(Mixture(GROUPS, total_tokens=12_000_000))
    check(made)
    assert made.total_tokens == 12_000_000
    assert made["replay"].effective_tokens == 2_400_000
    assert made["notes"].effective_tokens + made["guidelines"].effective_tokens == 600_000
    # Inside a group the natural sizes decide: the same epochs for every member.
    assert made["pmc"].epochs == pytest.approx(made["pubmed"].epochs)
    assert made["pmc"].effective_tokens == 6_750_000


def test_the_largest_total_is_the_one_beyond_which_a_cap_breaks() -> None:
    caps = {"notes": 2.5, "pubmed": 1.0}
    made = make(Mixture(GROUPS, max_epochs=caps))
    check(made)
    assert made.total_tokens == 16_000_000  # literature once: 12M of 15/20
    with pytest.raises(RecipeError, match="max_epochs is 1"):
        make(Mixture(GROUPS, total_tokens=made.total_tokens + 20, max_epochs=caps))


def test_too_much_names_the_shortfall_and_a_total_that_works() -> None:
    mixture = Mixture(GROUPS, total_tokens=90_000_000, max_epochs={"replay": 2})
    with pytest.raises(RecipeError) as refusal:
        make(mixture)
    message = str(refusal.value)
    assert "'replay' would be repeated 7.2 times, and its max_epochs is 2" in message
    assert "13,000,000 tokens short" in message
    possible = int(re.findall(r"total_tokens = (\d+)", message)[0])
    assert possible == 25_000_000
    check(make(Mixture(GROUPS, total_tokens=possible, max_epochs={"replay": 2})))


def test_budgets_and_epochs() -> None:
    sources = tuple(TOKENS)
    budgets = make(Mixture(tuple(Part(s, (s,), tokens=1_000_000) for s in sources)))
    check(budgets)
    assert budgets["notes"].whole_passes == 1
    assert budgets["notes"].fraction_tokens == 300_000
    epochs = make(Mixture(tuple(Part(s, (s,), epochs=1.5) for s in sources)))
    check(epochs)
    assert epochs.total_tokens == sum(TOKENS.values()) * 3 // 2
    with pytest.raises(RecipeError, match="tokens short"):
        make(Mixture(tuple(Part(s, (s,), epochs=4.5) for s in sources)))
    with pytest.raises(RecipeError, match="total_tokens says 7"):
        make(Mixture(tuple(Part(s, (s,), tokens=1_000_000) for s in sources), total_tokens=7))


def test_natural_is_every_source_once() -> None:
    made = make(Mixture(total_tokens="natural"))
    assert all((source.whole_passes, source.fraction_tokens) == (1, 0) for source in made.sources)
    with pytest.raises(RecipeError, match="gives no weights"):
        make(Mixture(GROUPS, total_tokens="natural"))


def test_without_weights_sources_are_equal_until_their_cap() -> None:
    made = make(Mixture(total_tokens=10_000_000, max_epochs={"guidelines": 2, "notes": 2}))
    check(made)
    assert made["guidelines"].effective_tokens == 600_000
    assert made["notes"].effective_tokens == 1_400_000
    rest = {made[source].effective_tokens for source in ("pmc", "pubmed", "replay")}
    assert max(rest) - min(rest) <= 1
    with pytest.raises(RecipeError, match="more than all sources together"):
        make(Mixture(total_tokens=10**9))
    assert make(Mixture()).total_tokens == 4 * sum(TOKENS.values())


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ((*GROUPS[:2], Part("replay", ("reply",), share=4)), "'reply' is in the mixture, but the corpus has no such"),
        (GROUPS[:2], "'replay' is in no part of the mixture"),
        ((*GROUPS, Part("again", ("pmc",), share=1)), "'pmc' is in the mixture twice"),
        ((*GROUPS[:2], Part("replay", ("replay",), epochs=2)), "gives epochs, expected share"),
        ((*GROUPS[:2], Part("replay", ("replay",))), "gives no weight, expected share"),
        ((*GROUPS[:2], Part("replay", ("replay",), share=0)), "share = 0, expected a number above 0"),
        ((*GROUPS[:2], Part("replay", ("replay",), share=float("nan"))), "share = nan"),
    ],
)
def test_what_cannot_be_meant_is_refused(parts: tuple[Part, ...], says: str) -> None:
    with pytest.raises(RecipeError, match=re.escape(says)):
        make(Mixture(parts))


def test_a_source_without_tokens_is_refused() -> None:
    with pytest.raises(RecipeError, match="holds no token"):
        plan({"pmc": 1}, {"pmc": 1}, Mixture((Part("pmc", ("pmc",), share=1),), max_epochs={"pmc": 0.5}))
    with pytest.raises(RecipeError, match="'pmc' has no tokens"):
        plan({"pmc": 0}, {"pmc": 0}, Mixture())


@given(
    st.lists(st.tuples(st.integers(20_000, 10**12), st.floats(0.01, 100)), min_size=1, max_size=8),
    st.floats(0.1, 20),
)
@settings(max_examples=200, deadline=None)
def test_the_largest_total_always_plans_and_one_share_more_does_not(rows: list[tuple[int, float]], cap: float) -> None:
    unique = {f"s{i}": tokens for i, (tokens, _) in enumerate(rows)}
    parts = tuple(Part(f"s{i}", (f"s{i}",), share=share) for i, (_, share) in enumerate(rows))
    caps = dict.fromkeys(unique, cap)
    largest = plan(unique, unique, Mixture(parts, max_epochs=caps))
    assert sum(source.effective_tokens for source in largest.sources) == largest.total_tokens
    again = plan(unique, unique, Mixture(parts, total_tokens=largest.total_tokens, max_epochs=caps))
    assert again == largest
    beyond = largest.total_tokens * 2 + 10 * len(rows) * 10_000
    with pytest.raises(RecipeError) as refusal:
        plan(unique, unique, Mixture(parts, total_tokens=beyond, max_epochs=caps))
    possible = int(re.findall(r"total_tokens = (\d+)", str(refusal.value))[0])
    plan(unique, unique, Mixture(parts, total_tokens=possible, max_epochs=caps))
    assert abs(possible - largest.total_tokens) <= 1
