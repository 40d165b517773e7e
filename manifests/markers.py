"""Marks that we write into documents ourselves, told apart from the same letters written by anyone else.

U+FDD0 stands before every mark of ours. It is a noncharacter: Unicode keeps it for a program's own use and no text is
to hold it (https://www.unicode.org/faq/private_use.html#nonchar1), so extraction takes it out of whatever it reads.
The tokenizer turns `OURS + name` into one id where the recipe names it; `name` alone is letters like any others.
"""

from __future__ import annotations

from collections.abc import Mapping

OURS = "\ufdd0"
"""Stands before a mark of ours."""

_KINDS = ("bib_ref", "fig_ref", "bib", "fig", "table", "formula")

MEDITRON = tuple(mark for kind in _KINDS for mark in (f"[{kind}]", f"[/{kind}]"))
"""The marks of MediTron's corpus, which are single tokens of its tokenizer, in its order
(`--vocab_extra_ids_list` in https://github.com/epfLLM/meditron/blob/main/finetuning/sft.py)."""


WRITTEN = "extract.marks_written"
"""Count of the marks that a reader wrote into a document's text."""


def names() -> tuple[str, ...]:
    """Every mark that a reader of ours may write."""
    return MEDITRON


def ours(name: str) -> str:
    """The mark `name` as we write it."""
    return OURS + name


def plain(text: str) -> str:
    """`text` as a person reads it: our marks without what tells them from other text."""
    return text.replace(OURS, "") if OURS in text else text


def authentic(text: str, counts: Mapping[str, int]) -> str:
    """`text` as a reader gave it, with the marks that the reader counted; all plain where their number is another."""
    return text if OURS not in text or text.count(OURS) == counts.get(WRITTEN, 0) else plain(text)
