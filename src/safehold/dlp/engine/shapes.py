"""Where short runs of signs stand in a buffer, with array arithmetic a block at a time.

A run is a few sets of signs, one after the other, such as digit, point, digit. A block fits the
cache, so that each step over it costs about as much as reading it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from safehold.dlp.engine.needs import Run, chance

Ints = npt.NDArray[np.int64]
WIDEST: Final = 6  # signs of a run that are looked at: more cost more and tell little
_BLOCK: Final = 1 << 16
_STRETCH: Final = (
    1 << 19
)  # looked at together for rare signs: were all of it one, its places take 4 MB
_SPARSE: Final = 0.05


def window_of(run: Run) -> Run:
    """Return the rarest part of a run that is looked for; of one set again and again, the whole run."""
    if len(set(run)) == 1:
        return run
    cuts = [run[at : at + WIDEST] for at in range(max(1, len(run) - WIDEST + 1))]
    return min(cuts, key=lambda cut: float(np.prod([chance(mask) for mask in cut])))


def table_of(mask: int) -> npt.NDArray[np.bool_]:
    """Return for each of the 256 bytes whether it is in a set of signs."""
    table = np.zeros(256, bool)
    table[:128] = [bool(mask >> code & 1) for code in range(128)]
    table[128:] = bool(mask >> 128)
    return table


class Shapes:
    """Runs compiled for one pass over a buffer.

    Args:
        runs: The runs; a run is told by its place in this list.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        masks = list(dict.fromkeys(mask for run in runs for mask in run))
        self._steps = [[masks.index(mask) for mask in run] for run in runs]
        self._tables = []
        for low in range(0, len(masks), 8):
            flags = np.zeros(256, np.uint8)
            for bit, mask in enumerate(masks[low : low + 8]):
                flags |= table_of(mask).astype(np.uint8) << bit
            self._tables.append(flags.tobytes())
        self._masks = len(masks)
        # where every run holds a rare sign, only the places of rare signs are looked at
        rarest = [min(range(len(run)), key=lambda at: chance(run[at])) for run in runs]
        anchors = [run[at] for run, at in zip(runs, rarest, strict=True)]
        self._sparse = len(runs) <= 8 and sum(map(chance, set(anchors))) < _SPARSE
        self._rarest, self._signs = rarest, [[table_of(mask) for mask in run] for run in runs]
        flags = np.zeros(256, np.uint8)
        for bit, mask in enumerate(anchors[:8]):
            flags |= table_of(mask).astype(np.uint8) << bit
        self._anchors = flags.tobytes()
        self._reach = max(map(len, runs), default=1) - 1

    def find(self, data: bytes) -> list[Ints]:
        """Return the places at which each run begins."""
        if not self._steps:
            return []
        if self._sparse and data:
            return self._from_anchors(data)
        found: list[list[Ints]] = [[] for _ in self._steps]
        flags = [np.frombuffer(data.translate(table), np.uint8) for table in self._tables]
        for low in range(0, len(data), _BLOCK):
            high = min(len(data), low + _BLOCK + self._reach)
            self._block(flags, low, high, found)
        none = np.zeros(0, np.int64)
        return [np.concatenate(parts) if parts else none for parts in found]

    def _from_anchors(self, data: bytes) -> list[Ints]:
        flags = np.frombuffer(data.translate(self._anchors), np.uint8)
        code = np.frombuffer(data, np.uint8)
        parts: list[list[Ints]] = [[] for _ in self._signs]
        for low in range(0, len(data), _STRETCH):
            places = np.flatnonzero(flags[low : low + _STRETCH] != 0) + low
            kinds = flags[places]
            for number, signs in enumerate(self._signs):
                begin = places[(kinds >> number & 1) > 0] - self._rarest[number]
                begin = begin[(begin >= 0) & (begin + len(signs) <= len(code))]
                for at, table in enumerate(signs):
                    if at != self._rarest[number]:
                        begin = begin[table[code[begin + at]]]
                parts[number].append(begin)
        return [np.concatenate(each) for each in parts]

    def _block(
        self, flags: list[npt.NDArray[np.uint8]], low: int, high: int, found: list[list[Ints]]
    ) -> None:
        planes = [
            (flags[number >> 3][low:high] & (1 << (number & 7))).astype(bool)
            for number in range(self._masks)
        ]
        begun: dict[tuple[int, ...], npt.NDArray[np.bool_]] = {}
        for number, steps in enumerate(self._steps):
            size = high - low - len(steps) + 1
            if size <= 0:
                continue
            if len(steps) > 2 and len(set(steps)) == 1:
                plane = _again(planes[steps[0]], len(steps))
            else:
                first = tuple(steps[:2])
                if first not in begun:
                    one = planes[steps[0]]
                    begun[first] = one[:-1] & planes[steps[1]][1:] if len(steps) > 1 else one
                plane = begun[first][:size]
                for at in range(2, len(steps)):
                    plane = plane & planes[steps[at]][at : at + size]
            places = np.flatnonzero(plane[:_BLOCK])
            if len(places):
                found[number].append(places + low)


def _again(plane: npt.NDArray[np.bool_], times: int) -> npt.NDArray[np.bool_]:
    """Return where a set holds so many signs in a row, by doubling."""
    held = 1
    while held < times:
        step = min(held, times - held)
        plane = plane[:-step] & plane[step:]
        held += step
    return plane
