"""Who works there: people, assistants and workloads, their teams, leaves, moves and studies."""

from .company import Principal, World
from .routine import HABITS

COUNTS = {
    "clinician": (19, 26),
    "biostatistician": (8, 11),
    "ml-engineer": (9, 12),
    "data-steward": (6, 8),
    "it-operator": (7, 9),
    "bioinformatician": (4, 6),
    "imaging-analyst": (4, 6),
    "study-coordinator": (4, 6),
    "roster-planner": (3, 4),
    "transcription-editor": (3, 4),
    "outside-partner": (4, 5),
    "privacy-officer": (2, 2),
}
LIKES = {
    "biostatistician": ("ehr", "gx", "img", "wf"),
    "clinician": ("ehr", "img", "gx", "txt", "wf"),
    "bioinformatician": ("gx",),
    "imaging-analyst": ("img",),
    "study-coordinator": ("ehr", "img", "gx"),
    "outside-partner": ("img", "gx", "ehr"),
    "data-steward": ("ehr", "img", "gx", "txt", "wf"),
}


def hire(world: World, role: str, joined: int = 0) -> Principal:
    """One more person of a role."""
    r, w = world.r, world.words
    site = r.choice(w.sites)
    p = Principal(
        name=w.person(r),
        kind="human",
        role=role,
        teams=[],
        site=site,
        zone=float(world.days.home),
        pattern="office",
        start=r.gauss(8.6, 0.7),
        hours=r.uniform(7.0, 9.2),
        tasks=r.uniform(4.5, 10.0),
        ward=r.choice(w.wards),
        joined=joined,
        clumsy=r.choice((0.4, 0.8, 1.0, 1.0, 2.2)),
        evening=r.choice((0.0, 0.0, 0.03, 0.1, 0.3)),
        weekend=r.choice((0.0, 0.0, 0.0, 0.03, 0.1)),
        offset=r.randrange(0, 56),
        scale=r.lognormvariate(0, 0.35),
    )
    team = w.team.get(role, role)
    if role == "clinician":
        team = f"clinic-{site}"
        p.pattern = "duty" if r.random() < 0.7 else "senior"
        p.start, p.evening = r.gauss(7.3, 0.3), r.choice((0.05, 0.15, 0.35, 0.5))
    elif role == "it-operator":
        p.pattern = "shift" if r.random() < 0.8 else "office"
        p.tasks *= 1.2
    elif role == "ml-engineer":
        p.area = r.choice(("img", "img", "txt"))
        team = w.team[f"ml-{p.area}"]
        p.start += 0.7
    elif role == "outside-partner":
        firm = r.choice(w.partners)
        team, p.site = f"partner-{firm}", firm
        p.zone = {0: -5.0, 1: 8.0, 2: float(world.days.home)}[w.partners.index(firm)]
        p.pattern, p.tasks = "partner", r.uniform(2.5, 5.0)
        p.weekdays = tuple(sorted(r.sample(range(5), r.randint(2, 4))))
    elif role == "transcription-editor":
        p.start, p.tasks = r.gauss(7.0, 0.6), p.tasks * 1.3
    p.teams = [(0, team)]
    if p.pattern in {"office", "senior"}:
        dice = r.random()
        if dice < 0.14:
            p.pattern, p.hours = "office", r.uniform(4.0, 6.5)
            p.weekdays = tuple(sorted(r.sample(range(5), r.randint(2, 4))))
        elif dice < 0.24 and role in {"ml-engineer", "biostatistician", "clinician"}:
            p.pattern = "irregular"
    p.habits = {k: v * r.lognormvariate(0, 0.45) for k, v in HABITS[role].items()}
    for k in list(p.habits):
        if r.random() < 0.1 and len(p.habits) > 3 and _rare(p.habits, k):
            del p.habits[k]
    _leave(world, p)
    world.people[p.name] = p
    return p


def _rare(habits: dict[str, float], key: str) -> bool:
    """Whether a habit is not one of the main ones."""
    return habits[key] < max(habits.values()) * 0.5


def _leave(world: World, p: Principal) -> None:
    r, count = world.r, world.days.count
    if r.random() < 0.42:
        first, length = r.randrange(0, count), r.choice((2, 3, 5, 7, 9, 12))
        p.away.update(range(first, first + length))
    if r.random() < 0.35:
        first = r.randrange(0, count)
        p.away.update(range(first, first + r.randint(1, 3)))


def assign(world: World, p: Principal, day: int, number: int) -> None:
    """Give a person studies that fit them."""
    r = world.r
    kinds = (p.area,) if p.area else LIKES.get(p.role, ())
    fits = [
        j for j in world.projects if j.kind in kinds and j not in p.projects and j.end > day + 5
    ]
    if p.role == "outside-partner":
        mate = next(
            (q for q in world.of_role(p.role) if q.site == p.site and q.projects and q is not p),
            None,
        )
        fits = list(mate.projects) if mate else fits
    for j in r.sample(fits, min(number, len(fits))):
        p.projects.append(j)
        j.members.append(p.name)


def populate(world: World) -> None:
    """Everybody, with joiners, leavers, moves and the reorganisation."""
    r = world.r
    for role, (low, high) in COUNTS.items():
        for _ in range(r.randint(low, high)):
            p = hire(world, role)
            assign(world, p, 0, r.choice((1, 2, 2, 3)))
    for j in world.projects:
        docs = [n for n in j.members if world.people[n].role in {"clinician", "biostatistician"}]
        if not docs:
            q = r.choice(world.of_role("clinician"))
            q.projects.append(j)
            j.members.append(q.name)
            docs = [q.name]
        j.lead = docs[0]
    _machines(world)
    _turnover(world)


def _machines(world: World) -> None:
    r, w = world.r, world.words
    ops = w.team["it-operator"]

    def add(name: str, kind: str, role: str, team: str, site: str = "", **more: float) -> Principal:
        p = Principal(
            name, kind, role, [(0, team)], site or r.choice(w.sites), float(world.days.home),
            role, more.get("start", 0.0), more.get("hours", 24.0), more.get("tasks", 20.0),
        )  # fmt: skip
        p.ward, p.clumsy = r.choice(w.wards), 0.4
        world.people[name] = p
        return p

    for site in w.sites:
        add(
            f"ask-{site}",
            "agent",
            "clinic-assistant",
            f"clinic-{site}",
            site,
            tasks=r.uniform(36, 62),
        )
        load = add(f"load-{site}", "workload", "loader", ops, site, start=r.uniform(0.5, 4.0))
        load.teams = [(0, r.choice((ops, w.team["data-steward"])))]
    for k, part in enumerate(("ehr", "img", "sp")[: r.randint(2, 3)]):
        p = add(f"curator-{k + 1}", "agent", "curation-agent", w.team["data-steward"])
        p.area, p.tasks, p.start = part, r.uniform(18, 34), r.uniform(6, 9)
    add(
        "note-drafter",
        "agent",
        "drafting-agent",
        w.team["transcription-editor"],
        tasks=r.uniform(40, 70),
    )
    for field in ("img", "txt")[: r.randint(1, 2)]:
        p = add(f"lab-copilot-{field}", "agent", "coding-agent", w.team[f"ml-{field}"])
        p.area, p.tasks = field, r.uniform(18, 40)
    add(
        "evidence-finder",
        "agent",
        "literature-agent",
        w.team["biostatistician"],
        tasks=r.uniform(10, 22),
    )
    for name, role, team in (
        ("link-weekly", "linker", "data-steward"),
        ("embed-refresh", "embedder", "ml-txt"),
        ("quality-watch", "checker", "data-steward"),
        ("roster-sync", "syncer", "roster-planner"),
        ("variant-caller", "caller", "bioinformatician"),
        ("deidentify", "masker", "data-steward"),
        ("backup-vault", "keeper", "it-operator"),
        ("image-intake", "intake", "imaging-analyst"),
    ):
        add(name, "workload", role, w.team[team], start=r.uniform(0.5, 5.0))
    for field in ("img", "txt"):
        for model in world.models[field][: r.randint(1, 3)]:
            p = add(f"train-{model}", "workload", "trainer", w.team[f"ml-{field}"])
            p.area, p.ward = field, model
    for p in world.people.values():
        if p.kind != "human":
            bosses = [
                q for q in world.people.values() if q.kind == "human" and q.team(0) == p.team(0)
            ]
            p.owner = r.choice(bosses).name if bosses else ""


def _turnover(world: World) -> None:
    r, days = world.r, world.days
    roles = ["clinician", "clinician", "ml-engineer", "biostatistician", "data-steward",
             "it-operator", "study-coordinator", "outside-partner"]  # fmt: skip
    for role in r.sample(roles, r.randint(4, 7)):
        day = r.choice((r.randint(4, days.learn), r.randint(days.learn, days.count - 4)))
        while days.weekday(day) > 4:
            day -= 1
        p = hire(world, role, joined=day)
        assign(world, p, day, r.choice((1, 1, 2)))
    staff = [p for p in world.people.values() if p.kind == "human" and p.joined == 0]
    for p in r.sample(staff, r.randint(3, 5)):
        p.left = r.randint(8, days.count - 1)
    # a reorganisation: part of some teams becomes a new one
    when = r.randint(8, days.count - 6)
    old = r.sample(("ml-img", "data-steward", "biostatistician", "imaging-analyst", "ml-txt"), 2)
    new = r.choice(("data-and-models", "digital-medicine", "institute-core", "learning-systems"))
    for p in world.people.values():
        hit = p.team(0) in {world.words.team[o] for o in old}
        if hit and (p.kind == "human" or r.random() < 0.4) and r.random() < 0.5 and p.left > when:
            p.teams.append((when, new))
            if p.kind == "human":
                assign(world, p, when, 1)
    for p in r.sample(staff, 4):
        if len(p.teams) == 1 and p.role in {
            "biostatistician",
            "imaging-analyst",
            "study-coordinator",
        }:
            p.teams.append((r.randint(5, days.count - 4), world.words.team["bioinformatician"]))
    # young doctors change wards with the month
    docs = world.of_role("clinician")
    turn = next(d for d in range(1, 45) if days.date(d).day == 1)
    world.rotation = (turn, {p.name: r.choice(world.words.wards) for p in docs if r.random() < 0.3})
