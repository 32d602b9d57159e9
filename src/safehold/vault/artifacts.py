"""Artifacts, each kept as one object under a key of its own, which ends with it."""

from __future__ import annotations

import sqlalchemy as sa

from safehold.clock import Clock, day_of
from safehold.errors import ConflictError, InvalidError, ShreddedError
from safehold.vault import objects, tables
from safehold.vault.artifact import SealedArtifact, open_artifact_bytes, seal_artifact_bytes
from safehold.vault.keyring import (
    ARTIFACT,
    KeyName,
    Keyring,
)
from safehold.vault.label import Label, check_name
from safehold.vault.lookup import Lookup
from safehold.vault.objects import Objects
from safehold.vault.reader import check_unexpired


class Artifacts:
    """Sealed artifacts of a vault. Thread-safe.

    Args:
        engine: The control database.
        keyring: Makes their keys.
        lookup: Finds their keys.
        objects: Where they rest.
        clock: Time.
    """

    def __init__(
        self, *, engine: sa.Engine, keyring: Keyring, lookup: Lookup, objects: Objects, clock: Clock
    ) -> None:
        self._engine = engine
        self._keyring = keyring
        self._lookup = lookup
        self._objects = objects
        self._clock = clock

    def seal(
        self, name: str, data: bytes | memoryview, *, label: Label, segment: str
    ) -> SealedArtifact:
        """Seal bytes as an artifact under a new key of its own; durable when this returns.

        Raises:
            ConflictError: An artifact of this name has a key already.
            InvalidError: No bytes, too many, or a label whose time is over.
        """
        check_name(name, "vault.artifact")
        if label.expires <= day_of(self._clock.now_us()):
            raise InvalidError("a label's time is over", rule="vault.expired")
        key_name = KeyName(ARTIFACT, name, "", label.expires)
        with self._engine.begin() as connection:
            taken = connection.execute(
                sa.select(tables.key.c.id).where(
                    tables.key.c.kind == ARTIFACT, tables.key.c.owner == name
                )
            ).first()
            if taken is not None:
                raise ConflictError("an artifact of this name exists", rule="vault.artifact")
            key = self._keyring.make(connection, segment, {key_name})[key_name]
        place = objects.new_name()
        sealed, record = seal_artifact_bytes(
            data, name=name, segment=segment, label=label, place=place, key=key
        )
        self._objects.put(place, sealed)
        return record

    def keeps(self, artifact: SealedArtifact) -> bool:
        """Return whether an artifact's key is there and its time is not over; its object is not looked at."""
        name = KeyName(ARTIFACT, artifact.name, "", artifact.label.expires)
        try:
            check_unexpired(artifact.label, today=day_of(self._clock.now_us()))
            return self._lookup.one(artifact.segment, name, make=False) is not None
        except ShreddedError:
            return False

    def read(self, artifact: SealedArtifact) -> bytes:
        """Return an artifact after every check.

        Raises:
            ShreddedError: Its key was destroyed, or its time is over.
            TamperedError: It is not what the record says.
            MissingError: The object is gone.
        """
        check_unexpired(artifact.label, today=day_of(self._clock.now_us()))
        name = KeyName(ARTIFACT, artifact.name, "", artifact.label.expires)
        key = self._lookup.one(artifact.segment, name, make=False)
        if key is None:
            raise ShreddedError("the artifact's key was destroyed", rule="vault.key")
        return open_artifact_bytes(self._objects.get(artifact.object), artifact, key=key)
