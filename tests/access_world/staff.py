"""People: teams at sites, roles, hours of their own; joiners, leavers, reorganisations."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.access_world import almanac
from tests.access_world.dice import Dice

ROLES = {
    "analyst": 0.27, "researcher": 0.17, "ml_engineer": 0.19, "data_engineer": 0.15,
    "sre": 0.09, "product": 0.1, "auditor": 0.03,
}  # fmt: skip
NAMES = (
    "alder", "birch", "cedar", "dogwood", "elm", "fir", "gorse", "hazel", "iris", "juniper", "kale", "larch",
    "maple", "nettle", "oak", "pine", "quince", "rowan", "sorrel", "thyme", "ulex", "vetch", "willow", "yew",
)  # fmt: skip


@dataclass
class Person:
    """Somebody with habits. ``teams`` and ``roles`` are (from day, name), oldest first."""

    name: str
    site: str
    joined: int
    left: int
    teams: list[tuple[int, str]]
    roles: list[tuple[int, str]]
    start: float
    length: float
    week: tuple[float, ...]
    pace: float
    size: float
    evening: float
    weekend: float
    exports: float
    downloads: float
    absent: set[int] = field(default_factory=set)

    def team(self, day: int) -> str:
        return [name for since, name in self.teams if since <= day][-1]

    def role(self, day: int) -> str:
        return [name for since, name in self.roles if since <= day][-1]

    def employed(self, day: int) -> bool:
        return self.joined <= day < self.left

    def at_work(self, day: int) -> bool:
        return self.employed(day) and day not in self.absent and self.week[day % 7] > 0


@dataclass
class Staff:
    """Everybody, and which teams there are."""

    people: list[Person]
    teams: dict[str, str]  # name -> site

    def on(self, day: int, team: str | None = None) -> list[Person]:
        return [
            one
            for one in self.people
            if one.employed(day) and (team is None or one.team(day) == team)
        ]


def hire(seed: int, number: int, team: str, site: str, joined: int, days: int) -> Person:
    dice = Dice.of(seed, "person", number)
    role = dice.weighted(ROLES)
    week = [1.0] * 5 + [0.0, 0.0]
    if dice.happens(0.17):  # part-time: two or one fixed days off, or short days
        for _ in range(dice.choice((1, 1, 2))):
            week[dice.randrange(5)] = 0.0
    person = Person(
        name=f"u{dice.randrange(16**5):05x}{number:03d}",
        site=site if dice.happens(0.85) else dice.weighted(almanac.SHARES),
        joined=joined,
        left=10**6,
        teams=[(-1, team)],
        roles=[(-1, role)],
        start=dice.gauss(8.9, 0.9),
        length=max(4.5, dice.gauss(8.4, 0.8)),
        week=tuple(week),
        pace=dice.lognormvariate(1.75, 0.55),
        size=dice.gauss(7.6, 1.1),
        evening=0.12 if dice.happens(0.15) else 0.004,
        weekend=0.1 if dice.happens(0.08) else 0.0,
        exports=dice.uniform(0.5, 2.0) if dice.happens(0.45) else 0.0,
        downloads=dice.uniform(0.5, 2.0) if dice.happens(0.6) else 0.0,
    )
    for _ in range(max(1, days // 45)):  # leave, a week at a time; and single days off
        if dice.happens(0.45):
            first = dice.randrange(days)
            person.absent.update(range(first, first + dice.choice((3, 5, 7, 12))))
    person.absent.update(day for day in range(days) if dice.happens(0.02))
    return person


def engage(seed: int, people: int, days: int) -> Staff:
    dice = Dice.of(seed, "staff")
    teams = {}
    for place in range(max(3, people // 9)):
        name = NAMES[place % len(NAMES)] + ("" if place < len(NAMES) else str(place // len(NAMES)))
        teams[name] = dice.weighted(almanac.SHARES)
    found = []
    names = list(teams)
    for number in range(people):
        team = names[number % len(names)]
        found.append(hire(seed, number, team, teams[team], -1, days))
    for day in range(3, days):  # one joiner and one leaver a week for a hundred, on a Monday mostly
        if dice.happens(people / 100 / 7 * (4.0 if day % 7 == 0 else 0.5)):
            team = dice.choice(names)
            found.append(hire(seed, len(found), team, teams[team], day, days))
        if dice.happens(people / 100 / 9):
            dice.choice(found[:people]).left = day
    staff = Staff(found, teams)
    for day in (int(days * 0.3), int(days * 0.67)):
        reorganise(dice, staff, day + dice.randrange(4))
    for one in found:  # somebody changes roles now and then
        if dice.happens(0.03):
            one.roles.append((dice.randrange(5, days), dice.weighted(ROLES)))
    return staff


def reorganise(dice: Dice, staff: Staff, day: int) -> None:
    """Two teams become one, or one becomes two: only names change at first, work goes on."""
    names = [name for name in staff.teams if staff.on(day, name)]
    if dice.happens(0.5) and len(names) > 3:
        one, other = dice.sample(names, 2)
        new = f"{one}-{other}"
        moved = staff.on(day, one) + staff.on(day, other)
    else:
        one = max(names, key=lambda name: len(staff.on(day, name)))
        new = f"{one}-two"
        everybody = staff.on(day, one)
        moved = everybody[: len(everybody) // 2]
    staff.teams[new] = staff.teams[one]
    for person in moved:
        person.teams.append((day, new))
