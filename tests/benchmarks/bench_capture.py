"""Capture at scale: many small objects from the loopback server, found as PMC's are, by one metadata page each.

    python tests/benchmarks/bench_capture.py [--objects 2500 10000] [--concurrency 32] [--rows 2000000] [--json FILE]

For each number of objects a process of its own acquires them: a metadata page (JSON, 1.5 kB) and an article (XML,
6 kB) each, so two captures an object; then it acquires them again from its ledger and WARC alone, as after a kill at
the very end. The server runs in another process on the same cores. Reported: captures a second, processor seconds of
the acquiring process, peak memory, seconds of the replay. `store` is the cost of WARC and ledger without any network.
With `--rows`: the books of a source of so many items (items.parquet written and cut into tasks), and their memory.
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from manifests.document import Quarantined
from manifests.identity import sha256_hex
from manifests.store import Store
from scrapers.answers import Response
from scrapers.capture import Listing, Wanted, capture
from scrapers.http import Client
from scrapers.ledger import Entry, Ledger
from scrapers.sample.server import file_name, serve
from scrapers.snapshot import item_lengths, items_between, read_snapshot, write_snapshot
from scrapers.source import AcquireContext, Item
from scrapers.warc import WarcWriter

HOST = "bench.example.org"
WORDS = "patients with sepsis received 20 mg of the drug twice daily and recovered within 14 days of admission "


def page(n: int) -> bytes:
    facts = {"pmcid": f"PMC{n:08d}", "version": 1, "license_code": "CC BY", "citation": WORDS * 12}
    return json.dumps(facts).encode()


def article(n: int) -> bytes:
    return f'<?xml version="1.0"?><article id="{n}"><p>{WORDS * 58}{n * 7919}</p></article>'.encode()


def write_world(folder: Path, n_objects: int) -> None:
    host = folder / HOST
    host.mkdir(parents=True)
    for n in range(n_objects):
        (host / file_name(f"/metadata/{n}.json")).write_bytes(page(n))
        (host / file_name(f"/{n}.xml")).write_bytes(article(n))


def discover(n_objects: int) -> Any:
    def found(listing: Listing) -> Iterator[Wanted]:
        urls = (f"https://{HOST}/metadata/{n}.json" for n in range(n_objects))
        for n, body in enumerate(listing.pages(urls, expect="json")):
            facts = json.loads(body or b"{}")
            yield Wanted(facts["pmcid"], f"https://{HOST}/{n}.xml", meta={"v": facts["version"]}, expect="xml")

    return found


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def acquire(raw: str, n_objects: int, concurrency: int, route: str) -> dict[str, Any]:
    """One acquisition in this process."""
    context = AcquireContext(Store(raw), {}, lambda *, done, total, note="": None)
    client = Client("c@example.org", {HOST: route}, delay_seconds=0.0, concurrency=concurrency)
    began, cpu = time.monotonic(), time.process_time()
    capture(context, source="bench", snapshot="x", discover=discover(n_objects), client=client)
    seconds, cpu = time.monotonic() - began, time.process_time() - cpu
    facts = read_snapshot(Store(raw))
    assert facts["items"] == n_objects, facts["counts"]
    return {"seconds": seconds, "cpu_seconds": cpu, "peak_megabytes": peak_megabytes(), "digest": facts["digest"]}


def in_a_process(*arguments: Any) -> dict[str, Any]:
    command = [sys.executable, __file__, "--child", json.dumps(arguments)]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def over_http(n_objects: int, concurrency: int, folder: Path) -> dict[str, Any]:
    write_world(folder / "world", n_objects)
    raw = folder / "raw"
    command = [sys.executable, __file__, "--serve", str(folder / "world")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        route = f"127.0.0.1:{server.stdout.readline().strip()}"
        first = in_a_process("acquire", str(raw), n_objects, concurrency, route)
        server.communicate("")
    ledger = sum(path.stat().st_size for path in raw.glob("ledger*"))
    segments = sum(path.stat().st_size for path in raw.glob("*.warc.gz"))
    for name in ("snapshot.json", "items.parquet", "aside.parquet"):
        (raw / name).unlink()
    again = in_a_process("acquire", str(raw), n_objects, concurrency, "127.0.0.1:9")
    assert again["digest"] == first["digest"]
    captures = 2 * n_objects
    return {
        "objects": n_objects,
        "captures_a_second": round(captures / first["seconds"]),
        "cpu_milliseconds_a_capture": round(1000 * first["cpu_seconds"] / captures, 3),
        "peak_megabytes": round(first["peak_megabytes"]),
        "ledger_bytes_a_capture": round(ledger / captures),
        "segment_bytes_a_capture": round(segments / captures),
        "replay_seconds": round(again["seconds"], 2),
        "replay_microseconds_a_capture": round(1e6 * again["seconds"] / captures),
        "replay_peak_megabytes": round(again["peak_megabytes"]),
    }


def store(n_captures: int, folder: Path) -> dict[str, Any]:
    """WARC and ledger alone, in microseconds of processor time a capture."""
    body = article(1)
    answer = Response(200, f"https://{HOST}/1.xml", {"etag": '"1"'}, body, sha256_hex(body), {"Host": HOST}, "2026Z")
    times = {"warc": 0.0, "ledger": 0.0}
    with Ledger(folder) as ledger, WarcWriter(folder, committed={}) as writer:
        ledger.begin_run()
        for n in range(n_captures):
            began = time.process_time()
            file, offset, length = writer.append(answer)
            middle = time.process_time()
            name, url = f"PMC{n:08d}", f"https://{HOST}/{n}.xml"
            ledger.want(name, url)
            entry = Entry(name, url, "fetched", 1, 200, answer.sha256, file, offset, length, writer.end()[1], len(body))
            ledger.put(entry, dict([writer.end()]))
            times["warc"] += middle - began
            times["ledger"] += time.process_time() - middle
    return {name: round(1e6 * seconds / n_captures) for name, seconds in times.items()}


def books(raw: str, n_rows: int) -> dict[str, Any]:
    """items.parquet of `n_rows` items and as much put aside, written, cut into tasks, and one task's rows read."""
    from pipelines.chunks import chunk_by_bytes

    start_megabytes, sha256 = peak_megabytes(), sha256_hex(b"x")
    meta = '{"doi":"10.1/x","license_code":"CC BY","version":1}'
    items = (
        Item(f"PMC{n:08d}", "captures-00000.warc.gz", n * 2_000, 99_000, sha256, f"https://{HOST}/{n}.xml", meta)
        for n in range(n_rows)
    )
    aside = (Quarantined(f"X{n:08d}", "s", "extract.forbidden_by_terms", "CC BY-NC") for n in range(n_rows))
    began = time.monotonic()
    write_snapshot(Store(raw), source="s", snapshot="x", items=items, quarantined=aside)
    written = time.monotonic()
    tasks, _ = chunk_by_bytes(item_lengths(Store(raw)), 200_000_000)
    cut = time.monotonic()
    read = sum(1 for _ in items_between(Store(raw), *tasks[len(tasks) // 2]))
    return {
        "rows": n_rows,
        "write_seconds": round(written - began, 1),
        "cut_seconds": round(cut - written, 2),
        "tasks": len(tasks),
        "tasks_bytes_of_json": len(json.dumps(tasks)),
        "rows_of_a_task": read,
        "read_a_task_seconds": round(time.monotonic() - cut, 2),
        "peak_megabytes_above_start": round(peak_megabytes() - start_megabytes),
    }


def closing(raw: str, n_rows: int) -> dict[str, Any]:
    """A ledger of `n_rows` fetched items filled, and its books closed."""
    from scrapers.closing import close_books

    start_megabytes, sha256 = peak_megabytes(), sha256_hex(b"x")
    folder = Path(raw)
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with Ledger(folder) as ledger:
        ledger.begin_run()
        for n in range(n_rows):
            name, url = f"PMC{n:08d}", f"https://{HOST}/{n}.xml"
            ledger.want(name, url, '{"license_code":"CC BY"}')
            ledger.put(Entry(name, url, "fetched", 1, 200, sha256, "captures-00000.warc.gz", n, 9, n, 99, url))
        filled = time.monotonic()
        close_books(ledger, Store(folder), source="s", snapshot="x", counts={})
    return {
        "rows": n_rows,
        "fill_seconds": round(filled - began, 1),
        "close_seconds": round(time.monotonic() - filled, 1),
        "peak_megabytes_above_start": round(peak_megabytes() - start_megabytes),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--objects", type=int, nargs="*", default=[2_500, 10_000])
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--rows", type=int, default=0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child")
    parser.add_argument("--serve", type=Path)
    options = parser.parse_args()
    if options.child:
        function, *arguments = json.loads(options.child)
        print(json.dumps({"acquire": acquire, "books": books, "closing": closing}[function](*arguments)))
        return
    if options.serve:
        with serve(options.serve) as server:
            print(server.port, flush=True)
            sys.stdin.read()
        return
    found: dict[str, Any] = {}

    def measured(title: str, numbers: dict[str, Any]) -> None:
        found[title] = numbers
        print(title, *itertools.chain.from_iterable(("\n   ", k, v) for k, v in numbers.items()), flush=True)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        measured("store, microseconds a capture", store(20_000, folder / "store"))
        for n in options.objects:
            measured(f"{n} objects", over_http(n, options.concurrency, folder / str(n)))
        if options.rows:
            measured("books", in_a_process("books", str(folder / "books"), options.rows))
            measured("closing", in_a_process("closing", str(folder / "closing"), options.rows))
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
