"""Text hidden in numbers: bytes, characters as integers, characters as whole floats.

A model file is the easiest way to carry text past somebody who looks only at names. A tensor of
text is found by its runs of printable values; weights have none of that length but by a chance that
the lengths here make small (37 of 100 random bytes are printable, so 24 in a row come once in 10^10).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import numpy as np

from safehold.dlp.artifact.passage import Passage

Body = bytes | memoryview
_WINDOW: Final = 1 << 22  # bytes looked at in one go
_LAP: Final = 1 << 10
_LOOSE: Final = re.compile(rb"[\x20-\x7e\t\n\r]{24,}")  # among random bytes
_DENSE: Final = re.compile(rb"[\x20-\x7e\t\n\r\x80-\xff]{6,}")  # where bytes are the unit
_WIDE: Final = re.compile(rb"(?:[\x20-\x7e]\x00){6,}")  # UTF-16, little-endian
_RUN: Final = 6  # characters in a row that count
_NUMBERS: Final = {
    "I16": "<i2", "U16": "<u2", "I32": "<i4", "U32": "<u4", "I64": "<i8", "U64": "<u8",
    "F32": "<f4", "F64": "<f8", "F16": "<f2",
}  # fmt: skip
_BYTES: Final = frozenset({"U8", "I8", "BOOL", "S"})
_LAST: Final = 0x2FFF  # the last code point that is taken for a character of a hidden text


def texts_of(data: Body, dtype: str, place: str) -> Iterator[Passage]:
    """Yield the text that a tensor holds.

    Args:
        data: Its bytes, little-endian.
        dtype: As safetensors names it.
        place: Where it stands.
    """
    pattern = _DENSE if dtype in _BYTES else _LOOSE
    for start in range(0, len(data), _WINDOW - _LAP):
        window = bytes(data[start : start + _WINDOW])
        for match in pattern.finditer(window):
            yield Passage(
                f"{place} byte {start + match.start()}", match[0].decode("utf-8", "replace")
            )
        if dtype in _BYTES:
            for match in _WIDE.finditer(window):
                text = match[0].decode("utf-16-le")
                yield Passage(f"{place} byte {start + match.start()}", text)
    if dtype in _NUMBERS:
        yield from _characters(data, np.dtype(_NUMBERS[dtype]), place)


def _characters(data: Body, kind: np.dtype[np.generic], place: str) -> Iterator[Passage]:
    whole = len(data) // kind.itemsize * kind.itemsize
    step = _WINDOW // kind.itemsize
    numbers = np.frombuffer(data[:whole], kind)
    for start in range(0, len(numbers), step - _LAP):
        part = numbers[start : start + step]
        with np.errstate(invalid="ignore"):
            signs = (part >= 32) & (part <= _LAST) | (part == 9) | (part == 10) | (part == 13)
            if kind.kind == "f":
                signs &= part == np.floor(part)
        edges = np.flatnonzero(np.diff(np.r_[False, signs, False].astype(np.int8)))
        for low, high in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            if high - low >= _RUN:
                run = part[low:high].astype(np.int64)
                # a count or a range of positions is no text
                if (np.diff(run) == 1).all() or (run == run[0]).all():
                    continue
                yield Passage(f"{place} value {start + low}", "".join(map(chr, run.tolist())))
