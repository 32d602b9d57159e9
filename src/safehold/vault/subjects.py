"""Subject keys: what stands for a person in the ledger, until they are erased."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from safehold.errors import ShreddedError
from safehold.vault import tables
from safehold.vault.keyring import (
    SUBJECT,
    SUBJECTS_SEGMENT,
    KeyName,
    Keyring,
)
from safehold.vault.label import check_name
from safehold.vault.lookup import Lookup


class Subjects:
    """The subject keys of a vault. Thread-safe.

    Args:
        engine: The control database.
        keyring: Opens them.
        lookup: Finds and makes them.
    """

    def __init__(self, *, engine: sa.Engine, keyring: Keyring, lookup: Lookup) -> None:
        self._engine = engine
        self._keyring = keyring
        self._lookup = lookup

    def key(self, person: str) -> bytes:
        """Return the 32 random bytes that stand for a person in the ledger; made on first use.

        They end with ``shred(person=...)``: then the ledger's tags of that person link to nobody.
        """
        check_name(person, "vault.person")
        key = self._lookup.one(SUBJECTS_SEGMENT, KeyName(SUBJECT, person), make=True)
        if key is None:  # pragma: no cover - making always yields a key
            raise ShreddedError("the subject key is gone", rule="vault.key")
        return key

    def keys(self, people: Sequence[str]) -> list[bytes]:
        """Return the subject keys of many people, in order; one look-up, missing ones are made."""
        names = [KeyName(SUBJECT, person) for person in people]
        if not names:
            return []
        held = self._lookup.make(SUBJECTS_SEGMENT, names)
        return [held[name] for name in names]

    def living(self) -> dict[str, bytes]:
        """Return the subject key of everybody who has one: of nobody who was erased."""
        column = tables.key.c
        with self._engine.begin() as connection:
            owners = connection.execute(
                sa.select(column.owner).where(column.kind == SUBJECT)
            ).scalars()
            names = [KeyName(SUBJECT, owner) for owner in owners]
            held = self._keyring.find(connection, SUBJECTS_SEGMENT, names)
        return {name.owner: key for name, key in held.items()}
