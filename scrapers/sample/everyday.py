"""Everyday encyclopaedic prose for the replay part of the sample world: rivers, bridges, bread, stars, towns."""

from __future__ import annotations

from scrapers.sample.draw import Draw, Writer, words

DOCUMENTS = 350


def subjects() -> list[tuple[int, str]]:
    """(kind, name) of everything that can be written about, kinds taken in turn."""
    kinds = words("everyday")["subject"]
    longest = max(len(kind["names"]) for kind in kinds)
    return [(k, kind["names"][n]) for n in range(longest) for k, kind in enumerate(kinds) if n < len(kind["names"])]


def document(seed: int, number: int) -> tuple[str, str]:
    """Title and text of document `number`: one thing at length, then another that lies near."""
    draw = Draw("everyday", seed, number)
    all_subjects = subjects()
    kind, name = all_subjects[number % len(all_subjects)]
    near_kind, near_name = all_subjects[(number * 31 + 5 + number // len(all_subjects)) % len(all_subjects)]
    main, near = _writer(draw, kind, name), _writer(draw, near_kind, near_name)
    lead = main.sentence("lead")
    rounds = number // len(all_subjects)
    paragraphs = [
        f"{lead} {main.paragraph('facts', 2)}",
        main.paragraph("facts", 3),
        f"{main.sentence('general')} {main.paragraph('facts', 3)}",
        f"{near.sentence('lead')} {near.paragraph('facts', draw.integer(3, 4))}",
        f"{near.paragraph('facts', 2)} {near.paragraph('general', 2)}",
        f"{main.sentence('question_lead')} {main.paragraph('facts', 1)} {main.paragraph('general', 2)}",
    ]
    title = name if not rounds else f"{name} and {near_name}"
    return title[:1].upper() + title[1:], "\n\n".join(paragraphs)


def _writer(draw: Draw, kind: int, name: str) -> Writer:
    found = words("everyday")
    subject = found["subject"][kind]
    slots = {
        "place": found["place"],
        "general": found["general"],
        "question_lead": found["question_lead"],
        "lead": subject["lead"],
        "facts": subject["facts"],
        "name": name,
        "Name": name[:1].upper() + name[1:],
        "year": lambda d: str(d.integer(1952, 2019)),
    }
    return Writer(draw, slots)
