"""Which key a block is under, and looking keys up by name, each look in a transaction of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

import sqlalchemy as sa

from safehold.errors import ShreddedError, TamperedError
from safehold.vault import keys
from safehold.vault.keyring import METADATA, PERSON, KeyName, Keyring
from safehold.vault.label import PlainBlock, SealedBlock

# of a segment: opens headers, and checks objects without any person's key
METADATA_KEY: Final = KeyName(METADATA)


class Lookup:
    """Finds keys in a database in which others erase at the same time.

    Args:
        engine: The control database.
        keyring: Opens what is found.
    """

    def __init__(self, *, engine: sa.Engine, keyring: Keyring) -> None:
        self._engine = engine
        self._keyring = keyring

    def find(self, segment: str, names: AbstractSet[KeyName]) -> dict[KeyName, bytes]:
        """Return the keys that exist, of those named.

        Raises:
            ShreddedError: The segment's epoch has ended: the database is an old copy.
            TamperedError: A row or the segment's record was changed.
        """
        try:
            with self._engine.execution_options(reading=True).begin() as connection:
                return self._keyring.find(connection, segment, names)
        except (ShreddedError, TamperedError):
            # the epoch may have ended, or be ending, between the snapshot and the look at its
            # secret; with the write lock held, what the row names is alive, or the failure is real
            with self._engine.begin() as connection:
                return self._keyring.find(connection, segment, names)

    def make(self, segment: str, names: Iterable[KeyName]) -> dict[KeyName, bytes]:
        """Return the named keys, making those that are missing; they are durable when this returns."""
        with self._engine.begin() as connection:
            return self._keyring.make(connection, segment, names)

    def one(self, segment: str, name: KeyName, *, make: bool) -> bytes | None:
        """Return one key; where it is missing it is made, or is None."""
        key = self.find(segment, {name}).get(name)
        if key is None and make:
            return self.make(segment, {name})[name]
        return key


def name_of_key(block: PlainBlock | SealedBlock) -> KeyName:
    """Return which key of its person a block is sealed under."""
    return KeyName(PERSON, block.person, block.stream, block.label.expires)


def names_of_keys(blocks: Iterable[PlainBlock | SealedBlock]) -> list[KeyName]:
    """Return which key each block is sealed under; neighbours under one key share its name."""
    found: list[KeyName] = []
    name = METADATA_KEY
    for block in blocks:
        if (
            block.person != name.owner
            or block.stream != name.stream
            or block.label.expires != name.period
        ):
            name = name_of_key(block)
        found.append(name)
    return found


def window_keys_of(
    held: Mapping[KeyName, bytes],
    names: Sequence[KeyName],
    blocks: Sequence[PlainBlock | SealedBlock],
) -> list[bytes]:
    """Return the key of each block's window, bound to its label.

    Args:
        held: Keys by name; each of ``names`` is there.
        names: Of the key of each block.
        blocks: The blocks.
    """
    found: list[bytes] = []
    known: dict[KeyName, keys.WindowKeys] = {}
    label, hashed = None, b""
    for name, block in zip(names, blocks, strict=True):
        if block.label is not label:
            label = block.label
            hashed = keys.label_hash(
                purposes=label.purposes,
                jurisdiction=label.jurisdiction,
                expires=label.expires,
                charter=label.charter,
            )
        one = known.get(name)
        if one is None:
            one = known[name] = keys.WindowKeys(held[name])
        found.append(one.of(block.window, hashed))
    return found
