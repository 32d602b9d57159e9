"""What happens to people besides their work: where they are, leave, a new role, a choice, a request.

Drawn from a part of its own and from nothing else, so a person lives the same life in a run of any
size. Changes of role, place and mind fall on the first days, so that a short run holds some.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import pyarrow as pa

from safehold.clock import DAY_US
from safehold.telemetry.schema import T
from safehold.workforce.people import ROLES, Person, external_id, person
from safehold.workforce.spec import LIFE, WHOLE, Draw, Spec, generator

# jurisdiction -> regions; one with a works council has its name
REGIONS: Final = {
    "US-CA": (("bay", None), ("south-coast", None)),
    "US-WA": (("sound", None),),
    "DE": (("hamburg", "works council Hamburg"), ("munich", "works council Munich")),
}
CHANGES_ROLE: Final = 0.02
MOVES: Final = 0.005
ASKS: Final = 0.005
TURNOVER: Final = 0.0005  # chance per day of leaving the company: an eighth of the staff in a year
SOON: Final = 10  # a change falls on one of the first so many days
_QUARTER: Final = 90  # days; in six of ten quarters somebody takes leave
_TAKES_LEAVE: Final = 0.6

LIVES: Final = pa.schema(
    [
        pa.field("person", pa.string(), nullable=False),
        pa.field("day", pa.int32(), nullable=False),
        pa.field("t", T, nullable=False),
        pa.field("what", pa.string(), nullable=False),
        pa.field("before", pa.string()),
        pa.field("after", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """The life of one person; days count from the first day of the company.

    Args:
        region: Where the person works, finer than a jurisdiction.
        council: The works council that speaks for the region; None where there is none.
        role: Role on the first day.
        new_role: Day and role of a change; None without one.
        new_place: Day and jurisdiction of a move; None without one.
        withdraws: Day on which consent is taken back; None without.
        asks: Day on which the person asks for access to their data; None without.
        leaves: Day from which the person no longer works here; None within ten years.
    """

    region: str
    council: str | None
    role: str
    new_role: tuple[int, str] | None
    new_place: tuple[int, str] | None
    withdraws: int | None
    asks: int | None
    leaves: int | None

    def role_on(self, day: int) -> str:
        """Return the role on a day."""
        return self.new_role[1] if self.new_role and day >= self.new_role[0] else self.role


@lru_cache(maxsize=4096)
def life(spec: Spec, index: int) -> Life:
    """Return the life of the person with this number, the same in a company of any size."""
    who = person(spec, index)
    draw = Draw(generator(spec.seed, index, LIFE, 0, 0))
    region, council = draw.pick(REGIONS[who.jurisdiction])
    chance = [draw.unit() for _ in range(3)]
    days = [draw.whole(1, SOON) for _ in range(4)]
    others = [role for role in ROLES if role not in (who.role, "manager")]
    role = draw.pick(others)
    place = draw.pick([name for name in REGIONS if name != who.jurisdiction])
    leaves = 1 + int(generator(spec.seed, index, LIFE, 0, 1).geometric(TURNOVER))
    # the first hundred hold one of each, as they hold one of everything
    return Life(
        region=region,
        council=council,
        role=who.role,
        new_role=(days[0], role) if index % 97 == 17 or chance[0] < CHANGES_ROLE else None,
        new_place=(days[1], place) if index % 97 == 22 or chance[1] < MOVES else None,
        withdraws=days[2] if who.withdraws else None,
        asks=days[3] if index % 97 == 26 or chance[2] < ASKS else None,
        leaves=leaves if leaves <= 3_660 else None,
    )


@lru_cache(maxsize=4096)
def _leave(spec: Spec, index: int, quarter: int) -> tuple[int, int] | None:
    draw = Draw(generator(spec.seed, index, LIFE, 1, quarter))
    if draw.unit() >= _TAKES_LEAVE:
        return None
    first = quarter * _QUARTER + draw.whole(1, _QUARTER - 15)
    return first, first + draw.whole(2, 14)


def on_leave(spec: Spec, index: int, day: int) -> bool:
    """Return whether a person is on leave that day; nobody is on the first."""
    spell = _leave(spec, index, day // _QUARTER)
    return spell is not None and spell[0] <= day < spell[1]


def works(spec: Spec, index: int, day: int) -> bool:
    """Return whether a person is at work that day, as far as leave and leaving go."""
    if spec.edition < WHOLE:
        return True
    gone = life(spec, index).leaves
    return (gone is None or day < gone) and not on_leave(spec, index, day)


def role_on(spec: Spec, index: int, day: int) -> str:
    """Return the role of a person on a day."""
    who = person(spec, index)
    return life(spec, index).role_on(day) if spec.edition >= WHOLE else who.role


def jurisdiction_on(spec: Spec, index: int, day: int) -> str:
    """Return the jurisdiction a person works in on a day."""
    if spec.edition >= WHOLE:
        new = life(spec, index).new_place
        if new is not None and day >= new[0]:
            return new[1]
    return person(spec, index).jurisdiction


def lives(spec: Spec) -> pa.Table:
    """Return what happened to everybody in the days of the company, by person and day.

    ``what`` is ``leave.begins``, ``leave.ends``, ``role.changed``, ``moved``, ``withdrew``,
    ``asked_for_access`` or ``left``; ``before`` and ``after`` say from what to what. ``t`` is nine
    in the morning, UTC. A company of the first edition has no lives: the table is empty.
    """
    rows: list[tuple[str, int, int, str, str | None, str | None]] = []
    if spec.edition >= WHOLE:
        for index in range(spec.people):
            happened = sorted(_happenings(spec, index, person(spec, index)))
            for day, what, before, after in happened:
                if day < spec.days:
                    t = (spec.start_day + day) * DAY_US + 9 * DAY_US // 24
                    rows.append((external_id(index), day, t, what, before or None, after or None))
    columns = list(zip(*rows, strict=True)) or [()] * len(LIVES)
    return pa.table(
        [
            pa.array(values, pa.int64()).cast(T)
            if item.name == "t"
            else pa.array(values, item.type)
            for item, values in zip(LIVES, columns, strict=True)
        ],
        schema=LIVES,
    )


def _happenings(spec: Spec, index: int, who: Person) -> list[tuple[int, str, str, str]]:
    told = life(spec, index)
    gone = told.leaves if told.leaves is not None else spec.days
    found: list[tuple[int, str, str, str]] = []
    for quarter in range((spec.days - 1) // _QUARTER + 1):
        spell = _leave(spec, index, quarter)
        if spell is not None:
            found += [(spell[0], "leave.begins", "", ""), (spell[1], "leave.ends", "", "")]
    if told.new_role:
        found.append((told.new_role[0], "role.changed", who.role, told.new_role[1]))
    if told.new_place:
        found.append((told.new_place[0], "moved", who.jurisdiction, told.new_place[1]))
    if told.withdraws is not None:
        found.append((told.withdraws, "withdrew", "", ""))
    if told.asks is not None:
        found.append((told.asks, "asked_for_access", "", ""))
    found = [each for each in found if each[0] < gone]
    if told.leaves is not None:
        found.append((told.leaves, "left", "", ""))
    return found
