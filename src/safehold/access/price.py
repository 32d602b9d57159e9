"""The price of a request: how far it reaches at most, computed before anybody approves it.

Holds: the keeper computes it from the register, the catalogue and the lineage when it takes the request, and keeps
it; whoever asks says nothing about it. Every approval names its hash.
Does not hold: it counts everybody whom the filter of the request covers, whether they take part now or not, so that a
price never tells who chose what. A use reaches fewer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from safehold import canonical
from safehold.errors import InvalidError

VERSION: Final = "safehold-price/1"
_NUMBERS: Final = ("people", "days", "epsilon_micro", "epsilon_left_micro", "at_us")
_NAMES: Final = ("classes", "models")


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """How far one grant reaches.

    Args:
        grant: Digest of the grant, hex.
        people: Most people it reaches.
        classes: Kinds of data of the charter that lie in it or behind it, sorted.
        days: Days of telemetry.
        models: Models that were made from the same data: what a leak of it would touch beside the data, sorted.
        epsilon_micro: Most epsilon it may spend, millionths.
        epsilon_left_micro: What the purpose has left of its budget now, millionths.
        at_us: When it was computed, microseconds.
    """

    grant: str
    people: int
    classes: tuple[str, ...]
    days: int
    models: tuple[str, ...]
    epsilon_micro: int
    epsilon_left_micro: int
    at_us: int

    @property
    def reach(self) -> int:
        """People x classes x days x (1 + models): one number to compare requests by."""
        return self.people * len(self.classes) * self.days * (1 + len(self.models))

    def to_json(self) -> dict[str, Any]:
        """Return the canonical tree."""
        return {
            "v": VERSION,
            "grant": self.grant,
            **{name: getattr(self, name) for name in _NUMBERS},
            **{name: list(getattr(self, name)) for name in _NAMES},
        }

    @classmethod
    def from_json(cls, tree: Any) -> Price:
        """Read what ``to_json`` made.

        Raises:
            InvalidError: It is no price.
        """
        try:
            rest: dict[str, Any] = {name: tree[name] for name in _NUMBERS}
            rest |= {name: tuple(tree[name]) for name in _NAMES}
            price = cls(grant=tree["grant"], **rest)
            whole = price.to_json() == tree
        except (KeyError, TypeError) as error:
            raise InvalidError("not a price", rule="price.shape") from error
        if (
            not whole
            or type(price.grant) is not str
            or not all(type(getattr(price, name)) is int for name in _NUMBERS)
            or not all(isinstance(one, str) for name in _NAMES for one in getattr(price, name))
        ):
            raise InvalidError("not a price", rule="price.shape")
        return price

    def digest(self) -> bytes:
        """Return the SHA-256 of the canonical bytes, 32 bytes: what an approval names."""
        return canonical.digest(self.to_json())
