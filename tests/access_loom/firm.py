"""The company: its things, projects and people. Each seed founds another."""

from dataclasses import dataclass, field
from random import Random

from tests.access_loom import words
from tests.access_loom.clock import Clock, Office, some, start


@dataclass
class Thing:
    """Something that can be used: a table, features, vectors, a model, a report."""

    name: str
    sort: str
    segment: str
    area: str
    rows: int
    width: int
    guard: str = "open"  # open, standing, asked


@dataclass
class Project:
    """What a team works on, with what, and why."""

    name: str
    line: str
    team: str
    purpose: str
    things: dict[str, list[Thing]]
    first: int = 0
    last: int = 999
    runs: list[str] = field(default_factory=list)
    saved: list[str] = field(default_factory=list)


@dataclass
class Strand:
    """A part of somebody's work, with its weight by week and its days."""

    project: Project
    weights: list[float]
    first: int = 0
    last: int = 999


@dataclass
class Who:
    """Somebody or something that uses data."""

    name: str
    kind: str
    role: str
    team: str
    moves: list[tuple[int, str]] = field(default_factory=list)
    first: int = 0
    last: int = 999
    strands: list[Strand] = field(default_factory=list)
    taste: dict[tuple[str, str], list[Thing]] = field(default_factory=dict)
    scale: float = 1.0

    def team_on(self, d: int) -> str:
        """The team on a day."""
        team = self.team
        for day, to in self.moves:
            if d >= day:
                team = to
        return team

    def doing(self, d: int) -> list[Strand]:
        """The strands that are alive on a day."""
        return [s for s in self.strands if s.first <= d < s.last]


@dataclass
class Person(Who):
    """A human, with their hours and manners."""

    office: Office = field(default_factory=lambda: Office("home", 0.0))
    start: float = 9.0
    length: float = 8.0
    rate: float = 15.0
    manner: str = "steady"  # steady, loose, owl, split, part, rota
    off: set[int] = field(default_factory=set)
    away: set[int] = field(default_factory=set)
    oncall: set[int] = field(default_factory=set)
    travel: dict[int, float] = field(default_factory=dict)
    boost: dict[int, float] = field(default_factory=dict)
    late: dict[int, float] = field(default_factory=dict)
    mix: list[tuple[str, str, float]] = field(default_factory=list)
    pace: list[float] = field(default_factory=list)

    def offset(self, d: int) -> float:
        """Where their clock stands on a day."""
        return self.travel.get(d, self.office.offset)


@dataclass
class Machine(Who):
    """An agent of somebody, or a workload."""

    operator: Person | None = None
    manner: str = "nightly"
    hour: float = 2.0
    every: int = 60
    rate: float = 10.0
    task: str = ""
    things: list[Thing] = field(default_factory=list)


@dataclass
class Firm:
    """The company as a whole."""

    seed: int
    clock: Clock
    offices: list[Office]
    teams: dict[str, str]  # team: craft
    things: dict[str, Thing]
    projects: list[Project]
    people: list[Person]
    machines: list[Machine] = field(default_factory=list)
    departments: list[str] = field(default_factory=list)
    streams: list[str] = field(default_factory=list)

    def of(self, *sorts: str) -> list[Thing]:
        """All things of these sorts."""
        return [t for t in self.things.values() if t.sort in sorts]

    def by_role(self, *roles: str) -> list[Person]:
        """All people in these roles."""
        return [p for p in self.people if p.role in roles]


def _catalogue(
    r: Random, lines: list[str], teams: list[str], users: list[str]
) -> tuple[dict[str, Thing], list[str], list[str]]:
    """All things the company has."""
    open_to = r.sample(words.DEPARTMENTS, r.randint(4, 6))
    closed = r.sample(words.CLOSED, r.randint(2, 3))
    chat_asked = r.random() < 0.5
    out: list[Thing] = []
    streams = [s for s in words.STREAMS if any(s in words.LINES[line][1] for line in lines)]
    for s in streams:
        rows, width = words.STREAMS[s]
        for d in open_to + closed:
            if d in closed and s in ("chat", "prompts") and r.random() < 0.4:
                continue
            n = int(rows * r.lognormvariate(-1.2, 0.6))
            asked = d in closed or (chat_asked and s in ("chat", "meetings"))
            guard = "asked" if asked else "standing"
            out.append(Thing(f"raw/{s}/{d}", "raw", f"raw-{s}", s, n, width, "standing"))
            out.append(Thing(f"clean/{s}/{d}", "clean", f"{s}-{d}", s, n * 7 // 10, width, guard))
    for line in lines:
        _, _, features, vectors, models = words.LINES[line]
        g = "standing"
        for f in features:
            n = int(300_000 * r.lognormvariate(0, 0.7))
            out.append(Thing(f"features/{f}", "feature", f"features-{line}", line, n, 160, g))
        for v in vectors:
            n = int(200_000 * r.lognormvariate(0, 0.6))
            out.append(Thing(f"vectors/{v}", "index", f"vectors-{v}", line, n, 3_100, g))
        for m in models:
            out.append(Thing(f"model/{m}", "model", f"registry-{line}", line, 0, 0, g))
            for team in some(r, users, 1, 3):
                name = f"adapter/{m}-{team}"
                out.append(Thing(name, "adapter", f"registry-{line}", line, 0, 0, g))
        out.append(Thing(f"eval/{line}-gold", "eval", f"eval-{line}", line, 4_000, 700, g))
    for team in teams:
        for what in some(r, ["weekly", "funnel", "quality", "latency", "adoption"], 2, 3):
            out.append(Thing(f"report/{team}-{what}", "report", "reports", team, 400, 120))
        for what in some(r, ["app", "service", "tools", "jobs"], 1, 3):
            out.append(Thing(f"repo/{team}-{what}", "repo", "code", team, 30_000, 60))
    for q in some(r, ["billing", "crashes", "sync", "accounts", "feedback"], 3, 4):
        out.append(Thing(f"tickets/{q}", "ticket", "support-desk", "tickets", 90_000, 800))
    for f in words.PEOPLE_FILES:
        n = r.randint(600, 4_000)
        out.append(Thing(f"people/{f}", "people", "people-files", "people", n, 300, "standing"))
    for c in ("register", "withdrawals"):
        out.append(Thing(f"consent/{c}", "consent", "consent-desk", "consent", 3_000, 200))
    for a in ("access", "grants", "exports"):
        out.append(Thing(f"audit/{a}", "audit", "audit-room", "audit", 2_000_000, 260))
    return {t.name: t for t in out}, open_to + closed, streams


def _teams(r: Random) -> dict[str, str]:
    """The teams, each with its craft."""
    products = r.sample(words.PRODUCTS, r.randint(3, 4))
    teams = {
        f"{p}-{r.choice(words.CRAFTS)}" if r.random() < 0.4 else p: "product" for p in products
    }
    for n in r.sample(["insight", "signals", "behaviour", "language"], r.randint(2, 3)):
        teams[f"ds-{n}"] = "science"
    for n in r.sample(["platform", "serving", "training"], r.randint(1, 2)):
        teams[f"ml-{n}"] = "platform"
    teams[r.choice(["data-engineering", "pipelines", "ingest"])] = "data"
    teams[r.choice(["people-analytics", "people-insight"])] = "people"
    for n in r.sample(["support-emea", "support-americas", "support-premium"], r.randint(1, 2)):
        teams[n] = "support"
    teams[r.choice(["security", "trust-and-security"])] = "security"
    teams[r.choice(["privacy-office", "data-protection"])] = "privacy"
    return teams


def _projects(r: Random, lines: list[str], teams: dict[str, str], firm: Firm) -> None:
    """One project for each line of work, and one for each team's own chores."""
    crafts = {"rhythm": "people", "triage": "support", "usage": "product", "shield": "security"}
    for line in lines:
        purpose, streams, *_ = words.LINES[line]
        homes = [t for t, c in teams.items() if c == crafts.get(line, "science")]
        things: dict[str, list[Thing]] = {}
        for t in firm.things.values():
            if t.area == line:
                things.setdefault(t.sort, []).append(t)
        clean = [t for t in firm.of("clean") if t.area in streams]
        mine = some(r, sorted({t.name.split("/")[2] for t in clean}), 3, 5)
        things["clean"] = [t for t in clean if t.name.split("/")[2] in mine]
        team = r.choice(homes)
        things["report"] = [t for t in firm.of("report") if t.area == team]
        if line == "rhythm":
            things["people"] = [t for t in firm.of("people") if t.name != "people/pay_bands"]
        if line == "triage":
            things["ticket"] = firm.of("ticket")
        p = Project(f"{line}-{r.randint(2, 9)}", line, team, purpose, things)
        n = r.randint(110, 700)
        p.runs = [f"run/{line}-{n - k}" for k in range(6, 0, -1)]
        p.saved = [f"checkpoint/{line}-{n - k}/final" for k in range(4, 0, -1)]
        firm.projects.append(p)
    for team, craft in teams.items():
        things = {s: [t for t in firm.of(s) if t.area == team] for s in ("report", "repo")}
        purpose, more = words.CHORES[craft]
        for s in more:
            things[s] = firm.of(s)
        if craft in ("science", "product"):  # room to look about, within what is open to all
            things["feature"] = some(r, firm.of("feature"), 3, 6)
            plain = [t for t in firm.of("clean") if t.guard == "standing"]
            things["clean"] = some(r, plain, 3, 6)
        if craft == "data":
            things["raw"] = [t for t in things["raw"] if r.random() < 0.8]
            things["clean"] = [t for t in things["clean"] if t.guard != "asked"]
        firm.projects.append(Project(f"{team}-chores", "", team, purpose, things))


def _hire(r: Random, firm: Firm, taken: set[str], role: str, team: str, home: Office) -> Person:
    """One person, with habits of their own."""
    name = ""
    while not name or name in taken:
        name = f"{r.choice(words.FIRST)}.{r.choice(words.LAST)}"
    taken.add(name)
    rate, mix = words.ROLES[role]
    office = home if r.random() < 0.72 else r.choice(firm.offices)
    p = Person(name, "human", role, team, office=office)
    p.start = min(11.0, max(6.5, r.gauss(8.8, 0.8)))
    p.length = min(10.0, max(6.5, r.gauss(8.6, 0.6)))
    p.rate = 1.12 * rate * r.lognormvariate(0, 0.3)
    pace = 1.0
    for _ in range(firm.clock.days // 7 + 1):
        p.pace.append(pace)
        pace *= r.lognormvariate(0, 0.12)
    p.scale = r.lognormvariate(0, 0.4)
    p.mix = [(a, s, w * r.lognormvariate(0, 0.5)) for a, s, w in mix if w > 2 or r.random() < 0.85]
    if firm.teams[team] == "support" and role == "support_agent":
        p.manner = "rota" if r.random() < 0.75 else "steady"
        p.start = r.choice([7.0, 8.0, 12.0, 14.0]) if p.manner == "rota" else p.start
    else:
        p.manner = r.choices(["steady", "loose", "owl", "split", "part"], [82, 6, 3, 5, 6])[0]
    if p.manner == "part":
        p.off = set(r.sample(range(5), r.randint(1, 2)))
    if p.manner == "owl":
        p.start = r.uniform(13.0, 16.0)
    return p


def _assign(r: Random, firm: Firm, p: Person, first: int = 0) -> None:
    """Gives somebody their strands of work."""
    team = p.team_on(first)
    craft = firm.teams[team]
    chores = next(x for x in firm.projects if x.name == f"{team}-chores")
    own = [x for x in firm.projects if x.line and x.team == team]
    rest = [x for x in firm.projects if x.line and x.team != team]
    p.strands.append(
        _strand(r, firm, chores, 1.6 if craft in ("product", "support") else 1.0, first)
    )
    ways = {"science": 2, "platform": 2, "product": 1, "people": 1, "support": 1}
    picked = some(r, own, 1, 2)
    lent = ways.get(craft, 0) - len(picked)
    if lent > 0 and p.role not in ("software_engineer", "product_manager", "support_agent"):
        rest = [x for x in rest if x.line not in ("rhythm", "triage")]
        picked += some(r, rest, 1, lent)
    for x in picked:
        p.strands.append(_strand(r, firm, x, r.uniform(0.8, 2.5), first))


def _strand(
    r: Random, firm: Firm, project: Project, weight: float, first: int = 0, last: int = 999
) -> Strand:
    """A strand whose weight wanders from week to week."""
    weights = []
    for _ in range(firm.clock.days // 7 + 2):
        weights.append(weight)
        weight *= r.lognormvariate(0, 0.22)
    return Strand(project, weights, first, last)


def found(seed: int, learn_days: int) -> Firm:
    """Founds the company of a seed."""
    r = Random(f"loom/firm/{seed}")
    clock, offices = start(r, learn_days)
    lines = r.sample([x for x in words.LINES if x != "rhythm"], r.randint(5, 7))
    if r.random() < 0.75:
        lines.append("rhythm")
    if not any(words.LINES[x][3] for x in lines):
        lines.append("ranker")
    teams = _teams(r)
    users = [t for t, c in teams.items() if c in ("product", "support", "science")]
    things, departments, streams = _catalogue(r, lines, list(teams), users)
    firm = Firm(seed, clock, offices, teams, things, [], [])
    firm.departments, firm.streams = departments, streams
    _projects(r, lines, teams, firm)
    taken: set[str] = set()
    for team, craft in teams.items():
        home = firm.offices[0] if r.random() < 0.65 else r.choice(firm.offices)
        roles = [x for x, lo, hi in words.CREWS[craft] for _ in range(r.randint(lo, hi))]
        for role in [*roles, *(["team_lead"] if craft != "privacy" else [])]:
            firm.people.append(_hire(r, firm, taken, role, team, home))
    spare = [p for p in firm.people if p.role in ("software_engineer", "support_agent")]
    for p in r.sample(spare, max(0, len(firm.people) - r.randint(80, 87))):
        firm.people.remove(p)
    for p in firm.people:
        _assign(r, firm, p)
    return firm
