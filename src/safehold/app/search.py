"""Search everything that was written for what was planted: raw, UTF-16, base64, in plain and decompressed.

It looks the way somebody with the disk would look. The keeper's home and the folder for temporary files are
searched; the truth file is not among them.
"""

from __future__ import annotations

import base64
import contextlib
import re
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
SURE = 12  # characters from which on digits do not occur in a digest by chance
DIGEST = 32  # hex digits in a row that are a digest or an id, no value
HEX = re.compile(rb"[0-9a-f]+")
MOMENT = re.compile(rb"1[0-9]{12}(?:[0-9]{3})?")  # milliseconds or microseconds since 1970
HEX_BEFORE = re.compile(rb"[0-9a-f]*$")
ZSTD = b"\x28\xb5\x2f\xfd"
GZIP = b"\x1f\x8b\x08"
GZIP_WINDOW = 31  # zlib: with a gzip header


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
                found |= {
                    needles[order[which]]
                    for which, start, end in machine.find_matches_as_indexes(data)
                    if not in_digest(data, start, end)
                }
    return found, files


def in_digest(data: bytes, start: int, end: int) -> bool:
    """Return whether a short number only stands in the hex digits of a digest, or in a moment.

    A home holds half a million random hex digits, and thousands of moments. A one-time code of eight digits occurs
    in them about once in ten thousand runs, and is nobody's secret there.
    """
    if end - start >= SURE or HEX.fullmatch(data, start, end) is None:
        return False
    before = HEX_BEFORE.search(data, max(0, start - 2 * DIGEST), start)
    after = HEX.match(data, end, end + 2 * DIGEST)
    first, last = before.start() if before else start, after.end() if after else end
    return last - first >= DIGEST or MOMENT.fullmatch(data, first, last) is not None


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
    at = data.find(GZIP)
    while at >= 0:
        with contextlib.suppress(zlib.error):
            yield zlib.decompressobj(GZIP_WINDOW).decompress(data[at:])
        at = data.find(GZIP, at + 1)
