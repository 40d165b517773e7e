"""The tables of a manifest: one schema each, closed, versioned, written by nobody else.

A column is added here or nowhere. Changing the meaning of a column raises `SCHEMA_VERSION`.
"""

from __future__ import annotations

import pyarrow as pa

SCHEMA_VERSION = 1

DOCUMENTS = pa.schema(
    [
        pa.field("doc_id", pa.string(), nullable=False),
        pa.field("doc_key", pa.uint64(), nullable=False),  # manifests.identity.doc_key(doc_id)
        pa.field("source", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("licence", pa.string(), nullable=False),
        pa.field("licence_evidence", pa.string(), nullable=False),
        pa.field("lang", pa.string(), nullable=False),
        pa.field("year", pa.int16()),
        pa.field("pmid", pa.string(), nullable=False),
        pa.field("pmcid", pa.string(), nullable=False),
        pa.field("doi", pa.string(), nullable=False),
        pa.field("url", pa.string(), nullable=False),
        pa.field("title", pa.string(), nullable=False),  # open sources only, else empty
        pa.field("subject", pa.string(), nullable=False),  # restricted sources only, else empty
        pa.field("family", pa.string(), nullable=False),  # what the versions of one work share, empty if it has none
        pa.field("raw_ref", pa.string(), nullable=False),
        pa.field("text_hash", pa.string(), nullable=False),  # of the final text
        # Characters of the text as extraction gave it, before any rule; of the payload's own there is no count here.
        pa.field("n_chars_raw", pa.int64(), nullable=False),
        pa.field("n_chars", pa.int64(), nullable=False),  # characters after the last rule the document met
        pa.field("n_tokens", pa.int64()),  # null if never tokenised
        pa.field("score", pa.float32()),
        pa.field("fate", pa.string(), nullable=False),  # `kept` or a reason
        pa.field("fate_value", pa.float64()),
        pa.field("fate_threshold", pa.float64()),
        pa.field("cluster_key", pa.string(), nullable=False),  # smallest doc_id of the cluster, empty if alone
        pa.field("cluster_size", pa.int32(), nullable=False),  # 1 if alone
        pa.field("phi_action", pa.string(), nullable=False),  # ``, `keep`, `flag`, `redact` or `drop`
        pa.field("phi_count", pa.int32(), nullable=False),
        pa.field("edits", pa.string(), nullable=False),  # rules that changed the text, in order, joined by a comma
        pa.field(
            "unit", pa.uint64()
        ),  # what is in one split as a whole: patient, family, candidate cluster; null: dropped
        pa.field("split", pa.string(), nullable=False),  # `train`, `validation`, empty if dropped
        pa.field("epochs", pa.int32(), nullable=False),  # times the document stands in the shards
        pa.field("document_status", pa.string(), nullable=False),
        pa.field("restricted", pa.bool_(), nullable=False),
    ]
)
"""documents.parquet: one row for every document that ever entered, sorted by doc_id."""

MEASURES = pa.schema(
    [
        pa.field("doc_id", pa.string(), nullable=False),
        pa.field("rule", pa.string(), nullable=False),
        pa.field("measure", pa.string(), nullable=False),
        pa.field("value", pa.float64(), nullable=False),
    ]
)
"""measures.parquet: every value a rule looked at, kept or dropped, sorted by (doc_id, rule, measure)."""

EDIT_MEASURES = (
    "removed_characters",
    "added_characters",
    "removed_spaces",
    "added_spaces",
    "removed_digits",
    "added_digits",
)
"""Measures of a rule that changed a document's text, zeros left out; spaces are white space, among the characters.

For every document n_chars = n_chars_raw - all its removed_characters + all its added_characters.
"""

EXTRACTION = "extract.text"
"""Rule name under which measures.parquet tells of extraction: `digits` of the text as extracted, and what extraction
left out of the payload's visible text, where the format can tell, as `<what>_characters` and `<what>_digits`."""

PLACEMENTS = pa.schema(
    [
        pa.field("doc_key", pa.uint64(), nullable=False),
        pa.field("epoch", pa.int32(), nullable=False),  # 0-based pass over the source that put it there
        pa.field("shard", pa.int32(), nullable=False),
        pa.field("row", pa.int32(), nullable=False),  # inside the shard
        pa.field("start", pa.int32(), nullable=False),  # first token inside the row
        pa.field("length", pa.int32(), nullable=False),  # tokens
    ]
)
"""placements.parquet: where every stored token of every document is, sorted by (shard, row, start)."""

BOILERPLATE = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("line_hash", pa.string(), nullable=False),  # 16 hex digits of manifests.identity.line_key
        pa.field("line", pa.string(), nullable=False),  # in its normal form; empty if withheld
        pa.field("withheld", pa.string(), nullable=False),  # ``, `restricted`, `person` or `not told` by its file
        pa.field("kind", pa.string(), nullable=False),  # why it was learnt: `notice`, `navigation`, `publication`
        pa.field("characters", pa.int32()),  # of the line in its normal form
        pa.field("documents", pa.int64()),  # of the source that hold it, where it was learnt
        pa.field("share", pa.float64()),  # of `documents_read`
        pa.field("documents_read", pa.int64()),  # documents that were counted
        pa.field("removed_in", pa.int64(), nullable=False),  # documents of this build that lost it
        pa.field("occurrences", pa.int64(), nullable=False),  # times it was removed
        pa.field("characters_removed", pa.int64(), nullable=False),  # of its occurrences as they stood
    ]
)
"""boilerplate.parquet: lines removed for being repeated by their source, sorted by (source, line_hash)."""

QUARANTINE = pa.schema(
    [
        pa.field("item", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
        pa.field("raw_ref", pa.string(), nullable=False),
    ]
)
"""quarantine.parquet: what could not be read, sorted by (source, item)."""

ITEMS = pa.schema(
    [
        pa.field("item", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("length", pa.int64(), nullable=False),
        pa.field("sha256", pa.string(), nullable=False),
        pa.field("url", pa.string(), nullable=False),
        pa.field("meta", pa.string(), nullable=False),
    ]
)
"""items.parquet of a raw snapshot: what was captured and where, sorted by item, one row per item."""

ASIDE = pa.schema(
    [
        pa.field("item", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
    ]
)
"""aside.parquet of a raw snapshot: what acquisition put aside, sorted by (item, detail, reason)."""

SIGNATURES = pa.schema(
    [
        pa.field("doc_key", pa.uint64(), nullable=False),
        pa.field("bands", pa.list_(pa.uint64()), nullable=False),  # one digest a band; empty: too short to compare
        pa.field("numbers", pa.uint64(), nullable=False),  # hash of the sorted multiset of numeric tokens
        pa.field("n_shingles", pa.int32(), nullable=False),
    ]
)
"""MinHash signatures of one prepare task, sorted by doc_key."""

PREPARED = pa.schema(
    [
        pa.field("doc_key", pa.uint64(), nullable=False),
        pa.field("doc_id", pa.string(), nullable=False),
        pa.field("subject", pa.string(), nullable=False),
        pa.field("published", pa.string(), nullable=False),
        pa.field("text", pa.large_string(), nullable=False),
    ]
)
"""Text that survived pass 1, one task a file, sorted by doc_key: a block is then one run of every file."""
