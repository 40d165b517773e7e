"""MEDLINE: this reader beside pubmed_parser on the same files: records a second, and the numbers of their abstracts.

    python tests/benchmarks/bench_medline.py [--rounds 3] [--json FILE]

Files: those of the real-data pack named by MEDTROVE_REALDATA; without it, nothing is measured. pubmed_parser is left
out where it cannot be imported. Both read the gzip file; times are CPU seconds of this process, the best of the rounds,
and the readers take turns.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lxml import etree

from scrapers.formats import medline
from scrapers.formats.gunzip import gunzip
from scrapers.formats.medline import MedlineRecord

NUMBER = re.compile(r"\d+")
SENTINEL = re.compile(r"\(ABSTRACT TRUNCATED(?: AT \d+ WORDS)?\)", re.IGNORECASE)
Reader = Callable[[Path], dict[tuple[str, int], str]]


def ours(path: Path) -> dict[tuple[str, int], str]:
    with path.open("rb") as stream:
        records = (one for one in medline.parse(gunzip(stream)) if isinstance(one, MedlineRecord))
        return {(one.pmid, number): one.abstract for number, one in enumerate(records)}


def pubmed_parser() -> Reader:
    import pubmed_parser as parser

    def read(path: Path) -> dict[tuple[str, int], str]:
        records = (one for one in parser.parse_medline_xml(str(path)) if not one["delete"])
        return {(one["pmid"], number): one["abstract"] for number, one in enumerate(records)}

    return read


def oracle(path: Path) -> list[Counter[str]]:
    """Numbers of each record's abstract in its text nodes; raised, lowered and tagged text end a number.

    Those of NLM's truncation notices are no numbers of an abstract.
    """
    found = []
    with gzip.open(path) as stream:
        for _event, article in etree.iterparse(stream, tag="PubmedArticle"):
            texts = article.iterfind("MedlineCitation/Article/Abstract/AbstractText")
            found.append(
                Counter(
                    number
                    for one in texts
                    for piece in one.itertext()
                    for number in NUMBER.findall(SENTINEL.sub("", piece))
                )
            )
            article.clear()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="MEDLINE readers side by side.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    realdata = os.environ.get("MEDTROVE_REALDATA")
    if not realdata:
        print("MEDTROVE_REALDATA is not set: nothing to measure")
        return
    warnings.simplefilter("ignore")
    readers: dict[str, Reader] = {"medtrove": ours}
    try:
        readers["pubmed_parser"] = pubmed_parser()
    except ImportError:
        print("pubmed_parser is not installed: left out")
    paths = sorted((Path(realdata) / "pubmed").glob("*.xml.gz"))
    seconds: dict[str, float] = dict.fromkeys(readers, 0.0)
    kept: Counter[str] = Counter()
    records: Counter[str] = Counter()
    wanted = 0
    for path in paths:
        best = dict.fromkeys(readers, float("inf"))
        results: dict[str, dict[tuple[str, int], str]] = {}
        for _ in range(options.rounds):
            for name, read in readers.items():
                began = time.process_time()
                results[name] = read(path)
                best[name] = min(best[name], time.process_time() - began)
        truth = oracle(path)
        wanted += sum(one.total() for one in truth)
        for name, abstracts in results.items():
            seconds[name] += best[name]
            records[name] += len(abstracts)
            kept[name] += sum(
                (one & Counter(NUMBER.findall(text))).total()
                for one, text in zip(truth, abstracts.values(), strict=True)
            )
    results_: list[dict[str, Any]] = [
        {
            "reader": name,
            "records": records[name],
            "records_per_s": round(records[name] / seconds[name]),
            "numbers_of_abstracts": f"{kept[name]} of {wanted}",
            "times_as_fast_as_medtrove": round(seconds["medtrove"] / seconds[name], 2),
        }
        for name in readers
    ]
    for result in results_:
        print(json.dumps(result))
    if options.json:
        options.json.write_text(json.dumps(results_, indent=2) + "\n")


if __name__ == "__main__":
    main()
