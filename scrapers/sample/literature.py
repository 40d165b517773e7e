"""Abstracts and full-text articles of the sample world, before any XML."""

from __future__ import annotations

from dataclasses import dataclass, field

from scrapers.sample.draw import Draw, Writer
from scrapers.sample.guidance import dose_table, reference
from scrapers.sample.medical import medical_writer, ratio, topics

ABSTRACTS = 480
ARTICLES = 52

FIRST_PMID = 90_000_001
"""Far above any number NLM has given out, so that no sample record is taken for a real one."""

FIRST_PMCID = 90_000_101


@dataclass(frozen=True, slots=True)
class Abstract:
    """One revision of a citation."""

    pmid: str
    title: str
    sections: tuple[tuple[str, str], ...]
    """(label, text); one section with an empty label is an unstructured abstract; none: title only."""
    year: int
    month: str
    doi: str
    journal: str
    version: int = 1
    pmcid: str = ""
    types: tuple[tuple[str, str], ...] = (("D016428", "Journal Article"),)
    retraction_in: str = ""
    """PMID of the retraction notice."""
    other: tuple[tuple[str, str, str], ...] = ()
    """(type, ISO 639-2 language, text) of further abstracts."""
    language: str = "eng"
    vernacular_title: str = ""

    @property
    def text(self) -> str:
        """Title and abstract as one piece of text."""
        parts = [f"{label}: {text}" if label else text for label, text in self.sections]
        return "\n\n".join([self.title, *parts])


@dataclass(frozen=True, slots=True)
class Section:
    """One section of an article; `table` is its first row, the header, and the rest."""

    title: str
    paragraphs: tuple[str, ...]
    table: tuple[tuple[str, ...], ...] = ()
    caption: str = ""
    formula: tuple[str, str] | None = None
    """(TeX, MathML) of one displayed formula."""


@dataclass(frozen=True, slots=True)
class Article:
    """One version of a full-text article."""

    pmcid: str
    version: int
    pmid: str
    doi: str
    title: str
    journal: str
    year: int
    abstract: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
    references: tuple[str, ...]
    licence_code: str | None
    """As the bucket's metadata say it: `CC BY`, `TDM`, None, ..."""
    retracted: bool = False
    manuscript: bool = False
    keywords: tuple[str, ...] = field(default=())


_JOURNALS = (
    "Journal of Synthetic Medicine",
    "Annals of Invented Therapeutics",
    "Sample Clinical Reviews",
    "Model Medical Journal",
    "Proceedings of the Example Society",
    "Imaginary Archives of Health",
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_LABELLED = (
    ("BACKGROUND", "ab_background", 2),
    ("OBJECTIVE", "ab_objective", 1),
    ("METHODS", "ab_methods", 3),
    ("RESULTS", "ab_results", 3),
    ("CONCLUSIONS", "ab_conclusions", 2),
)
_ARGUMENTS = ("treatment", "safety", "monitoring", "special", "implementation")


def abstract(seed: int, number: int) -> Abstract:
    """Abstract `number`: structured in three of four, plain in the rest."""
    draw = Draw("abstract", seed, number)
    topic = draw.choice(topics())
    writer = medical_writer(draw, topic, "research")
    sections = _abstract_sections(writer)
    if draw.chance(25):
        sections = (("", " ".join(text for _label, text in sections)),)
    year = draw.integer(2003, 2024)
    return Abstract(
        pmid=str(FIRST_PMID + number),
        title=_title(writer),
        sections=sections,
        year=year,
        month=draw.choice(_MONTHS),
        doi=f"10.99999/jsm.{year}.{number:05d}",
        journal=draw.choice(_JOURNALS),
    )


def article(seed: int, number: int) -> Article:
    """Article `number`; every seventh is a case report, the others are studies."""
    draw = Draw("article", seed, number)
    topic = topics()[(number * 5 + 2) % len(topics())]
    writer = medical_writer(draw, topic, "research")
    year = draw.integer(2008, 2024)
    return Article(
        pmcid=f"PMC{FIRST_PMCID + number * 7}",
        version=1,
        pmid=str(FIRST_PMID + 5000 + number),
        doi=f"10.99999/iah.{year}.{number:05d}",
        title=_title(writer),
        journal=draw.choice(_JOURNALS),
        year=year,
        abstract=_abstract_sections(writer),
        sections=_case_sections(writer) if number % 7 == 6 else _study_sections(writer),
        references=tuple(reference(writer) for _ in range(draw.integer(6, 12))),
        licence_code="CC BY",
        keywords=tuple(writer.deal("keywords") for _ in range(3)),
    )


def abstract_of(full: Article) -> Abstract:
    """The PubMed record of an article of the bucket: the same title and abstract, and its PMCID."""
    return Abstract(
        pmid=full.pmid,
        title=full.title,
        sections=full.abstract,
        year=full.year,
        month="Mar",
        doi=full.doi,
        journal=full.journal,
        pmcid=full.pmcid,
    )


def _title(writer: Writer) -> str:
    return f"{writer.sentence('title')}."


def _abstract_sections(writer: Writer) -> tuple[tuple[str, str], ...]:
    draw = writer.draw
    return tuple((label, writer.paragraph(role, max(1, n + draw.integer(-1, 1)))) for label, role, n in _LABELLED)


def _study_sections(writer: Writer) -> tuple[Section, ...]:
    draw = writer.draw

    def paragraphs(role: str, *sizes: int) -> tuple[str, ...]:
        return tuple(writer.paragraph(role, size) for size in sizes)

    rows = [("Outcome", "Intervention", "Control", "Effect (95% CI)")]
    for _ in range(draw.integer(3, 5)):
        name = writer.deal("complication")
        effect = ratio(draw).partition(", 95% CI ")
        rows.append(
            (
                name[:1].upper() + name[1:],
                f"{draw.integer(2, 99)}/{draw.integer(100, 480)}",
                f"{draw.integer(2, 99)}/{draw.integer(100, 480)}",
                f"{effect[0].split()[-1]} ({effect[2]})",
            )
        )
    return (
        Section("Introduction", (*paragraphs("burden", 4), *paragraphs("ab_background", 4, 4))),
        Section("Methods", paragraphs("methods", 5, 5, 5), formula=_FORMULA if draw.chance(40) else None),
        Section("Results", paragraphs("results", 6, 5, 5), tuple(rows), writer.fill("Outcomes at {n:3-60} months.")),
        Section("Discussion", (*paragraphs("discussion", 6, 6), *(paragraphs(role, 5)[0] for role in _ARGUMENTS))),
        Section("Conclusions", paragraphs("ab_conclusions", 2)),
    )


def _case_sections(writer: Writer) -> tuple[Section, ...]:
    topic = next(found for found in topics() if found["condition"] == writer.deal("condition"))
    return (
        Section("Introduction", (writer.paragraph("ab_background", 3), writer.paragraph("burden", 3))),
        Section("Case presentation", (writer.paragraph("case", 3), writer.paragraph("case", 3))),
        Section("Investigations", (writer.paragraph("diagnosis", 4),), dose_table(writer, topic), "Drugs considered."),
        Section("Discussion", tuple(writer.paragraph(role, 4) for role in ("discussion", "treatment", "monitoring"))),
        Section("Learning points", (writer.paragraph("ab_conclusions", 3), writer.paragraph("safety", 3))),
    )


_FORMULA = (
    r"\mathrm{eGFR} = 142 \times \min(S_{cr}/\kappa, 1)^{\alpha} \times 0.9938^{\mathrm{age}}",
    '<mml:math xmlns:mml="http://www.w3.org/1998/Math/MathML"><mml:mi>eGFR</mml:mi><mml:mo>=</mml:mo><mml:mn>142</mml:mn>'
    "<mml:mo>&#xd7;</mml:mo><mml:msup><mml:mn>0.9938</mml:mn><mml:mi>age</mml:mi></mml:msup></mml:math>",
)
