"""Lists of names and common words, kept as hashes: nothing can be read from them.

A list says only that a word has been a first name, a place or a common word somewhere; what it is here is
the tagger's to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
LISTS: Final = ("first", "last", "place", "country", "org", "tail")
_RANK_SHIFT: Final = 8
_SIEVE_SHIFT: Final = np.uint32(12)  # upper 20 bits


@dataclass(frozen=True, slots=True)
class Gazetteer:
    """Hashes of listed words and pairs of words.

    Args:
        keys: Upper 32 bits of the hashes, sorted and distinct.
        marks: For each the bits of the lists that hold it, and above them the rank of a common word.
    """

    keys: npt.NDArray[np.uint32]
    marks: npt.NDArray[np.uint16]
    _sieve: npt.NDArray[np.bool_] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        sieve = np.zeros(1 << (32 - int(_SIEVE_SHIFT)), bool)
        sieve[self.keys >> _SIEVE_SHIFT] = True
        object.__setattr__(self, "_sieve", sieve)

    def look_up(self, hashes: npt.NDArray[np.uint64]) -> tuple[Ints, Ints]:
        """Return the bits of the lists and the rank (0 to 7) of each hash; 0 where it is not listed."""
        short = (hashes >> np.uint64(32)).astype(np.uint32)
        if not len(self.keys):
            return np.zeros(len(short), np.int64), np.zeros(len(short), np.int64)
        marks = np.zeros(len(short), np.int64)
        near = np.flatnonzero(self._sieve[short >> _SIEVE_SHIFT])  # most are told apart here
        place = np.minimum(np.searchsorted(self.keys, short[near]), len(self.keys) - 1)
        marks[near] = np.where(self.keys[place] == short[near], self.marks[place], 0)
        return marks & ((1 << _RANK_SHIFT) - 1), marks >> _RANK_SHIFT


def build_gazetteer(lists: Mapping[str, Iterable[int]], ranks: Mapping[int, int]) -> Gazetteer:
    """Return the lists as hashes.

    Args:
        lists: For each name of ``LISTS`` the hashes of its words and pairs of words.
        ranks: Hash of a common word to its rank, 1 to 7.
    """
    marks: dict[int, int] = {}
    for bit, name in enumerate(LISTS):
        for value in lists.get(name, ()):
            short = int(value) >> 32
            marks[short] = marks.get(short, 0) | 1 << bit
    for value, rank in ranks.items():
        short = int(value) >> 32
        marks[short] = marks.get(short, 0) | rank << _RANK_SHIFT
    keys = sorted(marks)
    return Gazetteer(np.array(keys, np.uint32), np.array([marks[k] for k in keys], np.uint16))
