"""A whole run: a company lives for some weeks, and some of its principals do what must be noticed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.access_world import almanac, machines, nights, office, staff, work
from tests.access_world.almanac import HOUR_US
from tests.access_world.attacks_long import runaway, scope, slow
from tests.access_world.attacks_quick import artifact, export, first_time, join, off_hours
from tests.access_world.deed import Deed
from tests.access_world.dice import Dice
from tests.access_world.plot import Attack, Stage

VARIANTS: dict[str, tuple[Callable[[Stage, Dice, str], None], tuple[str, ...]]] = {
    "export": (export, ("stranger", "spree", "heavy", "elsewhere", "slices")),
    "join": (join, ("reviews", "neighbour", "four", "machine", "quiet")),
    "artifact": (artifact, ("stranger", "elsewhere", "hoard", "job", "retired")),
    "runaway": (runaway, ("flood", "sweep", "hammer", "endless", "steady")),
    "off_hours": (off_hours, ("night", "sunday", "holiday", "job", "trickle")),
    "first_time": (first_time, ("bare", "reused", "borrowed", "retry", "machine")),
    "slow": (slow, ("fat", "extra", "wide", "small", "agent")),
    "scope": (scope, ("approved", "purposes", "grants", "machine", "tables")),
}
SUBTLE = {"elsewhere", "slices", "quiet", "retired", "steady", "trickle", "small", "tables"}


@dataclass(frozen=True)
class World:
    """The log in the order of time, and the truth about it."""

    deeds: list[Deed]
    attacks: list[Attack]

    def truth(self) -> list[dict[str, Any]]:
        """Each attack with its lines, counted from 1, and the window in which an alert about it is right."""
        lines: dict[int, list[int]] = defaultdict(list)
        for place, deed in enumerate(self.deeds, start=1):
            if deed.attack is not None:
                lines[deed.attack].append(place)
        found = []
        for one in self.attacks:
            mine = lines[one.number]
            begins, ends = self.deeds[mine[0] - 1].t, self.deeds[mine[-1] - 1].t
            found.append(
                {
                    "kind": one.kind, "variant": one.variant, "principal": one.principal, "lines": mine,
                    "from": almanac.written(begins), "to": almanac.written(ends + int(one.after * HOUR_US)),
                }
            )  # fmt: skip
        return found


def live(
    seed: int, people: int = 100, days: int = 60, learn_days: int = 25, each: int = 5,
    *, attacked: bool = True,
) -> World:  # fmt: skip
    """Let a company live.

    Args:
        seed: The same seed gives the same bytes.
        people: People at the beginning; agents and jobs come on top (about a quarter more).
        days: Days from Monday, 2 March 2026.
        learn_days: No attack before this many days and two.
        each: Attacks of each kind.
        attacked: False for the same company without any.
    """
    everybody = staff.engage(seed, people, days)
    company = office.Company(seed, days, almanac.draw(seed, days), work.plan(seed, everybody, days))
    company.people = {one.name: one for one in everybody.people}
    helpers = machines.build(company, people)
    rota = nights.rota(company, everybody)
    for day in range(days):
        for person in everybody.people:
            office.spend(company, person, day)
        nights.watch(company, rota[day // 7], day)
        for machine in helpers:
            machines.run(company, machine, day)
    company.deeds.sort(key=lambda deed: (deed.t, deed.principal))
    stage = Stage(company, {one.name: one for one in helpers}, learn_days + 2)
    if attacked:
        stage.remember()
        _attack(stage, seed, each)
    last = almanac.START_US + days * almanac.DAY_US
    kept = [deed for deed in company.deeds if almanac.START_US <= deed.t < last]
    kept.sort(key=lambda deed: (deed.t, deed.principal, deed.action, deed.objects))
    return World(kept, stage.attacks)


def _attack(stage: Stage, seed: int, each: int) -> None:
    """The long ones first, while there is room for them."""
    for kind in (
        "slow",
        "scope",
        "runaway",
        "first_time",
        "off_hours",
        "export",
        "join",
        "artifact",
    ):
        make, variants = VARIANTS[kind]
        order = list(variants)
        Dice.of(seed, "variants", kind).shuffle(order)
        for number in range(each):
            dice = Dice.of(seed, "attack", kind, number)
            made = len(stage.attacks)
            for _ in range(12):
                try:
                    make(stage, dice, order[number % len(order)])
                    break
                except LookupError:  # the cast has nothing foreign left: somebody else
                    _take_back(stage, made)
            else:
                raise LookupError(f"no way to stage {kind}/{order[number % len(order)]}")


def _take_back(stage: Stage, made: int) -> None:
    """Forget an attack that was begun and could not be staged."""
    del stage.attacks[made:]
    stage.company.deeds = [
        one for one in stage.company.deeds if one.attack is None or one.attack < made
    ]
