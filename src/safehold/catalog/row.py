"""The rows of sealed blocks, each under a keyed MAC.

Holds: a database administrator cannot present a block under another purpose, person, expiry or
source.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from sys import intern
from typing import Any

import sqlalchemy as sa

from safehold import canonical
from safehold.catalog import tables
from safehold.catalog.record import from_record, to_record
from safehold.errors import TamperedError
from safehold.vault import SealedBlock, SealedObject

MARK = "@"  # begins what stands for a joined object where a source would stand; no source has such a name
Part = tuple[str, int]  # a source, and how many rows in a row are of it; -1 for all of the block


class Rows:
    """Writes rows and believes none that it did not write.

    Args:
        key: 32 bytes for the MAC, derived from the root.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def insert(
        self,
        connection: sa.Connection,
        source: str,
        objects: Sequence[SealedObject],
        *,
        kind: str,
        state: str,
    ) -> None:
        """Add the rows of sealed objects and of the blocks in them, in the caller's transaction."""
        if not objects:
            return
        newest = sa.select(sa.func.coalesce(sa.func.max(tables.block.c.place), 0))
        place: int = connection.execute(newest).scalar_one()
        blocks = [sealed for item in objects for sealed in item.blocks]
        self._write(
            connection,
            source,
            objects,
            [
                self._row(sealed, source, kind, state, {"place": place + number})
                for number, sealed in enumerate(blocks, start=1)
            ],
        )

    def insert_joined(
        self,
        connection: sa.Connection,
        source: str,
        item: SealedObject,
        *,
        kind: str,
        state: str,
        whence: Sequence[tuple[int, Sequence[Part]]],
    ) -> None:
        """Add the rows of an object whose blocks hold the rows of earlier ones, in the caller's transaction.

        Args:
            connection: The transaction.
            source: Stands for the object; no source of telemetry has such a name.
            item: The object.
            kind: As that of the earlier ones.
            state: As that of the earlier ones.
            whence: For each block its place in the order of reading, and of which sources its rows are, in order.
        """
        rows = []
        origins = []
        for sealed, (place, parts) in zip(item.blocks, whence, strict=True):
            more = {"place": place, "parts": [list(part) for part in parts]}
            rows.append(self._row(sealed, source, kind, state, more))
            origins += [
                {"block": sealed.block_id, "source": one}
                for one in sorted({one for one, _ in parts})
            ]
        self._write(connection, source, [item], rows)
        connection.execute(tables.origin.insert(), origins)

    def _row(
        self, sealed: SealedBlock, source: str, kind: str, state: str, more: Mapping[str, Any]
    ) -> dict[str, Any]:
        record = canonical.encode({**to_record(sealed), **more})
        return {
            "id": sealed.block_id,
            "state": state,
            "kind": kind,
            "source": source,
            "person": sealed.person,
            "stream": sealed.stream,
            "segment": sealed.segment,
            "window": sealed.window,
            "expires": sealed.label.expires,
            "rows": sealed.rows,
            "record": record,
            "mac": self._mac(kind, source, record),
            "place": more["place"],
        }

    @staticmethod
    def _write(
        connection: sa.Connection,
        source: str,
        objects: Sequence[SealedObject],
        rows: Sequence[dict[str, Any]],
    ) -> None:
        connection.execute(
            tables.object_.insert(),
            [
                {"name": item.name, "root": item.root, "size": item.size, "source": source}
                for item in objects
            ],
        )
        connection.execute(tables.block.insert(), rows)

    def check(self, row: Any) -> SealedBlock:
        """Return the sealed block that a row describes.

        Raises:
            TamperedError: The row does not carry the keeper's MAC, or its columns say something else.
        """
        self.check_mac(row)
        record = canonical.decode(row.record)
        sealed = from_record(record)
        shown = (row.id, row.person, row.stream, row.segment, row.window, row.expires, row.rows)
        held = (
            sealed.block_id,
            sealed.person,
            sealed.stream,
            sealed.segment,
            sealed.window,
            sealed.label.expires,
            sealed.rows,
        )
        # rows from before there was an order have none in their record
        if shown != held or row.place != record.get("place", row.place):
            raise TamperedError("a catalogue row was changed", rule="catalog.mac")
        return sealed

    def check_mac(self, row: Any) -> None:
        """Pass a row whose kind, source and record carry the keeper's MAC.

        Raises:
            TamperedError: They don't.
        """
        if not hmac.compare_digest(self._mac(row.kind, row.source, row.record), row.mac):
            raise TamperedError("a catalogue row was changed", rule="catalog.mac")

    @staticmethod
    def parts(row: Any) -> tuple[Part, ...]:
        """Return of which sources the rows of a checked row's block are, in order, and how many of each."""
        parts = canonical.decode(row.record).get("parts")
        if parts is None:
            return ((intern(row.source), -1),)
        # every block that was joined names some of the same sources
        return tuple((intern(str(source)), int(count)) for source, count in parts)

    def _mac(self, kind: str, source: str, record: bytes) -> bytes:
        message = b"\0".join((kind.encode(), source.encode(), record))
        return hmac.digest(self._key, message, "sha256")
