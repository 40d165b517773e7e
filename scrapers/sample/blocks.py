"""What a guideline of the sample world is, before any publisher's markup."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

BlockKind = Literal["heading2", "heading3", "paragraph", "bullets", "table", "reference"]


@dataclass(frozen=True, slots=True)
class Block:
    """One block of a page. `value`: text; items of bullets; rows of a table, the first its header."""

    kind: BlockKind
    value: str | tuple[str, ...] | tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Guideline:
    """One guideline before any markup."""

    slug: str
    title: str
    published: str
    """ISO 8601 date."""
    updated: str
    """ISO 8601 date, empty if never."""
    language: str
    status: Literal["current", "archived", "superseded"]
    blocks: tuple[Block, ...]
    plant: str = ""
    """What it was planted for: `` or `french`, `stub`, or one of a pair (equal n): `exact:<n>`, `near:<n>`, `dose:<n>`,
    `version:<n>`."""
    successor: str = ""
    """Slug of the version that took its place."""


def slug(title: str) -> str:
    """`title` as publishers put it into addresses."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
