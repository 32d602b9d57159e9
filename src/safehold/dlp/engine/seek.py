"""Find the matches of a rule with RE2 in the rows it may match in.

Rows stand in one buffer, each between two zero bytes of its own. A rule sees a row as if it stood
alone: no match goes on into the next row.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import re2

Ints = npt.NDArray[np.int64]
_FEW: Final = 8
_ANYWHERE: Final = re2._Anchor.UNANCHORED  # noqa: SLF001 - the wrapper builds an object a match


def seek(
    compiled: Any, group: int, data: bytes, low: Ints, high: Ints, *, gather: bool = False
) -> list[tuple[int, int]]:
    """Return the matches of an expression within some stretches, leftmost first, without overlap.

    Args:
        compiled: The expression, as compiled by ``re2``.
        group: Which group of it is wanted.
        data: The buffer.
        low: Where each stretch begins.
        high: Where each stretch ends.
        gather: Whether stretches may be put end to end and searched at once; only for an expression
            whose matches hold no zero byte.
    """
    if gather and len(low) > _FEW:
        return _gathered(compiled, group, data, low, high)
    match = compiled._regexp.Match  # noqa: SLF001 - as above
    found = []
    for begin, end in zip(low.tolist(), high.tolist(), strict=True):
        at = begin
        while at < end:
            spans = match(_ANYWHERE, data, at, end)
            start, stop = spans[0]
            if start < 0:
                break
            found.append(spans[group])
            at = stop if stop > at else at + 1
    return found


def _gathered(
    compiled: Any, group: int, data: bytes, low: Ints, high: Ints
) -> list[tuple[int, int]]:
    """Search many short stretches as one, for a call costs as much as reading half a row."""
    part = b"".join([data[a:b] for a, b in zip(low.tolist(), high.tolist(), strict=True)])
    begin = np.zeros(len(low) + 1, np.int64)
    np.cumsum(high - low, out=begin[1:])
    found = seek(compiled, group, part, begin[:1], begin[-1:])
    if not found:
        return found
    start, end = np.array([span for span in found if span[0] >= 0], np.int64).reshape(-1, 2).T
    shift = (low - begin[:-1])[np.searchsorted(begin, start, side="right") - 1]
    return list(zip((start + shift).tolist(), (end + shift).tolist(), strict=True))


def stretches(rows: Ints, offsets: Ints, *, alone: bool) -> tuple[Ints, Ints]:
    """Return stretches of the buffer that hold some rows and no others.

    Args:
        rows: The rows, in order.
        offsets: Where the stretch of each row begins.
        alone: Whether each row is a stretch of its own; else neighbours are one.
    """
    if alone:
        return offsets[rows], offsets[rows + 1]
    first = np.concatenate([[True], rows[1:] != rows[:-1] + 1])
    last = np.concatenate([first[1:], [True]])
    return offsets[rows[first]], offsets[rows[last] + 1]
