"""PDFs that a browser prints from pages of ours: columns, tables and lists as real typesetting lays them out."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from scrapers.formats.pdf import PdfText, read_here

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium to print pages with")

SENTENCES = [
    f"Drug {n} was given at {n}.5\u2013{n + 2} mg/kg every {n + 3} hours to hospitalised children with "
    f"values \u2265 {n + 30} and \u2264 {n + 60} mmHg (p &lt; 0.0{n % 9 + 1}, \xb1{n} \xb5g), "
    f"and its administration was well-tolerated."
    for n in range(1, 41)
]
PLAIN = [sentence.replace("&lt;", "<") for sentence in SENTENCES]
STYLE = (
    "<style>body{{font:10pt serif}} .c{{columns:{columns};text-align:justify;hyphens:auto;column-gap:20px}}"
    "table{{border-collapse:collapse;break-inside:avoid;margin:8px 0}} td,th{{padding:3px 9px;{border}}}</style>"
)
ROWS = [["Drug", "Dose", "Limit"], ["amoxicillin", "40\u201390 mg/kg", "3 g"], ["zinc", "", "\u2264 20 mg"]]


def printed(folder: Path, body: str, *, columns: int = 1, border: str = "border:1px solid black") -> PdfText:
    page, result = folder / "page.html", folder / "page.pdf"
    style = STYLE.format(columns=columns, border=border)
    page.write_text(f"<html lang=en><meta charset=utf-8>{style}<body>{body}</body></html>", encoding="utf-8")
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer"]
    command += [f"--user-data-dir={folder / 'profile'}", f"--print-to-pdf={result}", page.as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return read_here(result.read_bytes())


def table(rows: list[list[str]]) -> str:
    return "<table>" + "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows) + "</table>"


def pipes(rows: list[list[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_justified_hyphenated_columns_are_read_in_order(columns: int, tmp_path: Path) -> None:
    body = "<h1>Doses for children</h1><div class=c>" + "".join(f"<p>{one}</p>" for one in SENTENCES) + "</div>"
    found = printed(tmp_path, body, columns=columns)
    assert found.text.split("\n\n") == ["# Doses for children", *PLAIN]


@pytest.mark.parametrize("border", ["border:1px solid black", "border:0"], ids=["ruled", "without rules"])
@pytest.mark.parametrize("columns", [1, 2])
def test_tables_lists_headings_and_powers(columns: int, border: str, tmp_path: Path) -> None:
    items = "<ul><li>First 5 mg</li><li>Then 7.5 mg</li></ul>"
    prose = "".join(f"<p>{one}</p>" for one in SENTENCES[:12])
    body = (
        f"<h1>Guide</h1><div class=c><h2>Evidence</h2>{prose}<h2>Doses</h2>{items}<p>Up to 10<sup>\u22123</sup> of it, "
        f"or H<sub>2</sub>O.</p>{table(ROWS)}<p>{SENTENCES[12]}</p></div>"
    )
    found = printed(tmp_path, body, columns=columns, border=border).text
    assert found.split("\n\n") == [
        "# Guide",
        "## Evidence",
        *PLAIN[:12],
        "## Doses",
        "- First 5 mg\n- Then 7.5 mg",
        "Up to 10^\u22123 of it, or H2O.",
        pipes(ROWS),
        PLAIN[12],
    ]


def test_wrapped_cells_and_spans_of_a_ruled_table(tmp_path: Path) -> None:
    body = (
        "<style>table{width:380px}</style><table><tr><th rowspan=2>Drug<th colspan=2>Dose in mg</tr>"
        "<tr><th>Start<th>Most</tr><tr><td>amoxicillin with "
        "clavulanic acid in one tablet<td>500/125 every 12 hours<td>875/125</tr></table>"
    )
    assert printed(tmp_path, body).text == (
        "| Drug | Dose in mg | Dose in mg |\n| --- | --- | --- |\n| Drug | Start | Most |\n"
        "| amoxicillin with clavulanic acid in one tablet | 500/125 every 12 hours | 875/125 |"
    )
