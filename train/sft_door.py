"""MedAlpaca's door: a JSON or JSONL file of `instruction`, `input`, `output`, read whole or refused.

https://github.com/kbressem/medAlpaca/blob/main/medalpaca/handler.py reads such a list. Here every record is looked at
before anything is trained, and what is wrong is said by record and key: no word of a record is ever in a message.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from manifests.errors import RecipeError
from manifests.identity import canonical_json, doc_key, text_hash
from mixing.template import Message

_SHOWN = 5
"""Problems named in one message."""
_TYPES = {dict: "an object", list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number"}
_MONSTROUS = "holds a number of thousands of digits, or lists nested thousands deep."
_SURROGATE = re.compile(r"[\ud800-\udfff]")
"""What JSON can escape and no encoder takes."""


@dataclass(frozen=True, slots=True)
class Example:
    """One record."""

    instruction: str
    input: str
    output: str

    def messages(self) -> list[Message]:
        """The record as a conversation of one question and its answer."""
        return [Message("user", self.instruction, self.input), Message("assistant", self.output)]


def read_examples(path: str | Path) -> list[Example]:
    """All records of the file, in order; RecipeError names the first records that cannot be used, and how many are."""
    where = str(path)
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise _refused(where, f"cannot be read: {error.strerror}.") from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _refused(where, f"is not UTF-8 (byte {error.start:,}).") from None
    examples: list[Example] = []
    problems: list[str] = []
    n_wrong = 0
    for place, value in _records(text, where):
        wrong = _wrong(value)
        if wrong:
            n_wrong += 1
            problems.append(f"{place}: {', '.join(wrong)}")
        else:
            examples.append(Example(value["instruction"], value.get("input") or "", value["output"]))
    if n_wrong:
        more = f"; and {n_wrong - _SHOWN:,} more" if n_wrong > _SHOWN else ""
        total = n_wrong + len(examples)
        raise _refused(where, f"{n_wrong:,} of {total:,} records cannot be used. {'; '.join(problems[:_SHOWN])}{more}.")
    if not examples:
        raise _refused(where, "holds no record.")
    return examples


def example_keys(examples: Sequence[Example], source: str) -> list[int]:
    """A 64-bit key for each, by its content; the nth copy of a record has a key of its own."""
    seen: dict[str, int] = {}
    keys = []
    for one in examples:
        name = hashlib.sha256(canonical_json([one.instruction, one.input, one.output]).encode()).hexdigest()[:16]
        seen[name] = seen.get(name, 0) + 1
        copy = f"#{seen[name]}" if seen[name] > 1 else ""
        keys.append(doc_key(f"{source}:{name}{copy}"))
    return keys


def held_out(examples: Sequence[Example], fraction: float) -> npt.NDArray[np.bool_]:
    """Which examples are for validation: by hash of the question, so that its copies are all on one side.

    The same file gives the same split whatever its order. With a fraction above 0 each side has at least one question.
    """
    if not fraction:
        return np.zeros(len(examples), dtype=bool)
    hashes = [text_hash(f"{one.instruction}\n{one.input}") for one in examples]
    if len(set(hashes)) < 2:
        raise RecipeError(
            "all records ask the same question, so none can be held out.",
            why="A question that is trained on says nothing about others.",
            fix="Set --val-fraction 0, or give more records.",
        )
    places = np.asarray([int(one[:13], 16) / 16**13 for one in hashes])
    limit = min(max(fraction, float(np.nextafter(places.min(), 1.0))), float(places.max()))
    apart: npt.NDArray[np.bool_] = places < limit
    return apart


def _records(text: str, where: str) -> Iterator[tuple[str, Any]]:
    """Each record with the name of its place."""
    if text.lstrip()[:1] == "[":
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise _refused(where, f"is not valid JSON: {error.msg}, line {error.lineno}.") from None
        except (ValueError, RecursionError):
            raise _refused(where, _MONSTROUS) from None
        for number, value in enumerate(values, 1):
            yield f"record {number}", value
        return
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            raise _refused(where, f"line {number} is not valid JSON: {error.msg}.") from None
        except (ValueError, RecursionError):
            raise _refused(where, f"line {number} {_MONSTROUS}") from None
        yield f"line {number}", value


def _wrong(value: Any) -> list[str]:
    if not isinstance(value, dict):
        return [f"it is {_type(value)}, not an object"]
    found = []
    for key in ("instruction", "input", "output"):
        part = value.get(key)
        if key == "input" and part is None:
            continue
        if key not in value:
            found.append(f"{key} is missing")
        elif not isinstance(part, str):
            found.append(f"{key} is {_type(part)}, not text")
        elif key != "input" and not part.strip():
            found.append(f"{key} is empty")
        elif _SURROGATE.search(part):
            found.append(f"{key} has half of a character (an unpaired surrogate)")
    return found


def _type(value: Any) -> str:
    return "null" if value is None else _TYPES.get(type(value), "of another type")


def _refused(where: str, what: str) -> RecipeError:
    return RecipeError(
        what,
        where=where,
        why="Each record needs the texts instruction and output, and may have input.",
        fix="Give a JSON list of such objects, or one object a line.",
    )
