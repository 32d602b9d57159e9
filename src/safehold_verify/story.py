"""What the leaves of a log tell, in order: times do not go back, and a result follows its intent.

What kinds with a course of their own tell (uses, grants, epochs, keys) is checked by ``course``.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from heapq import merge
from itertools import chain, repeat
from operator import ge, le
from typing import Any

from safehold_verify.council import BOARD
from safehold_verify.course import TOLD, Course
from safehold_verify.errors import VerificationError
from safehold_verify.files import place_of
from safehold_verify.leaf import KINDS, RESULTS, parse_leaf
from safehold_verify.shape import Group, Shapes

SKEW_MS = 2_000  # how far a leaf's time may lie before an earlier leaf's

_MANY = 2_048  # leaves that are read together: what each layout costs is shared by more of them
_HEAVY = 4_000_000  # bytes of them
_NEVER = 1 << 62  # milliseconds
_PAIRED = frozenset({"access.intent", "access.result"})  # nothing they say in public decides here
_NONE: dict[str, Any] = {}
_CODES = {kind: code for code, kind in enumerate(sorted(KINDS))}


class Story:
    """Reads leaves bundle by bundle and remembers one byte of each, its kind.

    Args:
        total: Leaves of the whole log, to name the file of a wrong one.
    """

    def __init__(self, total: int) -> None:
        self.kinds: Counter[str] = Counter()
        self.first = 0
        self.last = 0
        self._total = total
        self._latest = 0
        self._codes = bytearray()
        self._course = Course(late_ms=_NEVER)  # how late is too late is a monitor's to say
        self._shapes = Shapes()
        self._waiting: list[bytes] = []
        self._weight = 0  # bytes that wait

    def take(self, entries: Sequence[bytes], rows: bytearray | None = None) -> None:
        """Add the leaves of the next bundle; those of several lengths wait for more of each.

        Args and errors are those of ``add``; ``close`` must follow the last bundle.
        """
        if rows is not None:
            self.close()
            self.add(entries, rows)
            return
        self._waiting += entries
        self._weight += sum(map(len, entries))
        if len(self._waiting) >= _MANY or self._weight >= _HEAVY:
            self.close()

    def close(self) -> None:
        """Add the leaves that wait.

        Raises:
            VerificationError: As ``add`` does.
        """
        if self._waiting:
            entries, self._waiting, self._weight = self._waiting, [], 0
            self.add(entries)

    def add(self, entries: Sequence[bytes], rows: bytearray | None = None) -> None:
        """Read the next leaves.

        Args:
            entries: The leaves, each behind a zero byte.
            rows: If all have one length, the same joined, with one more byte before each.

        Raises:
            VerificationError: A leaf is malformed, earlier than those before it, or refers to what
                it cannot; ``where`` names the first such leaf.
        """
        try:
            groups = self._shapes.read(entries, rows)
        except VerificationError:
            groups = []
        first = len(self._codes)
        if not groups or not self._tell(groups, len(entries)):
            self._tell_slowly(entries)
        else:
            self._follow(groups, first, entries)

    def _follow(self, groups: Sequence[Group], first: int, entries: Sequence[bytes]) -> None:
        """Read what the leaves of a bundle, already taken in, tell beyond themselves."""
        told = [group for group in groups if group.kind in TOLD]
        if all(_simple(group) for group in told):
            found = self._course.pair(*_pairs(first, told))
        else:
            found = []
            for at, kind, moment, ref in merge(*map(_leaves, told)):
                facts = _NONE if kind in _PAIRED else _facts(entries[at], kind)
                found += self._course.read(first + at, kind, moment, ref, facts)
        for finding in found:
            raise self._wrong(finding.sentence, finding.index)

    def _tell(self, groups: list[Group], count: int) -> bool:
        """Take leaves in if nothing is wrong with any; otherwise change nothing."""
        highest = max(group.latest for group in groups)
        lowest = min(group.earliest for group in groups)
        if lowest < max(self._latest, highest) - SKEW_MS and not self._in_order(
            _moments(groups, count)
        ):
            return False
        start, codes = len(self._codes), _kind_codes(groups, count)
        self._codes += codes
        if not all(self._refers_well(group, start) for group in groups):
            del self._codes[start:]
            return False
        if not start:
            self.first = _moment(groups, 0)
        self.last, self._latest = _moment(groups, count - 1), max(self._latest, highest)
        for group in groups:
            self.kinds[group.kind] += len(group.places)
        return True

    def _refers_well(self, group: Group, start: int) -> bool:
        """Tell whether leaves of a bundle, whose kinds are known, refer to what they can."""
        need, refs = RESULTS.get(group.kind), group.refs
        if refs is None:
            return need is None
        if max(refs) >= start + group.places[0] and any(
            map(ge, refs, map(start.__add__, group.places))
        ):
            return False
        return need is None or {*map(self._codes.__getitem__, refs)} == {_CODES[need]}

    def _in_order(self, moments: Sequence[int]) -> bool:
        latest = self._latest
        if moments[0] >= latest and all(map(le, moments, moments[1:])):
            return True
        for moment in moments:
            if moment > latest:
                latest = moment
            elif moment < latest - SKEW_MS:
                return False
        return True

    def _tell_slowly(self, entries: Sequence[bytes]) -> None:
        """Read leaves one by one, and name the first wrong one."""
        for data in entries:
            at = len(self._codes)
            try:
                kind, moment, ref = parse_leaf(data[1:])
            except VerificationError as error:
                raise VerificationError(error.message, where=place_of(at, self._total)) from error
            if moment < self._latest - SKEW_MS:
                raise self._wrong("earlier than the leaf before it", at)
            if ref >= at:
                raise self._wrong("a reference to no earlier leaf", at)
            if kind in RESULTS and (ref < 0 or self._codes[ref] != _CODES[RESULTS[kind]]):
                raise self._wrong("a result without its intent", at)
            if not at:
                self.first = moment
            self.last, self._latest = moment, max(self._latest, moment)
            self._codes.append(_CODES[kind])
            self.kinds[kind] += 1
            if kind in TOLD:
                for finding in self._course.read(
                    at, kind, moment, ref, _NONE if kind in _PAIRED else _facts(data, kind)
                ):
                    raise self._wrong(finding.sentence, finding.index)

    def _wrong(self, message: str, at: int) -> VerificationError:
        return VerificationError(message, where=place_of(at, self._total))


def _simple(group: Group) -> bool:
    """Tell whether leaves are intents that name no grant, or results."""
    return group.kind == "access.result" or (group.kind == "access.intent" and not group.refs)


def _pairs(
    first: int, told: Sequence[Group]
) -> tuple[Iterator[tuple[int, int]], list[int], list[int]]:
    """Return (index, time) of the intents, and of the results their indexes and references."""
    intents: list[Iterator[tuple[int, int]]] = []
    results: list[int] = []
    refs: list[int] = []
    for group in told:
        at = map(first.__add__, group.places)
        if group.kind == "access.intent":
            intents.append(zip(at, _times(group), strict=True))
        else:
            results += at
            refs += group.refs or ()
    return chain(*intents), results, refs


def _kind_codes(groups: Sequence[Group], count: int) -> bytearray:
    """Return one byte for each leaf of a bundle."""
    if len(groups) == 1:
        return bytearray((_CODES[groups[0].kind],)) * count
    codes = bytearray(count)
    for group in groups:
        code = _CODES[group.kind]
        for at in group.places:
            codes[at] = code
    return codes


def _moments(groups: Sequence[Group], count: int) -> list[int]:
    """Return the times of the leaves of a bundle."""
    moments = [0] * count
    for group in groups:
        for at, moment in zip(group.places, _times(group), strict=True):
            moments[at] = moment
    return moments


def _moment(groups: Sequence[Group], place: int) -> int:
    """Return the time of a leaf of a bundle."""
    for group in groups:
        if place in (group.places[0], group.places[-1]):
            if isinstance(group.times, int):
                return group.times
            return group.times[0 if place == group.places[0] else -1]
    raise AssertionError  # the first and the last of all are so in their groups


def _times(group: Group) -> Iterator[int]:
    return (
        repeat(group.times, len(group.places))
        if isinstance(group.times, int)
        else iter(group.times)
    )


def _leaves(group: Group) -> Iterator[tuple[int, str, int, int]]:
    """Yield place, kind, time and reference of each leaf of a group."""
    refs = group.refs or [-1] * len(group.places)
    for at, moment, ref in zip(group.places, _times(group), refs, strict=True):
        yield at, group.kind, moment, ref


def _facts(data: bytes, kind: str) -> dict[str, Any]:
    """Return the public facts of a leaf in canonical form: no value in it holds a bracket.

    Of the board's leaves, what they are about as well: the digest of a charter or roster.
    """
    start = data.find(b'"pub":{')
    facts = _parsed(data[start + 6 : data.index(b"}", start) + 1]) if start >= 0 else {}
    return {**facts, "chr": json.loads(data[1:]).get("chr", "")} if kind in BOARD else facts


@lru_cache(1024)  # most leaves carry the same few facts
def _parsed(facts: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(facts)
    return found
