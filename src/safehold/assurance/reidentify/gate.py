"""What may leave a sandbox in which people were attacked: how many were recognised, and nothing of whom.

It runs on the trusted side and believes no frame. For each stream and level one message passes, once: numbers within
their range, words out of closed lists, no body. Nothing passes about fewer people than the charter asks for but how
many they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from safehold.assurance.reidentify.trial import STREAMS
from safehold.errors import ERRORS, DeniedError, SafeholdError, TamperedError
from safehold.telemetry.stream import Level

_KEYS: Final = frozenset(
    {"type", "stream", "level", "kinds", "people", "hits", "worst", "probe", "enrolled"}
)
_SAID: Final = ("hits", "worst", "probe", "enrolled")  # said of enough people, or not at all
_VIEWS: Final = ("code", "zone", "token", "class", "act", "kind")
NAMES: Final = frozenset(
    {"discriminant", "forest", "encoder", "fused"}
    | {f"{how} {view}" for how in ("profile", "order") for view in _VIEWS}
)
_MOST_EVENTS: Final = 10**9
# a recipe's own words never pass: an error arrives as its code and one of these rules
_REASONS: Final = {
    "reidentify.spec": "the spec of an attack is wrong",
    "reidentify.part": "a part is not what an attack reads",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskAllowance:
    """What one attack may send.

    Args:
        people: How many people were handed in.
        min_people: Fewest people anything may be said about.
        kinds: Kinds of attacker that were to try.
    """

    people: int
    min_people: int
    kinds: tuple[str, ...]


class RiskGate:
    """Admit the frames of one attack.

    Args:
        allowance: What it may send.
    """

    def __init__(self, allowance: RiskAllowance) -> None:
        self._allowance = allowance
        self._seen: set[tuple[str, int]] = set()

    def admit(self, header: Mapping[str, Any], body: bytes | memoryview = b"") -> dict[str, Any]:
        """Return what a frame says, built anew.

        Raises:
            TamperedError: It is not a message in its only form.
            DeniedError: It may not leave.
            SafeholdError: The recipe reported an error of its own.
        """
        if len(body):
            raise TamperedError("a message of this type has no body", rule="egress.body")
        if header.get("type") == "error":
            raise _reason(header)
        if header.get("type") != "risk":
            raise DeniedError("the recipe sent a message it may not send", rule="egress.type")
        if set(header) != _KEYS:
            raise TamperedError("a header has other keys than its type", rule="egress.header")
        stream, level = header["stream"], header["level"]
        _among(stream, STREAMS)
        _whole(level, Level.L0, Level.L3)
        if (stream, level) in self._seen:
            raise TamperedError("the same message came twice", rule="egress.once")
        self._seen.add((stream, level))
        allowance = self._allowance
        if header["kinds"] != list(allowance.kinds):
            raise TamperedError("other attackers than were asked for", rule="egress.text")
        people = header["people"]
        _whole(people, 0, allowance.people)
        if people < max(allowance.min_people, 2):
            if any(header[name] is not None for name in _SAID):
                raise DeniedError("the figures are about too few people", rule="charter.min_people")
        else:
            _whole(header["hits"], 0, people)
            _among(header["worst"], NAMES)
            for name in ("probe", "enrolled"):
                _whole(header[name], 0, _MOST_EVENTS)
                if len(str(header[name]).rstrip("0")) > 2:
                    raise TamperedError("a figure is too fine", rule="egress.number")
        return {name: header[name] for name in _KEYS - {"type"}}

    def close(self) -> None:
        """Check that something came.

        Raises:
            TamperedError: Nothing did.
        """
        if not self._seen:
            raise TamperedError("the run ended without figures", rule="egress.whole")


def _among(value: Any, words: Any) -> None:
    if not isinstance(value, str) or value not in words:
        raise TamperedError("text outside its closed list", rule="egress.text")


def _whole(value: Any, least: int, most: int) -> None:
    if type(value) is not int or not least <= value <= most:
        raise TamperedError("a whole number is out of range", rule="egress.number")


def _reason(header: Mapping[str, Any]) -> SafeholdError:
    kind, rule = ERRORS.get(str(header.get("code")), SafeholdError), header.get("rule")
    if not isinstance(rule, str) or rule not in _REASONS:
        return SafeholdError("the recipe failed", rule="egress.recipe")
    return kind(_REASONS[rule], rule=rule)
