"""Losses of a model that is served: log probabilities of given tokens, through an OpenAI-like `/completions`.

What is sent are the ids of documents, one request for each document of a row (a server does not know their borders);
`echo` with `logprobs` gives the prompt's own, as vLLM and its kin answer. `train.taint.check_endpoint` decides whether
the rows may go there.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import numpy as np

from manifests.errors import BuildError
from train.data import FILLER, IGNORED, Batch

_SECONDS = 300.0


def endpoint_losses(url: str, model: str, n_sources: int) -> Callable[[Batch], tuple[Any, Any]]:
    """`losses` for `train.evaluate.evaluate`, of the model of this name at `url` (`http://HOST:PORT/v1`)."""

    def losses(batch: Batch) -> tuple[Any, Any]:
        nats, tokens = np.zeros(n_sources), np.zeros(n_sources, dtype=np.int64)
        for row, source in enumerate(batch.source):
            if source == FILLER:
                continue
            segments = batch.segment_ids[row]
            for piece in range(1, int(segments.max(initial=0)) + 1):
                places = np.flatnonzero(segments == piece)
                labels = batch.labels[row, places]
                if not len(places) or not (labels != IGNORED).any():
                    continue
                ids = batch.input_ids[row, places].tolist()
                if labels[-1] != IGNORED:
                    ids.append(int(labels[-1]))  # the row's last target, which is no input
                found = _log_probabilities(url, model, ids)[1:]
                learned = labels[: len(found)] != IGNORED
                nats[source] -= float(found[learned].sum())
                tokens[source] += int(learned.sum())
        return nats, tokens

    return losses


def _log_probabilities(url: str, model: str, ids: list[int]) -> Any:
    """[len(ids)] of each token after those before it; the first is NaN."""
    body = {"model": model, "prompt": ids, "max_tokens": 1, "temperature": 0, "echo": True, "logprobs": 1}
    request = urllib.request.Request(
        url.rstrip("/") + "/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
            found = json.loads(answer.read())["choices"][0]["logprobs"]["token_logprobs"]
        values = np.asarray([np.nan if one is None else one for one in found[: len(ids)]], dtype=np.float64)
    except (urllib.error.URLError, OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise BuildError(
            f"the server does not give log probabilities of a prompt: {type(error).__name__}.",
            where=url,
            why="They are asked for with echo and logprobs, as vLLM answers.",
            fix="Serve the exported folder with such a server, or evaluate the folder itself.",
        ) from None
    if len(values) != len(ids) or not np.isfinite(values[1:]).all():
        raise BuildError(
            f"the server gave {len(values)} log probabilities of {len(ids)} tokens.",
            where=url,
            fix="Use a server that echoes every token of a prompt given as ids.",
        )
    return values
