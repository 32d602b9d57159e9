"""Sources that come as a batch of parts, each of which may come again: envelopes of collectors.

Holds: the rows of a part are live once, whoever hands it in however often; a batch is live with all of its parts, in
one transaction, or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import sqlalchemy as sa

from safehold.catalog import tables
from safehold.catalog.extents import add_extents
from safehold.catalog.row import Rows
from safehold.catalog.state import Extent, Tallies
from safehold.errors import ConflictError
from safehold.vault import SealedObject

LIVE: Final = "live"
PART: Final = "part"  # the state of what came in as part of a source, under a name of its own
TELEMETRY: Final = "telemetry"

Tally = Mapping[str, Mapping[str, int]]
_AT_ONCE: Final = 500  # names in one question


class Parts:
    """The part of the register that knows them.

    Args:
        engine: The control database.
        rows: Writes rows of blocks.
        tallies: Seals counters.
    """

    def __init__(self, engine: sa.Engine, rows: Rows, tallies: Tallies) -> None:
        self._engine = engine
        self._rows = rows
        self._tallies = tallies

    def known(self, names: Sequence[str]) -> dict[str, dict[str, dict[str, int]]]:
        """Return, of those parts whose rows are live, what was counted in each."""
        found: dict[str, dict[str, dict[str, int]]] = {}
        column = tables.source.c
        with self._engine.begin() as connection:
            for start in range(0, len(names), _AT_ONCE):
                for row in connection.execute(
                    sa.select(column.id, column.tally).where(
                        column.id.in_(names[start : start + _AT_ONCE]), column.state == PART
                    )
                ):
                    found[row.id] = self._tallies.open(row.id, None, row.tally)
        return found

    def commit(
        self,
        source: str,
        parts: Mapping[str, Tally],
        *,
        tally: Tally,
        objects: Sequence[SealedObject],
        extents: Sequence[Extent],
        now_us: int,
    ) -> None:
        """Make a batch known and live, with all of its parts, in one transaction.

        Args:
            source: Its id.
            parts: What was counted in each part, by name.
            tally: What was counted altogether.
            objects: Its blocks.
            extents: Runs of sequence numbers in it.
            now_us: The time, microseconds.

        Raises:
            ConflictError: One of the parts is live already.
        """
        rows = [
            {
                "id": name,
                "state": state,
                "begun_us": now_us,
                "tally": self._tallies.seal(name, None, counted),
                "noted": state == PART,
            }
            for name, state, counted in (
                (source, LIVE, tally),
                *((name, PART, counted) for name, counted in parts.items()),
            )
        ]
        try:
            with self._engine.begin() as connection:
                connection.execute(tables.source.insert(), rows)
                self._rows.insert(connection, source, objects, kind=TELEMETRY, state=LIVE)
                add_extents(connection, source, extents)
        except sa.exc.IntegrityError as error:  # the key of the table is what holds
            raise ConflictError("part of this came before", rule="catalog.part") from error

    def forget(self, before_us: int) -> int:
        """Forget the names of parts that came before a moment, and return how many; their rows stay."""
        with self._engine.begin() as connection:
            gone: int = connection.execute(
                tables.source.delete().where(
                    tables.source.c.state == PART, tables.source.c.begun_us < before_us
                )
            ).rowcount
        return gone
