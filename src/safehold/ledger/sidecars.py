"""Comparing sealed side-cars with their leaves: no key is needed, a leaf names the hash of its own.

What this holds: a side-car that was exchanged for another, older or foreign one is found and named.
What it does not hold: one that was deleted is a loss and no forgery, so it is only counted.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import orjson

from safehold.canonical import b64
from safehold.errors import TamperedError
from safehold.ledger.store_sqlite import JOURNAL
from safehold.ledger.tile import unpack_entries


@dataclass(frozen=True, slots=True)
class Sidecars:
    """How many leaves have their side-car, and how many have lost it."""

    present: int
    missing: int


def check_sidecars(directory: Path) -> Sidecars:
    """Compare every side-car of a journal with its leaf, without holding the journal.

    Args:
        directory: The ledger directory.

    Raises:
        TamperedError: A side-car is not the one its leaf names, or the rows are not well formed.
    """
    present = missing = 0
    for first, body, sealed in _rows(directory / JOURNAL):
        leaves = list(unpack_entries(body))
        found = [] if sealed is None else list(_unpack(sealed, first))
        if len(found) > len(leaves):
            raise TamperedError(
                f"{JOURNAL}: more side-cars than leaves from leaf {first} on", rule="ledger.sidecar"
            )
        for index, (leaf, one) in enumerate(zip(leaves, found, strict=False), first):
            try:
                named = orjson.loads(leaf)["ct"]
            except (ValueError, KeyError, TypeError) as error:
                raise TamperedError(
                    f"{JOURNAL}: leaf {index} is malformed", rule="ledger.journal"
                ) from error
            if b64(hashlib.sha256(one).digest()) != named:
                raise TamperedError(
                    f"{JOURNAL}: the side-car of leaf {index} is not the one its leaf names",
                    rule="ledger.sidecar",
                    fix="put back the side-car, or find out who changed it",
                )
        present, missing = present + len(found), missing + len(leaves) - len(found)
    return Sidecars(present, missing)


def _rows(path: Path) -> Iterator[tuple[int, bytes, bytes | None]]:
    """Yield (first index, leaves, side-cars) of every batch, then complain about rows of none."""
    try:
        with closing(_connect(path)) as base:
            strays = base.execute(
                "SELECT first FROM sidecar WHERE first NOT IN (SELECT first FROM journal)"
            ).fetchall()
            query = (
                "SELECT journal.first, journal.body, sidecar.body FROM journal"
                " LEFT JOIN sidecar ON sidecar.first = journal.first ORDER BY journal.first"
            )
            for first, body, sealed in base.execute(query):
                if type(body) is not bytes or type(sealed) not in (bytes, type(None)):
                    raise TamperedError(f"{JOURNAL} holds a foreign value", rule="ledger.journal")
                yield first, body, sealed
    except sqlite3.Error as error:
        raise TamperedError(f"{JOURNAL} cannot be read", rule="ledger.journal") from error
    if strays:
        raise TamperedError(
            f"{JOURNAL}: side-cars at leaf {strays[0][0]}, where no batch begins",
            rule="ledger.sidecar",
        )


def _connect(path: Path) -> sqlite3.Connection:
    """Return a reader; of a database that nobody has open it would leave files beside it."""
    uri = path.absolute().as_uri()
    if path.with_name(f"{JOURNAL}-wal").exists():
        base = sqlite3.connect(f"{uri}?mode=ro", uri=True)
        try:
            base.execute("SELECT 1 FROM journal").fetchone()
        except sqlite3.OperationalError:  # a reader may not make what is missing beside it
            base.close()
        else:
            return base
    return sqlite3.connect(f"{uri}?immutable=1", uri=True)


def _unpack(body: bytes, first: int) -> Iterator[bytes]:
    """Yield the side-cars of a row, each behind its length in four bytes."""
    at = 0
    while at < len(body):
        stop = at + 4 + int.from_bytes(body[at : at + 4], "big")
        if stop > len(body) or at + 4 > len(body):
            raise TamperedError(
                f"{JOURNAL}: the side-cars from leaf {first} on break off", rule="ledger.sidecar"
            )
        yield body[at + 4 : stop]
        at = stop
