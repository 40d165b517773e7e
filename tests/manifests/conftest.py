"""A small true build, written as the passes write it, for tests that read a manifest or lie about one."""

from __future__ import annotations

import datetime
import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from manifests.assemble import (
    RESOLUTION,
    TOKENS,
    assemble_documents,
    assemble_measures,
    assemble_placements,
    assemble_quarantine,
)
from manifests.boilerplate import assemble_boilerplate
from manifests.cards import Card
from manifests.identity import doc_key, sha256_hex
from manifests.licences import LicenceClass
from manifests.merge import PartFile
from manifests.padding import padding_bound
from manifests.removed import count_removed
from manifests.schema import DOCUMENTS, MEASURES, PLACEMENTS, QUARANTINE, SCHEMA_VERSION
from manifests.store import Store
from manifests.windows import Expectation, WindowDeviations
from manifests.write import write_digests, write_lines, write_table
from mixing.pack import least_rows

ROW_TOKENS = 65
WINDOW_ROWS = (1 << 20) // ROW_TOKENS
PAD = 0


@dataclass
class Toy:
    """One source of the build."""

    name: str
    kind: str = "article"
    n: int = 40
    words: int = 30
    licences: tuple[str, ...] = ("CC-BY-4.0",)
    langs: tuple[str, ...] = ("en",)
    years: tuple[int, int] = (1995, 2024)
    restricted: bool = False
    epochs: float = 1.0
    group: str = "open"
    drops: dict[str, float] = field(default_factory=lambda: {"quality.too_few_words": 0.1})
    duplicates: float = 0.15


SMALL = (
    Toy("guides", "guideline", 30, 50, epochs=2.5, drops={"quality.too_few_words": 0.1, "language.not_allowed": 0.1}),
    Toy("papers", "article", 60, 120, licences=("CC-BY-4.0", "CC-BY-NC-4.0", "CC0-1.0")),
    Toy("wards", "note", 25, 40, ("LicenseRef-PhysioNet-Credentialed",), restricted=True, group="clinical", epochs=1.0,
        drops={"phi.direct_identifier": 0.1, "decontaminate.medqa": 0.05}),
)  # fmt: skip


def make_build(folder: Path, toys: tuple[Toy, ...] = SMALL, *, seed: int = 3, rows_per_shard: int = 40) -> Store:
    """A finished build of these sources in `folder`; the same arguments give the same bytes."""
    restricted = any(toy.restricted for toy in toys)
    build = Store(folder, mode=0o600 if restricted else None)
    return _Maker(build, toys, random.Random(seed), rows_per_shard).make()


class _Maker:
    def __init__(self, build: Store, toys: tuple[Toy, ...], chance: random.Random, rows_per_shard: int) -> None:
        self.build, self.toys, self.chance, self.rows_per_shard = build, toys, chance, rows_per_shard
        self.parts = Store("memory://toy-parts").sub(str(id(self)))
        self.documents: dict[str, list[dict[str, Any]]] = {}
        self.resolution: dict[str, list[dict[str, Any]]] = {}
        self.measures: list[dict[str, Any]] = []
        self.quarantine: list[dict[str, Any]] = []
        self.tokens: list[dict[str, Any]] = []
        self.stored: dict[str, Counter[str]] = {"train": Counter(), "validation": Counter()}

    def make(self) -> Store:
        for toy in self.toys:
            self._enter(toy)
        records = self._shards()
        self._tables()
        self._json(records)
        return self.build

    def _enter(self, toy: Toy) -> None:
        rows, decided = [], []
        for number in range(toy.n):
            doc_id = f"{toy.name}:{number * 7919 % 100_003:06d}"
            words = max(3, int(self.chance.lognormvariate(0, 0.6) * toy.words))
            fate, value, threshold = "kept", None, None
            for name, share in toy.drops.items():
                if fate == "kept" and self.chance.random() < share:
                    fate = name
                    if name == "quality.too_few_words":
                        words, value, threshold = self.chance.randint(1, 9), None, 10.0
                        value = float(words)
            licence = self.chance.choice(toy.licences)
            identifiers = 1 if fate == "phi.direct_identifier" else 0
            rows.append(
                {
                    "doc_id": doc_id,
                    "doc_key": doc_key(doc_id),
                    "source": toy.name,
                    "kind": toy.kind,
                    "licence": licence,
                    "licence_evidence": "card",
                    "lang": self.chance.choice(toy.langs) if fate != "language.not_allowed" else "fr",
                    "year": self.chance.randint(*toy.years),
                    "pmid": "",
                    "pmcid": "",
                    "doi": "",
                    "url": "" if toy.restricted else f"https://{toy.name}.example/{number}",
                    "title": "" if toy.restricted else f"On the {toy.kind} number {number} & its <limits>",
                    "subject": f"patient-{number // 2}" if toy.restricted else "",
                    "family": doc_id if toy.kind == "guideline" else "",
                    "raw_ref": sha256_hex(doc_id.encode()),
                    "text_hash": sha256_hex(doc_id.encode())[:32],
                    "n_chars_raw": words * 7 if number % 3 == 0 else words * 6,
                    "n_chars": words * 6,
                    "n_tokens": None,
                    "score": None,
                    "fate": fate,
                    "fate_value": value,
                    "fate_threshold": threshold,
                    "cluster_key": "",
                    "cluster_size": 1,
                    "phi_action": "drop" if identifiers else ("keep" if toy.restricted else ""),
                    "phi_count": identifiers,
                    "edits": "clean.text" if number % 3 == 0 else "",
                    "unit": None,
                    "split": "",
                    "epochs": 0,
                    "document_status": "current",
                    "restricted": toy.restricted,
                }
            )
            self.measures.append({"doc_id": doc_id, "rule": "quality.words", "measure": "words", "value": float(words)})
            taken = [("clean.text", "removed_characters", words)] if number % 3 == 0 and words else []
            for rule, name, n in [*taken, ("extract.text", "digits", words)]:
                self.measures.append({"doc_id": doc_id, "rule": rule, "measure": name, "value": float(n)})
            if fate == "kept":
                decided.append({"doc_id": doc_id, "fate": "kept", "fate_value": None, "fate_threshold": None,
                                "cluster_key": "", "cluster_size": 1, "split": "train",
                                "unit": doc_key(f"patient-{number // 2}" if toy.restricted else doc_id)})  # fmt: skip
        rows.sort(key=lambda row: row["doc_id"])
        decided.sort(key=lambda row: row["doc_id"])
        self._duplicates(toy, decided)
        self._split(decided)
        self.documents[toy.name], self.resolution[toy.name] = rows, decided
        reasons = ("extract.corrupt", "extract.no_text_layer")
        self.quarantine += [
            {"item": f"broken-{i}", "source": toy.name, "reason": reasons[i % 2], "detail": "Cut short.", "raw_ref": ""}
            for i in range(min(3, toy.n // 20))
        ]

    def _duplicates(self, toy: Toy, decided: list[dict[str, Any]]) -> None:
        at = 0
        while at < len(decided) - 4:
            if self.chance.random() < toy.duplicates / 2:
                size = self.chance.choice((2, 2, 2, 3, 4))
                members = decided[at : at + size]
                for place, member in enumerate(members):
                    member |= {"cluster_key": members[0]["doc_id"], "cluster_size": size}
                    if place:
                        exact = self.chance.random() < 0.4
                        member |= {"fate": "dedup.exact" if exact else "dedup.near_duplicate", "split": "",
                                   "fate_value": 1.0 if exact else 0.91, "fate_threshold": 0.8}  # fmt: skip
                at += size
            at += 1

    def _split(self, decided: list[dict[str, Any]]) -> None:
        kept = [row for row in decided if row["fate"] == "kept"]
        held_out = {row["unit"] for row in kept[:: max(2, min(50, len(kept) // 2))]}
        for row in kept:
            if row["unit"] in held_out:
                row["split"] = "validation"

    def _lengths(self, toy: Toy) -> dict[str, int]:
        words = {row["doc_id"]: row["n_chars"] // 6 for row in self.documents[toy.name]}
        return {row["doc_id"]: words[row["doc_id"]] * 4 // 3 + 2
                for row in self.resolution[toy.name] if row["fate"] == "kept"}  # fmt: skip

    def _shards(self) -> dict[str, list[dict[str, Any]]]:
        rows: list[tuple[float, int, list[tuple[int, int, int]], bool]] = []
        validation: dict[str, list[tuple[list[tuple[int, int, int]], bool]]] = {}
        self.facts: dict[str, dict[str, Any]] = {}
        for number, toy in enumerate(self.toys):
            lengths = self._lengths(toy)
            split = {row["doc_id"]: row["split"] for row in self.resolution[toy.name]}
            train = [name for name in lengths if split[name] == "train"]
            whole, part = int(toy.epochs), toy.epochs % 1
            unique = sum(lengths[name] for name in train)
            wanted = round(part * unique)
            again: list[str] = []
            while sum(lengths[name] for name in again) < wanted:
                again.append(train[len(again)])
            passes = [train] * whole + ([again] if again else [])
            made = [piece for epoch, names in enumerate(passes) for piece in _packed(names, lengths, epoch)]
            rows += [((k + 0.5) / len(made), number, *row) for k, row in enumerate(made)]
            held_out = [name for name in lengths if split[name] == "validation"]
            validation[toy.name] = _packed(held_out, lengths, 0)
            for name, n in lengths.items():
                epochs = whole + (name in again) if split[name] == "train" else 0
                self.tokens.append({"doc_id": name, "n_tokens": n, "epochs": epochs})
            longest = max((lengths[name] for name in again), default=0)
            self.facts[toy.name] = {"unique": unique, "target": whole * unique + wanted, "train": len(train),
                                    "held_out": len(held_out), "bound": max(ROW_TOKENS, longest), "whole": whole,
                                    "held_out_tokens": sum(lengths[name] for name in held_out), "rows": len(made),
                                    "least_rows": sum(least_rows([lengths[name] for name in names], ROW_TOKENS)
                                                      for names in passes),
                                    "short": sum(lengths[name] <= (ROW_TOKENS - 1) // 8 for name in train),
                                    "blocks": len(passes), "copies": (whole + (len(again) == len(train)),
                                                                      whole + bool(again))}  # fmt: skip
        rows.sort(key=lambda row: row[:2])
        self.order = [number for _, number, *_ in rows]
        records: dict[str, list[dict[str, Any]]] = {"shards": [], "validation": []}
        for shard, start in enumerate(range(0, len(rows), self.rows_per_shard)):
            chosen = [
                (number, pieces, continues) for _, number, pieces, continues in rows[start:][: self.rows_per_shard]
            ]
            records["shards"].append(self._stream(f"shards/shard-{shard:05d}.arrow", chosen))
            placed = [
                {"doc_key": key, "epoch": epoch, "shard": shard, "row": row, "start": begin, "length": length}
                for row, (_, pieces, _) in enumerate(chosen)
                for key, epoch, length, begin in _with_starts(pieces)
            ]
            write_table(self.parts, f"placements/{shard}", pa.Table.from_pylist(placed, schema=PLACEMENTS), PLACEMENTS)
        for number, toy in enumerate(self.toys):
            made_rows = [(number, pieces, continues) for pieces, continues in validation[toy.name]]
            records["validation"].append(self._stream(f"validation/{toy.name}.arrow", made_rows))
        return records

    def _stream(self, path: str, rows: list[tuple[int, list[tuple[int, int, int]], bool]]) -> dict[str, Any]:
        tokens: Counter[str] = Counter()
        columns: dict[str, list[Any]] = {
            name: [] for name in ("input_ids", "source", "doc_ends", "doc_key", "continues")
        }
        for number, pieces, continues in rows:
            used = sum(length for _, _, length in pieces)
            tokens[self.toys[number].name] += used
            columns["input_ids"].append([1 + i % 900 for i in range(used)] + [PAD] * (ROW_TOKENS - used))
            columns["source"].append(number)
            columns["doc_ends"].append(np.cumsum([length for _, _, length in pieces]).tolist())
            columns["doc_key"].append([key for key, _, _ in pieces])
            columns["continues"].append(continues)
        schema = pa.schema(
            [
                pa.field("input_ids", pa.list_(pa.uint16(), ROW_TOKENS)),
                pa.field("source", pa.uint16()),
                pa.field("doc_ends", pa.list_(pa.int32())),
                pa.field("doc_key", pa.list_(pa.uint64())),
                pa.field("continues", pa.bool_()),
            ]
        )
        with self.build.writing(path) as stream, pa.ipc.new_stream(stream, schema) as writer:
            table = pa.table(columns, schema=schema)
            for batch in table.to_batches(max_chunksize=16):
                writer.write_batch(batch)
        return {"file": path.split("/")[1], "rows": len(rows), "bytes": self.build.size(path),
                "sha256": self.build.sha256(path), "tokens": dict(tokens)}  # fmt: skip

    def _tables(self) -> None:
        documents = []
        for name, rows in self.documents.items():
            for number in range(2):
                path = f"documents/{name}-{number}"
                write_table(self.parts, path, pa.Table.from_pylist(rows[number::2], schema=DOCUMENTS), DOCUMENTS)
                documents.append(PartFile(self.parts, path))
        resolution = sorted((row for rows in self.resolution.values() for row in rows), key=lambda row: row["doc_id"])
        for path, rows, schema, key in (
            ("resolution", resolution, RESOLUTION, "doc_id"),
            ("tokens", self.tokens, TOKENS, "doc_id"),
            ("measures", self.measures, MEASURES, "doc_id"),
        ):
            table = pa.Table.from_pylist(sorted(rows, key=lambda row: row[key]), schema=schema)
            write_table(self.parts, path, table, schema)
        aside = sorted(self.quarantine, key=lambda row: (row["source"], row["item"]))
        write_table(self.parts, "quarantine", pa.Table.from_pylist(aside, schema=QUARANTINE), QUARANTINE)
        assemble_documents(
            documents, [PartFile(self.parts, "resolution")], [PartFile(self.parts, "tokens")], self.build
        )
        assemble_measures([PartFile(self.parts, "measures")], self.build)
        placements = [PartFile(self.parts, path) for path in self.parts.files("placements")]
        assemble_placements(placements, self.build)
        assemble_quarantine([PartFile(self.parts, "quarantine")], self.build)
        assemble_boilerplate({}, self.build)

    def _json(self, records: dict[str, list[dict[str, Any]]]) -> None:
        build = self.build
        restricted = any(toy.restricted for toy in self.toys)
        for folder, split in (("shards", "train"), ("validation", "validation")):
            tokens = {toy.name: sum(one["tokens"].get(toy.name, 0) for one in records[folder]) for toy in self.toys}
            rows = sum(one["rows"] for one in records[folder])
            build.write_json(
                f"{folder}/index.json",
                {
                    "version": 1,
                    "split": split,
                    "sequence_length": ROW_TOKENS - 1,
                    "row_tokens": ROW_TOKENS,
                    "dtype": "uint16",
                    "tokenizer": {"sha256": "0" * 64, "vocab_size": 1000, "pad_id": PAD},
                    "schedule": {
                        "kind": "constant",
                        "rows": {toy.name: self.facts[toy.name]["rows"] for toy in self.toys},
                    },
                    "window_rows": WINDOW_ROWS,
                    "sources": [toy.name for toy in self.toys],
                    "restricted": restricted,
                    "shards": records[folder],
                    "totals": {
                        "rows": rows,
                        "bytes": sum(one["bytes"] for one in records[folder]),
                        "tokens": sum(tokens.values()),
                        "padding": rows * ROW_TOKENS - sum(tokens.values()),
                        "tokens_by_source": tokens,
                    },
                },
            )
        index = build.read_json("shards/index.json")
        stored = index["totals"]["tokens_by_source"]
        build.write_json("manifest/shards.json", index["shards"])
        self.removed = count_removed(build)
        lines = [line for toy in self.toys for line in self._stage_lines(toy, stored[toy.name])]
        write_lines(build, "manifest/stages.jsonl", lines)
        build.write_json("manifest/sources.json", {toy.name: self._source(toy) for toy in self.toys})
        build.write_json("manifest/mixture.json", self._mixture(stored))
        build.write_bytes("manifest/recipe.toml", self._recipe().encode())
        write_lines(build, "manifest/run.jsonl", [{"started": "2026-01-01T00:00:00Z", "seconds": 61.5, "host": "toy"}])
        write_digests(build)
        self._corpus(lines, index)

    def _stage_lines(self, toy: Toy, effective: int) -> list[dict[str, Any]]:
        first = Counter(row["fate"] for row in self.documents[toy.name])
        second = Counter(row["fate"] for row in self.resolution[toy.name])
        kept = Counter({"kept": second["kept"]})
        n_tokens = sum(self._lengths(toy).values())
        edited = {"clean.text": sum(1 for row in self.documents[toy.name] if row["edits"])}
        held_out = {"validation_documents": self.facts[toy.name]["held_out"]}
        return [
            {
                **_line(
                    "prepare", toy.name, first, None, edited, {"clean.boilerplate_lines": 3 * edited["clean.text"]}
                ),
                "removed": self.removed[toy.name],
            },
            _line("dedup", toy.name, second, None),
            _line("tokenize", toy.name, kept, n_tokens),
            _line("mix", toy.name, kept, effective, {}, held_out),
        ]

    def _source(self, toy: Toy) -> dict[str, Any]:
        aside = Counter(row["reason"] for row in self.quarantine if row["source"] == toy.name)
        card = Card(
            id=toy.name,
            title=f"The {toy.name} of the toy world",
            publisher=f"{toy.name.title()} Press",
            kind=toy.kind,
            loader=toy.name,
            homepage=f"https://{toy.name}.example/",
            licence=toy.licences[0] if len(toy.licences) == 1 else "per-document",
            licence_class=LicenceClass("restricted" if toy.restricted else "commercial", True, False),
            redistribution=not toy.restricted,
            terms_quote="Take it, and say where from.",
            terms_url=f"https://{toy.name}.example/terms",
            terms_read=datetime.date(2026, 1, 2),
            access="credentialed" if toy.restricted else "open",
            restricted=toy.restricted,
            default_on=True,
            robots="obeyed",
            contact=f"mailto:hello@{toy.name}.example",
            phi_policy="note" if toy.restricted else "literature",
            hosts=(f"{toy.name}.example",),
            verified_live=False,
        )
        return {
            "card": card.as_dict(),
            "snapshot": "toy",
            "digest": sha256_hex(toy.name.encode())[:16],
            "items": toy.n + sum(aside.values()),
            "items_gave_documents": toy.n,
            "merged_away": 0,
            "quarantined": dict(sorted(aside.items())),
            "counts": {},
        }

    def _mixture(self, stored: dict[str, int]) -> dict[str, Any]:
        target = sum(fact["target"] for fact in self.facts.values())
        total = sum(stored.values())
        rows = []
        expected = Expectation([self.facts[toy.name]["rows"] for toy in self.toys], [toy.group for toy in self.toys])
        windows = WindowDeviations(expected, WINDOW_ROWS)
        windows.add(np.array(self.order))
        bounds = expected.bounds(WINDOW_ROWS)
        for number, toy in enumerate(self.toys):
            fact = self.facts[toy.name]
            padding = fact["rows"] * ROW_TOKENS - stored[toy.name]
            limit = padding_bound(rows=fact["rows"], least_rows=fact["least_rows"], blocks=fact["blocks"],
                                  unique=fact["unique"], stored=stored[toy.name], row_tokens=ROW_TOKENS,
                                  short=2 * fact["short"] >= fact["train"])  # fmt: skip
            rows.append(
                {
                    "source": toy.name,
                    "group": toy.group,
                    "documents": fact["train"],
                    "weight": 1.0,
                    "validation_documents": fact["held_out"],
                    "validation_tokens": fact["held_out_tokens"],
                    "whole_passes": fact["whole"],
                    "min_copies": fact["copies"][0],
                    "max_copies": fact["copies"][1],
                    "rows": fact["rows"],
                    "least_rows": fact["least_rows"],
                    "blocks": fact["blocks"],
                    "blocks_per_pass": 1,
                    "short": 2 * fact["short"] >= fact["train"],
                    "padding": padding,
                    "padding_bound": limit,
                    "window_rows_off": float(windows.largest[number]),
                    "window_bound": float(bounds[number]),
                    "unique_tokens": fact["unique"],
                    "epochs": stored[toy.name] / fact["unique"],
                    "max_epochs": 4.0,
                    "effective_tokens": stored[toy.name],
                    "target_tokens": fact["target"],
                    "target_share": fact["target"] / target,
                    "realised_share": stored[toy.name] / total,
                    "error_tokens": stored[toy.name] - fact["target"],
                    "bound_tokens": fact["bound"],
                }
            )
        groups = []
        for name in dict.fromkeys(toy.group for toy in self.toys):
            mine = [row for row in rows if row["group"] == name]
            sums = {key: sum(row[key] for row in mine) for key in
                    ("unique_tokens", "effective_tokens", "target_share", "realised_share", "error_tokens",
                     "bound_tokens")}  # fmt: skip
            groups.append({"group": name, "sources": [row["source"] for row in mine], **sums})
        return {"total_tokens": target, "realised_tokens": total, "bound_text": "One row or one document.",
                "dropped_tokens": 0, "row_tokens": ROW_TOKENS, "window_rows": WINDOW_ROWS, "window_tokens": 1 << 20,
                "sources": rows, "groups": groups}  # fmt: skip

    def _recipe(self) -> str:
        targets = {name: 0 for name in dict.fromkeys(toy.group for toy in self.toys)}
        for toy in self.toys:
            targets[toy.group] += self.facts[toy.name]["target"]
        lines = ['name = "toy"', 'description = "A toy."', ""]
        lines += [f"[sources.{toy.name}]\nsnapshot = 'toy'\nmax_epochs = 4.0\n" for toy in self.toys]
        lines += ["[[rules]]\nrule = 'clean.text'\n", "[[rules]]\nrule = 'quality.words'"]
        lines += ["parameters = { min_words = 10 }\n", f"[mixture]\nsequence_length = {ROW_TOKENS - 1}\n"]
        for group, target in targets.items():
            names = ", ".join(f"'{toy.name}'" for toy in self.toys if toy.group == group)
            lines.append(f"[mixture.groups.{group}]\nshare = {float(target)}\nsources = [{names}]\n")
        return "\n".join(lines)

    def _corpus(self, lines: list[dict[str, Any]], index: dict[str, Any]) -> None:
        build = self.build
        dropped: Counter[str] = Counter()
        for line in lines:
            dropped.update(line["dropped"])
        mixture = build.read_json("manifest/mixture.json")
        tables = ("documents", "measures", "placements", "quarantine", "boilerplate")
        build.write_json(
            "corpus.json",
            {
                "name": "toy",
                "schema": SCHEMA_VERSION,
                "fingerprint": "0123456789abcdef",
                "recipe_sha256": build.sha256("manifest/recipe.toml"),
                "restricted": index["restricted"],
                "tokenizer": index["tokenizer"],
                "totals": {
                    "documents_in": sum(toy.n for toy in self.toys),
                    "documents_kept": sum(line["kept"] for line in lines if line["stage"] == "mix"),
                    "dropped": dict(sorted(dropped.items())),
                    "quarantined": len(self.quarantine),
                    "tokens_unique": sum(row["unique_tokens"] for row in mixture["sources"]),
                    "tokens_effective": index["totals"]["tokens"],
                    "rows": index["totals"]["rows"],
                },
                "digests": {f"{name}.parquet": build.sha256(f"manifest/{name}.parquet") for name in tables},
                "manifest_sha256": build.sha256("manifest/manifest-sha256.txt"),
                "files": {name: build.size(name) for name in build.files() if name != "manifest/run.jsonl"},
            },
        )


def _line(
    stage: str,
    source: str,
    fates: Counter[str],
    tokens: int | None,
    edited: dict[str, int] | None = None,
    counts: dict[str, int] | None = None,
) -> dict[str, Any]:
    dropped = {name: n for name, n in sorted(fates.items()) if name != "kept"}
    return {"stage": stage, "source": source, "fingerprint": "f" * 16, "in": sum(fates.values()), "kept": fates["kept"],
            "dropped": dropped, "edited": edited or {}, "counts": counts or {}, "tokens": tokens}  # fmt: skip


def _packed(names: list[str], lengths: dict[str, int], epoch: int) -> list[tuple[list[tuple[int, int, int]], bool]]:
    """Rows of (doc_key, epoch, length) pieces laid end to end, and whether each begins inside a document."""
    rows: list[tuple[list[tuple[int, int, int]], bool]] = []
    pieces: list[tuple[int, int, int]] = []
    used, continues = 0, False
    for name in names:
        left = lengths[name]
        while left:
            if used == ROW_TOKENS:
                rows.append((pieces, continues))
                pieces, used, continues = [], 0, left < lengths[name]
            length = min(left, ROW_TOKENS - used)
            pieces.append((doc_key(name), epoch, length))
            left, used = left - length, used + length
    return [*rows, (pieces, continues)] if pieces else rows


def _with_starts(pieces: list[tuple[int, int, int]]) -> list[tuple[int, int, int, int]]:
    starts = np.cumsum([0] + [length for _, _, length in pieces]).tolist()
    return [(key, epoch, length, start) for (key, epoch, length), start in zip(pieces, starts, strict=False)]


def rewrite_table(build: Store, path: str, change: Any) -> None:
    """Change the rows of a Parquet table in place, as a liar would."""
    with build.reading(path) as stream:
        table = pq.read_table(stream)
    rows = table.to_pylist()
    change(rows)
    with build.writing(path) as stream:
        pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), stream)


@pytest.fixture(scope="session")
def true_build(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The small build; read it, do not touch it."""
    return make_build(tmp_path_factory.mktemp("true") / "toy@0123456789abcdef")


def reseal(build: Store) -> None:
    """Make every digest and size agree with the files again, as a careful liar would."""
    for folder in ("shards", "validation"):
        index = build.read_json(f"{folder}/index.json")
        for record in index["shards"]:
            if build.exists(f"{folder}/{record['file']}"):
                record["bytes"] = build.size(f"{folder}/{record['file']}")
                record["sha256"] = build.sha256(f"{folder}/{record['file']}")
        index["totals"]["bytes"] = sum(record["bytes"] for record in index["shards"])
        build.write_json(f"{folder}/index.json", index)
        if folder == "shards":
            build.write_json("manifest/shards.json", index["shards"])
    write_digests(build)
    corpus = build.read_json("corpus.json")
    corpus["digests"] = {name: build.sha256(f"manifest/{name}") for name in corpus["digests"]}
    corpus["recipe_sha256"] = build.sha256("manifest/recipe.toml")
    corpus["manifest_sha256"] = build.sha256("manifest/manifest-sha256.txt")
    corpus["files"] = {name: build.size(name) for name in corpus["files"] if build.exists(name)}
    build.write_json("corpus.json", corpus)


def rewrite_shard(build: Store, path: str, change: Any) -> None:
    """Change the rows of an Arrow stream in place."""
    with build.reading(path) as stream, pa.ipc.open_stream(stream) as reader:
        table = reader.read_all()
    rows = table.to_pylist()
    change(rows)
    with build.writing(path) as stream, pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(pa.Table.from_pylist(rows, schema=table.schema))


@pytest.fixture(scope="session")
def tools() -> SimpleNamespace:
    """The functions above, for tests that make or damage builds of their own."""
    return SimpleNamespace(
        Toy=Toy,
        SMALL=SMALL,
        make_build=make_build,
        reseal=reseal,
        rewrite_table=rewrite_table,
        rewrite_shard=rewrite_shard,
    )
