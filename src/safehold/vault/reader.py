"""Reading sealed blocks: every key first, then every check, then rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

import pyarrow as pa

from safehold.clock import Clock, day_of
from safehold.errors import ShreddedError
from safehold.vault import container
from safehold.vault.container import ObjectSeal
from safehold.vault.label import Label, SealedBlock
from safehold.vault.lookup import METADATA_KEY, Lookup, name_of_key, window_key_of
from safehold.vault.objects import Objects

BATCH_BYTES: Final = 64 << 20  # sealed bytes fetched at once while reading


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
        """Yield rows as ``Vault.read`` promises: every key is looked up before the first block opens."""
        window_keys, metadata_keys = self.keys_of(blocks)
        wanted = None if columns is None else list(columns)
        by_object: dict[tuple[str, str], list[int]] = {}
        for place, block in enumerate(blocks):
            by_object.setdefault((block.object, block.segment), []).append(place)
        for (name, segment), places in by_object.items():
            seal = ObjectSeal(metadata_keys[segment], name)
            for batch in _batches(blocks, places):
                parts = self._objects.ranges(
                    name, [(blocks[place].offset, blocks[place].length) for place in batch]
                )
                for place, part in zip(batch, parts, strict=True):
                    block = blocks[place]
                    yield (
                        block,
                        container.open_block(
                            part,
                            block,
                            seal=seal,
                            window_key=window_keys[place],
                            columns=wanted,
                        ),
                    )

    def check(self, name: str, *, root: bytes, size: int, segment: str) -> int:
        """Check a whole object as ``Vault.check`` promises; no person's key is used."""
        held = self._lookup.find(segment, {METADATA_KEY})
        if METADATA_KEY not in held:
            raise ShreddedError("the segment has no keys", rule="vault.key")
        seal = ObjectSeal(held[METADATA_KEY], name)
        data = memoryview(self._objects.get(name))
        return container.check_object(data, root=root, size=size, seal=seal)

    def keys_of(self, blocks: Sequence[SealedBlock]) -> tuple[list[bytes], dict[str, bytes]]:
        """Return the window key of each block, and the metadata key of each segment; all or none.

        Raises:
            ShreddedError: A key was destroyed, its epoch has ended, or the label's time is over.
        """
        window_keys: list[bytes] = [b""] * len(blocks)
        metadata_keys: dict[str, bytes] = {}
        order = sorted(range(len(blocks)), key=lambda place: blocks[place].segment)
        for segment, group in groupby(order, key=lambda place: blocks[place].segment):
            places = list(group)
            names = {place: name_of_key(blocks[place]) for place in places}
            held = self._lookup.find(segment, {*names.values(), METADATA_KEY})
            if METADATA_KEY not in held:
                raise ShreddedError("the segment has no keys", rule="vault.key")
            metadata_keys[segment] = held[METADATA_KEY]
            for place in places:
                check_unexpired(blocks[place].label, now_us=self._clock.now_us())
                key = held.get(names[place])
                if key is None:
                    raise ShreddedError(
                        "the key of a block was destroyed, by erasure or at the end of retention",
                        rule="vault.key",
                        fix="leave the person, or the window, out of the request",
                    )
                window_keys[place] = window_key_of(key, blocks[place])
        return window_keys, metadata_keys


def check_unexpired(label: Label, *, now_us: int) -> None:
    """Pass while a label's retention runs.

    Raises:
        ShreddedError: It has ended, although the key may still be there.
    """
    if label.expires <= day_of(now_us):
        raise ShreddedError(
            "retention has ended", rule="vault.expired", fix="the key goes with the next sweep"
        )


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
