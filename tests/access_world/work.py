"""What is worked on: projects own datasets, embeddings and models; people join and leave them."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.access_world.dice import Dice
from tests.access_world.staff import Person, Staff

REGIONS = ("caw", "nye", "irl", "deu", "ind", "bra")
STREAMS = ("keys", "mouse", "chat", "prompts", "focus", "voice", "screens", "reviews")
PURPOSES = (
    "assistive_typing",
    "tool_quality",
    "meeting_notes",
    "security_research",
    "accessibility",
)
STAR = (
    "vega",
    "rigel",
    "altair",
    "deneb",
    "mira",
    "spica",
    "antares",
    "castor",
    "pollux",
    "sirius",
    "atlas",
    "maia",
)


@dataclass
class Dataset:
    """A table in a segment, which may get another name one day."""

    name: str
    segment: str
    born: int
    width: float
    bulk: float
    renamed: tuple[int, str] | None = None

    def called(self, day: int) -> str:
        return self.renamed[1] if self.renamed and day >= self.renamed[0] else self.name


@dataclass
class Project:
    """Work with a beginning and an end."""

    code: str
    team: str
    starts: int
    ends: int
    purposes: tuple[str, ...]
    datasets: list[Dataset]
    embeddings: list[str]
    models: list[tuple[int, str]]
    releases: list[int]
    pairs: list[tuple[int, int]]
    lead: str = ""
    members: dict[str, tuple[int, int]] = field(default_factory=dict)

    def alive(self, day: int) -> bool:
        return self.starts <= day < self.ends

    def tables(self, day: int) -> list[Dataset]:
        return [one for one in self.datasets if one.born <= day]

    def versions(self, day: int) -> list[str]:
        """Newest first: it is downloaded most."""
        return [name for born, name in reversed(self.models) if born <= day]

    def joined_by(self, name: str, day: int) -> bool:
        since, until = self.members.get(name, (1, 0))
        return since <= day < until and self.alive(day)

    def haste(self, day: int) -> float:
        """The days before a release are full."""
        return 1.7 if any(0 <= release - day <= 4 for release in self.releases) else 1.0

    @property
    def segments(self) -> list[str]:
        return sorted({one.segment for one in self.datasets})


@dataclass
class Portfolio:
    """All projects."""

    projects: list[Project]

    def of(self, person: Person, day: int) -> list[Project]:
        return [one for one in self.projects if one.joined_by(person.name, day)]


def found(seed: int, place: int, team: str, starts: int, days: int) -> Project:
    dice = Dice.of(seed, "project", place)
    code = STAR[place % len(STAR)] + ("" if place < len(STAR) else str(place // len(STAR) + 1))
    segments = [
        f"{dice.choice(REGIONS)}.{stream}"
        for stream in dice.sample(STREAMS, dice.choice((1, 2, 2, 3)))
    ]
    datasets = []
    for number in range(dice.randint(4, 9)):
        born = starts if number < 4 else starts + dice.randrange(max(2, days - max(starts, 0)))
        one = Dataset(
            name=f"ds/{code}/{dice.choice(('raw', 'daily', 'clean', 'sample', 'wide'))}-{number}",
            segment=segments[number % len(segments)],
            born=born if dice.happens(0.8) else starts,
            width=dice.lognormvariate(5.0, 0.7),
            bulk=dice.gauss(0.0, 0.8),
        )
        if dice.happens(0.09):
            one.renamed = (dice.randrange(5, days), one.name + "-v2")
        datasets.append(one)
    gap = dice.randint(10, 20)
    releases = list(range(max(starts, 0) + dice.randrange(4, gap), days + 5, gap))
    before = [(starts, f"model/{code}@{number}") for number in range(1, dice.randint(2, 5))]
    models = before + [
        (day, f"model/{code}@{len(before) + number + 1}") for number, day in enumerate(releases)
    ]
    pairs = []
    for _ in range(dice.randint(2, 4)):
        one, other = dice.sample(range(len(datasets)), 2)
        pairs.append((min(one, other), max(one, other)))
    length = dice.randint(20, 50) if starts > 0 else dice.choice((18, 30, 44, 10**4, 10**4, 10**4))
    return Project(
        code=code, team=team, starts=starts, ends=starts + length,
        purposes=tuple(dice.sample(PURPOSES, dice.choice((1, 1, 2)))),
        datasets=datasets, embeddings=[f"emb/{code}/{number}" for number in range(dice.randint(2, 5))],
        models=models, releases=releases, pairs=pairs,
    )  # fmt: skip


def plan(seed: int, staff: Staff, days: int) -> Portfolio:
    """Two projects for three teams at first; more begin and end all the time."""
    dice = Dice.of(seed, "portfolio")
    teams = list(staff.teams)
    projects = [found(seed, place, team, -1, days) for place, team in enumerate(teams)]
    for day in range(4, days - 5):
        if dice.happens(len(teams) / 120):
            projects.append(found(seed, len(projects), dice.choice(teams), day, days))
    portfolio = Portfolio(projects)
    for project in projects:
        begin = max(0, project.starts)
        home = staff.on(begin, project.team) or staff.on(begin)
        for person in home:
            if dice.happens(0.8 if project.starts < 0 else 0.5):
                project.members[person.name] = (project.starts, 10**6)
        for person in dice.sample(staff.on(begin), min(3, len(staff.people))):
            project.members.setdefault(person.name, (project.starts, 10**6))
        project.lead = next(iter(project.members), home[0].name)
        project.members.setdefault(project.lead, (project.starts, 10**6))
    _move(dice, staff, portfolio, days)
    return portfolio


def _move(dice: Dice, staff: Staff, portfolio: Portfolio, days: int) -> None:
    """Joiners come into their team's work after some days; others move; nobody stays without any."""
    for person in staff.people:
        first = max(0, person.joined)
        if person.joined >= 0:
            near = [one for one in portfolio.projects if one.team == person.team(first)]
            project = dice.choice([one for one in near if one.ends > first] or portfolio.projects)
            project.members[person.name] = (first + dice.randint(1, 4), 10**6)
        day = first
        while day < min(days, person.left):
            if dice.happens(0.008) and len(portfolio.of(person, day)) < 3 and day > 0:
                project = dice.choice([one for one in portfolio.projects if one.alive(day)])
                project.members.setdefault(person.name, (day, 10**6))
            if day >= first + 5 and not portfolio.of(person, day):
                alive = [one for one in portfolio.projects if one.alive(day) and one.ends > day + 5]
                near = [one for one in alive if one.team == person.team(day)]
                dice.choice(near or alive).members[person.name] = (day, 10**6)
            day += 1
