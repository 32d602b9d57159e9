"""Find words and short runs of signs in a buffer; two machines for the same task."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import chain
from typing import Any, Protocol

import ahocorasick_rs as ac
import numpy as np
import numpy.typing as npt

from safehold.dlp.engine.needs import Run
from safehold.dlp.engine.shapes import Shapes

Ints = npt.NDArray[np.int64]


class Finder(Protocol):
    """Finds every place of some lower-case words, in any case, and of some runs."""

    def find(self, data: bytes) -> tuple[Ints, Ints, list[Ints]]:
        """Return word and place of each word found, and the places of each run, in order."""
        ...


class PlainFinder:
    """Words by one automaton over the text in lower case, runs by array arithmetic.

    Args:
        words: The words.
        runs: The runs.
    """

    def __init__(self, words: Sequence[bytes], runs: Sequence[Run]) -> None:
        self._automaton = (
            ac.BytesAhoCorasick(list(words), implementation=ac.Implementation.DFA)
            if words
            else None
        )
        self._shapes = Shapes(runs)

    def find(self, data: bytes) -> tuple[Ints, Ints, list[Ints]]:
        """Return word and place of each word found, and the places of each run, in order."""
        hits: list[tuple[int, int, int]] = []
        if self._automaton is not None:
            hits = self._automaton.find_matches_as_indexes(data.lower(), overlapping=True)
        flat = np.fromiter(chain.from_iterable(hits), np.int64, 3 * len(hits))
        return flat[0::3], flat[1::3], self._shapes.find(data)


class FastFinder:
    """Both by Vectorscan in one pass. Its working memory belongs to one thread each.

    Args:
        words: The words.
        runs: The runs.
    """

    def __init__(self, words: Sequence[bytes], runs: Sequence[Run]) -> None:
        import hyperscan  # noqa: PLC0415 - of the extra `fast`; loaded when that tier is used

        self._hyperscan = hyperscan
        self._words, self._runs = len(words), len(runs)
        self._lengths = np.array([*map(len, words), *map(len, runs)], np.int64)
        self._database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
        expressions = [*map(_quoted, words), *(b"".join(map(_class_of, run)) for run in runs)]
        flags = [hyperscan.HS_FLAG_CASELESS | hyperscan.HS_FLAG_DOTALL] * len(words)
        flags += [hyperscan.HS_FLAG_DOTALL] * len(runs)
        if expressions:
            self._database.compile(
                expressions=expressions,
                ids=list(range(len(expressions))),
                elements=len(expressions),
                flags=flags,
            )
        self._local = threading.local()

    def find(self, data: bytes) -> tuple[Ints, Ints, list[Ints]]:
        """Return word and place of each word found, and the places of each run, in order."""
        hits: list[int] = []
        if self._words + self._runs and data:
            add = hits.extend

            def take(which: int, _start: int, end: int, _flags: int, _context: Any) -> None:
                add((which, end))

            self._database.scan(data, match_event_handler=take, scratch=self._scratch())
        flat = np.array(hits, np.int64)
        which, end = flat[0::2], flat[1::2]
        word = which < self._words
        runs = [
            np.sort(end[which == number]) - self._lengths[number]
            for number in range(self._words, self._words + self._runs)
        ]
        return which[word], end[word] - self._lengths[which[word]], runs

    def _scratch(self) -> Any:
        scratch = getattr(self._local, "scratch", None)
        if scratch is None:
            scratch = self._local.scratch = self._hyperscan.Scratch(self._database)
        return scratch


def _quoted(word: bytes) -> bytes:
    return b"".join(b"\\x%02x" % sign for sign in word)


def _class_of(mask: int) -> bytes:
    signs = [b"\\x%02x" % code for code in range(128) if mask >> code & 1]
    return b"[" + b"".join(signs) + (b"\\x80-\\xff" if mask >> 128 else b"") + b"]"


def finder_of(tier: str, words: Sequence[bytes], runs: Sequence[Run]) -> Finder:
    """Return the finder of a tier."""
    return FastFinder(words, runs) if tier == "fast" else PlainFinder(words, runs)
