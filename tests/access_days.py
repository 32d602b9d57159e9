"""Made-up days of access in two shapes, with eight kinds of attack; for the sentinel's tests alone.

``office``: many small uses spread over the day, a grant for each person and segment, dotted actions, rows of
lognormal size. ``lab``: sessions of heavy tails, one grant for each person, other words, few segments with many
objects, people of several time zones. Both have weekends, holidays, nights on call, new joiners, a reorganisation,
busy days, sizes out of line, agents that burst, and jobs by the clock.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from random import Random

from safehold.clock import DAY_US, SECOND_US
from safehold.sentinel import Event

HOUR = 3600 * SECOND_US
START = 20_780 * DAY_US
ATTACKS = ("export", "join", "artifact", "agent", "off-hours", "first-time", "slow", "scope")


@dataclass
class Person:
    name: str
    kind: str
    role: str
    team: int
    home: list[str]
    begins: float
    uses: float
    rows: float
    joined: int = 0
    exports: float = 0.0
    pulls: float = 0.0
    joins: float = 0.0
    burst: bool = False
    on_call: bool = False
    grants: dict[str, str] = field(default_factory=dict)


@dataclass
class Days:
    """Events in order, and which numbers belong to which attack."""

    events: list[Event]
    attacks: list[tuple[str, str, set[int]]]
    principals: int
    first_attack: int


class Company:
    def __init__(self, shape: str, seed: int, days: int = 40, people: int = 60) -> None:
        self.shape, self.days, self.random = shape, days, Random(f"{shape}/{seed}")
        self.office = shape == "office"
        random = self.random
        self.teams = 6 if self.office else 9
        count = 36 if self.office else 10
        self.segments = [
            f"{place}.{stream}"
            for place in ("us", "de", "fr", "jp")
            for stream in (
                "chat",
                "key",
                "metric",
                "screen",
                "ai",
                "focus",
                "mail",
                "call",
                "pointer",
            )
        ][:count]
        self.of_team = [
            random.sample(self.segments, 5 if self.office else 3) for _ in range(self.teams)
        ]
        self.tables = {
            s: [f"{s}/t{n}" for n in range(3 if self.office else 40)] for s in self.segments
        }
        roles = ("scientist", "engineer", "analyst", "auditor")
        self.people = [
            self._person(f"h{n}", "human", roles[n % 4], n % self.teams) for n in range(people)
        ]
        self.people += [
            self._person(f"a{n}", "agent", "assistant", n % self.teams) for n in range(people // 5)
        ]
        self.people += [
            self._person(f"w{n}", "workload", "job", n % self.teams) for n in range(people // 10)
        ]
        for n in range(people // 12):
            late = self._person(
                f"n{n}", "human", random.choice(roles), random.randrange(self.teams)
            )
            late.joined = random.randint(6, days - 4)
            self.people.append(late)
        pairs = {
            (a, b)
            for team in self.of_team
            for a in team
            for b in team
            if a < b and random.random() < 0.5
        }
        self.pairs = sorted(pairs)  # a set of strings has another order in each process
        self.artifacts = [[f"model-{team}-{n}" for n in range(4)] for team in range(self.teams)]
        self.reorganised = days * 2 // 3
        self.holidays = {random.randint(3, days - 1) for _ in range(2)}
        self.busy = {
            random.randint(1, days - 1): random.uniform(1.4, 2.0) for _ in range(max(2, days // 12))
        }
        self.numbers = 0

    def _person(self, name, kind, role, team):
        random = self.random
        zone = 8.0 if self.office else random.choice((0.0, 7.0, 8.0, 15.0))
        uses = {"human": 30.0 if self.office else 22.0, "agent": 120.0, "workload": 48.0}[kind]
        pool = self.of_team[team]
        able = role in ("scientist", "engineer") and kind == "human"
        return Person(
            name=name,
            kind=kind,
            role=role,
            team=team,
            home=random.sample(pool, min(len(pool), 3 if self.office else 2)),
            begins=zone + random.uniform(-1, 1.5),
            uses=uses * math.exp(random.gauss(0, 0.4)),
            rows=2000 * math.exp(random.gauss(0, 0.8)),
            exports=random.choice((0, 0.03, 0.06)) if able else 0.0,
            pulls=random.choice((0.0, 0.04)) if able else 0.0,
            joins=random.choice((0.0, 0.08, 0.15)),
            burst=kind == "agent" and random.random() < 0.5,
            on_call=kind == "human" and role == "engineer" and random.random() < 0.7,
        )

    def word(self, what):
        office = {
            "read": "dataset.read",
            "export": "embedding.export",
            "join": "dataset.join",
            "pull": "artifact.download",
            "build": "feature.build",
        }
        lab = {
            "read": "read",
            "export": "export_vectors",
            "join": "read",
            "pull": "pullModel",
            "build": "train",
        }
        return (office if self.office else lab)[what]

    def grant(self, one, segment, fresh=False):
        key = segment if self.office else "all"
        if key not in one.grants or (fresh and self.office):
            self.numbers += 1
            one.grants[key] = f"g{self.numbers}"
        return one.grants[key]

    def use(self, one, t, what="read", segment=None, objects=None, times=1.0, **more):
        random = self.random
        segment = segment or random.choice(one.home)
        sigma = 0.7 if self.office else 1.1
        rows = int(one.rows * times * math.exp(random.gauss(0, sigma))) + 1
        if random.random() < 0.01:
            rows *= random.randint(8, 20)
        if objects is None:
            weight = random.random() ** 2
            tables = self.tables[segment]
            objects = (tables[int(weight * len(tables))],)
            if what == "join":
                other = random.choice([b for a, b in self.pairs if a in one.home] or [segment])
                objects += (random.choice(self.tables[other]),) if self.office else (other,)
        if what == "pull":
            rows = 0
            objects = (
                (random.choice(self.artifacts[one.team]),)
                if more.get("objects_") is None
                else more["objects_"]
            )
        base = {
            "number": 0, "t_us": int(t), "principal": one.name, "kind": one.kind, "role": one.role,
            "team": f"team{one.team}", "action": self.word(what), "objects": tuple(objects),
            "segment": "" if what == "pull" else segment, "purpose": "train" if one.team % 2 else "improve",
            "rows": rows, "bytes": 5_000_000 if what == "pull" else rows * 180, "grant": self.grant(one, segment),
            "outcome": "ok",
        }  # fmt: skip
        more.pop("objects_", None)
        base.update(more)
        if base["outcome"] == "denied":
            base["rows"] = base["bytes"] = 0
        return Event(**base)

    def ordinary(self, day) -> Iterator[Event]:
        random = self.random
        start = START + day * DAY_US
        weekend = (START // DAY_US + day + 3) % 7 >= 5
        busy = self.busy.get(day, 1.0)
        if day == self.reorganised:
            for one in random.sample([p for p in self.people if p.kind == "human"], 6):
                one.team = random.randrange(self.teams)
                one.home = random.sample(self.of_team[one.team], 2) + one.home[:1]
        for one in self.people:
            if day < one.joined:
                continue
            share = {
                "human": 0.08 if weekend or day in self.holidays else busy,
                "agent": 0.3 if weekend else busy,
                "workload": 1.0,
            }[one.kind]
            if one.kind == "human" and random.random() < 0.06:
                share = 0.0  # away
            count = int(one.uses * share * math.exp(random.gauss(0, 0.35)) + random.random())
            if one.kind == "human" and random.random() < 0.006:
                one.home.append(
                    random.choice(
                        self.of_team[one.team] if random.random() < 0.7 else self.segments
                    )
                )
                self.grant(one, one.home[-1], fresh=True)
            times = []
            if self.office or one.kind != "human":
                for n in range(count):
                    times.append(
                        one.begins + 9.0 * random.betavariate(2, 2)
                        if one.kind != "workload"
                        else n % 24 + 0.01 * random.random()
                    )
            else:
                while len(times) < count:
                    at = one.begins + 9.0 * random.random()
                    for _ in range(min(40, int(random.paretovariate(1.2) * 2))):
                        at += random.expovariate(60.0)
                        times.append(at)
                times = times[:count]
            if one.burst and random.random() < 0.3:
                at = one.begins + 8 * random.random()
                times += [at + 0.15 * random.random() for _ in range(random.randint(20, 60))]
            for at in times:
                t = start + at * HOUR
                way = random.random()
                if way < one.exports:
                    yield self.use(one, t, "export")
                elif way < one.exports + one.pulls:
                    yield self.use(one, t, "pull")
                elif way < one.exports + one.pulls + one.joins:
                    yield self.use(one, t, "join")
                elif random.random() < 0.0015 and one.kind != "workload":
                    where = random.choice(self.segments)
                    self.grant(one, where, fresh=where not in one.home)
                    yield self.use(one, t, segment=where)
                elif random.random() < 0.015:
                    e = self.use(one, t, outcome="denied")
                    yield e
                    if random.random() < 0.3:
                        yield replace(e, t_us=e.t_us + 40 * SECOND_US)
                else:
                    yield self.use(one, t, "build" if way > 0.9 else "read")
            if one.on_call and random.random() < 0.07:
                at = start + (one.begins + 16 + 3 * random.random()) % 24 * HOUR
                for _ in range(random.randint(2, 6)):
                    at += random.expovariate(6) * HOUR
                    yield self.use(one, at)

    def attack(self, kind, day) -> Iterator[Event]:
        random = self.random
        start = START + day * DAY_US
        settled = [p for p in self.people if p.joined < day - 10]
        humans = [p for p in settled if p.kind == "human"]
        one = random.choice(humans)
        noon = start + (one.begins + 1 + 7 * random.random()) * HOUR
        foreign = [
            s for s in self.segments if s not in one.home and s not in self.of_team[one.team]
        ] or self.segments
        if kind == "export":
            if random.random() < 0.6:
                one = random.choice([p for p in humans if not p.exports])
            for n in range(random.randint(2, 5)):
                yield self.use(
                    one, noon + n * 200 * SECOND_US, "export", times=random.uniform(10, 30)
                )
        elif kind == "join":
            a, b = (
                random.sample(self.segments, 2)
                if not self.office
                else (one.home[0], random.choice(foreign))
            )
            for n in range(random.randint(1, 4)):
                yield self.use(
                    one,
                    noon + n * 300 * SECOND_US,
                    "join",
                    segment=a,
                    objects=(self.tables[a][0], self.tables[b][1]),
                )
        elif kind == "artifact":
            team = random.choice([t for t in range(self.teams) if t != one.team])
            for n in range(random.randint(1, 4)):
                yield self.use(
                    one, noon + n * 100 * SECOND_US, "pull", objects_=(self.artifacts[team][n % 4],)
                )
        elif kind == "agent":
            one = random.choice([p for p in settled if p.kind == "agent"])
            at = start + random.uniform(6, 20) * HOUR
            for _ in range(random.randint(250, 700)):
                at += random.uniform(0.2, 1.2) * SECOND_US
                yield self.use(
                    one,
                    at,
                    segment=random.choice(self.segments),
                    outcome="denied" if random.random() < 0.3 else "ok",
                    times=0.1,
                )
        elif kind == "off-hours":
            at = start + (one.begins + 17 + 3 * random.random()) % 24 * HOUR
            for _ in range(random.randint(6, 16)):
                at += random.expovariate(8) * HOUR
                yield self.use(one, at, times=2.0)
        elif kind == "first-time":
            segment = random.choice(foreign)
            for n in range(random.randint(2, 5)):
                yield self.use(
                    one,
                    noon + n * 300 * SECOND_US,
                    segment=segment,
                    grant=None if random.random() < 0.5 else self.grant(one, one.home[0]),
                )
        elif kind == "slow":
            for later in range(10):
                for _ in range(random.randint(5, 10)):
                    at = start + later * DAY_US + (one.begins + 8 * random.random()) * HOUR
                    yield self.use(one, at, times=random.uniform(2.0, 3.0))
        else:
            new = random.sample(foreign, min(5, len(foreign)))
            for later, segment in enumerate(new):
                for _ in range(random.randint(1, 2)):
                    at = start + later * DAY_US + (one.begins + 8 * random.random()) * HOUR
                    yield self.use(one, at, segment=segment, grant=self.grant(one, one.home[0]))


def days_of(
    shape: str, seed: int, *, days: int = 40, people: int = 60, learn: int = 20, each: int = 5
) -> Days:
    company = Company(shape, seed, days, people)
    drawn: list[tuple[int, Event]] = []
    labels: list[tuple[str, str]] = []
    due: dict[int, list[str]] = {}
    for kind in ATTACKS:
        for _ in range(each):
            last = days - (11 if kind == "slow" else 6)
            due.setdefault(company.random.randint(min(learn + 1, last), last), []).append(kind)
    for day in range(days):
        drawn += [(-1, event) for event in company.ordinary(day)]
        for kind in due.get(day, ()):
            made = list(company.attack(kind, day))
            drawn += [(len(labels), event) for event in made]
            labels.append((kind, made[0].principal))
    drawn.sort(key=lambda item: item[1].t_us)
    attacks: list[tuple[str, str, set[int]]] = [(kind, who, set()) for kind, who in labels]
    events = []
    for number, (label, event) in enumerate(drawn, 1):
        events.append(replace(event, number=number))
        if label >= 0:
            attacks[label][2].add(number)
    return Days(events, attacks, len(company.people), learn)
