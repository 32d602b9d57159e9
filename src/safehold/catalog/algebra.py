"""The algebra of labels: what is made from several things carries all that bound any of them.

``Inherited`` is a bounded join-semilattice. ``join`` is associative, commutative and idempotent, ``BOTTOM`` is its
neutral element and ``TOP`` absorbs; ``a <= b`` says that b allows no more than a. Purposes intersect and the earliest
expiry wins; people, streams, categories, silos, places, gates owed, and what may be concluded unite; the highest
sensitivity wins.

Places unite because each of them is where somebody in it is, and the law of every one of them counts: a use must be
allowed in all. Intersecting them would let data of two places be used as if it were of neither.

Nothing here takes anything away. Only a declared declassifier ends the chain, and that is a release with an epsilon
and a delta and not a label.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import Any, Final

NEVER: Final = 2**31 - 1  # a day that no label reaches
_UNITED: Final = (
    "people",
    "streams",
    "categories",
    "silos",
    "tells",
    "masks",
    "gates",
    "jurisdictions",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inherited:
    """What something inherits, as sets; the people are in memory alone and never written.

    Args:
        people: Whose data it holds.
        streams: Streams that it came from.
        categories: Terms of the charter for them, from every vocabulary.
        silos: Silos that they lie in.
        tells: Groups of classes that may be concluded from it.
        masks: Groups of classes that the charter masks in what it came from.
        gates: Gates that a dataset made from it must have passed.
        jurisdictions: Where its people are.
        purposes: What it may serve; None for whatever there is, which is true of nothing that exists.
        expires: First UTC day on which it may no longer exist.
        first_day: First UTC day of the telemetry behind it.
        last_day: Last one.
        sensitivity: 0 to 4.
        closed: It may serve nothing, whatever else it says; what has no label is.
    """

    people: frozenset[str] = frozenset()
    streams: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    silos: frozenset[str] = frozenset()
    tells: frozenset[str] = frozenset()
    masks: frozenset[str] = frozenset()
    gates: frozenset[str] = frozenset()
    jurisdictions: frozenset[str] = frozenset()
    purposes: frozenset[str] | None = None
    expires: int = NEVER
    first_day: int = NEVER
    last_day: int = -1
    sensitivity: int = 0
    closed: bool = False

    def __or__(self, other: Inherited) -> Inherited:
        """Return the join."""
        if self.closed or other.closed:
            return TOP
        return Inherited(
            **{name: getattr(self, name) | getattr(other, name) for name in _UNITED},
            purposes=_intersect(self.purposes, other.purposes),
            expires=min(self.expires, other.expires),
            first_day=min(self.first_day, other.first_day),
            last_day=max(self.last_day, other.last_day),
            sensitivity=max(self.sensitivity, other.sensitivity),
        )

    def __le__(self, other: Inherited) -> bool:
        """Return whether the other allows no more than this."""
        return self | other == other

    def serves(self, purpose: str) -> bool:
        """Return whether it may serve a purpose."""
        return not self.closed and (self.purposes is None or purpose in self.purposes)


BOTTOM: Final = Inherited()
TOP: Final = Inherited(purposes=frozenset(), expires=0, first_day=0, last_day=NEVER, closed=True)


def join(labels: Iterable[Inherited]) -> Inherited:
    """Return the join of any number of labels; of none of them the neutral one.

    The sets are united in one pass, so that people are looked at once for each label and not once for each pair.
    """
    found = list(labels)
    if len(found) < 3:
        return reduce(Inherited.__or__, found, BOTTOM)
    if any(one.closed for one in found):
        return TOP
    return Inherited(
        **{name: _unite(getattr(one, name) for one in found) for name in _UNITED},
        purposes=reduce(_intersect, (one.purposes for one in found)),
        expires=min(one.expires for one in found),
        first_day=min(one.first_day for one in found),
        last_day=max(one.last_day for one in found),
        sensitivity=max(one.sensitivity for one in found),
    )


def crossing(labels: Iterable[Inherited]) -> frozenset[str]:
    """Return the groups of classes that become concludable where they are masked only by using labels side by side.

    What one of them tells of its own was judged column by column when it was made (``dlp.feature``).
    """
    found = list(labels)
    masked = frozenset[str]().union(*(one.masks for one in found))
    told = frozenset[str]().union(*(one.tells for one in found))
    alone = frozenset[str]().union(*(one.masks & one.tells for one in found))
    return (masked & told) - alone


def _unite(sets: Iterable[frozenset[str]]) -> Any:
    return frozenset[str]().union(*sets)


def _intersect(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    if one is None or other is None:
        return other if one is None else one
    return one & other
