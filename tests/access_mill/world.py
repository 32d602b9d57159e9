"""The company on its first day: segments with their tables, and everybody who uses them."""

import random
from dataclasses import dataclass, field

from tests.access_mill.names import (
    FAMILIES,
    FAMILY,
    GIVEN,
    INDEXED,
    SENSITIVE,
    STORES,
    STYLES,
    TABLES,
    TEAMS,
    TeamPlan,
)
from tests.access_mill.place import Calendar


@dataclass
class Table:
    """A table or an index: what a line of the log calls an object."""

    name: str
    rows: int
    width: int
    dated: bool = False
    index: bool = False


@dataclass
class Segment:
    """A part of the lake with a key of its own; one job alone uses its vault, where it has one."""

    name: str
    domain: str
    tables: list[Table]
    index: Table | None = None
    vault: Table | None = None


@dataclass
class Model:
    """A family of models of one domain, with its releases and the runs behind them."""

    family: str
    domain: str
    segment: str
    version: int
    releases: list[int] = field(default_factory=list)

    def weights(self, version: int | None = None) -> str:
        """The released weights of a version."""
        number = self.version if version is None else version
        return f"models/{self.family}/v{number}/weights"

    def at(self, day: int) -> int:
        """The newest version on a day."""
        return self.version - sum(1 for one in self.releases if one > day)

    def part(self, rng: random.Random) -> str:
        """Something of a training run that no release carries."""
        run, step = rng.randrange(400, 900), 2000 * rng.randint(2, 40)
        kind = rng.choice(("step", "step", "optimizer"))
        return f"ckpt/{self.family}/run-{run}/{kind}-{step}"


@dataclass
class Principal:
    """A person, an agent or a job, with the habits that the days are made from.

    Attributes:
        taste: How much it uses each segment.
        loved: Its tables in each segment, the first most.
        verbs: Kinds of session and their weights (people), or the steps of a run (jobs).
        rate: Sessions a working day, runs a day for a job, bursts for an agent.
        volume: The middle of the logarithm of its rows.
        pace: Seconds between its calls (agents), or jitter of its start (jobs).
        hours: First and last hour of its day by its own clocks.
        phase: The hour at which a job starts.
        models: Families of models it takes as a matter of course.
        away: Days off of its own.
        moving: Drift touches it, so nobody could say what is ordinary for it.
    """

    name: str
    kind: str
    role: str
    team: str
    region: str
    plan: TeamPlan
    taste: dict[str, float]
    loved: dict[str, list[Table]] = field(default_factory=dict)
    verbs: dict[str, float] = field(default_factory=dict)
    purposes: list[str] = field(default_factory=list)
    grants: dict[str, str] = field(default_factory=dict)
    rate: float = 1.0
    volume: float = 6.0
    pace: float = 30.0
    hours: tuple[float, float] = (9.0, 18.0)
    evenings: float = 0.03
    weekends: float = 0.02
    phase: float = 0.0
    models: list[str] = field(default_factory=list)
    cells: list[tuple[str, str, list[int]]] = field(default_factory=list)
    pairs: list[tuple[str, Table, str, Table]] = field(default_factory=list)
    first: int = 0
    last: int = 10_000
    away: set[int] = field(default_factory=set)
    moving: bool = False

    def here(self, day: int) -> bool:
        """Whether it exists on a day and is not on leave."""
        return self.first <= day <= self.last and day not in self.away


_HEX = "0123456789abcdef"


def opaque(rng: random.Random, lead: str, size: int = 8) -> str:
    """An id that says nothing."""
    return lead + "".join(rng.choices(_HEX, k=size))


class World:
    """Everything that exists, found by name."""

    def __init__(self, rng: random.Random, calendar: Calendar) -> None:
        self.rng, self.calendar = rng, calendar
        self.segments: dict[str, Segment] = {}
        self.people: list[Principal] = []
        self.agents: list[Principal] = []
        self.jobs: list[Principal] = []
        self.plans = {plan.name: plan for plan in TEAMS}
        self.models: dict[str, Model] = {}
        #: tables that a migration has renamed: since when, and what they were before
        self.renamed: dict[str, tuple[int, Table]] = {}
        self._taken: set[str] = set()
        self._projects: dict[str, list[str]] = {}
        for domain, stores in STORES.items():
            for store in stores:
                self.found(domain, store)
        for domain, families in FAMILIES.items():
            for family in families:
                home = rng.choice(self.of(domain)).name
                self.models[family] = Model(family, domain, home, rng.randint(2, 14))

    def everybody(self) -> list[Principal]:
        """People, agents and jobs."""
        return [*self.people, *self.agents, *self.jobs]

    def of(self, domain: str) -> list[Segment]:
        """The segments of a domain."""
        return [one for one in self.segments.values() if one.domain == domain]

    def found(self, domain: str, store: str) -> Segment:
        """A new segment with its tables."""
        rng, style = self.rng, STYLES[domain]
        name = {"path": f"{domain}/{store}", "dotted": f"{domain}.{store}"}.get(
            style, opaque(rng, "sg-", 6)
        )
        size = 10 ** rng.uniform(4.5, 7.5)
        tables = []
        for word in rng.sample(TABLES, rng.randint(6, 15)):
            tables.append(self.table(style, domain, store, word, size))
        index = None
        if domain in INDEXED and rng.random() < 0.6:
            title = opaque(rng, "idx_") if style == "opaque" else f"vec/{domain}-{store}"
            index = Table(title, int(size * rng.uniform(0.05, 0.3)) + 20_000, 3072, index=True)
        self.segments[name] = Segment(name, domain, tables, index)
        if domain in SENSITIVE and rng.random() < 0.4:
            vault = self.table(style, domain, store, "identity_map", 400_000)
            self.segments[name].vault = Table(vault.name, vault.rows, 60)
        return self.segments[name]

    def table(self, style: str, domain: str, store: str, word: str, size: float) -> Table:
        """One table, named as its domain names things."""
        rng = self.rng
        title = {
            "path": f"lake/{domain}/{store}/{word}",
            "dotted": f"prod.{domain}.{store.replace('-', '_')}_{word}",
        }.get(style, opaque(rng, "tb_", 10))
        rows = int(size * rng.lognormvariate(-1.0, 1.0)) + 500
        return Table(title, rows, rng.randint(20, 900), style == "path" and rng.random() < 0.35)

    def call(self, region: str) -> str:
        """A name for a new person; some are user ids of the directory."""
        rng = self.rng
        while True:
            name = f"{rng.choice(GIVEN)}.{rng.choice(FAMILY)}"
            if region == "in" and rng.random() < 0.4:
                name = f"u{rng.randrange(20_000, 90_000)}"
            if name not in self._taken:
                self._taken.add(name)
                return name

    def settle(self, who: Principal, segments: list[Segment], weight: float = 1.0) -> None:
        """Makes some segments somebody's own: taste, tables and a grant for each."""
        rng = self.rng
        for rank, segment in enumerate(segments):
            who.taste[segment.name] = weight * rng.uniform(0.6, 1.4) / (1 + rank) ** 1.2
            count = min(len(segment.tables), rng.randint(2, 7))
            who.loved[segment.name] = rng.sample(segment.tables, count)
            self.entitle(who, segment)

    def entitle(self, who: Principal, segment: Segment) -> None:
        """The grant under which somebody uses a segment, in the manner of the team."""
        rng, scheme = self.rng, who.plan.grants
        if segment.domain == "shared" or scheme == "none" or segment.name in who.grants:
            return
        if scheme == "project":
            ids = self._projects.setdefault(who.plan.name, [])
            while len(ids) < 3:
                ids.append(f"prj-{who.plan.name.split()[0].lower()}-{rng.randrange(100, 999)}")
            own = segment.domain == who.plan.domain
            who.grants[segment.name] = ids[0] if own else rng.choice(ids[1:])
        else:
            who.grants[segment.name] = opaque(rng, "g-", 10)

    def pick(self, who: Principal) -> str:
        """One of somebody's segments, by taste."""
        return self.rng.choices(list(who.taste), list(who.taste.values()))[0]

    def favourite(self, who: Principal, segment: str) -> Table:
        """One of somebody's tables in a segment, the first most often."""
        tables = who.loved[segment]
        return tables[min(len(tables) - 1, int(self.rng.expovariate(0.8)))]
