"""The register of sealed blocks.

Holds: a source is taken whole or not at all (its blocks are *staged* until it is through, then *live* in one
transaction); a chunk is committed once, whatever crashes.

Doesn't: keep anything readable. Labels are here, contents are not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from safehold import canonical
from safehold.catalog import parts, tables
from safehold.catalog.aside import Aside
from safehold.catalog.builds import STAGING, Builds, forget_source
from safehold.catalog.extents import Extents, add_extents
from safehold.catalog.label import DatasetLabel, label_blocks
from safehold.catalog.row import MARK, Part, Rows
from safehold.catalog.state import Extent, Sealer, SourceState, Tallies, add_tallies
from safehold.errors import ConflictError
from safehold.vault import SealedBlock, SealedObject

_AT_ONCE: Final = 100  # rows on their way at once

LIVE, REFUSED = parts.LIVE, "refused"
TELEMETRY = parts.TELEMETRY
# why events are dropped in which somebody has a part who has not opted in
OF_OTHERS = ("counterpart", "not_consented", "not_participating", "participants_unknown")


class Catalog:
    """The register.

    Args:
        engine: The control database.
        key: 32 bytes for the MAC over rows, derived from the root.
        sealer: Seals counters: what was found in one person's text is telemetry too.
    """

    def __init__(self, engine: sa.Engine, *, key: bytes, sealer: Sealer) -> None:
        self._engine = engine
        self._rows = Rows(key)
        self._tallies = Tallies(sealer)
        self.parts = parts.Parts(engine, self._rows, self._tallies)
        self.extents = Extents(engine)
        self.builds = Builds(engine, self._rows)
        self.aside = Aside(engine, self._rows, self._drop)

    def begin(self, source: str, *, now_us: int) -> SourceState:
        """Open a source for ingestion, or find out how far it got before.

        A source that was refused, or of which nothing was taken, is opened anew.
        """
        with self._engine.begin() as connection:
            row = connection.execute(
                sa.select(tables.source).where(tables.source.c.id == source)
            ).first()
            if row is None:
                connection.execute(
                    tables.source.insert().values(
                        id=source,
                        state=STAGING,
                        begun_us=now_us,
                        tally=self._tallies.seal(source, None, {}),
                        noted=False,
                    )
                )
                return SourceState(state=STAGING, begun_us=now_us, done=frozenset(), tally={})
            # nothing was taken, for instance because nobody was enrolled yet: it may come again
            empty = row.state == LIVE and not any(
                self._tallies.open(source, None, row.tally).get("taken", {})
            )
            if empty:
                connection.execute(tables.chunk.delete().where(tables.chunk.c.source == source))
            again = empty or row.state == REFUSED
            if again:
                connection.execute(
                    tables.source.update()
                    .where(tables.source.c.id == source)
                    .values(state=STAGING, begun_us=now_us, noted=False)
                )
            chunks = connection.execute(
                sa.select(tables.chunk).where(tables.chunk.c.source == source)
            ).all()
        return SourceState(
            state=STAGING if again else row.state,
            begun_us=now_us if again else row.begun_us,
            done=frozenset(chunk.number for chunk in chunks),
            tally=add_tallies(self._tallies.open(source, one.number, one.tally) for one in chunks),
        )

    def commit_chunk(
        self,
        source: str,
        number: int,
        *,
        tally: Mapping[str, Mapping[str, int]],
        objects: Sequence[SealedObject],
        extents: Sequence[Extent],
    ) -> None:
        """Make one chunk's blocks known, once, in one transaction.

        Raises:
            ConflictError: The chunk was committed before.
        """
        with self._engine.begin() as connection:
            known = connection.execute(
                sa.select(tables.chunk.c.number).where(
                    tables.chunk.c.source == source, tables.chunk.c.number == number
                )
            ).first()
            if known is not None:
                raise ConflictError("this chunk was committed before", rule="catalog.chunk")
            connection.execute(
                tables.chunk.insert().values(
                    source=source,
                    number=number,
                    tally=self._tallies.seal(source, number, tally),
                )
            )
            self._rows.insert(connection, source, objects, kind=TELEMETRY, state=STAGING)
            add_extents(connection, source, extents)

    def lives(self, source: str, *, after_day: int) -> bool:
        """Return whether anything of a source or of something derived is there beyond a day."""
        with self._engine.begin() as connection:
            return (
                connection.execute(
                    sa.select(tables.block.c.id)
                    .where(
                        of_sources([source]),
                        tables.block.c.state == LIVE,
                        tables.block.c.expires > after_day,
                    )
                    .limit(1)
                ).first()
                is not None
            )

    def count_of(self, source: str) -> int:
        """Return how many blocks of a source or of something derived are known, staged ones too."""
        with self._engine.begin() as connection:
            count: int = connection.execute(
                sa.select(sa.func.count()).where(tables.block.c.source == source)
            ).scalar_one()
        return count

    def waiting(self, before_us: int) -> list[str]:
        """Return sources that were begun before a moment and never finished."""
        with self._engine.begin() as connection:
            return list(
                connection.execute(
                    sa.select(tables.source.c.id).where(
                        tables.source.c.state == STAGING, tables.source.c.begun_us < before_us
                    )
                ).scalars()
            )

    def blocks_of(self, person: str, *, live: bool = False) -> list[SealedBlock]:
        """Return every block of a person that is known, of whatever kind, each row checked.

        Args:
            person: Whose.
            live: Only of sources and builds that are through.

        Raises:
            TamperedError: A row does not carry the keeper's MAC.
        """
        query = (
            sa.select(tables.block)
            .where(tables.block.c.person == person)
            .order_by(tables.block.c.stream, tables.block.c.window, tables.block.c.place)
        )
        if live:
            query = query.where(tables.block.c.state == LIVE)
        with self._engine.begin() as connection:
            return [self._rows.check(row) for row in _each(connection, query)]

    def label_of(self, source: str) -> DatasetLabel | None:
        """Return the narrowest label over a source's blocks, or None if it has none."""
        with self._engine.begin() as connection:
            blocks = [
                self._rows.check(row)
                for row in _each(connection, sa.select(tables.block).where(of_sources([source])))
            ]
        return label_blocks(blocks) if blocks else None

    def sources_of(self, blocks: Sequence[bytes]) -> list[str]:
        """Return the sources (or earlier builds) that hold these blocks, each row checked.

        Raises:
            TamperedError: A row does not carry the keeper's MAC.
        """
        return sorted({source for _, parts in self._parts_of(blocks) for source, _ in parts})

    def parts_of(self, blocks: Sequence[bytes]) -> dict[bytes, tuple[Part, ...]]:
        """Return of which sources the rows of blocks are, in order, each row of the register checked.

        Raises:
            TamperedError: A row does not carry the keeper's MAC.
        """
        return dict(self._parts_of(blocks))

    def _parts_of(self, blocks: Sequence[bytes]) -> Iterator[tuple[bytes, tuple[Part, ...]]]:
        column = tables.block.c
        with self._engine.begin() as connection:
            for start in range(0, len(blocks), 500):
                query = sa.select(
                    column.id, column.kind, column.source, column.record, column.mac
                ).where(column.id.in_(blocks[start : start + 500]))
                for row in _each(connection, query):
                    self._rows.check_mac(row)
                    yield row.id, self._rows.parts(row)

    def finish(self, source: str, tally: Mapping[str, Mapping[str, int]]) -> None:
        """Turn a source's staged blocks live, in one transaction."""
        with self._engine.begin() as connection:
            connection.execute(
                tables.source.update()
                .where(tables.source.c.id == source)
                .values(state=LIVE, tally=self._tallies.seal(source, None, tally))
            )
            connection.execute(
                tables.block.update().where(tables.block.c.source == source).values(state=LIVE)
            )

    def discard(self, source: str) -> list[str]:
        """Forget everything staged for a source and return the objects to delete."""
        with self._engine.begin() as connection:
            state = connection.execute(
                sa.select(tables.source.c.state).where(tables.source.c.id == source)
            ).scalar()
            if state == LIVE:
                raise ConflictError("a live source is not discarded", rule="catalog.live")
            names = forget_source(connection, source)
            connection.execute(tables.chunk.delete().where(tables.chunk.c.source == source))
            connection.execute(
                tables.source.update()
                .where(tables.source.c.id == source)
                .values(state=REFUSED, noted=False)
            )
        return names

    def blocks(
        self,
        *,
        kind: str,
        streams: Iterable[str],
        after_day: int,
        windows: tuple[int, int] | None = None,
        sources: Iterable[str] | None = None,
    ) -> list[SealedBlock]:
        """Return live blocks that have not expired, each row checked.

        Args:
            kind: ``telemetry`` or ``derived``.
            streams: Streams wanted.
            after_day: Today; blocks whose expiry is this day or earlier are left out.
            windows: First and last UTC day, inclusive.
            sources: Sources, or builds, that they must be of; one that several were joined to is of each of theirs.

        Raises:
            TamperedError: A row does not carry the keeper's MAC.
        """
        query = (
            sa.select(tables.block)
            .where(
                tables.block.c.state == LIVE,
                tables.block.c.kind == kind,
                tables.block.c.stream.in_(list(streams)),
                tables.block.c.expires > after_day,
            )
            .order_by(tables.block.c.person, tables.block.c.window, tables.block.c.place)
        )
        if windows is not None:
            query = query.where(
                tables.block.c.window >= windows[0], tables.block.c.window <= windows[1]
            )
        wanted = None if sources is None else frozenset(sources)
        if wanted is not None:
            # not by the index of origins, which is under no MAC: of what was joined each row says whose it is
            column = tables.block.c.source
            query = query.where(sa.or_(column.in_(wanted), column.startswith(MARK)))
        with self._engine.begin() as connection:
            return [
                sealed
                for row in _each(connection, query)
                for sealed in [self._rows.check(row)]
                if wanted is None or any(source in wanted for source, _ in self._rows.parts(row))
            ]

    def expire(self, day: int) -> list[str]:
        """Forget blocks whose retention ended by a day, and return the objects that are now empty."""
        return self._drop(tables.block.c.expires <= day)

    def erase(self, person: str) -> list[str]:
        """Forget every block of a person, and return the objects that are now empty."""
        return self._drop(tables.block.c.person == person)

    def _drop(self, gone: sa.ColumnElement[bool]) -> list[str]:
        with self._engine.begin() as connection:
            rows = connection.execute(
                sa.select(tables.block.c.source, tables.block.c.record).where(gone)
            ).all()
            touched = {canonical.decode(row.record)["object"] for row in rows}
            joined = sa.select(tables.block.c.id).where(gone)
            connection.execute(tables.origin.delete().where(tables.origin.c.block.in_(joined)))
            connection.execute(tables.block.delete().where(gone))
            # an object holds blocks of one source, so those of others need not be looked at
            still: set[str] = set()
            for source in sorted({row.source for row in rows}):
                of_source = sa.select(tables.block.c.record).where(tables.block.c.source == source)
                still.update(
                    canonical.decode(row.record)["object"] for row in connection.execute(of_source)
                )
            empty = sorted(touched - still)
            for name in empty:
                connection.execute(tables.object_.delete().where(tables.object_.c.name == name))
        return empty

    def objects(self) -> set[str]:
        """Return the names of all objects that the catalogue knows, with those that are still read but retired."""
        known = sa.union_all(sa.select(tables.object_.c.name), sa.select(tables.retired.c.name))
        with self._engine.begin() as connection:
            return set(connection.execute(known).scalars())

    def unnoted(self) -> list[tuple[str, dict[str, dict[str, int]]]]:
        """Return live sources whose closing leaf is not in the ledger yet."""
        with self._engine.begin() as connection:
            return [
                (row.id, self._tallies.open(row.id, None, row.tally))
                for row in connection.execute(
                    sa.select(tables.source).where(
                        tables.source.c.state == LIVE, tables.source.c.noted.is_(False)
                    )
                )
            ]

    def is_live(self, source: str) -> bool:
        """Return whether a source was taken in, whole."""
        with self._engine.begin() as connection:
            state = connection.execute(
                sa.select(tables.source.c.state).where(tables.source.c.id == source)
            ).scalar()
        return bool(state == LIVE)

    def tally_of(self, source: str) -> dict[str, dict[str, int]]:
        """Return the counters of a source that was taken in."""
        with self._engine.begin() as connection:
            sealed = connection.execute(
                sa.select(tables.source.c.tally).where(tables.source.c.id == source)
            ).scalar_one()
        return self._tallies.open(source, None, sealed)

    def note(self, source: str) -> None:
        """Remember that a source's closing leaf is durable."""
        with self._engine.begin() as connection:
            connection.execute(
                tables.source.update().where(tables.source.c.id == source).values(noted=True)
            )

    def counts(self) -> dict[str, int]:
        """Return numbers of live blocks, rows, people and sources."""
        with self._engine.begin() as connection:
            live = tables.block.c.state == LIVE
            row = connection.execute(
                sa.select(
                    sa.func.count(),
                    sa.func.coalesce(sa.func.sum(tables.block.c.rows), 0),
                    sa.func.count(sa.distinct(tables.block.c.person)),
                ).where(live, tables.block.c.kind == TELEMETRY)
            ).one()
            sources = connection.execute(
                sa.select(sa.func.count()).where(tables.source.c.state == LIVE)
            ).scalar_one()
        return {"blocks": row[0], "rows": row[1], "people": row[2], "sources": sources}

    def of_others(self) -> int:
        """Return how many events were dropped because somebody in them has not opted in: one number for all time."""
        with self._engine.begin() as connection:
            rows = connection.execute(
                sa.select(tables.source.c.id, tables.source.c.tally).where(
                    tables.source.c.state == LIVE
                )
            ).all()
        dropped = (self._tallies.open(row.id, None, row.tally).get("dropped", {}) for row in rows)
        return sum(one.get(reason, 0) for one in dropped for reason in OF_OTHERS)


def of_sources(sources: Sequence[str]) -> sa.ColumnElement[bool]:
    """Return what holds of blocks in which rows of some sources lie."""
    joined = sa.select(tables.origin.c.block).where(tables.origin.c.source.in_(sources))
    return sa.or_(tables.block.c.source.in_(sources), tables.block.c.id.in_(joined))


def _each(connection: sa.Connection, query: sa.Select[Any]) -> Iterator[sa.Row[Any]]:
    """Yield rows some at a time: a row is several times as large as what is kept of it."""
    yield from connection.execute(query.execution_options(yield_per=_AT_ONCE))
