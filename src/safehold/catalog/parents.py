"""What something was made from, packed: a build of everybody's data names every source there was before it.

A thousand builds over ten thousand sources are ten million names. Each name is kept once, under a number; of a build
a bit for each number, or four bytes for each of its own if that is less: where it names few of all there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, overload

import numpy as np
from numpy.typing import NDArray

_WIDE: Final = 4  # bytes of one number


class Names:
    """Names by number; the number of a name never changes."""

    def __init__(self) -> None:
        self._all: list[str] = []
        self._numbers: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._all)

    def __getitem__(self, number: int) -> str:
        return self._all[number]

    def number(self, name: str) -> int:
        """Return the number of a name, which is new if it must be."""
        found = self._numbers.setdefault(name, len(self._all))
        if found == len(self._all):
            self._all.append(name)
        return found

    def find(self, name: str) -> int:
        """Return the number of a name; -1 if it has none."""
        return self._numbers.get(name, -1)


class Parents(Sequence[str]):
    """Names of parents, sorted, as a tuple of them is; they are made anew each time that somebody goes through them.

    Args:
        names: All names.
        parents: Those that are meant, each once.
    """

    __slots__ = ("_count", "_low", "_names", "_packed")

    def __init__(self, names: Names, parents: Iterable[str]) -> None:
        numbers = np.array(sorted(map(names.number, parents)), dtype=np.uint32)
        self._names, self._count, self._low = names, len(numbers), -1
        if not len(numbers):
            self._packed = b""
            return
        low = int(numbers[0])
        span = int(numbers[-1]) - low + 1
        if span > 8 * _WIDE * len(numbers):
            self._packed = numbers.tobytes()
            return
        there = np.zeros(span, dtype=bool)
        there[numbers - low] = True
        self._low, self._packed = low, np.packbits(there).tobytes()

    def numbers(self) -> NDArray[np.int64]:
        """Return the numbers of the names, ascending."""
        if self._low < 0:
            return np.frombuffer(self._packed, dtype=np.uint32).astype(np.int64)
        bits = np.unpackbits(np.frombuffer(self._packed, dtype=np.uint8))
        return np.flatnonzero(bits) + self._low

    def meets(self, wanted: NDArray[np.bool_]) -> bool:
        """Return whether one of them is wanted; by number, and what has no place there is not."""
        numbers = self.numbers()
        return bool(wanted[numbers[numbers < len(wanted)]].any())

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(map(self._names.__getitem__, self.numbers().tolist())))

    def __contains__(self, name: object) -> bool:
        number = self._names.find(name) if isinstance(name, str) else -1
        return number >= 0 and bool((self.numbers() == number).any())

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[str, ...]: ...
    def __getitem__(self, place: int | slice) -> str | tuple[str, ...]:
        return tuple(self)[place]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, tuple | Parents):
            return NotImplemented
        return len(self) == len(other) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{self._count} parents>"
