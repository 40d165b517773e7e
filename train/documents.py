"""Where the documents of a batch lie: what attention needs so that they do not see each other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from train.data import Batch


@dataclass(frozen=True, slots=True)
class Documents:
    """The pieces of a batch's rows; padding counts as one more document, which nothing learns from."""

    pieces: Any
    """[B, L] int; number of the document inside its row."""
    borders: Any
    """[n + 1] int32; starts of all documents of all rows laid end to end, and the end."""
    longest: int
    """Bound on the tokens of one document, a power of two so that kernels are not compiled for each batch."""
    masks: dict[Any, Any] = field(default_factory=dict)
    """By sliding window: made by the first layer that needs it, used by all."""

    def mask(self, window: int | None) -> Any:
        """[B, 1, L, L] bool: query i sees key j."""
        if window not in self.masks:
            import torch

            at = torch.arange(self.pieces.shape[1], device=self.pieces.device)
            same = self.pieces[:, :, None] == self.pieces[:, None, :]
            self.masks[window] = (same & before(at[:, None], at[None, :], window))[:, None]
        return self.masks[window]

    def blocks(self, window: int | None) -> Any:
        """The same as a block mask of flex_attention."""
        name = ("blocks", window)
        if name not in self.masks:
            from torch.nn.attention.flex_attention import create_block_mask

            pieces = self.pieces

            def seen(row: Any, _head: Any, query: Any, key: Any) -> Any:
                return before(query, key, window) & (pieces[row, query] == pieces[row, key])

            rows, n = pieces.shape
            self.masks[name] = create_block_mask(seen, rows, None, n, n, device=pieces.device)
        return self.masks[name]

    def prepare(self, kind: str, windows: Iterable[int | None]) -> None:
        """Makes the masks before the layers run: compiled or recomputed, a layer must not change what it is given."""
        for window in windows:
            if kind in ("sdpa", "eager"):
                self.mask(window)
            elif kind == "flex":
                self.blocks(window)


def windows_of(shape: Any) -> set[int | None]:
    """Sliding windows of a model's layers, None for a layer that sees everything before it."""
    window = getattr(shape, "sliding_window", None) if getattr(shape, "use_sliding_window", True) else None
    kinds = set(getattr(shape, "layer_types", None) or ())
    if window is None or not kinds:
        return {window}
    return {window if kind == "sliding_attention" else None for kind in kinds}


def before(query: Any, key: Any, window: int | None) -> Any:
    """Whether a key's position may be seen from a query's: not later, and among the last `window`, its own included."""
    causal = query >= key
    return causal if window is None else causal & (key > query - window)


def document_inputs(batch: Batch, kind: str, device: Any) -> dict[str, Any]:
    """Keyword arguments of a model's forward pass for a batch of the shards; `kind` is `attention_kind(model)`."""
    import torch

    positions = torch.as_tensor(batch.position_ids)
    segments = torch.as_tensor(batch.segment_ids)
    # A removed document is padding (segment 0) that may lie next to other padding: the position tells them apart.
    starts = positions == 0
    starts[:, 0] = True
    starts[:, 1:] |= segments[:, 1:] != segments[:, :-1]
    flat = starts.flatten().nonzero().flatten()
    borders = torch.cat([flat, torch.tensor([starts.numel()])]).to(torch.int32)
    longest = int(borders.diff().max())
    return {
        "input_ids": torch.as_tensor(batch.input_ids).to(device, non_blocking=True),
        "position_ids": positions.to(device, non_blocking=True),
        "documents": Documents(
            pieces=starts.cumsum(1).to(device, non_blocking=True),
            # The one kernel that takes borders runs on the GPU; elsewhere they are read on the host.
            borders=borders.to(device, non_blocking=True) if kind == "varlen" else borders,
            longest=1 << (longest - 1).bit_length(),
        ),
        "use_cache": False,
    }
