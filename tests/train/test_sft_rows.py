from __future__ import annotations

import dataclasses
import functools
import tempfile
from pathlib import Path

import numpy as np
import pytest

from manifests.errors import CheckFailed, RecipeError
from manifests.store import Store
from mixing.conversations import pack_conversations
from mixing.reader import Shards, open_shards
from mixing.template import TEMPLATES, Segment, template
from mixing.tokenize import Encoder
from train import sft_rows
from train.data import IGNORED, batches
from train.sft import shown_rows
from train.sft_door import Example
from train.sft_rows import Lesson, check_learned, check_prefixes, check_shards, source_name, write_rows
from train.sft_tokenizer import chat_tokenizer

SAMPLE = Path(__file__).parents[2] / "scrapers" / "sample" / "tokenizer.json"
EXAMPLES = [
    Example(f"Which dose of drug {i}?", "Renal failure." * (i % 3), f"{i} mg daily" + ", with food" * (i % 7))
    for i in range(60)
]


@functools.cache
def encoder_of(name: str) -> Encoder:
    with tempfile.TemporaryDirectory() as folder:
        return chat_tokenizer(str(SAMPLE), template(name), Store(folder)).encoder


@pytest.fixture(params=sorted(TEMPLATES))
def lesson(request: pytest.FixtureRequest) -> Lesson:
    return Lesson(template(request.param), encoder_of(request.param), 256, validation_fraction=0.2)


def written(lesson: Lesson, folder: Path, examples: list[Example] = EXAMPLES) -> Shards:
    write_rows(Store(folder), examples, lesson, source="my")
    return open_shards(folder / "shards")


def test_labels_are_the_answers_and_their_stop_and_nothing_else(lesson: Lesson, tmp_path: Path) -> None:
    shards = written(lesson, tmp_path)
    seen = []
    for batch in batches(shards, rows_per_batch=4):
        for row in range(4):
            for segment in range(1, int(batch.segment_ids[row].max()) + 1):
                inside = (batch.segment_ids[row] == segment) & (batch.labels[row] != IGNORED)
                labels = batch.labels[row][inside]
                assert labels[-1] == lesson.stop_id
                assert (labels[:-1] != lesson.stop_id).all()
                seen.append(lesson.encoder.decode(labels[:-1]).strip())
    both = sorted(seen) + sorted(validation_answers(tmp_path, lesson))
    assert sorted(both) == sorted(one.output for one in EXAMPLES)


def validation_answers(folder: Path, lesson: Lesson) -> list[str]:
    shards = open_shards(folder / "validation")
    assert shards.index["split"] == "validation"
    found = []
    for row in shards:
        begin = 0
        for end in row.doc_ends.tolist():
            assert row.loss_mask is not None
            ids = row.input_ids[begin:end][row.loss_mask[begin:end] == 1]
            found.append(lesson.encoder.decode(ids[:-1]).strip())
            begin = end
    return found


def test_the_facts_are_what_is_in_the_rows(lesson: Lesson, tmp_path: Path) -> None:
    facts = write_rows(Store(tmp_path), EXAMPLES, lesson, source="my")
    for side in ("shards", "validation"):
        shards = open_shards(tmp_path / side)
        assert facts[side].rows == len(shards)
        assert facts[side].tokens == shards.index["totals"]["tokens"]
        assert facts[side].learned == check_shards(shards, lesson.form)
        assert facts[side].learned == sum(int(row.loss_mask.sum()) for row in shards if row.loss_mask is not None)
    assert sum(one.conversations for one in facts.values()) == len(EXAMPLES)


def test_the_same_data_gives_the_same_bytes_and_no_order_of_length(lesson: Lesson, tmp_path: Path) -> None:
    first, second = written(lesson, tmp_path / "a"), written(lesson, tmp_path / "b")
    assert first.index == second.index
    plain = pack_conversations(
        range(1, 61), [one.messages() for one in EXAMPLES], form=lesson.form, encoder=lesson.encoder, row_tokens=257
    )
    assert len(plain.block.rows) > 4
    other = written(dataclasses.replace(lesson, seed=1), tmp_path / "c")
    assert [row.doc_key.tolist() for row in other] != [row.doc_key.tolist() for row in first]


def test_too_long_ones_are_refused_over_one_in_a_thousand_and_counted_below(tmp_path: Path) -> None:
    form = template("alpaca")
    lesson = Lesson(form, encoder_of("alpaca"), 256, max_length=120)
    long_one = Example("Why?", "", "because of this and " * 60)
    with pytest.raises(CheckFailed, match=r"1 of 61 conversations \(1.64%\) are longer than 120 tokens") as raised:
        write_rows(Store(tmp_path / "no"), [*EXAMPLES, long_one], lesson, source="my")
    assert not (tmp_path / "no" / "shards").exists()
    longest = int(str(raised.value).split("--max-length ")[1].split()[0])
    enough = dataclasses.replace(lesson, max_length=longest, sequence_length=longest)
    assert write_rows(Store(tmp_path / "all"), [*EXAMPLES, long_one], enough, source="my")["shards"].left == {}
    allowed = dataclasses.replace(lesson, allow_too_long=True)
    facts = write_rows(Store(tmp_path / "less"), [*EXAMPLES, long_one], allowed, source="my")["shards"]
    assert facts.left == {"template.too_long": 1}
    assert facts.conversations == 60
    assert facts.longest == longest
    many = [Example(f"Drug {i}?", "", "5 mg.") for i in range(1100)]
    assert write_rows(Store(tmp_path / "few"), [*many, long_one], lesson, source="my")["shards"].left


def test_a_side_without_conversations_is_refused(tmp_path: Path) -> None:
    lesson = Lesson(template("alpaca"), encoder_of("alpaca"), 16, allow_too_long=True)
    with pytest.raises(CheckFailed, match="no conversation is left for training"):
        write_rows(Store(tmp_path), EXAMPLES, lesson, source="my")


def test_an_answer_without_its_stop_is_found(lesson: Lesson, tmp_path: Path) -> None:
    rows = next(written(lesson, tmp_path).batches(0))
    assert check_learned(rows, lesson.stop_id, where="here") > 0
    assert rows.loss_mask is not None
    stops = (rows.input_ids == lesson.stop_id) & (rows.loss_mask == 1)
    unlearned = np.where(stops & (np.cumsum(stops.reshape(-1)).reshape(stops.shape) == 3), 0, rows.loss_mask)
    with pytest.raises(CheckFailed, match=r"1 of \d+ answers do not end in the stop token"):
        check_learned(dataclasses.replace(rows, loss_mask=unlearned), lesson.stop_id, where="here")


def test_a_conversation_that_learns_nothing_is_found(lesson: Lesson, tmp_path: Path) -> None:
    rows = next(written(lesson, tmp_path).batches(0))
    assert rows.loss_mask is not None
    end = int(rows.doc_ends[0])
    empty = rows.loss_mask.copy()
    empty[0, :end] = 0
    empty[0, 0] = 1  # the first token of a document is no target
    with pytest.raises(CheckFailed, match=r"1 of \d+ conversations learn nothing"):
        check_learned(dataclasses.replace(rows, loss_mask=empty), lesson.stop_id, where="here")


def test_a_template_that_asks_otherwise_than_it_taught_is_found(lesson: Lesson) -> None:
    conversations = [one.messages() for one in EXAMPLES]
    check_prefixes(conversations, lesson)
    more = dataclasses.replace(lesson.form, opening=(*lesson.form.opening, Segment("##")))
    with pytest.raises(CheckFailed, match="60 do not begin with the prompt"):
        check_prefixes(conversations, dataclasses.replace(lesson, form=more))


def test_shards_without_a_mask_or_of_another_template_are_refused(tmp_path: Path) -> None:
    lesson = Lesson(template("chatml"), encoder_of("chatml"), 256)
    shards = written(lesson, tmp_path / "rows")
    with pytest.raises(RecipeError, match=r"ends answers with '<\|eot_id\|>'"):
        check_shards(shards, template("llama-3"))
    shards.index["loss_mask"] = False
    with pytest.raises(RecipeError, match="no loss mask"):
        check_shards(shards, template("chatml"))


def test_restricted_rows_are_marked_private_and_never_shown(tmp_path: Path) -> None:
    from train.sft import Wishes, prepare

    run = tmp_path / "run"
    prepared = prepare(Wishes(restricted=True), run=str(run))
    assert prepared.shards.restricted
    assert shown_rows(prepared) == []
    for path in run.rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path
    assert run.stat().st_mode & 0o777 == 0o700


def test_shown_rows_spell_a_whole_conversation(tmp_path: Path) -> None:
    from train.sft import Wishes, prepare

    shown = shown_rows(prepare(Wishes(), run=str(tmp_path / "run")))
    assert len(shown) == 3
    for pieces in shown:
        asked, (answer, learned), _ = pieces
        assert asked[0].startswith("<|im_start|>question\n")
        assert asked[0].endswith("<|im_start|>answer\n")
        assert (asked[1], learned) == (False, True)
        assert answer.endswith("<|im_end|>")


def test_sources_are_named_by_their_file() -> None:
    assert source_name("/a/Medical_Meadow (small).json") == "medical-meadow-small"
    assert source_name("???.json") == "conversations"


def test_the_prefix_check_is_bounded(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sft_rows, "_PREFIXES", 7)
    check_prefixes([one.messages() for one in EXAMPLES], lesson)
