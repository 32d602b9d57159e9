"""A time in which nothing is recorded: from minutes to open-ended, at once or planned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Pause:
    """A time in which nothing is recorded.

    Args:
        start_us: First moment, microseconds since 1970.
        end_us: First moment after it, or None while it has no end.
        asked_us: When it was asked for, where that matters: of one that begins later, or ends by itself.
    """

    start_us: int
    end_us: int | None = None
    asked_us: int | None = None

    def covers(self, at_us: int) -> bool:
        """Return whether a moment lies inside."""
        return self.start_us <= at_us and (self.end_us is None or at_us < self.end_us)

    def holds(self, at_us: int) -> bool:
        """Return whether it holds now.

        One that began when it was asked for holds until its end, also for a clock that was set back to before it.
        """
        if self.end_us is None and self.asked_us is None:
            return True
        if self.asked_us is not None and self.asked_us >= self.start_us:
            return self.end_us is None or at_us < self.end_us
        return self.covers(at_us)

    def ended(self, at_us: int) -> Pause:
        """Return it as over."""
        return Pause(self.start_us, max(at_us, self.start_us + 1))

    def to_record(self) -> list[int | None]:
        """Return it as canonical JSON values."""
        asked = [] if self.asked_us is None else [self.asked_us]
        return [self.start_us, self.end_us, *asked]

    @classmethod
    def from_record(cls, record: Sequence[Any]) -> Pause:
        """Read what ``to_record`` wrote."""
        return cls(*record)
