"""What one measurement of a promise found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one measurement found.

    Args:
        micro: The figure in millionths; None where there was nothing to measure.
        sentence: What was looked at, in words.
    """

    micro: int | None
    sentence: str

    @classmethod
    def of(cls, found: tuple[int | None, str]) -> Self:
        """Return a figure with its sentence."""
        return cls(micro=found[0], sentence=found[1])
