"""What the register says about sources: how far one has come, and what it counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from safehold import canonical

PAD = 512  # bytes: the length of sealed counters tells little of what was counted


class Sealer(Protocol):
    """Seal small records under a key of the root."""

    def seal(self, plaintext: bytes, *, aad: bytes) -> bytes:
        """Return the sealed bytes."""
        ...

    def open(self, sealed: bytes, *, aad: bytes) -> bytes:
        """Return the plain bytes, or raise ``TamperedError``."""
        ...


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


class Tallies:
    """Counters at rest: what was found in one person's text is telemetry too, so they are sealed.

    Args:
        sealer: Seals them, bound to source and chunk.
    """

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def seal(self, source: str, chunk: int | None, tally: Mapping[str, Mapping[str, int]]) -> bytes:
        """Return the sealed counters of a chunk, or of a whole source."""
        plain = canonical.encode(tally)
        plain += b" " * (-len(plain) % PAD)
        return self._sealer.seal(plain, aad=_aad(source, chunk))

    def open(self, source: str, chunk: int | None, sealed: bytes) -> dict[str, dict[str, int]]:
        """Return counters.

        Raises:
            TamperedError: They were changed, or belong to another chunk or source.
        """
        plain = self._sealer.open(sealed, aad=_aad(source, chunk))
        found: dict[str, dict[str, int]] = canonical.decode(plain.rstrip(b" "))
        return found


def _aad(source: str, chunk: int | None) -> bytes:
    return f"tally/{source}/{'' if chunk is None else chunk}".encode()
