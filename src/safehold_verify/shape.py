"""Many leaves read at once.

Leaves of one length mostly have one layout: the same keys, the same kind, and each value at the
same place. The pattern of ``leaf`` reads the first of them and says where its fields stand; then
the bytes at one place of all the leaves are looked at together, column by column. What holds for
all: letters of base64 stand where the first has some, everything else is the same, and so is every
letter outside a value; numbers are digits without a leading zero; a hash ends as 32 bytes do.
So a leaf accepted here is made of what the pattern accepts. Anything else is the pattern's to judge.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from operator import itemgetter

from safehold_verify.leaf import FACT, HASHES, match_leaf, parse_leaf

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_LAST = b"AEIMQUYcgkosw048"  # what can stand before the sign that ends 32 bytes
_CLASSES = bytes.maketrans(_ALPHABET, b"A" * 64)
_FEW = 4  # leaves of one length that are read one by one
_MOST = 256  # shapes that are remembered
_LEAD = 2  # bytes before each leaf of a row: half of its length, and a zero byte


@dataclass(frozen=True, slots=True)
class Group:
    """Leaves of one kind in a bundle.

    Args:
        kind: Their kind.
        places: Where they stand in the bundle, in order.
        times: Their times in milliseconds; one number if all have the same.
        refs: What each completes; nothing if none completes anything.
    """

    kind: str
    places: Sequence[int]
    times: int | list[int]
    refs: list[int] | None

    @property
    def earliest(self) -> int:
        """The least of the times."""
        return self.times if isinstance(self.times, int) else min(self.times)

    @property
    def latest(self) -> int:
        """The largest of them."""
        return self.times if isinstance(self.times, int) else max(self.times)


class Shape:
    """The layout of one leaf, and the check that others are laid out alike.

    Args:
        data: A leaf.

    Raises:
        VerificationError: It is none.
    """

    def __init__(self, data: bytes) -> None:
        self.kind, found = match_leaf(data)
        self._row = _lead(len(data)) + b"\0" + data
        self.stride = len(self._row)
        self._classes = self._row.translate(_CLASSES)

        def span(name: str) -> range:
            start, stop = found.span(name)
            return range(start + _LEAD, stop + _LEAD)

        hashes = [span(name) for name in HASHES if found[name]]
        self._lasts = [one.stop - 2 for one in hashes]
        self._time, self._seg = span("t"), span("seg")
        self._ref = span("ref") if found["ref"] is not None else None
        numbers = [self._time] if self._ref is None else [self._time, self._ref]
        words: list[range] = []
        if found["pub"] is not None:
            for fact in FACT.finditer(data, *found.span("pub")):
                start, stop = (
                    fact.span(2) if fact[2] is not None else (fact.end(1) + 3, fact.end() - 1)
                )
                value = range(start + _LEAD, stop + _LEAD)
                (words if fact[2] is None else numbers).append(value)
        self._digits = [at for one in numbers for at in one]
        self._firsts = [one.start for one in numbers if len(one) > 1]
        free = {at for one in (*hashes, *numbers, *words, self._seg) for at in one}
        # a byte outside the alphabet is the same in all if its class is
        self._letters = [
            at for at in range(self.stride) if at not in free and self._row[at] in _ALPHABET
        ]
        self._said = [self._row[at : at + 1] for at in self._letters]
        self._known: tuple[int, bytes, bytes] = (0, b"", b"")

    def holds(self, rows: bytearray, count: int) -> bool:
        """Tell whether leaves, joined with two bytes before each, are laid out like this one."""
        known, classes, letters = self._known
        if known != count:
            classes = self._classes * count
            letters = b"".join([one * count for one in self._said])
            self._known = (count, classes, letters)
        step = self.stride
        return (  # a bytearray is translated in half the time of bytes
            rows.translate(_CLASSES) == classes
            and b"".join([rows[at::step] for at in self._letters]) == letters
            and b"".join([rows[at::step] for at in self._digits]).isdigit()
            and b"0" not in b"".join([rows[at::step] for at in self._firsts])
            and not b"".join([rows[at::step] for at in self._lasts]).translate(None, _LAST)
            and b"+" not in b"".join([rows[at::step] for at in self._seg])
        )

    def times(self, rows: bytearray, count: int) -> int | list[int]:
        """Return the times of leaves that hold, one number if all are the same."""
        first, step = self._time, self.stride
        if all(rows[at::step] == rows[at : at + 1] * count for at in reversed(first)):
            return int(rows[first.start : first.stop])
        return self._numbers(rows, first)

    def refs(self, rows: bytearray) -> list[int] | None:
        """Return what leaves that hold complete, nothing if they do not say."""
        return None if self._ref is None else self._numbers(rows, self._ref)

    def _numbers(self, rows: bytearray, span: range) -> list[int]:
        cut = _field(span.start, len(span), self.stride)
        said = [*chain.from_iterable(cut.iter_unpack(rows))]
        few = {*said}
        if len(few) * 4 > len(said):
            return [*map(int, said)]
        return [*map({one: int(one) for one in few}.__getitem__, said)]


@lru_cache(_MOST)
def _field(start: int, width: int, stride: int) -> struct.Struct:
    """Return what reads one field of each row."""
    return struct.Struct(f"{start}x{width}s{stride - start - width}x")


class Shapes:
    """The shapes met so far, by length of the leaf."""

    def __init__(self) -> None:
        self._shapes: dict[int, Shape] = {}

    def read(self, entries: Sequence[bytes], rows: bytearray | None = None) -> list[Group]:
        """Read the leaves of a bundle.

        Args:
            entries: The leaves, each behind a zero byte.
            rows: If all have one length, the same joined, with one more byte before each.

        Raises:
            VerificationError: One of them is not a leaf; ``parse_leaf`` tells which.
        """
        if rows is not None:
            return self._read_alike(entries, range(len(entries)), rows)
        lengths = [*map(len, entries)]
        places: dict[int, list[int]] = {length: [] for length in {*lengths}}
        adds = {length: some.append for length, some in places.items()}
        for at, length in enumerate(lengths):
            adds[length](at)
        return [one for some in places.values() for one in self._read_alike(entries, some)]

    def _read_alike(
        self, entries: Sequence[bytes], places: Sequence[int], rows: bytearray | None = None
    ) -> list[Group]:
        """Read leaves of one length."""
        count, length = len(places), len(entries[places[0]])
        if count < _FEW:
            return [_alone(entries[at], at) for at in places]
        if rows is None:
            lead = bytearray(_lead(length - 1))
            rows = lead + lead.join(itemgetter(*places)(entries))
        shape = self._shapes.get(length)
        if shape is None or not shape.holds(rows, count):
            shape = self._remember(length, Shape(entries[places[0]][1:]))
            if not shape.holds(rows, count):
                return self._read_mixed(entries, places)
        return [Group(shape.kind, places, shape.times(rows, count), shape.refs(rows))]

    def _read_mixed(self, entries: Sequence[bytes], places: Sequence[int]) -> list[Group]:
        """Read leaves of one length and several layouts."""
        alike: dict[bytes, list[int]] = {}
        for at in places:
            alike.setdefault(entries[at].translate(_CLASSES), []).append(at)
        if len(alike) == 1:
            return [_alone(entries[at], at) for at in places]
        return [one for some in alike.values() for one in self._read_alike(entries, some)]

    def _remember(self, length: int, shape: Shape) -> Shape:
        if len(self._shapes) >= _MOST:
            self._shapes.clear()
        self._shapes[length] = shape
        return shape


def _lead(length: int) -> bytes:
    return bytes((length >> 8,))


def _alone(data: bytes, at: int) -> Group:
    kind, moment, ref = parse_leaf(data[1:])
    return Group(kind, (at,), moment, None if ref < 0 else [ref])
