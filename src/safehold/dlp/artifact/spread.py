"""Text spread over the low bits of weights: one character a weight, or one over several.

Whoever runs code of their own in a training can write rows into the low bits of a model, where they cost no accuracy.
Text that is written there plainly is found by its runs of printable characters: the low bits of trained weights are
nearly even, so that 32 printable characters in a row come once in 10^13 places, and of the places that are tried there
are about three a weight.

What is compressed, encrypted or written with other spacing looks as even as the bits it replaces, and is not found.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from safehold.dlp.artifact.passage import Passage

SHORTEST: Final = 32  # characters in a row
DISTINCT: Final = 8  # different ones among them: a constant is no text
_RUN: Final = re.compile(rb"[\x20-\x7e\t\n\r]{32,}")
_WINDOW: Final = 1 << 20  # weights looked at in one go
_LAP: Final = 8 * 256
# bytes of each weight whose bits are those of the mantissa, lowest first; the top ones follow the size of a weight
_LOW: Final = {
    "F64": (8, (0, 1, 2, 3, 4, 5)),
    "F32": (4, (0, 1)),
    "F16": (2, (0,)),
    "BF16": (2, (0,)),
}
_WIDTHS: Final = (4, 2, 1)  # bits of a character that one weight carries, below a whole byte

Bytes = NDArray[np.uint8]


def spread_texts(data: bytes | memoryview, dtype: str, place: str) -> Iterator[Passage]:
    """Yield the text that lies in the low bits of weights.

    Args:
        data: Bytes of a tensor, little-endian.
        dtype: As safetensors names it; only floating-point tensors are looked at.
        place: Where it stands.
    """
    if dtype not in _LOW:
        return
    size, planes = _LOW[dtype]
    whole = np.frombuffer(data[: len(data) // size * size], np.uint8).reshape(-1, size)
    for start in range(0, len(whole), _WINDOW):
        part = whole[start : start + _WINDOW + _LAP]
        for plane in planes:
            yield from _runs(part[:, plane], f"{place} byte {plane} of weights from {start}")
        for width in _WIDTHS:
            for number, characters in enumerate(_gather(part[:, 0], width)):
                yield from _runs(
                    characters, f"{place} {width} low bits of weights from {start}, way {number}"
                )


def _gather(low: Bytes, width: int) -> Iterator[Bytes]:
    """Yield the characters that the low bits of weights make, from each start and in both orders."""
    each = 8 // width
    bits = low & np.uint8((1 << width) - 1)
    for first in range(each):
        count = max(0, len(bits) - first) // each
        table = bits[first : first + count * each].reshape(count, each)
        for order in (range(each), range(each - 1, -1, -1)):
            made: Any = np.zeros(count, np.uint8)
            for at in order:
                made = (made << np.uint8(width)) | table[:, at]
            yield made


def _runs(characters: Bytes, place: str) -> Iterator[Passage]:
    for match in _RUN.finditer(characters.tobytes()):
        if len(set(match[0])) >= DISTINCT:
            yield Passage(place, match[0].decode("ascii"))
