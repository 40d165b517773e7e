"""`medtrove train-tokenizer` and `medtrove tokenizer extend`: what they read, refuse, write and print."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from manifests.errors import BuildError, RecipeError
from manifests.identity import doc_key
from manifests.markers import ours
from manifests.store import Store
from pipelines.cli import app
from pipelines.tokenizer_check import check_tokenizer
from pipelines.tokenizer_training import Choices, train_tokenizer

NAME = "Zebulonica"
SAMPLE = "scrapers/sample/tokenizer.json"
WORDS = [
    "dose",
    "of",
    "warfarin",
    "renal",
    "failure",
    "INR",
    "patient",
    "trial",
    "2.5",
    "mg",
    "daily",
    "with",
    "and",
    "the",
]
ROOT = Path(__file__).parents[2]


def _text(source: str, number: int) -> str:
    draw = random.Random(f"{source}{number}")
    words = draw.choices(WORDS, k=120)
    if source == "notes":
        words[::9] = [NAME] * len(words[::9])
    if source == "papers":
        words[5] = f"{ours('[bib_ref]')} Qwxzv, Qwxzv {ours('[/bib_ref]')}"
    if number % 10 == 0:
        words[::3] = [f"Heldoutword{source}"] * len(words[::3])
    return " ".join(words)


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A finished build as far as these commands read one: papers, and notes that are restricted."""
    root = tmp_path_factory.mktemp("out")
    store = Store(root / "builds" / "toy@1")
    rows: dict[str, list[object]] = {name: [] for name in ("doc_key", "source", "fate", "split", "n_chars")}
    for source, n in (("papers", 60), ("notes", 40)):
        texts = sorted((doc_key(f"{source}:{number}"), _text(source, number), number) for number in range(n))
        folder = root / "stages" / "prepare" / f"{source}@f" / "text"
        folder.mkdir(parents=True)
        columns = {
            "doc_key": pa.array([key for key, _, _ in texts], pa.uint64()),
            "text": [text for _, text, _ in texts],
        }
        pq.write_table(pa.table(columns), folder / "0.parquet")
        for key, text, number in texts:
            split = "validation" if number % 10 == 0 else "train"
            fate = "dedup.exact" if number == 11 else "kept"
            for name, value in zip(rows, (key, source, fate, split, len(text)), strict=True):
                rows[name].append(value)
    table = pa.table(
        {name: pa.array(column, pa.uint64() if name == "doc_key" else None) for name, column in rows.items()}
    )
    (root / "builds" / "toy@1" / "manifest").mkdir(parents=True)
    pq.write_table(table, root / "builds" / "toy@1" / "manifest" / "documents.parquet")
    cards = {"papers": {"card": {"restricted": False}}, "notes": {"card": {"restricted": True}}}
    store.write_json("manifest/sources.json", cards)
    lines = [json.dumps({"stage": "prepare", "source": source, "fingerprint": "f"}) for source in cards]
    (root / "builds" / "toy@1" / "manifest" / "stages.jsonl").write_text("\n".join(lines) + "\n")
    store.write_json("corpus.json", {"restricted": True})
    return store


def _vocabulary(folder: Path) -> str:
    return " ".join(json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"])


def test_restricted_sources_are_refused_and_nothing_is_written(build: Store, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="notes: restricted, and a tokenizer keeps words") as refusal:
        train_tokenizer(build, Choices(vocabulary=600), tmp_path / "out")
    assert "--source papers" in refusal.value.fix
    assert NAME not in str(refusal.value)
    assert not (tmp_path / "out").exists()


def test_an_open_tokenizer_has_no_name_of_the_notes(build: Store, tmp_path: Path) -> None:
    facts = train_tokenizer(build, Choices(sources=["papers"], vocabulary=600), tmp_path)
    assert NAME[:5] not in _vocabulary(tmp_path)
    assert facts["card"]["restricted"] is False
    check_tokenizer(str(tmp_path / "tokenizer.json"), [], restricted=False)
    # Neither marks of ours, nor what validation holds, nor documents that were dropped.
    vocabulary = _vocabulary(tmp_path)
    assert "bib_ref" not in vocabulary
    assert "Heldout" not in vocabulary
    assert facts["card"]["trained_on"]["papers"]["documents"] == 60 - 6 - 1


def test_a_restricted_tokenizer_is_marked_and_kept_out_of_open_builds(build: Store, tmp_path: Path) -> None:
    facts = train_tokenizer(build, Choices(vocabulary=600, include_restricted=True), tmp_path / "out")
    assert NAME in _vocabulary(tmp_path / "out")  # why it is restricted
    assert facts["card"]["restricted"] is True
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "out").iterdir()} == {0o600}
    card = (tmp_path / "out" / "tokenizer.card.json").read_text()
    assert NAME not in card
    assert NAME not in json.dumps(facts)
    with pytest.raises(RecipeError, match="trained on restricted text"):
        check_tokenizer(str(tmp_path / "out" / "tokenizer.json"), [], restricted=False)
    check_tokenizer(str(tmp_path / "out" / "tokenizer.json"), [], restricted=True)


def test_the_same_bytes_again_and_others_by_weight_and_seed(build: Store, tmp_path: Path) -> None:
    base = {"vocabulary": 500, "characters": 20_000, "include_restricted": True}
    made = {}
    for name, more in {"a": {}, "b": {}, "c": {"seed": 8}, "d": {"weights": {"notes": 5.0}}}.items():
        facts = train_tokenizer(build, Choices(**base, **more), tmp_path / name)  # type: ignore[arg-type]
        made[name] = facts["card"]
        assert sum(one["characters"] for one in facts["card"]["trained_on"].values()) < 20_000 + 4 * 1000
    files = {name: [path.read_bytes() for path in sorted((tmp_path / name).iterdir())] for name in made}
    assert files["a"] == files["b"]
    assert files["a"] != files["c"]
    share = {name: card["trained_on"]["notes"]["characters"] for name, card in made.items()}
    assert share["d"] > 1.5 * share["a"]


def test_fertility_beside_another_by_source_on_what_was_held_out(build: Store, tmp_path: Path) -> None:
    arguments = ["train-tokenizer", "--build", build.url, "--out", str(tmp_path / "out"), "--source", "papers"]
    arguments += ["--vocabulary", "600", "--special", "[bib_ref]", "--beside", str(ROOT / SAMPLE)]
    found = CliRunner().invoke(app, arguments)
    assert found.exit_code == 0, found.output
    assert "tokens/number" in found.output
    told = CliRunner().invoke(app, [*arguments, "--json"])
    rows = json.loads(told.output)["fertility"]
    assert [row["tokenizer"] for row in rows] == ["new", str(ROOT / SAMPLE)]
    assert {row["documents"] for row in rows} == {6}
    assert not any(row["seen_in_training"] for row in rows)
    assert all(row["tokens_per_number"] >= 1 for row in rows)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--source", "nope"], "no source 'nope'"),
        (["--weight", "papers"], "--weight 'papers'"),
        (["--weight", "nope=2"], "no source 'nope'"),
        (["--vocabulary", "70000"], "vocabulary of 70,000"),
        (["--beside", "nowhere.json"], "cannot be read"),
        (["--source", "papers", "--weight", "papers=0"], "no text to train on"),
    ],
)
def test_what_cannot_be_is_named(build: Store, tmp_path: Path, more: list[str], says: str) -> None:
    found = CliRunner().invoke(app, ["train-tokenizer", "--build", build.url, "--out", str(tmp_path / "out"), *more])
    assert isinstance(found.exception, (BuildError, RecipeError))
    assert says in str(found.exception)
    assert not (tmp_path / "out").exists()


def test_extend_adds_tokens_and_the_chat_template(tmp_path: Path) -> None:
    arguments = ["tokenizer", "extend", str(ROOT / SAMPLE), "--special", "[bib_ref]", "--chat-template", "llama-3"]
    found = CliRunner().invoke(app, [*arguments, "--output", str(tmp_path)])
    assert found.exit_code == 0, found.output
    assert "[bib_ref]" in found.output
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    assert "<|eot_id|>" in config["additional_special_tokens"]
    check_tokenizer(str(tmp_path / "tokenizer.json"), ["[bib_ref]", "<|eot_id|>"], restricted=False)
    with pytest.raises(RecipeError, match="no special token '<|im_end|>'".replace("|", r"\|")):
        check_tokenizer(str(tmp_path / "tokenizer.json"), ["<|im_end|>"], restricted=False)
    nothing = CliRunner().invoke(app, ["tokenizer", "extend", str(ROOT / SAMPLE), "--output", str(tmp_path)])
    assert "no token is named" in str(nothing.exception)
