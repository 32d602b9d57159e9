"""Rows in which an expression may match at all, told by words every match of it holds.

An expression over all rows costs as much as everything else together; most rows hold none of its words.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import ahocorasick_rs as ac
import numpy as np
import numpy.typing as npt

from safehold.dlp.engine.rows import bytes_of

Ints = npt.NDArray[np.int64]


class Literals:
    """Words, looked for in any case of the letters of ASCII.

    Args:
        words: Lower-case words in UTF-8. For an expression that is blind to case they hold no ``k`` and no ``s``
            where its letter may also be a sign beyond ASCII (U+212A, U+017F).
    """

    def __init__(self, words: Iterable[bytes]) -> None:
        self._finder = ac.BytesAhoCorasick(list(words))

    def rows(self, array: Any) -> Ints:
        """Return the rows that hold one of the words, in order; now and then one more, for a row and the next.

        Args:
            array: ``string`` or ``large_string``; nulls are fine.
        """
        data, offsets = bytes_of(array)
        hits = self._finder.find_matches_as_indexes(data.lower(), overlapping=True)
        if not hits:
            return np.zeros(0, np.int64)
        begin = np.array([start for _, start, _ in hits], np.int64)
        return np.unique(np.searchsorted(offsets, begin, side="right") - 1)
