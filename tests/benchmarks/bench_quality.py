"""What the quality rules, the language rule and learnt boilerplate do to real text: writes `quality_report.md` here.

    MEDTROVE_REALDATA=... python tests/benchmarks/bench_quality.py [--output FILE]

Counts and shares only: no sentence of the texts is written.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import json
import os
import random
import re
import tarfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lxml import etree

from filters.clean import clean
from filters.language import language_rule
from filters.line_counts import Thresholds, learn
from filters.quality_report import shares, table
from filters.rule import Drop
from manifests.document import Document
from scrapers.formats import jats, medline, medquad, ngc
from scrapers.formats.unwrap import unwrap

MEDLINE = {"2021": "pubmed21n1298.excerpt-a.xml.gz", "1975-80": "pubmed20n0014.excerpt-a.xml.gz"}
LATIN = re.compile(r"[A-Za-z]{4,}(?:us|um|is|ae|orum|arum)\b")

INTRO = """# What the filters drop of real text

Written by `bench_quality.py`; numbers only. Texts went through our own readers and `clean.text`. Per cent of the texts
dropped, `published threshold / ours`: the published one applied to every text, with white-space words and with tables,
headings and bullets counted as ours count them; ours with the least amount of text that we judge.

"""

READ = """
Why the published values were moved, from texts that were read:

- Repeated lines (FineWeb 0.01, Gopher 0.2) and 10-grams (Gopher 0.1). Guidelines on post-traumatic stress, knee
  osteoarthritis and dyslipidaemia repeat their grading scale, their evidence definitions and the names of their
  sections. Three question sets on liver, ovarian and breast cancer give one list of risk factors under two questions,
  up to 41 % of their text: these are what 0.3 still drops.
- 50 words (Gopher). Abstracts of the 1970s on spores in cornfields, a nucleotide analogue and fungal protoplasts are
  complete in 39 to 46 words.
- Most frequent 4-gram (Gopher 0.16). Abstracts on a bacterial enzyme, hormone levels and the chromatography of a drug
  name their subject two or three times in 38 to 54 words.
- Curly brackets (C4: one is enough). Formulas of coordination compounds in abstracts, and TeX in papers.
- Short lines (FineWeb 0.67). Notes are headings and findings of two words; one
  guideline, on the care of people without a home, names its sections and the specialties it is for, a line each.
- Bullets (Gopher 0.9) and lines without a full stop (FineWeb 0.12). Abstracts of physiology journals of the 1970s are
  numbered findings: on glucosidases of carp, rat and dog, on two drugs and prostaglandin synthetase, on carbonic
  anhydrase of muscle. Ten more do not end in a full stop: four end in a comma (on self-injection in monkeys, an
  enzyme of horseradish, headache by poisons), others have a number or a word of the page after it.
- Repeated 5- to 9-grams (Gopher 0.15 to 0.11). One guideline, on lipoproteins as markers, gives its scale of evidence
  twice and says of each marker whether it is a best practice in the same words.
- JavaScript and policy lines (C4: the word is enough). A line leaves only if it asks for JavaScript or names a policy,
  has at most 40 words and no number, comparator or unit.

"""


def members(path: Path) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(path) as archive:
        for member in archive:
            if stream := archive.extractfile(member):
                yield member.name, stream.read()


def csv_rows(path: Path) -> Iterator[dict[str, str]]:
    with gzip.open(path, "rb") as stream:
        yield from csv.DictReader(io.TextIOWrapper(stream, encoding="utf-8", newline=""))


def real_texts(pack: Path) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """English texts by kind, and texts of other languages."""
    english: dict[str, list[str]] = defaultdict(list)
    foreign: dict[str, list[str]] = defaultdict(list)
    english["guideline"] = [ngc.parse(b).text for _, b in members(pack / "guidelines" / "ngc_public_domain.tar.xz")]
    titles: dict[str, list[str]] = defaultdict(list)
    for years, name in MEDLINE.items():
        with gzip.open(pack / "pubmed" / name) as stream:
            for record in medline.parse(stream):
                if isinstance(record, medline.Deleted):
                    continue
                if record.abstract:
                    english[f"abstract {years}"].append(record.text)
                if record.vernacular_title and record.language not in ("", "en"):
                    titles[record.language].append(record.vernacular_title)
                for other in record.other_abstracts:
                    if other.language not in ("", "en"):
                        foreign["abstracts in other languages"].append(other.text)
    with (pack / "jats" / "jats_ccby.manifest.tsv").open(encoding="utf-8") as stream:
        types = {row["file"]: row["article_type"] for row in csv.DictReader(stream, delimiter="\t")}
    for name, data in members(pack / "jats" / "jats_ccby.tar.xz"):
        for part in jats.parse(data):
            if part.lang in ("", "en"):
                kind = "case report" if types[Path(name).name] == "case-report" else "article"
                english[kind].append(part.text)
            elif len(part.text) > 400:
                foreign[f"articles, {part.lang}"].append(part.text)
    for name in ("aci_bench_train", "aci_bench_valid"):
        english["note"] += [unwrap(row["note"]) for row in csv_rows(pack / "notes" / f"{name}.csv.gz")]
    english["section of a note"] = [
        unwrap(row["section_text"]) for row in csv_rows(pack / "notes" / "mts_dialog_train.csv.gz")
    ]
    answers = (medquad.parse(data).text for _, data in members(pack / "qa" / "medquad_part-a.tar.xz"))
    english["question set"] = [text for text in answers if text]
    spanish = [
        json.loads(line)["text"]
        for line in (pack / "phi" / "meddocan_es.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    foreign["Spanish case reports"] = spanish
    foreign["Spanish, 400 characters"] = [text[i : i + 400] for text in spanish for i in (0, 400, 800)]
    for some in titles.values():
        joined = (". ".join(some[i : i + 4]) for i in range(0, len(some), 4))
        foreign["titles in Latin letters, four each"] += [text for text in joined if len(text) > 260]
    return english, foreign


def terse_texts(pack: Path, articles: list[str]) -> dict[str, list[str]]:
    """English texts that look like none: term lists, tables without their bars, Latin words."""
    found: dict[str, list[str]] = defaultdict(list)
    for name in MEDLINE.values():
        with gzip.open(pack / "pubmed" / name) as stream:
            for _, citation in etree.iterparse(stream, tag="MedlineCitation"):
                terms = [one.text for one in citation.iterfind("MeshHeadingList/MeshHeading/DescriptorName")]
                substances = [one.text for one in citation.iterfind("ChemicalList/Chemical/NameOfSubstance")]
                if terms:
                    found["MeSH terms of a record"].append("\n".join(terms))
                if len(substances) > 2:
                    found["drugs and substances of a record"].append("; ".join(substances))
                citation.clear()
    tables: list[str] = []
    for text in articles:
        tables += [block for block in text.split("\n\n") if block.lstrip().startswith("|")]
        latin = list(dict.fromkeys(LATIN.findall(text)))
        if len(latin) >= 40:
            found["Latin words of an article"].append(", ".join(latin))
    chosen = random.Random(1).sample(tables, min(800, len(tables)))
    found["tables without bars"] = [re.sub(r"[|:-]+", " ", one) for one in chosen]
    return found


def language_table(groups: dict[str, list[str]]) -> str:
    rows = [
        "| texts | number | kept as English | kept, not judged | dropped | dropped, if texts of any length are judged |"
    ]
    rows.append("| --- | ---: | ---: | ---: | ---: | ---: |")
    usual, always = language_rule(), language_rule(min_chars=1)
    for name, texts in groups.items():
        fates: Counter[str] = Counter()
        for text in texts:
            document = Document("bench:1", "bench", "article", clean(text)[0])
            verdict: Any = usual(document)
            fates["dropped" if isinstance(verdict, Drop) else verdict.fields["lang"]] += 1
            fates["always"] += isinstance(always(document), Drop)
        cells = [f"{100 * fates[key] / len(texts):.2f} %" for key in ("en", "und", "dropped", "always")]
        rows.append(f"| {name} | {len(texts):,} | " + " | ".join(cells) + " |")
    return "\n".join(rows) + "\n"


def boilerplate_table(kinds: dict[str, list[str]]) -> str:
    rows = [
        "| texts | number | lines learnt at 20 % and 20 documents | at 5 % and 3 documents |",
        "| --- | ---: | ---: | ---: |",
    ]
    for kind, texts in kinds.items():
        learnt = [len(learn(texts, Thresholds(s, n))["lines"]) for s, n in ((0.2, 20), (0.05, 3))]
        rows.append(f"| {kind} | {len(texts):,} | {learnt[0]} | {learnt[1]} |")
    return "\n".join(rows) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("quality_report.md"))
    given = parser.parse_args()
    folder = os.environ.get("MEDTROVE_REALDATA")
    if not folder:
        print("bench_quality: MEDTROVE_REALDATA is not set, nothing to measure")
        return
    english, foreign = real_texts(Path(folder))
    cleaned = {kind: [clean(text)[0] for text in texts] for kind, texts in english.items()}
    terse = terse_texts(Path(folder), english["article"])
    parts = [INTRO, table({kind: shares(texts) for kind, texts in cleaned.items()}), READ]
    parts += ['## Language\n\nBundled detector, `allowed = ["en"]`, no language declared.\n\nEnglish:\n\n']
    parts += [language_table({**terse, **english}), "\nOther languages:\n\n", language_table(foreign)]
    parts += ["\n## Boilerplate\n\nLines that may be learnt, by how many documents must hold them.\n\n"]
    parts += [boilerplate_table(cleaned)]
    given.output.write_text("".join(parts), encoding="utf-8")
    print(given.output.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
