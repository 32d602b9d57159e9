"""A request: what was asked, and what was said to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from safehold.access import (
    Approval,
    Grant,
    PeopleFilter,
    Price,
)

VERSION: Final = "safehold-request/2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked, and what was said to it.

    Args:
        grant: What is asked for.
        people: Who is meant.
        price: How far it reaches, computed when it was asked.
        approvals: What seats said to the keeper, in order.
        entry: Index of its leaf.
    """

    grant: Grant
    people: PeopleFilter
    price: Price
    approvals: tuple[Approval, ...]
    entry: int

    def to_json(self) -> dict[str, Any]:
        """Return the record that is sealed."""
        return {
            "v": VERSION,
            "grant": self.grant.to_json(),
            "people": self.people.to_json(),
            "price": self.price.to_json(),
            "approvals": [one.to_json() for one in self.approvals],
            "entry": self.entry,
        }

    @classmethod
    def from_json(cls, tree: Any) -> Request:
        """Read what ``to_json`` made."""
        return cls(
            grant=Grant.from_json(tree["grant"]),
            people=PeopleFilter.from_json(tree["people"]),
            price=Price.from_json(tree["price"]),
            approvals=tuple(Approval.from_json(one) for one in tree["approvals"]),
            entry=tree["entry"],
        )
