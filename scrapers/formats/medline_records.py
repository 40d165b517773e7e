"""What a MEDLINE file gives: records, deletions, and what cannot be read."""

from __future__ import annotations

from dataclasses import dataclass, field

# https://www.nlm.nih.gov/bsd/mms/medlineelements.html#cc; by code, by name and by link: each is met alone.
_RETRACTED = frozenset({"D016441", "Retracted Publication", "RetractionIn", "RetractedandRepublishedIn"})
_RETRACTIONS = frozenset({"D016440", "Retraction of Publication", "RetractionOf"})
_NOTICES = _RETRACTIONS | {
    "D016425",
    "Published Erratum",
    "ErratumFor",
    "D000075742",
    "Expression of Concern",
    "ExpressionOfConcernFor",
    "PartialRetractionOf",
}
_CONCERN, _PARTLY = "ExpressionOfConcernIn", "PartialRetractionIn"
STANDING = _RETRACTED | _NOTICES | {_CONCERN, _PARTLY}
"""Codes and names of publication types, and links to other records, that say how a work stands."""


@dataclass(frozen=True, slots=True)
class OtherAbstract:
    """An abstract in another language or for other readers."""

    language: str
    """ISO 639-1 where there is one, else the code as given."""
    type: str
    """As NLM gives it: `Publisher`, `plain-language-summary`, ..."""
    text: str


@dataclass(frozen=True, slots=True)
class Deleted:
    """A PMID the file withdraws."""

    pmid: str
    version: int


@dataclass(frozen=True, slots=True)
class Broken:
    """A record that cannot be read."""

    pmid: str
    """Empty if not even that can be read."""
    version: int
    reason: str
    """One of `manifests.reasons`, `extract.*`."""
    detail: str
    """One sentence without any text of the record."""


@dataclass(slots=True)
class MedlineRecord:
    """One revision of one citation. Empty string = the record does not say."""

    pmid: str
    version: int
    title: str
    """English; the brackets of a translated title are taken off."""
    abstract: str
    other_abstracts: list[OtherAbstract]
    year: int | None
    published: str
    language: str
    """Of the article, ISO 639-1; title and abstract are English also when this is not."""
    vernacular_title: str
    pmcid: str
    doi: str
    publication_types: list[str]
    standing: frozenset[str]
    """Those of `STANDING` that the record has."""
    copyright: str
    """The publisher's copyright line, a licence hint: its own element, else the sentence that ends the abstract."""
    counts: dict[str, int] = field(default_factory=dict)
    journal: str = ""
    mesh: tuple[str, ...] = ()
    """MeSH headings: `Descriptor`, and `Descriptor/qualifier` for each qualifier."""

    @property
    def text(self) -> str:
        """Title and abstract in the corpus's text convention."""
        return "\n\n".join(part for part in (f"# {self.title}" if self.title else "", self.abstract) if part)

    @property
    def retracted(self) -> bool:
        """The cited article is retracted."""
        return not _RETRACTED.isdisjoint(self.standing)

    @property
    def retraction(self) -> bool:
        """The record is the notice of a retraction."""
        return not _RETRACTIONS.isdisjoint(self.standing)

    @property
    def notice(self) -> bool:
        """The record is itself a retraction, an erratum or an expression of concern."""
        return not _NOTICES.isdisjoint(self.standing)

    @property
    def concern(self) -> bool:
        """An expression of concern exists about the article."""
        return _CONCERN in self.standing

    @property
    def partly_retracted(self) -> bool:
        """A part of the article is retracted."""
        return _PARTLY in self.standing


@dataclass(frozen=True, slots=True)
class Identity:
    """Which revision of which citation a record is."""

    pmid: str
    """Empty if it cannot be read."""
    version: int
