"""Odd uses at odd hours, and those that take days: slow ones and creeping ones."""

from tests.access_loom.clock import some
from tests.access_loom.firm import Machine, Person, Who
from tests.access_loom.stage import NoRoomError, Stage

THINKERS = ("data_scientist", "product_analyst", "research_scientist")


def _night(s: Stage, nights: int, a: float, b: float, n: tuple[int, int], days: set[int]) -> None:
    """Ordinary work, at hours at which it is never done, of one who was never seen at night."""
    keep = [p for p in s.firm.people if s.known(p) and p.manner in ("steady", "part")]
    spots = range(s.clock.learn + 1, s.clock.days - nights - 1)
    for who in s.order([p for p in keep if not p.oncall and not s.nights[p.name]]):
        assert isinstance(who, Person)
        d = s.r.choice([x for x in spots if s.clock.weekday(x) in days])
        away = any(x in who.away for x in range(d - 1, d + nights + 1))
        off = s.offset(who, d)
        begin, end = s.clock.at(d, a, off), s.clock.at(d + nights - 1, b + 2, off)
        inside = s.clock.learned < begin and end < s.clock.end
        if away or who.last <= d + 3 or not inside or not s.free(who, begin, end):
            continue
        mark = s.book(who, begin, end)
        for k in range(nights):
            t = s.clock.at(d + k, s.r.uniform(a, b), off)
            for _ in range(s.r.randint(*n)):
                s.again(mark, who, t)
                t += min(int(s.r.expovariate(1 / 240)) + 5, 900)
        return
    raise NoRoomError


def small_hours(s: Stage) -> None:
    """One night, between one and four."""
    _night(s, 1, 1.0, 3.5, (6, 20), set(range(7)))


def weekend_night(s: Stage) -> None:
    """The night of a Saturday or a Sunday."""
    _night(s, 1, 23.0, 26.0, (6, 16), {5, 6})


def three_nights(s: Stage) -> None:
    """A little, three nights in a row."""
    _night(s, 3, 0.5, 4.0, (3, 7), {0, 1, 2, 3, 4})


def agent_alone(s: Stage) -> None:
    """An agent that works beside somebody is at work while they sleep."""
    cast = [m for m in s.agents() if isinstance(m, Machine) and m.manner == "beside"]
    for who in s.order([m for m in cast if s.nights[m.name] <= 2]):
        d = s.r.randint(s.clock.learn + 2, s.clock.days - 3)
        t = s.clock.at(d, s.r.uniform(25, 27.5), s.offset(who, d))
        seen = [x for k in range(d - 1, d + 3) for x in s.days[who.name].get(k, [])]
        if any(abs(x - t) < 9_000 for x in seen) or not s.free(who, t, t + 7_200):
            continue
        mark = s.book(who, t, t + 7_200)
        for _ in range(s.r.randint(12, 40)):
            s.again(mark, who, t)
            t += 3 + int(s.r.expovariate(1 / 40))
        return
    raise NoRoomError


def table_in_slices(s: Stage) -> None:
    """A table goes away in slices, a few more each day than they ever read."""
    cast = [w for w in s.people(*THINKERS, "annotator", "data_engineer") if s.own(w, "clean")]
    who, days, mark = s.span(cast, 7, 9)
    thing = s.r.choice(s.own(who, "clean")[1:5] or s.own(who, "clean"))
    share = thing.rows / (len(days) * 5)
    for d in days:
        for t in s.times(who, d, s.r.randint(3, 6)):
            rows = int(min(share * s.r.uniform(0.6, 1.2), s.r.uniform(2_500, 8_000)))
            s.put(mark, who, t, s.r.choice(["table.sample", "table.query"]), [thing], rows)


def exports_each_day(s: Stage) -> None:
    """What is exported once in a while is now exported each day."""
    kinds = ("feature.export", "table.export", "embedding.export")
    cast = s.people("product_analyst", "data_scientist", "ml_engineer")
    who, days, mark = s.span(cast, 7, 9, lambda w: 1 < sum(s.acts[w.name][k] for k in kinds) < 16)
    rows = [x for x in s.past[who.name] if x[3] in kinds]
    for d in days:
        for t in s.times(who, d, s.r.choice([1, 2, 2, 3])):
            row = s.r.choice(rows)
            things = [s.firm.things[x] for x in row[4]]
            n = int(row[7] * s.r.uniform(1.0, 1.8)) + 20
            s.put(mark, who, t, row[3], things, n, purpose=row[6], grant=row[9])


def vectors_by_page(s: Stage) -> None:
    """An index is read page by page, some pages a day."""
    cast = [w for w in s.people(*THINKERS, "ml_engineer", "annotator") if s.own(w, "index")]
    who, days, mark = s.span(cast, 7, 9)
    thing = s.own(who, "index")[0]
    for d in days:
        for t in s.times(who, d, s.r.randint(3, 7)):
            s.put(
                mark, who, t, "embedding.read", [thing], int(thing.rows * s.r.uniform(0.008, 0.03))
            )


def agent_drip(s: Stage) -> None:
    """An agent reads one thing some more each day, at the end of its work."""
    cast = [w for w in s.agents() if s.own(w, "feature", "clean", "index", "ticket")]
    who, days, mark = s.span(cast, 7, 9)
    thing = s.r.choice(s.own(who, "feature", "clean", "index", "ticket")[:4])
    action = {"feature": "feature.read", "clean": "table.query", "index": "embedding.search"}.get(
        thing.sort, "ticket.read"
    )
    for d in days:
        t = s.days[who.name][d][-1]
        for _ in range(s.r.randint(6, 14)):
            t += s.r.randint(5, 90)
            n, _ = s.desk.measure(who, action, [thing], None)
            s.put(mark, who, t, action, [thing], min(n * 3, thing.rows))


def department_by_department(s: Stage) -> None:
    """The same stream, one more department each day, under the old grant."""
    cast = [w for w in s.people(*THINKERS, "data_engineer", "people_analyst") if s.own(w, "clean")]

    def reach(w: Who) -> list[str]:
        areas = {x.area for x in s.own(w, "clean")[:4]}
        return [x.name for x in s.strange(w, [t for t in s.firm.of("clean") if t.area in areas])]

    who, days, mark = s.span(cast, 5, 8, lambda w: len(reach(w)) >= 3)
    names = reach(who)
    s.r.shuffle(names)
    for k, d in enumerate(days):
        seen = names[: k + 1]
        for t in s.times(who, d, s.r.randint(2, 4)):
            thing = s.firm.things[s.r.choice(seen[-3:])]
            s.put(mark, who, t, s.r.choice(["table.query", "table.sample"]), [thing])


def purpose_stretch(s: Stage) -> None:
    """The data is theirs, and what they now use it for is not."""
    cast = s.people(
        "people_analyst", "team_lead", "product_manager", "data_scientist", "product_analyst"
    )
    who, days, mark = s.span(
        [w for w in cast if len(s.own(w, "feature", "clean", "people")) > 2], 5, 9
    )
    reasons = s.r.sample(
        ["performance-review", "promotion-round", "attrition-scoring", "hiring", "team-ranking"], 3
    )
    rows = [x for x in s.past[who.name] if x[4][0].startswith(("features/", "clean/", "people/"))]
    for k, d in enumerate(days):
        for t in s.times(who, d, s.r.randint(1, 3) + k // 3):
            row = s.r.choice(rows)
            why = s.r.choice(reasons[: 1 + k // 2])
            things = [s.firm.things[x] for x in row[4]]
            s.put(mark, who, t, row[3], things, row[7], purpose=why, grant=row[9])


def borrowed_grants(s: Stage) -> None:
    """Grants of other projects are shown, one after the other, for more and more of their data."""
    cast = s.people(*THINKERS, "ml_engineer", "data_engineer", "platform_engineer")
    mine = {w.name: {x.project.line for x in w.strands} for w in cast}
    lines = [p for p in s.firm.projects if p.line and p.things.get("feature")]
    who, days, mark = s.span(
        cast, 5, 8, lambda w: sum(p.line not in mine[w.name] for p in lines) >= 2
    )
    others = [p for p in lines if p.line not in mine[who.name]]
    s.r.shuffle(others)
    for k, d in enumerate(days):
        for t in s.times(who, d, s.r.randint(2, 4)):
            p = s.r.choice(others[: 1 + k // 2])
            thing = s.r.choice(p.things["feature"] + p.things.get("index", []))
            action = "embedding.read" if thing.sort == "index" else "feature.read"
            s.put(mark, who, t, action, [thing], grant=s.desk.standing(p, thing))


def agent_widens(s: Stage) -> None:
    """An agent reaches into one more segment each day."""
    who, days, mark = s.span(
        s.agents(), 5, 8, lambda w: len(s.strange(w, s.firm.of("clean", "feature", "index"))) > 5
    )
    things = some(s.r, s.strange(who, s.firm.of("clean", "feature", "index", "ticket")), 6, 12)
    for k, d in enumerate(days):
        for t in s.times(who, d, s.r.randint(3, 8)):
            thing = s.r.choice(things[: 1 + int(k * 1.5)][-4:])
            action = {
                "clean": "table.query",
                "feature": "feature.read",
                "index": "embedding.search",
            }.get(thing.sort, "ticket.read")
            outcome = "denied" if s.r.random() < 0.12 else "ok"
            s.put(mark, who, t, action, [thing], outcome=outcome)
