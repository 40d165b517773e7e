"""The closed vocabulary of why a document was dropped or an item put aside: `stage.rule`.

A rule whose meaning changes gets a new version here, which changes the fingerprint of every stage that uses it.
`kept` is the only fate that is not a reason. Patterns ending in `*` name a family whose members come from
the recipe (`decontaminate.medqa`).
"""

from __future__ import annotations

from dataclasses import dataclass

KEPT = "kept"

STAGES = (
    *("extract", "source", "licence", "clean", "language", "quality", "relevance", "phi", "decontaminate", "dedup"),
    "template",
)
"""In the order in which a document meets them; `custom` rules of a site come after `decontaminate`."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One way out of the corpus."""

    name: str
    meaning: str
    version: int = 1

    @property
    def stage(self) -> str:
        return self.name.split(".", 1)[0]


def _table(*rows: tuple[str, str] | tuple[str, str, int]) -> dict[str, Reason]:
    return {row[0]: Reason(*row) for row in rows}


REASONS: dict[str, Reason] = _table(
    # Items that could not be read (quarantine.parquet).
    ("extract.retracted", "The door marks it as retracted, so its text was not asked for."),
    ("extract.not_fetched", "It could not be had: gone, refused by robots.txt or terms, or no answer after all tries."),
    ("extract.forbidden_by_terms", "The publisher's terms, or the item's own licence, do not allow this use of it."),
    ("extract.stub", "A page that only points to where the document is, or a few words that hold none."),
    ("extract.licence_conflict", "Two statements of its licence contradict each other on what is allowed."),
    ("extract.corrupt", "The bytes are damaged: truncated or broken compression, or not well-formed."),
    ("extract.checksum", "The bytes do not have the checksum the publisher states."),
    ("extract.unknown_format", "No reader recognises what this is."),
    ("extract.not_a_document", "Well-formed, but holds no document: an index, a log, a checksum, an error reply."),
    ("extract.too_large", "Larger than the limit on one item, member or line."),
    ("extract.unsafe", "Refused for safety: path traversal, entity expansion, nesting beyond the limit."),
    ("extract.encrypted", "A PDF that needs a password."),
    ("extract.no_text_layer", "A PDF of images: no text to extract without OCR."),
    ("extract.ocr_uncertain", "A PDF of images whose OCR is too uncertain on most pages to be taken for its text."),
    ("extract.bad_record", "One record or row that lacks its required fields."),
    (
        "extract.not_chosen",
        "Rows or files that the recipe leaves out (sampling, languages, categories): one line says how many.",
    ),
    ("extract.same_id", "Another record of the same source has the same id and was read first."),
    # Documents that entered and left.
    ("extract.empty", "No text was left after extraction."),
    ("source.retracted", "The source marks the document as retracted, or as the notice of a retraction."),
    ("source.notice", "A correction, addendum or expression of concern: about a document, not one."),
    ("source.superseded", "The source holds a newer version of this document."),
    ("source.archived", "The publisher has archived the document."),
    ("source.published_late", "Published after the day up to which the recipe takes documents."),
    (
        "source.published_unknown",
        "No date, or one too coarse to tell whether it was published up to the recipe's day.",
    ),
    ("licence.not_allowed", "The document's own licence is not among those the recipe allows."),
    ("clean.empty", "Nothing was left after cleaning."),
    ("language.not_allowed", "Detected language is not among those the recipe allows."),
    ("quality.too_few_words", "Fewer words than the source's minimum."),
    ("quality.too_many_words", "More words than the source's maximum."),
    ("quality.mean_word_length", "Mean word length outside the bounds: markup, code or glued words."),
    ("quality.few_alphabetic_words", "Too few whitespace-delimited words hold a letter."),
    ("quality.symbol_ratio", "Too many `#` or ellipsis symbols per word."),
    ("quality.repeated_lines", "Too large a share of the lines repeats."),
    ("quality.repeated_ngrams", "Too large a share of the text lies in repeated word n-grams."),
    ("quality.top_ngram", "One sequence of two to four words makes up too large a share of the text."),
    ("quality.bullet_lines", "Too large a share of the lines are items of lists."),
    ("quality.ellipsis_lines", "Too large a share of the lines of prose breaks off with an ellipsis: teasers."),
    ("quality.short_lines", "Too large a share of the lines of prose is short: menus and link lists."),
    ("quality.unpunctuated_lines", "Too small a share of the lines of prose ends with punctuation."),
    ("quality.curly_brackets", "Too many curly brackets outside formulas: code."),
    ("quality.lorem_ipsum", "Placeholder text."),
    ("quality.no_stop_words", "Too few English function words: a list, a table dump, another language."),
    ("relevance.low_score", "The relevance classifier scores it below the threshold."),
    ("phi.direct_identifier", "Holds a direct identifier and the source's policy is to drop."),
    (
        "decontaminate.*",
        "Shares a window of text with a benchmark question; the part after the dot names it.",
    ),
    ("dedup.denied", "On the denylist, or in one cluster with a document on it."),
    ("dedup.abstract_of_full_text", "The abstract of an article whose full text is in the corpus."),
    ("dedup.same_work", "Another record of the same work (same PMCID, PMID or DOI) represents it."),
    ("dedup.exact", "Another document has the same normalised text."),
    ("dedup.near_duplicate", "Another document has nearly the same words and exactly the same numbers."),
    ("template.not_a_conversation", "Turns that do not alternate from a question to an answer, or have no answer."),
    ("template.nothing_to_learn", "A conversation all of whose answers are empty."),
    ("template.too_long", "A conversation longer than a training row: conversations are never cut."),
    ("custom.*", "Dropped by a rule of the site's own; the part after the dot names it."),
)


def reason(name: str) -> Reason:
    """The reason called `name`; KeyError if the vocabulary does not hold it."""
    found = REASONS.get(name)
    if found is None:
        family = REASONS.get(name.split(".", 1)[0] + ".*")
        if family is None or name.endswith("."):
            raise KeyError(f"{name!r} is not in the closed vocabulary of manifests/reasons.py")
        found = Reason(name, family.meaning, family.version)
    return found
