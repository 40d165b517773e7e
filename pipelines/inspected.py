"""What `medtrove inspect` answers: one row of a shard, document by document, with the text that a trainer is given."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from manifests.assemble import DOCUMENTS_FILE, PLACEMENTS_FILE
from manifests.build import recipe
from manifests.errors import BuildError, RecipeError
from manifests.query import scan
from manifests.store import Store
from mixing.places import Places
from mixing.reader import Row, Shards, open_shards
from mixing.rows import REMOVED_KEY
from mixing.tokenize import Encoder
from pipelines.recipe import resolve_path


@dataclass(frozen=True)
class Place:
    """One file of shards, and the build that it is part of."""

    build: Store
    shards: Shards
    number: int

    @property
    def file(self) -> str:
        return str(self.shards.index["shards"][self.number]["file"])

    @property
    def n_rows(self) -> int:
        return int(self.shards.index["shards"][self.number]["rows"])


def place_of(shard: str, build: Store | None) -> Place:
    """The shard meant: its number in `build`, or the path of its file in a build's `shards` or `validation`."""
    if build is not None:
        shards = open_shards(build.sub("shards"))
        number = int(shard)
        if number >= shards.n_shards:
            raise RecipeError(
                f"there is no shard {number}.",
                where=str(shards.folder),
                why=f"They are numbered from 0 to {shards.n_shards - 1}.",
                fix="Name one of these, or a file.",
            )
        return Place(build, shards, number)
    path = Path(shard).absolute()
    shards = open_shards(path.parent)
    names = [record["file"] for record in shards.index["shards"]]
    if path.name not in names:
        raise RecipeError(
            f"{path.name} is not one of the {len(names):,} files of this folder.",
            where=str(path.parent),
            why="index.json does not name it.",
            fix=f"Name one, such as {names[0]}." if names else "The folder has none.",
        )
    return Place(Store(path.parent.parent), shards, names.index(path.name))


def summary(place: Place) -> dict[str, Any]:
    """What the index says of one file, by source; no text and no id."""
    record, shards = place.shards.index["shards"][place.number], place.shards
    tokens = record["tokens"]
    total = sum(tokens.values())
    return {
        "file": record["file"],
        "split": shards.index["split"],
        "rows": record["rows"],
        "row_tokens": shards.row_tokens,
        "tokens": total,
        "padding": record["rows"] * shards.row_tokens - total,
        "sources": [{"source": name, "tokens": n, "share": n / total} for name, n in tokens.items()],
        "restricted": shards.restricted,
    }


def row_facts(place: Place, row: int, tokenizer: str = "") -> dict[str, Any]:
    """Row `row` of the file: its source, its documents with id, borders and text, where each began or goes on."""
    if not 0 <= row < place.n_rows:
        raise RecipeError(
            f"there is no row {row:,}.",
            where=f"{place.shards.folder}/{place.file}",
            why=f"Its rows are numbered from 0 to {place.n_rows - 1:,}.",
            fix="Name one of these.",
        )
    stored = place.shards[place.shards.first_row(place.number) + row]
    encoder = _encoder(place, tokenizer)
    known = _documents(place.build, [int(key) for key in stored.doc_key])
    starts = [0, *stored.doc_ends[:-1].tolist()]
    pieces = []
    for i, (start, end) in enumerate(zip(starts, stored.doc_ends.tolist(), strict=True)):
        key = int(stored.doc_key[i])
        removed = key == REMOVED_KEY
        pieces.append(
            {
                "doc_id": "" if removed else known[key]["doc_id"],
                "doc_key": key,
                "removed": removed,
                "licence": "" if removed else known[key]["licence"],
                "title": "" if removed else known[key]["title"],
                "document_tokens": None if removed else known[key]["n_tokens"],
                "start": start,
                "end": end,
                "begins": not (i == 0 and stored.continues),
                "from": None,
                "to": None,
                "learned_tokens": None if stored.loss_mask is None else int(stored.loss_mask[start:end].sum()),
                "parts": [] if removed else _parts(stored, start, end, encoder),
            }
        )
    if pieces:
        _link(place, row, pieces)
    return {
        "file": place.file,
        "split": place.shards.index["split"],
        "row": row,
        "rows": place.n_rows,
        "source": place.shards.sources[stored.source],
        "row_tokens": place.shards.row_tokens,
        "tokens": stored.n_tokens,
        "padding": place.shards.row_tokens - stored.n_tokens,
        "restricted": place.shards.restricted,
        "documents": pieces,
    }


def _parts(row: Row, start: int, end: int, encoder: Encoder) -> list[dict[str, Any]]:
    """The text of these tokens, in stretches that are learned or not; one stretch where no mask is stored."""
    borders = [start, end]
    if row.loss_mask is not None:
        borders[1:1] = (np.flatnonzero(np.diff(row.loss_mask[start:end])) + start + 1).tolist()
    return [
        {
            "start": a,
            "end": b,
            "learned": True if row.loss_mask is None else bool(row.loss_mask[a]),
            "text": encoder.decode(row.input_ids[a:b]),
        }
        for a, b in pairwise(borders)
    ]


def _encoder(place: Place, tokenizer: str) -> Encoder:
    """The tokenizer that the shards were made with, by its hash; RecipeError if the file is another one."""
    path = str(Path(tokenizer).absolute()) if tokenizer else str(recipe(place.build)["tokenizer"]["file"])
    found = resolve_path(path)
    if hashlib.sha256(found.read_bytes()).hexdigest() != place.shards.index["tokenizer"]["sha256"]:
        raise RecipeError(
            "this is not the tokenizer that the shards were made with.",
            where=str(found),
            why="Its ids would be read as other words.",
            fix="Name the right tokenizer.json with --tokenizer.",
        )
    return Encoder(str(found), bos=False, eos=False)


def _documents(build: Store, keys: Sequence[int]) -> dict[int, dict[str, Any]]:
    import polars as pl

    wanted = pl.Series(sorted({key for key in keys if key != REMOVED_KEY}), dtype=pl.UInt64)
    frame = scan(build, DOCUMENTS_FILE).filter(pl.col("doc_key").is_in(wanted.implode()))
    rows = frame.select("doc_key", "doc_id", "licence", "title", "n_tokens").collect().to_dicts()
    found = {int(row["doc_key"]): row for row in rows}
    missing = [key for key in wanted.to_list() if key not in found]
    if missing:
        raise BuildError(
            f"the document {missing[0]:016x} is not in {DOCUMENTS_FILE}.",
            where=build.url,
            why="Every token leads back to a document, or the shards are of another build.",
            fix="Run `medtrove verify`.",
        )
    return found


def _link(place: Place, row: int, pieces: list[dict[str, Any]]) -> None:
    """Say where the first document of a row comes from, and where the last one goes on."""
    if not pieces[0]["begins"]:
        pieces[0]["from"] = _neighbour(place, row, pieces[0]["doc_key"], -1)
    last = pieces[-1]
    if not last["removed"] and last["end"] == place.shards.row_tokens:
        last["to"] = _neighbour(place, row, last["doc_key"], 1)


def _neighbour(place: Place, row: int, key: int, step: int) -> dict[str, Any] | None:
    """The row that holds the piece of this document before (-1) or after (1) the one in `row`: its neighbour in its
    block, which may lie anywhere in the shards."""
    import polars as pl

    shards, here = place.shards, place.shards.first_row(place.number) + row
    if shards.index["schedule"].get("kind") == "by source":
        candidates = [here + step] if 0 <= here + step < len(shards) else []
    else:
        frame = scan(place.build, PLACEMENTS_FILE).filter(pl.col("doc_key") == pl.lit(key, dtype=pl.UInt64))
        found = frame.select("shard", "row").unique().collect().rows()
        candidates = [shards.first_row(number) + inside for number, inside in found]
    places = Places(shards)
    wanted = int(places.numbers(here, here + 1)[0]) + step
    for i in candidates:
        other = shards[i]
        at = 0 if step > 0 else -1
        joined = other.continues if step > 0 else shards[here].continues
        if joined and int(other.doc_key[at]) == key and int(places.numbers(i, i + 1)[0]) == wanted:
            number, inside = shards.place(i)
            return {"file": shards.index["shards"][number]["file"], "row": inside}
    return None


def lines(found: Mapping[str, Any], *, room: int = 0, columns: int = 0) -> list[str]:
    """The answer as plain lines, whole, or the text of each document cut so that all together have about `room`."""
    documents = found["documents"]
    head = (
        f"{found['file']}  row {found['row']:,} of {found['rows']:,}  {found['split']}  source {found['source']}  "
        f"{found['tokens']:,} tokens of {len(documents):,} documents, {found['padding']:,} padding"
    )
    told = [head]
    if any(one["learned_tokens"] is not None for one in documents):
        told.append("Text between ⟦ and ⟧ is learned; the rest is read only.")
    each = max(1, (room - len(told) - len(documents)) // max(1, len(documents))) if room else 0
    for number, one in enumerate(documents, start=1):
        told.append(_document_line(number, one, found["file"]))
        told += _cut(_marked(one), each, columns) if room else _marked(one).split("\n")
    return told


def _document_line(number: int, one: Mapping[str, Any], file: str) -> str:
    span = f"tokens {one['start']:,}-{one['end'] - 1:,}"
    if one["removed"]:
        return f"[{number}] {span}  removed by takedown: padding, not learned"
    facts = [f"[{number}] {span}", one["doc_id"], one["licence"]]
    if not one["begins"] or one["to"]:
        facts.append(f"of its {one['document_tokens']:,}")
    facts += [f"from {one['from']['file']}, row {one['from']['row']:,}"] if one["from"] else []
    facts += [f"goes on in {one['to']['file']}, row {one['to']['row']:,}"] if one["to"] else []
    if one["learned_tokens"] is not None:
        facts.append(f"{one['learned_tokens']:,} learned")
    return "  ".join(filter(None, (*facts, one["title"][:60])))


def _marked(one: Mapping[str, Any]) -> str:
    """The document's text, what is learned of it in brackets where not all is."""
    masked = one["learned_tokens"] is not None
    return "".join(f"⟦{part['text']}⟧" if masked and part["learned"] else part["text"] for part in one["parts"])


def _cut(text: str, room: int, columns: int) -> list[str]:
    """The first `room` lines of the text, folded at `columns`, and how much more there is."""
    from pipelines.text_diff import shown

    width = max(20, columns - 4)
    folded = [line[i : i + width] for line in shown(text).split("\n") if line for i in range(0, len(line), width)]
    if len(folded) <= room:
        return [f"    {line}" for line in folded]
    left = sum(map(len, folded[room:]))
    last = folded[room - 1][: max(0, width - 28)]
    return [
        *(f"    {line}" for line in folded[: room - 1]),
        f"    {last} … {left + len(folded[room - 1]) - len(last):,} more",
    ]
