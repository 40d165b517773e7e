"""Tokens that a base never saw: their embeddings begin as the mean of the others; under LoRA they alone are trained.

peft's `trainable_token_indices` copies the whole matrix in every forward pass (once for each chunk of the loss), trains
the input side alone where weights are not tied, and under ZeRO-3 starts on CUDA only. Here the new rows are one small
matrix beside the frozen one, put into its result by a hook: a module of its own, so that DeepSpeed gathers it like any
other. Names and settings are peft's, so that a saved adapter is loaded by peft as it stands.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from manifests.errors import RecipeError

MULTIPLE = 8
"""Rows of a resized embedding are a multiple of it, for the matrix units of GPUs."""
_ADAPTER, _ROWS = "token_adapter", "trainable_tokens_delta"
"""Peft's names; a saved adapter has `...embed_tokens.token_adapter.trainable_tokens_delta`."""


def add_tokens(model: Any, ids: Sequence[int], vocabulary: int) -> None:
    """Give the model a row for each of the `vocabulary` tokens; those of `ids`, the last ones, begin as a mean.

    The mean is that of all rows before them, input and output each for itself, in fp32. Every rank does the same, also
    where ZeRO-3 shares the weights out.
    """
    first = min(ids)
    embedding, output = model.get_input_embeddings(), model.get_output_embeddings()
    old = _rows(embedding.weight)
    if first > old:
        raise RecipeError(
            f"the first new token is {first:,}, and the base has {old:,} embeddings.",
            where="[sft] added_tokens",
            why="Rows between them would belong to no token that was ever seen.",
            fix="Use the tokenizer that the base came with.",
        )
    n_rows = grown_rows(old, vocabulary)
    fresh = sorted({*ids, *range(old, n_rows)})
    tied = output is not None and output.weight is embedding.weight
    for module in [embedding] if tied or output is None else [embedding, output]:
        module.weight = _grown(module.weight, n_rows, first, fresh)
        if getattr(module, "bias", None) is not None:
            module.bias = _grown(module.bias, n_rows, first, fresh)
    if tied:
        output.weight = embedding.weight
    embedding.num_embeddings = n_rows
    if output is not None:
        output.out_features = n_rows
    model.config.vocab_size = n_rows


def grown_rows(rows: int, vocabulary: int) -> int:
    """Rows of an embedding of so many once it has one for each token."""
    return max(rows, -(-vocabulary // MULTIPLE) * MULTIPLE)


def train_rows(model: Any, ids: Sequence[int]) -> None:
    """Train the embeddings of `ids` beside peft's adapters, which froze the rest; `model` is that of peft."""
    embedding, output = model.get_input_embeddings(), model.get_output_embeddings()
    names = {id(module): name.rpartition(".")[2] for name, module in model.named_modules()}
    tied = output is not None and output.weight is embedding.weight
    wanted = sorted(ids)
    indices = {names[id(embedding)]: wanted}
    entering = _new_rows(embedding, wanted)
    scale = getattr(embedding, "embed_scale", None)
    hooks = [embedding.register_forward_hook(lambda _, given, result: entering(given[0], result, scale=scale))]
    if output is not None:
        leaving = entering if tied else _new_rows(output, wanted)
        if not tied:
            indices[names[id(output)]] = wanted
        hooks.append(
            output.register_forward_hook(
                lambda one, given, result: leaving(given[0], result, bias=one.bias, logits=True)
            )
        )
    entering.hooks = hooks
    for settings in model.peft_config.values():
        settings.trainable_token_indices = indices


def merge_rows(model: Any) -> None:
    """Write the trained rows into the embeddings and leave no trace of them; nothing to do without any."""
    for module in [one for one in model.modules() if _ADAPTER in getattr(one, "_modules", {})]:
        rows = getattr(module, _ADAPTER)
        values = getattr(rows, _ROWS)
        with _whole([module.weight, values], write=True):
            module.weight.data[rows.ids] = values.data.to(module.weight.dtype)
        for hook in rows.hooks:
            hook.remove()
        delattr(module, _ADAPTER)
    for settings in getattr(model, "peft_config", {}).values():
        settings.trainable_token_indices = None


def _new_rows(module: Any, ids: Sequence[int]) -> Any:
    """The rows of a module's weight as a module of their own inside it."""
    import torch

    class NewRows(torch.nn.Module):  # type: ignore[misc]  # torch is Any to mypy
        """Rows of a frozen matrix, trained: put into what the matrix gave."""

        def __init__(self, values: Any) -> None:
            super().__init__()
            self.register_parameter(_ROWS, torch.nn.Parameter(values))
            self.register_buffer("ids", torch.tensor(ids, device=values.device), persistent=False)
            self.hooks: list[Any] = []

        def forward(self, given: Any, result: Any, *, scale: Any = None, bias: Any = None, logits: bool = False) -> Any:
            rows = getattr(self, _ROWS).to(result.dtype)
            if logits:
                values = given @ rows.T if bias is None else given @ rows.T + bias[self.ids]
                return result.index_copy(-1, self.ids, values.to(result.dtype))
            place = torch.searchsorted(self.ids, given.contiguous()).clamp(max=len(self.ids) - 1)
            new = rows[place] if scale is None else rows[place] * scale
            return torch.where((self.ids[place] == given)[..., None], new.to(result.dtype), result)

    with _whole([module.weight]):
        values = module.weight.detach()[list(ids)].clone()
    # fp32 as peft's own adapters: at a small learning rate a bf16 weight does not move.
    module.add_module(_ADAPTER, NewRows(values.float()))
    return getattr(module, _ADAPTER)


def _grown(weight: Any, n_rows: int, first: int, fresh: Sequence[int]) -> Any:
    import torch

    with _whole([weight]):
        before = weight.detach()
        grown = before.new_empty((n_rows, *before.shape[1:]))
        grown[: len(before)] = before
        grown[list(fresh)] = before[:first].float().mean(0).to(before.dtype)
    return torch.nn.Parameter(grown, requires_grad=weight.requires_grad)


def _rows(weight: Any) -> int:
    # Partitioned, a parameter is empty and says its true shape itself.
    return int(getattr(weight, "ds_shape", weight.shape)[0])


@contextmanager
def _whole(weights: Sequence[Any], *, write: bool = False) -> Iterator[None]:
    """Where ZeRO-3 shares the weights out, the whole of them for a while."""
    shared = [weight for weight in weights if hasattr(weight, "ds_id")]
    if not shared:
        yield
        return
    import deepspeed

    with deepspeed.zero.GatheredParameters(shared, modifier_rank=0 if write else None):
        yield
