"""Attention in which the documents of a row do not see each other, by structure that is passed, never guessed.

transformers derives document borders from `position_ids` in some cases and silently not in others (a cache, a mask of
ones), and takes a ready 4-D mask as it is, without a layer's sliding window. Our functions are registered beside its
own instead, get `documents` through the model's keyword arguments, and put causality, borders, window and soft cap
together themselves. Without `documents` they refuse to run.

    sdpa      torch's scaled_dot_product_attention with an explicit mask; every device
    varlen    one kernel call over all documents laid end to end (`torch.nn.attention.varlen`); GPU, bf16 or fp16
    flex      torch's flex_attention with a block mask; GPU, also with a soft cap
    eager     the formula, in plain tensor operations; what the others are measured by
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

from manifests.errors import RecipeError
from train.documents import Documents, before, document_inputs

__all__ = ["attention_kind", "document_inputs", "plain_attention", "register_attention", "resolve_attention"]

NAMES = {
    "sdpa": "documents_masked",
    "varlen": "documents_varlen",
    "flex": "documents_blocks",
    "eager": "documents_plain",
}
"""Kind of the configuration -> name in transformers, which starts checks of its own for names with `sdpa` in them."""


def resolve_attention(kind: str, shape: Any, *, gpu: bool, dtype: str) -> str:
    """The kind that will run for a model of this config; RecipeError where the one asked for cannot.

    `auto` is varlen on a GPU in half precision, else sdpa; a model with a soft cap on its attention scores (Gemma 2)
    takes flex on a GPU and eager on CPU, which alone can apply it.
    """
    heads = getattr(shape, "head_dim", None) or shape.hidden_size // shape.num_attention_heads
    capped = getattr(shape, "attn_logit_softcapping", None) is not None
    fits = gpu and dtype != "fp32" and heads % 8 == 0 and heads <= 256
    if kind == "auto":
        if capped:
            return "flex" if gpu else "eager"
        return "varlen" if fits else "sdpa"
    if capped and kind in ("sdpa", "varlen"):
        raise RecipeError(
            f"[model] attention = {kind!r} with {shape.model_type}, which caps its attention scores.",
            why="That kernel has no soft cap; without it the model computes something else.",
            fix="Set attention = 'auto'.",
        )
    if kind == "varlen" and gpu and not fits:
        raise RecipeError(
            f"[model] attention = 'varlen' with dtype = {dtype!r} and heads of {heads}.",
            why="The kernel takes bf16 and fp16, and head sizes that are multiples of 8 up to 256.",
            fix="Set attention = 'auto'.",
        )
    if kind == "flex" and not gpu:
        raise RecipeError(
            "[model] attention = 'flex' on CPU.", why="It has no backward pass there.", fix="Set attention = 'auto'."
        )
    return kind


def register_attention() -> None:
    """Makes the functions known to transformers; as often as one likes."""
    from transformers import AttentionInterface

    for kind, kernel in _KERNELS.items():
        AttentionInterface.register(NAMES[kind], _forward(kernel))


def attention_kind(model: Any) -> str:
    """The kind a model was built with: what `document_inputs` needs."""
    name = model.config._attn_implementation
    for kind, ours in NAMES.items():
        if ours == name:
            return kind
    raise ValueError(f"a model with attention {name!r} was not made by build_model")


@contextmanager
def plain_attention(model: Any) -> Iterator[None]:
    """Inside, the model attends as transformers has it: for generation, where a row is one text."""
    kind = attention_kind(model)
    shape = model.config
    plain = "eager" if getattr(shape, "attn_logit_softcapping", None) is not None else "sdpa"
    _set(model, plain)
    try:
        yield
    finally:
        _set(model, NAMES[kind])


def _set(model: Any, name: str) -> None:
    # Not set_attn_implementation: it looks for kernels on a hub for names it does not know.
    for module in model.modules():
        if hasattr(module, "config") and hasattr(module.config, "_attn_implementation"):
            module.config._attn_implementation = name


@dataclass(frozen=True, slots=True)
class _Scores:
    """What a layer does with its scores."""

    scale: float
    window: int | None
    cap: float | None
    dropout: float


def _forward(kernel: Callable[[Any, Any, Any, Documents, _Scores], Any]) -> Callable[..., tuple[Any, None]]:
    """A kernel, [B, H, L, D] each -> [B, L, H, D], as transformers calls one."""

    def forward(
        module: Any,
        query: Any,
        key: Any,
        value: Any,
        attention_mask: Any = None,
        *,
        scaling: float | None = None,
        dropout: float = 0.0,
        documents: Documents | None = None,
        sliding_window: int | None = None,
        softcap: float | None = None,
        **others: Any,
    ) -> tuple[Any, None]:
        if documents is None:
            raise ValueError("the forward pass was called without documents: use document_inputs, or plain_attention")
        if attention_mask is not None:
            raise ValueError("attention_mask beside documents: one of the two would be ignored")
        if others.get("is_causal") is False or not getattr(module, "is_causal", True):
            raise ValueError(f"{type(module).__name__} looks ahead; only causal models are trained here")
        for name in _UNKNOWN:
            if others.get(name) is not None:
                raise ValueError(f"{type(module).__name__} needs {name}, which these kernels do not have")
        scale = query.shape[-1] ** -0.5 if scaling is None else scaling
        scores = _Scores(scale, sliding_window, softcap, dropout if module.training else 0.0)
        return kernel(query, key, value, documents, scores), None

    return forward


_UNKNOWN = ("position_bias", "s_aux", "sinks", "alibi", "head_mask")
"""Arguments of some families that change the scores."""


def _masked(query: Any, key: Any, value: Any, documents: Documents, scores: _Scores) -> Any:
    from torch.nn.functional import scaled_dot_product_attention

    assert scores.cap is None, "resolve_attention refuses it"
    mask = documents.mask(scores.window)
    key, value = _repeated(key, query), _repeated(value, query)
    out = scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=scores.dropout, scale=scores.scale)
    return out.transpose(1, 2).contiguous()


def _varlen(query: Any, key: Any, value: Any, documents: Documents, scores: _Scores) -> Any:
    assert scores.cap is None, "resolve_attention refuses it"
    assert scores.dropout == 0.0, "the kernel has none; build_model sets it to 0"
    if not query.is_cuda:
        return _one_by_one(query, key, value, documents, scores)
    from torch.nn.attention.varlen import varlen_attn

    rows, heads, n, width = query.shape
    flat = [states.transpose(1, 2).reshape(rows * n, -1, width) for states in (query, key, value)]
    borders, longest = documents.borders, documents.longest
    out = varlen_attn(
        *flat,
        borders,
        borders,
        longest,
        longest,
        scale=scores.scale,
        window_size=(-1 if scores.window is None else scores.window - 1, 0),
        enable_gqa=key.shape[1] != heads,
    )
    return out.reshape(rows, n, heads, width)


def _one_by_one(query: Any, key: Any, value: Any, documents: Documents, scores: _Scores) -> Any:
    """What the varlen kernel computes, on a machine without it: one call for each document."""
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    rows, heads, n, width = query.shape
    key, value = _repeated(key, query), _repeated(value, query)
    parts = []
    for begin, end in pairwise(documents.borders.tolist()):
        row, first, last = begin // n, begin % n, (end - 1) % n + 1
        q, k, v = (states[row, :, first:last] for states in (query, key, value))
        at = torch.arange(last - first, device=query.device)
        mask = None if scores.window is None else before(at[:, None], at[None, :], scores.window)
        parts.append(scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None, scale=scores.scale))
    return torch.cat(parts, dim=1).transpose(0, 1).reshape(rows, n, heads, width)


def _blocks(query: Any, key: Any, value: Any, documents: Documents, scores: _Scores) -> Any:
    assert scores.dropout == 0.0, "flex_attention has none; build_model sets it to 0"
    cap = scores.cap

    def capped(score: Any, *_: Any) -> Any:
        return cap * (score / cap).tanh()

    out = _compiled_flex()(
        query,
        key,
        value,
        score_mod=None if cap is None else capped,
        block_mask=documents.blocks(scores.window),
        scale=scores.scale,
        enable_gqa=key.shape[1] != query.shape[1],
    )
    return out.transpose(1, 2).contiguous()


@cache
def _compiled_flex() -> Any:
    """Uncompiled, flex_attention makes the whole matrix of scores."""
    import torch
    from torch.nn.attention.flex_attention import flex_attention

    return torch.compile(flex_attention, dynamic=False)


def _plain(query: Any, key: Any, value: Any, documents: Documents, scores: _Scores) -> Any:
    import torch

    logits = query @ _repeated(key, query).transpose(2, 3) * scores.scale
    if scores.cap is not None:
        logits = scores.cap * (logits / scores.cap).tanh()
    logits = logits.masked_fill(~documents.mask(scores.window), float("-inf"))
    weights = torch.nn.functional.softmax(logits, dim=-1, dtype=torch.float32).to(query.dtype)
    weights = torch.nn.functional.dropout(weights, scores.dropout)
    return (weights @ _repeated(value, query)).transpose(1, 2).contiguous()


def _repeated(states: Any, query: Any) -> Any:
    """Keys or values, once for each head of the query."""
    n = query.shape[1] // states.shape[1]
    return states if n == 1 else states.repeat_interleave(n, dim=1)


_KERNELS = {"sdpa": _masked, "varlen": _varlen, "flex": _blocks, "eager": _plain}
