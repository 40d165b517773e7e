"""The last block of a restricted pipeline: no error message of any block before it gets out.

Messages of decode, JSON and Arrow errors quote the data they stumble over, and datatrove logs them. This block
drives the whole chain, so whatever fails in it passes here first.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from datatrove.pipeline.base import PipelineStep

from manifests.errors import BuildError, CorpusError


class SealErrors(PipelineStep):  # type: ignore[misc]
    """Replaces any error but our own, whose texts we wrote, by its type and place."""

    type = "SEAL"
    name = "seal errors"

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        try:
            yield from data or ()
        except CorpusError:
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, its message must not get out
            frame = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(frame.filename).name}:{frame.lineno}"
            raise BuildError(f"{type(error).__name__} at {place}; its message may quote restricted text.") from None
