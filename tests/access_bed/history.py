"""What was ordinary in the log before anything was planted, and the scene an attack is played on."""

import random
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.access_bed import names
from tests.access_bed.diary import DAY, EPOCH, Diary
from tests.access_bed.records import Event, Scribe, day_of
from tests.access_bed.world import Actor, Agent, Person, World


@dataclass(slots=True)
class Habit:
    """What one principal did."""

    events: list[Event] = field(default_factory=list)
    touched: set[str] = field(default_factory=set)
    actions: Counter[str] = field(default_factory=Counter)
    purposes: Counter[str] = field(default_factory=Counter)
    rows: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    daily: Counter[tuple[str, int]] = field(default_factory=Counter)
    days: Counter[int] = field(default_factory=Counter)
    teams: set[str] = field(default_factory=set)


class History:
    """The habits of all, and which segments were ever joined by whom."""

    def __init__(self, events: list[Event]) -> None:
        self.of: dict[str, Habit] = defaultdict(Habit)
        self.team_used: dict[str, set[str]] = defaultdict(set)
        self.joined: set[tuple[str, str]] = set()
        for event in events:
            self._learn(event)
        for habit in self.of.values():
            for rows in habit.rows.values():
                rows.sort()

    def _learn(self, event: Event) -> None:
        habit, day = self.of[event.principal], day_of(event.moment)
        habit.events.append(event)
        habit.teams.add(event.team)
        habit.touched |= set(event.objects) | {t.split(".")[0] for t in event.objects}
        habit.touched.add(event.segment)
        habit.days[day] += 1
        if not event.done:
            return
        habit.actions[event.action] += 1
        habit.purposes[event.purpose] += 1
        habit.rows[event.action].append(event.rows)
        habit.daily[event.action, day] += 1
        if event.kind == "human":
            self.team_used[event.team].add(event.segment)
        if event.action == "table.join" and event.kind != "workload":
            left, right = sorted(t.split(".")[0] for t in event.objects)
            self.joined.add((left, right))


class Scene:
    """One principal on one day, with the means to act as it and to know what it usually does."""

    def __init__(
        self,
        world: World,
        diary: Diary,
        scribe: Scribe,
        history: History,
        rng: random.Random,
        who: Actor,
        days: list[int],
    ) -> None:
        self.world, self.diary, self.scribe, self.history = world, diary, scribe, history
        self.rng, self.who, self.days, self.day = rng, who, days, days[0]
        self.habit = history.of[who.name]
        self.moment = 0.0
        self.number = -1
        self.earlier = [e for e in self.habit.events if e.done and day_of(e.moment) < self.day]

    @property
    def human(self) -> bool:
        """Whether it is a person."""
        return isinstance(self.who, Person)

    @property
    def assistant(self) -> bool:
        """Whether it is an agent that works steadily."""
        return isinstance(self.who, Agent) and not self.who.bursty

    @property
    def agent(self) -> bool:
        """Whether it is an agent."""
        return isinstance(self.who, Agent)

    def at_work(self, day: int) -> None:
        """Go to a moment at which the principal is at work on a day."""
        spent = [e.moment for e in self.habit.events if day_of(e.moment) == day]
        spent = spent[len(spent) // 6 : max(1, len(spent) * 4 // 5)]
        self.moment = self.rng.choice(spent) + self.rng.uniform(1, 20)
        self.day = day

    def before(self) -> list[Event]:
        """Ordinary events of the principal before the day, those that were allowed."""
        return self.earlier

    def favourites(self) -> list[str]:
        """Segments the principal uses much, those of the lake's teams only."""
        used = Counter(e.segment for e in self.before()[-800:])
        return [s for s, n in used.most_common(6) if n >= 5 and s not in names.OPEN]

    def foreign(self) -> list[str]:
        """Segments that neither the principal nor anybody of its teams ever used, in random order."""
        used = set(self.habit.touched)
        for team in self.habit.teams:
            used |= self.history.team_used[team]
        if isinstance(self.who, Agent):
            used |= self.history.of[self.who.operator].touched
        born = [s for s in self.world.segments.values() if s.born <= self.days[0] - 2]
        left = [s.name for s in born if s.name not in used and s.team not in {"open", "guarded"}]
        return self.rng.sample(left, len(left))

    def guarded(self) -> list[str]:
        """Guarded segments that neither the principal nor the team ever used."""
        used = set(self.habit.touched)
        for team in self.habit.teams:
            used |= self.history.team_used[team]
        return [s for s in names.GUARDED if s not in used]

    def far(self, index: int = 0) -> list[str]:
        """Tables of the index-th foreign segment, or of any other than one's own if none is left."""
        return self.tables(self.foreign()[index])

    def tables(self, segment: str) -> list[str]:
        """Tables of a segment in random order."""
        seen = self.world.segments[segment].seen(self.days[0] - 1)
        return self.rng.sample(seen, len(seen))

    def grant(self) -> str | None:
        """The grant the principal used last."""
        held = [e.grant for e in self.before()[-60:] if e.grant]
        return held[-1] if held else None

    def grant_for(self, segment: str) -> str | None:
        """The grant the principal last used for a segment."""
        held = [e.grant for e in self.before() if e.segment == segment]
        return held[-1] if held else None

    def purpose(self) -> str:
        """The purpose the principal gives most."""
        own = [e.purpose for e in self.before()[-400:]]
        plain = [p for p in own if not p.startswith(("project-", "incident-", "onboarding"))]
        return Counter(plain or own).most_common(1)[0][0]

    def usual(self, action: str, share: float) -> int:
        """A quantile of the rows the principal's uses of this kind have."""
        rows = self.habit.rows.get(action) or [0]
        return rows[min(len(rows) - 1, int(share * len(rows)))]

    def act(
        self,
        action: str,
        *things: str,
        segment: str | None = None,
        purpose: str | None = None,
        rows: int | None = None,
        size: int | None = None,
        grant: str | None = None,
        done: bool = True,
        gap: float = 60,
    ) -> None:
        """Do one thing of the attack, then wait for about a gap of seconds."""
        usual, usual_size = self.scribe.amount(action, things[0], getattr(self.who, "thirst", 0.6))
        width = self.world.size.get(things[0], (0, 200))[1]
        place = segment or things[0].split(":")[-1].split("/")[0].split(".")[0]
        now = [e.team for e in self.before()[-1:]]
        event = self.scribe.note(
            *(self.who, self.moment, action, things, names.MODELS.get(place, place)),
            purpose or self.purpose(),
            rows=usual if rows is None else rows,
            size=size or (usual_size if rows is None else rows * width),
            grant=grant,
            done=done,
            team=now[0] if now else None,
        )
        event.attack = self.number
        self.habit.touched |= {*things, event.segment, *(t.split(".")[0] for t in things)}
        self.moment += max(0.3, gap * self.rng.lognormvariate(0, 0.35))

    def quiet(self, start: float, end: float) -> bool:
        """Whether the principal did nothing between two moments."""
        return not any(start < e.moment < end for e in self.habit.events)

    def night_free(self) -> bool:
        """Whether the principal never works between eleven at night and six, incidents apart."""
        person = self.clock()
        hours = (
            self.diary.local(person, e.moment)
            for e in self.habit.events
            if e.purpose != "incident-response" and e.action != "grant.approve"
        )
        return all(6 <= hour < 23 for hour in hours)

    def clock(self) -> Person:
        """The person whose hours count: oneself, or the operator of an agent."""
        who = self.who
        return who if isinstance(who, Person) else self.world.people[getattr(who, "operator", "")]

    def go_to(self, day: int, hour: float) -> None:
        """Go to an hour of the local clock on a day."""
        midnight = self.moment_of(day) - self.diary.hours_off(self.clock(), day) * 3600
        self.moment, self.day = midnight + hour * 3600, day

    @staticmethod
    def moment_of(day: int) -> float:
        """Midnight, UTC, at which a day begins."""
        return float(EPOCH + day * DAY)


Play = Callable[[Scene], None]
Fit = Callable[[Scene], bool]


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to attack: its kind, whom it fits, how it is played, how many days it takes."""

    kind: str
    name: str
    fits: Fit
    play: Play
    span: tuple[int, int] = (1, 1)
    night: bool = False
    weekend: bool = False
