"""Who works in the made-up company: people, agents and jobs with habits of their own."""

import random

from tests.access_mill.names import SENSITIVE, TEAMS, TeamPlan
from tests.access_mill.world import Principal, Segment, Table, World

#: kinds of session of a role: see `people.py` for what each looks like
_VERBS: dict[str, dict[str, float]] = {
    "analyst": {"ask": 6, "join": 1.5, "report": 2.0, "browse": 1, "board": 1},
    "controller": {"ask": 4, "report": 3, "board": 2, "join": 0.6},
    "data scientist": {"notebook": 4, "ask": 3, "vector": 1.2, "join": 1, "train": 0.7,
                       "pull": 0.5, "browse": 0.6},
    "ml engineer": {"notebook": 2, "train": 2.2, "pull": 1.3, "ask": 1.5, "vector": 1.5,
                    "ship": 0.35, "sample": 0.12},
    "data engineer": {"ask": 3, "write": 3, "browse": 1.5, "notebook": 1, "report": 0.2},
    "site reliability": {"ask": 4, "write": 1.2, "browse": 1},
    "researcher": {"notebook": 3, "train": 2, "vector": 1.5, "ask": 1, "pull": 1.2, "sample": 0.1},
    "data steward": {"review": 6, "browse": 3, "ask": 1.5},
    "manager": {"board": 5, "ask": 0.7},
    "consultant": {"ask": 4, "report": 1, "notebook": 1.5, "browse": 1},
}  # fmt: skip
_BUSY = {"manager": 0.3, "data steward": 2.4, "consultant": 1.2, "controller": 1.1}


def person(
    world: World, plan: TeamPlan, role: str, region: str, first: int = 0, last: int = 10_000
) -> Principal:
    """One person of a team, with habits drawn from a heavy tail."""
    rng = world.rng
    start = rng.gauss(9.0, 0.8)
    who = Principal(
        world.call(region), "human", role, plan.name, region, plan, {}, first=first, last=last,
        rate=min(7.0, _BUSY.get(role, 1.8) * rng.lognormvariate(-0.1, 0.75)),
        volume=rng.gauss(6.3, 1.0), hours=(start, start + rng.uniform(8.0, 9.8)),
        evenings=0.25 if rng.random() < 0.1 else rng.choice((0.0, 0.02, 0.05)),
        weekends=0.3 if rng.random() < 0.1 else rng.choice((0.0, 0.01, 0.05)),
    )  # fmt: skip
    who.verbs = {verb: weight * rng.lognormvariate(0, 0.5) for verb, weight in _VERBS[role].items()}
    who.purposes = rng.sample(plan.purposes, min(len(plan.purposes), rng.randint(1, 3)))
    place(world, who)
    if rng.random() < 0.4:
        leave = rng.randrange(3, world.calendar.days)
        who.away = set(range(leave, leave + rng.choice((2, 5, 7, 9, 12))))
    return who


def place(world: World, who: Principal) -> None:
    """Gives somebody the segments of the team, in a personal order, and what follows."""
    rng, plan = world.rng, who.plan
    if who.role == "data steward":
        domains = (plan.domain, *plan.friends)
        world.settle(who, [one for domain in domains for one in world.of(domain)])
    else:
        own = world.of(plan.domain)
        chosen = rng.sample(own, min(len(own), rng.randint(2, 4)))
        for friend in plan.friends:
            if rng.random() < 0.45:
                chosen.append(rng.choice(world.of(friend)))
        world.settle(who, chosen)
    world.settle(who, rng.sample(world.of("shared"), rng.randint(0, 2)), 0.1)
    who.models = [
        model.family
        for model in world.models.values()
        if model.domain == plan.domain or (model.domain in plan.friends and rng.random() < 0.3)
    ]
    habits(world, who)


def habits(world: World, who: Principal) -> None:
    """The cells of somebody's notebook and the pairs of tables that are joined over and over."""
    rng = world.rng
    who.cells, who.pairs = [], []
    for _ in range(rng.randint(4, 9)):
        segment = world.pick(who)
        count = min(len(who.loved[segment]), rng.choice((1, 1, 2)))
        action = rng.choice(("table.read", "table.read", "query.run"))
        who.cells.append((action, segment, rng.sample(range(len(who.loved[segment])), count)))
    for _ in range(rng.randint(1, 4)):
        left, right = world.pick(who), world.pick(who)
        who.pairs.append((left, world.favourite(who, left), right, world.favourite(who, right)))


def agent(world: World, plan: TeamPlan, number: int) -> Principal:
    """An agent that acts for people of a team in bursts, each call some seconds after another."""
    rng = world.rng
    title = rng.choice(("analyst-agent", "data-copilot", "triage-agent", "ml-assistant"))
    who = Principal(
        f"{title}-{number:02d}", "agent", "agent", plan.name, plan.places[0], plan, {},
        rate=rng.lognormvariate(0.5, 0.5), volume=rng.gauss(5.0, 0.7),
        pace=rng.uniform(2.5, 9.0), evenings=float(rng.random() < 0.25), hours=(7.5, 20.0), weekends=rng.choice((0.05, 0.3, 0.8)),
    )  # fmt: skip
    who.purposes = rng.sample(plan.purposes, 1 + (rng.random() < 0.4))
    own = world.of(plan.domain)
    chosen = rng.sample(own, min(len(own), rng.randint(2, 4)))
    if plan.friends and rng.random() < 0.5:
        chosen.append(rng.choice(world.of(plan.friends[0])))
    world.settle(who, chosen)
    world.settle(who, [rng.choice(world.of("shared"))], 0.15)
    return who


#: kinds of job: name, runs a day, steps of a run
_JOBS = (
    ("etl-hourly", 24.0, (2, 4)), ("etl-nightly", 1.0, (10, 26)), ("quality-check", 4.0, (4, 9)),
    ("index-sync", 4.0, (2, 4)), ("stream-sink", 96.0, (1, 1)), ("serving", 60.0, (1, 1)),
    ("train-nightly", 1.0, (6, 14)), ("report-mailer", 1.0, (3, 6)), ("dbt-run", 6.0, (6, 12)),
)  # fmt: skip


def job(world: World, plan: TeamPlan, shape: tuple[str, float, tuple[int, int]]) -> Principal:
    """A job with a schedule and steps that are the same at each run."""
    rng = world.rng
    title, rate, steps = shape
    who = Principal(
        f"svc-{plan.domain}-{title}-{rng.randrange(10, 99)}", "workload", "service account",
        plan.name, plan.places[0], plan, {}, rate=rate, volume=rng.gauss(9.0, 1.2),
        pace=rng.uniform(20, 400), phase=rng.uniform(0, 6), weekends=1.0,
    )  # fmt: skip
    who.purposes = [rng.choice((*plan.purposes, "scheduled"))]
    who.verbs = {title: 1.0}
    own = world.of(plan.domain)
    if title in {"index-sync", "serving"}:
        own = [one for one in own if one.index] or own
    chosen = rng.sample(own, min(len(own), rng.randint(1, 3)))
    if plan.friends and title in {"etl-nightly", "dbt-run"}:
        chosen.append(rng.choice(world.of(rng.choice(plan.friends))))
    world.settle(who, chosen)
    for _ in range(rng.randint(*steps)):
        segment: Segment = world.segments[world.pick(who)]
        loved = who.loved[segment.name]
        picked = rng.sample(range(len(loved)), min(len(loved), rng.choice((1, 1, 1, 2))))
        action = rng.choice(("table.read", "query.run", "table.write"))
        who.cells.append((action, segment.name, picked))
    who.models = [model.family for model in world.models.values() if model.domain == plan.domain]
    return who


def keeper(world: World, plan: TeamPlan, segment: Segment, vault: Table) -> Principal:
    """The one job that reads and renews the table by which pseudonyms become people."""
    rng = world.rng
    who = Principal(
        f"svc-{plan.domain}-identity-{rng.randrange(10, 99)}", "workload", "service account",
        plan.name, plan.places[0], plan, {segment.name: 1.0}, {segment.name: [vault]},
        rate=rng.choice((1.0, 2.0, 4.0)), volume=rng.gauss(8.5, 0.5), pace=rng.uniform(20, 200),
        phase=rng.uniform(0, 6), weekends=1.0,
    )  # fmt: skip
    who.purposes, who.verbs = ["identity-sync"], {"identity": 1.0}
    who.cells = [("table.read", segment.name, [0]), ("table.write", segment.name, [0])]
    world.entitle(who, segment)
    return who


def staff(world: World) -> None:
    """Fills a world with its people, agents and jobs of the first day."""
    rng: random.Random = world.rng
    size = rng.uniform(0.68, 1.0)
    for plan in TEAMS:
        for number in range(max(2, round(rng.randint(*plan.size) * size))):
            role = "manager" if number == 0 and plan.size[1] > 5 else rng.choice(plan.roles)
            world.people.append(person(world, plan, role, rng.choice(plan.places)))
        indexed = any(one.index for one in world.of(plan.domain))
        fit = [
            shape
            for shape in _JOBS
            if (indexed or shape[0] != "index-sync")
            and (shape[0] not in {"serving", "train-nightly"} or _has_model(world, plan))
        ]
        count = rng.randint(2, 4) if plan.name != "Data Governance" else 1
        for shape in rng.sample(fit, min(len(fit), count)):
            world.jobs.append(job(world, plan, shape))
        for segment in world.of(plan.domain) if plan.domain in SENSITIVE else ():
            if segment.vault:
                world.jobs.append(keeper(world, plan, segment, segment.vault))
    with_agents = [plan for plan in TEAMS if plan.domain not in SENSITIVE or plan.size[1] > 5]
    for number in range(rng.randint(11, 17)):
        world.agents.append(agent(world, rng.choice(with_agents), number + 1))


def _has_model(world: World, plan: TeamPlan) -> bool:
    """Whether a team's domain has models at all."""
    return any(model.domain == plan.domain for model in world.models.values())
