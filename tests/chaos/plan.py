"""What is done to a site and when: made from a seed, kept in a file, so that a failure can be played again."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

WARM_S = 20.0  # before the first fault
CALM_S = 25.0  # after the last
CALM = (
    0.4,
    0.62,
)  # of a long run: no fault in between, so that growth can be told from what a fault leaves
LONG_S = 900.0
TWICE = 0.15  # how often a second fault begins during another


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is done.

    Args:
        at_s: When, seconds after the beginning.
        part: To which part; ``leader`` and ``standby`` are whichever keeper that is then, ``worker`` a sandbox.
        what: ``kill``, ``halt``, ``cut`` or ``end`` (as whoever runs it does).
        how: Of a cut: ``down``, ``swallow`` or ``slow``.
        for_s: Seconds until it is started, woken or healed.
    """

    at_s: float
    part: str
    what: str
    how: str = ""
    for_s: float = 0.0

    @property
    def name(self) -> str:
        return " ".join(filter(None, (self.part, self.what, self.how)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A whole run.

    Args:
        seed: What it was made from.
        seconds: How long there is load.
        faults: In the order of their beginning.
    """

    seed: int
    seconds: float
    faults: tuple[Fault, ...]

    def write(self, file: Path) -> None:
        file.write_bytes(orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2))

    @classmethod
    def read(cls, file: Path) -> Plan:
        said = orjson.loads(file.read_bytes())
        return cls(
            seed=said["seed"],
            seconds=said["seconds"],
            faults=tuple(Fault(**one) for one in said["faults"]),
        )


# part, what, how, fewest and most seconds
KINDS: tuple[tuple[str, str, str, float, float], ...] = (
    ("leader", "kill", "", 1, 8),
    ("standby", "kill", "", 1, 8),
    ("leader", "end", "", 1, 4),
    ("leader", "halt", "", 2, 15),
    ("portal", "kill", "", 0.5, 5),
    ("portal", "halt", "", 2, 8),
    ("monitor", "kill", "", 0.5, 5),
    ("front", "kill", "", 0.5, 5),
    ("consumer", "kill", "", 0.5, 5),
    ("consumer", "halt", "", 2, 8),
    ("sentinel", "kill", "", 0, 0),
    ("worker", "kill", "", 0, 0),
    ("worker", "halt", "", 1, 4),
    ("database", "kill", "", 0.5, 6),
    ("database", "halt", "", 2, 18),
    ("database", "cut", "down", 2, 20),
    ("database", "cut", "swallow", 2, 20),
    ("database", "cut", "slow", 5, 15),
    ("store", "kill", "", 0.5, 6),
    ("store", "halt", "", 2, 18),
    ("store", "cut", "down", 2, 20),
    ("store", "cut", "swallow", 2, 20),
    ("store", "cut", "slow", 5, 15),
    ("queue", "kill", "", 0.5, 6),
    ("queue", "halt", "", 2, 12),
    ("queue", "cut", "down", 2, 15),
    ("queue", "cut", "swallow", 2, 15),
)


def make_plan(
    seed: int, seconds: float, *, kinds: Sequence[tuple[str, str, str, float, float]] = KINDS
) -> Plan:
    """Return a plan in which every kind comes about as often as any other, in no order, and a calm stretch in the middle.

    Args:
        seed: Everything follows from it.
        seconds: How long there is load.
        kinds: What may be done.
    """
    dice = random.Random(seed)
    faults: list[Fault] = []
    bag: list[tuple[str, str, str, float, float]] = []
    at = WARM_S
    while at < seconds - CALM_S:
        bag = bag or dice.sample(list(kinds), len(kinds))
        first = _fault(dice, bag.pop(), at)
        faults.append(first)
        ends = at + first.for_s
        if dice.random() < TWICE:
            bag = bag or dice.sample(list(kinds), len(kinds))
            if not _same_place(bag[-1][0], first.part):
                second = _fault(dice, bag.pop(), at + dice.uniform(0.2, 2))
                faults.append(second)
                ends = max(ends, second.at_s + second.for_s)
        at = ends + dice.uniform(8, 24)
        if seconds >= LONG_S and CALM[0] * seconds <= at < CALM[1] * seconds:
            at = CALM[1] * seconds
    return Plan(seed=seed, seconds=seconds, faults=tuple(faults))


def short_plan(seed: int) -> Plan:
    """Return a plan that kills every part once and cuts both lines, as fast as they come back."""
    faults = (
        Fault(at_s=4, part="worker", what="kill"),
        Fault(at_s=6, part="leader", what="kill", for_s=0.5),
        Fault(at_s=9, part="monitor", what="kill", for_s=0.5),
        Fault(at_s=9, part="queue", what="kill", for_s=0.5),
        Fault(at_s=9.5, part="front", what="kill", for_s=0.5),
        Fault(at_s=9.5, part="consumer", what="kill", for_s=0.5),
        Fault(at_s=10, part="store", what="cut", how="down", for_s=1.5),
        Fault(at_s=15, part="database", what="kill", for_s=0.5),
        Fault(at_s=21, part="portal", what="kill", for_s=0.5),
        Fault(at_s=22, part="store", what="kill", for_s=0.5),
        Fault(at_s=30, part="database", what="cut", how="swallow", for_s=2),
        Fault(at_s=34, part="leader", what="halt", for_s=1),
    )
    return Plan(seed=seed, seconds=36, faults=faults)


def _fault(dice: random.Random, kind: tuple[str, str, str, float, float], at: float) -> Fault:
    part, what, how, least, most = kind
    return Fault(at_s=round(at, 1), part=part, what=what, how=how, for_s=round(dice.uniform(least, most), 1))  # fmt: skip


def _same_place(one: str, other: str) -> bool:
    keepers = {"leader", "standby", "worker", "sentinel"}
    return one == other or {one, other} <= keepers
