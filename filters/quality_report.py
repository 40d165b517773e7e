"""What each quality rule would drop of each kind of text, with the field's thresholds and with ours.

    python -m filters.quality_report guideline=guidelines.jsonl note=notes.jsonl --output report.md

A threshold that drops a guideline is the wrong threshold: this table is where it shows.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filters import quality
from filters.lines import JUDGED_LINES, curly_share, line_measures, lines_rule, web_line, web_rule

Measures = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison of one rule, with the threshold of the paper it comes from."""

    rule: str
    measure: str
    parameter: str
    """Of the rule: its default is our threshold."""
    lowest: bool
    """The threshold is a minimum."""
    published: float | None
    paper: str
    judged_from: tuple[str, float] = ("", 0)
    """Measure and value below which ours does not judge; the published rule always does."""

    @property
    def ours(self) -> float:
        """The default of the rule's parameter."""
        return float(inspect.signature(_FACTORIES[self.rule]).parameters[self.parameter].default)

    def drops(self, measures: Measures, threshold: float) -> bool:
        """Whether the comparison alone drops the text."""
        value = measures[self.measure]
        return value < threshold if self.lowest else value > threshold

    def ours_drops(self, measures: Measures) -> bool:
        """The same with our threshold and the least amount of text we judge."""
        name, least = self.judged_from
        return (not name or measures[name] >= least) and self.drops(measures, self.ours)


_FACTORIES: dict[str, Callable[..., Any]] = {
    "quality.words": quality.words_rule,
    "quality.repetition": quality.repetition_rule,
    "quality.ngrams": quality.ngrams_rule,
    "quality.lines": lines_rule,
    "quality.web": web_rule,
}
_PROSE = ("prose_words", quality.RATIO_WORDS)
_NGRAMS = ("ngram_words", quality.NGRAM_WORDS)
_LINES, _PROSE_LINES = ("lines", JUDGED_LINES), ("prose_lines", JUDGED_LINES)

CHECKS = (
    Check("quality.words", "words", "min_words", True, 50, "Gopher"),
    Check("quality.words", "words", "max_words", False, 100_000, "Gopher"),
    Check("quality.words", "mean_word_length", "min_mean_word_length", True, 3, "Gopher", _PROSE),
    Check("quality.words", "mean_word_length", "max_mean_word_length", False, 10, "Gopher", _PROSE),
    Check("quality.words", "symbol_ratio", "max_symbol_ratio", False, 0.1, "Gopher", _PROSE),
    Check("quality.words", "alpha_ratio", "min_alpha_ratio", True, 0.8, "Gopher", _PROSE),
    Check("quality.words", "stop_words", "min_stop_words", True, 2, "Gopher", _PROSE),
    Check("quality.repetition", "duplicate_lines", "max_duplicate_lines", False, 0.2, "Gopher"),
    Check("quality.repetition", "duplicate_lines", "max_duplicate_lines", False, 0.01, "FineWeb"),
    Check("quality.repetition", "duplicate_ngrams", "max_duplicate_ngrams", False, 0.1, "Gopher"),
    *(
        Check("quality.ngrams", f"top_{n}gram", f"max_top_{n}gram", False, highest, "Gopher", _NGRAMS)
        for n, highest in quality.GOPHER_TOP.items()
    ),
    *(
        Check("quality.ngrams", f"duplicate_{n}gram", f"max_duplicate_{n}gram", False, highest, "Gopher", _NGRAMS)
        for n, highest in quality.GOPHER_DUPLICATE.items()
        if n < quality.NGRAM
    ),
    Check("quality.lines", "bullet_lines", "max_bullet_lines", False, 0.9, "Gopher", _LINES),
    Check("quality.lines", "ellipsis_lines", "max_ellipsis_lines", False, 0.3, "Gopher", _PROSE_LINES),
    Check("quality.lines", "short_lines", "max_short_lines", False, 0.67, "FineWeb", _PROSE_LINES),
    Check("quality.lines", "punctuated_lines", "min_punctuated_lines", True, 0.12, "FineWeb", _PROSE_LINES),
    Check("quality.web", "curly_brackets", "max_curly_brackets", False, 0, "C4"),
    Check("quality.web", "lorem_ipsum", "max_lorem_ipsum", False, 0, "C4"),
)
"""Gopher: arXiv 2112.11446, tables A1, A2. C4: arXiv 1910.10683, 2.2. FineWeb: arXiv 2406.17557, section 3.6."""


def measures(text: str) -> dict[str, float]:
    """Every value that one of `CHECKS` compares, and the lines that `quality.web` would take out."""
    return {
        **quality.word_measures(text),
        **quality.repetition_measures(text),
        **quality.ngram_measures(text),
        **line_measures(text),
        "curly_brackets": curly_share(text),
        "lorem_ipsum": float(text.lower().count("lorem ipsum")),
        "web_lines": float(sum(1 for line in text.split("\n") if web_line(line))),
    }


@dataclass(frozen=True, slots=True)
class Shares:
    """Of one kind of text."""

    documents: int
    published: list[float | None]
    """For each of `CHECKS`, the share dropped with the paper's threshold."""
    ours: list[float]
    any_published: float
    any_ours: float
    cut: float
    """Share of the texts that lose a line to `quality.web`."""


def shares(texts: Iterable[str]) -> Shares:
    """What each check drops of `texts`."""
    n_documents = n_published = n_ours = n_cut = 0
    published, ours = [0] * len(CHECKS), [0] * len(CHECKS)
    for text in texts:
        found = measures(text)
        theirs = [check.published is not None and check.drops(found, check.published) for check in CHECKS]
        mine = [check.ours_drops(found) for check in CHECKS]
        published = [count + drop for count, drop in zip(published, theirs, strict=True)]
        ours = [count + drop for count, drop in zip(ours, mine, strict=True)]
        n_documents, n_published, n_ours = n_documents + 1, n_published + any(theirs), n_ours + any(mine)
        n_cut += found["web_lines"] > 0
    n = max(n_documents, 1)
    return Shares(
        n_documents,
        [None if check.published is None else count / n for check, count in zip(CHECKS, published, strict=True)],
        [count / n for count in ours],
        n_published / n,
        n_ours / n,
        n_cut / n,
    )


def table(kinds: Mapping[str, Shares]) -> str:
    """The report as a Markdown table: per cent dropped, `published / ours` for each kind."""
    heads = [f"{kind} ({found.documents:,})" for kind, found in kinds.items()]
    rows = [["rule", "measure", "published", "ours", *heads], ["---"] * 4 + ["---:"] * len(heads)]
    for place, check in enumerate(CHECKS):
        sign = "<" if check.lowest else ">"
        cells = [f"{_percent(found.published[place])} / {_percent(found.ours[place])}" for found in kinds.values()]
        published = "" if check.published is None else f"{sign} {check.published:g} ({check.paper})"
        rows.append([check.rule, check.measure, published, f"{sign} {check.ours:g}", *cells])
    together = [f"{_percent(found.any_published)} / {_percent(found.any_ours)}" for found in kinds.values()]
    rows.append(["all", "dropped by any", "", "", *together])
    rows.append(["quality.web", "loses a line", "", "", *(_percent(found.cut) for found in kinds.values())])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.2f}"


def texts_of(paths: Iterable[Path]) -> Iterator[str]:
    """The `text` column of Parquet files and the `text` field of JSON lines, in the order of names."""
    import orjson
    import pyarrow.parquet as pq

    for path in paths:
        if path.is_dir():
            # A finished prepare stage: its other tables have no text.
            yield from texts_of(sorted({*path.glob("text/*.parquet"), *path.glob("*.parquet"), *path.glob("*.jsonl")}))
        elif path.suffix == ".parquet":
            for batch in pq.ParquetFile(path).iter_batches(columns=["text"], batch_size=1_000):
                yield from batch.column("text").to_pylist()
        else:
            with path.open("rb") as stream:
                for row in stream:
                    yield orjson.loads(row)["text"]


def main(arguments: list[str] | None = None) -> None:
    """Write the table for texts of your own: KIND=FILE or KIND=FOLDER, Parquet or JSON lines with `text`."""
    import argparse

    parser = argparse.ArgumentParser(prog="python -m filters.quality_report", description=main.__doc__)
    parser.add_argument("kinds", nargs="+", metavar="KIND=FILE")
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args(arguments)
    named = dict(kind.split("=", 1) for kind in given.kinds)
    made = table({kind: shares(texts_of([Path(path)])) for kind, path in named.items()})
    given.output.write_text(made, encoding="utf-8")


if __name__ == "__main__":
    main()
