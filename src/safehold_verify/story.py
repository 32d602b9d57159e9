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
from typing import Any

from safehold_verify.course import TOLD, Course
from safehold_verify.errors import VerificationError
from safehold_verify.files import place_of
from safehold_verify.leaf import KINDS, RESULTS, parse_leaf
from safehold_verify.shape import Group, Shapes

SKEW_MS = 2_000  # how far a leaf's time may lie before an earlier leaf's

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
                facts = _NONE if kind in _PAIRED else _facts(entries[at])
                found += self._course.read(first + at, kind, moment, ref, facts)
        for finding in found:
            raise self._wrong(finding.sentence, finding.index)

    def _tell(self, groups: list[Group], count: int) -> bool:
        """Take leaves in if nothing is wrong with any; otherwise change nothing."""
        start, codes = len(self._codes), bytearray(count)
        moments = [0] * count
        for group in groups:
            code, times = _CODES[group.kind], group.times
            if len(group.places) == count:
                moments = [times] if isinstance(times, int) else times
                codes = bytearray((code,)) * count
                break
            if isinstance(times, int):
                times = [times] * len(group.places)
            for at, moment in zip(group.places, times, strict=True):
                moments[at] = moment
                codes[at] = code
        lowest, highest = min(moments), max(moments)
        if lowest < max(self._latest, highest) - SKEW_MS and not self._in_order(moments):
            return False
        if not all(self._refers_well(group, codes) for group in groups):
            return False
        if not start:
            self.first = moments[0]
        self.last, self._latest = moments[-1], max(self._latest, highest)
        self._codes += codes
        for group in groups:
            self.kinds[group.kind] += len(group.places)
        return True

    def _refers_well(self, group: Group, codes: bytearray) -> bool:
        """Tell whether leaves of a bundle, whose kinds are given, refer to what they can."""
        start, need = len(self._codes), RESULTS.get(group.kind)
        if group.refs is None:
            return need is None
        for at, ref in zip(group.places, group.refs, strict=True):
            if ref >= start + at:
                return False
            if need is not None:
                code = self._codes[ref] if ref < start else codes[ref - start]
                if code != _CODES[need]:
                    return False
        return True

    def _in_order(self, moments: Sequence[int]) -> bool:
        latest = self._latest
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
                    at, kind, moment, ref, _NONE if kind in _PAIRED else _facts(data)
                ):
                    raise self._wrong(finding.sentence, finding.index)

    def _wrong(self, message: str, at: int) -> VerificationError:
        return VerificationError(message, where=place_of(at, self._total))


def _simple(group: Group) -> bool:
    """Tell whether leaves are intents that name no grant, or results."""
    return group.kind == "access.result" or (group.kind == "access.intent" and not group.refs)


def _pairs(
    first: int, told: Sequence[Group]
) -> tuple[Iterator[tuple[int, int]], Iterator[tuple[int, int]]]:
    """Return (index, time) of the intents and (index, reference) of the results of a bundle."""
    intents: list[Iterator[tuple[int, int]]] = []
    results: list[Iterator[tuple[int, int]]] = []
    for group in told:
        at = [first + place for place in group.places]
        if group.kind == "access.intent":
            intents.append(zip(at, _times(group), strict=True))
        else:
            results.append(zip(at, group.refs or (), strict=True))
    return chain(*intents), chain(*results)


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


def _facts(data: bytes) -> dict[str, Any]:
    """Return the public facts of a leaf in canonical form: no value in it holds a bracket."""
    start = data.find(b'"pub":{')
    return _parsed(data[start + 6 : data.index(b"}", start) + 1]) if start >= 0 else {}


@lru_cache(1024)  # most leaves carry the same few facts
def _parsed(facts: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(facts)
    return found
