"""The stages that do the work, each as the pipeline of blocks that does it and the tasks it is cut into."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow.parquet as pq

from dedup.resolve import DedupConfig
from dedup.signatures import MinHashConfig
from manifests.boilerplate import RULE
from manifests.store import Store
from mixing.blocks import blocks_needed
from mixing.mix import Layout
from mixing.stages import stage_curves
from mixing.tokenize import Encoder
from pipelines.chunks import chunk_by_bytes
from pipelines.executors import StageRun
from pipelines.mixture_recipe import (
    group_of,
    mixture_of,
    source_parts,
    stage_tables,
    stages_of,
    subsources,
    validation_fractions,
)
from pipelines.plan import Plan
from pipelines.recipe import resolve_path
from pipelines.rule_use import RuleUse
from pipelines.stage import ALL
from pipelines.steps.dedup import ResolveDuplicates, source_priority
from pipelines.steps.lines import LEARNT_FILE, CountLines, resolve_lines
from pipelines.steps.mix import WriteShard, blocks_of, plan_rows
from pipelines.steps.prepare import WritePrepared
from pipelines.steps.profile import RESOLVED_FILE, ProfileItems, resolve_profiles
from pipelines.steps.read import ReadSource
from pipelines.steps.rule import ApplyRule
from pipelines.steps.tokenize import TokenizeBlock
from pipelines.steps.weigh import PackFraction, WeighSources
from scrapers.snapshot import item_lengths
from scrapers.source import load

TASK_BYTES = 200_000_000
"""Input of one task of pass 1, as it lies on disk."""

CHARACTERS_PER_TOKEN = 4
"""Only for cutting a source into blocks before its tokens are counted."""

BLOCK_BYTES = 256 << 20
"""Size of one block of token rows."""


def _tasks(plan: Plan, source: str) -> tuple[list[list[int]], int]:
    """Rows of the snapshot's items.parquet for each task, [start, stop), and the bytes of all items."""
    return chunk_by_bytes(item_lengths(plan.raw(source)), TASK_BYTES)


def profile_run(plan: Plan, source: str) -> StageRun | None:
    """The declared count-only pass of a source that needs one, else None."""
    config = plan.config(source)
    if not hasattr(load(config), "profile"):
        return None
    stage = plan.profile(source)
    folder = plan.folder(stage)
    tasks, _ = _tasks(plan, source)
    block = ProfileItems(config, plan.raw(source).url, tasks, folder.url)
    return StageRun(stage, folder, tasks, [block], restricted=config.restricted, units=tasks[-1][1])


def lines_run(plan: Plan, source: str) -> StageRun | None:
    """The declared count-only pass of a source that learns its boilerplate, else None; nothing but what it needs.

    It reads and extracts, and applies the rules that come before `clean.boilerplate`: no identifiers are looked for and
    no signatures made.
    """
    stage, learning = plan.learn_lines(source), plan.learning(source)
    if stage is None or learning is None:
        return None
    config = plan.config(source)
    folder = plan.folder(stage)
    tasks, units = _tasks(plan, source)
    reader = ReadSource(config, plan.raw(source).url, tasks, _resolved(plan, source))
    rules = [ApplyRule(use.rule, use.parameters) for use in learning.before]
    counter = CountLines(folder.url, learning.thresholds, restricted=config.restricted)
    return StageRun(stage, folder, tasks, [reader, *rules, counter], restricted=config.restricted, units=units)


def lines_files(plan: Plan, source: str) -> list[str]:
    """Paths of the files of boilerplate lines that the source meets, learnt ones and the user's own."""
    return [str(_known(plan, source, use)["lines"]) for use in plan.rules(source) if use.rule == RULE]


def _known(plan: Plan, source: str, use: RuleUse) -> Mapping[str, Any]:
    """The rule's parameters; in the place of lines to be learnt, the file of those that the finished pass learnt."""
    learning, stage = plan.learning(source), plan.learn_lines(source)
    if learning is None or stage is None or use != learning.rule:
        return use.parameters
    folder = plan.folder(stage)
    if not folder.exists(LEARNT_FILE):
        restricted = plan.cards[source].restricted
        resolve_lines(source, folder, learning.thresholds, restricted=restricted)
    return {"lines": f"{folder.url}/{LEARNT_FILE}"}


def prepare_run(plan: Plan, source: str) -> StageRun:
    """Pass 1 of a source: read, extract, apply the rules, write text, signatures and books."""
    config = plan.config(source)
    stage = plan.prepare(source)
    folder = plan.folder(stage)
    tasks, units = _tasks(plan, source)
    reader = ReadSource(config, plan.raw(source).url, tasks, _resolved(plan, source))
    rules = [ApplyRule(use.rule, _known(plan, source, use)) for use in plan.rules(source)]
    writer = WritePrepared(folder.url, reader, minhash_config(plan), restricted=config.restricted)
    return StageRun(stage, folder, tasks, [reader, *rules, writer], restricted=config.restricted, units=units)


def _resolved(plan: Plan, source: str) -> str:
    """Path of what the profile pass resolved to, empty for a source without one."""
    config = plan.config(source)
    if not hasattr(load(config), "profile"):
        return ""
    folder = plan.folder(plan.profile(source))
    if not folder.exists(RESOLVED_FILE):
        resolve_profiles(config, folder)
    return folder.full(RESOLVED_FILE)


def merged_away(plan: Plan, source: str) -> int:
    """Records that a newer revision replaced or a deletion withdrew, as the profile pass found; 0 without one."""
    path = _resolved(plan, source)
    found = (pq.read_schema(path).metadata or {}) if path else {}
    return int(found.get(b"merged_away", 0))


def minhash_config(plan: Plan) -> MinHashConfig:
    section = plan.recipe.dedup
    return MinHashConfig(bands=section.bands, rows=section.rows, ngram=section.ngram, seed=section.seed)


def dedup_run(plan: Plan) -> StageRun:
    """Pass 2: one task over all sources."""
    section, mixture = plan.recipe.dedup, plan.recipe.mixture
    stage = plan.dedup()
    folder = plan.folder(stage)
    config = DedupConfig(
        source_priority=source_priority(section.priority, list(plan.recipe.sources)),
        denylist=_denylist(plan),
        denied_subjects=frozenset(),
        jaccard=section.jaccard,
        minhash=minhash_config(plan),
        drop_abstract_of_full_text=section.drop_abstract_of_full_text,
        validation_fraction=mixture.validation_fraction,
        validation_fractions=validation_fractions(plan.recipe),
        seed=mixture.seed,
    )
    prepared = {source: plan.folder(plan.prepare(source)).url for source in plan.recipe.sources}
    block = ResolveDuplicates(prepared, config, folder.url, restricted=plan.restricted)
    return StageRun(stage, folder, [ALL], [block], restricted=plan.restricted)


def _denylist(plan: Plan) -> frozenset[str]:
    name = plan.recipe.dedup.denylist
    if not name:
        return frozenset()
    lines = resolve_path(name, base=plan.base).read_text(encoding="utf-8").splitlines()
    return frozenset(line.split("#")[0].strip() if line.startswith("#") else line.strip() for line in lines) - {""}


def kept_characters(plan: Plan, source: str) -> int:
    """Characters that pass 1 kept of a source."""
    facts = plan.folder(plan.prepare(source)).read_json("stage.json")["facts"]
    return sum(fact["kept_characters"] for fact in facts)


def tokenize_run(plan: Plan, source: str) -> StageRun:
    """Pass 3 of a source: one task a block."""
    stage = plan.tokenize(source)
    folder = plan.folder(stage)
    estimate = kept_characters(plan, source) // CHARACTERS_PER_TOKEN
    tasks = list(range(blocks_needed(estimate, 2, BLOCK_BYTES)))
    tokenizer = plan.recipe.tokenizer
    restricted = plan.cards[source].restricted
    section = plan.recipe.sources[source]
    block = TokenizeBlock(
        source,
        plan.folder(plan.prepare(source)).url,
        plan.folder(plan.dedup()).url,
        folder.url,
        tokenizer=plan.tokenizer_path,
        bos=tokenizer.bos,
        eos=tokenizer.eos,
        special=tokenizer.special,
        row_tokens=plan.recipe.mixture.sequence_length + 1,
        restricted=restricted,
        parts=source_parts(section.buckets),
        edges=section.buckets.edges if section.buckets else (),
        timeline=section.pack == "timeline",
    )
    return StageRun(stage, folder, tasks, [block], restricted=restricted)


def tokenized(plan: Plan) -> dict[str, str]:
    """Folder of each source's blocks."""
    return {source: plan.folder(plan.tokenize(source)).url for source in plan.recipe.sources}


def weigh_run(plan: Plan) -> StageRun:
    """How much of each source: one small task."""
    stage = plan.weigh()
    folder = plan.folder(stage)
    section = plan.recipe.mixture
    block = WeighSources(
        tokenized(plan),
        subsources(plan.recipe),
        mixture_of(plan.recipe),
        folder.url,
        row_tokens=section.sequence_length + 1,
        seed=section.seed,
    )
    return StageRun(stage, folder, [ALL], [block], restricted=plan.restricted)


def n_blocks(store: Store) -> int:
    """Blocks of a finished tokenize stage."""
    return len(store.read_json("stage.json")["facts"])


def fraction_run(plan: Plan) -> StageRun:
    """The partial passes: one task for each block of each source."""
    stage = plan.fraction()
    folder = plan.folder(stage)
    folders = tokenized(plan)
    blocks = {source: n_blocks(Store(url)) for source, url in folders.items()}
    subs = subsources(plan.recipe)
    tasks = [[sub.name, sub.source, sub.part, block] for sub in subs for block in range(blocks[sub.source])]
    step = PackFraction(
        folders,
        plan.folder(plan.weigh()).url,
        tasks,
        folder.url,
        row_tokens=plan.recipe.mixture.sequence_length + 1,
        pad_id=encoder(plan).pad_id,
        seed=plan.recipe.mixture.seed,
        restricted=plan.restricted,
    )
    return StageRun(stage, folder, tasks, [step], restricted=plan.restricted)


def encoder(plan: Plan) -> Encoder:
    """The recipe's tokenizer."""
    section = plan.recipe.tokenizer
    return Encoder(plan.tokenizer_path, bos=section.bos, eos=section.eos, special=section.special)


def mix_run(plan: Plan) -> StageRun:
    """Pass 4: one task a shard, written straight into the build, and one a source for its validation rows."""
    stage = plan.mix()
    paths = {source: plan.tokenize(source).path for source in plan.recipe.sources}
    layout = layout_of(plan)
    validation = {source: blocks_of(plan.out, path, "validation") for source, path in paths.items()}
    tasks = [*range(layout.n_shards), *plan.recipe.sources]
    folder, results = plan.folder(stage), plan.build
    step = WriteShard(
        layout,
        validation,
        tasks,
        plan.out.url,
        folder.url,
        results.url,
        part_of=group_of(plan.recipe),
        stages=stage_tables(plan.recipe),
        restricted=plan.restricted,
    )
    return StageRun(stage, folder, tasks, [step], restricted=plan.restricted, results=results)


def layout_of(plan: Plan) -> Layout:
    """Which rows make up the shards, and in which order."""
    subs, stages = subsources(plan.recipe), stages_of(plan.recipe.mixture)
    curves = stage_curves(stages) if stages else {}
    groups = dict(zip([sub.name for sub in subs], group_of(plan.recipe), strict=True))
    return plan_rows(
        plan.out,
        {source: plan.tokenize(source).path for source in plan.recipe.sources},
        subs,
        plan.fraction().path,
        plan.weigh().path,
        row_tokens=plan.recipe.mixture.sequence_length + 1,
        dtype=encoder(plan).dtype.name,
        rows_per_shard=plan.recipe.mixture.rows_per_shard,
        seed=plan.recipe.mixture.seed,
        curves={name: curves[group] for name, group in groups.items() if curves},
    )
