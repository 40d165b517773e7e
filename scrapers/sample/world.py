"""Write the sample world: every host's answers, and `truth.json`, which says what was planted where.

    write_world(Path("world"))
    with scrapers.sample.server.serve(Path("world")) as server: ...

The same seed writes the same bytes on every machine. All of it is synthetic: text filled from patterns written for
medtrove, publishers' page structures imitated from public descriptions.
"""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import scrapers.sample
from scrapers.sample.blocks import Guideline
from scrapers.sample.content import guidelines
from scrapers.sample.host_magic import render_magic
from scrapers.sample.host_physionet import write_physionet
from scrapers.sample.host_pmc import paired_articles, write_pmc
from scrapers.sample.host_pubmed import write_pubmed
from scrapers.sample.host_together import write_together
from scrapers.sample.plants import partners
from scrapers.sample.publishers import native_id, render_cdc, render_cps

TRUTH_FILE = "truth.json"


def write_world(folder: Path, *, seed: int = 7) -> None:
    """Write all hosts into `folder`, which may be there already."""
    folder.mkdir(parents=True, exist_ok=True)
    truth: dict[str, Any] = {}
    for part in (
        _write_guidelines(folder, seed),
        write_pubmed(folder, seed, paired_articles(seed)),
        write_pmc(folder, seed),
        write_physionet(folder, seed),
        write_together(folder, seed),
        *(module.write(folder, seed) for module in _publishers()),
    ):
        _merge(truth, part)
    text = json.dumps(truth, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    (folder / TRUTH_FILE).write_text(text, encoding="utf-8")


def _publishers() -> list[Any]:
    """The modules `scrapers/sample/site_*.py`: each writes the hosts of one source and says what it planted."""
    names = sorted(found.name for found in iter_modules(scrapers.sample.__path__) if found.name.startswith("site_"))
    return [import_module(f"scrapers.sample.{name}") for name in names]


def _write_guidelines(folder: Path, seed: int) -> dict[str, Any]:
    """The three guideline publishers; returns what was planted."""
    planted: dict[str, list[str]] = {}
    sources: dict[str, Any] = {}
    for publisher, render in (("cps", render_cps), ("magic", render_magic), ("cdc", render_cdc)):
        published = guidelines(publisher, seed)
        sources[publisher] = render(published, folder)
        for plant, slug in partners(publisher, seed).items():
            planted.setdefault(plant, []).append(f"{publisher}:{native_id(publisher, slug)}")
        for guideline in published:
            if guideline.plant:
                planted.setdefault(guideline.plant, []).append(_doc_id(publisher, guideline))
    return {
        "exact_duplicates": [sorted(planted["exact:1"])],
        "near_duplicates": [sorted(planted["near:1"]), sorted(planted["near:2"])],
        "dose_variants": [sorted(planted["dose:1"])],
        "versions": [sorted(planted["version:1"])],
        "french": planted["french"],
        "stubs": planted["stub"],
        "broken_items": {publisher: sorted(found["aside"]) for publisher, found in sources.items()},
        "sources": sources,
    }


def _doc_id(publisher: str, guideline: Guideline) -> str:
    return f"{publisher}:{native_id(publisher, guideline.slug)}"


def _merge(truth: dict[str, Any], part: dict[str, Any]) -> None:
    for name, value in part.items():
        if isinstance(value, dict):
            truth.setdefault(name, {}).update(value)
        else:
            truth.setdefault(name, []).extend(value)
