"""The rule `phi.check`: find identifiers, apply the policy, keep no copy of what was found.

The strictest action of a document wins: keep < flag < redact < drop. A redacted span becomes a typed tag such as
`[EMAIL]`. Measures, fields and counts hold numbers and kinds only, and an error names the document and nothing of it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path

from filters.phi import line_ends, names, placeholders, presidio, structured
from filters.phi.finding import Finding, View
from filters.phi.policy import ACTIONS, Policy, load_policy, policy_path
from filters.rule import Drop, Edit, Keep, Rule, Verdict
from manifests.document import Document
from manifests.errors import CorpusError

_PARAGRAPH = re.compile(r"\n\s*\n")


def _apart(findings: Sequence[Finding]) -> list[Finding]:
    """One finding for each stretch of overlapping ones: the kind of the surest, the extent of all."""
    merged: list[Finding] = []
    for finding in sorted(findings, key=lambda f: (f.start, -f.end, -f.score, f.entity, f.detector)):
        if merged and finding.start < merged[-1].end:
            last = merged[-1]
            surest = finding if finding.score > last.score else last
            merged[-1] = replace(surest, start=last.start, end=max(last.end, finding.end))
        else:
            merged.append(finding)
    return merged


def _without_lonely(text: str, findings: list[Finding], together: frozenset[str]) -> list[Finding]:
    """`findings` less those of `together` whose paragraph does not hold every kind of it."""
    if not together or not any(finding.entity in together for finding in findings):
        return findings
    borders = [match.start() for match in _PARAGRAPH.finditer(text)]
    kinds: dict[int, set[str]] = {}
    places = []
    position = 0
    for finding in findings:  # sorted by start
        while position < len(borders) and borders[position] < finding.start:
            position += 1
        places.append(position)
        kinds.setdefault(position, set()).add(finding.entity)
    return [
        finding
        for finding, place in zip(findings, places, strict=True)
        if finding.entity not in together or together <= kinds[place]
    ]


def find(text: str, policy: Policy) -> list[Finding]:
    """What `policy` looks for in `text`, sorted, without overlaps; offsets are those of `text`."""
    view = View(text)
    view.mask(placeholders.spans(view.text))
    found = structured.find(view, policy.entities) + line_ends.find(view, policy.entities)
    if "NAME" in policy.entities:
        found += names.find(view)
    if policy.presidio:
        view.mask([(finding.start, finding.end) for finding in found if finding.score >= policy.confident_from])
        found += [finding for finding in presidio.find(view) if finding.entity in policy.entities]
    placed = []
    for finding in _apart(found):
        start, end = view.span(finding.start, finding.end)
        placed.append(replace(finding, start=start, end=end))
    return _without_lonely(text, placed, policy.together)


def redacted(text: str, findings: Sequence[Finding]) -> str:
    """`text` with each finding replaced by its kind in brackets."""
    parts, position = [], 0
    for finding in findings:
        parts += [text[position : finding.start], f"[{finding.entity}]"]
        position = finding.end
    return "".join([*parts, text[position:]])


def judge(text: str, policy: Policy) -> tuple[str, list[Finding], str]:
    """The action for `text`, its findings, and the text with those redacted that the policy redacts."""
    findings = find(text, policy)
    actions = [policy.action(finding.entity, finding.score) for finding in findings]
    strictest = max(actions, key=ACTIONS.index, default="keep")
    chosen = [finding for finding, action in zip(findings, actions, strict=True) if action == "redact"]
    return strictest, findings, redacted(text, chosen) if chosen else text


def phi_rule(*, policy: str) -> Rule:
    """Apply the PHI policy of that name, or in that TOML file."""
    loaded = load_policy(policy)

    def rule(document: Document, /) -> Verdict:
        try:
            text = document.text
            tags: dict[str, int] = {}
            if loaded.placeholders == "typed":
                text, tags = placeholders.typed(text)
            action, findings, text = judge(text, loaded)
        except (ValueError, TypeError, IndexError, RuntimeError) as error:
            raise CorpusError(
                f"the PHI check failed with {type(error).__name__}.",
                where=document.doc_id,
                why="Its message could quote the text, so it is not shown.",
                fix="Report the rule and the document's id; leave the document out with the denylist meanwhile.",
            ) from None
        n_confident = sum(finding.score >= loaded.confident_from for finding in findings)
        counts = Counter(f"phi.{finding.entity}" for finding in findings)
        counts.update({f"phi.placeholder_{kind}": n for kind, n in tags.items()})
        measures = {"findings": float(len(findings)), "confident": float(n_confident)}
        fields = {"phi_action": action, "phi_count": len(findings)}
        if action == "drop":
            return Drop("phi.direct_identifier", n_confident, 1, measures, fields, dict(sorted(counts.items())))
        if text != document.text:
            return Edit(text, dict(sorted(counts.items())), measures, fields)
        return Keep(measures, fields, dict(sorted(counts.items())))

    return rule


def _files(*, policy: str) -> list[Path]:
    return [policy_path(policy), *sorted(Path(str(resources.files("filters.phi"))).glob("*.txt"))]


phi_rule.version = 2  # type: ignore[attr-defined]
phi_rule.files = _files  # type: ignore[attr-defined]
