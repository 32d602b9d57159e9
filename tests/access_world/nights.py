"""On call: a week each, nights on which something breaks, and who gets up for it."""

from __future__ import annotations

from tests.access_world import almanac
from tests.access_world.deed import Deed
from tests.access_world.dice import Dice
from tests.access_world.office import Company, amounts
from tests.access_world.staff import Person, Staff

PURPOSE = "keep_the_service_running"


def rota(company: Company, staff: Staff) -> dict[int, Person]:
    """Who is on call in which week: those who run things, in turn."""
    able = [one for one in staff.people if one.role(0) in ("sre", "data_engineer")] or staff.people[
        :3
    ]
    dice = Dice.of(company.seed, "rota")
    dice.shuffle(able)
    return {week: able[week % len(able)] for week in range(company.days // 7 + 1)}


def watch(company: Company, person: Person, day: int) -> None:
    """Write the night or weekend incidents of one day."""
    dice = Dice.of(company.seed, "night", day)
    if not person.employed(day) or not dice.happens(0.3):
        return
    alive = [one for one in company.portfolio.projects if one.alive(day) and one.tables(day)]
    project = dice.choice(alive)
    hour = dice.choice((0.4, 1.5, 2.7, 3.6, 4.9, 22.6)) + dice.random()
    moment = almanac.at(person.site, day, hour)
    grant = company.wallet(person.name).issue(dice, project.segments[0], PURPOSE, moment, 6.0).grant
    for number in range(1 + dice.poisson(9)):
        moment += int(dice.expovariate(1 / 90.0) * 1e6)
        broken = dice.happens(0.3)
        dataset = dice.choice(project.tables(day))
        action = "dataset.read" if broken else "log.read"
        rows, size = amounts(dice, person.size - 2.0, action, dataset)
        company.deeds.append(
            Deed(
                moment, person.name, "human", person.role(day), person.team(day), action,
                (dataset.called(day) if broken else f"log/{project.code}",),
                dataset.segment if broken else "", PURPOSE, rows, size, grant if broken else None,
                "denied" if number == 0 and dice.happens(0.15) else "ok",
            )
        )  # fmt: skip
