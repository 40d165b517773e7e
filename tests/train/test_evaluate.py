from __future__ import annotations

import hashlib
import http.server
import json
import math
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_runs import tiny_run
from typer.testing import CliRunner

from manifests.errors import BuildError, CorpusError, RecipeError
from mixing.reader import open_shards
from pipelines.cli import app
from train.data import IGNORED, batches
from train.evaluate import Score, evaluate, sanity, summary

FILE = Path(__file__).resolve().parents[2] / "scrapers" / "sample" / "tokenizer.json"
KNOWN = {
    "sha256": hashlib.sha256(FILE.read_bytes()).hexdigest(),
    "vocab_size": 8192,
    "bos_id": 0,
    "eos_id": 1,
    "pad_id": 1,
}


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


def held_out(folder: Path) -> Any:
    return open_shards(folder / "corpus" / "validation")


def test_bits_per_byte_are_the_formula() -> None:
    score = Score(nats=math.log(2) * 600, tokens=100, bytes=400)
    assert score.bits_per_byte == pytest.approx(1.5)
    assert score.loss == pytest.approx(math.log(2) * 6)
    assert Score(1.0, 1, 0).bits_per_byte is None


def test_the_mixture_weighs_sources_as_training_did() -> None:
    scores = {"a": Score(20.0, 10, 5), "b": Score(30.0, 30, 10)}
    found = summary(scores, {"a": 1, "b": 3, "c": 100}, 64)
    assert found["mixture"] == pytest.approx((2.0 * 1 + 1.0 * 3) / 4)
    assert found["all"]["loss"] == pytest.approx(50 / 40)
    assert found["all"]["bytes"] == 15
    assert summary(scores, {}, 64)["mixture"] is None


def test_a_loss_like_a_guess_is_named() -> None:
    assert "tokenizer is another or its rotary frequencies" in sanity(9.9, 32000)
    assert sanity(1.8, 32000) == ""
    assert sanity(math.nan, 32000)


def test_bytes_of_a_rows_targets_are_counted_once_cut_documents_and_padding_included(tmp_path: Path) -> None:
    """Every label once, whichever row it lies in: counted here from the batches' labels, one by one."""
    from tiny_shards import tiny_shards

    tiny_shards(tmp_path / "corpus", rows=4, length=32, vocabulary=128)
    rows = held_out(tmp_path)
    lengths = np.arange(128) % 7
    found = evaluate(lambda batch: (np.ones(3), np.ones(3)), rows, lengths=lengths, rows_per_batch=4)
    for number, source in enumerate(rows.sources):
        expected = 0
        for batch in batches(rows, rows_per_batch=1):
            labels = batch.labels[0]
            if batch.source[0] == number:
                expected += sum(int(lengths[label]) for label in labels if label != IGNORED)
        assert found[source].bytes == expected > 0


@pytest.mark.slow
def test_a_run_and_its_export_have_the_same_scores_and_they_are_the_formulas(tmp_path: Path) -> None:
    """Against every document alone through transformers: no packing, no chunks, no mask of ours."""
    torch = pytest.importorskip("torch")
    from transformers import AutoModelForCausalLM

    from train.export import export
    from train.token_bytes import token_bytes

    run, _ = tiny_run(tmp_path, vocabulary=8192, tokenizer=KNOWN, restricted=True)
    rows = held_out(tmp_path)
    (tmp_path / "corpus/validation/index.json").write_text(json.dumps(rows.index | {"tokenizer": KNOWN}))
    export(run, str(tmp_path / "out"), dtype="fp32", tokenizer=str(FILE))
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out").eval()
    lengths = token_bytes(FILE)
    nats, tokens, spelt = np.zeros(3), np.zeros(3), np.zeros(3)
    for row in rows:
        begin = 0
        for end in row.doc_ends.tolist():
            ids = torch.tensor(row.input_ids[begin:end].astype(np.int64))[None]
            begin = end
            if ids.shape[1] > 1:
                with torch.no_grad():
                    scores = model(input_ids=ids).logits[0, :-1].log_softmax(-1)
                nats[row.source] -= float(scores.gather(-1, ids[0, 1:, None]).double().sum())
                tokens[row.source] += ids.shape[1] - 1
                spelt[row.source] += lengths[ids[0, 1:].numpy()].sum()
    for given in ([str(run), "--tokenizer", str(FILE)], [str(tmp_path / "out"), "--shards", str(tmp_path / "corpus")]):
        result = invoke("evaluate", *given, "--batch-rows", "3", "--json")
        assert result.exit_code == 0, result.output
        found = json.loads(result.output)
        for i, source in enumerate(rows.sources):
            one = found["by_source"][source]
            assert (one["tokens"], one["bytes"]) == (tokens[i], spelt[i])
            assert one["loss"] == pytest.approx(nats[i] / tokens[i], rel=1e-5)
            assert one["bits_per_byte"] == pytest.approx(nats[i] / math.log(2) / spelt[i], rel=1e-5)
        assert "near that of a guess" in found["warning"], "two steps teach nothing"
    kept = run / "evaluation.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    # The next card has it.
    export(run, str(tmp_path / "again"), dtype="fp32", tokenizer=str(FILE))
    assert f"| a | {found['by_source']['a']['loss']:.4f} |" in (tmp_path / "again" / "README.md").read_text()


@pytest.mark.slow
def test_rows_of_another_tokenizer_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from train.export import export

    run, _ = tiny_run(tmp_path, vocabulary=8192, tokenizer=KNOWN)
    export(run, str(tmp_path / "out"), dtype="fp32", tokenizer=str(FILE))
    from train.asked import asked, rows_for

    exported = asked(tmp_path / "out")
    with pytest.raises(RecipeError, match="another tokenizer"):
        rows_for(exported, str(tmp_path / "corpus"))


class Server(http.server.BaseHTTPRequestHandler):
    """Answers as vLLM does: log probability -0.01 x id for each token of a prompt, none for the first."""

    seen: list[dict[str, Any]] = []  # noqa: RUF012  # of one test
    short = False

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.seen.append(body)
        values = [None, *(-0.01 * number for number in body["prompt"][1:]), -0.5]
        answer = json.dumps(
            {"choices": [{"logprobs": {"token_logprobs": values[: 1 if self.short else None]}}]}
        ).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    Server.seen, Server.short = [], False
    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=served.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{served.server_port}/v1"
    served.shutdown()
    served.server_close()


def corpus(folder: Path, **options: Any) -> Any:
    from tiny_shards import tiny_shards

    tiny_shards(folder / "corpus", rows=4, length=32, vocabulary=128, **options)
    return held_out(folder)


def test_a_served_model_is_sent_documents_one_by_one(tmp_path: Path, server: str) -> None:
    rows = corpus(tmp_path, restricted=True)
    result = invoke("evaluate", "mine", "--endpoint", server, "--shards", str(tmp_path / "corpus"), "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    nats, tokens, documents = 0.0, 0, 0
    for row in rows:
        begin = 0
        for end in row.doc_ends.tolist():
            ids = row.input_ids[begin:end].tolist()
            begin = end
            nats += sum(0.01 * number for number in ids[1:])
            tokens += len(ids) - 1
            documents += len(ids) > 1
    assert len(Server.seen) == documents
    assert {body["model"] for body in Server.seen} == {"mine"}
    assert found["all"]["tokens"] == tokens
    assert found["all"]["loss"] == pytest.approx(nats / tokens)


def test_a_server_that_does_not_echo_is_named(tmp_path: Path, server: str) -> None:
    corpus(tmp_path)
    Server.short = True
    from train.endpoint import endpoint_losses

    with pytest.raises(BuildError, match="log probabilities of"):
        evaluate(endpoint_losses(server, "m", 3), held_out(tmp_path), lengths=None)
    with pytest.raises(BuildError, match="does not give log probabilities"):
        evaluate(endpoint_losses("http://127.0.0.1:9/v1", "m", 3), held_out(tmp_path), lengths=None)


def test_restricted_rows_are_sent_to_no_other_machine(tmp_path: Path) -> None:
    corpus(tmp_path, restricted=True)
    result = invoke("evaluate", "m", "--endpoint", "https://api.example.com/v1", "--shards", str(tmp_path / "corpus"))
    assert isinstance(result.exception, CorpusError)
    assert "I will not share access" in str(result.exception)


def test_benchmarks_without_the_harness_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from train.harness import run_tasks

    monkeypatch.setitem(__import__("sys").modules, "lm_eval", None)
    with pytest.raises(RecipeError, match="eval"):
        run_tasks(tmp_path, ["pubmedqa"], dtype="bf16")
