"""Reading sealed blocks: every key first, then every check, then rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

import pyarrow as pa

from safehold.clock import Clock, day_of
from safehold.errors import ShreddedError
from safehold.vault.block import lay_out, likely_head, open_block, open_paged
from safehold.vault.container import LARGEST_OBJECT, ObjectSeal, check_object
from safehold.vault.label import Label, SealedBlock
from safehold.vault.lookup import METADATA_KEY, Lookup, names_of_keys, window_keys_of
from safehold.vault.objects import Objects
from safehold.vault.opened import Opened
from safehold.vault.together import Together

BATCH_BYTES: Final = 16 << 20  # sealed bytes fetched at once while reading


class Reader:
    """Opens blocks whose keys are alive.

    Args:
        lookup: Finds their keys.
        objects: Where sealed objects rest.
        clock: Time.
    """

    def __init__(self, *, lookup: Lookup, objects: Objects, clock: Clock) -> None:
        self._lookup = lookup
        self._objects = objects
        self._clock = clock

    def read(
        self, blocks: Sequence[SealedBlock], *, columns: Sequence[str] | None = None
    ) -> Iterator[tuple[SealedBlock, pa.Table]]:
        """Yield rows as ``Vault.read`` promises."""
        for block, rows in self._rows(blocks, columns):
            yield block, rows if isinstance(rows, pa.Table) else pa.Table.from_batches([rows])

    def read_batches(
        self, blocks: Sequence[SealedBlock], *, columns: Sequence[str] | None = None
    ) -> Iterator[tuple[SealedBlock, pa.RecordBatch]]:
        """Yield rows as ``Vault.read_batches`` promises."""
        for block, rows in self._rows(blocks, columns):
            yield block, rows if isinstance(rows, pa.RecordBatch) else _batch_of(rows)

    def _rows(
        self, blocks: Sequence[SealedBlock], columns: Sequence[str] | None
    ) -> Iterator[tuple[SealedBlock, pa.Table | pa.RecordBatch]]:
        """Yield rows in the form that costs least; every key is looked up before the first block opens."""
        window_keys, metadata_keys = self.keys_of(blocks)
        wanted = None if columns is None else list(columns)
        for (name, segment), places in _by_object(blocks):
            seal = ObjectSeal(metadata_keys[segment], name)
            for batch in _batches(blocks, places):
                some = [(blocks[place], window_keys[place]) for place in batch]
                yield from self._open(name, some, seal, wanted)

    def _open(
        self,
        name: str,
        batch: Sequence[tuple[SealedBlock, bytes]],
        seal: ObjectSeal,
        wanted: list[str] | None,
    ) -> Iterator[tuple[SealedBlock, pa.Table | pa.RecordBatch]]:
        """Yield rows of blocks of one object; of long ones only what the columns wanted lie on is fetched."""
        long = self._objects.apart if wanted is not None else LARGEST_OBJECT
        parts = self._objects.ranges(
            name,
            [
                (block.offset, block.length if block.length < long else likely_head(block.length))
                for block, _ in batch
            ],
        )
        begun: dict[int, Opened | None] = {}
        spans: list[tuple[int, int]] = []
        for place, (block, window_key) in enumerate(batch):
            if len(parts[place]) == block.length:
                continue
            layout = lay_out(parts[place], block.length)
            if layout is None or layout.body > len(parts[place]):
                begun[place] = None  # of version 1, or an unusually long head: all of it
                spans.append((block.offset, block.length))
                continue
            begun[place] = opened = open_paged(
                parts[place], layout, block, seal=seal, window_key=window_key, columns=wanted
            )
            first = block.offset + layout.body
            spans += [(first + begin, end - begin) for begin, end in opened.spans]
        more = iter(self._objects.ranges(name, spans) if spans else [])
        together = Together(seal, wanted)
        for place, (block, window_key) in enumerate(batch):
            ready = begun.get(place) if begun else None
            part = next(more) if place in begun and ready is None else parts[place]
            if ready is None and together.take(part, block, window_key):
                if together.full:
                    yield from together.done()
                continue
            if together.waiting:
                yield from together.done()
            if ready is not None:
                yield block, ready.table(list(islice(more, len(ready.spans))))
            else:
                yield (
                    block,
                    open_block(part, block, seal=seal, window_key=window_key, columns=wanted),
                )
        yield from together.done()

    def check(self, name: str, *, root: bytes, size: int, segment: str) -> int:
        """Check a whole object as ``Vault.check`` promises; no person's key is used."""
        held = self._lookup.find(segment, {METADATA_KEY})
        if METADATA_KEY not in held:
            raise ShreddedError("the segment has no keys", rule="vault.key")
        seal = ObjectSeal(held[METADATA_KEY], name)
        data = memoryview(self._objects.get(name))
        return check_object(data, root=root, size=size, seal=seal)

    def keys_of(self, blocks: Sequence[SealedBlock]) -> tuple[list[bytes], dict[str, bytes]]:
        """Return the window key of each block, and the metadata key of each segment; all or none.

        Raises:
            ShreddedError: A key was destroyed, its epoch has ended, or the label's time is over.
        """
        window_keys: list[bytes] = [b""] * len(blocks)
        today = day_of(self._clock.now_us())
        metadata_keys: dict[str, bytes] = {}
        groups: dict[str, list[int]] = {}
        for place, block in enumerate(blocks):
            groups.setdefault(block.segment, []).append(place)
        for segment, places in sorted(groups.items()):
            some = [blocks[place] for place in places]
            names = names_of_keys(some)
            held = self._lookup.find(segment, {*names, METADATA_KEY})
            if METADATA_KEY not in held:
                raise ShreddedError("the segment has no keys", rule="vault.key")
            metadata_keys[segment] = held[METADATA_KEY]
            label = None
            for name, block in zip(names, some, strict=True):
                if block.label is not label:
                    label = block.label
                    check_unexpired(label, today=today)
                if name not in held:
                    raise ShreddedError(
                        "the key of a block was destroyed, by erasure or at the end of retention",
                        rule="vault.key",
                        fix="leave the person, or the window, out of the request",
                    )
            for place, key in zip(places, window_keys_of(held, names, some), strict=True):
                window_keys[place] = key
        return window_keys, metadata_keys


def check_unexpired(label: Label, *, today: int) -> None:
    """Pass while a label's retention runs.

    Raises:
        ShreddedError: It has ended, although the key may still be there.
    """
    if label.expires <= today:
        raise ShreddedError(
            "retention has ended", rule="vault.expired", fix="the key goes with the next sweep"
        )


def _batch_of(table: pa.Table) -> pa.RecordBatch:
    batches = table.combine_chunks().to_batches()
    if len(batches) == 1:
        return batches[0]
    return pa.RecordBatch.from_arrays(
        [column.combine_chunks() for column in table.columns], schema=table.schema
    )


def _by_object(blocks: Sequence[SealedBlock]) -> list[tuple[tuple[str, str], list[int]]]:
    """Return objects and which places of ``blocks`` lie in them, as they are read.

    A joined object may hold what comes before and what comes after a block of another one. So an object comes twice
    where blocks of one person, stream and window would change places otherwise: their order is part of the data.
    """
    groups: list[tuple[tuple[str, str], list[int]]] = []
    newest: dict[tuple[str, str], int] = {}  # the last group of an object
    reached: dict[tuple[str, str, int], int] = {}  # the group of somebody's last block of a window
    for place, block in enumerate(blocks):
        item = (block.object, block.segment)
        whose = (block.person, block.stream, block.window)
        group = newest.get(item, -1)
        if group < reached.get(whose, 0):
            group = newest[item] = len(groups)
            groups.append((item, []))
        groups[group][1].append(place)
        reached[whose] = group
    return groups


def _batches(blocks: Sequence[SealedBlock], places: Sequence[int]) -> Iterator[list[int]]:
    batch: list[int] = []
    held = 0
    for place in places:
        if batch and held + blocks[place].length > BATCH_BYTES:
            yield batch
            batch, held = [], 0
        batch.append(place)
        held += blocks[place].length
    if batch:
        yield batch
