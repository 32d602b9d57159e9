"""Attacks of many days: a little more each day, or a little wider each day."""

from collections.abc import Callable

from tests.access_mill.field import Field
from tests.access_mill.journal import Line
from tests.access_mill.names import TEAMS
from tests.access_mill.place import DAY, HOUR
from tests.access_mill.world import Principal, Table, opaque


def _days(field: Field, who: Principal, day: int, least: int = 5) -> list[int]:
    """The working days of somebody in a span of seven to ten, if there are enough of them."""
    calendar, span = field.calendar, field.rng.randint(7, 10)
    if day + span + 1 > calendar.days:
        return []
    found = [
        near
        for near in range(day, day + span)
        if who.here(near) and calendar.works(who.region, near)
    ]
    return found if len(found) >= least else []


def _steady(
    field: Field, pool: list[Principal], day: int, fits: Callable[[Principal], bool]
) -> tuple[Principal | None, list[int]]:
    """Somebody who is at work on most days, so that each day can be held against the others."""
    calendar, history = field.calendar, field.history
    found: list[int] = []
    share = sum(calendar.works("eu", one) for one in range(calendar.learn)) * 0.55

    def steady(one: Principal) -> bool:
        active = sum(1 for near in history.times[one.name] if near < calendar.learn)
        found[:] = _days(field, one, day)
        return active >= share and bool(found) and fits(one)

    who = field.someone(pool, day, steady, days=11, present=False)
    return who, found


def _hour(field: Field, who: Principal, day: int) -> float:
    """A moment of somebody's working day, near an ordinary line where there is one."""
    calm = field.calendar.at(day, field.rng.uniform(10.0, 16.5), who.region)
    found = field.moment(who, day) or calm
    return max(found, field.calendar.learn * DAY + HOUR)


def _roomy(field: Field, who: Principal, day: int, rows: int) -> list[tuple[str, Table]]:
    """Somebody's own tables, used before a day, that hold at least so many rows."""
    since = field.history.since
    return [
        (name, table)
        for name, tables in who.loved.items()
        if since.get((who.name, name), day * DAY) < day * DAY
        for table in tables
        if table.rows >= rows
    ]


def larger_reads(field: Field, day: int) -> list[Line]:
    """Slow, plain: each day some reads of own tables, together far more than a usual day.

    Stands out: day after day adds two to four times what three of four days bring at most, so
    that a week holds half as much again as the ten fullest days on end, and more.
    """
    rng, history = field.rng, field.history
    who, days = _steady(
        field,
        field.world.people,
        day,
        lambda one: (
            history.usual_day(one, 0.75) > max(800, history.most(one) / 9)
            and bool(_roomy(field, one, day, history.usual_day(one, 0.75) * 2))
        ),
    )
    if who is None:
        return []
    note, most = field.start(), history.usual_day(who, 0.75) * 2
    segment, table = rng.choice(_roomy(field, who, day, most))
    for near in days:
        when, count = _hour(field, who, near), rng.randint(3, 7)
        rows = int(history.usual_day(who, 0.75) * rng.uniform(2.2, 4.0) / count)
        for _ in range(count):
            field.read(note, when, who, segment, table, int(rows * rng.uniform(0.7, 1.3)))
            when += rng.uniform(40, 900)
    return note.lines


def more_often(field: Field, day: int) -> list[Line]:
    """Slow: uses of the ordinary size, two to three times as many as on a busy day, for days.

    Stands out: no line is unusual, but the week has the lines of a month, on one or two tables.
    """
    rng, history = field.rng, field.history
    who, days = _steady(
        field, field.world.people, day, lambda one: 4 <= history.usual_count(one, 0.75) <= 30
    )
    if who is None:
        return []
    note, segment = field.start(), field.pick(who, day * DAY)
    tables = [field.world.favourite(who, segment) for _ in range(2)]
    for near in days:
        when = _hour(field, who, near)
        for _ in range(int(history.usual_count(who, 0.75) * rng.uniform(2.0, 3.0)) + 6):
            table = rng.choice(tables)
            field.read(note, when, who, segment, table, note.rows(who, table))
            when += rng.uniform(10, 150)
    return note.lines


def daily_export(field: Field, day: int) -> list[Line]:
    """Slow, cunning: a result is taken away each day, one to three of some thousand rows.

    Stands out: the person took a result away less than once a week, and of some hundred rows.
    """
    rng, history = field.rng, field.history
    who, days = _steady(
        field,
        field.world.people,
        day,
        lambda one: history.actions[one.name]["result.export"] <= 4,
    )
    if who is None:
        return []
    note, segment = field.start(), field.pick(who, day * DAY)
    table = field.big(who, segment, 8000)
    for near in days:
        when = _hour(field, who, near)
        for _ in range(rng.randint(1, 3)):
            rows = rng.randint(2000, 7000)
            field.read(note, when, who, segment, table, rows, action="result.export")
            when += rng.uniform(100, 4000)
    return note.lines


def agent_siphon(field: Field, day: int) -> list[Line]:
    """Slow, cunning: an agent's errands grow; some calls of each day bring a multiple of rows.

    Stands out: each day six to twelve calls bring three to six times what nineteen of twenty of
    its calls bring at most.
    """
    rng, history = field.rng, field.history
    who, days = _steady(
        field,
        field.world.agents,
        day,
        lambda one: (
            history.events(one) > 150
            and bool(_roomy(field, one, day, history.usual(one, 0.95) * 6))
        ),
    )
    if who is None:
        return []
    note, most = field.start(), history.usual(who, 0.95) * 6
    segment, table = rng.choice(_roomy(field, who, day, most))
    for near in days:
        when, rows = _hour(field, who, near), history.usual(who, 0.95)
        for _ in range(rng.randint(6, 12)):
            field.read(note, when, who, segment, table, int(rows * rng.uniform(3.0, 6.0)))
            when += max(0.8, rng.gauss(who.pace, 2.0))
    return note.lines


def _strange(field: Field, who: Principal, count: int) -> list[str]:
    """Some strange segments, those about people among the first."""
    names, chosen = field.history.strange(who), list[str]()
    while names and len(chosen) < count:
        name = field.target(names)
        names.remove(name)
        chosen.append(name)
    return chosen


def _wide(field: Field) -> Callable[[Principal], bool]:
    """Whether a whole number of segments is left that somebody never used."""
    return lambda one: len(field.history.strange(one)) >= 10 and len(one.taste) <= 10


def wider_segments(field: Field, day: int) -> list[Line]:
    """Scope, plain: each day one or two more segments that are not the team's, some reads each.

    Stands out: the set of segments was the same for weeks and doubles in one; earlier ones are
    visited again, and no grant was asked for.
    """
    rng = field.rng
    who, days = _steady(field, field.world.people, day, _wide(field))
    if who is None:
        return []
    note, names, reached = field.start(), _strange(field, who, 10), list[str]()
    steps = [1] * len(days)
    while sum(steps) < rng.randint(7, 10):
        steps[rng.randrange(len(steps))] = 2
    for near in days:
        when = _hour(field, who, near)
        for _ in range(steps.pop()):
            reached.append(names.pop())
        fresh = reached[-2:]
        for name in [*fresh, *rng.sample(reached, min(len(reached), 1))]:
            for _ in range(rng.randint(1, 3)):
                table = rng.choice(field.world.segments[name].tables[:4])
                field.read(note, when, who, name, table, note.rows(who, table))
                when += rng.uniform(20, 300)
    return note.lines


def new_purposes(field: Field, day: int) -> list[Line]:
    """Scope: each day another purpose, of other teams, for own data and for one segment more.

    Stands out: one to three purposes for weeks, then five or more within a week, none of them
    the team's.
    """
    rng = field.rng
    who, days = _steady(field, field.world.people, day, _wide(field))
    if who is None:
        return []
    own = {*who.purposes, *who.plan.purposes}
    others = sorted({one for plan in TEAMS for one in plan.purposes if one not in own})
    purposes = rng.sample(others, len(days))
    note, names = field.start(), _strange(field, who, 3)
    for number, near in enumerate(days):
        when = _hour(field, who, near)
        for step in range(rng.randint(3, 6)):
            segment = field.pick(who, day * DAY)
            table = field.world.favourite(who, segment)
            if step == 2 and number % 2:
                segment = names[number // 2 % len(names)]
                table = rng.choice(field.world.segments[segment].tables[:3])
            field.read(note, when, who, segment, table, note.rows(who, table),
                       purpose=purposes[number - (step == 1 and number > 0)])  # fmt: skip
            when += rng.uniform(20, 300)
    return note.lines


def grants_gathered(field: Field, day: int) -> list[Line]:
    """Scope, cunning: each day a grant is asked for and used, each for another strange segment.

    Stands out: each step has its paper, but others get one to three grants in six weeks, this
    person five or more in one, for domains that have nothing in common.
    """
    rng = field.rng
    who, days = _steady(field, field.world.people, day, _wide(field))
    if who is None:
        return []
    note = field.start()
    for near, name in zip(days, _strange(field, who, len(days)), strict=False):
        when, grant = _hour(field, who, near), opaque(rng, "g-", 10)
        note.emit(when, who, "grant.request", [name], name, grant=None)
        when += rng.uniform(600, 5000)
        for _ in range(rng.randint(2, 4)):
            table = rng.choice(field.world.segments[name].tables[:4])
            field.read(note, when, who, name, table, note.rows(who, table), grant=grant)
            when += rng.uniform(20, 300)
    return note.lines


def agent_wider(field: Field, day: int) -> list[Line]:
    """Scope: an agent's reach grows by a segment or two each day, at its ordinary pace.

    Stands out: a handful of segments for weeks, at the end of the week eight or more others.
    """
    rng, history = field.rng, field.history
    who, days = _steady(
        field,
        field.world.agents,
        day,
        lambda one: history.events(one) > 150 and len(history.strange(one)) >= 10,
    )
    if who is None:
        return []
    note, names = field.start(), _strange(field, who, 10)
    for number, near in enumerate(days):
        when = _hour(field, who, near)
        for name in names[max(0, int(number * 1.4) - 2) : int(number * 1.4) + 1]:
            for _ in range(rng.randint(2, 4)):
                table = rng.choice(field.world.segments[name].tables[:4])
                field.read(note, when, who, name, table, note.rows(who, table))
                when += max(0.8, rng.gauss(who.pace, 1.5))
    return note.lines
