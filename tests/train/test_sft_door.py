from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from manifests.errors import RecipeError
from train.sft_door import Example, example_keys, held_out, read_examples

GOOD = {"instruction": "Which dose?", "input": "Renal failure.", "output": "5 mg."}
SECRET = "Mr Quillfeather"


def write(folder: Path, content: Any, name: str = "my.json") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_a_list_and_lines_are_the_same_records(tmp_path: Path) -> None:
    records = [GOOD, {"instruction": "Why?", "output": "Because."}, {**GOOD, "input": None, "id": 7}]
    lines = "\n\n".join(json.dumps(one) for one in records) + "\n"
    read = read_examples(write(tmp_path, records))
    assert read == read_examples(write(tmp_path, lines, "my.jsonl"))
    assert read == [
        Example("Which dose?", "Renal failure.", "5 mg."),
        Example("Why?", "", "Because."),
        Example("Which dose?", "", "5 mg."),
    ]


def test_line_separators_inside_a_record_do_not_end_it(tmp_path: Path) -> None:
    line = json.dumps({**GOOD, "output": "5\u20286 mg\x85"}, ensure_ascii=False)
    assert read_examples(write(tmp_path, line, "my.jsonl"))[0].output == "5\u20286 mg\x85"


def test_a_byte_order_mark_is_no_part_of_the_data(tmp_path: Path) -> None:
    assert len(read_examples(write(tmp_path, "\ufeff" + json.dumps([GOOD])))) == 1


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"instruction": SECRET}, "record 2: output is missing"),
        ({**GOOD, "output": "  \n"}, "record 2: output is empty"),
        ({**GOOD, "instruction": ""}, "record 2: instruction is empty"),
        ({**GOOD, "input": [SECRET]}, "record 2: input is a list, not text"),
        ({**GOOD, "output": 5, "instruction": None}, "record 2: instruction is null, not text, output is a number"),
        ([SECRET], "record 2: it is a list, not an object"),
    ],
)
def test_what_is_wrong_is_said_without_a_word_of_the_record(tmp_path: Path, record: Any, said: str) -> None:
    path = write(tmp_path, [GOOD, record, GOOD])
    with pytest.raises(RecipeError) as raised:
        read_examples(path)
    message = str(raised.value)
    assert said in message
    assert "1 of 3 records" in message
    assert str(path) in message
    assert SECRET not in message


def test_many_problems_are_counted_and_the_first_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"9 of 9 records .*record 5: .*; and 4 more"):
        read_examples(write(tmp_path, [{}] * 9))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (f'[{{"instruction": "{SECRET}"', "line 1"),
        (f'{{"instruction": "a", "output": "b"}}\n{SECRET}\n', "line 2 is not valid JSON"),
        ("[]", "holds no record"),
        ("", "holds no record"),
    ],
)
def test_files_that_cannot_be_read_are_refused(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said) as raised:
        read_examples(write(tmp_path, content))
    assert SECRET not in str(raised.value)


def test_other_encodings_and_missing_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "latin.json"
    path.write_bytes(json.dumps([{**GOOD, "output": "µ"}], ensure_ascii=False).encode("latin-1"))
    with pytest.raises(RecipeError, match="not UTF-8"):
        read_examples(path)
    with pytest.raises(RecipeError, match="cannot be read"):
        read_examples(tmp_path / "none.json")


def questions(n: int) -> list[Example]:
    return [Example("Answer this question truthfully", f"Question {i}?", f"Answer {i}.") for i in range(n)]


def test_the_split_is_by_question_and_no_order_or_answer_changes_it() -> None:
    examples = questions(2000)
    apart = held_out(examples, 0.1)
    assert 150 < apart.sum() < 250
    backwards = held_out(examples[::-1], 0.1)
    np.testing.assert_array_equal(apart, backwards[::-1])
    # Copies with other answers, case or spacing of the question are on the same side.
    copies = [Example(one.instruction, f"  {one.input.upper()}", "Another.") for one in examples]
    np.testing.assert_array_equal(held_out([*examples, *copies], 0.1), np.concatenate((apart, apart)))
    # A larger share holds out the same ones and more.
    assert (held_out(examples, 0.2) >= apart).all()


@pytest.mark.parametrize("n", [2, 3, 5])
@pytest.mark.parametrize("fraction", [0.001, 0.49])
def test_a_split_of_few_leaves_a_question_on_each_side(n: int, fraction: float) -> None:
    for seed in range(40):
        examples = [Example("Q", f"{seed} {i}", "A") for i in range(n)]
        assert 0 < held_out(examples, fraction).sum() < n


def test_no_split_of_one_question_and_none_unless_asked() -> None:
    assert not held_out(questions(50), 0.0).any()
    with pytest.raises(RecipeError, match="same question"):
        held_out([Example("Q", "", "A"), Example("q", "", "B")], 0.1)


def test_keys_are_of_content_and_copies_have_their_own() -> None:
    examples = questions(3)
    keys = example_keys([*examples, examples[0]], "my")
    assert len(set(keys)) == 4
    assert example_keys(examples[::-1], "my") == keys[:3][::-1]
    assert example_keys(examples, "other") != keys[:3]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('[{"instruction": "\\ud800 Quillfeather", "output": "x"}]', "record 1: instruction has half of a character"),
        ('{"instruction": "x", "output": "Quillfeather \\udc00"}', "line 1: output has half of a character"),
        ("[" * 200_000, "nested thousands deep"),
        ('{"Quillfeather": ' * 200_000, "line 1 holds a number of thousands of digits, or lists nested"),
        ('[{"instruction": "Quillfeather", "n": ' + "1" * 5000 + "}]", "a number of thousands of digits"),
    ],
)
def test_what_json_allows_and_nothing_else_does_is_refused_too(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(RecipeError) as raised:
        read_examples(write(tmp_path, content))
    assert said in str(raised.value)
    assert "Quillfeather" not in str(raised.value)
