"""Cut Arrow text into words, numbers and signs, each with its place; numpy over the bytes, no loop over rows.

A word is a run of letters and digits; every other sign stands alone; blanks are not kept. Rows are parted
by two empty tokens, so that what looks two tokens to the left or right never sees another row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
MARGIN: Final = 2  # empty tokens between rows: as far as a feature looks
_BLANK, _WORD, _SIGN, _LINE = range(4)


def _kinds() -> Bytes:
    table = np.full(256, _SIGN, np.uint8)
    table[:33] = _BLANK
    table[127] = _BLANK
    table[ord("\n")] = _LINE
    for low, high in ("az", "AZ", "09"):
        table[ord(low) : ord(high) + 1] = _WORD
    table[128:] = _WORD
    return table


_KINDS: Final = _kinds()


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of some rows in order, with ``MARGIN`` empty ones before, between and after the rows.

    Args:
        words: Distinct tokens, ``large_string``; the empty one is last.
        word: Number of each token in ``words``.
        row: Row of each token; -1 for an empty one.
        start: First byte in the row.
        end: Byte after the last.
        run: What the unbroken stretch around it holds: bits for ``@``, ``/``, ``.``, a digit, ``_`` or
            ``=``, ``:``.
    """

    words: pa.Array
    word: Ints
    row: Ints
    start: Ints
    end: Ints
    run: Ints

    def __len__(self) -> int:
        return len(self.word)


def byte_view(texts: Any) -> tuple[Bytes, Ints]:
    """Return the bytes of ``large_string`` texts and where each row begins in them; nulls are empty."""
    offsets = np.frombuffer(texts.buffers()[1], np.int64, len(texts) + 1 + texts.offset)[
        texts.offset :
    ]
    if texts.buffers()[2] is None or offsets[-1] == offsets[0]:
        return np.zeros(0, np.uint8), np.zeros(len(texts) + 1, np.int64)
    data = np.frombuffer(texts.buffers()[2], np.uint8)[offsets[0] : offsets[-1]]
    return data, offsets - offsets[0]


def _kinds_of(data: Bytes) -> tuple[Bytes, npt.NDArray[np.bool_]]:
    """Return the kind of each byte, and which bytes go on with a sign of several bytes."""
    kinds = _KINDS[data]
    inside = np.zeros(len(data), bool)
    if (data < 128).all():
        return kinds, inside
    lead = np.flatnonzero(data[:-1] == 0xC2)  # Latin signs and the hard blank
    lead = lead[data[lead + 1] < 0xC0]
    kinds[lead] = kinds[lead + 1] = np.where(data[lead + 1] == 0xA0, _BLANK, _SIGN)
    inside[lead + 1] = True
    lead = np.flatnonzero(data[:-2] == 0xE2)  # typographic quotes, dashes, dots, arrows
    lead = lead[(data[lead + 1] >= 0x80) & (data[lead + 1] <= 0x9F)]
    kinds[lead] = kinds[lead + 1] = kinds[lead + 2] = _SIGN
    inside[lead + 1] = inside[lead + 2] = True
    return kinds, inside


def _word_bits(words: Any) -> Ints:
    """Return for each distinct token the bits of the signs it holds."""
    bits = np.zeros(256, np.uint8)
    for bit, signs in enumerate((b"@", b"/\\", b".", b"0123456789", b"_=", b":")):
        bits[list(signs)] |= 1 << bit
    data, offsets = byte_view(words)
    return np.bitwise_or.reduceat(bits[data], offsets[:-1]).astype(np.int64)


def cut_tokens(texts: Any) -> Tokens:
    """Return the tokens of texts.

    Args:
        texts: ``large_string``; it may be sliced and hold nulls.
    """
    data, offsets = byte_view(texts)
    rows = len(texts)
    kinds, inside = _kinds_of(data)
    cut = np.zeros(len(data) + 1, bool)
    if len(data):
        cut[1:-1] = (kinds[1:] != kinds[:-1]) | (kinds[1:] >= _SIGN)
        cut[:-1] &= ~inside
        cut[offsets] = True  # no token crosses a border
    cut[:1] = cut[-1:] = True
    edges = np.flatnonzero(cut) if len(data) else np.zeros(1, np.int64)
    first, last = edges[:-1], edges[1:]
    pieces = pa.LargeBinaryArray.from_buffers(
        pa.large_binary(),
        len(first),
        [None, pa.py_buffer(np.ascontiguousarray(edges)), pa.py_buffer(np.ascontiguousarray(data))],
    ).dictionary_encode()
    numbers = pieces.indices.to_numpy().astype(np.int64)
    known = pieces.dictionary
    kept = kinds[first] != _BLANK if len(first) else np.zeros(0, bool)
    first, last, numbers = first[kept], last[kept], numbers[kept]
    row = np.repeat(np.arange(rows), np.diff(np.searchsorted(first, offsets)))
    stretch = np.zeros(len(first), np.int64)
    if len(first):
        apart = np.ones(len(first), bool)  # a blank, a new line or a new row in between
        line = kinds[first] == _LINE
        apart[1:] = (first[1:] != last[:-1]) | (row[1:] != row[:-1]) | line[1:] | line[:-1]
        head = np.flatnonzero(apart)
        bits = np.bitwise_or.reduceat(_word_bits(known)[numbers], head)
        stretch = np.repeat(bits, np.diff([*head, len(first)]))
    # two empty tokens before every row that has tokens, and two at the end
    new_row = np.ones(len(row), bool)
    new_row[1:] = row[1:] != row[:-1]
    place = np.arange(len(row)) + MARGIN * np.cumsum(new_row)
    total = len(row) + MARGIN * (int(new_row.sum()) + 1)

    def spread(values: Any, empty: int) -> Ints:
        full = np.full(total, empty, np.int64)
        full[place] = values
        return full

    words = pa.concat_arrays([known, pa.array([b""], pa.large_binary())])
    begin = offsets[:rows][row] if len(row) else first
    return Tokens(
        words=words,
        word=spread(numbers, len(known)),
        row=spread(row, -1),
        start=spread(first - begin, 0),
        end=spread(last - begin, 0),
        run=spread(stretch, 0),
    )
