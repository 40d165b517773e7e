"""One model of a base and the adapter that a run trained on it, compared with the two before it is written.

The base is read in fp32 and merged there, then rounded once to the dtype asked for: 4 bytes a parameter of memory, 276
GB for 70B. Logits of a probe are compared twice. Merged in fp32 they must be those of the adapter on its base to
`EXACT` of what the adapter does, whatever its size: a layer left out or a wrong scale is another model. Rounded, they
may differ by `BOUNDS` of the largest logit.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manifests.errors import CheckFailed, RecipeError
from train.added_tokens import merge_rows
from train.attention import plain_attention
from train.export import check_dtype, finish_folder
from train.exported_tokenizer import find_tokenizer, is_restricted_tokenizer
from train.loaded import load_trained
from train.model_folder import appearing, check_names, check_written, empty_model, write_config, write_weights
from train.provenance import mark_of
from train.stored_weights import Stored
from train.taint import check_output
from train.trained import find_trained

EXACT = 0.02
"""Largest difference of logits before rounding, as a part of the adapter's effect; plus fp32's own noise."""
BOUNDS = {"fp32": 1e-4, "bf16": 5e-2}
"""Largest difference of logits that rounding explains, as a part of the largest logit."""
_ROWS, _TOKENS = 2, 64


@dataclass(frozen=True, slots=True)
class Compared:
    """Largest differences of the logits of a probe."""

    exact: float
    """Of adapter on base and the merged model in fp32."""
    exact_bound: float
    difference: float
    """Of adapter on base and the merged model as it is written."""
    bound: float
    effect: float
    """Of adapter on base and base: what the adapter does."""

    @property
    def drowned(self) -> bool:
        """Rounding changed as much as a tenth of what the adapter does."""
        return self.difference > self.effect / 10

    def check(self, where: str) -> None:
        """CheckFailed unless both bounds are kept; a difference that is no number keeps none."""
        for found, bound, what in (
            (self.exact, self.exact_bound, "what fp32 explains"),
            (self.difference, self.bound, "what rounding explains"),
        ):
            if not found <= bound:
                raise CheckFailed(
                    f"the merged model is not what was trained: logits differ by {found:.3g}, {what} is {bound:.3g}.",
                    where=where,
                    why="A layer's adapter was left out or scaled otherwise, or the weights do not bear rounding.",
                    fix="Try --dtype fp32, or use the adapter on its base: `medtrove train export`.",
                )


@dataclass(frozen=True, slots=True)
class Merged:
    """What was written, and how near it is to what was trained."""

    folder: str
    dtype: str
    weights: int
    bytes: int
    step: int
    restricted: bool
    compared: Compared


def merge(path: Path, output: str, *, dtype: str, tokenizer: str = "", without_tokenizer: bool = False) -> Merged:
    """Write the merged model of a run with adapters into the new folder `output`; CheckFailed if it is another one."""
    check_dtype(dtype)
    trained = find_trained(path)
    if not trained.config.lora.r:
        raise RecipeError(
            "the run trained all weights, there is no adapter to merge.",
            where=str(path),
            fix=f"medtrove train export {path} --output {output}",
        )
    file = None if without_tokenizer else find_tokenizer(trained, tokenizer)
    restricted = trained.restricted or (file is not None and is_restricted_tokenizer(file))
    target = check_output(output, restricted=restricted)
    model, found = merged_model(load_trained(trained, "fp32"), dtype)
    found.check(str(path))
    with appearing(target, restricted=restricted) as folder:
        rows = model.get_input_embeddings().weight.shape[0]
        bare = empty_model(trained.config, trained.tokenizer, rows=rows)
        weights = check_names(bare, _held(model), str(trained.checkpoint))
        mark = mark_of(trained, "merged", dtype, restricted=restricted)
        size = write_weights(folder, weights, dtype, restricted=restricted)
        write_config(folder, bare, dtype, mark)
        check_written(folder, weights, dtype)
        finish_folder(folder, trained, mark, file)
    step = trained.state.step
    return Merged(str(target), dtype, len(weights), size, step, restricted, found)


def merged_model(model: Any, dtype: str) -> tuple[Any, Compared]:
    """The plain model of a fp32 one with adapters, rounded to a dtype but held in fp32; `model` is used up."""
    import torch

    ids = _probe(model)
    with model.disable_adapter():
        base = _logits(model, ids)
    adapted = _logits(model, ids)
    merge_rows(model)
    merged = model.merge_and_unload(safe_merge=True)
    largest, effect = float(adapted.abs().max()), float((adapted - base).abs().max())
    exact = float((_logits(merged, ids) - adapted).abs().max())
    if dtype == "bf16":
        with torch.no_grad():
            for weight in merged.parameters():
                weight.copy_(weight.bfloat16())
    difference = float((_logits(merged, ids) - adapted).abs().max())
    noise = 1e-6 * largest
    return merged, Compared(exact, EXACT * effect + noise, difference, BOUNDS[dtype] * largest, effect)


def _probe(model: Any) -> Any:
    """[2, 64] token ids from a fixed seed, the last of the vocabulary among them: tokens that were added."""
    import torch

    rows = model.get_input_embeddings().weight.shape[0]
    ids = torch.randint(rows, (_ROWS, _TOKENS), generator=torch.Generator().manual_seed(0))
    last = torch.arange(max(0, rows - 16), rows)
    ids[0, : len(last)] = last
    return ids


def _logits(model: Any, ids: Any) -> Any:
    import torch

    with torch.no_grad(), plain_attention(model):
        return model(input_ids=ids, use_cache=False).logits


def _held(model: Any) -> dict[str, Stored]:
    saved = model.state_dict()
    states = dict(model.named_parameters()) | {name: b for name, b in model.named_buffers() if name in saved}
    return {name: Stored(tuple(tensor.shape), tensor.detach().clone) for name, tensor in states.items()}
