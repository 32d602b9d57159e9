"""What each grant has been used for, because a grant explains what it was approved for and nothing else."""

from __future__ import annotations

from typing import Any, Final

from safehold.sentinel.measure import rarity

SEGMENTS, PURPOSES, HOLDERS, APPROVERS = 3, 4, 5, 6
SETTLED: Final = 3  # uses after which it is known what a grant is for,
KNOWN: Final = 100  # unless it is known from so many grants how many are for several things
MOST: Final = 16  # different things that are remembered of one grant
NEW_DAYS: Final = 7  # a grant explains something new for so long after it was first seen


class Grants:
    """The grants that were seen in use.

    Args:
        most: Most grants that are kept; those that were not used for the longest go first.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        # first day, last day, uses, segments, purposes, principals, who approved it (not its holder)
        self.seen: dict[str, list[Any]] = {}
        # grants that were used twice, and how many of them for several segments, purposes, holders
        self.all = 0
        self.spread = [0, 0, 0]

    def evidence(self, grant: str | None, principal: str, segment: str, day: int) -> float:
        """Return how far a grant explains that something is new: 0 not at all, 1 as far as a grant can.

        It does if it is young, is used by nobody else, and was made for this segment: it has been used for no more
        than one other. An old grant that covers more and more explains nothing.

        Args:
            grant: Its id; None explains nothing.
            principal: Who uses it.
            segment: For what.
            day: When.
        """
        if grant is None:
            return 0.0
        seen = self.seen.get(grant)
        if seen is None:
            return 1.0
        first, _, _, segments, _, principals, _ = seen
        if day - first > NEW_DAYS or any(name != principal for name in principals):
            return 0.0
        others = len(segments) - (segment in segments)
        return 1.0 if not others else 0.4 if others == 1 else 0.0

    def backed(self, grant: str, principal: str) -> bool:
        """Tell whether somebody else was seen to approve a grant.

        Args:
            grant: Its id.
            principal: Who uses it.
        """
        seen = self.seen.get(grant)
        if seen is None:
            return False
        approvers = seen[APPROVERS]
        return len(approvers) > 1 or (len(approvers) == 1 and approvers[0] != principal)

    def approve(self, grant: str, approver: str, segment: str, purpose: str, day: int) -> None:
        """Note an approval: from then on it is known what the grant is for, without any use.

        Args:
            grant: Its id.
            approver: Who approved it.
            segment: For what; empty if that is not told.
            purpose: To what end.
            day: When.
        """
        seen = self._of(grant, day)
        if approver in seen[HOLDERS]:
            return  # whoever uses a grant approves nothing with it
        seen[2] = max(seen[2], SETTLED)
        for place, value in ((SEGMENTS, segment), (PURPOSES, purpose), (APPROVERS, approver)):
            if value and value not in seen[place] and len(seen[place]) < MOST:
                seen[place].append(value)

    def strange(self, grant: str | None, principal: str, segment: str, purpose: str) -> float:
        """Return how far a use is off what its grant has been used for: by segment, purpose and holder.

        How much each of them counts follows from how few grants are used for several.

        Args:
            grant: Its id; None has nothing to be off from.
            principal: Who uses it.
            segment: For what.
            purpose: To what end.
        """
        seen = None if grant is None else self.seen.get(grant)
        if seen is None:
            return 0.0
        score = 0.0
        for place, value in ((SEGMENTS, segment), (PURPOSES, purpose), (HOLDERS, principal)):
            if place != HOLDERS and seen[2] < SETTLED and self.all < KNOWN:
                continue
            if value and seen[place] and value not in seen[place]:
                spread = (self.spread[place - SEGMENTS] + 1.0) / (self.all + 2.0)
                score += rarity(spread) / len(seen[place])
        return score

    def learn(self, grant: str, principal: str, segment: str, purpose: str, day: int) -> None:
        """Note a use.

        Args:
            grant: Its id.
            principal: Who used it.
            segment: For what.
            purpose: To what end.
            day: When.
        """
        seen = self._of(grant, day)
        seen[1] = day
        seen[2] += 1
        # of an approved one the first use could differ already
        self.all += seen[2] == (SETTLED + 1 if seen[APPROVERS] else 2)
        for place, value in ((SEGMENTS, segment), (PURPOSES, purpose), (HOLDERS, principal)):
            if value and value not in seen[place] and len(seen[place]) < MOST:
                seen[place].append(value)
                if len(seen[place]) == 2:
                    self.spread[place - SEGMENTS] += 1

    def _of(self, grant: str, day: int) -> list[Any]:
        seen = self.seen.get(grant)
        if seen is None:
            if len(self.seen) >= self.most:
                self._shrink()
            seen = self.seen[grant] = [day, day, 0, [], [], [], []]
        return seen

    def _shrink(self) -> None:
        latest = sorted(self.seen.items(), key=lambda item: (-item[1][1], item[0]))
        self.seen = dict(latest[: self.most * 3 // 4])

    def forget(self, before: int) -> None:
        """Drop grants that were last used before a day."""
        self.seen = {grant: seen for grant, seen in self.seen.items() if seen[1] >= before}
