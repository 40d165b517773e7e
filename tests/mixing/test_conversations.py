"""Conversations in rows: whole, learned where they answer, and the column travels to the shards and back."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer

from manifests.errors import RecipeError
from manifests.reasons import reason
from manifests.store import Store
from mixing.blocks import BlockFile, repack, write_block
from mixing.conversations import PackedConversations, pack_conversations
from mixing.mix import BlockRef, Layout, source_layout, write_mixed_shard, write_source_rows
from mixing.reader import Shards, open_shards
from mixing.remove import blank, blank_shard
from mixing.rows import concatenate
from mixing.shards import write_folder_files
from mixing.template import TEMPLATES, Message, template
from mixing.tokenize import Encoder

ROW = 65
FORM = template("llama-3")
WORDS = ["dose", "INR", "2.5", "≥5", "mg", "renal", "<|eot_id|>", "</s>", "warfarin", "10⁻³"]


@pytest.fixture(scope="module")
def encoder(tokenizer_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    names = sorted({name for form in TEMPLATES.values() for name in form.special})
    tokenizer.add_special_tokens([AddedToken(name, normalized=False) for name in names])
    path = tmp_path_factory.mktemp("chat") / "tokenizer.json"
    tokenizer.save(str(path))
    return Encoder(str(path), bos=True, eos=True, special=names)


def conversation(random_: random.Random) -> list[Message]:
    messages = [Message("system", "Answer.")] if random_.random() < 0.2 else []
    for _ in range(random_.randint(1, 3)):
        asked, said = (" ".join(random_.choices(WORDS, k=random_.randint(1, 9))) for _ in range(2))
        messages += [Message("user", asked), Message("assistant", said)]
    return messages


def made(n: int, seed: int = 4) -> dict[int, list[Message]]:
    random_ = random.Random(seed)
    return {random_.getrandbits(64): conversation(random_) for _ in range(n)}


def packed(encoder: Encoder, given: dict[int, list[Message]], form: str = "llama-3") -> PackedConversations:
    return pack_conversations(list(given), list(given.values()), form=template(form), encoder=encoder, row_tokens=ROW)


@given(st.integers(0, 10_000), st.sampled_from(sorted(TEMPLATES)))
@settings(max_examples=40, deadline=None)
def test_each_is_whole_in_one_row_or_left_with_a_reason(encoder: Encoder, seed: int, form: str) -> None:
    given = made(12, seed)
    broken, empty = [Message("user", "no answer")], [Message("user", "q"), Message("assistant", " ")]
    result = packed(encoder, {**given, 1: broken, 2: empty}, form)
    rows = result.block.rows
    assert rows.loss_mask is not None
    assert not rows.continues.any()
    row_of = np.repeat(np.arange(len(rows)), np.diff(rows.offsets))
    found = {}
    for key, row, end, length in zip(rows.doc_key.tolist(), row_of, rows.doc_ends, rows.lengths, strict=True):
        found[key] = (rows.input_ids[row, end - length : end], rows.loss_mask[row, end - length : end])
    left = {one.doc_key: one for one in result.left}
    assert (left[1].reason, left[2].reason) == ("template.not_a_conversation", "template.nothing_to_learn")
    assert sorted([*found, *left]) == sorted([*given, 1, 2])
    for key, messages in given.items():
        encoded, learn = encoder.encode_segments([template(form).render(messages)])
        if key in left:
            assert left[key].reason == "template.too_long"
            assert left[key].n_tokens == len(encoded.ids) > ROW
            assert reason(left[key].reason).stage == "template"
        else:
            assert found[key][0].tolist() == encoded.ids.tolist()
            assert found[key][1].tolist() == learn.tolist()
    assert result.n_learned == int(rows.loss_mask.sum())
    unused = np.arange(ROW)[None, :] >= rows.used[:, None]
    assert not rows.loss_mask[unused].any()
    assert (rows.input_ids[unused] == encoder.pad_id).all()


def test_an_answer_is_learned_with_its_stop_and_no_other_token(encoder: Encoder) -> None:
    result = packed(encoder, {5: [Message("user", "dose </s>"), Message("assistant", "renal <|eot_id|>")]})
    rows = result.block.rows
    assert rows.loss_mask is not None
    learned = rows.input_ids[rows.loss_mask == 1]
    assert encoder.decode(learned) == "renal <|eot_id|><|eot_id|>"
    assert learned.tolist().count(encoder.special["<|eot_id|>"]) == 1


def test_nothing_given_is_no_rows(encoder: Encoder) -> None:
    result = packed(encoder, {})
    assert (len(result.block.rows), result.left, result.n_learned) == (0, [], 0)


def test_no_end_token_is_refused(tokenizer_file: Path, tmp_path: Path) -> None:
    table = json.loads(tokenizer_file.read_text())
    table["added_tokens"], vocabulary = [], table["model"]["vocab"]
    for name in ("<s>", "</s>", "<pad>"):
        vocabulary[f"{name}x"] = vocabulary.pop(name)
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(table))
    bare = Encoder(str(path), bos=False, eos=False)
    with pytest.raises(RecipeError, match="'mellama' ends answers with the end token"):
        packed(bare, made(1), "mellama")


@pytest.fixture(scope="module")
def corpus(encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> tuple[PackedConversations, Layout, Shards]:
    folder = tmp_path_factory.mktemp("sft")
    result = packed(encoder, made(400))
    half = result.doc_keys[: len(result.doc_keys) // 2]
    blocks = {"a.arrow": result.block}
    with (folder / "a.arrow").open("wb") as stream:
        write_block(stream, result.block)
    blocks["b.arrow"] = repack([(BlockFile(folder / "a.arrow"), result.block.placements, half)], ROW, encoder.pad_id)
    with (folder / "b.arrow").open("wb") as stream:
        write_block(stream, blocks["b.arrow"])
    refs = {name: BlockRef(name, len(block.rows)) for name, block in blocks.items()}
    sources = (source_layout("chat", 1, [refs["a.arrow"]], [refs["b.arrow"]]),)
    layout = Layout.from_json(
        json.loads(json.dumps(Layout(sources, ROW, encoder.dtype.name, 100, 3, loss_mask=True).to_json()))
    )
    store, records = Store(folder / "shards"), []
    for number in range(layout.n_shards):
        with store.writing(f"shard-{number:05d}.arrow") as stream:
            record, placements = write_mixed_shard(stream, layout, number, lambda name: BlockFile(folder / name))
        pq.write_table(placements, folder / f"{number}.parquet")
        records.append(record)
    with (folder / "chat.arrow").open("wb") as stream:
        write_source_rows(stream, layout, "chat", [refs["a.arrow"]], lambda name: BlockFile(folder / name))
    write_folder_files(
        store,
        records,
        sources=layout.names,
        sequence_length=ROW - 1,
        dtype=layout.dtype,
        tokenizer=encoder.describe(),
        schedule=layout.describe(),
        restricted=False,
        loss_mask=True,
    )
    return result, layout, open_shards(folder / "shards")


def test_the_mask_travels_through_blocks_fractions_and_shards(
    encoder: Encoder, corpus: tuple[PackedConversations, Layout, Shards]
) -> None:
    result, layout, shards = corpus
    assert layout.n_shards > 1
    given = made(400)
    times = dict.fromkeys(result.doc_keys.tolist(), 0)
    for row in shards:
        start = 0
        assert row.loss_mask is not None
        for key, end in zip(row.doc_key.tolist(), row.doc_ends.tolist(), strict=True):
            encoded, learn = encoder.encode_segments([FORM.render(given[key])])
            assert row.input_ids[start:end].tolist() == encoded.ids.tolist()
            assert row.loss_mask[start:end].tolist() == learn.tolist()
            times[key] += 1
            start = end
        assert not row.loss_mask[start:].any()
    half = set(result.doc_keys[: len(result.doc_keys) // 2].tolist())
    assert all(n == 1 + (key in half) for key, n in times.items())


def test_datasets_maps_the_column(corpus: tuple[PackedConversations, Layout, Shards]) -> None:
    datasets = pytest.importorskip("datasets")
    _, _, shards = corpus
    mapped = datasets.load_from_disk(str(shards.folder))
    assert len(mapped) == len(shards)
    for number in (0, len(shards) // 2, len(shards) - 1):
        row, expected = mapped[number], shards[number]
        assert expected.loss_mask is not None
        assert row["loss_mask"] == expected.loss_mask.tolist()
        assert row["input_ids"] == expected.input_ids.tolist()
        assert row["doc_ends"] == expected.doc_ends.tolist()


def test_what_a_takedown_removes_is_not_learned(
    encoder: Encoder, corpus: tuple[PackedConversations, Layout, Shards], tmp_path: Path
) -> None:
    result, layout, shards = corpus
    gone = result.doc_keys[::7]
    rows = concatenate([batch for number in range(shards.n_shards) for batch in shards.batches(number)])
    assert rows.loss_mask is not None
    after = blank(rows, gone, encoder.pad_id)
    assert after.loss_mask is not None
    row_of = np.repeat(np.arange(len(rows)), np.diff(rows.offsets))
    for key, row, end, length in zip(rows.doc_key, row_of, rows.doc_ends, rows.lengths, strict=True):
        before, now = (one.loss_mask[row, end - length : end] for one in (rows, after))  # type: ignore[index]
        assert now.tolist() == ([0] * int(length) if key in gone else before.tolist())
    with (tmp_path / "shard-00000.arrow").open("wb") as stream:
        record = blank_shard(
            shards.folder / "shard-00000.arrow", stream, gone, pad_id=encoder.pad_id, sources=layout.names
        )
    assert record.tokens["chat"] < shards.index["shards"][0]["tokens"]["chat"]
