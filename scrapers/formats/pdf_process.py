"""PDFs read in a process of their own: a page that hangs, swells or breaks PDFium costs one PDF, not the run.

One child serves one PDF after the other, so its start (about 0.2 s) is paid once; it is killed when a PDF takes too
long, and started anew. It dies with its parent, whose end closes the pipe.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import struct
import subprocess
import sys
import threading
import time
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from scrapers.formats.errors import Unreadable
from scrapers.formats.pdf import PdfText, read_here
from scrapers.formats.pdf_quality import PageQuality

MEMORY = 4 << 30
"""Bytes of address space of the child, where the system can limit it; PDFium and Python reserve more than they use."""
_LENGTH = struct.Struct(">Q")
_START = "from scrapers.formats.pdf_process import serve; serve()"


class _Child:
    def __init__(self) -> None:
        paths = os.pathsep.join(path for path in sys.path if path)
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": paths},
        )

    def ask(self, data: bytes, how: dict[str, Any], until: float) -> dict[str, Any] | None:
        """The answer; None when the child ended. TimeoutError when there is none by `until` (monotonic)."""
        assert self._process.stdin is not None
        try:
            manner = json.dumps(how).encode("ascii")
            for part in (_LENGTH.pack(len(manner)), _LENGTH.pack(len(data)), manner, data):
                self._process.stdin.write(part)
            self._process.stdin.flush()
        except OSError:
            return None
        head = self._take(_LENGTH.size, until)
        body = self._take(_LENGTH.unpack(head)[0], until) if head else None
        answer: dict[str, Any] | None = json.loads(body) if body else None
        return answer

    def _take(self, size: int, until: float) -> bytes | None:
        assert self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        parts: list[bytes] = []
        while size:
            ready, _, _ = select.select([pipe], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                raise TimeoutError
            part = os.read(pipe, min(size, 1 << 20))
            if not part:
                return None
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def end(self) -> None:
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            try:
                if pipe:
                    pipe.close()
            except OSError:
                pass  # What was not yet written to a dead child.
        self._process.wait()


_child: _Child | None = None
_lock = threading.Lock()


def read_apart(data: bytes, *, max_pages: int, seconds: float, mode: str = "text", engine: str = "") -> PdfText:
    """The text of `data`, read in the child; Unreadable as `read_here`, or when it takes too long or breaks PDFium."""
    global _child
    with _lock:
        child = _child = _child or _Child()
        try:
            how = {"max_pages": max_pages, "mode": mode, "engine": engine}
            answer = child.ask(data, how, time.monotonic() + seconds)
        except TimeoutError:
            close()
            raise Unreadable("extract.too_large", f"Reading the PDF took longer than {seconds:g} s.") from None
        except BaseException:
            # Half an answer in the pipe would be taken for that of the next PDF.
            close()
            raise
        if answer is None:
            close()
            raise Unreadable("extract.corrupt", "The process that read the PDF broke down over it.")
    if "reason" in answer:
        raise Unreadable(answer["reason"], answer["detail"])
    quality = tuple(PageQuality(**page) for page in answer["quality"])
    return PdfText(answer["text"], answer["pages"], answer["counts"], quality, answer["measures"])


def close() -> None:
    """End the child, if there is one; the next PDF starts another."""
    global _child
    if _child is not None:
        _child.end()
        _child = None


def _after_fork() -> None:
    # The child belongs to the parent of this process; a lock may be held by a thread that is not here.
    global _child, _lock
    _child, _lock = None, threading.Lock()


atexit.register(close)
os.register_at_fork(after_in_child=_after_fork)


def serve() -> None:
    """Read PDFs from standard input until it ends; for the child only."""
    _limit()
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    # What a library prints must not stand between two answers.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    while (head := requests.read(2 * _LENGTH.size)) and len(head) == 2 * _LENGTH.size:
        of_how, size = _LENGTH.unpack(head[: _LENGTH.size])[0], _LENGTH.unpack(head[_LENGTH.size :])[0]
        how = json.loads(requests.read(of_how))
        _answer(requests.read(size), how, answers)


def _answer(data: bytes, how: dict[str, Any], answers: BinaryIO) -> None:
    try:
        answer = asdict(read_here(data, **how))
    except Unreadable as error:
        answer = {"reason": error.reason, "detail": error.detail}
    except MemoryError:
        answer = {"reason": "extract.too_large", "detail": "Reading the PDF took more memory than is allowed."}
    except Exception as error:  # noqa: BLE001 - one PDF is put aside, and its line says where to look
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}, line {place.lineno}"
        answer = {"reason": "extract.corrupt", "detail": f"The reader failed: {type(error).__name__} in {where}."}
    body = json.dumps(answer).encode("ascii")
    answers.write(_LENGTH.pack(len(body)) + body)
    answers.flush()


def _limit() -> None:
    try:
        import resource
    except ImportError:
        return  # Not a POSIX system: the time is still limited.
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    if soft == resource.RLIM_INFINITY or soft > MEMORY:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, hard))
