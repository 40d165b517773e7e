"""The same work by its identifiers: PMID, PMCID and DOI, followed from record to record.

An empty identifier joins nothing. An identifier that records of two different works carry (a DOI of a supplement with
two hundred abstracts) names a collection, not a work, and joins nothing either. Parts of a work (`pmc:PMC1#s2`:
translations, replies) are documents of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dedup.buckets import Flags, Positions
from dedup.clusters import choose, connected
from dedup.exact import codes, links

FULL_TEXT_RATIO = 2
"""An article is the full text of an abstract only if it is at least so many times as long: some hold no body."""

STUB_RATIO = 2
"""A record this many times shorter than the longest of its kind does not represent the work."""

SINGLE_KINDS = ("abstract", "article")
"""Of a work there is one of each; other kinds (chapters, questions) may be many in one source."""

RECORD_KINDS = (*SINGLE_KINDS, "guideline", "encyclopedia")
"""Kinds whose identifiers say what the document is, and not what it is about."""


@dataclass(frozen=True)
class Works:
    """What identifiers say about every row."""

    labels: Positions
    """Smallest position of the work; itself where no identifier joins it with another."""
    pairs: Positions
    """The links behind it."""
    n_ambiguous: int
    """Identifiers not followed because records of different works carry them."""


def identifiers(rows: pa.Table) -> tuple[Positions, Positions, Positions]:
    """(pmid, pmcid, doi) of every row as codes, each in one spelling; -1 where the row has none."""
    pmid = pc.utf8_ltrim(pc.utf8_trim_whitespace(rows["pmid"]), characters="0")
    pmcid = pc.utf8_upper(pc.utf8_trim_whitespace(rows["pmcid"]))
    pmcid = pc.replace_substring_regex(pmcid, r"^(?:PMC)?(\d+)(?:\.\d+)?$", r"PMC\1")
    doi = pc.utf8_lower(pc.utf8_trim_whitespace(rows["doi"]))
    doi = pc.replace_substring_regex(doi, r"^(?:https?://(?:dx\.)?doi\.org/|doi:\s*)", "")
    return codes(pmid), codes(pmcid), codes(doi)


def works(rows: pa.Table) -> Works:
    """Which rows are records of one work, through any chain of shared identifiers."""
    pmid, pmcid, doi = identifiers(rows)
    whole = ~_flags(pc.match_substring(rows["doc_id"], "#"))
    record = _flags(pc.is_in(rows["kind"], pa.array(RECORD_KINDS)))
    pmid, pmcid, doi = (np.where(whole & record, column, np.int64(-1)) for column in (pmid, pmcid, doi))
    pmcid, n_pmcid = _unambiguous(pmcid, pmid)
    doi, n_doi = _unambiguous(doi, pmid, pmcid)
    pairs = np.concatenate([links(column) for column in (pmid, pmcid, doi)])
    return Works(connected(len(rows), pairs), pairs, n_pmcid + n_doi)


def shared_identifier_pairs(rows: pa.Table) -> Positions:
    """Links between all rows that carry one identifier, parts and ambiguous ones included."""
    return np.concatenate([links(column) for column in identifiers(rows)])


def represented(
    rows: pa.Table, labels: Positions, priority: Positions, n_chars: Positions, *, drop_abstracts: bool
) -> tuple[Positions, Flags]:
    """(representative of each row by its identifiers, which rows leave as abstracts of a full text).

    A row that stays represents itself.
    """
    n = len(rows)
    positions = np.arange(n, dtype=np.int64)
    kind = codes(rows["kind"])
    # One group for each kind of a work.
    kinds = int(kind.max(initial=0)) + 1
    groups = labels * kinds + kind
    _, group = np.unique(groups, return_inverse=True)
    longest = np.zeros(int(group.max(initial=0)) + 1, dtype=np.int64)
    np.maximum.at(longest, group, n_chars)
    stub = (n_chars * STUB_RATIO < longest[group]).astype(np.int64)
    parents = choose(group, stub, priority, -n_chars)
    single = _flags(pc.is_in(rows["kind"], pa.array(SINGLE_KINDS)))
    source = codes(rows["source"])
    parents = np.where(single | (source != source[parents]), parents, positions)

    abstracts = np.zeros(n, dtype=bool)
    if drop_abstracts:
        article = _flags(pc.equal(rows["kind"], "article")) & (parents == positions)
        full_text = np.full(n, -1, dtype=np.int64)
        full_text[labels[article]] = positions[article]
        found = full_text[labels]
        long_enough = n_chars[found] >= FULL_TEXT_RATIO * n_chars
        abstracts = _flags(pc.equal(rows["kind"], "abstract")) & (found >= 0) & long_enough
        parents = np.where(abstracts, found, parents)
    return parents, abstracts


def _unambiguous(column: Positions, *others: Positions) -> tuple[Positions, int]:
    """`column` without the values whose rows name two values of one of `others`, and how many those were."""
    ambiguous = np.zeros(int(column.max(initial=-1)) + 1, dtype=bool)
    for other in others:
        both = (column >= 0) & (other >= 0)
        named = np.unique(np.column_stack([column[both], other[both]]), axis=0)[:, 0]
        values, counts = np.unique(named, return_counts=True)
        ambiguous[values[counts > 1]] = True
    bad = (column >= 0) & np.take(np.append(ambiguous, False), column)  # -1 takes the last: False
    return np.where(bad, np.int64(-1), column), int(ambiguous.sum())


def _flags(column: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    flags: npt.NDArray[np.bool_] = column.to_numpy(zero_copy_only=False).astype(bool)
    return flags
