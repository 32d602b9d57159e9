"""Live through the days, plant the attacks, and write the log and its truth."""

import json
import random
from dataclasses import dataclass
from pathlib import Path

from tests.access_bed.diary import DAY, EPOCH, Diary
from tests.access_bed.humans import Office
from tests.access_bed.machines import Machines
from tests.access_bed.oncall import Rare
from tests.access_bed.planting import Planter
from tests.access_bed.records import Event, Scribe, iso
from tests.access_bed.world import build

AFTER = 15  # days after the days to learn


@dataclass(frozen=True, slots=True)
class Truth:
    """One attack: its kind and variant, whose it is, its window, and the numbers of its lines."""

    kind: str
    variant: str
    principal: str
    start: str
    end: str
    lines: tuple[int, ...]

    def line(self) -> str:
        """The truth as one line of JSON."""
        whole: dict[str, object] = {"kind": self.kind, "variant": self.variant}
        whole |= {"principal": self.principal, "from": self.start, "to": self.end}
        return json.dumps(whole | {"lines": list(self.lines)})


@dataclass(frozen=True, slots=True)
class Log:
    """All events in order of time, and the truth about the attacks among them."""

    events: list[Event]
    truths: list[Truth]


def live(seed: int, learn_days: int = 25) -> Log:
    """Let the company live for the days to learn and fifteen more, with five attacks of each kind."""
    days = learn_days + AFTER
    world = build(seed, learn_days, days)
    diary = Diary(world, seed)
    scribe = Scribe(world, random.Random(f"bed-{seed}-scribe"))
    office = Office(world, diary, scribe, seed)
    rare = Rare(world, diary, scribe, seed)
    machines = Machines(world, diary, scribe, seed)
    for day in range(days):
        office.morning(day)
        for person in world.people.values():
            office.work(person, day)
        rare.happen(day)
        for agent in world.agents.values():
            machines.serve(agent, day)
        machines.schedule(day)
    first, last = EPOCH, EPOCH + days * DAY
    scribe.events = [e for e in scribe.events if first <= e.moment < last]
    scribe.events.sort(key=lambda e: (e.moment, e.principal))
    planter = Planter(world, diary, scribe, seed)
    planted = planter.plant()
    events = sorted(scribe.events, key=lambda e: (e.moment, e.principal))
    lines: dict[int, list[int]] = {}
    for number, event in enumerate(events, 1):
        if event.attack >= 0:
            lines.setdefault(event.attack, []).append(number)
    truths = []
    for number, attack in enumerate(planted):
        own = lines[number]
        start, end = events[own[0] - 1].moment, events[own[-1] - 1].moment + attack.after
        said = (attack.kind, attack.variant, attack.principal, iso(start), iso(end))
        truths.append(Truth(*said, tuple(own)))
    truths.sort(key=lambda truth: truth.lines)
    return Log(events, truths)


def write(seed: int, folder: Path, *, learn_days: int = 25) -> Log:
    """Write `events.jsonl` and `truth.jsonl` of one seed into a folder."""
    log = live(seed, learn_days)
    folder.mkdir(parents=True, exist_ok=True)
    for name, lines in (
        ("events.jsonl", (event.line() for event in log.events)),
        ("truth.jsonl", (truth.line() for truth in log.truths)),
    ):
        with (folder / name).open("w", encoding="utf-8", newline="\n") as out:
            out.writelines(line + "\n" for line in lines)
    return log
