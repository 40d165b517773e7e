from __future__ import annotations

import json
import random
from pathlib import Path
from types import SimpleNamespace

import fastokens
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, trainers

from manifests.errors import RecipeError
from mixing.engine import Loaded, load
from mixing.tokenize import Encoder, join
from mixing.word_split import split_at_words

TEXTS = ["dose 5 mg/kg, INR 2.0–3.0", "", "the tag </s> ends nothing, nor does <s>", "中文 🩺 \x00 tail"]


@pytest.fixture(scope="module")
def encoder(tokenizer_file: Path) -> Encoder:
    return Encoder(str(tokenizer_file), bos=True, eos=True)


def test_ids_equal_the_reference_with_begin_and_end_tokens(tokenizer_file: Path, encoder: Encoder) -> None:
    encoded = encoder.encode(TEXTS)
    reference = Tokenizer.from_file(str(tokenizer_file))
    reference.encode_special_tokens = True
    assert encoder.engine == "fastokens"
    assert encoded.ids.dtype == np.uint16
    for i, text in enumerate(TEXTS):
        expected = [1, *reference.encode(text, add_special_tokens=False).ids, 2]
        assert encoded[i].tolist() == expected


def test_spelled_special_tokens_stay_text(encoder: Encoder) -> None:
    inner = encoder.encode([TEXTS[2]])[0][1:-1]
    assert not set(inner.tolist()) & {encoder.bos_id, encoder.eos_id, encoder.pad_id}
    assert encoder.decode(inner) == TEXTS[2]


def test_an_end_token_not_marked_special_is_not_made_by_text(tokenizer_file: Path, tmp_path: Path) -> None:
    table = json.loads(tokenizer_file.read_text())
    for entry in table["added_tokens"]:
        entry["special"] = False
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(table))
    encoder = Encoder(str(path), bos=False, eos=True)
    ids = encoder.encode(["a </s> b"])[0].tolist()
    assert ids.count(2) == 1
    assert ids[-1] == 2


@given(st.lists(st.text(max_size=80), max_size=6))
@settings(max_examples=60, deadline=None)
def test_decoding_gives_the_text_back(encoder: Encoder, texts: list[str]) -> None:
    encoded = encoder.encode(texts)
    assert len(encoded) == len(texts)
    assert [encoder.decode(encoded[i][1:-1]) for i in range(len(texts))] == texts


def test_batches_do_not_matter(encoder: Encoder) -> None:
    whole = encoder.encode(TEXTS)
    parts = join([encoder.encode(TEXTS[:1]), encoder.encode(TEXTS[1:])])
    assert np.array_equal(whole.ids, parts.ids)
    assert np.array_equal(whole.offsets, parts.offsets)


def test_truncation_and_padding_of_the_file_are_off(tokenizer_file: Path, tmp_path: Path) -> None:
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=50)
    path = tmp_path / "tokenizer.json"
    tokenizer.save(str(path))
    plain = Encoder(str(tokenizer_file), bos=False, eos=False).encode(TEXTS)
    assert np.array_equal(Encoder(str(path), bos=False, eos=False).encode(TEXTS).ids, plain.ids)


def test_a_file_the_fast_encoder_refuses_uses_the_library_and_says_so(tmp_path: Path) -> None:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=60, special_tokens=["<unk>"], unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(["dose of warfarin per day"] * 20, trainer)
    path = tmp_path / "tokenizer.json"
    tokenizer.save(str(path))
    encoder = Encoder(str(path), bos=False, eos=False)
    assert encoder.engine == "tokenizers"
    assert "does not support" in encoder.reason
    assert encoder.encode(["dose of"])[0].tolist() == tokenizer.encode("dose of").ids


class _Wrong:
    """A fast encoder that is subtly wrong: it swaps two ids."""

    def __init__(self, inner: object, *, fails: bool = False) -> None:
        self.inner, self.fails = inner, fails

    def encode_batch_flat(self, texts: list[str], **options: bool) -> tuple[bytes, bytes]:
        if self.fails:
            raise ValueError("match limit exceeded")
        ids, offsets = self.inner.encode_batch_flat(texts, **options)  # type: ignore[attr-defined]
        return np.frombuffer(ids, "<u4")[::-1].tobytes(), offsets


@pytest.mark.parametrize("fails", [False, True])
def test_a_wrong_fast_encoder_is_caught_in_the_first_documents_of_a_block(tokenizer_file: Path, fails: bool) -> None:
    encoder = Encoder(str(tokenizer_file), bos=True, eos=False)
    right = encoder.encode(TEXTS)
    good = encoder._start.fast
    encoder._start.fast = _Wrong(good, fails=fails)
    encoder.start_block()
    assert np.array_equal(encoder.encode(TEXTS).ids, right.ids)
    assert encoder.engine == "tokenizers"
    assert encoder.reason
    encoder._start.fast = good
    encoder.start_block()
    assert (encoder.engine, encoder.reason) == ("fastokens", "")


def test_a_large_vocabulary_needs_uint32(tokenizer_file: Path, tmp_path: Path) -> None:
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    tokenizer.add_tokens([AddedToken(f"<extra {i}>") for i in range(65536)])
    path = tmp_path / "tokenizer.json"
    tokenizer.save(str(path))
    encoder = Encoder(str(path), bos=False, eos=False)
    assert encoder.vocab_size > 65536
    assert encoder.encode(["x"]).ids.dtype == np.uint32


def test_the_file_is_loaded_once_where_its_flags_stand(
    tokenizer_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts: list[str] = []

    def counted(text: str, path: str) -> Loaded:
        texts.append(text)
        return load(text, path)

    monkeypatch.setattr("mixing.tokenize.load", counted)
    monkeypatch.setattr("mixing.engine.load", counted)
    Encoder(str(tokenizer_file), bos=True, eos=True)
    assert texts == [tokenizer_file.read_text()]
    table = json.loads(tokenizer_file.read_text())
    for entry in table["added_tokens"]:
        entry["special"] = False
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(table))
    Encoder(str(path), bos=True, eos=True)
    flags = [[entry["special"] for entry in json.loads(text)["added_tokens"]] for text in texts[1:]]
    assert (any(flags[0]), flags[1].count(True)) == (False, 2)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_file_in_another_unicode_encoding_is_read(tokenizer_file: Path, tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(tokenizer_file.read_text().encode(encoding))
    here, there = (Encoder(str(one), bos=True, eos=True) for one in (path, tokenizer_file))
    assert here.engine == "fastokens"
    assert np.array_equal(here.encode(TEXTS).ids, there.encode(TEXTS).ids)


def test_a_config_beside_the_file_names_the_tokens(tokenizer_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(tokenizer_file.read_bytes())
    config = {"bos_token": {"content": "<pad>"}, "eos_token": "</s>", "pad_token": None}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    encoder = Encoder(str(path), bos=True, eos=True)
    assert (encoder.bos_id, encoder.eos_id) == (0, 2)
    assert encoder.describe()["sha256"] == encoder.file_sha256


def llama2_style(path: Path, *, crossing: bool = False, angle: bool = True) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    if not crossing:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    # Without these letters fastokens 0.3.5 makes control tokens of spelled ones; the probe then refuses it.
    letters = sorted(set("<>/sunk[]|EP_endoftx"))
    trainer = trainers.BpeTrainer(
        vocab_size=440, special_tokens=special, initial_alphabet=letters if angle else [], show_progress=False
    )
    random_ = random.Random(9)
    words = ["dose", "mg", "of", "the", "renal", "", "not", "INR", "warfarin"]
    texts = [" ".join(random_.choices(words, k=50)) for _ in range(60)]
    tokenizer.train_from_iterator([text.replace(" ", "▁") for text in texts] if crossing else texts, trainer)
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    table = json.loads(tokenizer.to_str())
    table["pre_tokenizer"] = None
    table["added_tokens"] = [entry for entry in table["added_tokens"] if not entry["content"].startswith("<0x")]
    path.write_text(json.dumps(table))
    reference = Tokenizer.from_file(str(path))
    reference.encode_special_tokens = True
    return reference


@pytest.fixture(scope="module")
def llama2(tmp_path_factory: pytest.TempPathFactory) -> tuple[Encoder, Tokenizer]:
    path = tmp_path_factory.mktemp("llama2") / "tokenizer.json"
    reference = llama2_style(path)
    return Encoder(str(path), bos=True, eos=False), reference


@given(st.lists(st.text(st.sampled_from("dosemg of the\n  ▁renal²é中</s>🩺"), max_size=60), min_size=1, max_size=4))
@settings(max_examples=150, deadline=None)
def test_words_apart_have_the_ids_of_the_whole_text(llama2: tuple[Encoder, Tokenizer], texts: list[str]) -> None:
    encoder, reference = llama2
    assert encoder.engine == "fastokens"
    flat, offsets = encoder._start.flat(texts)
    for i, text in enumerate(texts):
        expected = reference.encode(text, add_special_tokens=False).ids
        assert flat[offsets[i] : offsets[i + 1]].tolist() == expected


def test_the_fast_encoder_is_given_words_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    llama2_style(tmp_path / "tokenizer.json")
    seen: list[str] = []

    made = fastokens.Tokenizer.from_json_str

    def watched(text: str) -> object:
        seen.append(text)
        return made(text)

    monkeypatch.setattr(fastokens, "Tokenizer", SimpleNamespace(from_json_str=watched))
    assert Encoder(str(tmp_path / "tokenizer.json"), bos=True, eos=False).engine == "fastokens"
    assert [json.loads(text)["pre_tokenizer"]["type"] for text in seen] == ["Split"]


def test_an_encoder_that_makes_control_tokens_of_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    reference = llama2_style(path, angle=False)
    encoder = Encoder(str(path), bos=False, eos=False)
    assert (encoder.engine, encoder.reason) == ("tokenizers", "fastokens encodes the probe text differently")
    assert encoder.encode(["a </s> b"])[0].tolist() == reference.encode("a </s> b", add_special_tokens=False).ids


def test_words_are_split_only_where_no_token_goes_past_one(tmp_path: Path) -> None:
    llama2_style(tmp_path / "a.json")
    table = json.loads((tmp_path / "a.json").read_text())
    assert split_at_words(table)["pre_tokenizer"] is not None
    assert table["pre_tokenizer"] is None
    llama2_style(tmp_path / "b.json", crossing=True)
    table = json.loads((tmp_path / "b.json").read_text())
    assert any("e▁" in token for token in table["model"]["vocab"])
    assert split_at_words(table) is table
    for change in ({"ignore_merges": True}, {"byte_fallback": False}, {"dropout": 0.1}):
        other = json.loads((tmp_path / "a.json").read_text())
        other["model"] |= change
        assert split_at_words(other) is other


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"not json", "not JSON"),
        (b"\xc3(", "not JSON"),
        (b"[1]", "no `model`"),
        (b'{"model": {"type": "Nope"}}', "not a tokenizer.json"),
    ],
)
def test_a_wrong_file_is_refused_with_the_fix(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    with pytest.raises(RecipeError, match=says) as refusal:
        Encoder(str(path), bos=True, eos=True)
    assert refusal.value.fix


def test_missing_files_tokens_and_words_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cannot be read"):
        Encoder(str(tmp_path / "none.json"), bos=True, eos=True)
    empty = tmp_path / "empty.json"
    Tokenizer(models.BPE()).save(str(empty))
    with pytest.raises(RecipeError, match="vocabulary is empty"):
        Encoder(str(empty), bos=False, eos=False)
    plain = tmp_path / "plain.json"
    Tokenizer(models.BPE(vocab={"a": 0, "b": 1}, merges=[])).save(str(plain))
    with pytest.raises(RecipeError, match="no bos token") as refusal:
        Encoder(str(plain), bos=True, eos=False)
    assert "bos = false" in refusal.value.fix
    assert Encoder(str(plain), bos=False, eos=False).pad_id == 0
