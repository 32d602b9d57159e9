"""What the sentinel says: one sentence with its evidence, and what is usual."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from safehold.clock import moment_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One episode of one signal about one principal.

    Args:
        t_us: When it was raised: the time of the event that raised it, microseconds.
        principal: About whom.
        signal: Which signal.
        severity: 0 (the least) to 4.
        sentence: What happened, and what is usual, in one sentence; no value of the data.
        events: Numbers of the events that show it, in order.
    """

    t_us: int
    principal: str
    signal: str
    severity: int
    sentence: str
    events: tuple[int, ...]

    @property
    def key(self) -> str:
        """Return what it is found by: the same events give the same key, however often they are read."""
        return f"{self.signal}/{self.principal}/{self.events[-1]}"

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "t": moment_of(self.t_us),
            "principal": self.principal,
            "signal": self.signal,
            "severity": self.severity,
            "sentence": self.sentence,
            "events": list(self.events),
        }
