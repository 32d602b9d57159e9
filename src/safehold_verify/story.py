"""What the leaves of a log tell, in order: times do not go back, and a result follows its intent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from safehold_verify.errors import VerificationError
from safehold_verify.files import place_of
from safehold_verify.leaf import KINDS, RESULTS, parse_leaf
from safehold_verify.shape import Group, Shapes

SKEW_MS = 2_000  # how far a leaf's time may lie before an earlier leaf's

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
        if not groups or not self._tell(groups, len(entries)):
            self._tell_slowly(entries)

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

    def _wrong(self, message: str, at: int) -> VerificationError:
        return VerificationError(message, where=place_of(at, self._total))
