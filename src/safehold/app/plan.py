"""What a run is to do, as its caller said."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one run is to do.

    Args:
        sources: Files to take in.
        mappings: Mapping of each in turn; missing ones are recognised.
        person: Whose events they are, where the format does not say.
        charter: Signed charter to enact first, or None for the one in force.
        tolerate: Share of rows that may be refused.
        purpose: Purpose of the training.
        grant: An approved request.
        holder: The key of the grant's holder.
        seats: A folder of seat keys, for trying things out.
        roster: A file of the names of people who work here, to be masked in the sources.
    """

    sources: tuple[Path, ...]
    mappings: tuple[str, ...] = ()
    person: str | None = None
    charter: Path | None = None
    tolerate: float | None = None
    purpose: str = "train_ui_agent"
    grant: Path | None = None
    holder: Path | None = None
    seats: Path | None = None
    roster: Path | None = None
