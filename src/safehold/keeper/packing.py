"""Carry out one join: open small blocks inside the keeper, seal their rows in one object, put that for the old ones.

Order, so that a crash at any point loses and doubles nothing, and a choice that comes meanwhile wins:

1. the ledger says that it begins; no block is opened before that leaf is durable and, in strict mode, cosigned
2. rows are read in memory, block by block; an erasure or a containment ends that, and waits until nothing is left of it
3. they are sealed under the keys that they were under: no key is made, so there is none for whoever was erased
4. what came to rest is read back and compared; nothing is forgotten that was not
5. under the lock of choices: everybody chose nothing else since, then the leaf with the new object's root, then one
   transaction of the register
6. a leaf says that it is done; what is newer than the register shows there

An object that no transaction knows is swept away. The old ones are kept for ``GRACE_US``: whoever chose them before
finishes reading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from safehold import ids
from safehold.catalog.rewriting import Candidate, Rewriting
from safehold.clock import SECOND_US
from safehold.errors import ConflictError, DeniedError, TamperedError, UnavailableError
from safehold.ids import PersonId
from safehold.keeper.contained import things
from safehold.keeper.openable import openable_now
from safehold.keeper.resting import come_to_rest
from safehold.keeper.run import Run
from safehold.ledger import Entry
from safehold.subjects import Standing
from safehold.vault import PlainBlock, SealedObject

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

KIND: Final = "compaction"
ACTOR: Final = "keeper"
GRACE_US: Final = 3_600 * SECOND_US  # an object is kept for so long after its blocks were joined
MOST_PLAIN: Final = (
    256 << 20
)  # bytes of rows in memory: what repeats itself is a thousand times as large as sealed
_TURN_S: Final = 0.05  # how long the lock is waited for before it is looked whether to go on


def _go_on(_step: str) -> None:
    """Let a step begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What becomes one object.

    Args:
        segment: Where the blocks lie, and stay.
        expires: The day on which all of them end.
        outputs: For each new block those whose rows it will hold, in order.
    """

    segment: str
    expires: int
    outputs: tuple[tuple[Candidate, ...], ...]

    @property
    def inputs(self) -> list[Candidate]:
        """The blocks that are opened."""
        return [one for several in self.outputs for one in several]

    @property
    def size(self) -> int:
        """Sealed bytes of them."""
        return sum(one.sealed.length for one in self.inputs)

    def halves(self) -> tuple[Batch, ...]:
        """Return it in two, or nothing if it becomes one block."""
        middle = len(self.outputs) // 2
        if not middle:
            return ()
        return (
            replace(self, outputs=self.outputs[:middle]),
            replace(self, outputs=self.outputs[middle:]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """What a join came to.

    Args:
        blocks: Blocks that were opened.
        into: Blocks that their rows lie in now.
        read: Sealed bytes of those.
        written: Bytes of the new object.
        retired: Objects that are empty now.
        entry: Leaf that began it.
    """

    blocks: int
    into: int
    read: int
    written: int
    retired: int
    entry: int


@dataclass(slots=True)
class Packing:
    """Carries joins out.

    Args:
        desk: What the keeper works with.
        rewriting: The register.
        noted: The number of the newest join of which the ledger says that it is done.
    """

    desk: Desk
    rewriting: Rewriting
    noted: int = 0
    reached: Callable[[str], None] = field(default=_go_on)  # told each step; tests crash there

    def pack(self, batch: Batch) -> Packed:
        """Join the blocks of a batch.

        Raises:
            DeniedError: Everything is stopped, or somebody or something in it is held back now.
            ConflictError: Somebody chose something else meanwhile; nothing was changed.
            ShreddedError: A key is gone; nothing was changed.
            UnavailableError: The ledger or the store does not answer.
            TamperedError: What is stored is not what was sealed.
        """
        desk = self.desk
        desk.trust.require_running()
        desk.ledger.check_health()
        desk.check_time()
        people = sorted({PersonId(one.sealed.person) for one in batch.inputs})
        sources = {source for one in batch.inputs for source, _ in one.parts}
        touched = things(segments=[batch.segment], datasets=sources)
        with desk.turn.last():
            desk.trust.contained.require_free(touched)
            standings = self._standings(people)
            if not all(map(openable_now(desk), batch.inputs)):
                raise ConflictError("not all of it may be opened now", rule="compaction.changed")
            run = Run(people, touched)
            desk.runs.add(run)
        with desk.holding(run=run):
            name = ids.opaque_id("cmp")
            inputs = batch.inputs
            intent = desk.trust.log_running(
                self._entry(
                    name,
                    {"segment": batch.segment, "expires": batch.expires, "blocks": len(inputs)},
                    {"state": "begun", "blocks": len(inputs)},
                )
            )
            try:
                desk.confirm(intent)
                self.reached("begun")
                sealed, number, empty = self._rewrite(
                    batch, run, standings, name=name, entry=intent.index
                )
            except BaseException:
                self._note_dropped(name, intent.index)
                raise
        self.reached("replaced")
        desk.log(self._entry(name, {"compaction": number}, {"state": "done"}, ref=intent.index))
        self.noted = max(self.noted, number)
        self.reached("done")
        return Packed(
            blocks=len(inputs),
            into=len(batch.outputs),
            read=batch.size,
            written=sealed.size,
            retired=len(empty),
            entry=intent.index,
        )

    def catch_up(self) -> None:
        """Write that joins are done whose leaf a crash, or a ledger that took nothing, kept out.

        Raises:
            UnavailableError: The ledger does not take it.
        """
        number = self.rewriting.number()
        if number > self.noted:
            name = ids.opaque_id("cmp")
            self.desk.log(self._entry(name, {"compaction": number}, {"state": "done"}))
            self.noted = number

    def _rewrite(
        self,
        batch: Batch,
        run: Run,
        standings: Mapping[PersonId, Standing],
        *,
        name: str,
        entry: int,
    ) -> tuple[SealedObject, int, list[str]]:
        desk = self.desk
        charter = desk.trust.digest()
        plain = self._open(batch, run)
        self.reached("read")
        run.require_going()
        generation = 1 + max(one.sealed.generation for one in batch.inputs)
        sealed = desk.vault.seal(
            plain, segment=batch.segment, generation=generation, rewriting=True
        )
        with come_to_rest(desk.vault, [sealed.name]) as resting:
            self.reached("sealed")
            self._compare(sealed, plain, run)
            self.reached("compared")
            with self._locked(run):
                desk.trust.contained.require_free(run.touched)
                self._require_same(batch, standings, charter=charter)
                desk.trust.log_running(
                    self._entry(
                        name,
                        {
                            "objects": [[sealed.name, sealed.root.hex(), sealed.size, generation]],
                            "blocks": len(sealed.blocks),
                        },
                        {"state": "made", "objects": 1, "blocks": len(sealed.blocks)},
                        ref=entry,
                    )
                )
                self.reached("made")
                resting.begin()
                number, empty = self.rewriting.replace(batch.outputs, sealed, now_us=desk.now_us())
        return sealed, number, empty

    def _open(self, batch: Batch, run: Run) -> list[PlainBlock]:
        """Return the rows of a batch as the blocks that they will be."""
        tables: dict[bytes, pa.Table] = {}
        size = 0
        for block, table in self.desk.vault.read([one.sealed for one in batch.inputs]):
            run.require_going()
            self.desk.trust.require_running()
            size += table.nbytes
            if size > MOST_PLAIN:
                raise ConflictError("more than is opened at once", rule="compaction.size")
            tables[block.block_id] = table
        plain = []
        for several in batch.outputs:
            first = several[0].sealed
            plain.append(
                PlainBlock(
                    person=first.person,
                    stream=first.stream,
                    window=first.window,
                    label=first.label,
                    table=join_tables([tables.pop(one.sealed.block_id) for one in several]),
                )
            )
        return plain

    def _compare(self, sealed: SealedObject, plain: Sequence[PlainBlock], run: Run) -> None:
        """Pass if what came to rest holds exactly the rows that were opened.

        Raises:
            TamperedError: It does not; the old blocks stay.
        """
        vault = self.desk.vault
        segment = sealed.blocks[0].segment
        vault.check(sealed.name, root=sealed.root, size=sealed.size, segment=segment)
        for one, (_, table) in zip(plain, vault.read(sealed.blocks), strict=True):
            run.require_going()
            if not same_rows(one.table, table):
                raise TamperedError(
                    "rows came to rest otherwise than they were", rule="compaction.rows"
                )

    @contextmanager
    def _locked(self, run: Run) -> Iterator[None]:
        """Hold the lock of choices, unless the run is ended by whoever holds it and waits for it to be over."""
        while not self.desk.lock.acquire(timeout=_TURN_S):
            run.require_going()
        try:
            run.require_going()
            yield
        finally:
            self.desk.lock.release()

    def _standings(self, people: Sequence[PersonId]) -> dict[PersonId, Standing]:
        """Return what everybody in a batch chose.

        Raises:
            DeniedError: Somebody is being erased.
        """
        desk, now = self.desk, self.desk.people.everybody()
        if any(one not in now or one in desk.erasing or one in desk.gone for one in people):
            raise DeniedError("somebody in it is being erased", rule="subjects.erased")
        return {one: now[one] for one in people}

    def _require_same(
        self, batch: Batch, standings: Mapping[PersonId, Standing], *, charter: bytes
    ) -> None:
        desk = self.desk
        if self._standings(sorted(standings)) != standings or desk.trust.digest() != charter:
            raise ConflictError(
                "somebody chose something else meanwhile", rule="compaction.changed"
            )
        # a pause that was planned long ago begins by itself, and changes nothing of what was chosen
        if not all(map(openable_now(desk), batch.inputs)):
            raise ConflictError("not all of it may be opened now", rule="compaction.changed")
        if batch.expires <= desk.today():
            raise ConflictError("its time is over", rule="vault.expired")

    def _entry(
        self,
        name: str,
        detail: Mapping[str, object],
        public: Mapping[str, int | str],
        *,
        ref: int | None = None,
    ) -> Entry:
        return Entry(
            kind=KIND,
            actor=ACTOR,
            object=name,
            detail=dict(detail),
            charter=self.desk.trust.digest(),
            public=dict(public),
            ref=ref,
            key=f"compaction/{name}/{public['state']}",
        )

    def _note_dropped(self, name: str, entry: int) -> None:
        with suppress(UnavailableError, TamperedError):
            self.desk.log(self._entry(name, {}, {"state": "dropped"}, ref=entry))


def join_tables(tables: Sequence[pa.Table]) -> pa.Table:
    """Return the rows of some tables of one schema, in order, as one.

    Raises:
        ConflictError: They have several.
    """
    if len(tables) == 1:
        return tables[0]
    try:
        return pa.concat_tables(tables).unify_dictionaries().combine_chunks()
    except (
        pa.ArrowException
    ) as error:  # a newer schema, or more words than its numbers can tell apart
        raise ConflictError("rows that do not go into one table", rule="compaction.rows") from error


def same_rows(one: pa.Table, other: pa.Table) -> bool:
    """Return whether two tables hold the same rows, bit for bit, however their dictionaries are numbered."""
    return one.schema.equals(other.schema) and all(
        _bare(first).equals(_bare(second))
        for first, second in zip(one.columns, other.columns, strict=True)
    )


def _bare(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return column.cast(kind.value_type)
    if pa.types.is_floating(
        kind
    ):  # by their bits: what is not a number equals nothing, not even itself
        bits = {16: pa.uint16(), 32: pa.uint32(), 64: pa.uint64()}[kind.bit_width]
        return pa.chunked_array([chunk.view(bits) for chunk in column.chunks], type=bits)
    return column
