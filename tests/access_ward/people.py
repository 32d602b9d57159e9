"""The days of people: when they are at work, and how habits drift."""

from .company import Principal, World
from .routine import RECIPES, work

SHIFTS = {"E": (6.0, 8.2), "L": (14.0, 8.2), "N": (22.0, 8.3)}
CYCLE = "EEELLL--NNN---EELLNN----LLEE"
DUTY = "DDDDD--DDNN-DDD--DDDD--DDDND-DDD---NN--DDD--DDDDD--DDDD-"


def windows(world: World, p: Principal, day: int) -> list[tuple[float, float, float]]:
    """Pieces of the local day: first hour, hours, share of a day's work."""
    r, days = world.r, world.days
    weekday = days.weekday(day)
    closed = days.closed(day, p.site, world.local_site)
    if p.pattern == "shift":
        code = CYCLE[(day + p.offset) % len(CYCLE)]
        if code == "-":
            return []
        first, length = SHIFTS[code]
        return [(first + r.gauss(0, 0.1), length, 0.7 if code == "N" else 1.0)]
    if p.pattern == "duty":
        code = DUTY[(day + p.offset) % len(DUTY)]
        quiet = weekday > 4 or closed
        if code == "N":
            return [(19.7 + r.gauss(0, 0.1), 12.0, 0.8)]
        if code == "-" or (quiet and r.random() < 0.65):
            return _evening(world, p, 0.5)
        return [(p.start + r.gauss(0, 0.2), 9.0, 0.6 if quiet else 1.0), *_evening(world, p, 1.0)]
    if p.pattern == "irregular":
        if r.random() < (0.45 if weekday > 4 or closed else 0.12):
            return []
        count = r.choice((1, 1, 2, 3))
        return [(r.triangular(7, 25, 15), r.uniform(1, 4), 1.0 / count) for _ in range(count)]
    off = weekday not in p.weekdays or closed or (day in days.bridge and r.random() < 0.5)
    if off:
        if r.random() < p.weekend:
            return [(r.uniform(9, 17), r.uniform(1, 3), 0.4)]
        return []
    early = -0.7 if weekday == 4 else 0.0
    return [(p.start + r.gauss(0, 0.35), p.hours + early, 1.0), *_evening(world, p, 1.0)]


def _evening(world: World, p: Principal, share: float) -> list[tuple[float, float, float]]:
    r = world.r
    if r.random() < p.evening * share:
        return [(r.uniform(19.5, 21.2), r.uniform(0.7, 2.0), -1.0)]
    return []


def drift(world: World, p: Principal) -> None:
    """A week on: habits, hours and favoured data move a little."""
    r = world.r
    for k in p.habits:
        p.habits[k] *= r.lognormvariate(0, 0.12)
    p.start += r.gauss(0, 0.08)
    p.tasks = min(13.0, max(2.0, p.tasks * r.lognormvariate(0, 0.08)))
    for order in p.order.values():
        if len(order) > 2 and r.random() < 0.4:
            a, b = r.randrange(len(order)), r.randrange(len(order))
            order[a], order[b] = order[b], order[a]


def study_share(p: Principal) -> list[str]:
    """What somebody does from home: what is for a study, or what they mostly do."""
    own = [k for k in p.habits if RECIPES[k][0] == "study"]
    return own or list(p.habits)


def person_day(world: World, p: Principal, day: int, push: float) -> None:
    """One person's day; `push` is how much busier than usual."""
    r, days = world.r, world.days
    names = list(p.habits)
    weights = list(p.habits.values())
    for first, hours, part in windows(world, p, day):
        if part < 0:
            count, pool, chances = r.randint(1, 2), study_share(p), None
        else:
            mean = p.tasks * part * push * world.pace * (0.75 if p.hours < 6.6 else 1.0)
            count = max(1, round(r.gauss(mean, mean**0.5 * 0.8)))
            pool, chances = names, weights
        if days.date(day).day <= 3 and p.role in {"study-coordinator", "roster-planner"}:
            count += 1
        for _ in range(count):
            x = r.random()
            if hours > 6 and 0.42 < x < 0.52 and r.random() < 0.8:
                x = r.random()
            t = days.at(day, first + hours * x * 0.95, p.zone)
            name = r.choices(pool, chances)[0] if chances else r.choice(pool)
            work(world, p, name, t, day)


def people_day(world: World, day: int) -> None:
    """Everybody's day."""
    r, days = world.r, world.days
    turn, wards = world.rotation
    for p in list(world.people.values()):
        if p.kind != "human":
            continue
        if day == turn and p.name in wards:
            p.ward = wards[p.name]
            for key in ("ward", "sp"):
                p.order.pop(key, None)
        if days.weekday(day) == 0:
            drift(world, p)
        if not p.there(day) or r.random() < 0.02:
            continue
        if p.joined == day > 0:
            work(world, p, "browse", days.at(day, 10.0, p.zone), day)
        near = any(0 <= j.deadline - day < 5 for j in p.projects if j.start <= day)
        person_day(world, p, day, r.uniform(1.2, 1.7) if near else r.uniform(0.85, 1.1))
