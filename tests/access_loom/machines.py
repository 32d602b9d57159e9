"""Agents that work for people, and workloads by the hour and by the night."""

import math
from random import Random

from tests.access_loom.book import Desk
from tests.access_loom.clock import DAY, poisson, some
from tests.access_loom.firm import Firm, Machine, Person, Project, Thing, _strand
from tests.access_loom.people import Sitting, favourite, strand
from tests.access_loom.words import AGENTS, Mix


def equip(firm: Firm, r: Random) -> None:
    """Gives the company its agents and workloads."""
    stem = r.choice(["agent", "copilot", "bot"])
    makers = firm.by_role("software_engineer", "platform_engineer", "data_engineer", "ml_engineer")
    thinkers = firm.by_role("data_scientist", "product_analyst", "people_analyst")
    for role, pool, lo, hi in (
        ("coding_agent", makers, 5, 7),
        ("analysis_agent", thinkers, 5, 8),
        ("desk_agent", firm.by_role("support_agent", "team_lead"), 1, 2),
        ("watch_agent", firm.by_role("security_analyst"), 1, 1),
    ):
        fit = [x for x in pool if x.last > firm.clock.days]
        if role == "desk_agent":
            fit = [p for p in fit if firm.teams[p.team] == "support"]
        for p in some(r, fit, lo, hi):
            name = f"{stem}-{role.split('_')[0]}-{p.name.split('.')[0]}"
            m = Machine(name, "agent", role, p.team, list(p.moves), operator=p)
            m.manner = {"desk_agent": "queue", "watch_agent": "beat"}.get(role, "beside")
            if role == "analysis_agent" and r.random() < 0.3:
                m.manner, m.hour = "morning", p.start - r.uniform(0.5, 2.0)
            m.rate = r.uniform(6, 18)
            m.strands = p.strands
            m.first = p.first
            m.scale = r.lognormvariate(0, 0.3)
            firm.machines.append(m)
    queue = [p for p in firm.projects if p.things.get("ticket")]
    for m in firm.machines:
        if m.manner == "queue":
            m.strands = [_strand(r, firm, x, 1.0) for x in queue]
    _workloads(firm, r)


def _workloads(firm: Firm, r: Random) -> None:
    home = {c: t for t, c in reversed(firm.teams.items())}
    clean, features, models = firm.of("clean"), firm.of("feature"), firm.of("model")
    reports, audit, vectors = firm.of("report"), firm.of("audit"), firm.of("index")

    def job(name: str, craft: str, task: str, manner: str, things: list[Thing]) -> Machine:
        m = Machine(name, "workload", task, home[craft], manner=manner, task=task, things=things)
        firm.machines.append(m)
        return m

    def hourly(name: str, craft: str, task: str, things: list[Thing], *every: int) -> None:
        job(name, craft, task, "hourly", things).every = r.choice(every)

    def nightly(name: str, craft: str, task: str, things: list[Thing], a: int, b: int) -> None:
        job(name, craft, task, "nightly", things).hour = r.uniform(a, b)

    for s in firm.streams:
        raw = [t for t in firm.of("raw") if t.area == s]
        hourly(f"ingest-{s}", "data", "ingest", raw, 120, 180, 240)
    nightly("cleaner", "data", "clean", clean, 0, 3)
    hourly("table-checks", "data", "check", clean, 240, 360)
    nightly("feature-builder", "data", "build", features, 2, 5)
    hourly("vector-refresh", "platform", "refresh", vectors, 60, 120)
    lines = [p for p in firm.projects if p.line and p.things.get("model")]
    for p in some(r, lines, 2, 4):
        nightly(f"train-{p.line}", "platform", "train", [], 18, 27)
        firm.machines[-1].strands = [_strand(r, firm, p, 1.0)]
    job("trainer-pool", "platform", "train_on_demand", "asked", [])
    nightly("nightly-eval", "platform", "evaluate", models, 4, 6)
    hourly("drift-monitor", "platform", "monitor", features, 720)
    weekly = job("deploy-runner", "platform", "deploy", "weekly", firm.of("model", "adapter"))
    weekly.hour = r.uniform(9, 15)
    job("registry-backup", "platform", "backup", "weekly", models).hour = r.uniform(1, 4)
    nightly("report-builder", "data", "report", reports, 5, 7)
    hourly("dashboard-cache", "data", "cache", reports, 480)
    hourly("audit-shipper", "security", "ship", audit, 40, 60, 90)
    hourly("consent-sync", "privacy", "consent", firm.of("consent"), 60)


def beside(desk: Desk, m: Machine, d: int, sat: list[Sitting]) -> None:
    """An agent that works while its operator does."""
    r, p = desk.r, m.operator
    if p is None or d < m.first:
        return
    if m.manner == "morning":
        if desk.firm.clock.works(d, p.office) and d not in p.away:
            t = desk.firm.clock.at(d, m.hour + r.gauss(0, 0.05), p.office.offset)
            _burst(desk, m, t, d, poisson(r, m.rate * 2.5))
        return
    for times in sat:
        if r.random() < 0.6:
            n = 1 + poisson(r, m.rate * r.lognormvariate(0, 0.5))
            n = n * 4 if r.random() < 0.02 else n  # a long task
            _burst(desk, m, times[0] + r.randint(5, 200), d, n)
    if sat and r.random() < 0.01:  # left to itself for the evening
        t = desk.firm.clock.at(d, r.uniform(18.5, 21.5), p.offset(d))
        _burst(desk, m, t, d, 5 + poisson(r, m.rate * 2))


def _burst(desk: Desk, m: Machine, t: int, d: int, n: int) -> None:
    r = desk.r
    s = strand(m, d, r)
    if s is None:
        return
    mix = AGENTS[m.role]
    for _ in range(n):
        t += 2 + int(r.expovariate(1 / 14))
        step(desk, m, t, s.project, mix)


def step(desk: Desk, m: Machine, t: int, project: Project, mix: Mix) -> None:
    """One act of an agent."""
    r = desk.r
    for _ in range(5):
        action, sort, _ = r.choices(mix, [w for *_, w in mix])[0]
        things = [x for part in sort.split("+") if (x := favourite(m, project, part, r))]
        if len(things) < len(sort.split("+")) or (len(things) > 1 and things[0] is things[1]):
            continue
        if r.random() < 0.012:  # a timeout, and tried again
            desk.put(m, t, action, things, project.purpose, 0, None, "denied")
            t += r.randint(2, 20)
        desk.use(m, t, action, things, project)
        return


def queue(desk: Desk, m: Machine, d: int) -> None:
    """An agent that answers what comes in, by day and by night."""
    r, clock = desk.r, desk.firm.clock
    busy = 0.6 if clock.weekday(d) >= 5 else 1.0
    for h in range(24):
        wave = 0.35 + 0.65 * max(0.0, math.sin((h - 5) / 24 * 2 * math.pi))
        for _ in range(poisson(r, m.rate * 0.55 * wave * busy)):
            s = strand(m, d, r)
            if s:
                step(desk, m, clock.at(d, h + r.random(), 0.0), s.project, AGENTS[m.role])


def beat(desk: Desk, m: Machine, d: int) -> None:
    """An agent that looks round every half hour or so."""
    r, clock = desk.r, desk.firm.clock
    project = next(s.project for s in m.strands)
    for k in range(48):
        for _ in range(1 if r.random() < 0.9 else r.randint(2, 6)):
            step(desk, m, clock.at(d, k / 2 + r.random() / 3, 0.0), project, AGENTS[m.role])


def run(desk: Desk, m: Machine, d: int) -> None:
    """A day of a workload."""
    r, clock = desk.r, desk.firm.clock
    if m.manner == "hourly":
        for k, thing in enumerate(m.things):
            t = clock.zero + d * DAY + k * 60 * m.every // len(m.things) + r.randint(0, 40)
            while t < clock.zero + (d + 1) * DAY:
                if r.random() < 0.0025:  # a token had run out
                    action = TASKS[m.task][0]
                    desk.put(m, t - 90, action, [thing], TASKS[m.task][1], 0, None, "denied")
                if r.random() > 0.004:
                    _tick(desk, m, t, thing.name)
                t += m.every * 60
        return
    hour = m.hour + (r.uniform(1, 5) if r.random() < 0.04 else abs(r.gauss(0, 0.06)))  # a late job
    t = clock.at(d, hour, 0.0)
    if m.task == "train":
        if clock.weekday(d) in (0, 2, 4) or r.random() < 0.3:
            train(desk, m, t, m.strands[0].project)
    elif m.manner == "weekly":
        day = 6 if m.task == "backup" else 2
        if clock.weekday(d) == day or (m.task == "deploy" and r.random() < 0.1):
            for thing in m.things if m.task == "backup" else some(r, m.things, 1, 3):
                t += r.randint(30, 400)
                _tick(desk, m, t, thing.name)
    elif m.manner == "nightly":
        for thing in m.things:
            t += r.randint(4, 110)
            if r.random() < 0.008:
                desk.put(m, t, "job.start", [thing], "job-control", outcome="denied")
                t += r.randint(60, 900)
            _tick(desk, m, t, thing.name)


TASKS = {
    "ingest": ("stream.ingest", "ingest"),
    "clean": ("stream.clean", "data-quality"),
    "check": ("table.describe", "data-quality"),
    "build": ("feature.build", "feature-build"),
    "refresh": ("embedding.refresh", "index-upkeep"),
    "evaluate": ("model.evaluate", "evaluation"),
    "monitor": ("feature.sample", "drift-watch"),
    "report": ("report.build", "reporting"),
    "cache": ("report.refresh", "reporting"),
    "ship": ("audit.read", "security-monitoring"),
    "consent": ("consent.check", "consent-handling"),
    "backup": ("model.copy", "backup"),
    "deploy": ("model.download", "release"),
}


def _tick(desk: Desk, m: Machine, t: int, name: str) -> None:
    """One piece of a workload's work."""
    r, firm = desk.r, desk.firm
    thing = firm.things[name]
    action, purpose = TASKS[m.task]
    hour = (t - firm.clock.zero) % DAY / 3600
    week = firm.clock.weekday((t - firm.clock.zero) // DAY)
    wave = (0.3 if week >= 5 else 1.0) * (0.25 + math.exp(-((hour - 13) ** 2) / 30))
    rows: int | None = {
        "ingest": int(thing.rows * 0.004 * wave * r.lognormvariate(0, 0.2)),
        "clean": int(thing.rows * 0.02 * r.lognormvariate(0, 0.2)),
        "build": int(thing.rows * 0.05 * r.lognormvariate(0, 0.15)),
        "refresh": int(thing.rows * 0.002 * wave * r.lognormvariate(0, 0.3)),
        "check": 1,
        "monitor": 500,
    }.get(m.task)
    if m.task == "deploy" and thing.sort == "adapter":
        action = "adapter.download"
    grant = None if thing.guard == "open" else f"standing-{m.name}"
    if m.task == "build":
        line = next((p for p in firm.projects if p.line == thing.area), None)
        for x in (line.things.get("clean", []) if line else [])[:2]:
            t += r.randint(1, 15)
            n = int(x.rows * 0.02 * r.lognormvariate(0, 0.2))
            desk.put(m, t, "table.read", [x], purpose, n, grant)
    if m.task == "evaluate":
        gold = f"eval/{thing.area}-gold"
        desk.put(m, t, action, [thing], purpose, 4_000, grant, also=[gold])
    else:
        desk.put(m, t, action, [thing], purpose, rows, grant)


def train(desk: Desk, m: Machine, t: int, project: Project) -> None:
    """A training run: data in, checkpoints out, and it is measured at the end."""
    r = desk.r
    run_name = project.runs[-1]
    stem = run_name.split("/")[1]
    grant = f"standing-{project.name}-{project.line}"
    purpose, seg = project.purpose, f"training-{project.line}"
    desk.add(t, m, "run.begin", [run_name], seg, purpose, 0, 0, grant)
    for f in project.things.get("feature", []):
        t += r.randint(10, 120)
        n = int(f.rows * r.uniform(0.7, 0.95))
        desk.put(m, t, "feature.read", [f], purpose, n, grant)
    pace = r.randint(700, 4_000)
    for k in range(r.randint(2, 7)):
        t += int(pace * r.lognormvariate(0, 0.1))
        size = int(2.4e9 * r.lognormvariate(0, 0.1))
        name = f"checkpoint/{stem}/{k + 1}"
        desk.add(
            t, m, "checkpoint.save", [name], f"registry-{project.line}", purpose, 0, size, grant
        )
        project.saved.append(name)
        if r.random() < 0.05:
            desk.add(t + 40, m, "run.retry", [run_name], seg, purpose, 0, 0, grant)
    for model in project.things.get("model", [])[:1]:
        desk.put(m, t + r.randint(60, 400), "model.evaluate", [model], purpose, 4_000, grant)


def backfill(desk: Desk, d: int, r: Random) -> None:
    """A stream is cleaned again for some days of the past, and its features built again."""
    firm = desk.firm
    cleaner = next(m for m in firm.machines if m.task == "clean")
    builder = next(m for m in firm.machines if m.task == "build")
    area = r.choice(firm.streams)
    tables = [t for t in firm.of("clean") if t.area == area]
    for k in range(r.randint(2, 3)):
        t = firm.clock.at(d + k, r.uniform(8, 12), 0.0)
        for _ in range(r.randint(60, 220)):
            t += r.randint(20, 160)
            x = r.choice(tables)
            n = int(x.rows * 0.02 * r.lognormvariate(0, 0.2))
            desk.put(cleaner, t, "stream.clean", [x], "data-quality", n, f"standing-{cleaner.name}")
        for x in some(r, builder.things, 3, 8):
            _tick(desk, builder, t + r.randint(60, 3_000), x.name)


def withdrawals(desk: Desk, d: int, r: Random) -> None:
    """Somebody withdraws consent: it is noted, and their rows are erased everywhere."""
    firm = desk.firm
    officers: list[Person] = [p for p in firm.by_role("privacy_officer") if d not in p.away]
    sync = next(m for m in firm.machines if m.task == "consent")
    if not officers or not firm.clock.works(d, officers[0].office):
        return
    t = firm.clock.at(d, officers[0].start + r.uniform(0.5, 6), officers[0].office.offset)
    desk.put(
        officers[0], t, "consent.update", [firm.things["consent/withdrawals"]], "consent-handling"
    )
    dept = r.choice(firm.departments)
    for x in firm.of("raw", "clean"):
        if x.name.endswith(f"/{dept}"):
            t += r.randint(2, 40)
            n = r.randint(50, 9_000)
            desk.put(sync, t, "rows.erase", [x], "consent-handling", n, f"standing-{sync.name}")
