"""The rows of sealed blocks, each under a keyed MAC.

Holds: a database administrator cannot present a block under another purpose, person, expiry or
source.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from safehold import canonical
from safehold.catalog import tables
from safehold.catalog.record import from_record, to_record
from safehold.errors import TamperedError
from safehold.vault import SealedBlock, SealedObject


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
        connection.execute(
            tables.object_.insert(),
            [
                {"name": item.name, "root": item.root, "size": item.size, "source": source}
                for item in objects
            ],
        )
        rows = []
        for item in objects:
            for sealed in item.blocks:
                record = canonical.encode(to_record(sealed))
                rows.append(
                    {
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
                    }
                )
        connection.execute(tables.block.insert(), rows)

    def check(self, row: Any) -> SealedBlock:
        """Return the sealed block that a row describes.

        Raises:
            TamperedError: The row does not carry the keeper's MAC, or its columns say something else.
        """
        self.check_mac(row)
        sealed = from_record(canonical.decode(row.record))
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
        if shown != held:
            raise TamperedError("a catalogue row was changed", rule="catalog.mac")
        return sealed

    def check_mac(self, row: Any) -> None:
        """Pass a row whose kind, source and record carry the keeper's MAC.

        Raises:
            TamperedError: They don't.
        """
        if not hmac.compare_digest(self._mac(row.kind, row.source, row.record), row.mac):
            raise TamperedError("a catalogue row was changed", rule="catalog.mac")

    def _mac(self, kind: str, source: str, record: bytes) -> bytes:
        message = b"\0".join((kind.encode(), source.encode(), record))
        return hmac.digest(self._key, message, "sha256")
