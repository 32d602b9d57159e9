"""What a dataset may be used for, and until when: derived data inherits the narrowest of its parents.

Rule 6 of the seven promises. People, categories, places and days unite, purposes intersect, the earliest expiry wins:
see ``algebra``, which computes with sets. What is written down of it is a ``DatasetLabel``: it counts people and
commits to the set of them under a key, and names nobody. Nothing here can widen a label; only a declared
declassifier (a differentially private release) ends the chain, and that is recorded as a release and not as a label.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from safehold.catalog.algebra import Inherited, join
from safehold.errors import DeniedError
from safehold.vault import SealedBlock


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetLabel:
    """The label of one dataset, as it is written down.

    Args:
        people: How many people's data it holds.
        streams: Streams it came from.
        purposes: Purposes it may serve.
        jurisdictions: Where its people are.
        expires: First UTC day on which it may no longer exist.
        first_day: First UTC day of the telemetry it came from.
        last_day: Last one.
        categories: Terms of the charter for its streams.
        silos: Silos that they lie in.
        tells: Groups of classes that may be concluded from it.
        masks: Groups of classes that the charter masks in what it came from.
        gates: Gates that it must have passed.
        sensitivity: 1 to 4; 4 where nobody said.
        digest: Commits to the set of people under a key of the keeper, hex; empty where nobody did.
    """

    people: int
    streams: frozenset[str]
    purposes: frozenset[str]
    jurisdictions: frozenset[str]
    expires: int
    first_day: int
    last_day: int
    categories: frozenset[str] = frozenset()
    silos: frozenset[str] = frozenset()
    tells: frozenset[str] = frozenset()
    masks: frozenset[str] = frozenset()
    gates: frozenset[str] = frozenset()
    sensitivity: int = 4
    digest: str = ""

    def to_record(self) -> dict[str, Any]:
        """Return the label as canonical JSON values."""
        return {
            "people": self.people,
            "expires": self.expires,
            "first_day": self.first_day,
            "last_day": self.last_day,
            "sensitivity": self.sensitivity,
            "digest": self.digest,
            **{name: sorted(getattr(self, name)) for name in _SETS},
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> DatasetLabel:
        """Read a label back; one that an older version wrote says nothing of categories."""
        return _same(
            cls(
                # whole numbers, and no truth values, which equal one: what is kept stands for all that equals it
                people=int(record["people"]),
                expires=int(record["expires"]),
                first_day=int(record["first_day"]),
                last_day=int(record["last_day"]),
                sensitivity=int(record.get("sensitivity", 4)),
                digest=record.get("digest", ""),
                **{name: _shared(tuple(record.get(name, ()))) for name in _SETS},
            )
        )

    def inherited(self, people: Iterable[str] = ()) -> Inherited:
        """Return what something made from this inherits, with the people as a set.

        Args:
            people: Whose data it is; a label that is read back no longer knows.
        """
        return Inherited(
            people=frozenset(people),
            expires=self.expires,
            first_day=self.first_day,
            last_day=self.last_day,
            sensitivity=self.sensitivity,
            **{name: getattr(self, name) for name in _SETS},
        )


@lru_cache(maxsize=4096)
def _shared(names: tuple[str, ...]) -> frozenset[str]:
    """Return one set for all labels that say the same: most do, and eight sets of its own are 2 kB a label."""
    return frozenset(names)


@lru_cache(maxsize=4096)
def _same(label: DatasetLabel) -> DatasetLabel:
    """Return one label for all datasets that say the same: most sources of one person and day do."""
    return label


_SETS = (
    "streams",
    "purposes",
    "jurisdictions",
    "categories",
    "silos",
    "tells",
    "masks",
    "gates",
)


def write_label(held: Inherited, *, digest: str = "") -> DatasetLabel:
    """Return what is written down of a label.

    Raises:
        DeniedError: It may serve nothing.
    """
    if held.closed or not held.purposes:
        raise DeniedError(
            "the parents share no purpose",
            rule="label.purposes",
            fix="derive from data that was collected for one purpose",
        )
    return DatasetLabel(
        people=len(held.people),
        expires=held.expires,
        first_day=held.first_day,
        last_day=held.last_day,
        sensitivity=held.sensitivity,
        digest=digest,
        **{name: getattr(held, name) for name in _SETS},
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
    made = write_label(join(one.inherited() for one in labels))
    return DatasetLabel.from_record({**made.to_record(), "people": people})


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
