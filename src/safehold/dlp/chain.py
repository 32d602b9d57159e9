"""What is told over many messages: a number in pieces, in digits or in words.

A chain is a run of neighbouring messages of a conversation of which one ends and the next begins with a piece
of a number, and those between are nothing else. It is read as one text, in windows that overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from safehold.dlp.scan import find_spans

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Found = tuple[int, int, int, int]
"""Row, start, end and number of the class."""

_WORDS: Final = "zero|oh|nought|one|two|three|four|five|six|seven|eight|nine|double|triple"
_BEGINS: Final = rf"(?i)^[\s\pP]*(?:\pN|(?:{_WORDS})\b)"
_ENDS: Final = rf"(?i)(?:\pN|\b(?:{_WORDS}))[\s\pP]*$"
_WHOLE: Final = rf"(?i)^[\s\pP]*(?:(?:\pN+|{_WORDS}|uh|um|er|and|then|so|ok|okay)\b[\s\pP]*)+$"
_REACH: Final = 96  # characters of the first, of the last and of each message between
_WINDOW: Final = 24  # messages read as one


def chained(
    texts: pa.Array, orders: Iterable[tuple[Ints, Bools]], *, groups: frozenset[str]
) -> set[Found]:
    """Return what chains of messages hold together.

    Args:
        texts: Messages, each masked by itself.
        orders: Ways to put them in order: rows, and for each after the first whether it is of the same
            conversation as the one before.
        groups: Groups of classes that are looked for.
    """
    begins = _fits(texts, _BEGINS)
    if not begins.any():
        return set()
    after = [(rows, np.flatnonzero(same & begins[rows[1:]])) for rows, same in orders]
    before = [rows[at] for rows, at in after]
    ends = _fits(texts, _ENDS, among=before)
    linked = [at[ends[one]] for (_, at), one in zip(after, before, strict=True)]
    whole = _fits(texts, _WHOLE, among=[one[ends[one]] for one in before])
    windows = {
        window
        for (rows, _), at in zip(after, linked, strict=True)
        for window in _windows(rows, at, whole)
    }
    if not windows:
        return set()
    return _found(texts, sorted(windows), groups)


def _fits(texts: pa.Array, pattern: str, *, among: list[Ints] | None = None) -> Bools:
    """Return which texts an expression fits; only some of them are looked at, if they are told."""
    if among is None:
        hit = pc.fill_null(pc.match_substring_regex(texts, pattern), fill_value=False)
        return np.asarray(hit.to_numpy(zero_copy_only=False), bool)
    found = np.zeros(len(texts), bool)
    rows = np.unique(np.concatenate(among))
    found[rows] = _fits(texts.take(pa.array(rows)), pattern)
    return found


def _windows(rows: Ints, linked: Ints, whole: Bools) -> Iterator[tuple[int, ...]]:
    run: list[int] = []
    for at in [*linked.tolist(), -2]:
        one, two = (int(rows[at]), int(rows[at + 1])) if at >= 0 else (-1, -1)
        if run and run[-1] == one and whole[one]:
            run.append(two)
            continue
        for start in range(0, max(1, len(run) - _WINDOW // 2), _WINDOW // 2):
            if len(window := run[start : start + _WINDOW]) > 1:
                yield tuple(window)
        run = [one, two]


def _found(texts: pa.Array, windows: list[tuple[int, ...]], groups: frozenset[str]) -> set[Found]:
    joined, places = [], []
    for window in windows:
        parts, begins, at = [], [], 0
        for number, row in enumerate(window):
            text = texts[row].as_py()
            skip = max(0, len(text) - _REACH) if number == 0 else 0
            part = text[skip : skip + _REACH]
            parts.append(part)
            begins.append((row, at, skip, len(part)))
            at += len(part) + 1
        joined.append(" ".join(parts))
        places.append(begins)
    spans = find_spans(pa.array(joined, pa.large_string()), groups=groups)
    found: set[Found] = set()
    for window, start, end, kind in zip(
        spans.row.tolist(),
        spans.start.tolist(),
        spans.end.tolist(),
        spans.kind.tolist(),
        strict=True,
    ):
        touched = [
            (row, max(start - begin, 0) + skip, min(end - begin, length) + skip, kind)
            for row, begin, skip, length in places[window]
            if start < begin + length and end > begin
        ]
        if len(touched) > 1:
            found |= set(touched)
    return found
