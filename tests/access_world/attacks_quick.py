"""Attacks of minutes or hours: export, join, artifact, off-hours, first time."""

from __future__ import annotations

from tests.access_world import almanac
from tests.access_world.almanac import DAY_US, HOUR_US, START_US
from tests.access_world.dice import Dice
from tests.access_world.plot import Stage


def export(stage: Stage, dice: Dice, variant: str) -> None:
    """Embeddings leave that never left this way. Visible in action, objects, count and bytes.

    ``stranger``: somebody who never exported exports one or two of their project, of ordinary size.
    ``spree``: somebody who exports now and then exports eight to fifteen times in an hour and a half.
    ``heavy``: an exporter's one export is forty to a hundred times their largest.
    ``elsewhere`` (subtle): an exporter exports, at an ordinary size, the embeddings of a project that is not theirs.
    ``slices`` (subtle): a refusal, then ten to twenty exports of a tenth of the usual size.
    """
    exporter = variant != "stranger"

    def fits(name: str, day: int) -> bool:
        before = [
            one
            for one in stage.past[name].did("embedding.export")
            if one.t < START_US + day * DAY_US
        ]
        return (len(before) >= 2) == exporter and (
            exporter or not stage.past[name].did("embedding.export")
        )

    try:
        name, day = stage.cast(dice, "human", 1, fits)
    except LookupError:  # a small company without exporters
        variant, (name, day) = "stranger", stage.cast(dice, "human", 1)
    attack = stage.open("export", variant, name)
    moment, own = stage.moment(dice, name, day), stage.own(name, day)
    grant, purpose = stage.grant(name, day)
    rows, size = stage.past[name].usual("embedding.export", 0.5)
    if variant == "stranger":
        rows, size = stage.sizes(dice, name, "embedding.export")
    count = {"stranger": dice.choice((1, 2)), "spree": dice.randint(8, 15), "heavy": 1, "elsewhere": 2,
             "slices": dice.randint(10, 20)}[variant]  # fmt: skip
    factor = {"heavy": dice.uniform(40, 100), "slices": 0.1}.get(variant, 1.0)
    if variant == "heavy":
        rows, size = stage.past[name].usual("embedding.export", 1.0)
    project = stage.foreign(dice, name, day, segment=False) if variant == "elsewhere" else own
    segment = project.segments[0]
    if variant == "slices":
        stage.deed(attack, day, moment - 90_000_000, "embedding.export", (project.embeddings[0],), segment,
                   purpose=purpose, grant=grant, outcome="denied")  # fmt: skip
    for number in range(count):
        noise = dice.lognormvariate(0, 0.2) * factor
        stage.deed(attack, day, moment, "embedding.export", (project.embeddings[number % len(project.embeddings)],),
                   segment, purpose=purpose, rows=int(rows * noise) + 1, size=int(size * noise) + 64, grant=grant)  # fmt: skip
        moment += int(dice.expovariate(1 / 300.0) * 1e6)


def join(stage: Stage, dice: Dice, variant: str) -> None:
    """Tables meet that nobody ever laid side by side. Visible in objects.

    ``reviews``: an own table beside one of performance reviews of another project.
    ``neighbour``: an own table beside one of another project, once or twice.
    ``four``: two own tables and two foreign ones.
    ``machine``: an agent does it, in the middle of ordinary work.
    ``quiet`` (subtle): a table of another project, a result a tenth as large as usual.
    """
    kind = "agent" if variant == "machine" else "human"
    name, day = stage.cast(dice, kind, 1)
    attack = stage.open("join", variant, name)
    own = stage.own(name, day)
    other = stage.foreign(dice, name, day, segment=variant != "quiet" and dice.happens(0.5))
    if variant == "reviews":
        found = [one for one in stage.company.portfolio.projects if one.alive(day) and one is not own
                 and name not in one.members and any("reviews" in s for s in one.segments)]  # fmt: skip
        other = dice.choice(found) if found else other
    foreign = [one for one in other.tables(day) if variant != "reviews" or "reviews" in one.segment]
    mine, theirs = own.tables(day)[0], dice.choice(foreign or other.tables(day))
    objects: tuple[str, ...] = (mine.called(day), theirs.called(day))
    if variant == "four":
        objects = (*objects, own.tables(day)[1].called(day), other.tables(day)[-1].called(day))
    moment = stage.moment(dice, name, day)
    grant, purpose = stage.grant(name, day)
    for _ in range(dice.choice((1, 2, 3))):
        rows, size = stage.sizes(dice, name, "sql.query", mine)
        small = 0.1 if variant == "quiet" else 1.0
        stage.deed(attack, day, moment, "sql.query", objects, mine.segment, purpose=purpose,
                   rows=int(rows * small) + 1, size=int(size * small) + 64, grant=grant)  # fmt: skip
        moment += int(dice.uniform(60, 900) * 1e6)


def artifact(stage: Stage, dice: Dice, variant: str) -> None:
    """A model is taken. Visible in action and objects.

    ``stranger``: somebody who never downloaded one.
    ``elsewhere``: one who downloads takes two models of a project that is not theirs.
    ``hoard``: every version of every model of the project, twelve or more downloads in an hour.
    ``job``: a scheduled job, which has never done so, takes one.
    ``retired`` (subtle): one who downloads takes once the oldest version of a project long ended or not theirs.
    """
    if variant == "job":
        name, day = stage.cast(dice, "workload", 1)
    else:
        stranger = variant == "stranger"

        def fits(name: str, day: int) -> bool:
            return bool(stage.past[name].did("artifact.download")) != stranger

        name, day = stage.cast(dice, "human", 1, fits)
    attack = stage.open("artifact", variant, name)
    project = stage.own(name, day)
    if variant in ("elsewhere", "retired"):
        project = stage.foreign(dice, name, day, segment=False)
    names = project.versions(day) or [f"model/{project.code}@1"]
    taken = {
        "stranger": names[:1],
        "elsewhere": names[:2],
        "job": names[:1],
        "retired": names[-1:],
    }.get(variant, (names * 12)[: dice.randint(12, 20)])
    moment = stage.moment(dice, name, day)
    grant, purpose = stage.grant(name, day)
    for one in taken:
        stage.deed(attack, day, moment, "artifact.download", (one,), project.segments[0], purpose=purpose,
                   size=int(dice.lognormvariate(17.5, 0.5)), grant=grant)  # fmt: skip
        moment += int(dice.expovariate(1 / 200.0) * 1e6)


def off_hours(stage: Stage, dice: Dice, variant: str) -> None:
    """Ordinary work at an hour that is not theirs. Visible in the time, against the person's own and the team's.

    ``night``: six to twenty deeds between two and four, local time, by somebody who never worked then.
    ``sunday``: the same on a Saturday or Sunday before dawn.
    ``holiday``: on a public holiday late in the evening, nobody else being there.
    ``job``: a nightly job's identity reads at three other hours of the day.
    ``trickle`` (subtle): three or four deeds on each of three nights.
    """
    if variant == "job":
        name, day = stage.cast(
            dice, "workload", 1, lambda one, _: stage.machines[one].manner == "nightly"
        )
        begins = [
            START_US + day * DAY_US + int((stage.machines[name].hour + plus) * HOUR_US)
            for plus in (7, 10, 13)
        ]
        counts = [3, 3, 3]
    else:

        def fits(name: str, day: int) -> bool:
            site = stage.company.people[name].site
            night = {
                (almanac.at(site, day, hour) - START_US) // HOUR_US % 24
                for hour in (1.0, 2.0, 3.0, 4.0, 5.0)
            }
            return not night & stage.past[name].hours()

        name, day = stage.cast(dice, "human", 3, fits)
        person = stage.company.people[name]
        begins = [almanac.at(person.site, day, dice.uniform(2.0, 3.6))]
        counts = [dice.randint(6, 20)]
        if variant == "sunday":
            day = day // 7 * 7 + dice.choice((5, 6))
            day -= 7 if day >= stage.company.days else 0
            begins = [almanac.at(person.site, day, dice.uniform(2.0, 3.6))]
        elif variant == "holiday":
            free = [
                one for one in stage.company.almanac.holidays[person.site] if one >= stage.first
            ]
            day = min(free, key=lambda one: abs(one - day)) if free else day
            begins = [almanac.at(person.site, day, dice.uniform(1.8, 3.4))]
        elif variant == "trickle":
            begins = [
                almanac.at(person.site, day + step, dice.uniform(2.0, 3.6)) for step in range(3)
            ]
            counts = [dice.randint(3, 4) for _ in begins]
        stage.taken[name].append((day, day))
    attack = stage.open("off_hours", variant, name, 3.0)
    own, tables = stage.own(name, day), stage.own(name, day).tables(day)
    purpose = stage.grant(name, day)[1] or own.purposes[0]
    grant = stage.grant(name, day)[0]
    for moment, count in zip(begins, counts, strict=True):
        here = moment
        for _ in range(count):
            dataset = dice.choice(tables[:3])
            rows, size = stage.sizes(dice, name, "dataset.read", dataset)
            stage.deed(attack, day, here, "dataset.read", (dataset.called(day),), dataset.segment, purpose=purpose,
                       rows=rows, size=size, grant=grant)  # fmt: skip
            here += int(dice.expovariate(1 / 150.0) * 1e6)


def first_time(stage: Stage, dice: Dice, variant: str) -> None:
    """A segment of others is entered with no grant that covers it. Visible in segment and grant.

    ``bare``: no grant at all, two to six reads.
    ``reused``: under an own grant that was always used for another segment.
    ``borrowed``: under a grant that until now another person used.
    ``retry``: two to five refusals without a grant, then it works.
    ``machine``: an agent or a job does it once, without a grant (subtle: one event).
    """
    kind = dice.choice(("agent", "workload")) if variant == "machine" else "human"
    name, day = stage.cast(dice, kind, 1)
    other = stage.foreign(dice, name, day)
    attack = stage.open("first_time", variant, name)
    moment = stage.moment(dice, name, day)
    dataset = dice.choice(other.tables(day))
    grant, purpose = stage.grant(name, day)
    if variant == "borrowed":
        used = [one for one in stage.company.deeds if one.grant and one.segment == dataset.segment
                and one.principal != name and one.t < moment and one.action == "dataset.read"]  # fmt: skip
        grant = used[-1].grant if used else grant
    grant = grant if variant in ("reused", "borrowed") else None
    if variant == "retry":
        for _ in range(dice.randint(2, 5)):
            stage.deed(attack, day, moment, "dataset.read", (dataset.called(day),), dataset.segment,
                       purpose=purpose, outcome="denied")  # fmt: skip
            moment += int(dice.uniform(5, 120) * 1e6)
    for _ in range(1 if variant == "machine" else dice.randint(2, 6)):
        rows, size = stage.sizes(dice, name, "dataset.read", dataset)
        stage.deed(attack, day, moment, "dataset.read", (dataset.called(day),), dataset.segment, purpose=purpose,
                   rows=rows, size=size, grant=grant)  # fmt: skip
        moment += int(dice.uniform(30, 600) * 1e6)
