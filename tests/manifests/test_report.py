"""The report: one self-contained page, the same bytes for the same build, nothing of a restricted document on it."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from manifests.build import mixture
from manifests.figures import Flow, compact, flow_svg, histogram_svg
from manifests.report import write_report
from manifests.store import Store
from manifests.tables import small_cell, written
from manifests.verify import verify

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


class Page(HTMLParser):
    """Tags with attributes, headings, and the text, of a page that must be well-formed."""

    VOID = frozenset(("meta", "input", "br", "link", "img", "line", "rect"))

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag in self.VOID:
            return
        assert self.open.pop() == tag, f"{tag} is closed out of order at line {self.getpos()}"

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture(scope="module")
def build(true_build: Store, tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("report") / "toy"
    shutil.copytree(true_build.local(), folder)
    store = Store(folder, mode=0o600)
    write_report(store)
    return store


@pytest.fixture(scope="module")
def html(build: Store) -> str:
    return build.read_bytes("report.html").decode()


def test_the_page_is_well_formed_and_refers_to_nothing_outside(html: str) -> None:
    page = Page(html)
    assert page.open == []
    assert not [tag for tag, _ in page.tags if tag in ("script", "link", "img", "iframe", "object")]
    for _, attributes in page.tags:
        assert "src" not in attributes
        assert (attributes.get("href") or "#").startswith("#")
    assert not re.search(r"url\(|@import|//[a-z]+\.[a-z]", re.sub(r"https?://\S+", "", html))
    anchors = {attributes["href"] for tag, attributes in page.tags if tag == "a"}
    ids = {f"#{attributes['id']}" for _, attributes in page.tags if "id" in attributes}
    assert anchors <= ids


def test_the_same_build_gives_the_same_bytes(build: Store, html: str) -> None:
    write_report(build)
    assert build.read_bytes("report.html").decode() == html
    run = build.read_bytes("manifest/run.jsonl").decode()
    assert '"host":"toy"' in run
    assert "2026-01-01T" in run
    assert "2026-01-01T" not in html


def test_a_report_does_not_make_the_build_lie(build: Store) -> None:
    assert [check.name for check in verify(build) if not check.ok] == []
    assert build.local("report.html").stat().st_mode & 0o077 == 0


def test_nothing_of_a_restricted_document_is_on_the_page(build: Store, html: str) -> None:
    with build.reading("manifest/documents.parquet") as stream:
        rows = pq.read_table(stream).to_pylist()
    assert any(row["restricted"] for row in rows)
    for row in rows:
        if row["restricted"]:
            assert row["doc_id"] not in html
            assert row["subject"] not in html
    assert "broken-0" in html
    assert not re.search(r"wards</th>\s*<td>broken", html)
    assert "&lt;11" in html


def test_titles_are_escaped(html: str) -> None:
    assert "its &lt;limits&gt;" in html
    assert "its <limits>" not in html


def test_every_figure_has_a_table_and_every_section_a_takeaway(html: str) -> None:
    sections = re.split(r"<section id=", html)[1:]
    assert len(sections) == 15
    for section in sections:
        assert 'class="takeaway"' in section
        if "<figure" in section or "<svg" in section:
            assert "<table>" in section, section[:60]
    assert html.count('role="img"') == html.count("<svg")


def test_sections_are_in_the_order_of_a_reviewers_questions(html: str) -> None:
    ids = re.findall(r'<section id="([a-z]+)"', html)
    assert ids == ["flow", "reasons", "mixture", "repeats", "lengths", "languages", "licences", "identifiers",
                   "duplicates", "removed", "quarantine", "sources", "samples", "provenance", "checks"]  # fmt: skip


def test_numbers_are_the_manifests(build: Store, html: str) -> None:
    text = " ".join("".join(Page(html).text).split())
    for row in mixture(build)["sources"]:
        assert f"{row['effective_tokens']:,}" in text
        assert f"{row['realised_share']:.2%}" in text
    totals = build.read_json("corpus.json")["totals"]
    assert f"{totals['documents_kept']:,} of {totals['documents_in']:,} documents were kept" in text
    assert "checks, all hold" in text
    assert build.read_json("corpus.json")["digests"]["documents.parquet"] in text


def test_a_failed_check_is_the_first_thing_said(build: Store, tmp_path: Path) -> None:
    folder = tmp_path / "lying"
    shutil.copytree(build.local(), folder)
    lying = Store(folder, mode=0o600)
    lying.remove("shards/shard-00000.arrow")
    write_report(lying)
    page = lying.read_bytes("report.html").decode()
    head = page[: page.index("<section")]
    assert re.search(r'class="verdict bad">\d+ of \d+ checks failed', head)
    assert "no shard-00000.arrow" in page


def test_an_open_build_of_one_source_without_drops(tmp_path: Path, tools: Any) -> None:
    toy = tools.Toy("only", "abstract", 12, 30, drops={}, duplicates=0.0)
    build = tools.make_build(tmp_path / "one", (toy,))
    write_report(build)
    page = build.read_bytes("report.html").decode()
    assert "Nothing was dropped." in page
    assert "Everything could be read." in page
    assert "Restricted." not in page


def test_compact_has_at_most_four_digits() -> None:
    found = [compact(n) for n in (0, 7, 999, 1000, 1234, 99_950, 999_600, 12_345_678, 129_000_000_000, 2.5e12)]
    assert found == ["0", "7", "999", "1k", "1.23k", "100k", "1M", "12.3M", "129B", "2.5T"]


def test_forms_of_values() -> None:
    assert [written(*pair) for pair in ((1234, "count"), (0.12345, "share"), (-0.0012, "points"), (None, "count"))] == [
        "1,234", "12.35%", "-0.120", ""]  # fmt: skip
    assert [small_cell(n, restricted=True) for n in (0, 1, 10, 11)] == [0, "<11", "<11", 11]
    assert small_cell(3, restricted=False) == 3


def test_flow_bands_are_in_proportion_and_tell_their_numbers() -> None:
    flow = Flow(("clean", "dedup"), {"a<b": [1000, 900, 500], "tiny": [1, 1, 0]}, {"a<b": 0, "tiny": 13})
    svg = flow_svg(flow, width=600, height=100, label="x")
    heights = [float(h) for h in re.findall(r'class="s0" [^>]*height="([\d.]+)"', svg)]
    assert heights[0] == pytest.approx(100, rel=0.01)
    assert heights[2] == pytest.approx(heights[0] / 2, rel=0.01)
    assert "a&lt;b: 400 dropped at dedup" in svg
    assert "tiny: 1 dropped at dedup" in svg
    assert 'class="s1"' in svg
    assert Page(svg).open == []


def test_histogram_has_one_bar_per_power_and_the_tallest_is_full() -> None:
    svg = histogram_svg({4: 10, 6: 5, 7: 1}, first=4, last=8, hue=2, label="x")
    assert svg.count('<rect class="s2"') == 3
    assert "10 documents of 16 to 31 tokens" in svg


def _widths(html: str, folder: Path, width: int) -> Iterator[int]:
    script = (
        "<script>document.title = [document.documentElement.scrollWidth, document.documentElement.clientWidth].join()"
        "</script></body>"
    )
    frame = f'<!doctype html><body style="margin:0"><iframe src="page.html" width="{width}" height="900"></iframe>'
    # Chromium keeps windows at least 500 pixels wide; a frame can be narrower.
    (folder / "page.html").write_text(html.replace("</body>", script), encoding="utf-8")
    (folder / "frame.html").write_text(
        frame + "<script>onload = () => document.title = frames[0].document.title</script>", encoding="utf-8"
    )
    command = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
        "--allow-file-access-from-files", "--virtual-time-budget=2000", "--dump-dom", str(folder / "frame.html"),
    ]  # fmt: skip
    dom = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    found = re.search(r"<title>(\d+),(\d+)</title>", dom)
    assert found, dom[:300]
    yield from (int(number) for number in found.groups())


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: page widths need a browser")
@pytest.mark.parametrize("width", [400, 1280])
def test_the_page_never_scrolls_sideways(html: str, tmp_path: Path, width: int) -> None:
    needed, there = _widths(html, tmp_path, width)
    assert needed <= there
    assert abs(there - width) < 30
