"""What happens on which day: hours of work, leave, travel, duty, projects, busy days."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime

from tests.access_bed import names
from tests.access_bed.world import Person, World, workday

EPOCH = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp())  # a Monday
DAY = 86_400


@dataclass(slots=True)
class Project:
    """A piece of work across teams: its people, segments and joins, and its first and last day."""

    name: str
    grant: str
    lead: str
    members: list[str]
    segments: list[str]
    recipes: list[tuple[str, str]]
    first: int
    last: int


def offset(office: str, day: int) -> float:
    """Hours from UTC at an office on a day, summer time included."""
    winter, change, _ = names.OFFICES[office]
    return winter + (1.0 if change and day >= change - 2 else 0.0)


class Diary:
    """The calendar of the company, drawn once before anybody works."""

    def __init__(self, world: World, seed: int) -> None:
        rng = random.Random(f"bed-{seed}-diary")
        self.world = world
        self.busy = {rng.randint(3, max(4, world.learn - 2)), world.learn + rng.randint(3, 13)}
        self.retreat = rng.choice([d for d in range(world.days) if d % 7 == 3])
        self.absent = self._absences(rng)
        self.travel = self._travels(rng)
        self.projects = self._projects(rng)
        self.duty = self._duties(rng)
        self.windows: dict[tuple[str, int], tuple[float, float]] = {}
        for person in world.people.values():
            for day in range(world.days):
                self._plan(person, day, rng)

    def _absences(self, rng: random.Random) -> set[tuple[str, int]]:
        """Holidays of one or two weeks, and days of illness."""
        found = set()
        for name in self.world.people:
            if rng.random() < 0.3:
                first = rng.randint(0, self.world.days - 1)
                found |= {(name, first + i) for i in range(rng.choice((3, 5, 7, 12)))}
            found |= {(name, d) for d in range(self.world.days) if rng.random() < 0.012}
        return found

    def _travels(self, rng: random.Random) -> dict[tuple[str, int], str]:
        """Two people spend a week at another office."""
        found: dict[tuple[str, int], str] = {}
        for name in rng.sample(sorted(self.world.people), 2):
            first = rng.randint(0, self.world.days - 1)
            away = [o for o in names.OFFICES if o != self.world.people[name].office]
            there = rng.choice(away)
            found |= {(name, first + i): there for i in range(6)}
        return found

    def _projects(self, rng: random.Random) -> list[Project]:
        """Projects old and new: some end, some begin, one or two of them after the days to learn."""
        world, found = self.world, []
        learn = world.learn
        spans = [(-9, rng.randint(8, 16)), (-4, learn + 4), (5, learn + 2), (learn - 6, learn + 8)]
        spans += [(learn + 2, world.days + 9), (learn + 6, world.days + 9)]
        staff = [p for p in world.people.values() if p.joined < 0 and p.left > 999]
        for number, (first, last) in enumerate(spans):
            teams = rng.sample(list(names.SEGMENTS), 2)
            inside = [p.name for p in staff if p.team in teams]
            members = rng.sample(inside, rng.randint(5, 8))
            segments = [s for t in teams for s in rng.sample(list(names.SEGMENTS[t]), 2)]
            recipes = []
            for _ in range(rng.randint(3, 5)):
                left, right = rng.sample(segments, 2)
                pair = [rng.choice(world.segments[s].seen(0)) for s in (left, right)]
                recipes.append((min(pair), max(pair)))
            lead = world.lead(teams[0]).name
            name = f"project-{names.PROJECTS[number]}"
            grant = f"gr-p{rng.randrange(16**6):06x}"
            found.append(
                Project(name, grant, lead, members, segments, recipes, workday(first), last)
            )
        return found

    def _duties(self, rng: random.Random) -> dict[tuple[str, int], str]:
        """Who is on call for a team in a week; the round goes on where it stood."""
        found = {}
        for team in names.SEGMENTS:
            able = sorted(
                p.name for p in self.world.people.values() if p.on_call and p.team == team
            )
            rng.shuffle(able)
            for week in range(self.world.days // 7 + 2):
                found[team, week] = able[week % len(able)]
        return found

    def on_duty(self, team: str, day: int) -> str:
        """The one on call for a team on a day."""
        return self.duty[team, day // 7]

    def hours_off(self, person: Person, day: int) -> float:
        """Hours from UTC where a person is on a day."""
        return offset(self.travel.get((person.name, day), person.office), day)

    def local(self, person: Person, moment: float) -> float:
        """The hour of the day, 0 to 24, where a person is at a moment."""
        day = int((moment - EPOCH) // DAY)
        return ((moment - EPOCH) / 3600 + self.hours_off(person, day)) % 24

    def running(self, name: str, day: int) -> list[Project]:
        """The projects a person works on at a day."""
        return [p for p in self.projects if p.first <= day <= p.last and name in p.members]

    def rush(self, name: str, day: int) -> bool:
        """Whether a deadline of a project is within two days."""
        return any(p.last - day <= 2 for p in self.running(name, day))

    def approver(self, team: str, moment: float) -> tuple[Person, float]:
        """Who approves for a team after a moment, and when: the lead, or a deputy if the lead is away."""
        people = [p for p in self.world.people.values() if p.team == team]
        people.sort(key=lambda p: not p.lead)
        day = int((moment - EPOCH) // DAY)
        for ahead in range(6):
            for person in people[:3]:
                start, end = self.windows.get((person.name, day + ahead), (0.0, 0.0))
                if moment < end:
                    return person, max(moment, start + 300)
        return people[0], moment + DAY

    def holiday(self, person: Person, day: int) -> bool:
        """Whether the person's office is closed."""
        return day in names.OFFICES[person.office][2] or day == self.retreat

    def _plan(self, person: Person, day: int, rng: random.Random) -> None:
        """Draw whether and when a person works on a day."""
        if not person.joined <= day < person.left or (person.name, day) in self.absent:
            return
        free = day % 7 >= 5 or self.holiday(person, day)
        if free and rng.random() >= person.weekend + (0.2 if self.rush(person.name, day) else 0):
            return
        begin = person.starts + rng.gauss(0, 0.35) - self.hours_off(person, day)
        length = person.hours + rng.gauss(0, 0.4)
        if free:
            begin, length = begin + rng.uniform(0, 4), rng.uniform(1, 3)
        elif self.rush(person.name, day):
            length += rng.uniform(0.5, 3.5)
        start = EPOCH + day * DAY + begin * 3600
        self.windows[person.name, day] = (start, start + length * 3600)
