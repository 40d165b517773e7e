"""One document of a finished build, read again: from its captured payload, through the same reader and rules.

Nothing is fetched and nothing is written. What comes out is compared with what the build recorded, because the code
or a file of the recipe may have changed since: `Replay.differences` says in what.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson
import pyarrow.dataset as ds

from filters.boilerplate import learning, rule_of_lines
from filters.edits import edit_measures
from filters.rule import Rule
from filters.rule import build as build_rule
from manifests.boilerplate import RULE as BOILERPLATE
from manifests.boilerplate import listed_hashes
from manifests.build import RUN, recipe, sources, stages
from manifests.document import Document
from manifests.errors import BuildError, CorpusError
from manifests.identity import text_hash
from manifests.markers import authentic
from manifests.reasons import KEPT
from manifests.store import Store
from pipelines.plan import Plan
from pipelines.prepared import prepared_range
from pipelines.recipe import parse_recipe
from pipelines.rule_use import RuleUse
from pipelines.steps.dedup import skipped_parts
from pipelines.steps.profile import RESOLVED_FILE
from pipelines.steps.record import record_of, to_block
from scrapers.provenance import items_of_payload
from scrapers.snapshot import CorruptItem, verify_payload
from scrapers.source import Item, load


@dataclass(frozen=True)
class Step:
    """One rule as the document met it again."""

    rule: str
    outcome: str
    """`kept`, `edited` or the reason of the drop."""
    before: str
    after: str
    measures: Mapping[str, int]
    """`manifests.schema.EDIT_MEASURES` of the edit, zeros left out."""
    counts: Mapping[str, int]


@dataclass(frozen=True)
class Replay:
    """A document read and cleaned again."""

    extracted: str
    final: str
    """After the last rule the document met."""
    fate: str
    steps: tuple[Step, ...]
    differences: tuple[str, ...] = field(default=())
    """What is not as the build has it, one sentence each; empty: equal."""


class Rereading:
    """The raw payloads and stages behind a finished build."""

    def __init__(self, build: Store, out: str = "") -> None:
        self.build = build
        self.out = Store(out) if out else _out_of(build)

    @cached_property
    def plan(self) -> Plan:
        """The build's own recipe as a plan; paths in it are relative to where the recipe lay."""
        parsed = parse_recipe(recipe(self.build), where=f"{self.build.url}/manifest/recipe.toml")
        return Plan(parsed, self.out, base=self._recipe_folder())

    def _recipe_folder(self) -> Path:
        lines = self.build.read_bytes(RUN).splitlines() if self.build.exists(RUN) else []
        folders = [orjson.loads(line).get("recipe_folder") for line in lines]
        return Path(next((folder for folder in reversed(folders) if folder), "."))

    def raw(self, source: str) -> Store:
        """The snapshot that the build was made from; BuildError if it is gone."""
        entry = sources(self.build)[source]
        for name in sorted(self.out.folders(f"raw/{source}"), key=lambda name: (name != entry["snapshot"], name)):
            index = f"raw/{source}/{name}/snapshot.json"
            if self.out.exists(index) and self.out.read_json(index)["digest"] == entry["digest"]:
                self.plan.read_revision(source, name)
                return self.plan.raw(source)
        raise BuildError(
            f"no snapshot of {source} is the one that this build was made from (digest {entry['digest']}).",
            where=f"{self.out.url}/raw/{source}",
            why="It was purged or fetched anew, so what the payload said cannot be shown.",
            fix="Name the folder that holds raw/ with --out; a takedown cannot be undone.",
        )

    def item(self, source: str, raw_ref: str, native: str) -> Item:
        """The item whose payload has this sha256, its bytes verified; BuildError if it is gone or changed."""
        raw = self.raw(source)
        names = tuple(dict.fromkeys((native, native.partition("#")[0])))
        found = next(items_of_payload(raw, raw_ref, names), None)
        if found is None:
            raise self._gone(source, f"no item of the snapshot has the payload {raw_ref[:16]}...")
        try:
            verify_payload(raw, found)
        except CorruptItem as error:
            raise self._gone(source, f"{found.item}: {error.detail.rstrip('.')}") from None
        return found

    def _gone(self, source: str, what: str) -> BuildError:
        return BuildError(
            f"{what}.",
            where=f"raw payloads of {source}",
            why="It was purged or changed since the build, and nothing is shown that was not captured.",
            fix="Restore the snapshot from a copy; `medtrove acquire` makes one of what there is today.",
        )

    def document(self, row: Mapping[str, Any]) -> Document:
        """The document of a row of documents.parquet, extracted again."""
        source, doc_id = row["source"], row["doc_id"]
        raw = self.raw(source)
        native = doc_id.partition(":")[2]
        if not row["raw_ref"]:
            raise self._gone(source, f"the build does not say which payload {doc_id} was read from")
        self.item(source, row["raw_ref"], native)  # verified, or an error that says so
        names = (native, native.partition("#")[0])
        resolved = self._resolved(source)
        try:
            for item in items_of_payload(raw, row["raw_ref"], names):
                for found in load(self.plan.config(source)).read(item, raw, resolved):
                    if isinstance(found, Document) and found.doc_id == doc_id:
                        found.text = authentic(found.text, found.counts)
                        return found
        except CorpusError:
            raise
        except Exception as error:
            if not row["restricted"]:
                raise
            # The message of a decoding error quotes what it could not read.
            raise BuildError(f"reading {doc_id} again failed with {type(error).__name__}.", where=source) from None
        raise BuildError(
            f"the payload no longer gives {doc_id}.",
            where=f"{source}, payload {row['raw_ref'][:16]}...",
            why="The reader is not the one that the build was made with.",
            fix="Check out the code of the build (run.jsonl says which), or build again.",
        )

    def _resolved(self, source: str) -> Any:
        """What the profile pass of these payloads resolved to, None for a source without one."""
        digest = sources(self.build)[source]["digest"]
        for name in self.out.folders("stages/profile"):
            stage = f"stages/profile/{name}"
            if not name.startswith(f"{source}@") or not self.out.exists(f"{stage}/stage.json"):
                continue
            table = f"{stage}/{RESOLVED_FILE}"
            if self.out.read_json(f"{stage}/stage.json")["inputs"]["payloads"] == digest and self.out.exists(table):
                return ds.dataset(self.out.full(table), format="parquet")
        return None

    def prepared(self, row: Mapping[str, Any]) -> str | None:
        """The text as it went to tokenizing (or, of a duplicate, would have); None if no stage holds it."""
        fingerprints = {(line["stage"], line["source"]): line["fingerprint"] for line in stages(self.build)}
        source, key = row["source"], row["doc_key"]
        folder = f"stages/prepare/{source}@{fingerprints['prepare', source]}"
        dedup = f"stages/dedup/all@{fingerprints['dedup', source]}"
        if not self.out.exists(folder) or not self.out.exists(f"{dedup}/same_id.parquet"):
            return None
        skip = skipped_parts(self.out.sub(dedup), source)
        return next((text for _, text in prepared_range(self.out.sub(folder), key, key, {key: ""}, skip=skip)), None)

    def replay(self, row: Mapping[str, Any]) -> Replay:
        """The document of `row` through its rules again, one after another, and how the result differs."""
        document = self.document(row)
        extracted = document.text
        record = record_of(to_block(document))
        steps = []
        for use in self.plan.rules(row["source"]):
            before, counted = record.document.text, Counter(record.counts)
            try:
                record.accept(use.rule, self._rule(row["source"], use)(record.document))
            except CorpusError:
                raise
            except Exception as error:
                if not row["restricted"]:
                    raise
                raise BuildError(f"{use.rule} failed with {type(error).__name__}.", where=row["doc_id"]) from None
            after = record.document.text
            outcome = record.fate if record.fate != KEPT else "edited" if after != before else "kept"
            measures = edit_measures(before, after) if after != before else {}
            steps.append(Step(use.rule, outcome, before, after, measures, dict(record.counts - counted)))
            if record.fate != KEPT:
                break
        made = Replay(extracted, record.document.text, record.fate, tuple(steps))
        return replace(made, differences=tuple(self._differences(row, made)))

    def _rule(self, source: str, use: RuleUse) -> Rule:
        if use.rule == BOILERPLATE and learning(use.parameters) is not None:
            # What was learnt is in the manifest; the stage that learnt it may be gone.
            return rule_of_lines(listed_hashes(self.build, source))
        return build_rule(use.rule, use.parameters)

    def _differences(self, row: Mapping[str, Any], made: Replay) -> list[str]:
        found = []
        if len(made.extracted) != row["n_chars_raw"]:
            found.append(f"extraction gave {len(made.extracted):,} characters, in the build {row['n_chars_raw']:,}")
        stored = self.prepared(row) if row["fate"] == KEPT or row["fate"].startswith("dedup.") else None
        same = text_hash(made.final) == row["text_hash"] and len(made.final) == row["n_chars"]
        if not same or (stored is not None and stored != made.final):
            found.append("the text after the rules is another one")
        fate = KEPT if row["fate"].startswith("dedup.") else row["fate"]
        if made.fate != fate:
            found.append(f"the rules' verdict is {made.fate}, in the build {fate}")
        return found


def _out_of(build: Store) -> Store:
    url = str(build.local().resolve()) if build.is_local else build.url.rstrip("/")
    head, separator, _ = url.rpartition("/builds/")
    if not separator:
        raise BuildError(
            "this build does not lie in an output folder.",
            where=build.url,
            why="Raw payloads and prepared text are beside builds/, in raw/ and stages/.",
            fix="Name the output folder that holds them with --out.",
        )
    return Store(head)
