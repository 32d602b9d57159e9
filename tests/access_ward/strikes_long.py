"""Attacks by rate, by hour, or over days: runaway machines, odd hours, slow takes, creeping scope."""

import random
from collections.abc import Callable

from .company import Principal, Project
from .facts import HOUR, MAKERS, Facts, Strike, role, study_of, variant
from .routine import RECIPES, stamp, work
from .words import TABLES

JOBS = "loader checker masker intake syncer embedder caller trainer"

# machines out of control


@variant("runaway", role(f"agents {JOBS}"))
def refused_again(s: Strike, day: int, r: random.Random) -> None:
    """Refused, and tries again every few seconds instead of waiting longer and giving up."""
    far = [f"absence/{s.p.site}", "link/mrn-map", "link/pseudonyms", f"overtime/{s.p.site}"]
    obj = r.choice(s.facts.new(s.p, far, day) or ["link/mrn-map"])
    for _ in range(r.randint(60, 260)):
        s.act("table.read", obj, rows=20, denied=r.random() < 0.99, wait=4.5)


@variant("runaway", role("agents"))
def walks_everything(s: Strike, day: int, r: random.Random) -> None:
    """Goes through everything it can name, in a few minutes."""
    w = s.world.words
    pool = [f"{x}.{t}" for x in w.sites for t in TABLES]
    pool += [f"{x}.charts.{y}" for x in w.sites for y in w.wards] + [
        f"absence/{x}" for x in w.sites
    ]
    pool += [stamp(s.world, x, day) for x in w.scans] + [f"transcripts/{x}" for x in w.wards]
    pool += [y for j in s.world.projects for y in j.study()]
    for obj in r.sample(pool, r.randint(50, min(len(pool), 110))):
        action = r.choice(("table.read", "item.read"))
        s.act(action, obj, rows=r.randint(10, 400), denied=r.random() < 0.25, wait=9)


@variant("runaway", role("assistant literature drafting-agent"))
def echo_loop(s: Strike, day: int, r: random.Random) -> None:
    """An agent asks itself the same thing again and again."""
    action, objects = r.choice(s.facts.lately(s.p, s.t))
    usual = s.facts.usual_rows(s.p, action, 8)
    for _ in range(r.randint(120, 380)):
        s.act(action, *objects, rows=usual * r.uniform(0.7, 1.4) + 1, size=3100, wait=4)


@variant("runaway", role("loader masker intake embedder trainer caller"))
def reload_storm(s: Strike, day: int, r: random.Random) -> None:
    """A workload begins again from the start whenever it has ended."""
    steps = r.sample(s.facts.lately(s.p, s.t), 3)
    for k in range(r.randint(70, 220)):
        action, objects = steps[k % 3]
        rows = s.facts.usual_rows(s.p, action, 5000) * r.uniform(0.9, 1.4)
        s.act(action, *objects, rows=rows, size=200, wait=14)


# odd hours


def _settled(f: Facts, p: Principal, first: int, last: int) -> bool:
    """Whether they have hours of their own, are not on call, and are never up in these."""
    on_call = [q for x in ("ml-engineer", "data-steward") for q in f.world.of_role(x, 0)[:3]]
    fits = p.kind == "human" and p.pattern in {"office", "partner", "senior"} and p not in on_call
    return fits and all(f.hours[p.name][h % 24] == 0 for h in range(first - 1, last + 1))


def _session(s: Strike, day: int, hour: float, count: int) -> None:
    """Some of their usual work, at an hour that is not."""
    world, p = s.world, s.p
    keep, world.log = world.log, []
    t = world.days.at(day, hour, p.zone)
    names = [k for k in p.habits if RECIPES[k][0] not in {"catalogue", "rostering"}]
    names = sorted(names or p.habits, key=lambda k: -p.habits[k])[:3]
    while len(world.log) < count:
        t = work(world, p, world.r.choice(names), t, day) + world.r.uniform(30, 300)
    fresh, world.log = world.log[:count], keep
    s.rows += fresh


@variant("off_hours", lambda f, p: _settled(f, p, 0, 5))
def small_hours(s: Strike, day: int, r: random.Random) -> None:
    """Somebody of the day works in the middle of one night."""
    _session(s, day, r.uniform(0.6, 2.6), r.randint(6, 20))


def _free_weekends(f: Facts, p: Principal) -> bool:
    free = not any(f.world.days.weekday(d) > 4 for d in f.times[p.name])
    return free and _settled(f, p, 22, 26)


@variant("off_hours", _free_weekends, length=(8, 8), least=2)
def weekend_nights(s: Strike, day: int, r: random.Random) -> None:
    """Somebody who never works at weekends does so on both evenings of one, late."""
    sat = next(d for d in range(day, day + 7) if s.world.days.weekday(d) == 5)
    for d in (sat, sat + 1):
        _session(s, d, r.uniform(22.2, 23.5), r.randint(4, 11))


def on_leave(f: Facts) -> Strike | None:
    """Somebody's name is at work in the middle of their leave, late at night."""
    days, r = f.world.days, f.world.r
    span = range(days.learn + 1, days.count - 1)
    crowd = [p for p in f.world.people.values() if p.left > days.count and _settled(f, p, 23, 28)]
    r.shuffle(crowd)
    for p in crowd:
        inside = [d for d in span if {d - 1, d, d + 1} <= p.away and f.known(p, d)]
        if inside:
            s = Strike(f, p)
            _session(s, r.choice(inside), r.uniform(23, 26), r.randint(6, 16))
            if f.free(p, s.rows[0][0], s.rows[-1][0] + HOUR):
                return s
    return None


MAKERS["off_hours"].append(on_leave)


def _idle(f: Facts, p: Principal) -> list[int]:
    """Hours of the day at which a workload never ran, nor shortly before or after."""
    seen = f.hours[p.name]
    return [h for h in range(10, 22) if not any(seen[x % 24] for x in range(h - 2, h + 4))]


@variant(
    "off_hours",
    lambda f, p: role("loader embedder masker keeper caller")(f, p) and _idle(f, p) != [],
)
def daytime_job(s: Strike, day: int, r: random.Random) -> None:
    """A workload of the night runs in the day, at no hour it ever ran."""
    hour = r.choice(_idle(s.facts, s.p)) + r.random() * 0.5
    s.t = s.world.days.at(day, hour, s.p.zone)
    for action, objects in s.facts.lately(s.p, s.t)[-r.randint(8, 24) :]:
        s.act(action, *objects, rows=s.facts.usual_rows(s.p, action, 4000), wait=180)


# a little more each day

WEEK = (8, 9)


def _more(
    s: Strike, key: str, low: float, high: float, least: int, step: Callable[[int, float], None]
) -> None:
    """On each day of work some more than usual, growing a little."""
    r = s.world.r
    more = max(float(least), s.facts.a_day(s.p, key) * r.uniform(low, high))
    for k, d in enumerate(s.worked):
        for _ in range(max(2, round(more * (0.8 + 0.08 * k) * r.uniform(0.8, 1.2)))):
            s.t = s.facts.moment(s.p, d)
            step(d, 1 + 0.1 * k)


@variant("slow", lambda f, p: f.did(p, "result.export") >= 3 and bool(p.projects), WEEK, 5)
def small_extracts(s: Strike, day: int, r: random.Random) -> None:
    """Each day a few exports more, each not much bigger than theirs."""
    usual = s.facts.usual_rows(s.p, "result.export", 60)

    def step(d: int, grow: float) -> None:
        obj = f"{study_of(s, d)}/{r.choice(('results', 'outcomes', 'followup'))}"
        s.act("result.export", obj, rows=usual * grow * r.uniform(1.5, 4), size=250)

    _more(s, "result.export", 1.0, 2.5, 3, step)


@variant("slow", lambda f, p: p.role == "clinician" and p.name not in f.world.rotation[1], WEEK, 5)
def more_charts(s: Strike, day: int, r: random.Random) -> None:
    """A doctor opens charts of wards that are not theirs, some more each day."""
    s.purpose, s.grant = "treatment", None
    wards = [x for x in s.world.words.wards if x != s.p.ward]

    def step(_: int, grow: float) -> None:
        s.act("chart.open", f"{s.p.site}.charts.{r.choice(wards)}", rows=grow, size=9e3)

    _more(s, "chart.open", 0.4, 0.8, 6, step)


@variant(
    "slow",
    role("biostatistician study-coordinator bioinformatician outside-partner", study=True),
    WEEK,
    5,
)
def rows_up(s: Strike, day: int, r: random.Random) -> None:
    """Queries that bring more rows than theirs do, some on each day."""
    usual = s.facts.usual_rows(s.p, "table.query", 3000)

    def step(d: int, grow: float) -> None:
        obj = f"{study_of(s, d)}/{r.choice(('cohort', 'followup', 'outcomes'))}"
        s.act("table.query", obj, rows=usual * grow * r.uniform(2, 4), size=90)

    _more(s, "table.query", 0.3, 0.6, 4, step)


@variant("slow", role("ml-engineer literature"), WEEK, 5)
def vector_trickle(s: Strike, day: int, r: random.Random) -> None:
    """Each day some more searches in the vectors, each a little wider."""
    usual = s.facts.usual_rows(s.p, "vector.search", 20)
    mine = [x for x in sorted(s.facts.used[s.p.name]) if x.startswith("vec/")] or ["vec/letters"]

    def step(_: int, grow: float) -> None:
        s.act("vector.search", r.choice(mine), rows=usual * grow * r.uniform(2, 4), size=3100)

    _more(s, "vector.search", 0.6, 1.2, 5, step)


@variant("slow", role("curation drafting-agent"), WEEK, 5)
def agent_more(s: Strike, day: int, r: random.Random) -> None:
    """A curating or drafting agent reads on, some more each day, from what is not in its task."""

    def step(d: int, grow: float) -> None:
        speech = stamp(s.world, f"speech/{s.p.site}/{r.choice(s.world.words.wards)}", d)
        obj = r.choice((speech, f"{s.p.site}.letters"))
        s.act("item.read", obj, rows=260 * grow * r.uniform(1, 2), size=900)

    _more(s, "item.read", 0.5, 0.9, 10, step)


# beyond what they are there for

SPAN = (5, 9)
Rung = tuple[str, str, float, Project | None]


def _creep(s: Strike, ladder: list[Rung], low: int, high: int) -> None:
    """On each day one step further, and what was reached is kept in use."""
    r = s.world.r
    if len(ladder) < 4:
        return
    for k, d in enumerate(s.worked):
        reach = max(1, round(len(ladder) * (k + 1) / len(s.worked)))
        for n in range(r.randint(low, high) + k // 3):
            s.t = s.facts.moment(s.p, d)
            action, name, rows, j = ladder[reach - 1 if n == 0 else r.randrange(reach)]
            obj = stamp(s.world, name, d)
            if j is not None:
                s.purpose = j.purpose
            if n == 0 and r.random() < 0.25:
                s.act(action, obj, denied=True, wait=300)
            s.act(action, obj, rows=rows * r.uniform(0.6, 1.6), size=200)


@variant(
    "scope",
    role("transcription-editor roster-planner imaging-analyst study-coordinator ml-engineer"),
    SPAN,
    4,
)
def next_segment(s: Strike, day: int, r: random.Random) -> None:
    """Each day one segment further away from their work."""
    w = s.world.words
    other = [x for x in w.sites if x != s.p.site]
    far = [f"{other[0]}.letters", f"{other[-1]}.encounters", f"absence/{s.p.site}", w.scans[0]]
    far = s.facts.new(s.p, [*far, f"transcripts/{w.wards[0]}", *s.world.genes()[:1]], day)
    r.shuffle(far)
    _creep(s, [("table.read", x, 120.0, None) for x in far], 1, 3)


@variant("scope", role("studiers", study=True), SPAN, 4)
def purpose_drift(s: Strike, day: int, r: random.Random) -> None:
    """Uses the approval of one study for data and purposes of others, more of them each day."""
    study_of(s, day)
    other = [j for j in s.world.projects if j not in s.p.projects and j.start < day]
    pairs = [(f"{j.code}/{x}", j) for j in other for x in ("cohort", "outcomes")]
    rungs = [("table.query", x, 2000.0, j) for x, j in pairs if s.facts.new(s.p, [x], day)]
    _creep(s, list(rungs[:7]), 1, 3)


@variant(
    "scope",
    role("outside-partner study-coordinator ml-engineer imaging-analyst clinician", study=True),
    SPAN,
    4,
)
def collects_grants(s: Strike, day: int, r: random.Random) -> None:
    """Asks for the approvals of study after study that they are not in, and uses what they get."""
    p = s.p
    other = [j for j in s.world.projects if j not in p.projects and j.start < day < j.end]
    other = [j for j in other if s.facts.new(p, [f"{j.code}/cohort"], day)]
    r.shuffle(other)
    for k, d in enumerate(s.worked if len(other) > 3 else []):
        s.t = min(s.facts.moment(p, d), s.facts.moment(p, d))
        for j in [*other[k : k + 1], *r.sample(other[:k], min(k, 2, len(other)))]:
            s.purpose, s.grant = j.purpose, j.grant(p.name)
            if j in other[k : k + 1]:
                s.act("access.request", f"protocol/{j.code}", rows=0, wait=2400)
                if r.random() < 0.3:
                    s.act("table.query", f"{j.code}/cohort", denied=True, wait=600)
            table = r.choice((f"{j.code}/cohort", f"{j.code}/outcomes", r.choice(j.data["ehr"])))
            for x in (f"{j.code}/cohort", table)[r.randint(0, 1) :]:
                s.act("table.query", x, rows=r.randint(300, 4000), size=100, wait=900)


@variant("scope", role("agents loader syncer intake"), SPAN, 4)
def agent_widens(s: Strike, day: int, r: random.Random) -> None:
    """An agent or a workload takes in more hospitals and other kinds of data day by day."""
    w = s.world.words
    other = [x for x in w.sites if x != s.p.site]
    far = [f"{x}.{t}" for x in other for t in ("letters", "problems")]
    far += [f"transcripts/{w.wards[1]}", f"overtime/{s.p.site}", f"absence/{other[0]}"]
    far += ["link/pseudonyms", *[f"{j.code}/cohort" for j in s.world.projects[:3]]]
    _creep(s, [("table.read", x, 300.0, None) for x in s.facts.new(s.p, far, day)], 3, 7)


LONG = MAKERS
