"""Guidelines planted in the sample world on purpose: each is there for one rule of the corpus to find."""

from __future__ import annotations

import re
from dataclasses import replace

from scrapers.sample.blocks import Block, Guideline, slug
from scrapers.sample.draw import Draw, words
from scrapers.sample.guidance import written_guideline
from scrapers.sample.medical import topics

_REWRITTEN = 4
"""The statement at CPS that took the place of another, in other words."""
_DOSE = re.compile(r"\b(\d+(?:\.\d+)?)(?= (?:mg|micrograms|g)\b)")


def planted_guidelines(publisher: str, seed: int, written: list[Guideline]) -> list[Guideline]:
    """What is planted at `publisher`; `written` are its own guidelines."""
    if publisher == "cps":
        return [_french(seed), _stub(), *_dose_variants(seed), _former_version(seed)]
    if publisher == "magic":
        # The publisher that republishes: word for word, and with a changed sentence here and there.
        return [
            replace(written_guideline("cps", seed, 2), plant="exact:1"),
            replace(_lightly_edited(written_guideline("cps", seed, 5)), plant="near:1"),
        ]
    if publisher == "cdc":
        twin = written[4]
        edited = _lightly_edited(twin)
        title = f"{twin.title} (reissued)"
        return [replace(edited, title=title, slug=slug(title), plant="near:2")]
    return []


def partners(publisher: str, seed: int) -> dict[str, str]:
    """Slugs of the written guidelines that a plant of some publisher copies: plant name -> slug."""
    if publisher == "cps":
        copied = {"exact:1": 2, "near:1": 5, "version:1": _REWRITTEN}
        return {plant: written_guideline("cps", seed, number).slug for plant, number in copied.items()}
    if publisher == "cdc":
        return {"near:2": written_guideline("cdc", seed, 4).slug}
    return {}


def _lightly_edited(guideline: Guideline) -> Guideline:
    """The same numbers and nearly the same words: one linking word added in a few paragraphs."""
    blocks: list[Block] = []
    n_paragraphs = 0
    for block in guideline.blocks:
        if block.kind == "paragraph" and isinstance(block.value, str):
            n_paragraphs += 1
            if n_paragraphs in (2, 5):
                blocks.append(Block("paragraph", f"{block.value} This advice was confirmed at the last review."))
                continue
        blocks.append(block)
    return replace(guideline, blocks=tuple(blocks))


def _dose_variants(seed: int) -> list[Guideline]:
    """Two sheets with the same words and other doses: both must stay in the corpus."""
    base = written_guideline("dose", seed, 0)
    adult = replace(base, title=f"{base.title} (adult doses)", plant="dose:1")
    child = replace(base, title=f"{base.title} (adult doses)", plant="dose:1", blocks=tuple(map(_halved, base.blocks)))
    return [replace(adult, slug=slug(adult.title) + "-a"), replace(child, slug=slug(child.title) + "-b")]


def _former_version(seed: int) -> Guideline:
    """What another statement replaced: the same condition years before, hardly a sentence in common, another name."""
    later = written_guideline("cps", seed, _REWRITTEN)
    # Other publishers go through the same conditions 33 further on.
    former = written_guideline("cps before", seed, (_REWRITTEN - 33) % len(topics()))
    title = f"{later.title.partition(':')[0]}: position statement"
    return replace(
        former,
        slug=slug(title),
        title=title,
        published=f"{int(later.published[:4]) - 6}{later.published[4:]}",
        updated="",
        status="superseded",
        plant="version:1",
        successor=later.slug,
    )


def _halved(block: Block) -> Block:
    def text(value: str) -> str:
        return _DOSE.sub(lambda found: f"{float(found[1]) / 2:g}", value)

    if isinstance(block.value, str):
        return block if block.kind == "reference" else Block(block.kind, text(block.value))
    if block.kind == "table":
        return Block("table", tuple(tuple(text(cell) for cell in row) for row in block.value))
    return Block(block.kind, tuple(text(str(item)) for item in block.value))


def _french(seed: int) -> Guideline:
    draw = Draw("french", seed)
    pages = words("french")
    return Guideline(
        slug=slug(pages["title"]),
        title=pages["title"],
        published="2019-05-06",
        updated="",
        language="fr",
        status="current",
        blocks=(
            *(Block("paragraph", text) for text in pages["paragraphs"][:2]),
            Block("heading2", pages["heading"]),
            *(Block("paragraph", text) for text in draw.sample(pages["paragraphs"][2:], 4)),
        ),
        plant="french",
    )


def _stub() -> Guideline:
    return Guideline(
        slug="sinusitis-a-practice-point",
        title="Sinusitis: a practice point",
        published="2016-02-01",
        updated="",
        language="en",
        status="current",
        blocks=(Block("paragraph", "This practice point is being revised. Please come back later."),),
        plant="stub",
    )
