"""Which attack is planted where: five of each kind, spread over the days after learning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.access_port import long, odd, quick
from tests.access_port.company import Actor
from tests.access_port.days import World
from tests.access_port.log import DAY, HOUR, Event
from tests.access_port.plant import Plant

EACH = 5
DESK = ("data_scientist", "ml_engineer", "analyst", "data_engineer", "evaluator", "annotator")


@dataclass(frozen=True)
class Variant:
    """One way to do a kind of attack, who could do it, and when."""

    name: str
    roles: tuple[str, ...]  # of people
    styles: tuple[str, ...]  # of agents
    act: Callable[..., bool]
    when: str = "work"  # or night, sunday, late, idle, days


PRODUCT = ("data_scientist", "ml_engineer")
AGENTS = ("copilot", "sweeper", "watcher")
KINDS: dict[str, tuple[Variant, ...]] = {
    "export": (
        Variant("stranger", quick.HANDS_OFF, (), quick.export_stranger),
        Variant("whole", ("ml_engineer",), (), quick.export_whole),
        Variant("samples", ("ml_engineer",), (), quick.export_samples),
        Variant("search", PRODUCT, ("copilot",), quick.export_search),
    ),
    "join": (
        Variant("reviews", (*PRODUCT, "analyst"), ("copilot",), quick.join_reviews),
        Variant("names", (*PRODUCT, "annotator", "data_engineer"), (), quick.join_names),
        Variant("three", PRODUCT, (), quick.join_three),
        Variant("continents", (*PRODUCT, "data_engineer"), (), quick.join_continents),
    ),
    "artifact": (
        Variant("outsider", quick.HANDS_OFF, (), quick.artifact_outsider),
        Variant("collector", ("ml_engineer", "evaluator"), (), quick.artifact_collector),
        Variant("agent", (), AGENTS, quick.artifact_agent),
        Variant("rival", ("ml_engineer",), (), quick.artifact_rival),
    ),
    "runaway": (
        Variant("rate", (), AGENTS, odd.runaway_rate),
        Variant("breadth", (), AGENTS, odd.runaway_breadth),
        Variant("hammer", (), AGENTS, odd.runaway_hammer),
        Variant("crawl", (), ("copilot", "watcher"), odd.runaway_crawl),
    ),
    "off_hours": (
        Variant("night", DESK, (), odd.hours_night, "night"),
        Variant("sunday", DESK, (), odd.hours_sunday, "sunday"),
        Variant("late", DESK, (), odd.hours_late, "late"),
        Variant("idle", (), ("copilot",), odd.hours_idle, "idle"),
    ),
    "first_time": (
        Variant("knock", DESK, (), odd.first_knock),
        Variant("borrowed", DESK, (), odd.first_borrowed),
        Variant("drawer", (*PRODUCT, "annotator", "evaluator"), (), odd.first_drawer),
        Variant("agent", (), ("copilot", "sweeper"), odd.first_agent),
    ),
    "slow": (
        Variant("larger", DESK, ("copilot",), long.slow_larger, "days"),
        Variant("more", DESK, (), long.slow_more, "days"),
        Variant("drawer", DESK, (), long.slow_drawer, "days"),
    ),
    "scope": (
        Variant("asking", DESK, (), long.scope_asking, "days"),
        Variant("purposes", DESK, (), long.scope_purposes, "days"),
        Variant("trying", DESK, ("copilot",), long.scope_trying, "days"),
    ),
}
SPAN = {"slow": (7, 10), "scope": (6, 8)}  # days, of which some are free


class Sower:
    """Plants everything, and keeps the truth."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.plant = Plant(world, seed)
        self.truth: list[tuple[str, str, str]] = []
        for kind, variants in KINDS.items():
            order = list(variants)
            self.plant.rng.shuffle(order)
            for number in range(EACH):
                self._sow(kind, order[number % len(order)], order, number)

    def _sow(self, kind: str, wanted: Variant, order: list[Variant], number: int) -> None:
        """Plant one: the wanted variant on its share of days if there is room, else on others, else another."""
        for variant in (wanted, *order):
            for attempt in range(60):
                day = self._day(kind, number if attempt < 30 else None)
                if self._try(kind, variant, day):
                    return
        raise RuntimeError(f"no room for an attack: {kind} {wanted.name}")

    def _day(self, kind: str, number: int | None) -> int:
        world, rng = self.world, self.plant.rng
        room = world.days - (SPAN[kind][0] if kind in SPAN else 0)
        share = rng.random() if number is None else (number + rng.random()) / EACH
        return world.learn + min(int(share * room), room - 1)

    def _try(self, kind: str, variant: Variant, day: int) -> bool:
        plant, rng = self.plant, self.plant.rng
        able = plant.humans(*variant.roles) if variant.roles else []
        if variant.styles:
            able += plant.agents(*variant.styles)
        if not able:
            return False
        actor = rng.choice(able)
        plant.number = len(self.truth)
        if variant.when == "days":
            span = rng.randint(*SPAN[kind])
            if not plant.free(actor.name, day * DAY, (day + span) * DAY + DAY):
                return False
            done = variant.act(plant, actor, day, span)
        else:
            at = self._when(variant.when, actor, day)
            if at is None or at < self.world.learn * DAY or at > self.world.total * DAY - 2 * HOUR:
                return False
            if not plant.free(actor.name, at, at + 3 * HOUR) or len(plant.usual(actor, at)) < 20:
                return False
            done = variant.act(plant, actor, at)
        if done:
            after = DAY if variant.when == "days" else HOUR
            mine = [
                e.at for e in (*plant.new, *plant.by_name[actor.name]) if e.attack == plant.number
            ]
            plant.taken[actor.name].append((min(mine), max(mine) + after))
            self.truth.append((kind, variant.name, actor.name))
        return done

    def _when(self, when: str, actor: Actor, day: int) -> int | None:
        """A moment of that sort, if it is strange for this principal."""
        plant, rng, world = self.plant, self.plant.rng, self.world
        if when == "work":
            if actor.style == "watcher":
                return day * DAY + rng.randrange(22 * HOUR)
            if actor.style == "sweeper":
                return plant.wall(actor, day, rng.uniform(19.6, 21))
            return plant.moment(actor, day)
        weekday = world.calendar.weekday(day)
        if when == "sunday":
            day += rng.choice((5, 6)) - weekday
            hour = rng.uniform(3.5, 6.5)
        else:
            hour = {"night": (1.0, 4.2), "late": (22.3, 23.6), "idle": (1.0, 4.5)}[when][
                0
            ] + rng.random() * 1.2
        if day not in range(world.learn, world.total) or (when == "late" and weekday > 4):
            return None
        if not actor.here(day) and when != "night":  # on leave, at night: all the stranger
            return None
        if actor.kind == "human" and not self._regular(actor, day, weekend=when == "sunday"):
            return None
        return plant.wall(actor.owner or actor, day, hour)

    def _regular(self, actor: Actor, day: int, *, weekend: bool) -> bool:
        """Whether they never were at work in the evening or the night, or never at a weekend."""
        if actor.on_call or actor.evening or actor.weekend:
            return False
        calendar = self.world.calendar
        for event in self.plant.past(actor, day * DAY):
            ahead = calendar.offset(actor.place.continent, event.at // DAY)
            local, rest = divmod(event.at + ahead * HOUR, DAY)
            if (weekend and calendar.weekday(local) > 4) or not 5.5 * HOUR < rest < 20 * HOUR:
                return False
        return True

    def harvest(self) -> tuple[list[Event], list[dict[str, Any]]]:
        """All events in order of time, and the truth with the lines of each attack."""
        events = sorted(
            [*self.world.events, *self.plant.new, *self.plant.beside], key=lambda e: e.at
        )
        lines: list[list[int]] = [[] for _ in self.truth]
        for number, event in enumerate(events, 1):
            if event.attack >= 0:
                lines[event.attack].append(number)
        iso = self.world.calendar.iso
        truth: list[dict[str, Any]] = []
        for (kind, variant, name), mine in zip(self.truth, lines, strict=True):
            after = DAY if kind in SPAN else HOUR
            truth.append({
                "kind": kind, "variant": variant, "principal": name,
                "from": iso(events[mine[0] - 1].at), "to": iso(events[mine[-1] - 1].at + after), "lines": mine,
            })  # fmt: skip
        truth.sort(key=lambda each: each["from"])
        return events, truth
