"""How long nothing gave a reason to fetch an artifact: nobody else fetched it, and nothing new of its family came out.

Two in a row are ordinary where there is something to fetch: after a release many take the new one and the one before
it. Two that nobody needed for days are not. What somebody does themselves is no reason, so nobody makes their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from math import log10
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from safehold.clock import DAY_US
from safehold.sentinel.bursts import MOST_OBJECTS, Row, count_use
from safehold.sentinel.event import Event
from safehold.sentinel.measure import Running, rarity
from safehold.sentinel.profile import Profile
from safehold.sentinel.settings import HOUR_US
from safehold.sentinel.words import family_of

if TYPE_CHECKING:
    from safehold.sentinel.detector import Sentinel

PAIR: Final = Row("artifact/pair", HOUR_US // 4, different=True, weight=1.0)
LONGER: Final = 0.48  # from three times as long as usual on, as a power of ten
# longer counts as this: less than the floor, so that no length alone tells a row that is usual for somebody
ENOUGH: Final = 0.95
STEP_US: Final = 6 * HOUR_US  # what was idle for less was not idle
FEW: Final = 20  # fetches from which on what is usual is known
SLOW: Final = 0.005  # weight of a new fetch in it
MOST_OF_DAY: Final = 20  # fetches of somebody that teach it in a day
MOST_THINGS: Final = 20_000
_NEVER: Final[tuple[Any, ...]] = (-1, "", -1, (), -1)
_VERSION: Final = re.compile(r"[/@:]?[vr]?\d{1,8}([.\-_]\d{1,8})*", re.IGNORECASE)
_NUMBER: Final = re.compile(r"\d+")


class Pair(NamedTuple):
    """Different artifacts in a row, of which one was idle for long.

    Args:
        score: How rare so many are, given that there is one at all, and how many times as long as usual it was idle.
        different: How many.
        idle_us: For how long.
        usual_us: How long is usual.
    """

    score: float
    different: int
    idle_us: int
    usual_us: float


class Idle:
    """Who fetched which artifact last, and how long artifacts are idle before somebody fetches them.

    Args:
        most: Most artifacts that are kept; those that nobody fetched for the longest go first.
    """

    __slots__ = ("families", "most", "things", "usual")

    def __init__(self, most: int = MOST_THINGS) -> None:
        self.most = most
        # of each: the last moment, by whom, the last moment by anybody else, and the first
        self.things: dict[str, list[Any]] = {}
        # of each family: when its newest was first fetched, by whom, and the newest that anybody else was first at
        self.families: dict[str, list[Any]] = {}
        self.usual: dict[str, Running] = {}  # of each kind: in powers of ten of the shortest time

    def since(self, name: str, who: str, t_us: int) -> int:
        """Return for how many microseconds nothing by others gave a reason to fetch an artifact; 0 for a new one.

        Args:
            name: Which.
            who: Whose own fetches do not count.
            t_us: Now.
        """
        thing = self.things.get(name)
        family = self.families.get(_family(name), _NEVER)
        if thing is None:
            version = version_of(name)
            if version and family is not _NEVER and tuple(family[3]) > version:
                return t_us - int(family[4])  # nobody fetched it since its family is known
            return 0
        last = max(_by_others(thing, who), _by_others(family, who))
        return t_us - (last if last >= 0 else int(thing[3]))

    def note(self, name: str, who: str, t_us: int) -> None:
        """Note a fetch.

        Args:
            name: Of which artifact.
            who: By whom.
            t_us: When.
        """
        thing = self.things.get(name)
        if thing is None:
            if len(self.things) >= self.most:
                self._crowded()
            thing = self.things[name] = [t_us, who, -1, t_us]
            family = self.families.setdefault(_family(name), [t_us, who, -1, (), t_us])
            version = version_of(name)
            if not version or version > tuple(family[3]):
                _turn(family, who, t_us)
                family[3] = version or family[3]
        _turn(thing, who, t_us)

    def fetched(self, name: str, who: str, t_us: int) -> bool:
        """Return whether somebody fetched an artifact on this day, and nobody else after that.

        Args:
            name: Which.
            who: Who.
            t_us: Now.
        """
        thing = self.things.get(name)
        return thing is not None and thing[1] == who and thing[0] // DAY_US == t_us // DAY_US

    def longer(self, kind: str, idle_us: int) -> float:
        """Return how many times as long as usual something was idle, as a power of ten; 0 while too little is known.

        Args:
            kind: Of those who fetch.
            idle_us: How long.
        """
        usual = self.usual.get(kind)
        return _length(idle_us) - usual.mean if usual is not None and usual.count >= FEW else 0.0

    def learn(self, kind: str, idle: Iterable[int]) -> None:
        """Note a day of somebody.

        Args:
            kind: Of whom.
            idle: For how long what they fetched was idle.
        """
        usual = self.usual.setdefault(kind, Running())
        for idle_us in idle:
            usual.learn(_length(idle_us), SLOW)

    def _crowded(self) -> None:
        latest = sorted(self.things.items(), key=lambda item: (-item[1][0], item[0]))
        self.things = dict(latest[: self.most * 3 // 4])
        left = set(map(_family, self.things))
        self.families = {name: one for name, one in self.families.items() if name in left}

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        usual = {kind: one.to_json() for kind, one in self.usual.items()}
        return {"things": self.things, "families": self.families, "usual": usual}

    @classmethod
    def from_json(cls, tree: dict[str, Any]) -> Idle:
        """Return what ``to_json`` wrote."""
        made = cls()
        made.things, made.families = tree["things"], tree["families"]
        made.usual = {kind: Running.from_json(one) for kind, one in tree["usual"].items()}
        return made


def paired(sentinel: Sentinel, who: Profile, event: Event, t_us: int) -> Pair | None:
    """Note a fetch of an artifact; return the row that it makes longer, if what is fetched was idle for long.

    Args:
        sentinel: Who knows other days.
        who: Whose.
        event: The fetch.
        t_us: When.
    """
    idle = sentinel.idle
    # an attempt that was refused at the door names no artifact but itself: that is none of several
    names = [name for name in dict.fromkeys(event.objects[:MOST_OBJECTS]) if name != event.action]
    if not names:
        return None
    idle_us = max(idle.since(name, who.name, t_us) for name in names)
    count = count_use(who, PAIR, event, t_us)
    longer = idle.longer(who.kind, idle_us)
    found = None
    if count > 1 and longer >= LONGER:
        row = rarity(sentinel.bursts.chance(who, PAIR.name, count))
        found = Pair(
            row + min(longer, ENOUGH), count, idle_us, max(idle_us, STEP_US) / 10.0**longer
        )
    if event.outcome == "ok":  # what was refused is no reason for others
        # whoever fetches one again and again would teach all of a kind that to lie for long is usual
        again = all(idle.fetched(name, who.name, t_us) for name in names)
        if len(who.today.idle) < MOST_OF_DAY and not again:
            who.today.idle.append(idle_us)
        for name in names:
            idle.note(name, who.name, t_us)
    return found


@lru_cache(maxsize=4096)
def version_of(name: str) -> tuple[int, ...]:
    """Return the numbers of a version, to tell which of two is older; empty if the name tells none.

    Args:
        name: Of an artifact.
    """
    last = name[len(family_of(name)) :]
    return tuple(map(int, _NUMBER.findall(last))) if _VERSION.fullmatch(last) else ()


def _family(name: str) -> str:
    """Return the family of an artifact; what has none is one by itself."""
    return family_of(name) or name


def _length(idle_us: int) -> float:
    return log10(max(idle_us, STEP_US) / STEP_US)


def _by_others(one: list[Any] | tuple[Any, ...], who: str) -> int:
    """Return the last moment that was somebody else's; -1 if there is none."""
    return int(one[2] if one[1] == who else one[0])


def _turn(one: list[Any], who: str, t_us: int) -> None:
    """Note a moment of somebody: the last one, and the last one by anybody else."""
    if one[1] != who:
        one[1], one[2] = who, one[0]
    one[0] = t_us
