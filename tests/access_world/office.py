"""A person's ordinary day: sessions that set off more sessions, on the projects they are in."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.access_world import almanac
from tests.access_world.almanac import HOUR_US, Almanac
from tests.access_world.deed import Deed
from tests.access_world.dice import Dice
from tests.access_world.permits import Permit, Wallet
from tests.access_world.staff import Person
from tests.access_world.work import Dataset, Portfolio, Project

MIX: dict[str, dict[str, float]] = {
    "analyst": {"dataset.read": 0.5, "sql.query": 0.32, "report.build": 0.08, "catalog.read": 0.1},
    "researcher": {
        "dataset.read": 0.34, "embedding.search": 0.25, "embedding.build": 0.1, "embedding.export": 0.015,
        "sql.query": 0.15, "training.run": 0.06, "catalog.read": 0.09,
    },
    "ml_engineer": {
        "dataset.read": 0.35, "feature.build": 0.2, "training.run": 0.13, "embedding.build": 0.08,
        "embedding.search": 0.07, "embedding.export": 0.008, "artifact.download": 0.05, "sql.query": 0.06,
        "catalog.read": 0.06,
    },
    "data_engineer": {"dataset.read": 0.45, "dataset.write": 0.2, "sql.query": 0.25, "catalog.read": 0.1},
    "sre": {"log.read": 0.5, "dataset.read": 0.18, "artifact.download": 0.07, "catalog.read": 0.25},
    "product": {"report.read": 0.6, "sql.query": 0.13, "catalog.read": 0.27},
    "auditor": {"catalog.read": 0.5, "dataset.read": 0.25, "log.read": 0.25},
}  # fmt: skip
FREE = {"catalog.read", "report.read", "log.read"}  # no grant is needed
BULK = {
    "dataset.read": 0.0, "dataset.write": 0.3, "sql.query": 0.5, "report.build": 0.8, "feature.build": 1.3,
    "training.run": 1.8, "embedding.build": 1.0, "embedding.search": -3.0, "embedding.export": 1.2,
    "artifact.download": -9.0, "catalog.read": -4.5, "report.read": -4.0, "log.read": -1.5,
}  # fmt: skip


@dataclass
class Company:
    """Everything that a day is drawn from, and what has been written so far."""

    seed: int
    days: int
    almanac: Almanac
    portfolio: Portfolio
    deeds: list[Deed] = field(default_factory=list)
    wallets: dict[str, Wallet] = field(default_factory=dict)
    people: dict[str, Person] = field(default_factory=dict)

    def wallet(self, name: str) -> Wallet:
        return self.wallets.setdefault(name, Wallet(name))

    def growth(self, day: int) -> float:
        return 1.0 + 0.2 * day / 60


def amounts(
    dice: Dice, mu: float, action: str, dataset: Dataset | None, growth: float = 1.0
) -> tuple[int, int]:
    """Rows that were opened, and bytes that came out."""
    bulk, width = (dataset.bulk, dataset.width) if dataset else (0.0, 150.0)
    if action == "artifact.download":  # a file, not rows
        return 0, int(dice.lognormvariate(17.5, 0.5))
    rows = int(dice.size(mu + bulk + BULK[action]) * growth) + 1
    out = {"embedding.export": 1536.0, "dataset.write": 8.0, "training.run": 2.0}.get(action, width)
    return rows, int(rows * out * dice.lognormvariate(0.0, 0.25)) + 64


def sparks(dice: Dice, mean: float, hours: list[tuple[float, float]]) -> list[tuple[float, int]]:
    """Moments of a day in hours, each with its session: some come by themselves, and each sets off others.

    Args:
        mean: Expected number.
        hours: Pairs (hour, weight): where sessions begin.
    """
    found: list[tuple[float, int]] = []
    for session in range(dice.poisson(mean * 0.42)):
        place = dice.choices([hour for hour, _ in hours], [weight for _, weight in hours])[0]
        line = [place + dice.random()]
        while line:
            moment = line.pop()
            found.append((moment, session))
            for _ in range(dice.poisson(0.58)):
                if len(found) < 400:
                    line.append(moment + dice.expovariate(1.0) * 0.07)
    return sorted(found)


def profile(person: Person) -> list[tuple[float, float]]:
    """Two humps with a dip at lunch."""
    found = []
    steps = max(3, int(person.length))
    for step in range(steps):
        hour = person.start + step
        weight = 0.45 if 12.0 <= hour < 13.2 else 0.6 if step in (0, steps - 1) else 1.0
        found.append((hour, weight))
    return found


def spend(company: Company, person: Person, day: int) -> None:
    """Write what one person does on one day."""
    dice = Dice.of(company.seed, "day", person.name, day)
    share = company.almanac.load(person.site, day) * person.week[day % 7]
    weekend = day % 7 >= 5 and dice.happens(person.weekend)
    if not person.employed(day) or day in person.absent or not (share or weekend):
        return
    projects = company.portfolio.of(person, day)
    haste = max((one.haste(day) for one in projects), default=1.0)
    newcomer = 0.5 if 0 <= day - person.joined < 6 and person.joined >= 0 else 1.0
    mean = person.pace * (0.5 if weekend else share) * haste * newcomer * company.growth(day)
    hours = profile(person)
    if not weekend and dice.happens(person.evening):
        hours = [*hours, (20.2, 2.5), (21.1, 1.5)]
    focus = dice.zipf(projects, 1.4) if projects else None
    told: dict[int, Dataset | None] = {}
    for hour, session in sparks(dice, mean * dice.lognormvariate(0.0, 0.3), hours):
        if dice.happens(0.06) and projects:
            focus = dice.choice(projects)
        if session not in told or dice.happens(0.35):
            tables = focus.tables(day) if focus else []
            told[session] = prefer(person, focus, tables, dice) if focus and tables else None
        act(company, person, dice, day, almanac.at(person.site, day, hour), focus, told[session])


def prefer(person: Person, project: Project, tables: list[Dataset], dice: Dice) -> Dataset:
    """Everybody has favourites among the tables of a project, and they last."""
    order = list(tables)
    Dice.of(0, person.name, project.code).shuffle(order)
    return dice.zipf(order, 1.3)


def act(
    company: Company, person: Person, dice: Dice, day: int, moment: int, project: Project | None,
    dataset: Dataset | None,
) -> None:  # fmt: skip
    mix = dict(MIX[person.role(day)])
    mix["embedding.export"] = mix.get("embedding.export", 0.0) * person.exports
    released = project is not None and any(0 <= day - one <= 1 for one in project.releases)
    mix["artifact.download"] = (
        mix.get("artifact.download", 0.0) * person.downloads * (4.0 if released else 1.0)
    )
    action = dice.weighted(mix)
    if project is None or dataset is None:
        action = "catalog.read"
    write(company, person, dice, day, moment, action, project, dataset)


def things(
    dice: Dice, person: Person, day: int, action: str, project: Project, dataset: Dataset
) -> tuple[tuple[str, ...], str]:
    """Objects and segment of an action."""
    if action.startswith("embedding."):
        own = Dice.of(1, person.name, project.code).sample(
            project.embeddings, len(project.embeddings)
        )
        return (dice.zipf(own, 1.5),), dataset.segment
    if action == "artifact.download":
        return (dice.zipf(project.versions(day), 2.2),), project.segments[0]
    if action in FREE:
        return (f"{action.partition('.')[0]}/{project.code}",), ""
    tables = project.tables(day)
    if action == "sql.query" and len(tables) > 1 and dice.happens(0.4):
        usual = [pair for pair in project.pairs if max(pair) < len(tables)]
        pair = dice.zipf(usual) if usual and dice.happens(0.93) else None
        one, other = [tables[place] for place in pair] if pair else dice.sample(tables, 2)
        return (one.called(day), other.called(day)), one.segment
    return (dataset.called(day),), dataset.segment


def write(
    company: Company, person: Person, dice: Dice, day: int, moment: int, action: str,
    project: Project | None, dataset: Dataset | None, *, purpose: str = "", attack: int | None = None,
) -> Deed:  # fmt: skip
    """Write one deed of a person, with the grant that it takes; asked for if there is none."""
    objects: tuple[str, ...] = ("catalog/commons",)
    segment = ""
    if project and dataset:
        objects, segment = things(dice, person, day, action, project, dataset)
        purpose = purpose or project.purposes[0 if dice.happens(0.85) else -1]
    deed = Deed(
        moment, person.name, "human", person.role(day), person.team(day), action, objects, segment,
        purpose if segment else "", attack=attack,
    )  # fmt: skip
    deed.rows, deed.bytes = amounts(dice, person.size, action, dataset, company.growth(day))
    if segment and project and attack is None:
        permit = obtain(company, person, dice, day, deed, project)
        deed.grant = permit.grant if permit else None
        if permit and permit.since > deed.t:  # they come back to it later; or not today
            deed.t = permit.since + int(dice.uniform(5, 900) * 1e6)
            if deed.t > almanac.at(person.site, day, person.start + person.length + 1.0):
                return deed
    if attack is None and dice.happens(0.004) and segment:  # a name mistyped
        company.deeds.append(failed(deed, (objects[0] + dice.choice("abcxyz"),)))
        deed.t += int(dice.uniform(4, 40) * 1e6)
    company.deeds.append(deed)
    return deed


def obtain(
    company: Company, person: Person, dice: Dice, day: int, deed: Deed, project: Project
) -> Permit | None:
    """The grant in force; or a new one, asked for and approved by the lead (who needs none, as owner)."""
    wallet = company.wallet(person.name)
    permit = wallet.valid(deed.segment, deed.purpose, deed.t)
    old = wallet.expired(deed.segment, deed.purpose)
    if permit or (old and project.lead == person.name and dice.happens(0.5)):
        return permit
    if old and old.until <= deed.t and dice.happens(0.22):  # it has run out, and nobody noticed
        for tries in range(dice.choice((1, 1, 2, 3))):
            late = failed(deed, deed.objects, old.grant)
            late.t = deed.t - int((4 - tries) * dice.uniform(5, 30) * 1e6)
            company.deeds.append(late)
    wait = int(dice.lognormvariate(-1.2, 0.9) * HOUR_US)
    asked = Deed(
        deed.t, person.name, "human", deed.role, deed.team, "grant.request", deed.objects[:1], deed.segment,
        deed.purpose,
    )  # fmt: skip
    company.deeds.append(asked)
    fresh = wallet.issue(dice, deed.segment, deed.purpose, deed.t, wait=min(wait, 3 * HOUR_US))
    lead = company.people.get(project.lead)
    if lead and lead.name != person.name and lead.at_work(day):
        company.deeds.append(
            Deed(fresh.since, lead.name, "human", lead.role(day), lead.team(day), "grant.approve",
                 (), deed.segment, deed.purpose, grant=fresh.grant)
        )  # fmt: skip
    return fresh


def failed(deed: Deed, objects: tuple[str, ...], grant: str | None = None) -> Deed:
    """The same, refused."""
    return Deed(
        deed.t, deed.principal, deed.kind, deed.role, deed.team, deed.action, objects, deed.segment,
        deed.purpose, grant=grant or deed.grant, outcome="denied",
    )  # fmt: skip
