"""A Hugging Face folder, written weight by weight and read back: never more than one file's worth in memory.

safetensors of at most 5 GB, `config.json` and `generation_config.json`. Of tied weights one is written, as transformers
does; the vocabulary is as many rows as the embedding has. What is read back is compared with what was to be written,
and transformers is asked, on its `meta` device, whether names and shapes are those of the model.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from manifests.errors import BuildError, CheckFailed
from train.config import RunConfig
from train.model import model_shape
from train.stored_weights import Stored
from train.taint import KEY, RESTRICTED, make_private

FILE_BYTES = 5 * 10**9
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
DTYPES = ("bf16", "fp32")


@contextmanager
def appearing(output: Path, *, restricted: bool) -> Iterator[Path]:
    """A folder beside `output` that takes its name when the block ends well, and is gone when it does not."""
    import shutil

    partial = output.with_name(output.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    output.parent.mkdir(parents=True, exist_ok=True)
    partial.mkdir(mode=0o700 if restricted else 0o777)
    try:
        yield partial
        if restricted:
            make_private(partial)
        else:
            _as_open_as_the_folder(partial)
        partial.rename(output)  # over an empty folder too
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _as_open_as_the_folder(folder: Path) -> None:
    # safetensors writes 0600, and a group that may read the folder would find all but the weights.
    readable = folder.stat().st_mode & 0o666
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(readable)


def empty_model(config: RunConfig, tokenizer: Mapping[str, Any], *, rows: int = 0) -> Any:
    """The run's model without weights, on `meta`; `rows` of its embedding where they are not those of its config."""
    import torch
    from transformers import AutoModelForCausalLM

    shape = model_shape(
        config,
        vocabulary=tokenizer["vocab_size"],
        bos_id=tokenizer["bos_id"],
        eos_id=tokenizer["eos_id"],
        pad_id=tokenizer["pad_id"],
    )
    if rows:
        shape.vocab_size = rows
    shape.pad_token_id = tokenizer["pad_id"]
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(shape, dtype=torch.float32)


def embedding_name(model: Any) -> str:
    """Name of the weight of the token embedding."""
    weight = model.get_input_embeddings().weight
    return next(str(name) for name, parameter in model.named_parameters() if parameter is weight)


def write_weights(
    folder: Path, weights: Mapping[str, Stored], dtype: str, *, restricted: bool, file_bytes: int = FILE_BYTES
) -> int:
    """Write the safetensors and, of several, their index; bytes of the tensors.

    CheckFailed for a weight that is empty or not finite.
    """
    from safetensors.torch import save_file

    header = {"format": "pt"} | ({KEY: RESTRICTED} if restricted else {})
    files = _shared_out(weights, {"bf16": 2, "fp32": 4}[dtype], file_bytes)
    where: dict[str, str] = {}
    total = 0
    for number, names in enumerate(files, start=1):
        file = WEIGHTS if len(files) == 1 else f"model-{number:05d}-of-{len(files):05d}.safetensors"
        tensors = {name: as_written(name, weights[name], dtype) for name in names}
        save_file(tensors, str(folder / file), header)
        where |= dict.fromkeys(names, file)
        total += sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    if len(files) > 1:
        index = {"metadata": {"total_size": total}, "weight_map": where}
        (folder / INDEX).write_text(json.dumps(index, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return total


def as_written(name: str, weight: Stored, dtype: str) -> Any:
    """The tensor as it stands in a file; integers as they are. CheckFailed if it is empty or not finite."""
    import torch

    tensor = weight.read()
    if tensor.is_floating_point():
        tensor = tensor.to({"bf16": torch.bfloat16, "fp32": torch.float32}[dtype])
    if not tensor.numel() or not bool(tensor.isfinite().all()):
        raise CheckFailed(
            f"{name} {'has values that are not finite' if tensor.numel() else 'is empty'}.",
            why="A model with it would write nothing of sense.",
            fix="Export an earlier checkpoint.",
        )
    return tensor.contiguous()


def write_config(folder: Path, model: Any, dtype: str, mark: Mapping[str, Any]) -> None:
    """`config.json` of the model, with the weights' dtype and the mark."""
    shape = model.config
    table = shape.to_dict()
    for key in ("_attn_implementation", "_name_or_path", "quantization_config", "torch_dtype"):
        table.pop(key, None)
    table |= {"architectures": [type(model).__name__], "dtype": {"bf16": "bfloat16", "fp32": "float32"}[dtype]}
    table |= {KEY: dict(mark), "use_cache": True}
    (folder / "config.json").write_text(json.dumps(table, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def check_names(model: Any, weights: Mapping[str, Stored], where: str) -> dict[str, Stored]:
    """The weights that the model has, each once; BuildError where one is lacking or of another shape."""
    wanted = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    states = model.state_dict()
    wanted |= {name: tuple(b.shape) for name, b in model.named_buffers() if name in states}
    wrong = [name for name, shape in wanted.items() if name not in weights or weights[name].shape != shape]
    if wrong:
        raise BuildError(
            f"{len(wrong)} of {len(wanted)} weights of {type(model).__name__} are not in the checkpoint, {wrong[0]} "
            "first.",
            where=where,
            why="It is of another model, or of adapters alone.",
        )
    return {name: weights[name] for name in wanted}


def check_written(folder: Path, weights: Mapping[str, Stored], dtype: str) -> None:
    """Read every file back: CheckFailed unless each weight is there once, bit for bit, and transformers knows it."""
    import torch
    from safetensors import safe_open

    seen = set()
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(str(file), framework="pt") as stream:
            for name in stream.keys():  # noqa: SIM118  # it is no mapping
                if name in seen or not torch.equal(stream.get_tensor(name), as_written(name, weights[name], dtype)):
                    raise CheckFailed(f"{name} read back is not what was written.", where=str(file))
                seen.add(name)
    if seen != weights.keys():
        raise CheckFailed(f"{len(weights.keys() - seen)} weights are not in the files.", where=str(folder))
    _ask_transformers(folder)


def _ask_transformers(folder: Path) -> None:
    from transformers import AutoModelForCausalLM

    with quiet():
        _, said = AutoModelForCausalLM.from_pretrained(folder, device_map="meta", output_loading_info=True)
    wrong = [f"{kind}: {sorted(map(str, said[kind]))[0]}" for kind in sorted(said) if said[kind]]
    if wrong:
        raise CheckFailed(
            f"transformers does not find in it what its config.json says ({'; '.join(wrong)}).", where=str(folder)
        )


@contextmanager
def quiet() -> Iterator[None]:
    """Without transformers' progress bars, which would stand in the middle of our own lines."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _shared_out(weights: Mapping[str, Stored], each: int, file_bytes: int) -> list[list[str]]:
    """Names by file, in order; a weight larger than a file has one to itself."""
    files: list[list[str]] = [[]]
    size = 0
    for name, weight in weights.items():
        n = math.prod(weight.shape) * each
        if size + n > file_bytes and files[-1]:
            files.append([])
            size = 0
        files[-1].append(name)
        size += n
    return files
