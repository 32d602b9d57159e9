"""Where attacks are planted: who could do it, when, and what they did before."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence

from tests.access_port.company import Actor
from tests.access_port.days import World
from tests.access_port.habits import bytes_of
from tests.access_port.log import DAY, HOUR, SECOND, Event

READS = frozenset(
    (
        "dataset.read",
        "dataset.query",
        "feature.read",
        "sample.fetch",
        "evalset.read",
        "ledger.search",
    )
)


class Plant:
    """The ground, and what was planted in it."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.rng = random.Random(f"planted-{seed}")
        self.number = 0
        self.new: list[Event] = []
        self.beside: list[Event] = []  # an approval somebody else gave
        world.events.sort(key=lambda e: e.at)
        self.by_name: dict[str, list[Event]] = defaultdict(list)
        for event in world.events:
            self.by_name[event.principal].append(event)
        self.times = {name: [e.at for e in events] for name, events in self.by_name.items()}
        self.sensible = {
            p.name: self._steady(p) for p in (*world.staff.people, *world.staff.agents)
        }
        asked = [
            e for e in world.events if e.action in ("grant.request", "grant.renew") and e.grant
        ]
        self._asked = [e.at for e in asked]
        self._numbers = [int(str(e.grant)[3:]) for e in asked]
        self._given: set[int] = set()
        self.taken: dict[str, list[tuple[int, int]]] = defaultdict(list)

    def _steady(self, actor: Actor) -> bool:
        """Long enough in place, and not leaving, moving or travelling: their ordinary days are known."""
        world = self.world
        known = self.by_name.get(actor.name, ())
        days = {
            e.at // DAY
            for e in known
            if e.at < world.learn * DAY and not e.action.startswith("grant.")
        }
        enough = len(days) >= max(3, 2 * world.learn // 5)
        return (
            enough
            and actor.last_day > world.total
            and actor not in world.changes.moved
            and not actor.shift
        )

    def humans(self, *roles: str) -> list[Actor]:
        """Steady people, in these roles if any are named."""
        people = self.world.staff.people
        return [p for p in people if self.sensible[p.name] and (not roles or p.role in roles)]

    def agents(self, *styles: str) -> list[Actor]:
        """Steady agents."""
        return [
            a
            for a in self.world.staff.agents
            if self.sensible[a.name] and (not styles or a.style in styles)
        ]

    def past(self, actor: Actor, at: int, days: int = 1000) -> Sequence[Event]:
        """What a principal did in the days before."""
        times = self.times[actor.name]
        return self.by_name[actor.name][
            bisect_left(times, at - days * DAY) : bisect_left(times, at)
        ]

    def usual(self, actor: Actor, at: int) -> list[Event]:
        """Their granted uses in the days before."""
        return [
            e
            for e in self.past(actor, at)
            if e.outcome == "ok" and e.grant and not e.action.startswith("grant.")
        ]

    def segments(self, actor: Actor, at: int) -> set[str]:
        """Every segment they ever asked for."""
        return {e.segment for e in self.past(actor, at)}

    def foreign(self, actor: Actor, at: int) -> list[str]:
        """Segments neither they, nor their team, nor their operator ever asked for, in a fixed order."""
        team = self.past(actor, at)[-1].team
        world = self.world
        near = {p.name for p in world.staff.people if p.team == team} | {actor.name}
        seen = {
            e.segment
            for name in sorted(near)
            for e in self.by_name.get(name, ())
            if e.outcome == "ok"
        }
        able = [s for s in world.catalogue.sets if s not in seen and not s.startswith("sgn/")]
        streams = {s.partition("/")[2] for s in seen}
        return [s for s in able if s.partition("/")[2] not in streams] or able

    def moment(self, actor: Actor, day: int, low: float = 0.1, high: float = 0.8) -> int | None:
        """A moment in somebody's ordinary hours; None if they are not at work."""
        owner = actor.owner or actor
        world = self.world
        if not owner.here(day) or not actor.here(day) or world.calendar.weekday(day) > 4:
            return None
        if world.changes.holiday.get(day) == owner.place.continent:
            return None
        hour = owner.start + self.rng.uniform(low, high) * owner.length
        return self.wall(owner, day, hour)

    def wall(self, actor: Actor, day: int, hour: float) -> int:
        """An hour on the wall of their office."""
        ahead = self.world.calendar.offset(actor.place.continent, day)
        return int(day * DAY + (hour - ahead) * HOUR) + self.rng.randrange(SECOND)

    def do(
        self, at: int, actor: Actor, action: str, objects: tuple[str, ...], segment: str, like: Event,
        *, rows: float = 0, size: float | None = None, purpose: str = "", outcome: str = "ok", grant: str | None = None,
    ) -> Event:  # fmt: skip
        """One event of an attack; who it is, why and under which grant as in an event like it."""
        count = int(rows)
        now = self.past(actor, at)[-1]
        why = purpose or like.purpose
        grant = grant or self._current(actor, at, segment, why)
        grant = grant or self._current(actor, at, like.segment, like.purpose) or like.grant
        denied = outcome == "denied"
        weight = (
            0 if denied else int(size) if size is not None else bytes_of(self.rng, segment, count)
        )
        event = Event(
            at, actor.name, actor.kind, now.role, now.team, action, objects, segment, why,
            0 if denied else count, weight, None if denied else grant, outcome, self.number,
        )  # fmt: skip
        self.new.append(event)
        return event

    def _current(self, actor: Actor, at: int, segment: str, purpose: str) -> str | None:
        """The grant they last used there for that."""
        for event in reversed(self.past(actor, at, 12)):
            if (
                event.segment == segment
                and event.purpose == purpose
                and event.grant
                and event.action[:6] != "grant."
            ):
                return event.grant
        return None

    def ident(self, at: int) -> str:
        """An id for one more grant, between those given about that time."""
        for number in reversed(self._numbers[: bisect_left(self._asked, at)]):
            if number + 1 not in self._given:
                self._given.add(number + 1)
                return f"gr-{number + 1}"
        raise LookupError("no grant was asked for so early")

    def again(self, at: int, actor: Actor, like: Event, *, more: float = 1.0) -> Event:
        """Something they did before, once more."""
        rows = like.rows * more * self.rng.uniform(0.85, 1.15)
        size = None if like.rows else like.bytes
        return self.do(
            at, actor, like.action, like.objects, like.segment, like, rows=rows, size=size
        )

    def free(self, name: str, start: int, end: int) -> bool:
        """Whether nothing else is planted on this principal within a day of it."""
        return all(start >= b + DAY or end + DAY <= a for a, b in self.taken[name])

    def near(self, rows: int, least: int = 200) -> float:
        """About so many rows."""
        return max(least, rows) * self.rng.uniform(0.6, 1.5)

    def gap(self, low: float, high: float) -> int:
        """Some seconds."""
        return int(self.rng.uniform(low, high) * SECOND)
