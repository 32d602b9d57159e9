"""What the attacks share: who is picked, what they have done before, how a deed of an attack is written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.access_world import almanac
from tests.access_world.almanac import DAY_US, HOUR_US, START_US
from tests.access_world.deed import Deed
from tests.access_world.dice import Dice
from tests.access_world.machines import Machine
from tests.access_world.office import Company, amounts
from tests.access_world.work import Dataset, Project


@dataclass
class Attack:
    """One attack. ``after`` is for how many hours after its last deed an alert still counts."""

    number: int
    kind: str
    variant: str
    principal: str
    after: float = 1.0


@dataclass
class Past:
    """What one principal did by itself."""

    deeds: list[Deed] = field(default_factory=list)

    def days(self, until: int) -> set[int]:
        return {
            (one.t - START_US) // DAY_US for one in self.deeds if one.t < START_US + until * DAY_US
        }

    def segments(self) -> set[str]:
        return {one.segment for one in self.deeds}

    def did(self, action: str) -> list[Deed]:
        return [one for one in self.deeds if one.action == action and one.outcome == "ok"]

    def on(self, day: int) -> list[Deed]:
        return [one for one in self.deeds if (one.t - START_US) // DAY_US == day]

    def usual(self, action: str, share: float) -> tuple[int, int]:
        """Rows and bytes of which ``share`` of its deeds of this kind are smaller."""
        found = self.did(action) or self.deeds
        rows, size = sorted(one.rows for one in found), sorted(one.bytes for one in found)
        place = min(len(found) - 1, int(share * len(found)))
        return rows[place], size[place]

    def hours(self) -> set[int]:
        return {(one.t - START_US) // HOUR_US % 24 for one in self.deeds}


@dataclass
class Stage:
    """Everything an attack is staged with."""

    company: Company
    machines: dict[str, Machine]
    first: int
    past: dict[str, Past] = field(default_factory=dict)
    taken: dict[str, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))
    attacks: list[Attack] = field(default_factory=list)

    def remember(self) -> None:
        for one in self.company.deeds:
            self.past.setdefault(one.principal, Past()).deeds.append(one)

    def free(self, name: str, day: int, length: int) -> bool:
        """Nothing else of this principal may be near: else nobody could say which attack was found."""
        return all(day + length + 3 < a or day - 3 > b for a, b in self.taken[name])

    def cast(
        self,
        dice: Dice,
        kind: str,
        length: int,
        fits: Callable[[str, int], bool] | None = None,
        deeds: int = 25,
    ) -> tuple[str, int]:
        """Somebody of a kind with a past, and a day on which they work, so that life goes on around it."""
        names = sorted(
            name for name in self.past if (name in self.machines and self.machines[name].kind == kind)
            or (kind == "human" and name in self.company.people)
        )  # fmt: skip
        for demand in (deeds, 12):
            for _ in range(600):
                name = dice.choice(names)
                day = dice.randrange(self.first, self.company.days - max(length, 1))
                before = [one for one in self.past[name].deeds if one.t < START_US + day * DAY_US]
                if (
                    len(before) < demand
                    or len(self.past[name].days(day)) < 9
                    or not self.free(name, day, length)
                ):
                    continue
                person = self.company.people.get(name)
                if person and not (person.at_work(day) and person.at_work(min(day + length, self.company.days - 1))
                                   and self.company.almanac.works(person.site, day)):  # fmt: skip
                    continue
                if fits is None or fits(name, day):
                    self.taken[name].append((day, day + length))
                    return name, day
        raise LookupError(f"nobody fits: {kind}")

    def busy(self, length: int) -> Callable[[str, int], bool]:
        """Whether somebody is there on at least six days out of the coming ones."""
        return lambda name, day: (
            sum(bool(self.past[name].on(day + step)) for step in range(length)) >= 6
        )

    def open(self, kind: str, variant: str, principal: str, after: float = 1.0) -> Attack:
        self.attacks.append(Attack(len(self.attacks), kind, variant, principal, after))
        return self.attacks[-1]

    def own(self, name: str, day: int) -> Project:
        """The project that this principal worked on last."""
        if name in self.machines:
            return self.machines[name].project
        mine = self.company.portfolio.of(self.company.people[name], day)
        return mine[0] if mine else self.company.portfolio.projects[0]

    def foreign(self, dice: Dice, name: str, day: int, *, segment: bool = True) -> Project:
        """A project of others: nothing of it was ever touched, nor its segments if so wished."""
        mine = self.past[name].segments()
        codes = {one.partition("/")[2].partition("/")[0].partition("@")[0]
                 for deed in self.past[name].deeds for one in deed.objects}  # fmt: skip
        found = [
            one for one in self.company.portfolio.projects
            if one.starts < day - 6 and one.alive(day) and name not in one.members and one.tables(day)
            and one.code not in codes and (not segment or not set(one.segments) & mine)
        ]  # fmt: skip
        if not found:
            raise LookupError("nothing is foreign to them")
        return dice.choice(found)

    def moment(self, dice: Dice, name: str, day: int) -> int:
        """Some moment in their working hours."""
        person = self.company.people.get(name) or self.machines[name].operator
        hour = person.start + dice.uniform(0.5, max(1.5, person.length - 2.0))
        return almanac.at(person.site, day, hour)

    def deed(
        self, attack: Attack, day: int, moment: int, action: str, objects: tuple[str, ...], segment: str,
        *, purpose: str = "", rows: int = 0, size: int = 0, grant: str | None = None, outcome: str = "ok",
    ) -> Deed:  # fmt: skip
        """Write one deed of an attack."""
        name = attack.principal
        if name in self.machines:
            machine = self.machines[name]
            kind, role, team = machine.kind, machine.kind, machine.team(day)
        else:
            person = self.company.people[name]
            kind, role, team = "human", person.role(day), person.team(day)
        if outcome == "denied":
            rows = size = 0
        done = Deed(moment, name, kind, role, team, action, objects, segment, purpose, rows, size, grant,
                    outcome, attack.number)  # fmt: skip
        self.company.deeds.append(done)
        return done

    def grant(self, name: str, day: int) -> tuple[str | None, str]:
        """The newest grant they used before this day, and its purpose."""
        used = [one for one in self.past[name].deeds if one.grant and one.t < START_US + (day + 1) * DAY_US
                and one.action != "grant.approve"]  # fmt: skip
        return (used[-1].grant, used[-1].purpose) if used else (None, "")

    def fresh(self, dice: Dice, name: str, segment: str, purpose: str, moment: int) -> str:
        return self.company.wallet(name).issue(dice, segment, purpose, moment, 48.0).grant

    def sizes(
        self, dice: Dice, name: str, action: str, dataset: Dataset | None = None
    ) -> tuple[int, int]:
        """A size that is ordinary for them."""
        person = self.company.people.get(name)
        return amounts(dice, person.size if person else self.machines[name].size, action, dataset)
