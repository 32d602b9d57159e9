"""What is usual for one principal, and what they have done today, this hour and these five minutes."""

from __future__ import annotations

from math import log
from typing import Any, Final

from safehold.clock import SECOND_US
from safehold.sentinel.crowd import near_hour
from safehold.sentinel.measure import Running
from safehold.sentinel.pace import Pace
from safehold.sentinel.settings import HOUR_US
from safehold.sentinel.sizes import Sizes, as_lists, from_lists

SLOT_US: Final = 10 * SECOND_US
SLOTS: Final = 30  # five minutes of slots
AGAIN_US: Final = (
    3 * SECOND_US
)  # a call that comes later than this after the same is not one more of it
SOON_SLOTS: Final = 12  # two minutes of them
HOUR_SLOTS: Final = 12  # five minutes each
FRESH: Final = 0.08  # weight of one day in how often something new is touched
SETTLED: Final = 10
LAG: Final = 7  # active days that the rate used for scope lies back
FIRST_DAYS: Final = (
    4.5  # active days, fading, that bring everything and tell nothing of what a day brings
)
CAME: Final = "SOUD"
MOST_CAME: Final = 50.0  # new things of one day that count
LIKE_OTHERS: Final = 3.0  # days that what others' days bring counts as
UNHEARD: Final = 0.1  # what a day brings while nobody's days are known
NIGHT: Final = 3 * HOUR_US
SOON_US: Final = 600 * SECOND_US  # until when trying again counts as an answer to a refusal
MOST_RETRIES: Final = 32
KEPT: Final = 20  # numbers of events that are kept as evidence


class Today:
    """What one principal has done on one day; becomes habit when the day has ended."""

    __slots__ = (
        "anomalous", "apart", "at", "breadth", "counts", "denied", "far", "fullest", "hourly", "hours", "idle", "new",
        "ok",
        "rare", "rate", "reasons", "runs", "same", "scores", "severe", "sizes", "soon", "sums", "taught", "uses",
    )  # fmt: skip

    def __init__(self) -> None:
        self.scores: dict[str, float] = {}  # what was touched, and how rare that was at first
        self.ok: dict[str, int] = {}  # what of it was not denied, and how often
        self.rare: dict[str, int] = {}  # what of it is rare, and how often
        self.far: dict[
            str, float
        ] = {}  # which objects of it are not of the own work, and how far from it
        self.new: dict[str, float] = {
            "S": 0.0,
            "O": 0.0,
            "U": 0.0,
            "D": 0.0,
        }  # weight of new segments, objects, purposes, grants
        self.apart: dict[str, float] = {}  # how far new things of it are those of another kind
        self.taught: dict[str, float] = {}  # how much of what was new taught what is new to all
        self.at: dict[str, float] = {}  # how rare each hour of it is
        self.hours = 0  # a bit for each hour
        # the most of the day, in their windows
        self.soon = self.rate = self.hourly = self.breadth = self.denied = self.same = 0
        self.reasons: dict[str, int] = {}  # purposes, and whether at an odd hour
        self.sizes: dict[str, dict[int, int]] = {}  # of each action how many uses had which size
        self.sums: dict[
            str, list[float]
        ] = {}  # sum and count of what is held against the weeks before
        self.severe = False  # something severe was told
        self.uses = 0
        self.counts: dict[str, int] = {}  # of uses that have a meaning
        self.fullest: dict[str, int] = {}  # of them, the most in a row
        self.idle: list[int] = []  # for how long the artifacts that were fetched had been idle
        self.runs: list[list[float]] = []  # of uses in a row: how many, and how long they took
        self.anomalous = False  # something was told

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        tree = {name: getattr(self, name) for name in self.__slots__ if name != "sizes"}
        return {**tree, "sizes": as_lists(self.sizes)}

    @classmethod
    def from_json(cls, tree: dict[str, Any]) -> Today:
        """Return what ``to_json`` wrote."""
        made = cls()
        for name in cls.__slots__:
            setattr(made, name, tree[name])
        made.sizes = from_lists(tree["sizes"])
        return made


class Profile:
    """One principal.

    Args:
        name: Who.
        kind: ``human``, ``agent`` or ``workload``.
        day: The day of the first event.
    """

    __slots__ = (
        "active", "asked", "broad_at", "broad_keys", "broad_over", "bursts", "came", "day", "deeds", "denied_at",
        "denied_keys", "denied_n", "episodes", "first", "fresh", "held", "hour_sum", "hours", "kind", "known",
        "lagged", "large", "large_of_week", "lately", "most_broad", "most_denied", "most_hourly", "most_rate",
        "most_same", "most_soon", "most_uses", "name", "new", "night", "of_use", "paced", "paces", "reasons",
        "recent", "refused", "retried", "role", "run", "run_pace", "run_seen", "run_uses", "same", "settled",
        "severe", "sizes", "slot", "slot_sum", "slots", "soon_sum", "team", "today", "weekend", "width",
    )  # fmt: skip

    def __init__(self, name: str, kind: str, day: int) -> None:
        self.name, self.kind, self.role, self.team = name, kind, "", ""
        self.first = self.day = day
        self.active = 0.0  # active days, fading
        self.held = 0
        self.deeds: dict[str, int] = {}  # grants they used, and the last day
        self.asked: dict[str, int] = {}  # segments they asked for, and the day
        self.settled = SETTLED  # active days since they came to their team from another one
        self.severe = -100  # day of the last severe alert
        self.known: dict[str, float] = {}  # days on which each thing was used, fading
        self.width = 0  # different objects among them
        self.fresh: dict[
            str, float
        ] = {}  # chance that a day brings something new, by what kind of thing
        # new segments, objects, purposes and grants: of each of the last days, and of the days before
        self.lagged: list[list[float]] = []
        self.came = [0.0] * (len(CAME) + 1)
        self.hours = [0.0] * 24
        self.weekend = 0.3
        self.sizes = Sizes()
        self.most_rate, self.most_broad, self.most_denied = Running(), Running(), Running()
        self.most_uses, self.most_hourly, self.most_soon = Running(), Running(), Running()
        self.most_same = Running()
        self.same: list[Any] = [
            "",
            0,
            0,
        ]  # of a machine: the last call, when, and how often in a row
        self.of_use: dict[str, list[float]] = {}  # sizes and daily counts of uses with a meaning
        self.bursts: dict[str, list[float]] = {}  # days with so many of a use in a row
        self.lately: dict[str, list[list[Any]]] = {}  # moments and names of each use in a row
        self.today = Today()
        self.slot, self.slots, self.slot_sum, self.soon_sum = 0, [0] * SLOTS, 0, 0
        self.paced: list[list[int]] = []  # the last hour in slots of five minutes
        self.hour_sum = 0
        self.broad_at, self.broad_over = 0, 0
        self.broad_keys: dict[str, int] = {}
        self.denied_at = self.denied_n = self.retried = 0
        self.denied_keys: dict[str, int] = {}
        # of the last night: begin, visits, greatest surprise, numbers, what the nights before it still count, the
        # moment of the last use, and uses
        self.night: list[Any] = [0, 0, 0.0, [], 0.0, 0, 0]
        self.reasons: dict[str, list[float]] = {}  # purposes: days at odd hours, all days
        self.new: list[list[Any]] = []  # new things of the last week: moment, kind, weight, number
        self.recent: list[int] = []  # numbers of the last events of a machine
        self.refused: list[int] = []  # numbers of the last refusals
        self.large: list[list[int]] = []  # day and number of the last large uses
        self.large_of_week: list[list[int]] = []  # the same of the last of all uses
        self.paces: dict[str, Pace] = {}  # numbers of each day
        self.episodes: dict[str, list[float]] = {}
        self.run: list[int] = []  # moments of the last uses of a machine without a pause
        self.run_uses, self.run_pace = 0, Running()
        self.run_seen = [0.0, 0.0, 0.0, 0.0]  # runs of so many uses

    def count_rate(self, t_us: int) -> int:
        """Count one event and return how many there were in the last five minutes; ``soon_sum`` has those of two."""
        slot = t_us // SLOT_US
        passed = slot - self.slot
        if passed:
            slots = self.slots
            if passed >= SLOTS:
                self.slots, self.slot_sum, self.soon_sum = [0] * SLOTS, 0, 0
            else:
                for step in range(self.slot + 1, slot + 1):
                    self.soon_sum -= slots[(step - SOON_SLOTS) % SLOTS]
                    self.slot_sum -= slots[step % SLOTS]
                    slots[step % SLOTS] = 0
            self.slot = slot
        self.slots[slot % SLOTS] += 1
        self.slot_sum += 1
        self.soon_sum += 1
        self.today.rate = max(self.today.rate, self.slot_sum)
        self.today.soon = max(self.today.soon, self.soon_sum)
        return self.slot_sum

    def count_same(self, t_us: int, call: str) -> int:
        """Count one call of a machine and return how often it made the same in a row, each soon after the last."""
        same = self.same
        same[2] = same[2] + 1 if call == same[0] and t_us - same[1] <= AGAIN_US else 1
        same[0], same[1] = call, t_us
        self.today.same = max(self.today.same, same[2])
        return int(same[2])

    def count_hour(self, t_us: int) -> int:
        """Count one event and return how many there were in the last hour, in steps of five minutes."""
        slot = t_us // (SLOT_US * SLOTS)
        if self.paced and self.paced[-1][0] == slot:
            self.paced[-1][1] += 1
        else:
            self.paced = [one for one in self.paced if one[0] > slot - HOUR_SLOTS] + [[slot, 1]]
            self.hour_sum = sum(one[1] for one in self.paced) - 1
        self.hour_sum += 1
        self.today.hourly = max(self.today.hourly, self.hour_sum)
        return self.hour_sum

    def count_breadth(self, t_us: int, key: str, most: int) -> int:
        """Note what was touched and return how many different things it were in this hour."""
        if t_us - self.broad_at > HOUR_US:
            self.broad_at, self.broad_keys, self.broad_over = t_us, {}, 0
        if key not in self.broad_keys:
            if len(self.broad_keys) < most:
                self.broad_keys[key] = 1
            else:
                self.broad_over += 1
        count = len(self.broad_keys) + self.broad_over
        self.today.breadth = max(self.today.breadth, count)
        return count

    def count_denied(self, t_us: int, key: str, *, denied: bool) -> bool:
        """Note a denial, or an event on what was denied; return whether it tries that again within ten minutes."""
        if t_us - self.denied_at > HOUR_US:
            if self.denied_n:
                self.denied_n, self.retried, self.denied_keys, self.refused = 0, 0, {}, []
            if not denied:
                return False
            self.denied_at = t_us
        at = self.denied_keys.pop(key, None)
        again = at is not None and t_us - at <= SOON_US
        if again:
            self.retried += 1
        if denied:
            self.denied_n += 1
            if len(self.denied_keys) < MOST_RETRIES:
                self.denied_keys[key] = t_us
            self.today.denied = max(self.today.denied, self.denied_n)
        return again

    def belong(self, role: str, team: str) -> None:
        """Note the role and the team of an event; whoever has just moved is expected to touch new things.

        Args:
            role: The role.
            team: The team.
        """
        if (role != self.role or team != self.team) and self.team:
            self.settled = 0
        self.role, self.team = role, team

    def fresh_of(self, prefix: str) -> float:
        """Return the chance that a day brings something new of a kind; 1 for whoever is new."""
        fresh = self.fresh.get(prefix, 1.0 / (1.0 + self.active))
        return max(fresh, 1.0 / (1.0 + self.settled)) if self.settled < SETTLED else fresh

    def came_of(self, kind: str, others: Running) -> float:
        """Return how many new things of a kind a day had brought before the last days; the first days do not count.

        Args:
            kind: ``S`` segments, ``O`` objects or ``U`` purposes.
            others: How many a day brings to all who are of the same kind.
        """
        days = self.came[-1]
        new = self.came[CAME.index(kind)] + LIKE_OTHERS * (others.mean if others.count else UNHEARD)
        often = new / (days + LIKE_OTHERS)
        return max(often, 1.0 / (1.0 + self.settled)) if self.settled < SETTLED else often

    def roll(self, day: int, *, learn: bool, fade: float, most: int) -> list[str]:
        """Close the day that was open, and open another.

        Args:
            day: The day that begins.
            learn: False if what was done must not become habit.
            fade: What is left of a habit after a week.
            most: Most things to keep.

        Returns:
            What was used, for the circles to learn.
        """
        today, old = self.today, self.day
        self.today, self.day = Today(), day
        for past in range(old, min(day, old + 14)):
            if (past + 3) % 7 >= 5:  # 1970-01-01 was a Thursday
                seen = 1.0 if past == old and learn else 0.0
                self.weekend += 0.12 * (seen - self.weekend)
        for _ in range(min(day // 7 - old // 7, 52)):
            self._fade(fade)
        if not learn:
            return []
        self.active += 1.0
        self.settled += 1
        for hour in range(24):
            if today.hours >> hour & 1:
                self.hours[hour] += 1.0
        self._renew(today)
        for key in today.ok:
            self.known[key] = self.known.get(key, 0.0) + 1.0
        if len(self.known) > most:
            best = sorted(self.known.items(), key=lambda item: (-item[1], item[0]))
            self.known = dict(best[: most * 3 // 4])
        self.width = sum(key[0] == "o" for key in self.known)
        self.most_soon.learn(_log(today.soon))
        self.most_same.learn(_log(today.same))
        self.most_rate.learn(_log(today.rate))
        self.most_hourly.learn(_log(today.hourly))
        self.most_uses.learn(_log(today.uses))
        self.most_broad.learn(_log(today.breadth))
        self.most_denied.learn(float(today.denied))
        self._count(today.counts)
        return list(today.ok)

    def _renew(self, today: Today) -> None:
        """Learn how often a day brings something new, of each kind of thing."""
        brought = dict.fromkeys("sopaufqxj", 0.0) | today.new
        for key in today.ok:
            if key not in self.known:
                brought[key[0]] = 1.0
        step = max(FRESH, 1.0 / max(self.active, 1.0))
        for kind, new in brought.items():
            before = self.fresh.get(kind, 1.0)
            self.fresh[kind] = before + step * (min(new, 20.0) - before)
        if self.active > FIRST_DAYS:
            self.lagged.append([min(today.new[kind], MOST_CAME) for kind in CAME])
            if len(self.lagged) > LAG:
                gone = self.lagged.pop(0)
                self.came = [one + more for one, more in zip(self.came, [*gone, 1.0], strict=True)]

    def _count(self, counts: dict[str, int]) -> None:
        for use, count in counts.items():
            habit = self.of_use.setdefault(use, [0, 0.0, 0.0, 0, 0.0, 0.0])
            counted = Running.from_json(habit[3:])
            counted.learn(_log(count))
            habit[3:] = counted.to_json()

    def _fade(self, fade: float) -> None:
        self.active *= fade
        self.came = [one * fade for one in self.came]
        self.bursts = {use: [one * fade for one in days] for use, days in self.bursts.items()}
        self.hours = [value * fade for value in self.hours]
        self.reasons = {
            purpose: [one * fade for one in counts]
            for purpose, counts in self.reasons.items()
            if counts[1] >= 0.2
        }
        self.known = {
            key: weight * fade for key, weight in self.known.items() if weight * fade >= 0.1
        }

    def hour_days(self, hour: int) -> float:
        """Return on how many active days somebody was there at an hour, or near it."""
        return near_hour(self.hours, hour)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        tree = {name: getattr(self, name) for name in self.__slots__ if name not in _PARTS}
        tree["paces"] = {name: pace.to_json() for name, pace in self.paces.items()}
        return tree | {name: getattr(self, name).to_json() for name in _PARTS}

    @classmethod
    def from_json(cls, tree: dict[str, Any]) -> Profile:
        """Return what ``to_json`` wrote."""
        made = cls(tree["name"], tree["kind"], tree["first"])
        for name in cls.__slots__:
            kind = _PARTS.get(name)
            setattr(made, name, tree[name] if kind is None else kind.from_json(tree[name]))
        made.paces = {name: Pace.from_json(one) for name, one in tree["paces"].items()}
        return made


_PARTS: Final[dict[str, Any]] = {
    "sizes": Sizes,
    "today": Today,
    "most_soon": Running,
    "most_same": Running,
    "most_rate": Running,
    "most_hourly": Running,
    "most_broad": Running,
    "most_denied": Running,
    "most_uses": Running,
    "run_pace": Running,
}


def _log(count: float) -> float:
    return log(1.0 + count)


def keep(kept: list[Any], one: Any) -> None:
    """Keep one more as evidence, and the last ones before it.

    Args:
        kept: Those that are kept.
        one: The new one.
    """
    kept.append(one)
    if len(kept) > 2 * KEPT:
        del kept[:-KEPT]


def came(kind: str, of: str) -> str:
    """Return the name of the habit of how many new things a day brings.

    Args:
        kind: Of what.
        of: To which kind of principal.
    """
    return f"came{kind}/{of}"
