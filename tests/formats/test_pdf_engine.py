"""The OCR engine itself on rendered scans: numbers, comparators, raised digits, tables. Run by `make test-ocr`."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from manifests.cards import find_card
from manifests.document import Document, Quarantined
from manifests.store import Store
from scrapers.formats.pdf import PdfText, pdf_reader_identity, pdf_to_text, read_here
from scrapers.sample.pdf import columns_pdf, lines_pdf, notes_pdf, table_pdf
from scrapers.sample.pdf_scan import scanned
from scrapers.source import Item, SourceConfig, load

pytest.importorskip("rapidocr", reason="the extra `ocr` is not installed: make test-ocr installs it")

TOKEN = re.compile(r"\d+(?:[.,]\d+)*|[<>=\u2264\u2265\xb1%\xb5]")
DOSES = [
    "Give amoxicillin 7.5 mg/kg every 8 h, never more than 1,500 mg a day.",
    "Stop it when potassium is >5.5 mmol/L or eGFR <30 mL/min (p = 0.001).",
    "Weight 12.4 \xb1 0.8 kg; loading dose 0.05 \xb5g/kg/min for 2 to 4 weeks.",
    "Blood pressure 120/80 mmHg, not below 90/60; HbA1c 48 mmol/mol (6.5%).",
]


def tokens(text: str) -> Counter[str]:
    return Counter(TOKEN.findall(text.replace("\u03bc", "\xb5")))


def by_ocr(data: bytes) -> PdfText:
    return pdf_to_text(data, reader="auto")


def test_every_number_comparator_and_unit_sign_of_a_clean_scan() -> None:
    data = lines_pdf([DOSES])
    found = by_ocr(scanned(data))
    assert tokens(found.text) == tokens(read_here(data).text)
    assert found.counts["extract.ocr_pages"] == 1
    assert found.measures["ocr_confidence_lowest"] > 0.95


def test_raised_digits_stay_raised() -> None:
    text = by_ocr(scanned(notes_pdf(), pages=1)).text
    assert "10^5" in text
    assert "10^-3" in text
    assert "105 " not in text


def test_columns_and_a_ruled_table_read_as_from_a_text_layer() -> None:
    columns = columns_pdf([f"{line} This is said once, in paragraph {n}." for n, line in enumerate(DOSES * 4)])
    plain, seen = read_here(columns).text, by_ocr(scanned(columns)).text
    order = re.compile(r"paragraph (\d+)")
    assert order.findall(seen) == order.findall(plain)
    table = table_pdf(
        [["Drug", "Dose", "Limit"], ["aspirin", "75 mg", "<4 g"], ["heparin", "5,000 IU", "\xb12%"]], ruled=True
    )
    rows = [line for line in read_here(table).text.splitlines() if line.startswith("|")]
    assert [line for line in by_ocr(scanned(table)).text.splitlines() if line.startswith("|")] == rows


def test_a_page_on_its_side_or_head_down_is_turned() -> None:
    data = lines_pdf([DOSES * 3])
    upright = by_ocr(scanned(data)).text
    assert tokens(upright) == tokens(read_here(data).text)
    for turn in (90, 180, 270):
        assert by_ocr(scanned(data, turn=turn)).text == upright


def test_scribble_is_put_aside_or_empty() -> None:
    from scrapers.formats.errors import Unreadable
    from scrapers.sample.pdf import scanned_pdf

    with pytest.raises(Unreadable, match=r"extract\.(no_text_layer|ocr_uncertain)"):
        by_ocr(scanned_pdf(1))


def test_the_same_bytes_in_another_process() -> None:
    code = (
        "from scrapers.formats.pdf import pdf_to_text; from scrapers.sample.pdf import lines_pdf; "
        "from scrapers.sample.pdf_scan import scanned; from tests_doses import DOSES; "
        "print(ascii(pdf_to_text(scanned(lines_pdf([DOSES])), reader='auto').text))"
    ).replace("from tests_doses import DOSES; ", f"DOSES = {DOSES!r}; ")
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == ascii(by_ocr(scanned(lines_pdf([DOSES]))).text)


def test_identity_names_versions_and_models() -> None:
    identity = pdf_reader_identity("auto")
    assert {"rapidocr", "onnxruntime", "pdf_engine"} <= set(identity)
    assert sum(name.endswith(".onnx") and len(digest) == 64 for name, digest in identity.items()) >= 2


def test_the_scan_of_the_sample_world_becomes_a_document_with_its_numbers(tmp_path: Path) -> None:
    from manifests.identity import canonical_json, sha256_hex
    from scrapers.sample import site_who

    planted = site_who.publications(7)[0]
    body = scanned(planted.body)
    (tmp_path / "scan.pdf").write_bytes(body)
    url = "https://www.who.int/publications/i/item/scanned"
    meta = {"landing_url": url, "language": "en", "published": "2021-05-04", "standing": "current", "title": "T"}
    item = Item("scanned", "scan.pdf", 0, len(body), sha256_hex(body), url, canonical_json(meta))

    def read(**options: str) -> Document | Quarantined:
        card = find_card("who")
        loader = load(SourceConfig("who", card.loader, card.kind, card.licence, options=options))
        (found,) = loader.read(item, Store(tmp_path), None)
        return found

    aside, document = read(), read(pdf_reader="auto")
    assert isinstance(aside, Quarantined)
    assert aside.reason == "extract.no_text_layer"
    assert isinstance(document, Document)
    assert tokens(document.text) == tokens(pdf_to_text(planted.body).text)
    assert document.counts["extract.ocr_pages"] == document.measures["ocr_pages"] == 3
