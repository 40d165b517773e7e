"""A writer of medical prose about one condition: topic words, numbers with their intervals, sentence patterns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from scrapers.sample.draw import Draw, Writer, words


def topics() -> list[dict[str, Any]]:
    """All conditions with their words, in the order of the file."""
    found: list[dict[str, Any]] = words("topics")["topic"]
    return found


def medical_writer(draw: Draw, topic: dict[str, Any], *pattern_files: str) -> Writer:
    """A writer about `topic` with the sentence patterns of `medical.toml` and of `pattern_files`."""
    drugs: list[list[str]] = [line.split("|") for line in topic["drugs"]]
    slots: dict[str, Sequence[str] | str | Callable[[Draw], str]] = {**words("medical")}
    for name in pattern_files:
        slots |= words(name)
    slots |= {
        "condition": topic["condition"],
        "area": topic["area"],
        "drug": [drug[0] for drug in drugs],
        "drugdose": [f"{name} {low} {frequency}" for name, low, _high, frequency in drugs],
        **{name: topic[name] for name in ("target", "danger", "symptoms", "complications", "nondrug")},
        "test": topic["tests"],
        "symptom": topic["symptoms"],
        "complication": topic["complications"],
        "year": lambda d: str(d.integer(2009, 2024)),
        "pct": _percent,
        "p": _p_value,
        "ratio": ratio,
        "diff": _difference,
        "nn": _participants,
        "evgrade": lambda d: d.choice(words("medical")["grade"]) if d.chance(70) else "",
    }
    return Writer(draw, slots)


def _percent(draw: Draw) -> str:
    value = draw.integer(21, 968)
    return f"{value / 10:.1f}%"


def _p_value(draw: Draw) -> str:
    return draw.choice(("p<0.001", f"p=0.0{draw.integer(11, 49)}", f"p=0.{draw.integer(10, 89)}", "p<0.05"))


def ratio(draw: Draw) -> str:
    """A ratio with its 95% interval around it: `hazard ratio 0.78, 95% CI 0.66-0.92`."""
    centre = draw.integer(42, 240)
    low, high = centre * (100 - draw.integer(9, 38)) // 100, centre * (100 + draw.integer(10, 55)) // 100
    name = draw.choice(("hazard ratio", "relative risk", "odds ratio", "RR", "adjusted HR"))
    return f"{name} {centre / 100:.2f}, 95% CI {low / 100:.2f}-{high / 100:.2f}"


def _difference(draw: Draw) -> str:
    centre = draw.integer(4, 98)
    low, high = centre - draw.integer(2, centre - 1), centre + draw.integer(2, 40)
    return f"mean difference {centre / 10:.1f}, 95% CI {low / 10:.1f} to {high / 10:.1f}"


def _participants(draw: Draw) -> str:
    return f"{draw.choice((draw.integer(48, 999), draw.integer(1010, 9899), draw.integer(10200, 61000))):,}"
