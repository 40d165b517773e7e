"""JATS: this reader beside pubmed_parser and pyeuropepmc on the same articles: what arrives, and how fast.

    python tests/benchmarks/bench_jats.py [--articles 0] [--json FILE]

Articles: those of the real-data pack named by MEDTROVE_REALDATA; without it, nothing is measured. A peer that cannot be
imported is left out. The oracle is a plain count of text nodes by a walk that shares no code with the reader: words of
paragraphs and titles below `body` (tables, formulas and citation marks left out, a letter is one if it touches
another), cells of every `table` wherever it stands (floats groups, appendices), words of the main abstract. Recall is
of multisets, so a word that is said twice must arrive twice. Times are CPU seconds of this process; the readers take
turns of 25 articles, so that a busy machine is busy for all, and each reads a file and gives title, abstract, body and
tables. Every article is read once by each, so nothing is won by remembering one.

Like with like: pubmed_parser is asked for metadata, paragraphs and tables by its three calls, as its users call them;
each parses the file again. "one tree" is the same three calls over a file that is parsed once, which its interface does
not offer: what its own work costs. Neither does what this reader does besides: captions, formulas and powers, lists,
citation marks, floats, retractions, and the licence from the article's permissions. That decision has no counterpart at
all, so ratios are given with it and without it (`licence` is the share of time that it took).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import tarfile
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lxml import etree

from scrapers.formats import jats, jats_front
from scrapers.formats.jats_removed import removed_by_title, removed_by_type

BATCH = 25
NUMBER = re.compile(r"\d+")
WORD = re.compile(r"[^\W\d_]+")
NOT_WORDS = frozenset(
    "table-wrap table array disp-formula inline-formula tex-math math xref alternatives supplementary-material"  # noqa: SIM905
    " graphic media object-id permissions ref-list long-desc alt-text kwd-group sec-meta".split()
)
BORDERS = frozenset("p title label list-item td th tr break sec fig caption def term attrib def-item".split())  # noqa: SIM905

Texts = dict[str, str]
Reader = Callable[[Path], Texts]


def local(element: Any) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def removed(element: Any, name: str) -> bool:
    """Whether a section leaves on purpose: declarations, funding, acknowledgements."""
    if name in ("ack", "fn-group"):
        return True
    if name not in ("sec", "notes"):
        return False
    title = element.find("title")
    text = " ".join("".join(title.itertext()).split()) if title is not None else ""
    return bool(removed_by_type(element.get("sec-type") or element.get("notes-type")) or removed_by_title(text))


def plain(element: Any, skip: frozenset[str]) -> str:
    """All text nodes of an element in order; blocks do not touch."""
    out: list[str] = []

    def walk(element: Any) -> None:
        name = local(element)
        border = name in BORDERS
        out.append(" " if border else "")
        out.append(element.text or "")
        for child in element:
            inner = local(child)
            if inner in skip or not inner or removed(child, inner):
                out.append(" ")
            else:
                walk(child)
            out.append(child.tail or "")
        out.append(" " if border else "")

    walk(element)
    return "".join(out)


def words(text: str) -> Counter[str]:
    # A power's sign is ours; soft hyphens and zero-width spaces are the typesetter's.
    return Counter(WORD.findall(text.translate(dict.fromkeys((0x5E, 0xAD, 0x200B))).lower()))


def squeezed(text: str) -> str:
    """Letters and digits only: readers write powers, spaces and marks each in their way."""
    return "".join(character for character in text.lower() if character.isalnum())


def plain_part(element: Any) -> bool:
    name = local(element)
    return name not in ("title", "label", "") and not removed(element, name)


_IN_CELLS = frozenset({"graphic", "inline-graphic", "media"})


class Oracle:
    """What one article's XML holds."""

    def __init__(self, data: bytes) -> None:
        parser = etree.XMLParser(remove_comments=True, remove_pis=True, resolve_entities=False, no_network=True)
        root = etree.fromstring(data, parser)
        if not isinstance(root.tag, str) or local(root) != "article":
            raise ValueError("not an article")
        body = root.find("body")
        self.body = words(plain(body, NOT_WORDS)) if body is not None else Counter[str]()
        main = [one for one in root.iterfind("front/article-meta/abstract") if not one.get("abstract-type")]
        # Its own title is a heading; which abstract it is, not what it says.
        parts = [one for one in main[0] if plain_part(one)] if main else []
        self.abstract = sum((words(plain(one, NOT_WORDS)) for one in parts), Counter[str]())
        # A mark in a cell (a footnote's letter, a citation) may stay or leave: both are the cell.
        self.cells: Counter[tuple[str, ...]] = Counter()
        self.cell_numbers: Counter[str] = Counter()
        for cell in root.iter("td", "th"):
            if not any(local(up) in ("sub-article", "response", "td", "th") for up in cell.iterancestors()):
                variants = {
                    squeezed(plain(cell, skip)) for skip in (_IN_CELLS, _IN_CELLS | {"xref"}, _IN_CELLS | {"sup"})
                }
                self.cell_numbers += Counter(
                    NUMBER.findall(plain(cell, _IN_CELLS | {"xref", "sup", "sub", "tex-math"}))
                )
                if all(variants):
                    self.cells[tuple(sorted(variants))] += 1
        self.doctype = str(root.getroottree().docinfo.public_id or "none")


class Licences:
    """Seconds that went into reading and deciding licences."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.read = jats_front._licence

    def __call__(self, meta: Any) -> Any:
        began = time.process_time()
        try:
            return self.read(meta)
        finally:
            self.seconds += time.process_time() - began


def ours(path: Path) -> Texts:
    article = jats.parse(path.read_bytes())[0]
    return {"body": article.text, "abstract": article.abstract, "cells": article.text}


faults: list[str] = []
"""Articles whose metadata pubmed_parser cannot read; its paragraphs and tables still count."""


def pubmed_parser() -> Reader:
    import pubmed_parser as parser

    def read(path: Path) -> Texts:
        name = str(path)
        try:
            abstract = parser.parse_pubmed_xml(name)["abstract"]
        except KeyError:
            faults.append(name)
            abstract = ""
        paragraphs = parser.parse_pubmed_paragraph(name, all_paragraph=True)
        tables = parser.parse_pubmed_table(name, return_xml=False) or []
        body = " \n".join(f"{one['section']} {one['text']}" for one in paragraphs)
        rows = [[*one["table_columns"], *(cell for row in one["table_values"] for cell in row)] for one in tables]
        return {
            "body": body,
            "abstract": abstract,
            "cells": "\n".join(" | ".join(map(str, row)) for row in rows),
        }

    return read


def pubmed_parser_one_tree() -> Reader:
    from lxml import etree as lxml
    from pubmed_parser import pubmed_oa_parser as peer

    read_three_times, parse = pubmed_parser(), peer.read_xml

    def read(path: Path) -> Texts:
        tree = lxml.parse(str(path))
        peer.read_xml = lambda *_args: tree
        try:
            return read_three_times(path)
        finally:
            peer.read_xml = parse

    return read


def pyeuropepmc() -> Reader:
    from pyeuropepmc import FullTextXMLParser

    def read(path: Path) -> Texts:
        parser = FullTextXMLParser(path.read_text(encoding="utf-8"))
        cells: list[str] = []
        for table in parser.extract_tables():
            heads = table.get("header_rows") or [table.get("headers") or []]
            for row in [*heads, *(table.get("rows") or [])]:
                cells += map(str, row)
        abstract = parser.extract_metadata().get("abstract") or ""
        return {"body": parser.to_plaintext(), "abstract": str(abstract), "cells": " | ".join(cells)}

    return read


def readers() -> dict[str, Reader]:
    found: dict[str, Reader] = {"medtrove": ours}
    for name, make in (
        ("pubmed_parser", pubmed_parser),
        ("pubmed_parser, one tree", pubmed_parser_one_tree),
        ("pyeuropepmc", pyeuropepmc),
    ):
        try:
            found[name] = make()
        except ImportError:
            print(f"{name} is not installed: left out")
    return found


def articles(folder: Path, into: Path, limit: int) -> Iterator[Path]:
    with tarfile.open(folder / "jats" / "jats_ccby.tar.xz") as archive:
        count = 0
        for member in archive:
            stream = archive.extractfile(member) if member.name.endswith(".xml") else None
            if stream is not None and (not limit or count < limit):
                count += 1
                path = into / Path(member.name).name
                path.write_bytes(stream.read())
                yield path


class Score:
    """Sums over all articles of one reader."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.failed = 0
        self.wanted: Counter[str] = Counter()
        self.found: Counter[str] = Counter()

    def add(self, oracle: Oracle, texts: Texts) -> None:
        for name, wanted in (("body", oracle.body), ("abstract", oracle.abstract)):
            self.wanted[name] += wanted.total()
            self.found[name] += (wanted & words(texts[name])).total()
        self.wanted["cells"] += oracle.cells.total()
        self.wanted["numbers"] += oracle.cell_numbers.total()
        self.found["numbers"] += (oracle.cell_numbers & Counter(NUMBER.findall(texts["cells"]))).total()
        pieces = re.split(r"\s\|\s|^\|\s|\s\|$|\n", texts["cells"].replace("\\|", "/"), flags=re.M)
        cells = Counter(map(squeezed, pieces))
        for variants, wanted_times in oracle.cells.items():
            for one in variants:
                taken = min(wanted_times, cells[one])
                self.found["cells"] += taken
                cells[one] -= taken
                wanted_times -= taken

    def recall(self, name: str) -> float:
        return round(self.found[name] / max(1, self.wanted[name]), 5)


def measure(paths: list[Path], chosen: dict[str, Reader]) -> list[dict[str, Any]]:
    scores = {name: Score() for name in chosen}
    licences = Licences()
    jats_front._licence = licences  # type: ignore[assignment]
    doctypes: Counter[str] = Counter()
    for start in range(0, len(paths), BATCH):
        batch = paths[start : start + BATCH]
        texts: dict[str, list[Texts]] = {}
        for name, read in chosen.items():
            results: list[Texts] = []
            began = time.process_time()
            for path in batch:
                try:
                    results.append(read(path))
                except Exception:  # noqa: BLE001 a peer's faults are what is counted here
                    scores[name].failed += 1
                    results.append({"body": "", "abstract": "", "cells": ""})
            scores[name].seconds += time.process_time() - began
            texts[name] = results
        for position, path in enumerate(batch):
            oracle = Oracle(path.read_bytes())
            doctypes[oracle.doctype] += 1
            for name in chosen:
                scores[name].add(oracle, texts[name][position])
    whole = scores["medtrove"].seconds
    without = whole - licences.seconds
    megabytes = sum(path.stat().st_size for path in paths) / 1e6
    print(json.dumps({"doctypes": doctypes.most_common(), "licence": round(licences.seconds / whole, 3)}))
    return [
        {
            "reader": name,
            "articles": len(paths),
            "failed": score.failed + len(set(faults)) * name.startswith("pubmed_parser"),
            "body_words": score.recall("body"),
            "table_cells": score.recall("cells"),
            "table_numbers": score.recall("numbers"),
            "abstract_words": score.recall("abstract"),
            "articles_per_s": round(len(paths) / score.seconds, 1),
            "mb_per_s": round(megabytes / score.seconds, 1),
            "medtrove_times_as_fast": round(score.seconds / whole, 2),
            "without_licence_decision": round(score.seconds / without, 2),
        }
        for name, score in scores.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="JATS readers side by side.")
    parser.add_argument("--articles", type=int, default=0, help="the first so many; 0 = all")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    realdata = os.environ.get("MEDTROVE_REALDATA")
    if not realdata:
        print("MEDTROVE_REALDATA is not set: nothing to measure")
        return
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        paths = list(articles(Path(realdata), Path(folder), options.articles))
        results = measure(paths, readers())
    for result in results:
        print(json.dumps(result))
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
