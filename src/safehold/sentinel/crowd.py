"""Who else does it: for each team, role and for all, which principals used what, and when they last did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log10
from operator import mul
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from safehold.sentinel.profile import Profile

TOGETHER: Final = 4
PULL: Final = 2.0  # how many colleagues the wider circle counts as, in the share of a narrower one
NOBODY: Final = 0.2  # what stands for a colleague where there is none at all
# how much an hour so far away counts
NEAR: Final[tuple[float, ...]] = tuple(0.5 ** min(apart, 24 - apart) for apart in range(24))
# the same for each hour, place by place
AROUND: Final = tuple(tuple(NEAR[place - hour] for place in range(24)) for hour in range(24))


class Circle:
    """The principals of one team, one role, or all of them.

    What somebody did themselves never explains what they do: a share is one of the others.
    """

    __slots__ = ("at", "days", "hours", "members", "now", "often", "who")

    def __init__(self) -> None:
        self.members: dict[str, int] = {}
        self.who: dict[str, dict[str, int]] = {}
        self.hours = [0.0] * 24  # days of principals with a use in each hour, fading
        self.days = 0.0  # all days of principals, fading
        self.often: dict[str, float] = {}  # days of principals with each thing, fading
        self.at = -1  # today, and what several have taken up today that is not habit yet
        self.now: dict[str, list[str]] = {}

    def learn(self, principal: str, keys: Sequence[str], day: int, hours: int) -> None:
        """Note what a principal used on a day.

        Args:
            principal: Who.
            keys: What.
            day: The day.
            hours: When: a bit for each hour.
        """
        self.members[principal] = day
        self.days += 1.0
        for hour in range(24):
            if hours >> hour & 1:
                self.hours[hour] += 1.0
        who, often = self.who, self.often
        for key in keys:
            often[key] = often.get(key, 0.0) + 1.0
            users = who.get(key)
            if users is None:
                who[key] = {principal: day}
            else:
                users[principal] = day

    def touch(self, principal: str, key: str, day: int) -> None:
        """Note that a principal does something today that is new to them; no more than four are told apart.

        Args:
            principal: Who.
            key: What.
            day: Today.
        """
        if self.at != day:
            self.at, self.now = day, {}
        users = self.now.setdefault(key, [])
        if principal not in users and len(users) < TOGETHER:
            users.append(principal)

    def others(self, principal: str, key: str) -> tuple[int, int]:
        """Return how many others used something, and how many others there are."""
        users = self.who.get(key)
        count = 0 if users is None else len(users) - (principal in users)
        if key in self.now:
            # what a team takes up in one day is a change of its work, from the third on: two may be in league
            today = self.now[key]
            count += max(0, len(today) - (principal in today) - 1)
        return count, len(self.members) - (principal in self.members)

    def closed(self, key: str) -> float:
        """Return how rare it is that a day of somebody with a thing is their first: much used, always by the same.

        Args:
            key: The thing.
        """
        users = self.who.get(key)
        if users is None:
            return 0.0
        return max(0.0, log10((self.often.get(key, 0.0) + 1.0) / (len(users) + 0.5)))

    def apart_from(self, kinds: Mapping[str, Profile], who: Profile, key: str) -> float:
        """Return how much a thing is used by others none of whom is of somebody's kind, as a power of ten of days.

        Args:
            kinds: All profiles.
            who: Somebody.
            key: The thing.
        """
        users = self.who.get(key)
        if not users or any(
            one != who.name and one in kinds and kinds[one].kind == who.kind for one in users
        ):
            return 0.0
        return log10(2.0 * self.often.get(key, 0.0) + 2.0)

    def unmet(self, one: str, other: str) -> float:
        """Return how many times as often two segments would have met in joins by chance as they did, as a power of ten.

        Args:
            one: A segment.
            other: Another one.
        """
        often = self.often
        total = often.get("j:", 0.0)
        chance = often.get(f"j:{one}", 0.0) * often.get(f"j:{other}", 0.0) / total if total else 0.0
        met = often.get(f"x:{one}\x1f{other}", 0.0)
        return max(0.0, log10((1.0 + chance) / (1.0 + met)))

    def forget(self, before: int, fade: float) -> None:
        """Drop what was last used before a day, and let hours fade."""
        self.hours = [value * fade for value in self.hours]
        self.days *= fade
        self.now = {}
        self.members = {name: day for name, day in self.members.items() if day >= before}
        kept = {}
        for key, users in self.who.items():
            recent = {name: day for name, day in users.items() if day >= before}
            if recent:
                kept[key] = recent
        self.who = kept
        self.often = {key: days * fade for key, days in self.often.items() if key in kept}

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_json(cls, tree: dict[str, Any]) -> Circle:
        """Return what ``to_json`` wrote."""
        made = cls()
        for name in cls.__slots__:
            setattr(made, name, tree[name])
        return made


def share_of(circles: Sequence[Circle], principal: str, key: str) -> float:
    """Return which part of the others uses something, from the widest circle to the narrowest.

    The share of each circle is drawn towards that of the wider one, the more the fewer are in it.

    Args:
        circles: Widest first.
        principal: Whose use is judged; left out of every count.
        key: What.
    """
    count, of = circles[0].others(principal, key)
    share = (count + NOBODY) / (of + PULL)
    for circle in circles[1:]:
        count, of = circle.others(principal, key)
        share = (count + PULL * share) / (of + PULL)
    return share


def hour_share(circles: Sequence[Circle], hour: int) -> float:
    """Return on which part of their days the others do something at an hour, from the widest circle inwards.

    Args:
        circles: Widest first.
        hour: The hour, 0 to 23.
    """
    share = 0.02
    for circle in circles:
        share = (near_hour(circle.hours, hour) + 4.0 * share) / (circle.days + 4.0)
    return share


def near_hour(hours: Sequence[float], hour: int) -> float:
    """Return on how many days somebody was there at an hour; one that is near counts by half for each hour between.

    To stay an hour longer is nothing, to come five hours too early is: what is odd about an hour is how far it lies
    from the usual ones.

    Args:
        hours: Days with a use in each hour of the day.
        hour: The hour, 0 to 23.
    """
    return float(max(map(mul, hours, AROUND[hour])))
