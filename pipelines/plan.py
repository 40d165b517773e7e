"""What will run, what is skipped and why: a recipe turned into stages with fingerprints.

A stage's fingerprint names everything its bytes depend on: the recipe's sections, the versions of the rules, the
contents of the files they use, and the fingerprints of its inputs, down to the digest of the raw payloads.
Executor, workers, output folder, routes and delays are not in it. Until a source is acquired its payloads are not
known, so what follows from them has no fingerprint yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from filters.rule import check_parameters, factory
from manifests.cards import Card, find_card, load_card
from manifests.errors import RecipeError
from manifests.identity import fingerprint
from manifests.schema import SCHEMA_VERSION
from manifests.store import Store
from pipelines import snapshots
from pipelines.file_digest import file_sha256
from pipelines.learning import Learning, learning_of
from pipelines.mixture_recipe import source_parts, subsources, validation_fractions
from pipelines.needs import needs
from pipelines.optional import without_optional
from pipelines.recipe import Recipe, SourceSection, resolve_path
from pipelines.resolved import NOT_IDENTITY, RECIPE, resolved_recipe
from pipelines.rule_use import RuleUse, rule_use
from pipelines.stage import ALL, Stage
from scrapers.formats.pdf import pdf_reader_identity
from scrapers.source import SourceConfig

STEP_VERSIONS = {
    "profile": 3,
    "prepare": 16,
    "dedup": 3,
    "tokenize": 2,
    "weigh": 3,
    "fraction": 3,
    "mix": 2,
    "assemble": 5,
    "lines": 1,
}
"""Raised when a step's own code changes its bytes; part of the fingerprint of the step."""


class Plan:
    """A recipe with its output folder: configurations, stages, fingerprints."""

    def __init__(self, recipe: Recipe, out: Store, *, base: Path) -> None:
        self.out = out
        self.base = base
        cards = {name: self._card(name, use) for name, use in recipe.sources.items()}
        recipe, self.left_out = without_optional(recipe, cards)
        self.recipe = recipe
        self.cards: dict[str, Card] = {name: cards[name] for name in recipe.sources}
        self._revisions: dict[str, str] = {}
        for rule in recipe.rules:
            factory(rule.rule)
        for name, use in recipe.sources.items():
            for rule_name in use.rules:
                if rule_name not in [rule.rule for rule in recipe.rules]:
                    raise RecipeError(
                        f"the rule {rule_name!r} is not in the recipe's [[rules]].",
                        where=f'[sources.{name}.rules."{rule_name}"]',
                        fix="Add it to [[rules]], or remove the parameters.",
                    )

    def _card(self, name: str, use: SourceSection) -> Card:
        if use.card:
            return load_card(resolve_path(use.card, base=self.base))
        return find_card(name)

    @property
    def restricted(self) -> bool:
        """True when any source is: the whole build is then."""
        return any(card.restricted for card in self.cards.values())

    def config(self, source: str) -> SourceConfig:
        """The source as its loader gets it."""
        use, card = self.recipe.sources[source], self.cards[source]
        return SourceConfig(
            source=source,
            loader=use.loader or card.loader,
            kind=card.kind,
            licence=card.licence,
            restricted=card.restricted,
            snapshot=use.snapshot,
            min_listed=card.min_listed or 0,
            options=dict(use.options),
        )

    def raw(self, source: str) -> Store:
        """The folder of the snapshot's revision that this plan reads."""
        if source not in self._revisions:
            name = self.recipe.sources[source].snapshot
            self._revisions[source] = snapshots.current(self.out, source, name)
        return self._raw_folder(source, self._revisions[source])

    def read_revision(self, source: str, revision: str) -> None:
        """From now on read this folder of `source`: the one that a finished build was made from."""
        self._revisions[source] = revision

    def _raw_folder(self, source: str, revision: str) -> Store:
        mode = 0o600 if self.cards[source].restricted else None
        return self.out.sub(f"raw/{source}/{revision}", mode=mode)

    def refresh(self, source: str) -> Store | None:
        """From now on read the snapshot's next revision, still to be acquired; the folder read until now.

        None, and nothing changes, if no revision is complete yet: the first acquisition is no refresh.
        """
        before = self.raw(source)
        if not self.digest(source):
            return None
        name = self.recipe.sources[source].snapshot
        self._revisions[source] = snapshots.following(self.out, source, name)
        return before

    def digest(self, source: str) -> str:
        """Digest of the source's payloads; empty until it is acquired."""
        raw = self.raw(source)
        return str(raw.read_json("snapshot.json")["digest"]) if raw.exists("snapshot.json") else ""

    def rules(self, source: str) -> list[RuleUse]:
        """The rules the source meets, in order, with its own parameters."""
        use, card = self.recipe.sources[source], self.cards[source]
        return [
            rule_use(rule, use, card, base=self.base)
            for rule in self.recipe.rules
            if not rule.sources or source in rule.sources
        ]

    @cached_property
    def tokenizer_path(self) -> str:
        """The tokenizer's file; RecipeError if it is not there."""
        return str(resolve_path(self.recipe.tokenizer.file, base=self.base))

    def tokenizer_digest(self) -> str:
        """Of the tokenizer's files; empty while they are not there."""
        try:
            digest = file_sha256(self.tokenizer_path)
        except RecipeError:
            return ""
        # The file beside it says which tokens begin, end and pad.
        beside = Path(self.tokenizer_path).with_name("tokenizer_config.json")
        return fingerprint([digest, file_sha256(str(beside))]) if beside.exists() else digest

    def check_ready(self) -> None:
        """RecipeError with everything that is missing, before hours are spent on the rest."""
        for source in self.recipe.sources:
            for use in self.rules(source):
                check_parameters(use.rule, use.parameters)
            self.learning(source)
        if missing := needs(self):
            raise RecipeError("not ready to run:\n  " + "\n  ".join(missing) + "\n", where=self.recipe.name)

    def stage(self, name: str, source: str, inputs: Mapping[str, Any]) -> Stage:
        """The stage with these inputs; no fingerprint while one of them is not known."""
        known = all(value != "" for value in inputs.values())
        full = {"step": name, "version": STEP_VERSIONS[name], "source": source, **inputs}
        return Stage(name, source, fingerprint(full) if known else "", full)

    def profile(self, source: str) -> Stage:
        return self.stage("profile", source, {"payloads": self.digest(source), "options": self._options(source)})

    def learning(self, source: str) -> Learning | None:
        """What the source's pass for boilerplate lines does; None for a source that learns none."""
        return learning_of(self.rules(source), source)

    def learn_lines(self, source: str) -> Stage | None:
        """The declared count-only pass of a source that learns its boilerplate, else None."""
        found = self.learning(source)
        if found is None:
            return None
        return self.stage(
            "lines",
            source,
            {
                # The readers' changes are told by the version of prepare, and this pass reads with them.
                "read": STEP_VERSIONS["prepare"],
                **self._read_inputs(source),
                "before": [use.digest for use in found.before],
                "rule": found.rule.digest,
            },
        )

    def prepare(self, source: str) -> Stage:
        dedup = self.recipe.dedup
        learnt = self.learn_lines(source)
        return self.stage(
            "prepare",
            source,
            {
                "schema": SCHEMA_VERSION,
                **self._read_inputs(source),
                "rules": [use.digest for use in self.rules(source)],
                "signatures": [dedup.bands, dedup.rows, dedup.ngram, dedup.seed],
                **({"lines": learnt.fingerprint} if learnt else {}),
            },
        )

    def _read_inputs(self, source: str) -> dict[str, Any]:
        config = self.config(source)
        return {
            "payloads": self.digest(source),
            "options": self._options(source),
            "facts": [config.kind, config.licence, config.restricted],
        }

    def _options(self, source: str) -> dict[str, Any]:
        # How fast we asked and where files lay does not change what came: the payloads' digest says that.
        options = self.recipe.sources[source].options
        found = {
            "loader": self.config(source).loader,
            **{name: value for name, value in options.items() if name not in NOT_IDENTITY},
        }
        if isinstance(reader := options.get("pdf_reader"), str):
            found |= {"pdf_reader": [reader, pdf_reader_identity(reader)]}
        return found

    def dedup(self) -> Stage:
        section = self.recipe.dedup.model_dump()
        if section["denylist"]:
            section["denylist"] = file_sha256(str(resolve_path(section["denylist"], base=self.base)))
        else:
            del section["denylist"]
        mixture = self.recipe.mixture
        prepared = {f"prepare {source}": self.prepare(source).fingerprint for source in self.recipe.sources}
        split = [mixture.validation_fraction, mixture.seed, validation_fractions(self.recipe)]
        return self.stage("dedup", ALL, {"section": section, "split": split, **prepared})

    def tokenize(self, source: str) -> Stage:
        tokenizer, section = self.recipe.tokenizer, self.recipe.sources[source]
        return self.stage(
            "tokenize",
            source,
            {
                "prepare": self.prepare(source).fingerprint,
                "dedup": self.dedup().fingerprint,
                "tokenizer": self.tokenizer_digest(),
                "frame": [tokenizer.bos, tokenizer.eos, *tokenizer.special],
                "row_tokens": self.recipe.mixture.sequence_length + 1,
                "pack": section.pack,
                "parts": source_parts(section.buckets),
                "edges": section.buckets.edges if section.buckets else [],
            },
        )

    def weigh(self) -> Stage:
        section = self.recipe.mixture.model_dump(exclude={"rows_per_shard"})
        caps = {source: use.max_epochs for source, use in self.recipe.sources.items()}
        blocks = {f"tokenize {source}": self.tokenize(source).fingerprint for source in self.recipe.sources}
        weights = {sub.name: sub.weight for sub in subsources(self.recipe)}
        return self.stage("weigh", ALL, {"mixture": section, "max_epochs": caps, "weights": weights, **blocks})

    def fraction(self) -> Stage:
        return self.stage("fraction", ALL, {"weigh": self.weigh().fingerprint})

    def mix(self) -> Stage:
        rows = self.recipe.mixture.rows_per_shard
        # The recipe's name, because the shards lie in a build of that name.
        inputs = {"recipe": self.recipe.name, "fraction": self.fraction().fingerprint, "rows_per_shard": rows}
        return self.stage("mix", ALL, inputs)

    @property
    def build_fingerprint(self) -> str:
        """Names the build: what its bytes depend on."""
        mixed = self.mix().fingerprint
        return fingerprint([self.recipe.name, mixed, STEP_VERSIONS["assemble"]]) if mixed else ""

    @property
    def build_path(self) -> str:
        return f"builds/{self.recipe.name}@{self.build_fingerprint}"

    def manifest_holds(self) -> bool:
        """True if the build's manifest was made from this very recipe; alarms, for one, change no shard."""
        path = f"{self.build_path}/{RECIPE}"
        return self.out.exists(path) and self.out.read_bytes(path) == resolved_recipe(self.recipe).encode()

    @property
    def build(self) -> Store:
        """The build's folder."""
        return self.out.sub(self.build_path, mode=0o600 if self.restricted else None)

    def folder(self, stage: Stage) -> Store:
        """Where the stage lies; files of a restricted stage are its owner's alone."""
        restricted = self.restricted if stage.source == ALL else self.cards[stage.source].restricted
        return self.out.sub(stage.path, mode=0o600 if restricted else None)

    def stages(self) -> list[Stage]:
        """Every stage in the order of running (profile passes only where the loader has one)."""
        sources = list(self.recipe.sources)
        return [
            *(learnt for source in sources if (learnt := self.learn_lines(source))),
            *(self.prepare(source) for source in sources),
            self.dedup(),
            *(self.tokenize(source) for source in sources),
            self.weigh(),
            self.fraction(),
            self.mix(),
        ]
