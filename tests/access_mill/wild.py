"""Attacks that are over soon: agents that run away, work at dead of night, strange segments."""

from tests.access_mill.field import Field
from tests.access_mill.journal import Line
from tests.access_mill.names import TEAMS
from tests.access_mill.place import DAY, HOUR
from tests.access_mill.world import Principal


def _agent(field: Field, day: int) -> Principal | None:
    """An agent that was busy enough for its pace and its reach to be known."""
    history = field.history
    return field.someone(
        field.world.agents,
        day,
        lambda one: history.events(one) > 150 and len(history.strange(one)) > 10,
    )


def storm(field: Field, day: int) -> list[Line]:
    """Runaway by rate: a dozen calls within three seconds, until a quota stops it.

    Stands out: between two calls it thinks for seconds, with one call beside another at times;
    never were there so many in so short a time. Tables and verbs are its own.
    """
    rng, who = field.rng, _agent(field, day)
    if who is None:
        return []
    note, when = field.start(), field.moment(who, day)
    segment = field.pick(who, when)
    table = field.world.favourite(who, segment)
    for _ in range(12):
        field.read(note, when, who, segment, table, note.rows(who, table), action="query.run")
        when += rng.uniform(0.05, 0.35)
    return note.lines


def sprawl(field: Field, day: int) -> list[Line]:
    """Runaway by breadth: each call to another segment, most of them never used before.

    Stands out: an errand touched one to three segments of its own; now ten and more in a minute,
    a part of them denied.
    """
    rng, who = field.rng, _agent(field, day)
    if who is None:
        return []
    note, when = field.start(), field.moment(who, day)
    names = rng.sample(field.history.strange(who), 9)
    names += rng.sample(list(who.taste), min(2, len(who.taste)))
    rng.shuffle(names)
    for name in names:
        table = rng.choice(field.world.segments[name].tables)
        outcome = "denied" if name not in who.taste and rng.random() < 0.4 else "ok"
        field.read(note, when, who, name, table, note.rows(who, table), outcome=outcome)
        when += rng.uniform(1.0, 6.0)
    return note.lines


def hammer(field: Field, day: int) -> list[Line]:
    """Runaway by stubbornness: denied, and tried again at once under one purpose after another.

    Stands out: it was denied once or twice in a hundred calls and let it be; now ten denials of
    one table within half a minute, with purposes that its team does not have.
    """
    rng, who = field.rng, _agent(field, day)
    if who is None:
        return []
    note, when = field.start(), field.moment(who, day)
    name = field.target(field.history.strange(who))
    table = rng.choice(field.world.segments[name].tables)
    others = [purpose for plan in TEAMS for purpose in plan.purposes]
    tries = rng.randint(9, 11)
    for number in range(tries + 1):
        won = number == tries and rng.random() < 0.6
        field.read(note, when, who, name, table, note.rows(who, table), action="query.run",
                   outcome="ok" if won else "denied", purpose=rng.choice(others),
                   grant=field.cover(who))  # fmt: skip
        when += rng.uniform(0.4, 3.5)
    return note.lines


def prying(field: Field, day: int) -> list[Line]:
    """Runaway, cunning: after a denial it tries verbs that it never used, one after another.

    Stands out: three or four verbs served it for weeks; now exports, grants and models in two
    minutes at its ordinary pace, half of them denied.
    """
    rng, who = field.rng, _agent(field, day)
    if who is None:
        return []
    note, when = field.start(), field.moment(who, day)
    name = field.pick(who, when)
    table = field.world.favourite(who, name)
    verbs = ["grant.request", "result.export", "table.write", "vector.export", "policy.read",
             "grant.review", "model.download", "vector.fetch", "checkpoint.download"]  # fmt: skip
    rng.shuffle(verbs)
    segment = field.world.segments[name]
    model = field.world.models[rng.choice(list(field.world.models))]
    index = segment.index.name if segment.index else f"{table.name}/embeddings"
    special = {"vector.export": index, "vector.fetch": index, "checkpoint.download": model.part(rng),
               "model.download": model.weights(model.at(day))}  # fmt: skip
    field.read(note, when, who, name, table, 0, action="query.run", outcome="denied")
    for verb in verbs:
        if len(note.lines) >= 12:
            break
        when += max(0.8, rng.gauss(who.pace, 1.5))
        outcome = "denied" if rng.random() < 0.5 else "ok"
        rows = 0 if verb.split(".")[0] in {"grant", "policy"} else rng.randint(1, 3000)
        object_ = special.get(verb) or note.title(table, when)
        note.emit(when, who, verb, [object_], name, rows, size=rows * 400, outcome=outcome)
        if outcome == "denied" and rng.random() < 0.25 and len(note.lines) < 11:
            when += rng.uniform(0.8, 3.0)
            note.emit(when, who, verb, [object_], name, outcome="denied")
    return note.lines


def _asleep(field: Field, who: Principal) -> bool:
    """Whether somebody has an ordinary working day and was never seen in the night."""
    hours = field.history.hours[who.name]
    night = sum(hours[hour] for hour in (21, 22, 23, 0, 1, 2, 3, 4, 5, 6))
    return night == 0 and who.evenings < 0.1 and field.history.events(who) > 50


def _by_night(field: Field, who: Principal, when: float, count: int) -> list[Line]:
    """A session at a wrong hour, on own tables, a little more than a usual look."""
    rng, note = field.rng, field.start()
    segment = field.pick(who, when)
    for _ in range(count):
        table = field.world.favourite(who, segment)
        rows = int(field.history.usual(who, 0.7) * rng.uniform(0.5, 4.0)) + 20
        field.read(note, when, who, segment, table, rows)
        when += rng.uniform(15, 240)
    return note.lines


def dead_of_night(field: Field, day: int) -> list[Line]:
    """Off hours, plain: one who works by day, never seen between nine and seven, at work at three.

    Stands out: not one line at night in six weeks; the person is of no team with a pager.
    """
    rng, calendar = field.rng, field.calendar
    who = field.someone(
        field.world.people,
        day,
        lambda one: _asleep(field, one) and "site reliability" not in one.plan.roles,
        present=False,
    )
    if who is None or not who.here(day):
        return []
    when = calendar.at(day, rng.uniform(1.0, 3.8), who.region)
    if not calendar.learn * DAY + HOUR < when < (calendar.days - 0.1) * DAY:
        return []
    return _by_night(field, who, when, rng.randint(4, 10))


def weekend_night(field: Field, day: int) -> list[Line]:
    """Off hours: one who never worked on a weekend does, and late in the evening at that.

    Stands out: no line on any weekend, no evening work, no crunch; then a session after ten on a
    Saturday or a Sunday.
    """
    rng, calendar, history = field.rng, field.calendar, field.history
    if not calendar.weekend(day):
        return []
    who = field.someone(
        field.world.people,
        day,
        lambda one: _asleep(field, one) and history.weekend[one.name] == 0,
        present=False,
    )
    if who is None:
        return []
    when = calendar.at(day, rng.uniform(22.2, 23.2), who.region)
    if not calendar.learn * DAY + HOUR < when < (calendar.days - 0.1) * DAY:
        return []
    return _by_night(field, who, when, rng.randint(5, 11))


def by_hand(field: Field, day: int) -> list[Line]:
    """Off hours, cunning: the account of a job with a schedule is used by hand at another time.

    Stands out: it ran within the same hour each day for weeks; now six hours away from it, with
    pauses as a person makes them, and not with the steps of the job.
    """
    rng, calendar, history = field.rng, field.calendar, field.history

    def scheduled(one: Principal) -> bool:
        return one.rate <= 1.0 and len([h for h, n in history.hours[one.name].items() if n]) <= 3

    who = field.someone(field.world.jobs, day, scheduled, present=False)
    if who is None:
        return []
    usual = max(history.hours[who.name], key=lambda hour: history.hours[who.name][hour])
    when = calendar.at(day, (usual + rng.uniform(7, 16)) % 24, who.region)
    if not calendar.learn * DAY + HOUR < when < (calendar.days - 0.1) * DAY:
        return []
    note, segment = field.start(), field.pick(who, when)
    for _ in range(rng.randint(3, 9)):
        table = field.world.favourite(who, segment)
        field.read(note, when, who, segment, table, note.rows(who, table))
        when += rng.uniform(15, 200)
    return note.lines


def _curious(field: Field, who: Principal) -> bool:
    """Whether somebody is a regular user of data for whom some segments are strange."""
    return field.history.events(who) > 50 and bool(field.history.strange(who))


def elsewhere(field: Field, day: int) -> list[Line]:
    """First time, plain: some reads in a segment of a domain that is not the person's.

    Stands out: nobody of the team ever touched that segment; no request for a grant came before.
    """
    rng, history = field.rng, field.history
    who = field.someone(field.world.people, day, lambda one: _curious(field, one))
    if who is None:
        return []
    note, when = field.start(), field.moment(who, day)
    name, grant = field.target(history.strange(who)), field.cover(who)
    tables = rng.sample(field.world.segments[name].tables, 3)
    for _ in range(rng.randint(2, 8)):
        rows = int(history.usual(who, 0.6) * rng.uniform(0.3, 3.0)) + 10
        field.read(note, when, who, name, rng.choice(tables), rows, grant=grant)
        when += rng.uniform(15, 200)
    return note.lines


def second_try(field: Field, day: int) -> list[Line]:
    """First time, cunning: denied in a strange segment, let in under another team's purpose.

    Stands out: the segment is foreign to the team, and the purpose that opened it was never
    given by the person before; no grant was asked for in between.
    """
    rng, history = field.rng, field.history
    who = field.someone(field.world.people, day, lambda one: _curious(field, one))
    if who is None:
        return []
    note, when = field.start(), field.moment(who, day)
    name = field.target(history.strange(who))
    domain, segment = field.world.segments[name].domain, field.world.segments[name]
    owners = [plan for plan in TEAMS if plan.domain == domain] or list(TEAMS)
    table, purpose = rng.choice(segment.tables), rng.choice(owners[0].purposes)
    for _ in range(rng.randint(1, 3)):
        field.read(note, when, who, name, table, 0, action="query.run", outcome="denied")
        when += rng.uniform(10, 60)
    for _ in range(rng.randint(2, 6)):
        rows = int(history.usual(who, 0.6) * rng.uniform(0.3, 3.0)) + 10
        field.read(note, when, who, name, table, rows, purpose=purpose, grant=field.cover(who))
        when += rng.uniform(15, 120)
    return note.lines


def agent_astray(field: Field, day: int) -> list[Line]:
    """First time: an agent reads a segment that neither it nor its team has to do with.

    Stands out: its two to five segments were the same for weeks; pace and verbs are as ever.
    """
    rng, who = field.rng, _agent(field, day)
    if who is None:
        return []
    note, when = field.start(), field.moment(who, day)
    name = field.target(field.history.strange(who))
    tables = rng.sample(field.world.segments[name].tables, 3)
    for _ in range(rng.randint(3, 10)):
        table = rng.choice(tables)
        field.read(note, when, who, name, table, note.rows(who, table), grant=field.cover(who))
        when += max(0.8, rng.gauss(who.pace, 1.5))
    return note.lines


def guarded_table(field: Field, day: int) -> list[Line]:
    """First time, cunning: within an own segment, the table that says who the people are.

    Stands out: one job alone ever touched that table, each day at its hours; now a person.
    """
    rng, world = field.rng, field.world

    def near(one: Principal) -> list[str]:
        return [name for name in one.taste if world.segments[name].vault]

    pool = [one for one in world.people if one.role != "data steward"]
    who = field.someone(pool, day, lambda one: field.history.events(one) > 50 and bool(near(one)))
    if who is None:
        return []
    note, when, name = field.start(), field.moment(who, day), rng.choice(near(who))
    vault = world.segments[name].vault
    if vault is None:
        return []
    for _ in range(rng.randint(2, 6)):
        rows = int(field.history.usual(who, 0.6) * rng.uniform(0.5, 4.0)) + 10
        field.read(note, when, who, name, vault, rows)
        when += rng.uniform(20, 200)
    return note.lines
