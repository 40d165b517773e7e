from __future__ import annotations

import json
import traceback
from collections import defaultdict
from pathlib import Path

import pytest

from filters.phi import check
from filters.phi.check import find, phi_rule
from filters.phi.finding import ENTITIES
from filters.phi.policy import Policy, load_policy, parse_policy, shipped
from filters.rule import Drop, Edit, Keep, build
from manifests.document import Document
from manifests.errors import CorpusError, RecipeError

_CANARIES = ("Quillfeather", "4827193", "03/14/1958", "(919) 555-0142", "zq.canary@example.org")
_NOTE = (
    "PATIENT: John Quillfeather\nMRN: 4827193\nDOB: 03/14/1958\n\nMr. Quillfeather is a 67-year-old man, BP 169/74. "
    "Reach him at (919) 555-0142 or zq.canary@example.org.\n"
)


def _document(text: str, doc_id: str = "mimic-iv-note:1-DS-2") -> Document:
    return Document(doc_id, "mimic-iv-note", "note", text, restricted=True)


def test_a_note_with_identifiers_leaves_and_takes_them_along() -> None:
    verdict = phi_rule(policy="note")(_document(_NOTE))
    assert isinstance(verdict, Drop)
    assert verdict.reason == "phi.direct_identifier"
    assert verdict.fields == {"phi_action": "drop", "phi_count": 6}
    assert verdict.counts == {"phi.DATE": 1, "phi.EMAIL": 1, "phi.ID": 1, "phi.NAME": 2, "phi.PHONE": 1}
    assert verdict.measures == {"findings": 6.0, "confident": 6.0}
    shown = repr(verdict) + repr(find(_NOTE, load_policy("note")))
    assert not [canary for canary in _CANARIES if canary in shown]


def test_a_clean_note_stays_and_its_placeholders_are_typed() -> None:
    rule = phi_rule(policy="note")
    kept = rule(_document("Seen ___ for cough. BP 120/80."))
    assert isinstance(kept, Keep)
    assert kept.fields == {"phi_action": "keep", "phi_count": 0}
    typed = rule(_document("Seen by [**Last Name (STitle) 12**] for cough."))
    assert isinstance(typed, Edit)
    assert typed.text == "Seen by [NAME] for cough."
    assert typed.counts == {"phi.placeholder_NAME": 1}


def test_a_weak_hit_is_flagged() -> None:
    verdict = phi_rule(policy="note")(_document("Surgery in March 2019 went well."))
    assert isinstance(verdict, Keep)
    assert verdict.fields == {"phi_action": "flag", "phi_count": 1}


def test_literature_loses_contact_lines_alone() -> None:
    text = (
        "# A trial\n\nCorrespondence: Dr. Ann Author, Tel. +44 20 7946 0958, a.author@example.org. NCT01234567, "
        "5 May 2020, EC 3.4.21.62, accession number KT878716."
    )
    verdict = phi_rule(policy="literature")(_document(text))
    assert isinstance(verdict, Edit)
    assert verdict.text == text.replace("+44 20 7946 0958", "[PHONE]").replace("a.author@example.org", "[EMAIL]")
    assert verdict.fields["phi_action"] == "redact"


def test_a_very_old_patient_is_flagged_only_beside_a_date() -> None:
    rule = phi_rule(policy="literature")
    together = rule(_document("A 94-year-old woman was admitted on 5 May 2019."))
    apart = rule(_document("A 94-year-old woman was admitted.\n\nReceived 5 May 2019."))
    assert together.fields == {"phi_action": "flag", "phi_count": 2}
    assert apart.fields == {"phi_action": "keep", "phi_count": 0}


def test_redaction_leaves_the_rest_to_the_letter() -> None:
    text = "Ünïcödé\u200b – call +41 69 979 80 58; café@example.org\nend ≤ 5 mg"
    verdict = phi_rule(policy="web")(_document(text))
    assert isinstance(verdict, Edit)
    assert verdict.text == "Ünïcödé\u200b – call [PHONE]; [EMAIL]\nend ≤ 5 mg"
    again = phi_rule(policy="web")(_document(verdict.text))
    assert isinstance(again, Keep)
    assert again.fields["phi_count"] == 0


def test_an_error_names_the_document_and_nothing_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(text: str, policy: Policy) -> object:
        raise ValueError(text)

    monkeypatch.setattr(check, "judge", fail)
    with pytest.raises(CorpusError) as caught:
        phi_rule(policy="note")(_document(_NOTE))
    shown = "".join(traceback.format_exception(caught.value))
    assert "mimic-iv-note:1-DS-2" in shown
    assert "ValueError" in shown
    assert not [canary for canary in _CANARIES if canary in shown]


def test_every_shipped_policy_loads() -> None:
    assert shipped() == ["guideline", "literature", "note", "web"]
    for name in shipped():
        assert load_policy(name).entities <= set(ENTITIES)
        assert callable(build("phi.check", {"policy": name}))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"entities": ["NAME"], "on_confident": "drop", "on_weak": "flag", "colour": 1}, "'colour'"),
        ({"entities": ["NAMES"], "on_confident": "drop", "on_weak": "flag"}, "'NAMES'"),
        ({"entities": ["NAME"], "on_confident": "erase", "on_weak": "flag"}, "'erase'"),
        ({"entities": ["NAME"], "on_confident": "drop"}, "'on_weak' is missing"),
    ],
)
def test_a_wrong_policy_is_named(table: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        parse_policy(table, name="x", where="x.toml")


def test_a_policy_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('entities = ["EMAIL"]\non_confident = "redact"\non_weak = "keep"\n')
    verdict = phi_rule(policy=str(path))(_document("a@example.org 123-45-6789"))
    assert isinstance(verdict, Edit)
    assert verdict.text == "[EMAIL] 123-45-6789"
    with pytest.raises(RecipeError, match="no PHI policy called 'nothing'"):
        phi_rule(policy="nothing")


_TITLE = (
    "Dr. ",
    "Mr. ",
    "Mrs. ",
    "Ms. ",
    "Patient ID: ",
    "Site ID: ",
    "patient ID: ",
    "patient ID #",
    "patient ID ",
    "case #",
)


def _gold_start(span: dict[str, object]) -> int:
    """Where the identifier begins: some sources mark the title or the cue as part of it."""
    text, start = str(span["text"]), int(str(span["start"]))
    return next((start + len(title) for title in _TITLE if text.startswith(title) and len(text) > len(title)), start)


@pytest.mark.parametrize("name", ["asq_phi", "presidio_synth_v2"])
def test_recall_does_not_fall(real_pack: Path, name: str) -> None:
    floors = json.loads((Path(__file__).parents[1] / "gates" / "phi.json").read_text(encoding="utf-8"))[name]
    policy = load_policy("note")
    hit: defaultdict[str, int] = defaultdict(int)
    gold: defaultdict[str, int] = defaultdict(int)
    over_redacted = 0
    for line in (real_pack / "phi" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if not any(span["label"] in floors for span in row["spans"]):
            if not row["spans"]:
                over_redacted += any(finding.score >= policy.confident_from for finding in find(row["text"], policy))
            continue
        findings = find(row["text"], policy)
        for span in row["spans"]:
            if span["label"] in floors:
                start, end = _gold_start(span), span["end"]
                covered = sum(max(0, min(f.end, end) - max(f.start, start)) for f in findings)
                gold[span["label"]] += 1
                hit[span["label"]] += 2 * covered >= end - start
    assert over_redacted == 0
    for label, floor in floors.items():
        assert hit[label] >= floor * gold[label], f"{label}: {hit[label]} of {gold[label]}"


def test_medical_prose_is_left_alone(real_texts: dict[str, list[str]]) -> None:
    rule = phi_rule(policy="literature")
    for kind in ("abstract", "article"):
        edited = sum(isinstance(rule(_document(text)), Edit) for text in real_texts[kind])
        assert edited <= 0.05 * len(real_texts[kind])
