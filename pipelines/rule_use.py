"""A rule as one source meets it: parameters with the files they name, and the digest of all that decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filters.boilerplate import LEARN
from filters.rule import resource_files, version
from manifests.cards import Card
from manifests.identity import fingerprint
from pipelines.file_digest import file_sha256
from pipelines.recipe import RuleSection, SourceSection, resolve_path

FILE_PARAMETERS = ("model", "index", "policy", "lines", "journals", "citations")
"""Rule parameters that name a file: the file's content, not its path, is in the fingerprint."""


@dataclass(frozen=True)
class RuleUse:
    """A rule as one source meets it."""

    rule: str
    parameters: Mapping[str, Any]
    digest: str
    """Of its version, its parameters, and the content of its files."""


def rule_use(rule: RuleSection, use: SourceSection, card: Card, *, base: Path) -> RuleUse:
    """`rule` for the source of `card`, with that source's own parameters; RecipeError if a file is missing."""
    parameters = {**rule.parameters, **use.rules.get(rule.rule, {})}
    if rule.rule == "phi.check":
        parameters.setdefault("policy", card.phi_policy)
    contents = dict(parameters)
    for name in FILE_PARAMETERS:
        if name == "lines" and parameters.get(name) == LEARN:
            continue
        if isinstance(path := parameters.get(name), str) and (name != "policy" or path.endswith(".toml")):
            parameters[name] = str(resolve_path(path, base=base))
            contents[name] = file_sha256(parameters[name])
    own_files = [file_sha256(str(path)) for path in resource_files(rule.rule, parameters)]
    return RuleUse(rule.rule, parameters, fingerprint([rule.rule, version(rule.rule), contents, own_files]))
