from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import pytest
import xxhash

from filters.decontaminate import Index, _windows, build_index, decontaminate_rule
from filters.rule import Drop, Keep, Rule, Verdict
from manifests.document import Document
from manifests.errors import RecipeError

_LONG = (
    "A 54-year-old man with 3 hours of crushing chest pain has ST elevation in leads II, III and aVF; his pressure "
    "is 92/60 mmHg. Which artery is most likely occluded?"
)
_SHORT = "What is the antidote of choice for warfarin overdose?"  # nine words
_QUESTIONS = [("medqa", "1", _LONG), ("mmlu", "2", _SHORT), ("mmlu", "3", "Too short?")]


@pytest.fixture
def index(tmp_path: Path) -> Path:
    path = tmp_path / "index.parquet"
    build_index(_QUESTIONS, path)
    return path


def _verdict(rule: Rule, text: str) -> Verdict:
    return rule(Document("s:1", "s", "article", text))


def test_a_question_is_found_whatever_its_dress(index: Path) -> None:
    rule = decontaminate_rule(index=str(index))
    dressed = f"Intro.\n\n## Case\n\n{_LONG.upper().replace(' ', chr(0xA0) + chr(10)).replace('-', '–')}\n\nMore."
    verdict = _verdict(rule, dressed)
    assert isinstance(verdict, Drop)
    assert verdict.reason == "decontaminate.medqa"
    assert verdict.value == len(_LONG.replace("-", " ").replace("/", " ").split()) - 12
    short = _verdict(rule, f"We ask: {_SHORT} Vitamin K.")
    assert isinstance(short, Drop)
    assert short.reason == "decontaminate.mmlu"
    assert short.value == 1


def test_what_only_resembles_a_question_stays(index: Path) -> None:
    rule = decontaminate_rule(index=str(index))
    for text in (
        "A 54-year-old man with 3 hours of crushing chest pain was seen.",  # 12 words of it
        "What is the antidote of choice for heparin overdose?",
        "Too short?",
        "",
    ):
        verdict = _verdict(rule, text)
        assert isinstance(verdict, Keep), text
        assert verdict.measures == {"hits": 0.0}
    assert isinstance(_verdict(decontaminate_rule(index=str(index), max_hits=100), _LONG), Keep)


def test_the_index_is_the_same_bytes_in_any_order_and_holds_no_text(tmp_path: Path, index: Path) -> None:
    again = tmp_path / "again.parquet"
    build_index(list(reversed(_QUESTIONS)), again)
    assert again.read_bytes() == index.read_bytes()
    assert b"antidote" not in index.read_bytes()
    assert b"crushing" not in index.read_bytes()


def test_questions_as_jsonl_give_the_same_verdicts(tmp_path: Path, index: Path) -> None:
    path = tmp_path / "questions.jsonl"
    rows = [{"benchmark": b, "id": i, "question": q} for b, i, q in _QUESTIONS]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    for text in (_LONG, _SHORT, "nothing of the kind"):
        one, other = (_verdict(decontaminate_rule(index=str(p)), text) for p in (path, index))
        assert one == other


def test_the_manner_of_a_benchmark_is_no_evidence(tmp_path: Path) -> None:
    manner = "which of the following is the most appropriate next step in management of this patient"
    questions = [("medqa", str(i), f"case number {i} of many others {i * 7} {manner}") for i in range(3)]
    path = tmp_path / "index.parquet"
    build_index(questions, path)
    rule = decontaminate_rule(index=str(path))
    assert isinstance(_verdict(rule, f"In exams one reads: {manner} and so on."), Keep)
    assert isinstance(_verdict(rule, questions[0][2]), Drop)


def test_wrong_indexes_are_named(tmp_path: Path, index: Path) -> None:
    with pytest.raises(RecipeError, match="is not there"):
        decontaminate_rule(index=str(tmp_path / "none"))
    with pytest.raises(RecipeError, match="windows of 13 words"):
        decontaminate_rule(index=str(index), n=10)
    (tmp_path / "x.parquet").write_bytes(b"nonsense")
    with pytest.raises(RecipeError, match="no decontamination index"):
        decontaminate_rule(index=str(tmp_path / "x.parquet"))
    (tmp_path / "x.jsonl").write_text('{"question": "no id"}\n')
    with pytest.raises(RecipeError, match=r"x\.jsonl:1"):
        decontaminate_rule(index=str(tmp_path / "x.jsonl"))


def test_one_pass_finds_what_a_search_for_each_window_finds() -> None:
    chance = random.Random(3)
    vocabulary = [f"w{i}" for i in range(6)]
    questions = [("b", str(i), " ".join(chance.choices(vocabulary, k=chance.randint(5, 30)))) for i in range(40)]
    index = Index(_windows(questions, 13))
    kept = {w.window for w in _windows(questions, 13)}
    for _ in range(60):
        text = chance.choices(vocabulary, k=80)
        if chance.random() < 0.7:
            question = questions[chance.randrange(40)][2].split()
            text[20 : 20 + len(question)] = question
        lengths = range(8, 14)
        expected = {
            digest
            for n in lengths
            for i in range(len(text) - n + 1)
            if (digest := xxhash.xxh3_64_intdigest(" ".join(text[i : i + n]).encode())) in kept
        }
        assert index.hits(" ".join(text)).get("b", 0) == len(expected)


def test_real_questions_and_real_text(tmp_path: Path, real_pack: Path, real_texts: dict[str, list[str]]) -> None:
    with gzip.open(real_pack / "benchmarks" / "medqa_us_4opt_test.half-a.jsonl.gz", "rt", encoding="utf-8") as stream:
        questions = [json.loads(line)["question"] for line in stream]
    path = tmp_path / "medqa.parquet"
    build_index((("medqa", str(i), question) for i, question in enumerate(questions)), path)
    rule = decontaminate_rule(index=str(path))
    assert all(isinstance(_verdict(rule, f"Notes.\n{question}\nEnd."), Drop) for question in questions)
    for kind in ("article", "abstract", "guideline", "note", "qa"):
        dropped = sum(isinstance(_verdict(rule, text), Drop) for text in real_texts[kind])
        assert dropped <= 0.005 * len(real_texts[kind]), kind
