"""Attacks on artifacts: models and checkpoints that are taken by the wrong one or by the dozen."""

from tests.access_mill.field import Field
from tests.access_mill.journal import Line


def outsider(field: Field, day: int) -> list[Line]:
    """Artifact, plain: one who never took a model takes the weights of another domain's.

    Stands out: the verb is new for the person and nobody of the team ever took that model.
    """
    rng, history = field.rng, field.history
    who = field.someone(
        field.world.people,
        day,
        lambda one: (
            history.actions[one.name]["model.download"] == 0
            and bool(history.strange_model(one, day))
        ),
    )
    if who is None:
        return []
    note, when = field.start(), field.moment(who, day)
    model = field.world.models[rng.choice(history.strange_model(who, day))]
    for back in range(rng.randint(1, 3)):
        size, name = int(rng.lognormvariate(20.8, 0.4)), model.weights(model.at(day) - back)
        note.emit(when, who, "model.download", [name], model.segment, 1, size=size,
                  grant=field.cover(who))  # fmt: skip
        when += rng.uniform(60, 600)
    return note.lines


def hoard(field: Field, day: int) -> list[Line]:
    """Artifact, cunning: one who takes models as part of the work takes all there are.

    Stands out: one or two a day before, at most; now eight or more different ones in an hour.
    """
    rng, history = field.rng, field.history
    who = field.someone(
        field.world.people, day, lambda one: history.actions[one.name]["model.download"] >= 2
    )
    if who is None:
        return []
    note, when = field.start(), field.moment(who, day)
    models = list(field.world.models.values())
    names = [(model, model.weights(model.at(day) - back)) for model in models for back in (0, 1)]
    for model, name in rng.sample(names, rng.randint(8, 12)):
        size = int(rng.lognormvariate(20.6, 0.4))
        note.emit(when, who, "model.download", [name], model.segment, 1, size=size)
        when += rng.uniform(30, 400)
    return note.lines


def half_made(field: Field, day: int) -> list[Line]:
    """Artifact, cunning: checkpoints and optimizer states of runs that are not the person's.

    Stands out: the person took releases at most; training states are fetched by those who
    train, and these belong to a domain that the person has nothing to do with.
    """
    rng, history = field.rng, field.history
    who = field.someone(
        field.world.people,
        day,
        lambda one: (
            history.actions[one.name]["checkpoint.download"] == 0
            and bool(history.strange_model(one, day))
        ),
    )
    if who is None:
        return []
    note, when = field.start(), field.moment(who, day)
    model = field.world.models[rng.choice(history.strange_model(who, day))]
    for _ in range(rng.randint(2, 6)):
        size, name = int(rng.lognormvariate(21.0, 0.4)), [model.part(rng)]
        note.emit(when, who, "checkpoint.download", name, model.segment, 1, size=size)
        when += rng.uniform(30, 300)
    return note.lines


def robot(field: Field, day: int) -> list[Line]:
    """Artifact, plain: an agent or a job that has no use for models downloads one.

    Stands out: its verbs were a handful and the same for weeks; this one is new to it.
    """
    rng, history = field.rng, field.history
    who = field.someone(
        [*field.world.agents, *field.world.jobs],
        day,
        lambda one: (
            not any(verb.startswith("model") for verb in history.actions[one.name])
            and bool(history.strange_model(one, day))
        ),
    )
    if who is None:
        return []
    note, when = field.start(), field.moment(who, day, 60.0)
    model = field.world.models[rng.choice(history.strange_model(who, day))]
    names = [model.weights(model.at(day)), *(model.part(rng) for _ in range(rng.randint(0, 2)))]
    for name in names:
        action = "model.download" if name.startswith("models") else "checkpoint.download"
        size = int(rng.lognormvariate(20.8, 0.4))
        note.emit(when, who, action, [name], model.segment, 1, size=size)
        when += rng.uniform(3, 60)
    return note.lines
