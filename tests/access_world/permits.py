"""Grants: asked for, approved by the lead after a while, good for a segment and a purpose, and gone again."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.access_world.almanac import HOUR_US
from tests.access_world.dice import Dice

LIVES_H = {4: 0.05, 10: 0.12, 24: 0.2, 72: 0.28, 168: 0.25, 336: 0.1}


@dataclass
class Permit:
    grant: str
    segment: str
    purpose: str
    asked: int
    since: int
    until: int


@dataclass
class Wallet:
    """The grants that one principal has had."""

    principal: str
    permits: dict[tuple[str, str], Permit] = field(default_factory=dict)

    def valid(self, segment: str, purpose: str, moment: int) -> Permit | None:
        """The grant in force; or one that was asked for a moment ago, for which they wait."""
        found = self.permits.get((segment, purpose))
        return found if found and found.asked <= moment < found.until else None

    def expired(self, segment: str, purpose: str) -> Permit | None:
        return self.permits.get((segment, purpose))

    def issue(
        self, dice: Dice, segment: str, purpose: str, moment: int, hours: float = 0.0, wait: int = 0
    ) -> Permit:
        life = hours or dice.weighted(LIVES_H)
        permit = Permit(
            f"g-{dice.randrange(16**8):08x}",
            segment,
            purpose,
            moment,
            moment + wait,
            moment + wait + int(life * HOUR_US),
        )
        self.permits[segment, purpose] = permit
        return permit
