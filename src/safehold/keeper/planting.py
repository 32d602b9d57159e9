"""What a training needs so that its model can be attacked afterwards: who is held out, and what is planted.

Holds: the recipe cannot tell a planted sequence from a person; nothing of who was held out or of what was planted is
stored. Both follow from a secret of the keeper, the number of the intent and the person, so whoever was erased leaves
nothing here, and nobody who has only the database can say who was in.

The choice touches no data, and a person is on one side only, so the promise of the training is unchanged.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from safehold import ids
from safehold.charter import Charter
from safehold.ids import PersonId
from safehold.keeper.bounds import Opening
from safehold.keeper.ports import Beside

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

HELD_OUT_PPM: Final = 200_000  # share of people that only score, in millionths
DERIVED: Final = "trial"  # of the keeper's derivation secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one training gets beside people's rows.

    Args:
        held_out: Run-scoped names of those who do not train.
        beside: Planted sequences with their run-scoped names.
        record: What is kept to attack the model later; nothing about anybody.
    """

    held_out: tuple[str, ...]
    beside: Beside
    record: dict[str, Any]


def plan_training(
    desk: Desk, opening: Opening, settings: dict[str, Any], *, least: int, charter: Charter
) -> Plan:
    """Return who is held out of a training, and what is planted in it if the charter asks for that.

    Args:
        desk: What the keeper works with.
        opening: The people whose rows it gets.
        settings: Its public settings.
        least: Fewest people on each side about whom anything may be said.
        charter: The charter in force.
    """
    people = sorted(opening.blocks)
    intent = opening.intent.index
    held = _held_out(desk, people, intent, least=least)
    cut = max((place_of(desk, intent, one) for one in held), default="")
    planted: list[tuple[dict[str, Any], Any]] = []
    if any(gate.attack == "canary" for gate in charter.gates):
        count = desk.examiner.count(len(people) - len(held))
        tables = desk.examiner.plant(settings, canary_key(desk, intent), count)
        planted = [({"person": ids.opaque_id("p")}, table) for table in tables]
    return Plan(
        held_out=tuple(sorted(opening.aliases[one] for one in held)),
        beside=Beside(
            parts=[
                ({**header, "stream": "feature", "window": desk.today()}, table)
                for header, table in planted
            ],
            names=frozenset(header["person"] for header, _ in planted),
        ),
        record={"recipe": "train", "cut": cut, "planted": len(planted)},
    )


def place_of(desk: Desk, intent: int, person: PersonId) -> str:
    """Return where somebody stands in the order of one training; it begins with those who are held out."""
    return hmac.digest(_secret(desk, intent), b"place\0" + str(person).encode(), "sha256").hex()


def canary_key(desk: Desk, intent: int) -> bytes:
    """Return the key that the sequences planted in one training are drawn with, 32 bytes."""
    return hmac.digest(_secret(desk, intent), b"canary", "sha256")


def _secret(desk: Desk, intent: int) -> bytes:
    return hmac.digest(desk.vault.derive(DERIVED), b"training/%d" % intent, "sha256")


def _held_out(desk: Desk, people: Sequence[PersonId], intent: int, *, least: int) -> list[PersonId]:
    """Return who only scores: enough that something may be said about them, or nobody."""
    held = max(least, round(len(people) * HELD_OUT_PPM / 1e6))
    if len(people) < 2 * least:
        held = 0
    if desk.home.synthetic and held == 0:
        held = max(0, min(round(len(people) * HELD_OUT_PPM / 1e6), len(people) - least))
    return sorted(people, key=lambda one: place_of(desk, intent, one))[:held]
