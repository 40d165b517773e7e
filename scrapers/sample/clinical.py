"""Notes in the shape of MIMIC-IV-Note: discharge summaries and radiology reports of invented patients.

As in the original, what was an identifier is `___`, lines wrap near 75 characters, the first line of a discharge
summary is a single space, and dates lie in the 2100s. A few notes are planted with identifiers that slipped through.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Any

from scrapers.sample.draw import Draw, Writer, words
from scrapers.sample.medical import medical_writer, topics

PATIENTS = 16
FIRST_SUBJECT = 19_990_001


@dataclass(frozen=True, slots=True)
class Note:
    """One row of `discharge.csv` or `radiology.csv`."""

    note_id: str
    """`{subject_id}-{DS|RR}-{note_seq}`."""
    subject_id: str
    hadm_id: str
    note_type: str
    note_seq: int
    charttime: str
    storetime: str
    text: str


def notes(seed: int) -> list[Note]:
    """Two or three discharge summaries and one or two radiology reports of each patient, in patient order."""
    made: list[Note] = []
    for patient in range(PATIENTS):
        draw = Draw("patient", seed, patient)
        topic = topics()[(patient * 2 + 1) % len(topics())]
        made += _patient_notes(draw, topic, str(FIRST_SUBJECT + patient * 17))
    return made


def _patient_notes(draw: Draw, topic: dict[str, Any], subject: str) -> list[Note]:
    year, female, made = draw.integer(2112, 2191), draw.chance(50), []
    for stay in range(draw.integer(2, 3)):
        month, day = draw.integer(1, 12), draw.integer(1, 20)
        hadm = str(29_900_000 + draw.integer(1, 99_999))
        made.append(
            _row(
                subject,
                hadm,
                "DS",
                stay + 2,
                (year + stay, month, day),
                _discharge(_writer(draw, topic), female=female),
            )
        )
    for number in range(draw.integer(1, 2)):
        hadm = "" if draw.chance(40) else hadm
        made.append(_row(subject, hadm, "RR", number + 5, (year, month, day), _radiology(_writer(draw, topic))))
    return made


def _writer(draw: Draw, topic: dict[str, Any]) -> Writer:
    """A fresh one for each note, so that no phrase comes twice in one."""
    return medical_writer(draw, topic, "notes")


def _row(subject: str, hadm: str, kind: str, sequence: int, date: tuple[int, int, int], text: str) -> Note:
    year, month, day = date
    chart = f"{year:04d}-{month:02d}-{day:02d} {(sequence * 5) % 24:02d}:{(sequence * 13) % 60:02d}:00"
    store = f"{year:04d}-{month:02d}-{day + 2:02d} {(sequence * 7) % 24:02d}:11:00"
    return Note(f"{subject}-{kind}-{sequence}", subject, hadm, kind, sequence, chart, store, text)


def _wrapped(text: str) -> str:
    return "\n".join(textwrap.fill(line, 75, break_long_words=False) for line in text.split("\n"))


def _discharge(writer: Writer, *, female: bool) -> str:
    draw = writer.draw
    home = [f"{writer.deal('drugdose')}" for _ in range(3)]
    systems = ("general", "heent", "cv", "lungs", "abdomen", "ext", "neuro")
    exam = [f"{name.upper()}: {writer.sentence(f'exam_{name}')}" for name in systems]
    history = writer.paragraph("hpi", draw.integer(5, 7))
    lines = [
        " ",
        "Name:  ___                     Unit No:   ___",
        " ",
        "Admission Date:  ___              Discharge Date:   ___",
        " ",
        f"Date of Birth:  ___             Sex:   {'F' if female else 'M'}",
        " ",
        f"Service: {writer.deal('service')}",
        " ",
        f"Allergies: \n{writer.deal('allergy')}",
        " ",
        "Attending: ___.",
        " ",
        f"Chief Complaint:\n{writer.sentence('complaint')}",
        " ",
        f"Major Surgical or Invasive Procedure:\n{writer.sentence('procedure')}",
        " ",
        f"History of Present Illness:\n{_wrapped(_gendered(history, female=female))}",
        " ",
        "Past Medical History:\n" + "\n".join(f"- {writer.sentence('past')}" for _ in range(draw.integer(3, 5))),
        " ",
        "Social History:\n___",
        f"Family History:\n{writer.sentence('family')}",
        " ",
        "Physical Exam:\n" + "\n".join(exam),
        " ",
        "Pertinent Results:\n" + "\n".join(_labs(draw)),
        " ",
        "Brief Hospital Course:\n" + "\n".join(_wrapped(writer.sentence("course")) for _ in range(draw.integer(5, 7))),
        " ",
        "Medications on Admission:\n" + "\n".join(f"{n}. {drug}" for n, drug in enumerate(home, 1)),
        " ",
        "Discharge Medications:\n" + "\n".join(f"{n}. {writer.deal('drugdose')}" for n in range(1, draw.integer(3, 4))),
        " ",
        f"Discharge Disposition:\n{writer.deal('disposition')}",
        " ",
        f"Discharge Diagnosis:\nPrimary: {writer.deal('condition')}\nSecondary: {writer.deal('complication')}",
        " ",
        f"Discharge Condition:\n{writer.deal('condition_at')}",
        " ",
        f"Discharge Instructions:\nDear {'Ms.' if female else 'Mr.'} ___,\n"
        + _wrapped(writer.paragraph("instructions", draw.integer(4, 5))),
        " ",
        f"Followup Instructions:\n{_wrapped(writer.paragraph('followup', 2))}",
    ]
    return "\n".join(lines) + "\n"


def _gendered(text: str, *, female: bool) -> str:
    """Patterns choose `She` or `He` at random; one patient is one of them."""
    pairs = (("She ", "He "), (" she ", " he "), (" her ", " his "), (" woman", " man"))
    for hers, his in pairs:
        text = text.replace(his, hers) if female else text.replace(hers, his)
    return text


def _labs(draw: Draw) -> list[str]:
    ranges = words("labs")["lab"]
    return [
        "___ 06:45AM BLOOD "
        + " ".join(
            f"{lab['name']}-{draw.integer(lab['low'], lab['high']) / lab['scale']:g}{'*' if draw.chance(20) else ''}"
            for lab in draw.sample(ranges, 6)
        )
        for _ in range(draw.integer(2, 4))
    ]


def _radiology(writer: Writer) -> str:
    draw = writer.draw
    return "\n".join(
        [
            f"EXAMINATION:  {writer.deal('rad_exam')}",
            " ",
            f"INDICATION:  {_wrapped(writer.sentence('rad_history'))}",
            " ",
            f"COMPARISON:  {writer.deal('rad_comparison')}",
            " ",
            "FINDINGS: ",
            " ",
            _wrapped(writer.paragraph("rad_findings", draw.integer(4, 6))),
            " ",
            "IMPRESSION: ",
            " ",
            "\n".join(f"{n}.  {_wrapped(writer.sentence('rad_impression'))}" for n in (1, 2)),
            "",
        ]
    )
