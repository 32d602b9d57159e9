"""Whether a protected stream passes a gate: on the upper bound of the worst attacker, with enough people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from safehold.assurance.reidentify.score import Figure
from safehold.charter.oversight import Gate
from safehold.charter.value import MICRO
from safehold.errors import InvalidError
from safehold.privacy.recognition import fewest_people, judge
from safehold.telemetry.stream import Level


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


def judge_gate(gate: Gate, figures: list[Figure]) -> Verdict:
    """Return how the worst of the attackers stands against a gate.

    Args:
        gate: A gate whose attack is ``reidentify``.
        figures: What each attacker reached on the gate's level.

    Raises:
        InvalidError: The gate measures something else, or asks for more rather than less.
    """
    if gate.attack != "reidentify":
        raise InvalidError(
            "the gate cannot be measured by this attack",
            rule="reidentify.gate",
            fix="measure it by the attack that it names",
        )
    worst = max(figures, key=lambda one: one.upper, default=None)
    state = judge(
        gate.must_be,
        measure=gate.measure,
        hits=0 if worst is None else worst.hits,
        people=0 if worst is None else worst.people,
    )
    bound = gate.must_be.micro
    return Verdict(gate=gate.id, bound=bound, state=state, fewest=fewest_people(bound))


def gate_of(gates: tuple[Gate, ...], level: Level) -> Gate | None:
    """Return the strictest gate on re-identification at a level, or None."""
    found = [one for one in gates if one.attack == "reidentify" and one.level == level.name]
    return min(found, key=lambda one: one.must_be.micro, default=None)
