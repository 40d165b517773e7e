"""PDFium's functions by their address: called a hundred times a line, ctypes' own conversions are most of the time."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any


@cache
def call(name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
    """A function of PDFium that takes and gives addresses as numbers, which is several times as fast."""
    import pypdfium2.raw as pdfium

    address = ctypes.cast(getattr(pdfium, name), ctypes.c_void_p).value
    assert address is not None
    function: Callable[..., Any] = ctypes.PYFUNCTYPE(result, *arguments)(address)
    return function
