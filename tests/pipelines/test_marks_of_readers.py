"""A mark of ours in a document is one that a reader of ours wrote; whatever a file holds in its place is letters."""

from __future__ import annotations

from pathlib import Path

import pytest

from manifests.document import Document
from manifests.markers import OURS, WRITTEN, ours
from manifests.store import Store
from pipelines.steps import read as step
from scrapers.source import Item, SourceConfig


class _Source:
    def __init__(self, document: Document) -> None:
        self.document = document

    def read(self, *_: object) -> list[Document]:
        return [self.document]


@pytest.mark.parametrize(("counted", "stays"), [({}, False), ({WRITTEN: 1}, True), ({WRITTEN: 2}, False)])
def test_only_counted_marks_leave_the_reader(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, counted: dict[str, int], stays: bool
) -> None:
    document = Document("web:1", "web", "web", f"Before {ours('[bib_ref]')} after.", counts=counted)
    item = Item("1", "1", length=1)
    monkeypatch.setattr(step, "load", lambda config: _Source(document))
    monkeypatch.setattr(step, "items_between", lambda *_: [item])
    config = SourceConfig("web", "web", "web", "CC0-1.0")
    block = step.ReadSource(config, Store(tmp_path).url, [[0, 1]])
    (found,) = block.run()
    assert found.text == document.text
    assert (OURS in found.text) is stays
