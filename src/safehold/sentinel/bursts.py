"""How many uses of one meaning come within an hour, against other days of the person, the role and the kind."""

from __future__ import annotations

from typing import Any, Final

from safehold.sentinel.profile import Profile
from safehold.sentinel.settings import HOUR_US

MOST: Final = 8  # counts that are told apart; what is beyond counts as this many
PULL: Final = 4.0  # days that the wider circle counts as beside the narrower one
NOTHING: Final = 0.5  # chance of one more where nobody has shown anything yet


class Bursts:
    """Of each use: how many days had so many of it in their fullest hour, at least."""

    __slots__ = ("seen",)

    def __init__(self) -> None:
        self.seen: dict[str, list[float]] = {}

    def chance(self, who: Profile, use: str, count: int) -> float:
        """Return on which part of the days with such a use at least so many come within an hour.

        Args:
            who: Whose; their own days count most, then those of their role, then those of all of a kind.
            use: What for.
            count: How many it are now.
        """
        if count <= 1:
            return 1.0
        place = min(count, MOST) - 1
        share = NOTHING**place
        for days in (
            self.seen.get(f"{use}/{who.kind}"),
            self.seen.get(f"{use}/{who.kind}/{who.role}"),
            who.bursts.get(use),
        ):
            if days:
                share = (days[place] + PULL * share) / (days[0] + PULL)
        return share

    def learn(self, who: Profile, fullest: dict[str, int]) -> None:
        """Note a day.

        Args:
            who: Whose.
            fullest: Of each use, how many came in the fullest hour.
        """
        for use, count in fullest.items():
            for days in (
                self.seen.setdefault(f"{use}/{who.kind}", [0.0] * MOST),
                self.seen.setdefault(f"{use}/{who.kind}/{who.role}", [0.0] * MOST),
                who.bursts.setdefault(use, [0.0] * MOST),
            ):
                for place in range(min(count, MOST)):
                    days[place] += 1.0

    def fade(self, fade: float) -> None:
        """Let a week pass."""
        self.seen = faded(self.seen, fade)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return self.seen

    @classmethod
    def from_json(cls, tree: dict[str, Any]) -> Bursts:
        """Return what ``to_json`` wrote."""
        made = cls()
        made.seen = tree
        return made


def count_use(who: Profile, use: str, t_us: int) -> int:
    """Note a use and return how many of it there were within an hour; not more than can be told apart.

    Args:
        who: Whose.
        use: What for.
        t_us: When.
    """
    moments = [one for one in who.lately.get(use, ()) if one > t_us - HOUR_US]
    who.lately[use] = moments = [*moments, t_us][-MOST:]
    today = who.today.fullest
    today[use] = max(today.get(use, 0), len(moments))
    return len(moments)


def faded(seen: dict[str, list[float]], fade: float) -> dict[str, list[float]]:
    """Return counts after a week.

    Args:
        seen: The counts.
        fade: What is left of them.
    """
    return {
        name: [one * fade for one in days] for name, days in seen.items() if days[0] * fade >= 0.1
    }
