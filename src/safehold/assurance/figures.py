"""What may leave a sandbox in which a model was attacked: one message of counts, and nothing of whom.

It runs on the trusted side and believes no frame: names of counts come from a closed list for each attack, every
count lies within what the run was told, and nothing is said about fewer people than the charter asks for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from safehold.assurance.canary.plant import CANDIDATES
from safehold.errors import ERRORS, DeniedError, SafeholdError, TamperedError

MEMBERSHIP: Final = "membership"
CANARY: Final = "canary"
_COUNTS: Final = {
    MEMBERSHIP: ("members", "others", "hits", "false", "even_hits", "even_false"),
    CANARY: ("planted", "candidates", "exposed", "deepest", "mean"),
}
_REASONS: Final = {
    "attack.spec": "the spec of an attack is wrong",
    "attack.part": "a part is not what an attack reads",
    "membership.people": "there are too few people to set a threshold",
    "membership.shadows": "there are too few people to train shadow models",
}
_DEEPEST: Final = 14_000  # thousandths of a bit: log2 of the candidates and one


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureAllowance:
    """What one attack may send.

    Args:
        attack: ``membership`` or ``canary``.
        members: People who trained (membership).
        others: People who did not (membership).
        min_people: Fewest people anything may be said about (membership).
        planted: Planted sequences (canary).
    """

    attack: str
    members: int = 0
    others: int = 0
    min_people: int = 0
    planted: int = 0


class FigureGate:
    """Admits the one frame of an attack on a model.

    Args:
        allowance: What it may send.
    """

    def __init__(self, allowance: FigureAllowance) -> None:
        self._allowance = allowance
        self._seen = False

    def admit(self, header: Mapping[str, Any], body: bytes | memoryview = b"") -> dict[str, int]:
        """Return what a frame says, built anew.

        Raises:
            TamperedError: It is not the one message in its only form.
            DeniedError: It may not leave.
            SafeholdError: The recipe reported an error of its own.
        """
        allowance = self._allowance
        if len(body):
            raise TamperedError("a message of this type has no body", rule="egress.body")
        if header.get("type") == "error":
            raise _reason(header)
        if header.get("type") != "figures" or header.get("attack") != allowance.attack:
            raise DeniedError("the recipe sent a message it may not send", rule="egress.type")
        names = _COUNTS[allowance.attack]
        if set(header) != {"type", "attack", *names} or self._seen:
            raise TamperedError("a header has other keys than its type", rule="egress.header")
        self._seen = True
        said = {name: header[name] for name in names}
        if any(type(one) is not int or one < 0 for one in said.values()):
            raise TamperedError("a whole number is out of range", rule="egress.number")
        if allowance.attack == MEMBERSHIP:
            self._membership(said)
        else:
            self._canary(said)
        return said

    def close(self) -> None:
        """Check that the message came.

        Raises:
            TamperedError: It did not.
        """
        if not self._seen:
            raise TamperedError("the run ended without figures", rule="egress.whole")

    def _membership(self, said: Mapping[str, int]) -> None:
        allowance = self._allowance
        if (said["members"], said["others"]) != (allowance.members, allowance.others):
            raise TamperedError("the figures are about other people", rule="egress.people")
        if min(allowance.members, allowance.others) < allowance.min_people:
            raise DeniedError("the figures are about too few people", rule="charter.min_people")
        if max(said["hits"], said["even_hits"]) > allowance.members or (
            max(said["false"], said["even_false"]) > allowance.others
        ):
            raise TamperedError("the figures do not add up", rule="egress.number")

    def _canary(self, said: Mapping[str, int]) -> None:
        if said["planted"] != self._allowance.planted or said["candidates"] != CANDIDATES:
            raise TamperedError("the figures are about other sequences", rule="egress.people")
        if said["exposed"] > said["planted"] or said["mean"] > said["deepest"]:
            raise TamperedError("the figures do not add up", rule="egress.number")
        if said["deepest"] > _DEEPEST or (said["exposed"] > 0) != (said["deepest"] == _DEEPEST):
            raise TamperedError("the figures do not add up", rule="egress.number")


def _reason(header: Mapping[str, Any]) -> SafeholdError:
    kind, rule = ERRORS.get(str(header.get("code")), SafeholdError), header.get("rule")
    if not isinstance(rule, str) or rule not in _REASONS:
        return SafeholdError("the recipe failed", rule="egress.recipe")
    return kind(_REASONS[rule], rule=rule)
