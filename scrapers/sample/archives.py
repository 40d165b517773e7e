"""gzip and zstd containers with stored blocks: the same bytes from every zlib and every zstd.

A compressor's output changes between its versions, and with it the sha256 of every sample file and the digest of
every snapshot; stored blocks are what the formats themselves fix.
"""

from __future__ import annotations

import struct
import zlib

_GZIP_BLOCK = 0xFFFF
_ZSTD_BLOCK = 128 * 1024


def gzip_stored(data: bytes) -> bytes:
    """`data` as a gzip member (RFC 1952) of stored blocks, without name and time."""
    pieces = [data[start : start + _GZIP_BLOCK] for start in range(0, len(data), _GZIP_BLOCK)] or [b""]
    blocks = [
        struct.pack("<BHH", number == len(pieces) - 1, len(piece), len(piece) ^ 0xFFFF) + piece
        for number, piece in enumerate(pieces)
    ]
    header = b"\x1f\x8b\x08\x00" + bytes(4) + b"\x00\xff"
    return header + b"".join(blocks) + struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF)


def zstd_stored(data: bytes) -> bytes:
    """`data` as one zstd frame (RFC 8878) of raw blocks, its size stated, without checksum."""
    pieces = [data[start : start + _ZSTD_BLOCK] for start in range(0, len(data), _ZSTD_BLOCK)] or [b""]
    blocks = [
        ((number == len(pieces) - 1) | len(piece) << 3).to_bytes(3, "little") + piece
        for number, piece in enumerate(pieces)
    ]
    # Descriptor 0xA0: a single segment, four bytes of content size.
    return b"\x28\xb5\x2f\xfd\xa0" + struct.pack("<I", len(data)) + b"".join(blocks)
