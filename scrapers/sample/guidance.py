"""Written guidelines: one condition, one side of it, filled from patterns written for medtrove.

They read like guidance and are none.
"""

from __future__ import annotations

from typing import Any

from scrapers.sample.blocks import Block, Guideline, slug
from scrapers.sample.draw import Draw, Writer, words
from scrapers.sample.medical import medical_writer, topics

_SECTIONS = (
    ("Diagnosis", "diagnosis"),
    ("Treatment", "treatment"),
    ("Monitoring", "monitoring"),
    ("Harms of treatment", "safety"),
    ("Particular groups", "special"),
    ("When to refer", "referral"),
    ("Putting it into practice", "implementation"),
)
_JOURNALS = (
    "J Synth Med",
    "Ann Invented Ther",
    "Sample Clin Rev",
    "Bull Imag Health",
    "Model Med J",
    "Proc Example Soc",
)


def written_guideline(publisher: str, seed: int, number: int) -> Guideline:
    """Guideline `number` of `publisher`: every publisher writes about each condition once, from another side."""
    offset = {"cps": 0, "magic": 3, "cdc": 7}.get(publisher, 11)
    known = topics()
    topic = known[(number + offset * 3) % len(known)]
    draw = Draw("guideline", publisher, seed, number)
    writer = medical_writer(draw, topic)
    aspect = words("medical")["aspects"][(number + offset) % len(words("medical")["aspects"])]
    condition = str(topic["condition"])
    title = f"{condition[:1].upper()}{condition[1:]}: {aspect[:1].lower()}{aspect[1:]}"
    year = draw.integer(2013, 2024)
    published = f"{year}-{draw.integer(1, 12):02d}-{draw.integer(1, 28):02d}"
    updated = f"{year + 1}-{draw.integer(1, 12):02d}-{draw.integer(1, 28):02d}" if draw.chance(40) else ""
    return Guideline(
        slug=slug(title),
        title=title,
        published=published,
        updated=updated,
        language="en",
        status="archived" if number % 9 == 8 else "current",
        blocks=tuple(_blocks(writer, topic)),
    )


def _blocks(writer: Writer, topic: dict[str, Any]) -> list[Block]:
    draw = writer.draw
    blocks = [Block("paragraph", writer.paragraph("intro", 3)), Block("paragraph", writer.paragraph("burden", 2))]
    blocks.append(Block("heading2", draw.choice(("Key recommendations", "Summary of recommendations", "Main points"))))
    blocks.append(Block("bullets", tuple(writer.sentence("treatment") for _ in range(draw.integer(3, 4)))))
    for title, role in draw.sample(_SECTIONS[:3], 3) + draw.sample(_SECTIONS[3:], 2):
        blocks.append(Block("heading2", title))
        blocks.append(Block("paragraph", writer.paragraph(role, draw.integer(3, 4))))
        if role == "treatment":
            blocks.append(Block("heading3", draw.choice(("Doses", "Drugs and doses", "Dose table"))))
            blocks.append(Block("table", dose_table(writer, topic)))
        elif draw.chance(45):
            blocks.append(Block("heading3", draw.choice(("In detail", "What to look for", "Points to note"))))
            blocks.append(Block("bullets", tuple(writer.sentence(role) for _ in range(2))))
    blocks.append(Block("heading2", "References"))
    blocks += [Block("reference", reference(writer)) for _ in range(draw.integer(3, 6))]
    return blocks


def dose_table(writer: Writer, topic: dict[str, Any]) -> tuple[tuple[str, ...], ...]:
    """Rows of drug, starting dose, largest dose, how often, and what to check."""
    rows: list[tuple[str, ...]] = [("Drug", "Starting dose", "Maximum dose", "Frequency", "Check")]
    for line in topic["drugs"]:
        name, low, high, frequency = line.split("|")
        rows.append((name, low, high, frequency, writer.deal("test")))
    return tuple(rows)


def reference(writer: Writer) -> str:
    """One entry of a list of references."""
    draw = writer.draw
    names = [f"{draw.choice(_SURNAMES)} {draw.choice('ABCDEFGHJKLMNPRSTW')}" for _ in range(draw.integer(2, 4))]
    subject = writer.fill(
        "{drug} and {complication} in {condition}: a {randomised trial|cohort study|systematic review}"
    )
    first, volume = draw.integer(1, 890), draw.integer(3, 74)
    return (
        f"{', '.join(names)}. {subject[:1].upper()}{subject[1:]}. {draw.choice(_JOURNALS)}. "
        f"{draw.integer(2004, 2023)};{volume}({draw.integer(1, 12)}):{first}-{first + draw.integer(3, 14)}."
    )


_SURNAMES = (
    "Abernathy", "Bexley", "Corvane", "Dunmore", "Estrand", "Fallowes", "Gravesby", "Hollinger", "Ivarsen", "Jellicoe",
    "Kestrel", "Lindqvar", "Marchbank", "Norvold", "Ostermere", "Pellham", "Quarrie", "Rossmore", "Selwick", "Tarrant",
)  # fmt: skip
