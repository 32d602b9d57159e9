"""What a dataset may be used for, and until when: derived data inherits the narrowest of its parents.

Rule 6 of the seven promises. People, categories and days unite, purposes and jurisdictions intersect, the earliest
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
        first_day: First UTC day of the telemetry it came from.
        last_day: Last one.
    """

    people: int
    streams: frozenset[str]
    purposes: frozenset[str]
    jurisdictions: frozenset[str]
    expires: int
    first_day: int
    last_day: int

    def to_record(self) -> dict[str, Any]:
        """Return the label as canonical JSON values."""
        return {
            "people": self.people,
            "streams": sorted(self.streams),
            "purposes": sorted(self.purposes),
            "jurisdictions": sorted(self.jurisdictions),
            "expires": self.expires,
            "first_day": self.first_day,
            "last_day": self.last_day,
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
            first_day=record["first_day"],
            last_day=record["last_day"],
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
        first_day=min(label.first_day for label in labels),
        last_day=max(label.last_day for label in labels),
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
        first_day=min(block.window for block in blocks),
        last_day=max(block.window for block in blocks),
    )
