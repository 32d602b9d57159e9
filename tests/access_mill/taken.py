"""Attacks by which something is carried away or brought together: exports and joins."""

from tests.access_mill.field import Field
from tests.access_mill.journal import Line
from tests.access_mill.world import Principal, Segment, Table


def _indexes(field: Field, who: Principal) -> list[tuple[Segment, Table]]:
    """The indexes of the segments that somebody uses."""
    segments = [field.world.segments[name] for name in who.taste]
    return [(one, one.index) for one in segments if one.index]


def whole_index(field: Field, day: int) -> list[Line]:
    """Export, plain: a person who never exported vectors exports most of an index of the team.

    Stands out: the verb is new for the person, and it is hundreds of thousands of vectors where
    colleagues who may do so take a sample of some hundreds.
    """
    history, rng = field.history, field.rng
    who = field.someone(
        field.world.people,
        day,
        lambda one: history.actions[one.name]["vector.export"] == 0 and bool(_indexes(field, one)),
    )
    if who is None:
        return []
    note, when = field.start(), field.moment(who, day)
    segment, index = rng.choice(_indexes(field, who))
    for _ in range(rng.randint(1, 3)):
        rows = int(index.rows * rng.uniform(0.3, 1.0))
        note.emit(when, who, "vector.export", [index.name], segment.name, rows, size=rows * 3072)
        when += rng.uniform(40, 600)
    return note.lines


def page_by_page(field: Field, day: int) -> list[Line]:
    """Export, cunning: one who searches an index fetches it page after page instead.

    Stands out: fetches were some tens of vectors, seldom; now thousands each, a dozen in a row.
    """
    history, rng = field.history, field.rng
    who = field.someone(
        field.world.people,
        day,
        lambda one: history.actions[one.name]["vector.search"] >= 8 and bool(_indexes(field, one)),
    )
    if who is None:
        return []
    note, when = field.start(), field.moment(who, day)
    segment, index = rng.choice(_indexes(field, who))
    page = rng.choice((2000, 2500, 5000))
    for _ in range(rng.randint(8, 12)):
        note.emit(when, who, "vector.fetch", [index.name], segment.name, page, size=page * 3072)
        when += rng.uniform(8, 70)
    return note.lines


def borrowed_sync(field: Field, day: int) -> list[Line]:
    """Export, cunning: a job that refreshes its own index exports the index of another domain.

    Stands out: for weeks the job touched one or two indexes of its team, never this one.
    """
    history, rng = field.history, field.rng
    who = field.someone(
        field.world.jobs, day, lambda one: history.actions[one.name]["vector.upsert"] > 0
    )
    if who is None:
        return []
    strange = [field.world.segments[name] for name in history.strange(who)]
    indexed = [(one, one.index) for one in strange if one.index]
    if not indexed:
        return []
    segment, index = rng.choice(indexed)
    note, when = field.start(), field.moment(who, day)
    for _ in range(rng.randint(1, 2)):
        rows = int(index.rows * rng.uniform(0.5, 1.0))
        note.emit(when, who, "vector.export", [index.name], segment.name, rows, size=rows * 3072,
                  grant=field.cover(who))  # fmt: skip
        when += rng.uniform(20, 300)
    return note.lines


def as_a_result(field: Field, day: int) -> list[Line]:
    """Export, cunning: an index leaves by the door for reports, as the result of a query.

    Stands out: results taken away were tables of some hundred rows; this one is an index, and
    tens of thousands of rows.
    """
    history, rng = field.history, field.rng
    who = field.someone(
        field.world.people,
        day,
        lambda one: history.events(one) > 60 and bool(_indexes(field, one)),
    )
    if who is None:
        return []
    note, when = field.start(), field.moment(who, day)
    segment, index = rng.choice(_indexes(field, who))
    for _ in range(rng.randint(1, 4)):
        rows = min(index.rows, rng.randint(20_000, 200_000))
        note.emit(when, who, "result.export", [index.name], segment.name, rows, size=rows * 3072)
        when += rng.uniform(30, 400)
    return note.lines


def _joins(one: Principal, field: Field) -> bool:
    """Whether somebody asks questions of data, and has a strange segment left to join with."""
    actions = field.history.actions[one.name]
    return actions["query.run"] + actions["query.join"] > 30 and bool(field.history.strange(one))


def strangers(field: Field, day: int) -> list[Line]:
    """Join, plain: own data is joined with a segment that the team has nothing to do with.

    Stands out: neither the person nor the team ever touched the other segment, nobody ever
    joined the two, and it brings more rows than nine tenths of the person's lines.
    """
    rng, history = field.rng, field.history
    who = field.someone(field.world.people, day, lambda one: _joins(one, field))
    if who is None:
        return []
    note, when = field.start(), field.moment(who, day)
    other = field.target(history.strange(who))
    segment = field.pick(who, when)
    far = rng.choice(field.world.segments[other].tables)
    near = field.world.favourite(who, segment)
    for _ in range(rng.randint(1, 4)):
        rows = int(history.usual(who, 0.9) * rng.uniform(1.0, 6.0)) + 200
        names = [note.title(near, when), note.title(far, when)]
        note.emit(when, who, "query.join", names, rng.choice((segment, other)), rows,
                  size=rows * 300, grant=field.cover(who))  # fmt: skip
        when += rng.uniform(20, 240)
    return note.lines


def re_identified(field: Field, day: int) -> list[Line]:
    """Join, cunning: pseudonymous data is joined with what says who people are.

    Stands out: a table of identities or of employees, which the team never uses, beside own
    data in one query; the line's segment is the person's own, only the objects tell.
    """
    rng, history = field.rng, field.history
    who = field.someone(
        field.world.people,
        day,
        lambda one: (
            one.plan.domain in {"telemetry", "support", "product", "speech", "ranking"}
            and _joins(one, field)
        ),
    )
    if who is None:
        return []
    strange = [field.world.segments[name] for name in history.strange(who)]
    far = [one.vault or rng.choice(one.tables) for one in strange if one.domain == "people"]
    if not far:
        return []
    note, when, key = field.start(), field.moment(who, day), rng.choice(far)
    segment = field.pick(who, when)
    for _ in range(rng.randint(2, 6)):
        near = field.world.favourite(who, segment)
        rows = int(history.usual(who, 0.8) * rng.uniform(0.8, 4.0)) + 50
        names = [note.title(near, when), note.title(key, when)]
        note.emit(when, who, "query.join", names, segment, rows, size=rows * 200)
        when += rng.uniform(20, 240)
    return note.lines


def three_way(field: Field, day: int) -> list[Line]:
    """Join, cunning: a plain query whose objects come from three domains.

    Stands out: the verb is not `join`, but two of the three tables are strange to person and
    team, and no line of the log ever brought such domains together.
    """
    rng, history = field.rng, field.history
    who = field.someone(
        field.world.people,
        day,
        lambda one: _joins(one, field) and len(history.strange(one)) > 8,
    )
    if who is None:
        return []
    note, when = field.start(), field.moment(who, day)
    segment, names = field.pick(who, when), history.strange(who)
    first = field.target(names)
    domain = field.world.segments[first].domain
    rest = [name for name in names if field.world.segments[name].domain != domain]
    far = [rng.choice(field.world.segments[one].tables) for one in (first, rng.choice(rest))]
    for _ in range(rng.randint(2, 5)):
        near = field.world.favourite(who, segment)
        rows = int(history.usual(who, 0.7) * rng.uniform(0.8, 4.0)) + 50
        objects = [note.title(table, when) for table in (near, *far)]
        note.emit(when, who, "query.run", objects, segment, rows, size=rows * 400)
        when += rng.uniform(20, 300)
    return note.lines


def job_with_more_inputs(field: Field, day: int) -> list[Line]:
    """Join, cunning: a job whose inputs were the same for weeks reads one table more.

    Stands out: its steps never changed, and the new input is of a domain the team never uses.
    """
    rng, history = field.rng, field.history
    who = field.someone(
        field.world.jobs,
        day,
        lambda one: history.actions[one.name]["query.run"] > 20 and bool(history.strange(one)),
    )
    if who is None:
        return []
    note, when = field.start(), field.moment(who, day, 30.0)
    far = rng.choice(field.world.segments[field.target(history.strange(who))].tables)
    cells = [cell for cell in who.cells if cell[0] == "query.run"] or who.cells
    for _ in range(rng.randint(1, 4)):
        _, segment, picked = rng.choice(cells)
        near = who.loved[segment][picked[0] % len(who.loved[segment])]
        names = [note.title(near, when), note.title(far, when)]
        rows = note.rows(who, near)
        note.emit(when, who, "query.run", names, segment, rows, size=rows * near.width)
        when += rng.uniform(4, 200)
    return note.lines
