"""What the register knows of joining blocks: which could be, and the one transaction that puts new rows for old.

Holds: an old block is forgotten in the transaction that makes the new one known, or not at all; every new row is under
the MAC, and says of which sources its rows are. A join is counted in the same transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import groupby
from sys import intern

import sqlalchemy as sa

from safehold import canonical
from safehold.catalog import tables
from safehold.catalog.register import LIVE, TELEMETRY
from safehold.catalog.row import MARK, Part, Rows
from safehold.catalog.tier import FEWEST, SMALL_OBJECT
from safehold.errors import ConflictError
from safehold.vault import SealedBlock, SealedObject
from safehold.vault.objects import name_id

_MANY = 200  # people, or blocks, named in one statement
_FEW = 50  # whole rows on their way at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A block that could be rewritten.

    Args:
        sealed: The block.
        source: Source that its row is of, or what stands for one.
        place: Where it stands in the order of reading.
        parts: Of which sources its rows are, in order.
    """

    sealed: SealedBlock
    source: str
    place: int
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Blocks of one person, stream and day.

    Args:
        segment: Where they lie.
        stream: Stream.
        window: UTC day.
        person: Whose.
        count: How many.
    """

    segment: str
    stream: str
    window: int
    person: str
    count: int

    @property
    def key(self) -> tuple[str, str, int, str]:
        """What tells it from others."""
        return (self.segment, self.stream, self.window, self.person)


def stand_in(name: str) -> str:
    """Return what stands for a joined object where a source would stand."""
    return MARK + name_id(name).hex()


class Rewriting:
    """The register, for whoever joins blocks.

    Args:
        engine: The control database.
        key: 32 bytes for the MAC over rows, derived from the root.
    """

    def __init__(self, engine: sa.Engine, *, key: bytes) -> None:
        self._engine = engine
        self._rows = Rows(key)

    def groups(self, segment: str | None = None) -> Iterator[Group]:
        """Yield where several live blocks of telemetry lie beside each other, most first."""
        column = tables.block.c
        count = sa.func.count().label("count")
        query = (
            sa.select(column.segment, column.stream, column.window, column.person, count)
            .where(column.state == LIVE, column.kind == TELEMETRY)
            .group_by(column.segment, column.stream, column.window, column.person)
            .having(count >= 2)
            .order_by(count.desc(), column.segment, column.stream, column.window, column.person)
        )
        if segment is not None:
            query = query.where(column.segment == segment)
        with self._reading() as connection:
            for row in connection.execute(query.execution_options(yield_per=_MANY)):
                yield Group(
                    segment=row.segment,
                    stream=row.stream,
                    window=row.window,
                    person=row.person,
                    count=row[4],
                )

    def scattered(self, segment: str | None = None) -> list[tuple[str, int, int]]:
        """Return segments and days of expiry with several small objects, and how many there are."""
        column = tables.block.c
        count = sa.func.count(sa.distinct(tables.object_.c.name)).label("count")
        query = (
            sa.select(column.segment, column.expires, count)
            .join(tables.object_, tables.object_.c.source == column.source)
            .where(
                column.state == LIVE,
                column.kind == TELEMETRY,
                tables.object_.c.size < SMALL_OBJECT,
            )
            .group_by(column.segment, column.expires)
            .having(count >= FEWEST)
            .order_by(count.desc(), column.segment, column.expires)
        )
        if segment is not None:
            query = query.where(column.segment == segment)
        with self._reading() as connection:
            return [(row[0], row[1], row[2]) for row in connection.execute(query)]

    def of_groups(self, groups: Sequence[Group]) -> Iterator[list[Candidate]]:
        """Yield the blocks of each group in the order of reading, each row checked.

        Raises:
            TamperedError: A row does not carry the keeper's MAC.
        """
        column = tables.block.c
        order = sorted(groups, key=lambda one: (one.segment, one.stream, one.window, one.person))
        for (segment, stream, window), some in groupby(
            order, key=lambda one: (one.segment, one.stream, one.window)
        ):
            people = [one.person for one in some]
            for start in range(0, len(people), _MANY):
                query = (
                    sa.select(tables.block)
                    .where(
                        column.segment == segment,
                        column.stream == stream,
                        column.window == window,
                        column.person.in_(people[start : start + _MANY]),
                        column.state == LIVE,
                        column.kind == TELEMETRY,
                    )
                    .order_by(column.person, column.place)
                )
                with self._reading() as connection:
                    found = [
                        self._candidate(row)
                        for row in connection.execute(query.execution_options(yield_per=_FEW))
                    ]
                for _, mine in groupby(found, key=lambda one: one.sealed.person):
                    yield list(mine)

    def of_small_objects(
        self, segment: str, expires: int, *, most: int
    ) -> dict[tuple[str, int], list[Candidate]]:
        """Return the live blocks of small objects of one segment and day of expiry, by object and its size.

        Raises:
            TamperedError: A row does not carry the keeper's MAC.
        """
        column, item = tables.block.c, tables.object_.c
        query = (
            sa.select(tables.block)
            .where(
                column.segment == segment,
                column.expires == expires,
                column.state == LIVE,
                column.kind == TELEMETRY,
                column.source.in_(sa.select(item.source).where(item.size < SMALL_OBJECT)),
            )
            .order_by(column.place)
            .limit(most)
        )
        found: dict[str, list[Candidate]] = {}
        sizes: dict[str, int] = {}
        with self._reading() as connection:
            for row in connection.execute(query.execution_options(yield_per=_FEW)):
                one = self._candidate(row)
                found.setdefault(one.sealed.object, []).append(one)
            names = list(found)
            for start in range(0, len(names), _MANY):
                some = names[start : start + _MANY]
                for row in connection.execute(
                    sa.select(item.name, item.size).where(item.name.in_(some))
                ):
                    sizes[row.name] = row.size
        return {
            (name, sizes[name]): held
            for name, held in found.items()
            if sizes.get(name, SMALL_OBJECT) < SMALL_OBJECT
        }

    def unnoted(self) -> set[str]:
        """Return sources whose closing leaf is not in the ledger yet: their blocks stay where they are."""
        column = tables.source.c
        with self._reading() as connection:
            return set(
                connection.execute(sa.select(column.id).where(column.noted.is_(False))).scalars()
            )

    def replace(
        self, old: Sequence[Sequence[Candidate]], new: SealedObject, *, now_us: int
    ) -> tuple[int, list[str]]:
        """Make an object known in whose blocks the rows of others lie, and forget those, in one transaction.

        Args:
            old: For each block of the object, the blocks whose rows it holds, in order.
            new: The object.
            now_us: Now.

        Returns:
            The number of this join, and the objects that are empty now.

        Raises:
            ConflictError: One of them is not known any more: somebody was erased, or its time was over.
        """
        gone = [one for several in old for one in several]
        column = tables.block.c
        with self._engine.begin() as connection:
            names = [one.sealed.block_id for one in gone]
            there = 0
            for start in range(0, len(names), _MANY):
                some = column.id.in_(names[start : start + _MANY])
                connection.execute(
                    tables.origin.delete().where(
                        tables.origin.c.block.in_(names[start : start + _MANY])
                    )
                )
                there += connection.execute(
                    tables.block.delete().where(some, column.state == LIVE)
                ).rowcount
            if there != len(set(names)) or len(names) != len(set(names)):
                raise ConflictError(
                    "a block that was to be joined is gone", rule="catalog.rewriting"
                )
            self._rows.insert_joined(
                connection,
                stand_in(new.name),
                new,
                kind=TELEMETRY,
                state=LIVE,
                whence=[(min(one.place for one in several), _parts(several)) for several in old],
            )
            empty = self._retire(connection, gone, now_us)
            return self._count(connection), empty

    def _retire(
        self, connection: sa.Connection, gone: Sequence[Candidate], now_us: int
    ) -> list[str]:
        """Take objects off the register in which no block is left; they are removed later."""
        touched = {one.sealed.object for one in gone}
        still: set[str] = set()
        sources = sorted({one.source for one in gone})  # an object holds blocks of one source
        for start in range(0, len(sources), _MANY):
            rows = connection.execute(
                sa.select(tables.block.c.record).where(
                    tables.block.c.source.in_(sources[start : start + _MANY])
                )
            ).scalars()
            still.update(canonical.decode(record)["object"] for record in rows)
        empty = sorted(touched - still)
        for start in range(0, len(empty), _MANY):
            some = empty[start : start + _MANY]
            connection.execute(tables.object_.delete().where(tables.object_.c.name.in_(some)))
        if empty:
            connection.execute(
                tables.retired.insert(), [{"name": name, "since_us": now_us} for name in empty]
            )
        return empty

    @staticmethod
    def _count(connection: sa.Connection) -> int:
        column = tables.compaction.c
        held: int | None = connection.execute(sa.select(column.number)).scalar()
        if held is None:
            connection.execute(tables.compaction.insert().values(one=1, number=1))
            return 1
        connection.execute(tables.compaction.update().values(number=held + 1))
        return held + 1

    def number(self) -> int:
        """Return how many joins this database knows of."""
        with self._reading() as connection:
            return connection.execute(sa.select(tables.compaction.c.number)).scalar() or 0

    def retired(self, *, before_us: int | None = None) -> list[str]:
        """Return objects whose blocks lie elsewhere, and did so before a moment."""
        query = sa.select(tables.retired.c.name)
        if before_us is not None:
            query = query.where(tables.retired.c.since_us < before_us)
        with self._reading() as connection:
            return list(connection.execute(query.order_by(tables.retired.c.name)).scalars())

    def forget_retired(self, names: Collection[str]) -> None:
        """Forget retired objects that were removed."""
        waiting = sorted(names)
        with self._engine.begin() as connection:
            for start in range(0, len(waiting), _MANY):
                some = waiting[start : start + _MANY]
                connection.execute(tables.retired.delete().where(tables.retired.c.name.in_(some)))

    def totals(self, segment: str | None = None) -> Mapping[str, int]:
        """Return how many live blocks of telemetry there are, in how many objects, of how many bytes."""
        column = tables.block.c
        live = [column.state == LIVE, column.kind == TELEMETRY]
        if segment is not None:
            live.append(column.segment == segment)
        sources = sa.select(column.source).where(*live).distinct()
        item = tables.object_.c
        with self._reading() as connection:
            blocks = connection.execute(
                sa.select(sa.func.count()).select_from(tables.block).where(*live)
            ).scalar_one()
            row = connection.execute(
                sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(item.size), 0)).where(
                    item.source.in_(sources)
                )
            ).one()
        return {"blocks": blocks, "objects": row[0], "bytes": int(row[1])}

    def _candidate(self, row: sa.Row[tuple[object, ...]]) -> Candidate:
        sealed = self._rows.check(row)
        parts = tuple(
            (source, sealed.rows if count < 0 else count) for source, count in self._rows.parts(row)
        )
        return Candidate(sealed=sealed, source=intern(row.source), place=row.place, parts=parts)

    def _reading(self) -> AbstractContextManager[sa.Connection]:
        return self._engine.execution_options(reading=True).begin()


def _parts(several: Sequence[Candidate]) -> list[Part]:
    """Return of which sources the rows of joined blocks are; neighbours of one source are one part."""
    found: list[Part] = []
    for one in several:
        for source, count in one.parts:
            if found and found[-1][0] == source:
                found[-1] = (source, found[-1][1] + count)
            else:
                found.append((source, count))
    return found
