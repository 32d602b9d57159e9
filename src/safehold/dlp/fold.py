"""Read signs that only look different as the plain ones the patterns are written in.

Full-width and other digits, dashes, blanks and Latin letters with marks become their ASCII form;
what has no width is passed over. Only what is scanned changes, never what is kept: spans
are given back in the code points of the text as it was.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from safehold.dlp.engine.rows import bytes_of

Ints = npt.NDArray[np.int64]
_DASHES: Final = "\u058a\u05be\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2e3a\u2e3b\u30fc\ufe58"
_POINTS: Final = "\u00b7\u2024\u2027\u3002\u30fb\uff61"
# no width: soft hyphen, joiners, direction marks; marks of their own are added by their category
_NOTHING: Final = (
    "\u00ad\u034f\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060"
    "\u2061\u2062\u2063\u2064\u2066\u2067\u2068\u2069\ufeff"
    + "".join(map(chr, range(0xFE00, 0xFE10)))
)


@cache
def fold_table() -> dict[int, str | None]:
    """Return what stands for each code point that is read as another; None where nothing does."""
    table: dict[int, str | None] = {}
    for code in range(0x80, 0x20000):
        char = chr(code)
        kind = unicodedata.category(char)
        if kind in ("Mn", "Me"):
            table[code] = None
        elif kind == "Nd":
            table[code] = str(unicodedata.decimal(char))
        elif kind == "Zs":
            table[code] = " "
        elif kind not in ("Cn", "Co", "Cs") and unicodedata.decomposition(char).startswith(
            ("<wide>", "<font>", "<small>")
        ):
            plain = unicodedata.normalize("NFKC", char)
            if len(plain) == 1 and plain.isascii():
                table[code] = plain
        elif kind in ("Lu", "Ll"):
            plain = unicodedata.normalize("NFKD", char)[0]
            if plain.isascii() and plain.isalpha():
                table[code] = plain  # a letter with a mark on it
    table.update(dict.fromkeys(map(ord, _DASHES), "-"))
    table.update(dict.fromkeys(map(ord, _POINTS), "."))
    table.update(dict.fromkeys(map(ord, _NOTHING), None))
    return table


@cache
def _codes() -> npt.NDArray[np.int32]:
    """Return for each code point the one it is read as; -1 for nothing."""
    codes = np.arange(0x110000, dtype=np.int32)
    for code, char in fold_table().items():
        codes[code] = -1 if char is None else ord(char)
    return codes


@dataclass(frozen=True, slots=True)
class Folded:
    """Texts as they are scanned, and the way back.

    Args:
        text: The texts, ``large_string``.
        rows: Rows that are read otherwise.
        begins: Where the signs of each of these begin among ``places``.
        places: For each sign that is scanned, its place in the row as it is.
        bytes: The same in bytes.
        widths: How many bytes each sign takes in the row as it is.
    """

    text: Any
    rows: Ints
    begins: Ints
    places: Ints
    bytes: Ints
    widths: Ints

    def unfold(
        self, row: Ints, start: Ints, end: Ints
    ) -> tuple[npt.NDArray[np.bool_], tuple[Ints, Ints, Ints, Ints]]:
        """Return which spans lie in rows that are read otherwise, and the borders these have in fact.

        Args:
            row: Row of each span.
            start: First code point, as scanned.
            end: Code point after the last, as scanned.

        Returns:
            The spans concerned, and for them: first code point, code point after the last, first
            byte, byte after the last. What is passed over at the ends of a span is no part of it.
        """
        odd = np.isin(row, self.rows)
        begin = self.begins[np.searchsorted(self.rows, row[odd])]
        first, last = begin + start[odd], begin + end[odd] - 1
        after = self.bytes[last] + self.widths[last]
        return odd, (self.places[first], self.places[last] + 1, self.bytes[first], after)


_NONE: Final = np.zeros(0, np.int64)


def fold_rows(array: Any) -> Folded:
    """Return the texts as they are scanned.

    Args:
        array: ``large_string``.
    """
    data, offsets = bytes_of(array)
    if data.isascii():
        return Folded(array, _NONE, _NONE, _NONE, _NONE, _NONE)
    beyond = np.flatnonzero(np.frombuffer(data, np.uint8) >= 0x80)
    rows = np.flatnonzero(np.diff(np.searchsorted(beyond, offsets)))
    picked = array.take(pa.array(rows))
    whole = "".join(picked.to_pylist())
    codes = np.frombuffer(whole.encode("utf-32-le"), np.uint32)
    read = _codes()[codes]
    if (read == codes).all():
        return Folded(array, _NONE, _NONE, _NONE, _NONE, _NONE)
    lengths = pc.utf8_length(picked).to_numpy(zero_copy_only=False)
    width = 1 + (codes >= 0x80).astype(np.int64) + (codes >= 0x800) + (codes >= 0x10000)
    before = np.cumsum(width) - width
    first = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64)
    of_row = np.repeat(np.arange(len(rows)), lengths)
    kept = np.flatnonzero(read >= 0)
    of_kept = of_row[kept]
    left = np.bincount(of_kept, minlength=len(rows))
    sizes = np.concatenate([[0], np.cumsum(left)]).astype(np.int64)
    begin_byte = np.append(before, width.sum())[first]
    text = read[kept].astype(np.uint32).tobytes().decode("utf-32-le").encode()
    plain = _cut(text, sizes)
    place = np.zeros(len(array), bool)
    place[rows] = True
    return Folded(
        pc.replace_with_mask(array, pa.array(place), plain),
        rows,
        sizes[:-1],
        kept - first[of_kept],
        before[kept] - begin_byte[of_kept],
        width[kept],
    )


def _cut(text: bytes, sizes: Ints) -> Any:
    """Return a text cut into rows at some places, given in code points."""
    begins = np.flatnonzero((np.frombuffer(text, np.uint8) & 0xC0) != 0x80)
    offsets = np.append(begins, len(text))[sizes].astype(np.int64)
    return pa.Array.from_buffers(
        pa.large_string(), len(sizes) - 1, [None, pa.py_buffer(offsets), pa.py_buffer(text)]
    )
