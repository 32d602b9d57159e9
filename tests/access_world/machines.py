"""Agents, some of them bursts by design, and the jobs of the night with their retries and back-fills."""

from __future__ import annotations

from dataclasses import dataclass

from tests.access_world import almanac
from tests.access_world.almanac import DAY_US, HOUR_US, START_US
from tests.access_world.deed import Deed
from tests.access_world.dice import Dice
from tests.access_world.office import Company, amounts, sparks
from tests.access_world.staff import Person
from tests.access_world.work import Project


@dataclass
class Machine:
    """An agent or a job. ``manner``: ``steady``, ``bursty``, ``crawler``, ``nightly``, ``hourly``, ``weekly``."""

    name: str
    kind: str
    manner: str
    project: Project
    operator: Person
    pace: float
    size: float
    hour: float
    since: int

    def team(self, day: int) -> str:
        return self.operator.team(max(day, self.operator.joined))


def build(company: Company, people: int) -> list[Machine]:
    dice = Dice.of(company.seed, "machines")
    everybody = [one for one in company.people.values() if one.joined < 0]
    found = []
    lasting = [
        one for one in company.portfolio.projects if one.starts < 0 and one.ends > company.days
    ]
    for number in range(max(6, people // 6)):
        manner = dice.weighted({"steady": 0.45, "bursty": 0.4, "crawler": 0.15})
        new = dice.happens(0.2)
        found.append(
            _machine(
                dice, "agent", f"a-{number:02d}", manner, lasting, everybody, company.days * new
            )
        )
    for number in range(max(5, people // 9)):
        manner = dice.weighted({"nightly": 0.6, "hourly": 0.25, "weekly": 0.15})
        found.append(_machine(dice, "workload", f"job-{number:02d}", manner, lasting, everybody, 0))
    return found


def _machine(
    dice: Dice,
    kind: str,
    stem: str,
    manner: str,
    projects: list[Project],
    people: list[Person],
    late: int,
) -> Machine:
    project = dice.choice(projects)
    near = [one for one in people if one.name in project.members] or people
    return Machine(
        name=f"{stem}-{project.code}",
        kind=kind,
        manner=manner,
        project=project,
        operator=dice.choice(near),
        pace=dice.lognormvariate({"steady": 3.1, "bursty": 3.9}.get(manner, 3.4), 0.4),
        size=dice.gauss(6.2 if kind == "agent" else 9.5, 0.8),
        hour=dice.uniform(0.2, 5.5),
        since=dice.randrange(2, late) if late else -1,
    )


def run(company: Company, machine: Machine, day: int) -> None:
    """Write one day of a machine."""
    if day < machine.since:
        return
    dice = Dice.of(company.seed, "machine", machine.name, day)
    {
        "steady": _steady, "bursty": _bursty, "crawler": _crawl,
        "nightly": _nightly, "hourly": _hourly, "weekly": _weekly,
    }[machine.manner](company, machine, dice, day)  # fmt: skip


def do(
    company: Company, machine: Machine, dice: Dice, day: int, moment: int, action: str, place: int,
    *, more: float = 1.0, outcome: str = "ok",
) -> Deed:  # fmt: skip
    """Write one deed of a machine: its grants are for a week and are renewed."""
    tables = machine.project.tables(day)
    dataset = tables[place % len(tables)]
    objects: tuple[str, ...] = (dataset.called(day),)
    if action.startswith("embedding."):
        objects = (machine.project.embeddings[place % len(machine.project.embeddings)],)
    elif action == "sql.query" and machine.project.pairs:
        pair = machine.project.pairs[place % len(machine.project.pairs)]
        if max(pair) < len(tables):
            dataset = tables[pair[0]]
            objects = tuple(tables[one].called(day) for one in pair)
    purpose = machine.project.purposes[0]
    wallet = company.wallet(machine.name)
    permit = wallet.valid(dataset.segment, purpose, moment)
    permit = permit or wallet.issue(dice, dataset.segment, purpose, moment, 24.0 * 7)
    rows, size = amounts(dice, machine.size, action, dataset, company.growth(day))
    deed = Deed(
        moment, machine.name, machine.kind, machine.kind, machine.team(day), action, objects, dataset.segment,
        purpose, int(rows * more) if outcome == "ok" else 0, int(size * more) if outcome == "ok" else 0,
        permit.grant, outcome,
    )  # fmt: skip
    company.deeds.append(deed)
    return deed


def _share(company: Company, machine: Machine, day: int) -> float:
    return max(0.06, company.almanac.load(machine.operator.site, day)) * machine.project.haste(day)


def _steady(company: Company, machine: Machine, dice: Dice, day: int) -> None:
    hours = [(machine.operator.start + step, 1.0) for step in range(10)]
    for hour, session in sparks(dice, machine.pace * _share(company, machine, day), hours):
        action = dice.weighted({"dataset.read": 0.6, "embedding.search": 0.3, "sql.query": 0.1})
        bad = "denied" if dice.happens(0.006) else "ok"
        moment = almanac.at(machine.operator.site, day, hour)
        do(
            company,
            machine,
            dice,
            day,
            moment,
            action,
            dice.randrange(3) + session % 2,
            outcome=bad,
        )


def _bursty(company: Company, machine: Machine, dice: Dice, day: int) -> None:
    """Asked a question, it reads tens of things within a minute or three."""
    for _ in range(dice.poisson(1.9 * _share(company, machine, day))):
        hour = machine.operator.start + dice.uniform(0.0, 9.0)
        moment = almanac.at(machine.operator.site, day, hour)
        for number in range(int(min(140, dice.lognormvariate(3.2, 0.5)))):
            moment += int(dice.expovariate(1 / 3.5) * 1e6)
            action = dice.weighted({"dataset.read": 0.7, "embedding.search": 0.3})
            do(company, machine, dice, day, moment, action, number % 5)


def _crawl(company: Company, machine: Machine, dice: Dice, day: int) -> None:
    """Looks once a night at every table of its project."""
    moment = START_US + day * DAY_US + int(machine.hour * HOUR_US)
    for place in range(len(machine.project.tables(day))):
        for _ in range(dice.choice((1, 2, 3))):
            moment += int(dice.expovariate(1 / 25.0) * 1e6)
            do(company, machine, dice, day, moment, "dataset.read", place, more=0.2)


def _nightly(company: Company, machine: Machine, dice: Dice, day: int) -> None:
    moment = START_US + day * DAY_US + int(machine.hour * HOUR_US) + dice.randrange(90) * 1_000_000
    fails = dice.happens(0.05)
    back = 6.0 if dice.happens(0.025) else 1.0
    for place in range(min(6, len(machine.project.tables(day)))):
        moment += int(dice.uniform(40, 200) * 1e6)
        if fails and place == 2:
            for tries in range(dice.randint(2, 5)):
                do(company, machine, dice, day, moment, "dataset.read", place, outcome="denied")
                moment += int(60e6 * 2**tries)
        do(company, machine, dice, day, moment, "dataset.read", place, more=back)
        moment += int(dice.uniform(20, 100) * 1e6)
        do(company, machine, dice, day, moment, "feature.build", place, more=back)


def _hourly(company: Company, machine: Machine, dice: Dice, day: int) -> None:
    for hour in range(24):
        moment = (
            START_US
            + day * DAY_US
            + hour * HOUR_US
            + int(machine.hour * 60e6)
            + dice.randrange(9) * 1_000_000
        )
        if not dice.happens(0.01):
            do(company, machine, dice, day, moment, "dataset.read", 0, more=0.1)


def _weekly(company: Company, machine: Machine, dice: Dice, day: int) -> None:
    """Publishes the embeddings of its project to the search service, once a week."""
    if day % 7 == 5:
        moment = START_US + day * DAY_US + int(machine.hour * HOUR_US)
        for place in range(len(machine.project.embeddings)):
            moment += int(dice.uniform(100, 400) * 1e6)
            do(company, machine, dice, day, moment, "embedding.export", place)
    elif dice.happens(0.9):
        moment = START_US + day * DAY_US + int((machine.hour + 1) * HOUR_US)
        do(company, machine, dice, day, moment, "dataset.read", 1)
