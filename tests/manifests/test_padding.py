from __future__ import annotations

from manifests.padding import padding_bound


def bound(*, least_rows: int, unique: int, short: bool = True, passes: int = 1, blocks: int = 1) -> int:
    """Of a source packed into the least rows of 4,097 tokens."""
    rows = least_rows * passes
    return padding_bound(
        rows=rows,
        least_rows=rows,
        blocks=blocks * passes,
        unique=unique,
        stored=unique * passes,
        row_tokens=4097,
        short=short,
    )


def test_large_sources_of_short_documents_keep_the_narrow_bound_however_many_blocks_and_passes() -> None:
    rows = 60_000_000 // 4097 + 1
    for passes in (1, 3):
        for blocks in (1, 4):
            stored = rows * passes * 4097
            assert bound(least_rows=rows, unique=60_000_000, passes=passes, blocks=blocks) == int(stored * 0.0004)


def test_small_sources_and_long_documents_keep_to_the_least_rows() -> None:
    rows = 20_000_000 // 4097 + 1
    # Three times 20M are no large source.
    assert bound(least_rows=rows, unique=20_000_000, passes=3) > int(rows * 3 * 4097 * 0.02)
    large = 60_000_000 // 4097 + 1
    assert bound(least_rows=large, unique=60_000_000, short=False) > large * 4097 * 0.019


def test_no_bound_is_below_what_no_packing_can_do_without() -> None:
    rows = 60_000_000 // 4097 + 100
    assert bound(least_rows=rows, unique=60_000_000) == rows * 4097 - 60_000_000
