"""report.html: the build as one self-contained page, in the order of a reviewer's questions.

No script, no external reference, no time or host: the same build gives the same bytes. Every figure has a table
beside it and one sentence computed from its numbers. Titles of open documents appear; of restricted sources there
are counts alone, small ones withheld.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from manifests.build import INDEX, corpus, read_json
from manifests.report_facts import gather
from manifests.report_parts import ReportFacts
from manifests.store import Store
from manifests.tables import written
from manifests.verify import Check, verify

REPORT = "report.html"

FULL_CHECK_BYTES = 2 << 30
"""Shards up to this size are recounted for the report; larger ones are checked by sizes and counts."""


def write_report(build: Store, checks: Sequence[Check] | None = None) -> None:
    """Write `report.html` into the finished build; `checks` spares verifying it again."""
    if checks is None:
        checks = verify(build, fast=read_json(build, INDEX)["totals"]["bytes"] > FULL_CHECK_BYTES)
    build.write_bytes(REPORT, render_report(gather(build), corpus(build), checks).encode())


def render_report(facts: ReportFacts, about: Mapping[str, Any], checks: Sequence[Check]) -> str:
    """The page as HTML."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    environment.filters["written"] = written
    source = resources.files("manifests").joinpath("report_template.html").read_text(encoding="utf-8")
    failed = [check for check in checks if not check.ok]
    warnings = [warning for check in checks for warning in check.warning.splitlines()]
    return environment.from_string(source).render(
        facts=facts, about=about, checks=checks, failed=failed, warnings=warnings
    )
