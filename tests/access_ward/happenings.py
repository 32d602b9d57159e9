"""What does not happen every day: incidents, releases, backfills, approvals, deadlines, new things."""

from collections.abc import Callable
from typing import Any

from .company import Principal, Project, World
from .machines import OPS, Voice, assistant, batches, load
from .routine import stamp, work

Happening = tuple[Callable[..., None], tuple[Any, ...]]


def plan(world: World) -> dict[int, list[Happening]]:
    """What happens on which day."""
    r, days = world.r, world.days
    found: dict[int, list[Happening]] = {}

    def add(day: int, what: Callable[..., None], *about: Any) -> None:
        found.setdefault(min(max(day, 1), days.count - 2), []).append((what, about))

    often = {incident: (4, 7), backfill: (3, 5), campaign: (2, 4), busy: (2, 3), delivery: (2, 4)}
    for what, (low, high) in {**often, favour: (10, 16), amend: (2, 4)}.items():
        for _ in range(r.randint(low, high)):
            add(r.randrange(days.count), what)
    for day in range(r.randint(1, 9), days.count, r.choice((14, 10, 21))):
        add(day, release)
    for j in world.projects:
        if 0 < j.start < days.count:
            add(j.start, begin, j)
        if 1 < j.deadline < days.count:
            add(j.deadline - 1, last_night, j)
        if j.recorded and r.random() < 0.8:
            day = r.randrange(days.count)
            for name in j.members:
                add(day + r.randint(0, 3), renew, j, world.people[name])
    for p in world.people.values():
        if p.joined > 0:
            add(p.joined, welcome, p)
    return found


def _ready(world: World, role: str, day: int) -> list[Principal]:
    return [p for p in world.of_role(role, day) if day not in p.away]


def rota(world: World) -> list[list[Principal]]:
    """Those who take turns on call, a week each."""
    return [world.of_role(role, 0)[:3] for role in ("ml-engineer", "data-steward")]


def on_call(world: World, day: int) -> list[Principal]:
    """Who is on call, besides the operators."""
    turns = [names[(day // 7) % len(names)] for names in rota(world)]
    return [p for p in turns if p.there(day)]


def incident(world: World, day: int) -> None:
    """Something breaks: those on call and a few others are up, machines try again."""
    r, days = world.r, world.days
    hour = r.choice((r.uniform(0, 5), r.uniform(9, 17), r.uniform(19, 24)))
    crew = _ready(world, "it-operator", day)
    for p in r.sample(crew, min(2, len(crew))) + on_call(world, day)[: r.randint(0, 2)]:
        t = days.at(day, hour + r.uniform(0.1, 0.6), p.zone)
        names = ["watch", "restart", "watch", "backup"]
        if p not in crew:
            names = ["curate" if "curate" in p.habits else "evaluate"]
        for name in names:
            t = work(world, p, name, t, day) + r.uniform(60, 400)
    jobs = {
        "loader": ("table.load", "loading"),
        "checker": ("quality.check", "data-quality"),
        "masker": ("text.mask", "deidentification"),
    }
    p = r.choice([q for q in world.people.values() if q.role in jobs])
    t, (action, purpose) = days.at(day, hour, p.zone), jobs[p.role]
    obj = f"{p.site if p.role == 'loader' else r.choice(world.words.sites)}.letters"
    voice = Voice(world, p, purpose)
    for k in range(r.randint(6, 18)):
        t += min(900, 30 * 2 ** min(k, 5)) * r.uniform(0.8, 1.2)
        voice.refused(t, action, obj)
    voice.say(t + 300, action, obj, n=2000)


def backfill(world: World, day: int) -> None:
    """A load runs again over old weeks, in the day or the night."""
    p = world.r.choice(world.of_role("loader"))
    boss = world.people.get(p.owner)
    hour = world.r.uniform(1, 20)
    if boss and boss.kind == "human" and boss.there(day):
        hour = world.r.uniform(9, 15)
        t = world.days.at(day, hour - 0.1, p.zone)
        world.emit(t, boss, "job.rerun", (f"service/{p.name}",), OPS)
    load(world, p, day, back=world.r.randint(10, 28), hour=hour)


def release(world: World, day: int) -> None:
    """Models go out: engineers fetch and check them, operators put them up."""
    r, days = world.r, world.days
    for role, names in (
        ("ml-engineer", ("pull", "evaluate", "adapter")),
        ("it-operator", ("deploy", "watch", "deploy")),
    ):
        staff = [p for p in _ready(world, role, day) if p.pattern != "irregular"]
        for p in r.sample(staff, min(3, len(staff))):
            t = days.at(day, r.uniform(10, 15), p.zone)
            if p.pattern == "shift" and r.random() < 0.6:
                continue
            for name in names:
                t = work(world, p, name, t, day) + r.uniform(60, 900)


def campaign(world: World, day: int) -> None:
    """A team labels or checks much at once for two or three days."""
    r, days = world.r, world.days
    jobs = {"imaging-analyst": "segmenting", "data-steward": "curate", "clinician": "chart_review"}
    role, name = r.choice(list(jobs.items()))
    staff = [p for p in _ready(world, role, day) if name in p.habits]
    for p in r.sample(staff, min(4, len(staff))):
        for d in range(day, min(day + r.randint(2, 3), days.count)):
            if p.there(d) and days.weekday(d) < 5 and d not in days.holidays:
                for _ in range(r.randint(3, 7)):
                    work(world, p, name, days.at(d, r.uniform(9.5, 16.5), p.zone), d)


def busy(world: World, day: int) -> None:
    """An epidemic, a course or a new version: assistants are asked far more for a day."""
    r = world.r
    p = r.choice([q for q in world.people.values() if q.kind == "agent"])
    old = p.tasks
    p.tasks *= r.uniform(2, 3.2)
    (assistant if p.role == "clinic-assistant" else batches)(world, p, day)
    p.tasks = old * r.uniform(1.0, 1.2)


def delivery(world: World, day: int) -> None:
    """A partner gets the model or data that its study has agreed on."""
    r, days = world.r, world.days
    partners = [p for p in _ready(world, "outside-partner", day) if p.projects]
    if not partners or days.weekday(day) > 4:
        return
    p = r.choice(partners)
    j = p.projects[0]
    givers = [q for n in j.members if (q := world.people[n]).there(day)]
    for q in [q for q in givers if q.role in {"data-steward", "study-coordinator"}][:1]:
        t = days.at(day, r.uniform(9, 12), q.zone)
        n, out = r.randint(2000, 6000), (f"out/{j.code}",)
        world.emit(t, q, "share.send", out, j.purpose, rows=n, size=n * 180, grant=j.grant(q.name))
    t = days.at(day, r.uniform(9, 16), p.zone)
    if j.kind == "img":
        one = (stamp(world, f"model/{world.models['img'][0]}", day),)
        size, grant = int(9e8 * r.uniform(0.8, 1.2)), j.grant(p.name)
        world.emit(t, p, "model.download", one, j.purpose, rows=1, size=size, grant=grant)
    else:
        work(world, p, "partner_fetch", t, day, j)


def favour(world: World, day: int) -> None:
    """Somebody helps a colleague: a piece of work of the same team that is new to them."""
    r, days = world.r, world.days
    people = [p for p in world.people.values() if p.kind == "human" and p.there(day)]
    staff = [p for p in people if p.pattern == "office"]
    p = r.choice(staff)
    mates = [q for q in staff if q.team(day) == p.team(day) and q is not p and q.projects]
    known = ("analysis", "cohort", "enrol", "variant", "study_read", "deliver")
    names = [k for k in p.habits if k in known]
    if not mates or not names or days.weekday(day) not in p.weekdays or day in days.holidays:
        return
    j = r.choice(mates).projects[0]
    if j.start <= day < j.end:
        approve(world, day, p, j)
        work(world, p, names[0], days.at(day, r.uniform(10.5, 15), p.zone), day, j)


def approve(world: World, day: int, p: Principal, j: Project) -> None:
    """Asks for access and gets it, where the study records that."""
    r = world.r
    if not j.recorded:
        return
    t, grant, what = (
        world.days.at(day, r.uniform(9, 10), p.zone),
        j.grant(p.name),
        f"protocol/{j.code}",
    )
    world.emit(t, p, "access.request", (what,), j.purpose, grant=grant)
    bosses = [q for q in _ready(world, "privacy-officer", day) if q is not p]
    if bosses:
        t += r.uniform(600, 5000)
        world.emit(t, r.choice(bosses), "access.approve", (what,), j.purpose, grant=grant)


def renew(world: World, day: int, j: Project, p: Principal) -> None:
    """An approval has run out: perhaps a refusal or two, then it is asked for again."""
    r, days = world.r, world.days
    closed = days.weekday(day) > 4 or day in days.holidays
    if closed or not p.there(day) or not j.start <= day < j.end:
        return
    t, voice = days.at(day, r.uniform(8.3, 9), p.zone), Voice(world, p, j.purpose, j.grant(p.name))
    for k in range(r.choice((0, 0, 0, 1, 2, 3))):
        voice.refused(t + 20 * k, "table.query", r.choice(j.study()))
    approve(world, day, p, j)


def begin(world: World, day: int, j: Project) -> None:
    """A study starts: approvals, then the first cohort."""
    for name in j.members:
        p = world.people[name]
        if p.there(day) and world.days.weekday(day) < 5:
            approve(world, day, p, j)
            if "cohort" in p.habits:
                t = world.days.at(day, world.r.uniform(11, 15), p.zone)
                work(world, p, "cohort", t, day, j)


def welcome(world: World, day: int, p: Principal) -> None:
    """A new person is let into their studies."""
    for j in p.projects:
        approve(world, day, p, j)


def amend(world: World, day: int) -> None:
    """A protocol is widened: more tables for a study, used from then on."""
    j = world.r.choice([x for x in world.projects if x.start < day < x.end])
    site = j.data["ehr"][0].split(".", maxsplit=1)[0]
    have = {x.split(".")[1] for x in j.data["ehr"]}
    new = [f"{site}.{t}" for t in ("procedures", "vitals", "problems", "labs") if t not in have]
    j.data["ehr"] += new
    lead = world.people[j.lead]
    if lead.there(day):
        t, what = world.days.at(day, 11, lead.zone), (f"protocol/{j.code}",)
        world.emit(t, lead, "protocol.amend", what, j.purpose, grant=j.grant(lead.name))
    for name in j.members:
        known = world.people[name].order.get(f"ehr:{j.code}")
        if known is not None:
            known[1:1] = [x for x in new if x not in known]


def last_night(world: World, day: int, j: Project) -> None:
    """The eve of a deadline: those of the study who work late now and then stay on."""
    r, days = world.r, world.days
    late = ("analysis", "aggregate_out", "study_read", "train", "variant")
    for name in j.members:
        p = world.people[name]
        if p.there(day) and p.evening > 0 and p.pattern != "partner" and r.random() < 0.6:
            pool = [k for k in p.habits if k in late]
            for _ in range(r.randint(1, 4) if pool else 0):
                work(world, p, r.choice(pool), days.at(day, r.uniform(19, 23.3), p.zone), day, j)
