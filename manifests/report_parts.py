"""What the report is made of: bars, sections, the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from manifests.tables import Table


@dataclass(frozen=True, slots=True)
class Bar:
    """One labelled bar: parts in per cent of the widest."""

    label: str
    parts: tuple[tuple[int, float, str], ...]
    """(hue, width in per cent, what it says)."""
    told: str


@dataclass(frozen=True, slots=True)
class Section:
    """One question: its takeaway, its figure and its tables."""

    id: str
    title: str
    takeaway: str
    tables: tuple[Table, ...]
    figures: tuple[tuple[str, str], ...] = ()
    """(what the choice between figures is called, SVG); empty names: no choice."""
    narrow: tuple[tuple[str, str], ...] = ()
    """The same figures for narrow screens."""
    bars: tuple[Bar, ...] = ()
    pairs: tuple[Mapping[str, Any], ...] = ()
    repeats: tuple[Mapping[str, Any], ...] = ()
    multiples: tuple[Mapping[str, Any], ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """The page."""

    hues: Mapping[str, int]
    tiles: tuple[tuple[str, str, str], ...]
    """(number, what it counts, detail)."""
    headline: str
    sections: tuple[Section, ...]
    samples: tuple[Mapping[str, Any], ...]
    cards: Mapping[str, Mapping[str, Any]]
    recipe: str
    tokenizer: str
    fingerprints: Table


def share(part: float, whole: float) -> float:
    """`part / whole`; 0 where there is no whole."""
    return part / whole if whole else 0.0
