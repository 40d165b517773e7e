from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from train.base_licences import LICENCES, base_licence, model_name
from train.card import card
from train.card_facts import DataFacts
from train.config import load_config
from train.taint import AGREEMENT

MARK: dict[str, Any] = {
    "version": 1,
    "kind": "model",
    "restricted": False,
    "dtype": "bf16",
    "run": "run-1",
    "preset": "sample",
    "step": 40,
    "shards_fingerprint": "f" * 16,
    "manifest_sha256": "ab" * 32,
    "base": "",
    "base_licence": "",
    "template": "",
    "trained_before": [],
}
TRAINING: dict[str, Any] = {
    "header": {"rows_per_step": 16, "world": 2, "device": "cpu"},
    "last": {"tokens": 1234},
    "seconds": 7200.0,
    "validation": [],
    "closed": True,
    "evaluation": {},
}
DATA = DataFacts(
    build="sample@0123",
    tokens={"pmc": 750, "mimic-iv-note": 250},
    sources={
        "pmc": {"title": "PMC | papers", "publisher": "NLM", "homepage": "", "restricted": False},
        "mimic-iv-note": {"title": "Notes", "publisher": "PhysioNet", "homepage": "", "restricted": True},
    },
    licences={"CC-BY-4.0": 600, "unknown": 400},
    languages=["en"],
    newest_year=2024,
    undated=100,
    decontaminated=["medqa.jsonl"],
    removed={"medqa": 3},
)


def made(data: DataFacts = DATA, training: dict[str, Any] = TRAINING, **mark: Any) -> str:
    given = MARK | mark
    licence = base_licence(given["base_licence"], given["base"])
    return card(load_config("sample"), given, licence, data, training)


def test_the_card_says_what_manifest_and_books_say() -> None:
    text = made()
    for said in (
        "Research only, not for clinical decisions.",
        f"manifest sha256 `{'ab' * 32}`",
        "| pmc | PMC \\| papers | NLM | no | 750 | 75.00% |",
        "| mimic-iv-note | Notes | PhysioNet | yes | 250 | 25.00% |",
        "| CC-BY-4.0 | 600 | 60.00% |",
        "The newest document is of 2024. 10.00% of the tokens have no year.",
        "`medqa.jsonl`. Removed: 3 for medqa.",
        "1,234 tokens in 2.00 h of steps; the books close",
        "AdamW, betas 0.9, 0.95",
        "none: continue text, do not chat",
        "Not evaluated.",
        "Excluded: diagnosis, treatment",
        "no base's licence applies",
    ):
        assert said in text, said
    assert "Restricted" not in text


def test_what_is_not_known_is_said_to_be_unknown() -> None:
    empty = TRAINING | {"last": {}, "header": {}, "closed": False}
    text = made(DataFacts(tokens={"a": 3}), empty, manifest_sha256="", base="some/thing")
    for said in (
        "manifest sha256 `not known`",
        "cutoff are not known",
        "whose licence is not stated",
        "Not known: the",
    ):
        assert said in text, said
    assert "books" not in text
    assert "were **not** searched" in made(DataFacts(build="x@1", tokens={"a": 3}))
    assert "are not closed" in made(training=TRAINING | {"closed": False})


def test_evaluation_goes_before_validation_losses() -> None:
    losses = [{"step": 0, "by_source": {"pmc": 9.0}}, {"step": 40, "by_source": {"pmc": 7.5}}]
    assert "| pmc | 9.0000 | 7.5000 |" in made(training=TRAINING | {"validation": losses})
    one = {"by_source": {"pmc": {"loss": 7.25, "bits_per_byte": 2.5, "tokens": 99}}}
    assert "| pmc | 7.2500 | 2.5000 | 99 |" in made(training=TRAINING | {"validation": losses, "evaluation": one})


@pytest.mark.parametrize(
    ("base", "key", "name", "said"),
    [
        ("meta-llama/Llama-2-13b-hf", "llama2", "sample", "Llama 2 is licensed under the LLAMA 2 Community License"),
        ("meta-llama/Meta-Llama-3-8B", "llama3", "Llama 3 sample", "**Built with Meta Llama 3**"),
        ("meta-llama/Llama-3.1-8B", "llama3.1", "Llama sample", "**Built with Llama**"),
        ("meta-llama/Llama-3.2-1B", "llama3.2", "Llama sample", "Llama 3.2 is licensed under the Llama 3.2 Community"),
        ("google/gemma-2-2b", "gemma", "sample", "ai.google.dev/gemma/terms"),
    ],
)
def test_a_bases_licence_names_the_model_and_is_kept(base: str, key: str, name: str, said: str) -> None:
    text = made(base=base)
    assert f"\n# {name}\n" in text
    assert said in text
    assert f'license: "{key}"' in text
    assert f'base_model: "{base}"' in text


def test_a_stated_licence_goes_before_a_name_and_names_are_not_doubled() -> None:
    found = base_licence("apache-2.0", "me/my-llama-2-like")
    assert found is LICENCES["apache-2.0"]
    assert base_licence("", "mistralai/Mistral-7B") is None
    assert model_name("llama 3 of ours", LICENCES["llama3"]) == "llama 3 of ours"


def test_the_base_of_the_base_counts() -> None:
    """A folder exported here: its own base's licence holds for what is trained on it."""
    from train.card import _origin

    before = {"run": "first", "base": "meta-llama/Meta-Llama-3-8B", "manifest_sha256": "cd" * 32, "restricted": True}
    mark = MARK | {"base": "out", "trained_before": [before]}
    assert _origin(mark) == "meta-llama/Meta-Llama-3-8B"
    assert f"`{'cd' * 32}` (restricted)" in made(**mark)


def test_a_restricted_card_says_so_and_offers_no_licence() -> None:
    text = made(restricted=True, base="meta-llama/Llama-2-7b-hf")
    assert AGREEMENT in text
    assert 'license: "other"' in text
    assert 'license_name: "data-use-agreement"' in text
    assert "Llama 2 is licensed" in text, "the base's notice is kept all the same"


@pytest.mark.parametrize("mark", [{}, {"restricted": True}, {"base": "a/b", "kind": "adapter"}])
def test_the_front_matter_is_what_the_hub_reads(mark: dict[str, Any]) -> None:
    hub = pytest.importorskip("huggingface_hub")
    data = hub.ModelCard(made(**mark)).data.to_dict()
    assert data["pipeline_tag"] == "text-generation"
    assert data["language"] == ["en"]
    assert data["library_name"] == ("peft" if mark.get("kind") == "adapter" else "transformers")
    assert data["license"] == "other"


def test_facts_come_from_a_builds_manifest(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from tiny_shards import tiny_shards

    from mixing.reader import open_shards
    from train.card_facts import data_facts

    shards = open_shards(tiny_shards(tmp_path, rows=6))
    manifest = tmp_path / "manifest"
    manifest.mkdir()
    totals = {"dropped": {"decontaminate.medqa": 2, "dedup.exact": 5}}
    known = {"name": "n", "fingerprint": "f", "manifest_sha256": "m", "totals": totals}
    (tmp_path / "corpus.json").write_text(json.dumps(known))
    (manifest / "recipe.toml").write_text(
        '[[rules]]\nrule = "decontaminate.ngrams"\n[rules.parameters]\nindex = "/somewhere/of/mine/medqa.jsonl"\n'
    )
    rows = {
        "licence": ["CC-BY-4.0", "CC-BY-4.0", "unknown", "CC0-1.0", "CC0-1.0"],
        "lang": ["en"] * 5,
        "year": pa.array([2020, None, 2022, 2030, 2031], pa.int16()),
        "n_tokens": [10, 20, 30, 40, None],
        "epochs": pa.array([2, 1, 1, 1, 0], pa.int32()),
        "fate": ["kept", "kept", "kept", "kept", "dedup.exact"],
        "split": ["train", "train", "train", "validation", ""],
    }
    pq.write_table(pa.table(rows), manifest / "documents.parquet")
    found = data_facts(type("T", (), {"shards": shards, "run": tmp_path})())  # type: ignore[arg-type]
    assert found.licences == {"CC-BY-4.0": 40, "unknown": 30}
    assert (found.newest_year, found.undated, found.languages) == (2022, 20, ["en"])
    assert (found.decontaminated, found.removed) == (["medqa.jsonl"], {"medqa": 2})
    assert found.build == "n@f"
