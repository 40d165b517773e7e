"""The block that applies one rule to every document that is still in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from datatrove.pipeline.base import PipelineStep

from filters.rule import Rule, build
from manifests.reasons import KEPT
from pipelines.steps.record import record_of


class ApplyRule(PipelineStep):  # type: ignore[misc]
    """One rule of the recipe, built on first use in the worker."""

    type = "FILTER"

    def __init__(self, rule: str, parameters: Mapping[str, Any]) -> None:
        self.name = rule
        super().__init__()  # reads the name
        self.rule = rule
        self.parameters = dict(parameters)
        self._apply: Rule | None = None

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        if self._apply is None:
            self._apply = build(self.rule, self.parameters)
        for block in data:
            record = record_of(block)
            if record.fate == KEPT:
                self.stat_update("total")
                with self.track_time():
                    record.accept(self.rule, self._apply(record.document))
                    block.text = record.document.text
                self.stat_update("forwarded" if record.fate == KEPT else f"dropped_{record.fate}")
            yield block
