"""Search everything that was written for what was planted: raw, UTF-16, base64, in plain and decompressed.

It looks the way somebody with the disk would look. The keeper's home and the folder for temporary files are
searched; the truth file is not among them.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import zstandard
from ahocorasick_rs import BytesAhoCorasick

from safehold.settings import Home

LARGEST = 256 << 20  # bytes of one file looked at
SHORTEST = 6  # characters: shorter values occur by chance
ZSTD = b"\x28\xb5\x2f\xfd"
GZIP = b"\x1f\x8b"


def search_home(home: Home, planted: pa.Table) -> dict[str, Any]:
    """Return how many planted values occur in a home, outside it and in temporary files."""
    values = {
        value
        for value, decoy in zip(
            planted["value"].to_pylist(), planted["decoy"].to_pylist(), strict=True
        )
        if not decoy and len(value) >= SHORTEST
    }
    found, files = search([home.path, home.outside, Path(tempfile.gettempdir()) / home.id], values)
    return {"looked_for": len(values), "found": len(found), "files": files}


def search(folders: Iterable[Path], values: Iterable[str]) -> tuple[set[str], int]:
    """Return which values occur below some folders, and how many files were read."""
    needles: dict[bytes, str] = {}
    for value in values:
        for form in forms(value):
            needles[form] = value
    if not needles:
        return set(), 0
    machine = BytesAhoCorasick(list(needles))
    order = list(needles)
    found: set[str] = set()
    files = 0
    for folder in folders:
        for file in sorted(folder.rglob("*")) if folder.is_dir() else []:
            if not file.is_file() or file.is_symlink():
                continue
            files += 1
            for data in views(file.read_bytes()[:LARGEST]):
                found |= {needles[order[hit[0]]] for hit in machine.find_matches_as_indexes(data)}
    return found, files


def forms(value: str) -> Iterator[bytes]:
    """Yield the spellings in which a value may lie in a file."""
    raw = value.encode()
    yield raw
    yield value.encode("utf-16-le")
    yield value.encode("utf-16-be")
    for shift in range(3):  # base64 of the value at any place within a longer text
        text = base64.b64encode(b"\0" * shift + raw)
        inner = text[(4 if shift else 0) : len(text) - 4]
        if len(inner) >= SHORTEST:
            yield inner
    yield raw[::-1]


def views(data: bytes) -> Iterator[bytes]:
    """Yield a file as it is, and what its compressed parts hold."""
    yield data
    at = data.find(ZSTD)
    while at >= 0:
        with contextlib.suppress(zstandard.ZstdError):  # four bytes may only look like a beginning
            yield zstandard.ZstdDecompressor().decompressobj().decompress(data[at:])
        at = data.find(ZSTD, at + 1)
    if data[:2] == GZIP:
        try:
            yield gzip.decompress(data)
        except (OSError, EOFError, zlib.error):
            return
