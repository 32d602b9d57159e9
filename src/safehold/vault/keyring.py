"""Wrapped keys in the control database: making, finding and re-wrapping them.

Every function that takes a connection works in the caller's transaction. Making a missing key reads
the segment's epoch in the same transaction that inserts the row, so a rotation comes wholly before
or wholly after it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from threading import Lock
from typing import Final, NamedTuple

import sqlalchemy as sa

from safehold import canonical
from safehold.clock import SECOND_US, Clock
from safehold.errors import InvalidError, ShreddedError
from safehold.vault import keys, tables
from safehold.vault.epoch import Epochs
from safehold.vault.guarded import Guarded, scrub
from safehold.vault.kms.interface import Root

KEK_SECONDS: Final = 300  # a segment KEK is forgotten after this long
KEKS_HELD: Final = 256  # segments whose KEK is in memory at once
_SEGMENT: Final = re.compile(r"[A-Za-z0-9@][A-Za-z0-9._:-]{0,63}")
_MANY: Final = 500  # owners looked up in one statement

PERSON: Final = "person"
SUBJECT: Final = "subject"
SIDECAR: Final = "sidecar"
ARTIFACT: Final = "artifact"
METADATA: Final = "metadata"

SUBJECTS_SEGMENT: Final = "@subjects"
LEDGER_SEGMENT: Final = "@ledger"
INDEX_SEGMENT: Final = "@index"  # side-car keys of the ledger's epochs; the period is the epoch


class KeyName(NamedTuple):
    """Which key a row holds.

    Args:
        kind: One of the kinds above.
        owner: Person or artifact; empty where the key belongs to the segment.
        stream: Stream of a person's key, otherwise empty.
        period: Day of expiry, month, or 0.
    """

    kind: str
    owner: str = ""
    stream: str = ""
    period: int = 0

    def context(self, segment: str) -> bytes:
        """Return the bytes that tie the wrapped key to its row: segment and name, in canonical JSON."""
        head, tail = _frame(segment, self.kind, self.stream, self.period)
        return head + canonical.encode(self.owner) + tail


class Keyring:
    """Finds, makes and re-wraps keys.

    Args:
        root: The root key.
        epochs: The epoch secrets.
        clock: Time, for forgetting segment KEKs.
    """

    def __init__(self, *, root: Root, epochs: Epochs, clock: Clock) -> None:
        self._root = root
        self._epochs = epochs
        self._clock = clock
        self._lock = Lock()
        # segment -> secret name, KEK, since; what leaves is overwritten when its last user lets go
        self._keks: dict[str, tuple[str, Guarded, int]] = {}

    def find(
        self, connection: sa.Connection, segment: str, names: Iterable[KeyName]
    ) -> dict[KeyName, bytes]:
        """Return the keys that exist, of those named.

        Raises:
            ShreddedError: The segment's epoch has ended: the database is an old copy.
            TamperedError: A row or the segment's record was changed.
        """
        wanted = set(names)
        kek = self._kek(connection, check_segment(segment))
        if kek is None or not wanted:
            return {}
        found: dict[KeyName, bytes] = {}
        rows = keys.RowKeys(kek.view())
        for kind in sorted({name.kind for name in wanted}):
            owners = sorted({name.owner for name in wanted if name.kind == kind})
            for start in range(0, len(owners), _MANY):
                query = sa.select(
                    tables.key.c.owner,
                    tables.key.c.stream,
                    tables.key.c.period,
                    tables.key.c.wrapped,
                ).where(
                    tables.key.c.segment == segment,
                    tables.key.c.kind == kind,
                    tables.key.c.owner.in_(owners[start : start + _MANY]),
                )
                for owner, stream, period, wrapped in connection.execute(query):
                    name = KeyName(kind, owner, stream, period)
                    if name in wanted:
                        found[name] = rows.unwrap(wrapped, context=name.context(segment))
        return found

    def make(
        self, connection: sa.Connection, segment: str, names: Iterable[KeyName]
    ) -> dict[KeyName, bytes]:
        """Return the named keys, making those that are missing.

        The transaction must hold the database's write lock from its start, as ``db.open_engine``
        sees to; so of two threads that need the same key, one makes it and the other finds it.
        """
        wanted = set(names)
        found = self.find(connection, segment, wanted)
        missing = sorted(wanted - found.keys())
        if not missing:
            return found
        kek = self._kek(connection, segment) or self._begin(connection, segment)
        made = {name: keys.new_key() for name in missing}
        rows = keys.RowKeys(kek.view())
        connection.execute(
            sa.insert(tables.key),
            [
                {
                    "segment": segment,
                    "kind": name.kind,
                    "owner": name.owner,
                    "stream": name.stream,
                    "period": name.period,
                    "wrapped": rows.wrap(raw, context=name.context(segment)),
                }
                for name, raw in made.items()
            ],
        )
        return found | made

    def rewrap(
        self, connection: sa.Connection, segment: str, *, old: str, new: str, old_epoch: int
    ) -> int:
        """Move a segment to its next epoch: a new KEK under a new secret, every row wrapped again.

        Args:
            connection: A transaction; the old epoch stays whole until it commits.
            segment: The segment.
            old: Name of the secret of the epoch that ends.
            new: Name of the secret of the next one; it must exist.
            old_epoch: Number of the epoch that ends.

        Returns:
            The number of survivors.
        """
        current = connection.execute(
            sa.select(tables.segment).where(tables.segment.c.segment == segment)
        ).one()
        if current.secret == new:
            return 0  # done before a crash
        if current.secret != old or current.epoch != old_epoch:
            raise ShreddedError("a rotation belongs to another epoch", rule="vault.rotation")
        before = self._open_kek(segment, old_epoch, old, current.wrapped)
        after = _guarded(keys.new_key())
        old_rows, new_rows = keys.RowKeys(before.view()), keys.RowKeys(after.view())
        column = tables.key.c
        held = connection.execute(
            sa.select(
                column.id, column.kind, column.owner, column.stream, column.period, column.wrapped
            ).where(column.segment == segment)
        )
        survivors = []
        for row, kind, owner, stream, period, wrapped in held.all():
            context = KeyName(kind, owner, stream, period).context(segment)
            raw = old_rows.unwrap(wrapped, context=context)
            survivors.append((new_rows.wrap(raw, context=context), row))
            scrub(raw)
        if survivors:
            # as the driver takes it: of tens of thousands of rows the way through SQLAlchemy is a third of the time
            mark = "?" if connection.dialect.paramstyle == "qmark" else "%s"
            connection.exec_driver_sql(
                f"UPDATE {tables.key.name} SET wrapped = {mark} WHERE id = {mark}",  # noqa: S608 - our own words
                survivors,
            )
        connection.execute(
            sa.update(tables.segment)
            .where(tables.segment.c.segment == segment)
            .values(
                epoch=old_epoch + 1,
                secret=new,
                wrapped=self._wrap_kek(segment, old_epoch + 1, new, after),
            )
        )
        return len(survivors)

    def forget(self, segment: str | None = None) -> None:
        """Drop a segment's KEK, or all of them, from memory."""
        with self._lock:
            if segment is None:
                self._keks.clear()
            else:
                self._keks.pop(segment, None)

    def forget_old(self) -> None:
        """Drop the KEKs whose time is over; a served keeper does so by itself."""
        now = self._clock.now_us()
        with self._lock:
            for segment, held in list(self._keks.items()):
                if not _young(held, now):
                    del self._keks[segment]

    def _kek(self, connection: sa.Connection, segment: str) -> Guarded | None:
        row = connection.execute(
            sa.select(tables.segment).where(tables.segment.c.segment == segment)
        ).one_or_none()
        if row is None:
            return None
        now = self._clock.now_us()
        with self._lock:
            held = self._keks.get(segment)
        if held and held[0] == row.secret and _young(held, now):
            return held[1]
        kek = self._open_kek(segment, row.epoch, row.secret, row.wrapped)
        with self._lock:
            self._keks.pop(segment, None)
            while len(self._keks) >= KEKS_HELD:
                del self._keks[next(iter(self._keks))]  # the one that came first
            self._keks[segment] = (row.secret, kek, now)
        return kek

    def _begin(self, connection: sa.Connection, segment: str) -> Guarded:
        name = self._epochs.new_name()
        self._epochs.create(name)  # if the transaction fails, an unused secret is left, no harm
        kek = _guarded(keys.new_key())
        connection.execute(
            sa.insert(tables.segment).values(
                segment=segment, epoch=1, secret=name, wrapped=self._wrap_kek(segment, 1, name, kek)
            )
        )
        return kek

    def _wrap_kek(self, segment: str, epoch: int, secret: str, kek: Guarded) -> bytes:
        context = kek_context(segment, epoch, secret)
        shared = self._epochs.read(secret)
        inner = keys.wrap_row(shared, bytes(kek.view()), context=context)
        scrub(shared)
        return self._root.wrap(inner, context=context)

    def _open_kek(self, segment: str, epoch: int, secret: str, wrapped: bytes) -> Guarded:
        context = kek_context(segment, epoch, secret)
        shared = self._epochs.read(secret)
        inner = self._root.unwrap(wrapped, context=context)
        return _guarded(keys.unwrap_row(shared, inner, context=context))

    def __repr__(self) -> str:
        return "Keyring(hidden)"


def _guarded(kek: bytes) -> Guarded:
    held = Guarded(kek)
    scrub(kek)
    return held


def _young(held: tuple[str, Guarded, int], now_us: int) -> bool:
    return 0 <= now_us - held[2] <= KEK_SECONDS * SECOND_US


@lru_cache(1024)  # owners are many, the rest of a key's name is of few kinds
def _frame(segment: str, kind: str, stream: str, period: int) -> tuple[bytes, bytes]:
    """Return what stands before and after the owner in the canonical JSON of a key's name."""
    head = canonical.encode([segment, kind])[:-1] + b","
    return head, b"," + canonical.encode([stream, period])[1:]


def check_segment(segment: str) -> str:
    """Return the name of a segment if it is one.

    Raises:
        InvalidError: It has characters a name may not have.
    """
    if not _SEGMENT.fullmatch(segment):
        raise InvalidError(
            "a segment's name has 1 to 64 letters, digits, dots, dashes, colons, underscores",
            rule="vault.segment",
        )
    return segment


def kek_context(segment: str, epoch: int, secret: str) -> bytes:
    """Return what a segment KEK is bound to: segment, epoch and the name of the epoch's secret."""
    return canonical.encode(["safehold/segment-kek/1", segment, epoch, secret])
