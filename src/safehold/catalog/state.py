"""What the register says about sources: how far one has come, and what it counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """A run of sequence numbers of one device, session and stream.

    Args:
        origin: 16 bytes, device pseudonym and session pseudonym.
        stream: Name of the stream.
        first: First sequence number.
        last: Last sequence number, inclusive.
    """

    origin: bytes
    stream: str
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceState:
    """How far a source has come.

    Args:
        state: ``staging``, ``live`` or ``refused``.
        begun_us: When it was first begun; a rerun uses the same moment.
        done: Numbers of the chunks that are committed.
        tally: Counters summed over them.
    """

    state: str
    begun_us: int
    done: frozenset[int]
    tally: dict[str, dict[str, int]]


def add_tallies(tallies: Iterable[Mapping[str, Mapping[str, int]]]) -> dict[str, dict[str, int]]:
    """Return the sum of tallies, group by group."""
    total: dict[str, dict[str, int]] = {}
    for tally in tallies:
        for group, counts in tally.items():
            into = total.setdefault(group, {})
            for name, count in counts.items():
                into[name] = into.get(name, 0) + count
    return total
