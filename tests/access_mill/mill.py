"""Puts a log together: the ordinary days, the attacks among them, and both files."""

import json
import random
from pathlib import Path
from typing import Any

from tests.access_mill.attacks import Attacks
from tests.access_mill.drift import Drift
from tests.access_mill.history import History
from tests.access_mill.journal import Journal
from tests.access_mill.machines import Machines
from tests.access_mill.people import People
from tests.access_mill.place import Calendar
from tests.access_mill.staff import staff
from tests.access_mill.world import World


def ordinary(seed: int, learn_days: int) -> tuple[World, Journal]:
    """The days of a company in which nobody does anything wrong."""
    rng = random.Random(f"access mill {seed}")
    calendar = Calendar(rng, learn_days)
    world = World(rng, calendar)
    staff(world)
    journal = Journal(rng, calendar)
    people, machines = People(world, journal), Machines(world, journal)
    drift = Drift(world, journal, people, machines)
    for day in range(calendar.days):
        drift.morning(day)
        for who in world.people:
            if who.here(day):
                people.day(who, day, drift.press(who, day))
                if not calendar.works(who.region, day) and drift.weekend_press(who, day):
                    people.session(who, calendar.at(day, rng.uniform(10, 19), who.region))
        for who in world.agents:
            if who.here(day):
                machines.agent_day(who, day, drift.press(who, day))
        for who in world.jobs:
            machines.job_day(who, day, drift.press(who, day))
        drift.evening(day)
    end = calendar.days * 86_400.0
    journal.lines = [line for line in journal.lines if 0 <= line[0] < end]
    return world, journal


def live(seed: int, learn_days: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """One log as its lines in order of time, and one line of truth for each attack."""
    world, journal = ordinary(seed, learn_days)
    attacks = Attacks(world, journal, History(world, journal.lines))
    attacks.plant()
    calendar = world.calendar
    order = sorted(range(len(journal.lines)), key=lambda number: journal.lines[number][0])
    line_of = {id(journal.lines[at]): number for number, at in enumerate(order, start=1)}
    events = []
    for at in order:
        when, _, fields = journal.lines[at]
        events.append({"t": calendar.iso(when), **fields})
    truth = [
        {
            "kind": one.kind,
            "variant": one.variant,
            "principal": one.who.name,
            "from": calendar.iso(one.lines[0][0]),
            "to": calendar.iso(one.lines[-1][0] + one.after),
            "lines": sorted(line_of[id(line)] for line in one.lines),
        }
        for one in sorted(attacks.done, key=lambda one: one.lines[0][0])
    ]
    return events, truth


def write(seed: int, folder: Path, *, learn_days: int = 25) -> tuple[int, int]:
    """Writes `events.jsonl` and `truth.jsonl`; gives how many lines each has."""
    events, truth = live(seed, learn_days)
    folder.mkdir(parents=True, exist_ok=True)
    for name, lines in (("events", events), ("truth", truth)):
        text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return len(events), len(truth)
