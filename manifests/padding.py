"""How much of the rows may be padding.

Sources of over 50M tokens in short documents: 0.04 % of what is stored, or what no packing of these lengths can do
without, if that is more. Otherwise the rows may be 2 % more than the least that any packing needs, and one more in
every block, whose last row is not full.
"""

from __future__ import annotations

LARGE_TOKENS = 50_000_000
SMALLEST_SHARE = 0.0004
OVER_LEAST = 0.02


def padding_bound(
    *, rows: int, least_rows: int, blocks: int, unique: int, stored: int, row_tokens: int, short: bool
) -> int:
    """Padding tokens that a source may have.

    `short`: at least half of its documents are no longer than an eighth of the sequence length; `unique`: its tokens
    once, `stored` all passes together; `blocks`: packed ones, pass by pass.
    """
    if short and min(unique, stored) > LARGE_TOKENS:
        return max(int(rows * row_tokens * SMALLEST_SHARE), least_rows * row_tokens - stored)
    return int(least_rows * (1 + OVER_LEAST) + blocks) * row_tokens - stored
