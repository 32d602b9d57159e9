"""The register of devices: which key may record whom.

Holds: a key stands for one person and for nobody else, ever, unless the person was erased and the key with them;
one that was removed does not come back. Rows are sealed and bound to their key and version; every change is in the
ledger before it is here (the caller appends first); the register is kept in memory by the one process that may
open it.
"""

from __future__ import annotations

import hmac
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from safehold import canonical
from safehold.errors import ConflictError
from safehold.ids import PersonId
from safehold.subjects import tables
from safehold.subjects.register import PAD, Sealer


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A key that records, or recorded, one person.

    Args:
        person: Whom.
        key: Ed25519 public key, base64.
        added_us: When it was enrolled, microseconds.
        used_us: When it first got a lease, or None.
        removed_us: When it was removed, or None.
    """

    person: PersonId
    key: str
    added_us: int
    used_us: int | None = None
    removed_us: int | None = None

    def to_record(self) -> dict[str, Any]:
        """Return the device as canonical JSON values, to be sealed."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Device:
        """Read what ``to_record`` wrote."""
        return cls(**record)


class Devices:
    """Every device that was ever enrolled.

    Args:
        engine: The control database.
        sealer: Seals the records.
        lookup_key: 32 bytes; names a row without storing the key.
    """

    def __init__(self, engine: sa.Engine, *, sealer: Sealer, lookup_key: bytes) -> None:
        self._engine = engine
        self._sealer = sealer
        self._lookup_key = lookup_key
        self._lock = threading.RLock()
        self._devices: dict[str, Device] = {}
        self._version: dict[str, int] = {}
        self._owned: dict[PersonId, set[str]] = {}  # whose which are, so that nobody looks at all
        with engine.begin() as connection:
            for row in connection.execute(sa.select(tables.device)):
                plain = sealer.open(row.sealed, aad=_aad(row.id, row.version))
                device = Device.from_record(canonical.decode(plain.rstrip(b"\0")))
                self._remember(device, row.version)

    def find(self, key: str) -> Device | None:
        """Return the device with a public key (base64), if it was ever enrolled."""
        return self._devices.get(key)

    def version(self, key: str) -> int:
        """Return how many changes of a device the register has seen, its enrolment included."""
        return self._version.get(key, 0)

    def everything(self) -> Mapping[str, Device]:
        """Return all devices by their public keys."""
        return dict(self._devices)

    def of(self, person: PersonId) -> list[Device]:
        """Return the devices of a person, oldest first."""
        with self._lock:
            mine = [self._devices[key] for key in self._owned.get(person, ())]
        return sorted(mine, key=lambda one: (one.added_us, one.key))

    def used_by(self, person: PersonId) -> list[tuple[int, Device]]:
        """Return the devices that ever got a lease for a person, with when they first did, in that order."""
        used = [(one.used_us, one) for one in self.of(person) if one.used_us is not None]
        return sorted(used, key=lambda one: (one[0], one[1].key))

    def put(self, device: Device, *, version: int) -> None:
        """Write a device, durably; ``version`` follows the one that is held.

        Raises:
            ConflictError: It does not follow.
        """
        self.put_all([(device, version)])

    def put_all(self, devices: Sequence[tuple[Device, int]]) -> None:
        """Write some devices with their versions in one transaction, all or none.

        Raises:
            ConflictError: A version does not follow the one that is held; nothing was written.
        """
        with self._lock:
            if any(version != self.version(one.key) + 1 for one, version in devices):
                raise ConflictError("the register of devices has gone on", rule="source.version")
            with self._engine.begin() as connection:
                for one, version in devices:
                    connection.execute(self._change(one, version))
            for one, version in devices:
                self._remember(one, version)

    def forget(self, person: PersonId) -> None:
        """Delete the devices of a person who was erased; their keys may then stand for somebody else."""
        with self._lock:
            gone = [one.key for one in self.of(person)]
            with self._engine.begin() as connection:
                for key in gone:
                    connection.execute(
                        tables.device.delete().where(tables.device.c.id == self._name(key))
                    )
            for key in gone:
                del self._devices[key], self._version[key]
            self._owned.pop(person, None)

    def _remember(self, device: Device, version: int) -> None:
        self._devices[device.key], self._version[device.key] = device, version
        self._owned.setdefault(device.person, set()).add(device.key)

    def _change(self, device: Device, version: int) -> sa.Insert | sa.Update:
        name = self._name(device.key)
        plain = canonical.encode(device.to_record())
        plain += b"\0" * (-len(plain) % PAD)
        sealed = self._sealer.seal(plain, aad=_aad(name, version))
        change: sa.Insert | sa.Update = tables.device.insert().values(id=name)
        if version > 1:
            change = tables.device.update().where(tables.device.c.id == name)
        return change.values(sealed=sealed, version=version)

    def _name(self, key: str) -> str:
        return (
            "dev_" + hmac.digest(self._lookup_key, b"device/" + key.encode(), "sha256").hex()[:32]
        )


def _aad(name: str, version: int) -> bytes:
    return f"device/{name}/{version}".encode()
