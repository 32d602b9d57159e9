"""What one measurement of a promise found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one measurement found.

    Args:
        micro: The figure in millionths; None where there was nothing to measure.
        sentence: What was looked at, in words.
    """

    micro: int | None
    sentence: str
