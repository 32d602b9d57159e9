"""Runaway agents, and the attacks of days: low and slow, scope creep."""

from __future__ import annotations

from tests.access_world.almanac import DAY_US, HOUR_US, START_US
from tests.access_world.deed import Deed
from tests.access_world.dice import Dice
from tests.access_world.plot import Stage
from tests.access_world.work import PURPOSES


def runaway(stage: Stage, dice: Dice, variant: str) -> None:
    """An agent that nobody holds back. Visible in rate, breadth or refusals, against its own past.

    ``flood``: four to ten deeds a second for two to four minutes, on its own tables.
    ``sweep``: every table of the company, one every two to six seconds, for ten minutes; many are refused.
    ``hammer``: refused, tried again, three a second, some get through.
    ``endless``: like its own bursts, but it does not end: one deed every two seconds for an hour.
    ``steady`` (subtle): an agent without bursts does one deed every five seconds for forty minutes.
    """
    manner = {"steady": ("steady", "crawler"), "endless": ("bursty", "steady")}.get(variant)
    name, day = stage.cast(
        dice, "agent", 1, lambda one, _: manner is None or stage.machines[one].manner in manner
    )
    attack = stage.open("runaway", variant, name)
    own = stage.own(name, day)
    grant, purpose = stage.grant(name, day)
    moment = stage.moment(dice, name, day)
    gap, lasts = {
        "flood": (1 / dice.uniform(4, 10), dice.uniform(120, 240)),
        "sweep": (dice.uniform(2, 6), 600.0),
        "hammer": (0.33, dice.uniform(90, 200)),
        "endless": (2.0, 3600.0),
        "steady": (5.0, 2400.0),
    }[variant]
    end = moment + int(lasts * 1e6)
    everything = [
        (one, table)
        for one in stage.company.portfolio.projects
        if one.alive(day)
        for table in one.tables(day)
    ]
    dice.shuffle(everything)
    number = 0
    while moment < end and number < 1500:
        dataset = own.tables(day)[number % min(3, len(own.tables(day)))]
        outcome = "denied" if variant == "hammer" and dice.happens(0.75) else "ok"
        if variant == "sweep":
            dataset = everything[number % len(everything)][1]
            outcome = "denied" if dice.happens(0.5) else "ok"
        rows, size = stage.sizes(dice, name, "dataset.read", dataset)
        stage.deed(attack, day, moment, "dataset.read", (dataset.called(day),), dataset.segment, purpose=purpose,
                   rows=rows, size=size, grant=grant, outcome=outcome)  # fmt: skip
        moment += int(dice.expovariate(1 / gap) * 1e6)
        number += 1


def slow(stage: Stage, dice: Dice, variant: str) -> None:
    """Data trickles out for ten to fourteen days, no deed of it larger than what they did before.

    Visible in the sizes or the number of deeds over days, against the own past.
    ``fat``: every read of these days is between the own 82nd and 96th per cent of size.
    ``extra``: five to nine more reads a working day, each between the 75th and the 92nd per cent.
    ``wide``: rows as ever, but three times the bytes for each row (more columns).
    ``small`` (subtle): twelve to eighteen more reads a working day, each ordinary in size.
    ``agent``: an agent's deeds carry two to three times their usual rows.
    """
    length = dice.randint(10, 14)
    kind = "agent" if variant == "agent" else "human"
    name, day = stage.cast(dice, kind, length, stage.busy(length), deeds=90)
    attack = stage.open("slow", variant, name, 24.0)
    past = stage.past[name]
    if variant in ("fat", "wide", "agent"):
        for one in past.deeds:
            if (
                START_US + day * DAY_US <= one.t < START_US + (day + length) * DAY_US
                and one.rows
                and not one.action.startswith("grant")
            ):
                _swell(stage, dice, variant, one)
                one.attack = attack.number
        return
    for step in range(length):
        if not past.on(day + step):
            continue
        count = dice.randint(5, 9) if variant == "extra" else dice.randint(12, 18)
        own = stage.own(name, day + step)
        for _ in range(count):
            share = dice.uniform(0.75, 0.92) if variant == "extra" else dice.uniform(0.2, 0.8)
            rows, size = past.usual("dataset.read", share)
            like = dice.choice(past.on(day + step))
            dataset = dice.choice(own.tables(day + step)[:3])
            grant, purpose = stage.grant(name, day + step)
            stage.deed(attack, day + step, like.t + int(dice.uniform(20, 2000) * 1e6), "dataset.read",
                       (dataset.called(day + step),), dataset.segment, purpose=purpose, rows=rows, size=size, grant=grant)  # fmt: skip


def _swell(stage: Stage, dice: Dice, variant: str, one: Deed) -> None:
    """Make an ordinary deed carry more."""
    if variant == "wide":
        one.bytes = int(one.bytes * dice.uniform(2.6, 3.4))
    elif variant == "agent":
        factor = dice.uniform(2.0, 3.0)
        one.rows, one.bytes = int(one.rows * factor), int(one.bytes * factor)
    else:
        rows, size = stage.past[one.principal].usual(one.action, dice.uniform(0.82, 0.96))
        one.rows, one.bytes = max(one.rows, rows), max(one.bytes, size)


def scope(stage: Stage, dice: Dice, variant: str) -> None:
    """Reach grows, a step at a time. Visible in segments, grants, purposes or objects over days.

    ``approved``: one new segment of others every day or two, each properly asked for, six to ten of them.
    ``purposes``: the own tables are used for one purpose after another under one old grant.
    ``grants``: two or three new grants a day for a week, each for another segment or purpose, all of them used.
    ``machine``: an agent reads two tables a day more than yesterday, of other projects, under its old grant.
    ``tables`` (subtle): four to six tables never touched before, each day for a week, in segments of others that it has been in.
    """
    length = dice.randint(8, 11)
    name, day = stage.cast(
        dice, "agent" if variant == "machine" else "human", length, stage.busy(length), deeds=40
    )
    attack = stage.open("scope", variant, name, 24.0)
    seen = set(stage.past[name].segments())
    known = {one for deed in stage.past[name].deeds for one in deed.objects}
    alive = [
        one
        for one in stage.company.portfolio.projects
        if one.alive(day) and name not in one.members
    ]
    tables = [table for one in alive for table in one.tables(day)]
    dice.shuffle(tables)
    fresh = [table for table in tables if table.called(day) not in known]
    strange = (
        list({table.segment: table for table in fresh if table.segment not in seen}.values())
        or fresh
    )
    near = [table for table in fresh if table.segment in seen] or fresh
    purposes = [
        one for one in PURPOSES if one not in {deed.purpose for deed in stage.past[name].deeds}
    ] or list(PURPOSES)
    old, usual = stage.grant(name, day)
    own = stage.own(name, day).tables(day)
    taken = 0
    for step in range(length):
        here = day + step
        if not stage.past[name].on(here):
            continue
        moment = stage.moment(dice, name, here)
        count = {"approved": 1, "purposes": 2, "grants": dice.choice((2, 3)), "machine": 2 + step // 2,
                 "tables": dice.randint(4, 6)}[variant]  # fmt: skip
        for _ in range(count):
            pool = {"purposes": own, "tables": near, "machine": fresh}.get(variant, strange)
            dataset, purpose, grant = pool[taken % len(pool)], usual, old
            if variant in ("purposes", "grants"):
                purpose = purposes[taken % len(purposes)]
            if variant in ("approved", "grants"):
                stage.deed(
                    attack,
                    here,
                    moment,
                    "grant.request",
                    (dataset.called(here),),
                    dataset.segment,
                    purpose=purpose,
                )
                moment += int(dice.uniform(0.1, 0.6) * HOUR_US)
                grant = stage.fresh(dice, name, dataset.segment, purpose, moment)
            for _ in range(dice.choice((1, 1, 2))):
                rows, size = stage.sizes(dice, name, "dataset.read", dataset)
                stage.deed(attack, here, moment, "dataset.read", (dataset.called(here),), dataset.segment,
                           purpose=purpose, rows=rows, size=size, grant=grant)  # fmt: skip
                moment += int(dice.uniform(30, 400) * 1e6)
            taken += 1
