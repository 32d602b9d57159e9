"""What a dataset may be used for, and until when: derived data inherits the narrowest of its parents.

Rule 6 of the seven promises. People and categories unite, purposes and jurisdictions intersect, the earliest
expiry wins. Nothing here can widen a label; only a declared declassifier (a differentially private release)
ends the chain, and that is recorded as a release and not as a label.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from safehold.errors import DeniedError
from safehold.vault import SealedBlock


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetLabel:
    """The label of one dataset.

    Args:
        people: How many people's data it holds.
        streams: Streams it came from.
        purposes: Purposes it may serve.
        jurisdictions: Where its people are.
        expires: First UTC day on which it may no longer exist.
    """

    people: int
    streams: frozenset[str]
    purposes: frozenset[str]
    jurisdictions: frozenset[str]
    expires: int

    def to_record(self) -> dict[str, Any]:
        """Return the label as canonical JSON values."""
        return {
            "people": self.people,
            "streams": sorted(self.streams),
            "purposes": sorted(self.purposes),
            "jurisdictions": sorted(self.jurisdictions),
            "expires": self.expires,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> DatasetLabel:
        """Read a label back."""
        return cls(
            people=record["people"],
            streams=frozenset(record["streams"]),
            purposes=frozenset(record["purposes"]),
            jurisdictions=frozenset(record["jurisdictions"]),
            expires=record["expires"],
        )


def derive(parents: Iterable[DatasetLabel], *, people: int) -> DatasetLabel:
    """Return the label of something made from ``parents``.

    Args:
        parents: At least one label.
        people: Number of people in the result.

    Raises:
        DeniedError: The parents share no purpose, so nothing may be made from them together.
    """
    labels = list(parents)
    if not labels:
        raise DeniedError("nothing to derive from", rule="label.parents")
    purposes = frozenset.intersection(*(label.purposes for label in labels))
    if not purposes:
        raise DeniedError(
            "the parents share no purpose",
            rule="label.purposes",
            fix="derive from data that was collected for one purpose",
        )
    return DatasetLabel(
        people=people,
        streams=frozenset.union(*(label.streams for label in labels)),
        purposes=purposes,
        jurisdictions=frozenset.union(*(label.jurisdictions for label in labels)),
        expires=min(label.expires for label in labels),
    )


def label_blocks(blocks: Sequence[SealedBlock]) -> DatasetLabel:
    """Return the narrowest label over some blocks; it may serve no purpose at all.

    Args:
        blocks: At least one.
    """
    return DatasetLabel(
        people=len({block.person for block in blocks}),
        streams=frozenset(block.stream for block in blocks),
        purposes=frozenset.intersection(*(frozenset(block.label.purposes) for block in blocks)),
        jurisdictions=frozenset(block.label.jurisdiction for block in blocks),
        expires=min(block.label.expires for block in blocks),
    )
