"""PubMed: the annual baseline and the daily update files, kept as NLM publishes them.

Listings at https://ftp.ncbi.nlm.nih.gov/pubmed/{baseline,updatefiles}/ name `pubmedYYnNNNN.xml.gz` with an `.md5`
each; the numbering of the updates goes on from the baseline. A year counts only if its baseline is complete, because
for some days each winter two years lie side by side. A file whose MD5 fails is deleted and fetched again.

Half of the records in update files replace earlier ones, so which revision counts is known only after all files were
seen: `profile` lists the records of one file, `resolve` says which of all are *not* to be read, `read` gives the rest.
A later file replaces (PMID, version) whole, the highest version of a PMID counts, and a DeleteCitation withdraws what
came up to its own file.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manifests.document import Document, Quarantined, Status
from manifests.errors import SourceError
from manifests.store import Store
from scrapers.capture import Listing, Wanted, capture
from scrapers.formats import medline
from scrapers.formats.errors import Unreadable
from scrapers.formats.jsonl import opened
from scrapers.formats.medline import Deleted, MedlineRecord
from scrapers.options import checked
from scrapers.snapshot import open_payload
from scrapers.source import AcquireContext, Item, SourceConfig

BASE = "https://ftp.ncbi.nlm.nih.gov/pubmed"
_FILE = re.compile(r'href="(pubmed(\d{2})n(\d{4})\.xml\.gz)(\.md5)?"')
_MD5 = re.compile(r"=\s*([0-9a-f]{32})\s*$")
_COMPLETE = re.compile(r"pubmed(\d{2})n(\d{4})\.xml(?:\.gz)?\s+through\s+pubmed\1n(\d{4})")

PROFILE = pa.schema(
    [
        pa.field("pmid", pa.int64(), nullable=False),
        pa.field("version", pa.int16(), nullable=False),
        pa.field("file", pa.int32(), nullable=False),  # NNNN of the file's name
        pa.field("position", pa.int32(), nullable=False),  # of the record in its file; deletions after all records
        pa.field("deleted", pa.bool_(), nullable=False),
    ]
)
NOT_READ = pa.schema(
    [
        pa.field("file", pa.int32(), nullable=False),
        pa.field("position", pa.int32(), nullable=False),
        pa.field("pmid", pa.int64(), nullable=False),
        pa.field("fate", pa.dictionary(pa.int8(), pa.string()), nullable=False),
    ]
)
"""Records that another one replaced (`superseded`) or that NLM withdrew (`deleted`), by (file, position).

`schema.metadata[b"merged_away"]` is their number.
"""


class Loader:
    """The source `pubmed`. Options: `max_baseline_files` (0: all, else the newest), `updates`."""

    def __init__(self, config: SourceConfig) -> None:
        self.config = config
        self._options = checked(config, {"max_baseline_files": 0, "updates": True})

    def acquire(self, context: AcquireContext) -> None:
        capture(context, source=self.config.source, snapshot=self.config.snapshot, discover=self._discover)

    def _discover(self, listing: Listing) -> Iterator[Wanted]:
        baseline, updates = (_listed(listing, folder) for folder in ("baseline", "updatefiles"))
        year = _complete_year(baseline, _readme(listing))
        numbers = sorted(baseline.files[year])
        last = numbers[-1]
        chosen = numbers[-self._options["max_baseline_files"] :]
        found = [("baseline", _name(year, number)) for number in chosen]
        if self._options["updates"]:
            newer = sorted(number for number in updates.files.get(year, ()) if number > last)
            for number in sorted(set(range(last + 1, newer[-1] + 1 if newer else 0)) - set(newer)):
                listing.set_aside(_name(year, number), "extract.corrupt", "NLM's listing skips this update file.")
            found += [("updatefiles", _name(year, number)) for number in newer]
        sums = listing.pages((f"{BASE}/{folder}/{name}.md5" for folder, name in found), expect="")
        for (folder, name), body in zip(found, sums, strict=True):
            md5 = _MD5.search((body or b"").decode("latin-1"))
            if md5 is None:
                listing.set_aside(name, "extract.checksum", "Its .md5 file is missing or has no MD5 in it.")
                continue
            meta = {"set": folder, "year": 2000 + int(year)}
            yield Wanted(name, f"{BASE}/{folder}/{name}", meta=meta, expect_md5=md5[1], file=name)

    def profile(self, item: Item, raw: Store) -> pa.Table:
        """Every record and deletion of one file; a file that breaks off counts up to the break."""
        columns: dict[str, list[Any]] = {name: [] for name in PROFILE.names}
        number = _file_number(item.item)
        try:
            with open_payload(raw, item) as stream:
                for position, found in enumerate(medline.parse(opened(stream, item.item))):
                    if not found.pmid.isdecimal():
                        continue
                    row = (int(found.pmid), found.version, number, position, isinstance(found, Deleted))
                    for name, value in zip(PROFILE.names, row, strict=True):
                        columns[name].append(value)
        except Unreadable:
            pass  # `read` meets the same break and reports it
        return pa.table(columns, schema=PROFILE)

    def resolve(self, profiles: Sequence[pa.Table]) -> pa.Table:
        """`NOT_READ`: what must not be read, sorted by (file, position)."""
        rows = pa.concat_tables(profiles) if profiles else PROFILE.empty_table()
        columns = {name: rows.column(name).to_numpy() for name in PROFILE.names}
        fates = _fates(columns)
        lost = np.flatnonzero(fates)
        lost = lost[np.lexsort((columns["position"][lost], columns["file"][lost]))]
        names = pa.array(["superseded", "deleted"])
        table = pa.table(
            {
                "file": columns["file"][lost],
                "position": columns["position"][lost],
                "pmid": columns["pmid"][lost],
                "fate": pa.DictionaryArray.from_arrays(pa.array(fates[lost] - 1, pa.int8()), names),
            },
            schema=NOT_READ,
        )
        return table.replace_schema_metadata({"merged_away": str(len(lost))})

    def read(self, item: Item, raw: Store, resolved: Any | None) -> Iterator[Document | Quarantined]:
        """Documents of the winning records of one file, in file order."""
        lost = _positions(resolved, _file_number(item.item))
        without: Counter[str] = Counter()
        try:
            with open_payload(raw, item) as stream:
                for position, found in enumerate(medline.parse(opened(stream, item.item))):
                    if isinstance(found, Deleted):
                        continue
                    if position in lost:
                        without["were replaced or withdrawn by a later file"] += 1
                    elif not found.abstract and not found.other_abstracts:
                        without["have a title and no abstract"] += 1
                    else:
                        yield from self._documents(found, item)
        except Unreadable as error:
            yield Quarantined(item.item, self.config.source, error.reason, error.detail, item.sha256)
        for what, n in sorted(without.items()):
            detail = f"{n:,} records of this file {what}."
            yield Quarantined(item.item, self.config.source, "extract.not_a_document", detail, item.sha256)

    def _documents(self, record: MedlineRecord, item: Item) -> Iterator[Document]:
        return documents(record, self.config, item.sha256)


def documents(record: MedlineRecord, config: SourceConfig, raw_ref: str) -> Iterator[Document]:
    """The abstract of `record`, then each abstract in another language or for other readers."""
    common: dict[str, Any] = {
        "source": config.source,
        "kind": config.kind,
        "url": f"https://pubmed.ncbi.nlm.nih.gov/{record.pmid}/",
        "licence": config.licence if config.licence != "per-document" else "unknown",
        "licence_evidence": f"copyright line: {record.copyright[:200]}" if record.copyright else "card",
        "year": record.year,
        "published": record.published,
        "raw_ref": raw_ref,
        "document_status": _status(record),
        "restricted": config.restricted,
    }
    counts = {**record.counts, **({"extract.notice": 1} if record.notice else {})}
    if record.concern:
        counts["extract.expression_of_concern"] = 1
    doc_id = f"{config.source}:{record.pmid}"
    if record.abstract:
        yield Document(
            doc_id=doc_id,
            text=record.text,
            title=record.title,
            lang="en",
            pmid=record.pmid,
            pmcid=record.pmcid,
            doi=record.doi,
            counts=counts,
            **common,
        )
    taken: Counter[str] = Counter()
    for other in record.other_abstracts:
        # English ones are told apart by what they are for; a second of the same kind gets a number.
        part = re.sub(r"[^a-z0-9]+", "-", (other.type if other.language == "en" else other.language).lower()).strip("-")
        taken[part] += 1
        part = part if taken[part] == 1 else f"{part}-{taken[part]}"
        title = record.vernacular_title if other.language == record.language != "en" else ""
        text = f"# {title}\n\n{other.text}" if title else other.text
        # No identifiers of the work: this is another text, not another copy of the abstract.
        yield Document(doc_id=f"{doc_id}#{part}", text=text, title=title, lang=other.language, **common)


def _status(record: MedlineRecord) -> Status:
    notice = "Retraction of Publication" in record.publication_types
    return "retracted" if record.retracted or notice else "current"


class _Listed:
    """What one directory page names: year -> numbers that have a file and its checksum."""

    def __init__(self, page: bytes) -> None:
        plain: dict[str, set[int]] = {}
        sums: dict[str, set[int]] = {}
        for _name, year, number, md5 in _FILE.findall(page.decode("latin-1")):
            (sums if md5 else plain).setdefault(year, set()).add(int(number))
        self.files = {year: numbers & sums.get(year, set()) for year, numbers in plain.items()}
        self.named = plain


def _listed(listing: Listing, folder: str) -> _Listed:
    return _Listed(listing.page(f"{BASE}/{folder}/"))


def _readme(listing: Listing) -> dict[str, int]:
    """Year -> last number of the baseline, as README.txt states it; empty if it does not."""
    page = next(iter(listing.pages([f"{BASE}/baseline/README.txt"], expect=""))) or b""
    return {year: int(last) for year, _first, last in _COMPLETE.findall(page.decode("latin-1"))}


def _complete_year(baseline: _Listed, stated: dict[str, int]) -> str:
    """The newest year whose baseline is there as a whole; SourceError if none is."""
    for year in sorted(baseline.files, reverse=True):
        numbers = baseline.files[year]
        last = max(numbers, default=0)
        if last and numbers == set(range(1, last + 1)) and stated.get(year, last) == last:
            return year
    shown = (
        ", ".join(f"20{year}: {len(numbers)} files" for year, numbers in sorted(baseline.named.items())) or "no files"
    )
    raise SourceError(
        f"no complete baseline is listed ({shown}).",
        where=f"{BASE}/baseline/",
        why="Numbers must run from 0001 without a gap, each with its .md5, up to what README.txt states.",
        fix="NLM exchanges the baseline around the turn of the year: try again in some days.",
    )


def _name(year: str, number: int) -> str:
    return f"pubmed{year}n{number:04d}.xml.gz"


def _file_number(name: str) -> int:
    return int(name.partition("n")[2][:4])


def _fates(columns: dict[str, Any]) -> Any:
    """For each row of the profiles 0 (read it), 1 (superseded) or 2 (deleted); deletions themselves give 0."""
    pmid, version, file, position, deleted = (columns[name] for name in PROFILE.names)
    fates = np.zeros(len(pmid), np.int8)
    order = np.lexsort((position, file, version, pmid))
    n = len(order)
    if not n:
        return fates
    same_work = np.append(pmid[order][1:] == pmid[order][:-1], False)
    same_version = same_work & np.append(version[order][1:] == version[order][:-1], False)
    # A row is out if any later row of its (pmid, version) exists: a newer revision, or a deletion after it.
    next_deletes = np.append(deleted[order][1:], False)
    fates[order[same_version & ~next_deletes]] = 1
    fates[order[same_version & next_deletes]] = 2
    # Of what is left of a PMID, the highest version stays.
    alive = order[(fates[order] == 0) & ~deleted[order]]
    older = np.append(pmid[alive][1:] == pmid[alive][:-1], False)
    fates[alive[older]] = 1
    fates[deleted] = 0
    return fates


def _positions(resolved: Any | None, file: int) -> frozenset[int]:
    if resolved is None:
        return frozenset()
    return frozenset(resolved.filter(pc.equal(resolved.column("file"), file)).column("position").to_pylist())
