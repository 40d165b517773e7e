"""The drawn figures of the report as inline SVG: the flow of documents through the stages, and length histograms.

Every figure uses the classes `s0`, `s1`, ... for the hue of a source, so the page's light, dark and print schemes
colour it. Coordinates are rounded to a tenth: the same numbers give the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

HUES = 12
"""Distinct hues of the page's style; sources beyond them begin again, and are always named beside the colour."""

_LABEL = 16.0
_GAP = 7.0
_LEAST = 1.2
"""Least height of something that is there, in pixels."""


@dataclass(frozen=True, slots=True)
class Flow:
    """What each source had left after each stage, in documents or characters."""

    stages: tuple[str, ...]
    """Stages that dropped something, in order."""
    left: Mapping[str, Sequence[int]]
    """Source -> what entered, then what was left after each stage."""
    hues: Mapping[str, int]

    def dropped(self, stage: int) -> int:
        """What all sources lost at the stage."""
        return sum(values[stage] - values[stage + 1] for values in self.left.values())


def compact(n: float) -> str:
    """A number in at most four digits: 999, 12.3k, 4.56M, 129B."""
    for size, unit in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if n >= size * 0.9995:
            value = n / size
            return f"{value:.3g}{unit}" if value < 999.5 else f"{value:.0f}{unit}"
    return f"{n:,.0f}"


def flow_svg(flow: Flow, *, width: int, height: int, label: str) -> str:
    """A Sankey of `flow`: sources run to the right, what a stage drops leaves downward."""
    total = max(1, sum(values[0] for values in flow.left.values()))
    scale = height / total
    columns = len(flow.stages) + 1
    step = (width - 8) / columns
    bottom = sum(max(_LEAST, values[0] * scale) + _LABEL + _GAP for values in flow.left.values()) + 22.0
    parts: list[str] = []
    piles = [step * (number + 1) + 4 for number in range(len(flow.stages))]
    pile_scale = [
        min(1.0, 0.66 * step / max(1e-9, sum(_thick(v[n] - v[n + 1], scale) for v in flow.left.values())))
        for n in range(len(flow.stages))
    ]
    y = 0.0
    labels: list[str] = []
    # Names of stages lie flat where there is room for them, and steep where there is not.
    slope = 24 if step > 70 else 64
    for source, values in flow.left.items():
        hue = f"s{flow.hues[source] % HUES}"
        top = y + _LABEL
        kept = f"{compact(values[0])} in, {compact(values[-1])} kept"
        labels.append(f'<text x="0" y="{top - 4:.1f}" class="name">{escape(source)}</text>')
        labels.append(f'<text x="{width}" y="{top - 4:.1f}" class="count" text-anchor="end">{kept}</text>')
        for number in range(columns):
            x = step * number
            thickness = _thick(values[number], scale)
            if thickness:
                told = f"{source}: {values[number]:,} {'kept' if number == columns - 1 else 'left'}"
                parts.append(
                    f'<rect class="{hue}" x="{x:.1f}" y="{top:.1f}" width="{step + 0.4:.1f}" '
                    f'height="{thickness:.1f}"><title>{escape(told)}</title></rect>'
                )
        for number, stage in enumerate(flow.stages):
            lost = values[number] - values[number + 1]
            if lost:
                thickness = _thick(lost, scale)
                wide = thickness * pile_scale[number]
                edge = top + max(thickness, _thick(values[number], scale))
                parts.append(
                    _leaving(step * (number + 1), edge - thickness, edge, piles[number], wide, bottom, hue)
                    + f"<title>{escape(f'{source}: {lost:,} dropped at {stage}')}</title></path>"
                )
                piles[number] += wide
        y = top + max(_LEAST, values[0] * scale) + _GAP
    for number, stage in enumerate(flow.stages):
        x = step * (number + 1)
        parts.append(f'<line class="rule" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{bottom:.1f}"/>')
        told = compact(flow.dropped(number))
        labels.append(
            f'<text transform="translate({x + 4:.1f} {bottom + 13:.1f}) rotate({slope})" class="stage">'
            f'{escape(stage)} <tspan class="count">{told}</tspan></text>'
        )
    full = bottom + (58 if slope < 45 else 104)
    return (
        f'<svg viewBox="0 0 {width} {full:.0f}" role="img" aria-label="{escape(label)}">'
        f"{''.join(parts)}{''.join(labels)}</svg>"
    )


def _thick(n: float, scale: float) -> float:
    return max(_LEAST, n * scale) if n else 0.0


def _leaving(x: float, top: float, low: float, pile: float, wide: float, bottom: float, hue: str) -> str:
    """A ribbon that leaves at (x, top..low) and ends lying at the bottom from `pile`, `wide` across."""
    middle = (low + bottom) / 2
    return (
        f'<path class="{hue} lost" d="M{x:.1f} {top:.1f}'
        f"C{pile + wide:.1f} {top:.1f} {pile + wide:.1f} {middle:.1f} {pile + wide:.1f} {bottom:.1f}"
        f"L{pile:.1f} {bottom:.1f}"
        f'C{pile:.1f} {middle:.1f} {pile:.1f} {low:.1f} {x:.1f} {low:.1f}Z">'
    )


def _doubling(power: int) -> str:
    return f"{2**power}" if power < 10 else f"{2 ** (power - 10)}k" if power < 20 else f"{2 ** (power - 20)}M"


def histogram_svg(counts: Mapping[int, int], *, first: int, last: int, hue: int, label: str) -> str:
    """Bars over powers of two: `counts[k]` documents of 2^k to 2^(k+1) - 1 tokens, for k from `first` to `last`."""
    width, height = 240.0, 84.0
    base = height - 16
    step = width / (last - first + 1)
    most = max(counts.values(), default=1)
    parts = [f'<line class="axis" x1="0" x2="{width:.0f}" y1="{base:.1f}" y2="{base:.1f}"/>']
    for power in range(first, last + 1):
        n = counts.get(power, 0)
        x = (power - first) * step
        if n:
            tall = max(1.0, n / most * (base - 2))
            told = f"{n:,} documents of {2**power:,} to {2 ** (power + 1) - 1:,} tokens"
            parts.append(
                f'<rect class="s{hue % HUES}" x="{x + 0.7:.1f}" y="{base - tall:.1f}" width="{step - 1.4:.1f}" '
                f'height="{tall:.1f}"><title>{told}</title></rect>'
            )
        if (power - first) % max(1, round((last - first + 1) / 5)) == 0:
            parts.append(f'<text class="tick" x="{x + 0.7:.1f}" y="{height - 3:.1f}">{_doubling(power)}</text>')
    return f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'
