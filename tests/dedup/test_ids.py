"""The same work by its identifiers."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dedup.ids import works
from dedup.signatures import MinHashConfig


def prose(seed: str, n_words: int) -> str:
    """Words that no other seed has."""
    chance = random.Random(seed)
    return " ".join("".join(chance.choices("abcdefghijklm", k=8)) for _ in range(n_words))


def document(doc_id: str, kind: str, **ids: str) -> dict[str, Any]:
    return {"doc_id": doc_id, "kind": kind, "text": prose(doc_id, 20 if kind == "abstract" else 100), **ids}


def test_the_abstract_of_a_full_text_leaves(deduplicate, fates_of) -> None:  # type: ignore[no-untyped-def]
    documents = [document("pubmed:1", "abstract", pmid="1"), document("pmc:PMC9", "article", pmid="1", pmcid="PMC9")]
    found = deduplicate(documents)
    assert fates_of(found) == {"pmc:PMC9": "kept", "pubmed:1": "dedup.abstract_of_full_text"}
    assert found.table["representative"].to_pylist() == ["pmc:PMC9", "pmc:PMC9"]
    assert found.table["cluster_key"].to_pylist() == ["pmc:PMC9", "pmc:PMC9"]
    kept = deduplicate(documents, drop_abstract_of_full_text=False)
    assert set(fates_of(kept).values()) == {"kept"}


def test_an_article_without_a_body_is_no_full_text(deduplicate, fates_of) -> None:  # type: ignore[no-untyped-def]
    found = deduplicate(
        [
            document("pubmed:1", "abstract", pmid="1"),
            {"doc_id": "pmc:PMC9", "kind": "article", "text": prose("stub", 25), "pmid": "1"},
        ]
    )
    assert set(fates_of(found).values()) == {"kept"}


def test_identifiers_are_followed_from_record_to_record(deduplicate, fates_of) -> None:  # type: ignore[no-untyped-def]
    found = deduplicate(
        [
            document("a:1", "abstract", pmid="12"),
            document("b:1", "abstract", pmid="0012", pmcid="PMC5"),
            document("c:1", "abstract", pmcid="5", doi="10.1/X"),
            document("d:1", "abstract", doi="https://doi.org/10.1/x"),
            document("e:1", "abstract", doi=""),
            document("f:1", "abstract"),
        ],
        source_priority=["d", "a"],
    )
    assert [doc_id for doc_id, fate in fates_of(found).items() if fate == "kept"] == ["d:1", "e:1", "f:1"]
    assert set(found.table["representative"].to_pylist()[:4]) == {"d:1"}
    assert found.table["cluster_size"].to_pylist() == [4, 4, 4, 4, 1, 1]


def test_parts_of_a_work_and_questions_about_it_are_documents_of_their_own(deduplicate, fates_of) -> None:  # type: ignore[no-untyped-def]
    found = deduplicate(
        [
            document("pmc:PMC1", "article", pmcid="PMC1"),
            document("pmc:PMC1#s2", "article", pmcid="PMC1"),
            document("qa:7", "qa", pmcid="PMC1"),
            document("qa:8", "qa", pmcid="PMC1"),
        ]
    )
    assert set(fates_of(found).values()) == {"kept"}


def test_a_doi_of_a_collection_joins_nothing(deduplicate, fates_of) -> None:  # type: ignore[no-untyped-def]
    posters = [document(f"pubmed:{at}", "abstract", pmid=str(at), doi="10.1/supplement") for at in range(1, 9)]
    found = deduplicate(posters)
    assert set(fates_of(found).values()) == {"kept"}
    assert found.counts["ambiguous_identifiers"] == 1


def test_a_stub_does_not_represent(deduplicate, fates_of) -> None:  # type: ignore[no-untyped-def]
    found = deduplicate(
        [
            {"doc_id": "first:1", "kind": "article", "text": "title alone", "pmid": "1"},
            document("second:1", "article", pmid="1"),
        ],
        source_priority=["first", "second"],
    )
    assert fates_of(found) == {"first:1": "dedup.same_work", "second:1": "kept"}


def test_chapters_of_one_source_may_share_a_doi(deduplicate, fates_of) -> None:  # type: ignore[no-untyped-def]
    chapters = [document(f"who:{at}", "guideline", doi="10.1/book") for at in range(1, 4)]
    assert set(fates_of(deduplicate(chapters)).values()) == {"kept"}
    elsewhere = document("magic:1", "guideline", doi="10.1/book")
    found = deduplicate([*chapters, elsewhere], source_priority=["magic"])
    assert fates_of(found)["magic:1"] == "kept"
    assert fates_of(found)["who:1"] == "dedup.same_work"


IDS = st.sampled_from(["", "1", "2", "3"])


@given(st.lists(st.tuples(IDS, IDS, IDS), min_size=1, max_size=12))
def test_no_work_names_two_of_one_identifier_without_a_chain(
    rows_of: Callable[..., Any], ids: list[tuple[str, str, str]]
) -> None:
    """Whatever is joined shares a non-empty identifier with another member of its work."""
    documents = [
        {"doc_id": f"s:{at:02}", "text": "x", "kind": "abstract", "pmid": pmid, "pmcid": pmcid, "doi": doi}
        for at, (pmid, pmcid, doi) in enumerate(ids)
    ]
    rows, _ = rows_of(documents, MinHashConfig())
    labels = works(rows).labels.tolist()
    for at, label in enumerate(labels):
        partners = [other for other, other_label in enumerate(labels) if other_label == label and other != at]
        if partners:
            assert any(one and one == two for other in partners for one, two in zip(ids[at], ids[other], strict=True))
    # One PMID is always one work.
    for one in range(len(ids)):
        for other in range(len(ids)):
            if ids[one][0] and ids[one][0] == ids[other][0]:
                assert labels[one] == labels[other]
