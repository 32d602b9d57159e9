"""What a careful reader of the log knows of everybody: used to make attacks that are odd for them."""

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from functools import cache

from .company import Principal, Row, World

HOUR = 3600.0


@cache
def family(obj: str) -> str:
    """The data without its week, batch, version or step."""
    head, _, last = obj.rpartition("/")
    dated = last[:2] == "20" or last[:5] == "batch" or last.isdigit()
    return head if head and (dated or (last[:1] == "v" and last[1:].isdigit())) else obj


class Facts:
    """Everybody's habits as the ordinary log has them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.times: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
        self.hours: dict[str, Counter[int]] = defaultdict(Counter)
        self.used: dict[str, Counter[str]] = defaultdict(Counter)
        self.by_team: dict[str, Counter[str]] = defaultdict(Counter)
        self.actions: dict[str, Counter[str]] = defaultdict(Counter)
        self.segments: dict[str, Counter[str]] = defaultdict(Counter)
        self.why: dict[str, Counter[tuple[str, str | None]]] = defaultdict(Counter)
        self.rows: dict[tuple[str, str], list[int]] = defaultdict(list)
        self.done: dict[str, list[tuple[float, str, tuple[str, ...]]]] = defaultdict(list)
        self.free_from: dict[str, list[tuple[float, float]]] = defaultdict(list)
        world.log.sort(key=lambda row: row[0])
        for (
            t,
            name,
            kind,
            _,
            team,
            action,
            objects,
            segment,
            purpose,
            rows,
            _,
            grant,
            outcome,
        ) in world.log:
            zone = world.people[name].zone
            day, hour = world.days.local_hour(t, zone)
            self.times[name][day].append(t)
            self.hours[name][int(hour)] += 1
            self.actions[name][action] += 1
            self.segments[name][segment] += 1
            if outcome == "ok":
                if purpose != "catalogue":
                    self.why[name][purpose, grant] += 1
                if kind != "human":
                    self.done[name].append((t, action, objects))
                self.rows[name, action].append(rows)
            for obj in objects:
                self.used[name][family(obj)] += 1
                self.by_team[team][family(obj)] += 1

    def new(
        self, p: Principal, objects: Iterable[str], day: int, *, team: bool = False
    ) -> list[str]:
        """Those of the objects that they (or their team) have never used."""
        mine, ours = self.used[p.name], self.by_team[p.team(day)]
        return [x for x in objects if family(x) not in mine and not (team and ours[family(x)] > 2)]

    def did(self, p: Principal, action: str) -> int:
        """How often they have done something."""
        return self.actions[p.name][self.world.words.verb(action)]

    def usual_rows(self, p: Principal, action: str, otherwise: float) -> float:
        """The number of rows that is usual for them."""
        seen = sorted(self.rows[p.name, self.world.words.verb(action)])
        return float(seen[len(seen) // 2]) if len(seen) > 4 else otherwise

    def a_day(self, p: Principal, action: str) -> float:
        """How often they do something on a day when they work."""
        return self.did(p, action) / max(1, len(self.times[p.name]))

    def reason(self, p: Principal) -> tuple[str, str | None]:
        """A purpose and approval they work under, the usual ones more often."""
        found = self.why[p.name].most_common(3)
        r = self.world.r
        return r.choices([x for x, _ in found], [n for _, n in found])[0]

    def lately(self, p: Principal, t: float) -> list[tuple[str, tuple[str, ...]]]:
        """What a machine did last before a time."""
        past = [(action, objects) for when, action, objects in self.done[p.name] if when < t]
        return past[-30:]

    def known(self, p: Principal, day: int) -> bool:
        """Whether they have been there long enough that their habits are known."""
        before = [d for d in self.times[p.name] if d < day]
        return len(before) >= 7 and sum(len(self.times[p.name][d]) for d in before) >= 40

    def free(self, p: Principal, first: float, last: float) -> bool:
        """Whether no other attack of theirs lies within a day and more."""
        gap = 30 * HOUR
        return all(last + gap < a or first - gap > b for a, b in self.free_from[p.name])

    def moment(self, p: Principal, day: int) -> float:
        """A time at which they are at work that day."""
        seen = self.times[p.name][day]
        return self.world.r.choice(seen) + self.world.r.uniform(40, 900)

    def find(
        self,
        fits: Callable[[Principal], bool],
        *,
        working: bool = True,
        length: int = 1,
        least: int = 1,
    ) -> tuple[Principal, int] | None:
        """Somebody who fits, and a day after the learn days when they work."""
        world, r = self.world, self.world.r
        days = world.days
        crowd = [p for p in world.people.values() if fits(p)]
        r.shuffle(crowd)
        for p in crowd:
            starts = list(range(days.learn + 1, days.count - length))
            r.shuffle(starts)
            for day in starts[:9]:
                span = [
                    d for d in range(day, day + length) if len(self.times[p.name].get(d, ())) >= 3
                ]
                if working and (len(span) < least or span[0] != day):
                    continue
                if p.left <= day + length or not self.known(p, day):
                    continue
                if self.free(p, day * 86400.0, (day + length) * 86400.0):
                    return p, day
        return None


class Strike:
    """One attack while it is made: whose, and its events."""

    def __init__(self, facts: Facts, p: Principal, t: float = 0.0) -> None:
        self.facts, self.p, self.t, self.world = facts, p, t, facts.world
        self.worked: list[int] = []
        self.rows: list[Row] = []
        self.purpose, self.grant = facts.reason(p)

    def act(
        self,
        action: str,
        *objects: str,
        rows: float = 1,
        size: float = 150,
        denied: bool = False,
        wait: float = 0,
    ) -> None:
        """One event of it, and a while after it."""
        outcome = "denied" if denied else "ok"
        self.world.emit(
            self.t, self.p, action, objects, self.purpose, rows=int(rows), size=int(rows * size * self.world.r.uniform(0.8, 1.2)),
            grant=self.grant, outcome=outcome, log=self.rows,
        )  # fmt: skip
        self.t += wait * self.world.r.uniform(0.15, 1)


Fit = Callable[[Facts, Principal], bool]
Maker = Callable[[Facts], "Strike | None"]
MAKERS: dict[str, list[Maker]] = {}
GROUPS = {
    "curation": ["curation-agent"],
    "literature": ["literature-agent"],
    "coding": ["coding-agent"],
    "assistant": ["clinic-assistant"],
    "agents": [
        "curation-agent",
        "drafting-agent",
        "literature-agent",
        "coding-agent",
        "clinic-assistant",
    ],
    "studiers": [
        "biostatistician",
        "ml-engineer",
        "bioinformatician",
        "imaging-analyst",
        "study-coordinator",
    ],
}


def role(roles: str, *, study: bool = False) -> Fit:
    """Whether somebody has one of the roles, and is in a study."""
    wanted = {y for x in roles.split() for y in GROUPS.get(x, [x])}
    return lambda _, p: p.role in wanted and (bool(p.projects) or not study)


def never(action: str, roles: str) -> Fit:
    """Whether somebody of the roles has never done something."""
    fits = role(roles)
    return lambda f, p: fits(f, p) and f.did(p, action) == 0


def variant(
    kind: str, fits: Fit, length: tuple[int, int] = (1, 1), least: int = 1
) -> Callable[[Callable[[Strike, int, random.Random], None]], Maker]:
    """A way to do an attack of a kind, by somebody who fits and works on enough of the days."""

    def lay(what: Callable[[Strike, int, random.Random], None]) -> Maker:
        def make(facts: Facts) -> Strike | None:
            r = facts.world.r
            span = r.randint(*length)
            found = facts.find(lambda p: fits(facts, p), length=span, least=least)
            if found is None:
                return None
            p, day = found
            s = Strike(facts, p, facts.moment(p, day))
            seen = facts.times[p.name]
            s.worked = [d for d in range(day, day + span) if len(seen.get(d, ())) >= 3]
            what(s, day, r)
            return s

        make.__name__ = what.__name__
        MAKERS.setdefault(kind, []).append(make)
        return make

    return lay


def study_of(s: Strike, day: int) -> str:
    """The code of a study of theirs, under whose purpose and approval they then act."""
    live = [j for j in s.p.projects if j.start <= day < j.end]
    known = [j for j in live if (j.purpose, j.grant(s.p.name)) in s.facts.why[s.p.name]]
    j = s.world.r.choice(known or live or s.p.projects)
    s.purpose, s.grant = j.purpose, j.grant(s.p.name)
    return j.code
