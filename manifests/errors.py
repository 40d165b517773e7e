"""Every error a user can cause, as one small tree.

CorpusError                     exit 2: something the user can fix; the message says what, where, why and how
|-- RecipeError                 a recipe or command line that cannot be meant
|-- SourceError                 a source that cannot be fetched or read as configured
|-- BuildError                  a build folder, stage or output that cannot be used
`-- CheckFailed                 exit 1: everything ran, and what it found is wrong (`verify`, failed tasks)

Messages never hold text of a restricted source.
"""

from __future__ import annotations


class CorpusError(Exception):
    """Something the user can fix; `str()` is the whole message, shown without a traceback."""

    exit_code = 2

    def __init__(self, what: str, *, where: str = "", why: str = "", fix: str = "") -> None:
        self.what, self.where, self.why, self.fix = what, where, why, fix
        head = f"{where}: {what}" if where else what
        super().__init__(" ".join(part for part in (head, why, fix) if part))


class RecipeError(CorpusError):
    """A recipe or command line that cannot be meant."""


class SourceError(CorpusError):
    """A source that cannot be fetched or read as configured."""


class BuildError(CorpusError):
    """A build folder, stage or output that cannot be used."""


class CheckFailed(CorpusError):
    """Everything ran, and what it found is wrong."""

    exit_code = 1
