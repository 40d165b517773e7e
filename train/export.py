"""A checkpoint as a Hugging Face folder: every stage of ZeRO, any number of ranks, one process, no GPU.

Weights are the fp32 masters where there are some, in the dtype asked for. Memory: about one safetensors file, 5 GB, and
its source's pages. 70B in bf16 reads 276 GB of masters twice (to write and to compare) and writes 138 GB. Of a run with
adapters the adapter is exported, which needs its base; `train.merge` makes one model of both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manifests.errors import BuildError, RecipeError
from train.added_tokens import grown_rows
from train.card import write_card
from train.exported_tokenizer import find_tokenizer, is_restricted_tokenizer, write_generation, write_tokenizer
from train.lora import attach_lora, check_adapter, save_adapter, saved_name
from train.model_folder import (
    DTYPES,
    appearing,
    check_names,
    check_written,
    embedding_name,
    empty_model,
    write_config,
    write_weights,
)
from train.provenance import mark_of, write_mark
from train.stored_weights import Stored, stored_weights
from train.taint import KEY, RESTRICTED, check_hub, check_output
from train.trained import Trained, find_trained


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written."""

    folder: str
    kind: str
    """`model`, `adapter` or `merged`."""
    dtype: str
    weights: int
    bytes: int
    step: int
    restricted: bool


def export(
    path: Path, output: str, *, dtype: str, tokenizer: str = "", without_tokenizer: bool = False, hub: str = ""
) -> Exported:
    """Write the model, or adapter, of a run or checkpoint into the new folder `output`; on its way to `hub`, if named.

    CorpusError, and nothing at `output`, where a restricted one would go to others, or what was written read back is
    not what the checkpoint has.
    """
    check_dtype(dtype)
    trained = find_trained(path)
    file = None if without_tokenizer else find_tokenizer(trained, tokenizer)
    restricted = trained.restricted or (file is not None and is_restricted_tokenizer(file))
    check_hub(hub, restricted=restricted)
    target = check_output(output, restricted=restricted)
    stored = stored_weights(trained.checkpoint, trained.state)
    adapter = trained.config.lora.r > 0
    with appearing(target, restricted=restricted) as folder:
        mark = mark_of(trained, "adapter" if adapter else "model", dtype, restricted=restricted)
        if adapter:
            size = _write_adapter(folder, trained, stored, dtype, restricted=restricted)
        else:
            size, stored = _write_model(folder, trained, stored, dtype, mark)
        finish_folder(folder, trained, mark, file)
    if hub:
        upload(target, hub)
    return Exported(str(target), mark["kind"], dtype, len(stored), size, trained.state.step, restricted)


def check_dtype(dtype: str) -> None:
    """RecipeError unless it is one that is exported."""
    if dtype not in DTYPES:
        raise RecipeError(f"there is no dtype {dtype!r}.", where="--dtype", fix=f"Give one of {', '.join(DTYPES)}.")


def finish_folder(folder: Path, trained: Trained, mark: dict[str, Any], tokenizer: Path | None) -> None:
    """What stands beside the weights: tokenizer, where generation stops, card and mark."""
    known = trained.tokenizer
    if tokenizer is None:
        write_generation(folder, {f"{key}_token_id": known[f"{key}_id"] for key in ("bos", "eos", "pad")})
    else:
        write_tokenizer(folder, tokenizer, known)
    write_card(folder, trained, mark)
    write_mark(folder, mark)


def upload(folder: Path, repository: str) -> None:
    """Put an exported folder that is not restricted into a private repository of the Hugging Face hub."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    api = HfApi()
    try:
        api.create_repo(repository, private=True, exist_ok=True)
        api.upload_folder(repo_id=repository, folder_path=folder)
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise RecipeError(
            f"the upload failed: {type(error).__name__}.",
            where=f"--hub {repository}",
            why=f"The export is whole in {folder}.",
            fix="Log in with `hf auth login`, and upload that folder.",
        ) from error


def _write_model(
    folder: Path, trained: Trained, stored: Mapping[str, Stored], dtype: str, mark: Mapping[str, Any]
) -> tuple[int, dict[str, Stored]]:
    name = embedding_name(empty_model(trained.config, trained.tokenizer))
    rows = stored[name].shape[0] if name in stored else 0
    model = empty_model(trained.config, trained.tokenizer, rows=rows)
    weights = check_names(model, stored, str(trained.checkpoint))
    size = write_weights(folder, weights, dtype, restricted=mark["restricted"])
    write_config(folder, model, dtype, mark)
    check_written(folder, weights, dtype)
    return size, weights


def _write_adapter(
    folder: Path, trained: Trained, stored: Mapping[str, Stored], dtype: str, *, restricted: bool
) -> int:
    config = trained.config
    state = {saved_name(name): weight.read() for name, weight in stored.items()}
    check_adapter(state)
    bare = empty_model(config, trained.tokenizer)
    if config.sft.added_tokens:
        bare = empty_model(
            config, trained.tokenizer, rows=grown_rows(bare.config.vocab_size, trained.tokenizer["vocab_size"])
        )
    model = attach_lora(bare, config.lora, seed=config.run.seed, new_tokens=config.sft.added_tokens or None)
    expected = {saved_name(name): tuple(w.shape) for name, w in model.named_parameters() if w.requires_grad}
    found = {name: tuple(tensor.shape) for name, tensor in state.items()}
    if found != expected:
        wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        raise BuildError(f"{wrong[0]} of the adapter is not what [lora] asks for.", where=str(trained.checkpoint))
    save_adapter(
        model, folder, state=state, base=config.model.base, dtype=dtype, header={KEY: RESTRICTED} if restricted else {}
    )
    return int(sum(tensor.numel() for tensor in state.values())) * {"bf16": 2, "fp32": 4}[dtype]
