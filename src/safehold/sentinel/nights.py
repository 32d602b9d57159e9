"""When somebody is there: how rare an hour is for them, and which purposes go with odd hours whoever states them."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log10
from typing import Any, Final

from safehold.clock import DAY_US, SECOND_US
from safehold.sentinel.crowd import Circle, hour_share
from safehold.sentinel.measure import rarity
from safehold.sentinel.profile import NIGHT, Profile

OWN_HOUR: Final = 1.0  # days that the hours of colleagues count as beside somebody's own
OWN_HOUR_JOB: Final = 0.3  # a job has hours of its own, whatever others do
LEAST_DAYS: Final = 3  # active days before an hour can be unusual
MOST_EXCUSED: Final = 2.0
LEAST_OTHERS: Final = 2.0  # days with a purpose by others before it excuses anything
BASE: Final = 0.02
CARRIED: Final = 0.4  # as what a visit on the days before counts, at most
CARRY_US: Final = 5 * DAY_US  # nights of this far back still count beside those of today
MOST_PURPOSES: Final = 512
VISIT_US: Final = 60 * SECOND_US  # a pause that ends a visit


class Reasons:
    """How often each purpose is stated at hours that are odd for whoever states it, against all purposes."""

    __slots__ = ("all", "seen")

    def __init__(self) -> None:
        self.all = [0.0, 0.0]  # principal-days with odd hours, and all
        self.seen: dict[str, list[float]] = {}

    def learn(self, who: Profile, reasons: dict[str, int]) -> None:
        """Note a day of somebody.

        Args:
            who: Who.
            reasons: Purposes; 1 for one that was stated at an odd hour, else 0.
        """
        for purpose, odd in sorted(reasons.items()):  # a restart must change nothing
            if purpose not in self.seen and len(self.seen) >= MOST_PURPOSES:
                continue
            for counts in (
                self.all,
                self.seen.setdefault(purpose, [0.0, 0.0]),
                who.reasons.setdefault(purpose, [0.0, 0.0]),
            ):
                counts[0] += odd
                counts[1] += 1.0

    def excuse(self, who: Profile, purpose: str) -> float:
        """Return how far a purpose explains an odd hour: how much oftener others state it then than anything else.

        What somebody states themselves excuses nothing.

        Args:
            who: Who.
            purpose: What they state.
        """
        seen = self.seen.get(purpose)
        if seen is None:
            return 0.0
        own = who.reasons.get(purpose, (0.0, 0.0))
        odd, days = max(0.0, seen[0] - own[0]), max(0.0, seen[1] - own[1])
        if days < LEAST_OTHERS:
            return 0.0
        base = (self.all[0] + BASE) / (self.all[1] + 1.0)
        share = (odd + 4.0 * base) / (days + 4.0)
        return min(MOST_EXCUSED, max(0.0, log10(share / base)))

    def fade(self, fade: float) -> None:
        """Let a week pass."""
        self.all = [one * fade for one in self.all]
        self.seen = {
            purpose: [one * fade for one in counts]
            for purpose, counts in self.seen.items()
            if counts[1] >= 0.2
        }

    def to_json(self) -> list[Any]:
        """Return it as JSON."""
        return [self.all, self.seen]

    @classmethod
    def from_json(cls, tree: list[Any]) -> Reasons:
        """Return what ``to_json`` wrote."""
        made = cls()
        made.all, made.seen = tree
        return made


def rare_hour(who: Profile, hour: int, ring: Sequence[Circle]) -> float:
    """Return how rare it is that a principal is there at this hour, and for a human on this day of the week.

    Args:
        who: The principal.
        hour: 0 to 23.
        ring: Their circles.
    """
    share = hour_share(ring, hour)
    pull = OWN_HOUR_JOB if who.kind == "workload" else OWN_HOUR
    score = rarity(min(1.0, (who.hour_days(hour) + pull * share) / (who.active + pull)))
    if who.kind == "human" and (who.day + 3) % 7 >= 5:  # 1970-01-01 was a Thursday
        score += 0.5 * rarity(max(who.weekend, 0.02))
    return score


def count_night(who: Profile, t_us: int, rare: float) -> float:
    """Note one use at an odd hour; return how many visits there were in this night, and in part on the days before.

    Uses without a pause of a minute are one visit: a job that is late does as much as ever, and that says nothing.

    Args:
        who: The principal.
        t_us: When.
        rare: How rare the hour is.
    """
    night = who.night
    passed = t_us - night[0]
    if passed > NIGHT:
        night[4] = (night[4] + night[1]) * exp(-passed / CARRY_US)
        night[0], night[1], night[2], night[3], night[6] = t_us, 0, 0.0, [], 0
    if not night[1] or t_us - night[5] >= VISIT_US:
        night[1] += 1
    night[2] = max(night[2], rare)
    night[5] = t_us
    night[6] += 1
    return float(night[1] + CARRIED * night[4])
