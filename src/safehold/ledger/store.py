"""What the ledger needs of a place that keeps it, and nothing more.

A *store* is the place (a directory, a database); a *journal* is one log in it, held by one process.
The sequencer, the exporter and the replay work with any journal that keeps these promises: a batch
that ``commit`` returned from survives a power cut; it is there whole or not at all; it is there only
if nobody else had moved the log before. Nothing that a journal gives back is believed: opening
computes everything again from the entries.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from safehold.errors import ConflictError, TamperedError
from safehold.ledger import press
from safehold.ledger.tile import unpack_entries
from safehold.ledger.tree import Tile, Tree
from safehold.locks import hold_file

LOCK = "journal.lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What one transaction adds."""

    before: Tree
    before_root: bytes
    after: Tree
    root: bytes
    time: int
    note: bytes
    body: bytes
    sidecars: bytes
    tiles: list[Tile]
    keys: list[tuple[bytes, int]]
    vkeys: str | None = None  # the log's verifier keys from here on, if this batch changes them


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What the journal last agreed on."""

    size: int
    root: bytes
    time: int
    note: bytes
    exported: int


class Journal(Protocol):
    """One log, held by one process.

    Writing is for one thread at a time (the sequencer's lock sees to it); reading is for any.
    Every method may raise UnavailableError if the store does not answer, and TamperedError if it
    gives back what no journal writes.
    """

    def check(self) -> None:
        """Pass if this process still holds the log.

        Raises:
            UnavailableError: It has lost it, and must open the ledger again.
        """

    def cut(self) -> None:
        """Let nobody wait for the store any longer: it is silent, and the journal is lost."""

    def close(self) -> None:
        """Let another process in."""

    def identity(self) -> tuple[str, str]:
        """Return the origin and the verifier keys that sign now, newest first, one space between."""

    def state(self) -> State:
        """Return the newest committed state."""

    def commit(self, batch: Batch) -> None:
        """Make a batch durable; when this returns it survives a power cut.

        Raises:
            TamperedError: Somebody else has moved the log.
            UnavailableError: The store refuses, or it is not known whether the batch is there; the
                ledger must be opened again.
        """

    def add_head(self, size: int, note: bytes) -> None:
        """Keep a published head with its cosignatures, for ever."""

    def set_exported(self, size: int) -> None:
        """Remember how far the static files have come."""

    def head(self, size: int | None = None) -> tuple[int, bytes] | None:
        """Return (size, note) of the published head of a size, or of the newest."""

    def head_from(self, size: int) -> tuple[int, bytes] | None:
        """Return (size, note) of the smallest published head of at least a size."""

    def find(self, key: bytes) -> int | None:
        """Return the index that an idempotency key (its hash) stands for."""

    def tile(self, level: int, number: int) -> bytes | None:
        """Return a full tile."""

    def batches(self, start: int = 0) -> Iterator[tuple[int, list[bytes]]]:
        """Yield (first index, leaves) of every batch from the one that holds ``start``.

        Raises:
            TamperedError: A row is missing, doubled or does not hold what it counts.
        """

    def leaf(self, index: int) -> bytes:
        """Return the bytes of one leaf.

        Raises:
            MissingError: There is no such leaf.
        """

    def sidecar(self, index: int) -> bytes | None:
        """Return the sealed side-car of a leaf, or nothing if it was deleted."""

    def sidecars(self, first: int) -> list[bytes]:
        """Return the sealed side-cars of the batch that begins at a leaf; none if they were deleted."""


class Store(Protocol):
    """Where a log keeps its journal, beside the directory of its static files."""

    def create(self, *, origin: str, vkey: str, note: bytes) -> None:
        """Make the journal of an empty log, whole or not at all.

        Raises:
            ConflictError: There is a log already.
        """

    def open(self, origin: str, /) -> Journal:
        """Hold the journal of a log.

        Raises:
            MissingError: There is no such log.
            ConflictError: Another process holds it.
            UnavailableError: The store does not answer, or would not keep what it acknowledges.
        """

    def published(self, origin: str, size: int, /) -> bytes | None:
        """Return the head of a size that was published, without holding the journal.

        Raises:
            TamperedError: The journal is missing, emptied or damaged.
            UnavailableError: The store does not answer.
        """


def hold_directory(directory: Path) -> int:
    """Lock the directory of a log against other processes and return the descriptor that holds it.

    Raises:
        ConflictError: Another process has it.
        UnavailableError: The file system keeps no locks.
    """
    return hold_file(directory / LOCK, held_by_another())


def require_unheld(directory: Path) -> None:
    """Pass if no process of this machine holds the ledger.

    Raises:
        ConflictError: One does.
        UnavailableError: The file system keeps no locks.
    """
    os.close(hold_directory(directory))


def held_by_another() -> ConflictError:
    """Return the error of a process that came second."""
    return ConflictError(
        "another process holds this ledger",
        rule="ledger.lock",
        fix="stop the other keeper first",
    )


def place_of(level: int, number: int) -> int:
    """Return level and number of a tile as one integer below 2^63."""
    return level << 48 | number


def unpack_batch(at: int, count: int, body: bytes, *, expected: int | None) -> list[bytes]:
    """Return the leaves of one row of a journal.

    Args:
        at: Index of its first leaf.
        count: How many leaves it says it holds.
        body: The leaves, each behind its length.
        expected: Index that has to come next; None if any may.

    Raises:
        TamperedError: It does not hold what it counts, or does not follow the row before.
    """
    leaves = list(unpack_entries(body))
    if len(leaves) != count or not count or expected not in (None, at):
        raise TamperedError(
            f"the journal row at leaf {at} does not follow the one before",
            rule="ledger.journal",
        )
    return leaves


def pack_sidecars(sealed: list[bytes]) -> bytes:
    """Return sealed side-cars one after the other, each behind its length in four bytes."""
    return press.pack(sealed, 4)


def unpack_sidecars(body: bytes) -> list[bytes]:
    """Return what ``pack_sidecars`` packed; what breaks off is left out, as ``pick_sidecar`` leaves it."""
    found, at = [], 0
    while at + 4 <= len(body):
        stop = at + 4 + int.from_bytes(body[at : at + 4], "big")
        found.append(bytes(body[at + 4 : stop]))
        at = stop
    return found


def pick_sidecar(body: bytes, number: int) -> bytes | None:
    """Return one of the side-cars of a row, or nothing if it holds fewer."""
    at = 0
    for _ in range(number):
        at += 4 + int.from_bytes(body[at : at + 4], "big")
    length = int.from_bytes(body[at : at + 4], "big")
    return bytes(body[at + 4 : at + 4 + length]) if at + 4 <= len(body) else None
