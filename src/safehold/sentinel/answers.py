"""What is done about an alert: the table, turned down by the house where it wants to look first; never turned up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from safehold.errors import InvalidError
from safehold.sentinel import limits
from safehold.sentinel.alert import Alert
from safehold.sentinel.response import FREEZE, HOLD, REVIEW, SUSPEND, actions_for

VERSION: Final = "safehold.answers/1"
EVERYTHING: Final = "*"
MACHINES: Final = ("agent", "workload")
# what a hard limit is answered by, about a machine
AT_ONCE: Final[Mapping[str, tuple[str, ...]]] = {
    limits.DENIED: (SUSPEND, REVIEW),
    limits.VECTORS: (HOLD, SUSPEND, REVIEW),
    limits.PULLED: (HOLD, REVIEW),
    limits.OVERREACH: (SUSPEND, FREEZE, REVIEW),
    limits.RUNAWAY: (SUSPEND, FREEZE, REVIEW),
    limits.SENDING: (SUSPEND, FREEZE, REVIEW),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Which alerts are for a review alone.

    Args:
        review: Signals of which nothing is done by itself; ``*`` for all.
    """

    review: frozenset[str] = frozenset()

    @classmethod
    def from_json(cls, tree: Any) -> Answers:
        """Read the file of a house: ``{"v": "safehold.answers/1", "review": ["denied_burst"]}``.

        Raises:
            InvalidError: It is no such file; it can turn answers down and nothing else.
        """
        match tree:
            case {"v": "safehold.answers/1", "review": [*signals], **rest} if not rest and all(
                isinstance(one, str) for one in signals
            ):
                return cls(review=frozenset(map(str, signals)))
            case _:
                raise InvalidError(
                    "not a list of answers",
                    rule="sentinel.answers",
                    fix='{"v": "safehold.answers/1", "review": ["denied_burst"]}, or ["*"] for all',
                )

    def of(self, alert: Alert, kind: str) -> tuple[str, ...]:
        """Return what is done about an alert, first things first.

        People are never suspended by a figure: about them, somebody looks.

        Args:
            alert: The alert.
            kind: Kind of its principal.
        """
        if kind not in MACHINES or not self.review.isdisjoint((alert.signal, EVERYTHING)):
            return (REVIEW,)
        return AT_ONCE.get(alert.signal) or actions_for(alert, kind).actions
