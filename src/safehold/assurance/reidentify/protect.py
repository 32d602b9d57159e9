"""The stream an attacker gets: what the project's own minimisation leaves at a level."""

from __future__ import annotations

import pyarrow as pa

from safehold.dlp import Rules, minimise
from safehold.telemetry.stream import Level


def protect(stream: str, wire: pa.Table, level: Level) -> pa.Table:
    """Return the events as they would be stored at a level; nobody's are left out.

    Args:
        stream: ``key`` or ``pointer``.
        wire: Events in wire form, whole sittings.
        level: The level.
    """
    return minimise(stream, wire, Rules(stream=stream, level=level)).table
