"""A publisher of our own, with its server, card, filter and recipe: a corpus small enough for every test."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

TOY_LOADER = '''
"""The whole of a new publisher: where its guidelines are, and how a page is read."""
from bs4 import BeautifulSoup

from manifests.document import Document
from scrapers.capture import Wanted, capture
from scrapers.formats.html import html_to_text
from scrapers.snapshot import payload


class Loader:
    def __init__(self, config):
        self.config = config

    def acquire(self, context):
        def discover(listing):
            page = BeautifulSoup(listing.page("https://toy.example/guidelines"), "lxml")
            for link in page.select("a.guideline"):
                yield Wanted(item=link["id"], url="https://toy.example" + link["href"])

        capture(context, source=self.config.source, snapshot=self.config.snapshot, discover=discover)

    def read(self, item, raw, resolved):
        page = html_to_text(payload(raw, item), root="article")
        yield Document(
            doc_id=f"{self.config.source}:{item.item}",
            source=self.config.source,
            kind=self.config.kind,
            text=page.text,
            title=page.title,
            url=item.url,
            licence=self.config.licence,
            licence_evidence="card",
            raw_ref=item.sha256,
        )
'''

TOY_CARD = """
id = "toy"
title = "Toy guidelines"
publisher = "The Toy Society"
kind = "guideline"
loader = "toy_publisher:Loader"
homepage = "https://toy.example/"
licence = "CC-BY-4.0"
redistribution = true
terms_quote = "You may copy, share and adapt the guidelines, with attribution."
terms_url = "https://toy.example/terms"
terms_read = 2026-11-01
access = "open"
restricted = false
default_on = true
robots = "obeyed"
contact = "editor@toy.example"
phi_policy = "guideline"
hosts = ["toy.example"]
verified_live = false

[licence_class]
use = "commercial"
attribution = true
share_alike = false
"""

TOY_FILTER = '''
"""The whole of a new filter: drop what mentions leeches too often."""
from filters.rule import Drop, Keep


def leeches(*, max_mentions=0):
    def rule(document):
        n = document.text.casefold().count("leech")
        if n > max_mentions:
            return Drop("custom.leeches", n, max_mentions, {"mentions": n})
        return Keep({"mentions": n})

    return rule
'''

TOY_RECIPE = """
name = "toy"
description = "A toy publisher and a toy filter."
[routes]
"toy.example" = "127.0.0.1:{port}"
[network]
contact = "tests@toy.example"
[sources.toy]
card = "toy.toml"
snapshot = "one"
max_epochs = 4
options = {{ delay_seconds = 0.0 }}
[[rules]]
rule = "clean.text"
[[rules]]
rule = "quality.words"
parameters = {{ min_words = 20 }}
[[rules]]
rule = "toy_filter:leeches"
parameters = {{ max_mentions = 1 }}
[dedup]
[tokenizer]
file = "package://scrapers/sample/tokenizer.json"
[mixture]
sequence_length = 64
total_tokens = "{total}"
rows_per_shard = 16
seed = 3
"""

WORDS = """
offer check monitor review start stop reduce increase measure record adult child patient kidney liver heart
lung pressure glucose sodium potassium aspirin metformin ramipril warfarin daily weekly before after within
"""


def guideline(number: int) -> str:
    """Invented prose, different for each number."""
    draw, choices = random.Random(number), WORDS.split()
    sentences = []
    for _ in range(draw.randint(12, 30)):
        words = " ".join(draw.choice(choices) for _ in range(draw.randint(8, 14)))
        sentences.append(f"The clinician should {words} if it is below {draw.randint(2, 900)} mg in the morning.")
    return "</p><p>".join(sentences)


def pages() -> dict[str, str]:
    """Path -> HTML of the toy publisher: 24 guidelines, two copies, a short one and one about leeches."""
    texts = {f"g{number}": guideline(number) for number in range(24)}
    texts["copy"] = texts["g3"]
    texts["reflowed"] = texts["g5"].replace("The clinician", "the  clinician")
    texts["dose"] = texts["g7"].replace(" mg", "0 mg")
    texts["short"] = "Too short to keep."
    texts["leeches"] = texts["g1"].replace("aspirin", "leech") + "</p><p>Leech leech leech, they said in the old days."
    links = "".join(f'<li><a class="guideline" id="{name}" href="/g/{name}">{name}</a></li>' for name in texts)
    made = {
        f"/g/{name}": f"<html><nav>Menu</nav><article><h1>A guideline of the society</h1><p>{text}</p></article></html>"
        for name, text in texts.items()
    }
    made["/guidelines"] = f"<html><body><ul>{links}</ul></body></html>"
    return made


class Toy:
    """The toy publisher's world on disk and on a port."""

    def __init__(self, folder: Path, port: int, requests: list[str], pages: dict[str, str]) -> None:
        self.folder, self.port, self.requests = folder, port, requests
        self.pages = pages
        """Path -> HTML; a test may change what the publisher publishes."""

    def recipe(self, *, total: str = "natural", replace: tuple[str, str] = ("", "")) -> str:
        path = self.folder / "toy-recipe.toml"
        path.write_text(TOY_RECIPE.format(port=self.port, total=total).replace(*replace))
        return str(path)


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Toy]:
    """A toy publisher (one file, one card) and a toy filter (one function, one recipe line), importable in workers."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "toy_publisher.py").write_text(TOY_LOADER)
    (folder / "toy_filter.py").write_text(TOY_FILTER)
    (folder / "toy.toml").write_text(TOY_CARD)
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
    monkeypatch.syspath_prepend(str(folder))
    made = pages()
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            body = made.get(self.path, "").encode()
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Toy(folder, server.server_address[1], requests, made)
    server.shutdown()
    server.server_close()
