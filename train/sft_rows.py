"""Conversations as training rows: rendered by the template, packed whole, written as small shards, and checked.

What is checked of every document of every row: something is learned, and each answer ends in the stop token, which is
learned too. What is checked of conversations that are at hand: what an answer is generated from is, token by token,
the beginning of what was trained (`prefix_breaks`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from manifests.errors import CheckFailed, RecipeError
from manifests.store import Store
from mixing.conversations import PackedConversations, pack_conversations
from mixing.reader import Shards
from mixing.rows import Rows
from mixing.shards import shard_name, write_folder_files, write_shard
from mixing.template import Message, NotAConversation, Template
from mixing.tokenize import Encoder
from train.sft_door import Example, example_keys, held_out

TOO_LONG_SHARE = 0.001
"""Largest share of conversations that may be too long before a run is refused."""
SHARDS, VALIDATION = "shards", "validation"
"""Folders of the rows, named as those of a build."""
_PREFIXES = 1000
"""Conversations whose beginnings are compared, spread evenly."""


@dataclass(frozen=True, slots=True)
class RowFacts:
    """What became of the conversations of one side."""

    conversations: int
    """In rows."""
    rows: int
    tokens: int
    learned: int
    """Tokens of answers and their stops."""
    left: dict[str, int]
    """Conversations in no row, by reason."""
    longest: int
    """Tokens of the longest conversation, those left out included."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """How conversations become rows."""

    form: Template
    encoder: Encoder
    sequence_length: int
    max_length: int = 0
    """Most tokens of a conversation; 0: those of a row."""
    validation_fraction: float = 0.0
    seed: int = 0
    """Of the order of the rows."""
    restricted: bool = False
    allow_too_long: bool = False

    @property
    def stop_id(self) -> int:
        """The token that ends an answer."""
        return stop_id(self.form, self.encoder.describe())


def stop_id(form: Template, tokenizer: dict[str, Any]) -> int:
    """The token that ends an answer, for a tokenizer as `index.json` describes it; RecipeError where it has none."""
    found = tokenizer.get("special", {}).get(form.stop) if form.stop else tokenizer.get("eos_id")
    if found is None:
        raise RecipeError(
            f"the chat template {form.name!r} ends answers with {form.stop or 'the end token'!r}, "
            "which the tokenizer of these rows does not have.",
            why="A model that never sees an answer end does not learn to stop.",
            fix="Name the template that the rows were made with: --template.",
        )
    return int(found)


def source_name(path: str | Path) -> str:
    """The source id of a file's rows: its name in small letters."""
    return re.sub(r"[^a-z0-9]+", "-", Path(path).stem.lower()).strip("-") or "conversations"


def write_rows(store: Store, examples: Sequence[Example], lesson: Lesson, *, source: str) -> dict[str, RowFacts]:
    """Write `shards/` and, where some are held out, `validation/` into the store; facts of each side.

    Nothing is written if too many conversations are too long, or a check fails.
    """
    sides: dict[str, PackedConversations] = {}
    keys = example_keys(examples, source)
    apart = held_out(examples, lesson.validation_fraction)
    for side, wanted in ((SHARDS, ~apart), (VALIDATION, apart)):
        chosen = np.flatnonzero(wanted).tolist()
        if chosen:
            conversations = [examples[i].messages() for i in chosen]
            sides[side] = pack_conversations(
                [keys[i] for i in chosen],
                conversations,
                form=lesson.form,
                encoder=lesson.encoder,
                row_tokens=lesson.sequence_length + 1,
                longest=lesson.max_length,
            )
            check_prefixes(conversations, lesson)
    _check_lengths(sides, lesson)
    for packed in sides.values():
        check_learned(packed.block.rows, lesson.stop_id, where=f"rows of {source}")
    for side, packed in sides.items():
        _write(store.sub(side), packed, lesson, source=source, split="train" if side == SHARDS else side)
    return {side: _facts(packed) for side, packed in sides.items()}


def check_shards(shards: Shards, form: Template) -> int:
    """Check every row of finished SFT shards; tokens learned. CheckFailed or RecipeError where they cannot teach."""
    if not shards.index["loss_mask"]:
        raise RecipeError(
            "these shards have no loss mask.",
            where=str(shards.folder),
            why="They are for pretraining: questions would be learned like answers.",
            fix="Give shards of an instruction recipe, or a file with --data.",
        )
    stop = stop_id(form, shards.index["tokenizer"])
    return sum(
        check_learned(rows, stop, where=str(shards.folder))
        for number in range(shards.n_shards)
        for rows in shards.batches(number)
    )


def check_learned(rows: Rows, stop: int, *, where: str) -> int:
    """Tokens learned in these rows; CheckFailed if a document teaches nothing, or an answer does not end in `stop`."""
    assert rows.loss_mask is not None, "rows of conversations have a loss mask"
    width = rows.input_ids.shape[1]
    learned = rows.loss_mask.reshape(-1).astype(bool)
    row = np.repeat(np.arange(len(rows)), np.diff(rows.offsets))
    ends = row * width + rows.doc_ends
    starts = ends - rows.lengths
    before = np.concatenate(([0], np.cumsum(learned)))
    # The first token of a document is never a target, whatever its mask says.
    n_learned = before[ends] - before[np.minimum(starts + 1, ends)]
    idle = int(np.count_nonzero((n_learned == 0) & (rows.doc_key != 0)))
    if idle:
        raise CheckFailed(
            f"{idle:,} of {len(ends):,} conversations learn nothing.",
            where=where,
            why="They would cost time and teach no answer.",
            fix="Build the rows again: `template.nothing_to_learn` leaves such conversations out.",
        )
    last = np.ones(len(learned), dtype=bool)
    last[:-1] = ~learned[1:]
    closing = rows.input_ids.reshape(-1)[learned & last]
    open_ended = int(np.count_nonzero(closing != stop))
    if open_ended:
        raise CheckFailed(
            f"{open_ended:,} of {len(closing):,} answers do not end in the stop token {stop}, learned with them.",
            where=where,
            why="A model trained so does not learn to stop.",
            fix="Name the template that the rows were made with, or build them again.",
        )
    return int(n_learned.sum())


def check_prefixes(conversations: Sequence[Sequence[Message]], lesson: Lesson) -> None:
    """CheckFailed unless the prompt of an answer, as it is generated from, begins the conversation as it is trained."""
    step = -(-len(conversations) // _PREFIXES)
    prompts, wholes = [], []
    for messages in conversations[::step]:
        try:
            wholes.append(lesson.form.render(messages))
        except NotAConversation:
            continue
        prompts.append(lesson.form.render(messages[:-1], generate=True))
    asked, _ = lesson.encoder.encode_segments(prompts)
    said, learn = lesson.encoder.encode_segments(wholes)
    broken = 0
    for i in range(len(asked)):
        prompt, whole = asked[i], said[i]
        mask = learn[said.offsets[i] : said.offsets[i + 1]]
        n = len(prompt)
        broken += not (np.array_equal(prompt, whole[:n]) and mask[n : n + 1].all())
    if broken:
        raise CheckFailed(
            f"of {len(asked):,} conversations {broken:,} do not begin with the prompt of their last answer.",
            where=f"chat template {lesson.form.name!r}",
            why="A model would be asked in another form than it was taught.",
            fix="Choose another template; this is an error of this one.",
        )


def _check_lengths(sides: dict[str, PackedConversations], lesson: Lesson) -> None:
    left = [one for packed in sides.values() for one in packed.left]
    too_long = [one.n_tokens or 0 for one in left if one.reason == "template.too_long"]
    total = len(left) + sum(len(packed.n_tokens) for packed in sides.values())
    if len(too_long) > TOO_LONG_SHARE * total and not lesson.allow_too_long:
        most = min(lesson.max_length or lesson.sequence_length + 1, lesson.sequence_length + 1)
        raise CheckFailed(
            f"{len(too_long):,} of {total:,} conversations ({len(too_long) / total:.2%}) are longer than {most:,} "
            f"tokens, and {TOO_LONG_SHARE:.1%} may be.",
            where=f"chat template {lesson.form.name!r}",
            why="None is ever cut: without its end an answer would not teach where to stop.",
            fix=f"--max-length {max(too_long)} holds all of them; --allow-too-long leaves these out.",
        )
    empty = [side for side, packed in sides.items() if not len(packed.n_tokens)]
    if empty:
        raise CheckFailed(
            f"no conversation is left for {' and '.join('training' if one == SHARDS else one for one in empty)}.",
            why=f"Left out were: {dict(Counter(one.reason for one in left))}.",
            fix="Raise --max-length, or change --val-fraction.",
        )


def _write(store: Store, packed: PackedConversations, lesson: Lesson, *, source: str, split: str) -> None:
    rows = packed.block.rows.of_source(0)
    # Best-fit leaves rows by the length of what they hold; an epoch begins in no order of length.
    rows = rows.take(np.random.default_rng(lesson.seed).permutation(len(rows)))
    file = shard_name(0)
    with store.writing(file) as stream:
        record = write_shard(
            stream,
            [rows],
            file=file,
            sources=[source],
            row_tokens=lesson.sequence_length + 1,
            dtype=lesson.encoder.dtype,
            loss_mask=True,
        )
    write_folder_files(
        store,
        [record],
        sources=[source],
        sequence_length=lesson.sequence_length,
        dtype=lesson.encoder.dtype,
        tokenizer=lesson.encoder.describe(),
        schedule={"kind": "conversations", "template": lesson.form.name, "seed": lesson.seed},
        restricted=lesson.restricted,
        split=split,
        loss_mask=True,
    )


def _facts(packed: PackedConversations) -> RowFacts:
    left = Counter(one.reason for one in packed.left)
    lengths = [int(packed.n_tokens.max())] if len(packed.n_tokens) else []
    longest = max([*lengths, *(one.n_tokens or 0 for one in packed.left)], default=0)
    return RowFacts(
        len(packed.n_tokens), len(packed.block.rows), int(packed.n_tokens.sum()), packed.n_learned, dict(left), longest
    )


def facts_json(facts: dict[str, RowFacts]) -> dict[str, Any]:
    """The facts as plain values."""
    return {side: asdict(one) for side, one in facts.items()}
