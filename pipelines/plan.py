"""What will run, what is skipped and why: a recipe turned into stages with fingerprints.

A stage's fingerprint names everything its bytes depend on: the recipe's sections, the versions of the rules, the
contents of the files they use, and the fingerprints of its inputs, down to the digest of the raw payloads.
Executor, workers, output folder, routes and delays are not in it. Until a source is acquired its payloads are not
known, so what follows from them has no fingerprint yet.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from filters.boilerplate import LEARN
from filters.rule import check_parameters, factory, resource_files, version
from manifests.cards import Card, find_card, load_card
from manifests.errors import RecipeError
from manifests.identity import fingerprint
from manifests.schema import SCHEMA_VERSION
from manifests.store import Store
from pipelines import snapshots
from pipelines.learning import Learning, learning_of
from pipelines.recipe import Recipe, RuleSection, SourceSection, resolve_path
from pipelines.resolved import NOT_IDENTITY, RECIPE, resolved_recipe
from pipelines.stage import Stage, stage_is_done
from scrapers.formats.pdf import pdf_reader_identity
from scrapers.source import SourceConfig

STEP_VERSIONS = {
    "profile": 3,
    "prepare": 12,
    "dedup": 1,
    "tokenize": 1,
    "weigh": 1,
    "fraction": 1,
    "mix": 1,
    "assemble": 2,
    "lines": 1,
}
"""Raised when a step's own code changes its bytes; part of the fingerprint of the step."""

FILE_PARAMETERS = ("model", "index", "policy", "lines", "journals", "citations")
"""Rule parameters that name a file: the file's content, not its path, is in the fingerprint."""

ALL = "all"

LINES_WHY = "; one more reading: clean.boilerplate learns the lines that the source repeats"


@dataclass(frozen=True)
class RuleUse:
    """A rule as one source meets it."""

    rule: str
    parameters: Mapping[str, Any]
    digest: str
    """Of its version, its parameters, and the content of its files."""


class Plan:
    """A recipe with its output folder: configurations, stages, fingerprints."""

    def __init__(self, recipe: Recipe, out: Store, *, base: Path) -> None:
        self.recipe = recipe
        self.out = out
        self.base = base
        self.cards: dict[str, Card] = {name: self._card(name, use) for name, use in recipe.sources.items()}
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
        return [
            self._rule_use(rule, source) for rule in self.recipe.rules if not rule.sources or source in rule.sources
        ]

    def _rule_use(self, rule: RuleSection, source: str) -> RuleUse:
        parameters = {**rule.parameters, **self.recipe.sources[source].rules.get(rule.rule, {})}
        if rule.rule == "phi.check":
            parameters.setdefault("policy", self.cards[source].phi_policy)
        contents = dict(parameters)
        for name in FILE_PARAMETERS:
            if name == "lines" and parameters.get(name) == LEARN:
                continue
            if isinstance(path := parameters.get(name), str) and (name != "policy" or path.endswith(".toml")):
                parameters[name] = str(resolve_path(path, base=self.base))
                contents[name] = file_sha256(parameters[name])
        own_files = [file_sha256(str(path)) for path in resource_files(rule.rule, parameters)]
        return RuleUse(rule.rule, parameters, fingerprint([rule.rule, version(rule.rule), contents, own_files]))

    @cached_property
    def tokenizer_path(self) -> str:
        """The tokenizer's file; RecipeError if it is not there."""
        return str(resolve_path(self.recipe.tokenizer.file, base=self.base))

    def _tokenizer_digest(self) -> str:
        try:
            digest = file_sha256(self.tokenizer_path)
        except RecipeError:
            return ""
        # The file beside it says which tokens begin, end and pad.
        beside = Path(self.tokenizer_path).with_name("tokenizer_config.json")
        return fingerprint([digest, file_sha256(str(beside))]) if beside.exists() else digest

    def needs(self) -> list[str]:
        """What a person must provide before this recipe can run, one sentence each."""
        found = []
        live = "*" not in self.recipe.routes
        if not self._tokenizer_digest():
            found.append(
                f"[tokenizer] file: {self.recipe.tokenizer.file} is not there; put the model's tokenizer.json there."
            )
        for source in self.recipe.sources:
            if self.digest(source):
                continue
            path = self.recipe.sources[source].options.get("path")
            if isinstance(path, str) and not Path(path).exists():
                found.append(f"[sources.{source}] options.path: {path} is not there; {self.cards[source].title}.")
        found += [
            f"[sources.{source}] permission: no open licence of {card.publisher} covers this use ({card.terms_url}); "
            f"ask {card.contact}, then write the date or number of the permission here."
            for source, card in self.cards.items()
            if card.needs_permission and not self.recipe.sources[source].permission
        ]
        fetched = [
            source
            for source, use in self.recipe.sources.items()
            if not self.digest(source) and not {"path", "paths"} & set(use.options)
        ]
        if live and fetched and not self.recipe.network.contact:
            found.append("[network] contact: give an address that reaches you; publishers see it in the User-Agent.")
        return found

    def check_ready(self) -> None:
        """RecipeError with everything that is missing, before hours are spent on the rest."""
        for source in self.recipe.sources:
            for use in self.rules(source):
                check_parameters(use.rule, use.parameters)
            self.learning(source)
        if needs := self.needs():
            raise RecipeError("not ready to run:\n  " + "\n  ".join(needs) + "\n", where=self.recipe.name)

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
        split = [mixture.validation_fraction, mixture.seed]
        return self.stage("dedup", ALL, {"section": section, "split": split, **prepared})

    def tokenize(self, source: str) -> Stage:
        tokenizer = self.recipe.tokenizer
        return self.stage(
            "tokenize",
            source,
            {
                "prepare": self.prepare(source).fingerprint,
                "dedup": self.dedup().fingerprint,
                "tokenizer": self._tokenizer_digest(),
                "frame": [tokenizer.bos, tokenizer.eos],
                "row_tokens": self.recipe.mixture.sequence_length + 1,
            },
        )

    def weigh(self) -> Stage:
        section = self.recipe.mixture.model_dump(exclude={"rows_per_shard"})
        caps = {source: use.max_epochs for source, use in self.recipe.sources.items()}
        blocks = {f"tokenize {source}": self.tokenize(source).fingerprint for source in self.recipe.sources}
        return self.stage("weigh", ALL, {"mixture": section, "max_epochs": caps, **blocks})

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

    def lines(self) -> list[dict[str, str]]:
        """What will happen to every stage and why, as `medtrove plan` shows it."""
        found = []
        for source in self.recipe.sources:
            complete = bool(self.digest(source))
            why = "snapshot is complete" if complete else "not acquired yet"
            found.append(_line("acquire", source, self.recipe.sources[source].snapshot, skip=complete, why=why))
        for stage in self.stages():
            if not stage.fingerprint:
                why = "its inputs are not known yet" + LINES_WHY * (stage.name == "lines")
                found.append(_line(stage.name, stage.source, "", skip=False, why=why))
                continue
            done = stage_is_done(self.folder(stage), self.build if stage.name == "mix" else None)
            why = "finished with these inputs" if done else "no finished result with these inputs"
            why += LINES_WHY * (stage.name == "lines")
            found.append(_line(stage.name, stage.source, stage.fingerprint, skip=done, why=why))
        built = bool(self.build_fingerprint) and self.out.exists(f"{self.build_path}/corpus.json")
        why = "corpus.json is there" if built else "corpus.json is not there"
        if built and not self.manifest_holds():
            built, why = False, "the recipe states other alarms or words than the manifest"
        found.append(_line("assemble", ALL, self.build_fingerprint, skip=built, why=why))
        return found


def _line(stage: str, source: str, name: str, *, skip: bool, why: str) -> dict[str, str]:
    return {"stage": stage, "source": source, "name": name, "action": "skip" if skip else "run", "why": why}


_digests: dict[tuple[str, int, int], str] = {}


def file_sha256(path: str) -> str:
    """sha256 of a local file (or of every file below a folder), remembered while its size and time stay."""
    place = Path(path)
    if place.is_dir():
        inside = sorted(entry for entry in place.rglob("*") if entry.is_file())
        return fingerprint([[entry.relative_to(place).as_posix(), file_sha256(str(entry))] for entry in inside])
    status = place.stat()
    key = (path, status.st_size, status.st_mtime_ns)
    if key not in _digests:
        with place.open("rb") as stream:
            _digests[key] = hashlib.file_digest(stream, "sha256").hexdigest()
    return _digests[key]


def chunk_by_bytes(sizes: Iterable[int], limit: int) -> tuple[list[list[int]], int]:
    """Rows in order, cut into tasks of about `limit` bytes, each [start, stop), and the bytes of all.

    At least one task, even for nothing.
    """
    tasks = [[0, 0]]
    held = total = 0
    for row, size in enumerate(sizes):
        if row > tasks[-1][0] and held + size > limit:
            tasks.append([row, row])
            held = 0
        tasks[-1][1] = row + 1
        held += size
        total += size
    return tasks, total
