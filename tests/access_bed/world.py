"""Who and what there is: people with habits, agents with operators, scheduled jobs, segments, models."""

import random
from dataclasses import dataclass, field

from tests.access_bed import names

ROLES = ("data_engineer", "ml_engineer", "researcher", "analyst")
# tasks by role: explore, feature, train, retrieve, report, notebook, pipeline
TASKS = ("explore", "feature", "train", "retrieve", "report", "notebook", "pipeline")
TASTE = {
    "data_engineer": (3.0, 2.0, 0.0, 0.3, 1.0, 0.6, 5.0),
    "ml_engineer": (1.5, 3.0, 4.0, 1.6, 0.5, 2.0, 0.6),
    "researcher": (2.0, 1.2, 2.6, 3.0, 0.4, 4.0, 0.0),
    "analyst": (3.5, 1.2, 0.0, 0.5, 5.0, 1.5, 0.0),
}


@dataclass(slots=True)
class Segment:
    """A part of the lake: its tables with their day of birth, rows and width, and perhaps an index."""

    name: str
    team: str
    born: int = 0
    tables: list[tuple[str, int]] = field(default_factory=list)
    index: str | None = None

    def seen(self, day: int) -> list[str]:
        """The tables that exist on a day."""
        return [name for name, born in self.tables if born <= day]


@dataclass(slots=True)
class Actor:
    """Anybody who acts: a person, an agent or a scheduled job."""

    name: str
    kind: str
    role: str
    team: str
    segments: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Person(Actor):
    """A person with habits of time, taste and size."""

    office: str = "london"
    starts: float = 9.0
    hours: float = 8.0
    pace: float = 6.0
    evening: float = 0.02
    weekend: float = 0.01
    thirst: float = 1.0
    lead: bool = False
    on_call: bool = False
    exporter: bool = False
    joined: int = -1
    left: int = 10_000
    moves: tuple[int, str] | None = None
    taste: tuple[float, ...] = ()


@dataclass(slots=True)
class Agent(Actor):
    """An agent that acts for its operator."""

    operator: str = ""
    bursty: bool = False
    nightly: float | None = None


@dataclass(slots=True)
class World:
    """The company on its first day, with what will be born later marked by its day."""

    days: int
    learn: int
    segments: dict[str, Segment] = field(default_factory=dict)
    size: dict[str, tuple[float, int]] = field(default_factory=dict)
    people: dict[str, Person] = field(default_factory=dict)
    agents: dict[str, Agent] = field(default_factory=dict)
    jobs: dict[str, Actor] = field(default_factory=dict)
    recipes: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    releases: dict[str, list[tuple[int, str]]] = field(default_factory=dict)

    def actor(self, name: str) -> Actor:
        """Whoever bears this name."""
        return self.people.get(name) or self.agents.get(name) or self.jobs[name]

    def lead(self, team: str) -> Person:
        """The person who approves for a team."""
        return next(p for p in self.people.values() if p.lead and p.team == team)

    def team_segments(self, team: str, day: int) -> list[str]:
        """The segments a team owns on a day."""
        return [s.name for s in self.segments.values() if s.team == team and s.born <= day]

    def models(self, team: str) -> list[str]:
        """The lines of models a team keeps."""
        return [m for m, s in names.MODELS.items() if self.segments[s].team == team]

    def release(self, model: str, day: int) -> str:
        """The version of a model that is current on a day."""
        return max(r for r in self.releases[model] if r[0] <= day)[1]


def workday(day: int) -> int:
    """The day itself, or the Monday after a weekend."""
    return day + max(0, 7 - day % 7) if day % 7 >= 5 else day


def build(seed: int, learn: int, days: int) -> World:
    """The company of one seed."""
    rng = random.Random(f"bed-{seed}-world")
    world = World(days, learn)
    _segments(world, rng)
    _people(world, rng)
    _agents(world, rng)
    _jobs(world)
    return world


def _segments(world: World, rng: random.Random) -> None:
    """Segments and tables, some born later; recipes of joins; versions of models."""
    late = rng.sample(sorted(names.LATER), 2)
    births = {names.LATER[late[0]]: workday(rng.randint(2, max(3, world.learn - 4)))}
    births[names.LATER[late[1]]] = workday(world.learn + rng.randint(1, 6))
    for team, own in names.SEGMENTS.items():
        more = [names.LATER[team]] if names.LATER[team] in births else []
        for name in (*own, *more):
            world.segments[name] = Segment(name, team, births.get(name, 0))
    for name in names.OPEN:
        world.segments[name] = Segment(name, "open")
    for name in names.GUARDED:
        world.segments[name] = Segment(name, "guarded")
    for segment in world.segments.values():
        for table in rng.sample(names.TABLES, rng.randint(6, 11)):
            segment.tables.append((f"{segment.name}.{table}", segment.born))
        for day in range(segment.born + 1, world.days):
            if rng.random() < 0.02:
                base = rng.choice(segment.tables)[0].removesuffix("_v2")
                if all(base + "_v2" != name for name, _ in segment.tables):
                    segment.tables.append((base + "_v2", day))
        for name, _ in [*segment.tables, (f"{segment.name}.raw_identified", 0)]:
            world.size[name] = (rng.lognormvariate(9.8, 1.1), rng.randint(60, 420))
        if segment.name in names.INDEXES:
            segment.index = f"index:{segment.name}/main"
            world.size[segment.index] = (rng.uniform(3e5, 4e6), rng.choice((1536, 3072, 4096)))
    for team in names.SEGMENTS:
        ours = world.team_segments(team, 0)
        found: set[tuple[str, str]] = set()
        while len(found) < 14:
            right = rng.choice(ours) if rng.random() < 0.75 else rng.choice(names.OPEN)
            pair = [rng.choice(world.segments[s].seen(0)) for s in (rng.choice(ours), right)]
            if pair[0] != pair[1]:
                found.add((min(pair), max(pair)))
        world.recipes[team] = sorted(found)
    for model in names.MODELS:
        major, minor, day = rng.randint(1, 8), rng.randint(0, 9), -5
        world.releases[model] = []
        world.size[model] = (0.0, int(rng.lognormvariate(20.3, 0.7)))
        while day < world.days:
            world.releases[model].append((day, f"{major}.{minor:02d}"))
            minor, day = minor + 1, day + rng.randint(5, 14)


def _people(world: World, rng: random.Random) -> None:
    """Sixty people: ten a team, of four roles, the first a lead; a few join, leave or move."""
    handles = rng.sample(names.PEOPLE, 60)
    for number, first in enumerate(handles):
        team = list(names.SEGMENTS)[number // 10]
        place = number % 10
        role = ("ml_engineer", "data_engineer", "researcher", "analyst")[(place + number // 20) % 4]
        office = names.TEAM_OFFICE[team]
        if rng.random() < 0.2:
            office = rng.choice(list(names.OFFICES))
        own = world.team_segments(team, 0)
        mine = rng.sample(own, rng.randint(2, 4))
        mine += rng.sample(names.OPEN, rng.randint(0, 2))
        if rng.random() < 0.35:
            others = [s.name for s in world.segments.values() if s.team not in (team, "guarded")]
            mine.append(rng.choice([s for s in others if world.segments[s].born == 0]))
        taste = tuple(w * rng.lognormvariate(0, 0.5) for w in TASTE[role])
        person = Person(f"{first}.{rng.choice('bcdfghklmnprstvw')}", "human", role, team, mine)
        person.office, person.taste = office, taste
        person.starts, person.hours = rng.gauss(9.1, 0.7), rng.uniform(7.3, 9.3)
        person.pace = rng.uniform(7.0, 12.5) * (0.5 if place == 0 else 1.0)
        person.thirst = rng.lognormvariate(0, 0.5)
        person.lead = place == 0
        person.on_call = role in {"data_engineer", "ml_engineer"} and place != 0
        person.evening = rng.choice((0.0, 0.0, 0.01, 0.03, 0.25))
        person.weekend = rng.choice((0.0, 0.0, 0.01, 0.02, 0.22))
        world.people[person.name] = person
    staff = [p for p in world.people.values() if not p.lead]
    chosen = rng.sample(staff, 10)
    for person, early in zip(chosen[:4], (True, True, False, False), strict=True):
        low = 1 if early else world.learn
        person.joined = workday(rng.randint(low, low + 8))
    chosen[4].left = world.learn + rng.randint(2, 8)
    # two stewards look after guarded data; nobody else has a right to them
    for team, role, segment in (
        ("safety", "data_engineer", "identity_keys"),
        ("demand", "analyst", "staff_survey"),
    ):
        able = [p for p in staff if p.team == team and p not in chosen]
        able.sort(key=lambda p: p.role != role)
        able[0].segments.append(segment)
    day = workday(world.learn + rng.randint(2, 6))  # the reorganisation
    for person in chosen[5:9]:
        person.moves = (day, rng.choice([t for t in names.SEGMENTS if t != person.team]))
    for team in names.SEGMENTS:
        able = [p for p in staff if p.team == team and p.role in {"ml_engineer", "researcher"}]
        for person in rng.sample(able, min(1, len(able))):
            person.exporter = any(world.segments[s].index for s in person.segments)


def _agents(world: World, rng: random.Random) -> None:
    """Twelve agents, each of an operator who stays; half of them work in bursts."""
    stay = [p for p in world.people.values() if p.joined < 0 and p.left > 999 and not p.moves]
    for (name, role, bursty), person in zip(names.AGENTS, rng.sample(stay, 12), strict=True):
        own = [s for s in person.segments if world.segments[s].team == person.team]
        agent = Agent(f"agent/{name}", "agent", role, person.team, own[:3], person.name, bursty)
        if bursty and rng.random() < 0.35:
            agent.nightly = rng.uniform(19, 28)
        world.agents[agent.name] = agent


def _jobs(world: World) -> None:
    """Six scheduled jobs."""
    indexed = [s.name for s in world.segments.values() if s.index]
    closed = [s.name for s in world.segments.values() if s.born == 0 and s.team != "open"]
    for title, role, segments in (
        ("nightly-etl", "pipeline", list(closed)),
        ("feature-refresh", "pipeline", sorted(set(names.MODELS.values()))),
        ("embed-rebuild", "pipeline", indexed),
        ("model-sync", "deployer", sorted(set(names.MODELS.values()))),
        ("partner-feed", "publisher", ["item_catalogue", "doc_index"]),
        ("retention-sweep", "custodian", list(closed)),
    ):
        world.jobs[f"job/{title}"] = Actor(f"job/{title}", "workload", role, "platform", segments)
