"""Whether a protected stream passes a gate: on the upper bound of the worst attacker, with enough people."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

from safehold.assurance.reidentify.score import CONFIDENCE, Figure
from safehold.charter.oversight import Gate
from safehold.charter.value import MICRO
from safehold.errors import InvalidError
from safehold.telemetry.schema import Level

PASSED, FAILED, TOO_FEW = "passed", "failed", "too few people"
LEAST: Final = 50  # people; fewer say nothing about a company
MEASURE: Final = "reidentify.top1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a level stands against a gate.

    Args:
        gate: Name of the gate.
        bound: Largest share that may be recognised, in millionths.
        state: ``passed``, ``failed`` or ``too few people``.
        fewest: People needed before it can be said to pass.
    """

    gate: str
    bound: int
    state: str
    fewest: int

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "gate": self.gate,
            "must_be": self.bound / MICRO,
            "state": self.state,
            "fewest_people": self.fewest,
        }


def fewest_people(bound: int) -> int:
    """Return how many people it takes: so many that no hit among them proves the bound, and never under ``LEAST``.

    Args:
        bound: Largest share, in millionths; below one.
    """
    if bound >= MICRO:
        return LEAST
    if bound <= 0:
        raise InvalidError(
            "no number of people proves that nobody is recognised",
            rule="reidentify.bound",
            fix="state a share above 0 in the gate",
        )
    return max(LEAST, math.ceil(math.log(1 - CONFIDENCE) / math.log1p(-bound / MICRO)))


def judge_gate(gate: Gate, figures: list[Figure]) -> Verdict:
    """Return how the worst of the attackers stands against a gate.

    Args:
        gate: A gate whose attack is ``reidentify``.
        figures: What each attacker reached on the gate's level.

    Raises:
        InvalidError: The gate measures something else, or asks for more rather than less.
    """
    if gate.attack != "reidentify" or gate.measure != MEASURE or gate.must_be.op not in ("<=", "<"):
        raise InvalidError(
            "the gate cannot be measured by this attack",
            rule="reidentify.gate",
            fix=f"measure {MEASURE} with <= or <",
        )
    bound = gate.must_be.micro
    people = min((one.people for one in figures), default=0)
    fewest = fewest_people(bound)
    upper = max((one.upper for one in figures), default=1.0)
    share = max((one.rank1 for one in figures), default=1.0)
    fits = upper * MICRO < bound if gate.must_be.op == "<" else upper * MICRO <= bound
    if people < fewest and share * MICRO <= bound:
        state = TOO_FEW
    else:
        state = PASSED if fits else FAILED
    return Verdict(gate=gate.id, bound=bound, state=state, fewest=fewest)


def gate_of(gates: tuple[Gate, ...], level: Level) -> Gate | None:
    """Return the strictest gate on re-identification at a level, or None."""
    found = [one for one in gates if one.attack == "reidentify" and one.level == level.name]
    return min(found, key=lambda one: one.must_be.micro, default=None)
