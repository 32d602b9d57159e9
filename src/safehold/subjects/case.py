"""What a person asked for and is owed an answer to: an objection, a restriction, a correction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

OBJECTION, RESTRICTION, CORRECTION = "object", "restrict", "correct"
# outcomes of each, and whether they go against the person
OUTCOMES: Final[Mapping[str, Mapping[str, bool]]] = {
    OBJECTION: {"upheld": False, "refused": True},
    RESTRICTION: {"kept": False, "lifted": True},
    CORRECTION: {"corrected": False, "annotated": False, "refused": True},
}
WITHDRAWN = "taken_back"  # the person ended it themselves


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One request of a person.

    Args:
        id: Opaque.
        right: ``object``, ``restrict`` or ``correct``.
        about: Purposes, or for a correction what is wrong; words of the system, never the person's text.
        at_us: When it was asked, microseconds.
        due_us: When an answer is due at the latest.
        answered_us: When it was answered, or None.
        outcome: How; empty while it is open.
    """

    id: str
    right: str
    about: tuple[str, ...]
    at_us: int
    due_us: int
    answered_us: int | None = None
    outcome: str = ""

    @property
    def open(self) -> bool:
        """Whether it waits for an answer."""
        return self.answered_us is None

    def overdue(self, at_us: int) -> bool:
        """Return whether the answer is late."""
        return self.open and at_us > self.due_us

    def to_record(self) -> list[Any]:
        """Return it as canonical JSON values."""
        times = [self.at_us, self.due_us, self.answered_us]
        return [self.id, self.right, list(self.about), times, self.outcome]

    @classmethod
    def from_record(cls, record: list[Any]) -> Case:
        """Read what ``to_record`` wrote."""
        name, right, about, (at_us, due_us, answered_us), outcome = record
        return cls(
            id=name,
            right=right,
            about=tuple(about),
            at_us=at_us,
            due_us=due_us,
            answered_us=answered_us,
            outcome=outcome,
        )


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Days of one stream that a person contests, or whose place was wrong; nothing of them is used.

    Args:
        stream: The stream.
        first_day: UTC day number.
        last_day: UTC day number, that day included.
        case: The case it belongs to; empty if it ends only with the data.
    """

    stream: str
    first_day: int
    last_day: int
    case: str = ""

    def covers(self, stream: str, window: int) -> bool:
        """Return whether rows of a stream and day lie inside."""
        return self.stream == stream and self.first_day <= window <= self.last_day
