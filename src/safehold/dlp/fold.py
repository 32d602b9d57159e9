"""Read signs that only look different as the plain ones the patterns are written in.

Full-width and other digits, dashes, blanks and Latin letters with marks become their ASCII form;
what has no width is passed over. Only what is scanned changes, never what is kept: spans
are given back in the code points of the text as it was.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

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
def _wanted() -> str:
    """Return a pattern of one sign that is read as another."""
    codes = sorted(fold_table())
    runs: list[list[int]] = []
    for code in codes:
        if runs and runs[-1][1] == code - 1:
            runs[-1][1] = code
        else:
            runs.append([code, code])
    return "[" + "".join(f"\\x{{{low:X}}}-\\x{{{high:X}}}" for low, high in runs) + "]"


def fold_rows(array: Any) -> tuple[Any, Ints]:
    """Return the texts as they are scanned, and the rows that were read otherwise.

    Args:
        array: ``large_string``.
    """
    ascii_only = pc.all(pc.string_is_ascii(array)).as_py()
    if ascii_only is not False:  # all of them, or none at all
        return array, np.zeros(0, np.int64)
    odd = pc.fill_null(pc.match_substring_regex(array, _wanted()), fill_value=False)
    rows = np.flatnonzero(odd.to_numpy(zero_copy_only=False))
    if not len(rows):
        return array, rows
    table = fold_table()
    plain = [text.translate(table) for text in array.take(pa.array(rows)).to_pylist()]
    return pc.replace_with_mask(array, odd, pa.array(plain, pa.large_string())), rows


def places_of(text: str) -> Ints | None:
    """Return where in a text each sign that is scanned stands; None when nothing is passed over."""
    table = fold_table()
    kept = [at for at, char in enumerate(text) if table.get(ord(char), char) is not None]
    return None if len(kept) == len(text) else np.array([*kept, len(text)], np.int64)
