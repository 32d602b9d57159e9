"""Plants five attacks of each kind among the ordinary days.

Each variant is a function that is given a `Field` and a day, picks somebody for whom it would
stand out, and gives the lines it wrote, or nothing when nobody fits on that day. Variants are
chosen against what the log says was ordinary, never against a detector.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tests.access_mill import creep, pulled, taken, wild
from tests.access_mill.field import Field
from tests.access_mill.history import History
from tests.access_mill.journal import Journal, Line
from tests.access_mill.place import DAY, HOUR
from tests.access_mill.world import Principal, World

Variant = Callable[[Field, int], list[Line]]

VARIANTS: dict[str, tuple[Variant, ...]] = {
    "slow": (creep.larger_reads, creep.more_often, creep.daily_export, creep.agent_siphon),
    "scope": (
        creep.wider_segments, creep.new_purposes, creep.grants_gathered, creep.agent_wider,
    ),
    "export": (taken.whole_index, taken.page_by_page, taken.borrowed_sync, taken.as_a_result),
    "join": (taken.strangers, taken.re_identified, taken.three_way, taken.job_with_more_inputs),
    "artifact": (pulled.outsider, pulled.hoard, pulled.half_made, pulled.robot),
    "runaway": (wild.storm, wild.sprawl, wild.hammer, wild.prying),
    "off_hours": (wild.dead_of_night, wild.weekend_night, wild.by_hand),
    "first_time": (wild.elsewhere, wild.second_try, wild.agent_astray, wild.guarded_table),
}  # fmt: skip
EACH = 5


@dataclass
class Attack:
    """One attack: its lines in order of time, and how long after them its window ends."""

    kind: str
    variant: str
    who: Principal
    lines: list[Line]
    after: float


class Attacks:
    """Chooses variants, days and principals until all kinds have their five."""

    def __init__(self, world: World, journal: Journal, history: History) -> None:
        self.field = Field(world, journal, history)
        self.done: list[Attack] = []

    def plant(self) -> None:
        """Plants all attacks, those of many days first."""
        for kind, variants in VARIANTS.items():
            order = list(variants)
            self.field.rng.shuffle(order)
            order = [order[number % len(order)] for number in range(EACH)]
            for number, day in enumerate(self._days(kind)):
                self._one(kind, [order[number], *variants], day)

    def _days(self, kind: str) -> Iterable[int]:
        """Five days spread over those after the days to learn."""
        calendar, rng = self.field.calendar, self.field.rng
        left = calendar.days - calendar.learn
        room = left - (11 if kind in {"slow", "scope"} else 1)
        return [calendar.learn + int((n + rng.random()) * room / EACH) for n in range(EACH)]

    def _one(self, kind: str, variants: list[Variant], day: int) -> None:
        """Plants one attack on a day or near it, by the variant wished or by another."""
        field, after = self.field, (24 if kind in {"slow", "scope"} else 1) * HOUR
        last = field.calendar.days - 1
        days = [day, *(near for step in range(1, 8) for near in (day + step, day - step))]
        for variant in variants:
            for near in days:
                if not field.calendar.learn <= near <= last:
                    continue
                lines = sorted(variant(field, near), key=lambda line: line[0])
                if not lines:
                    continue
                who, start, end = lines[0][1], lines[0][0], lines[-1][0] + after
                assert field.free(who, start, end)
                assert (last + 1) * DAY >= lines[-1][0]
                field.busy.setdefault(who.name, []).append((start, end))
                field.journal.lines.extend(lines)
                self.done.append(Attack(kind, variant.__name__, who, lines, after))
                return
        raise RuntimeError(f"no place for an attack of kind {kind}")
