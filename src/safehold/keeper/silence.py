"""When recording ended, and how far devices had counted: small sealed records in the control database.

Holds: a stolen copy of the database tells neither who paused, left or was stopped, nor when, nor how busy a device
was. A row is found by a keyed hash of the person that is used for nothing else.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from safehold import canonical
from safehold.access.gap import Head
from safehold.canonical import b64, unb64
from safehold.keeper import tables
from safehold.subjects import Sealer

EVERYBODY = ""
PAD = 256  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """One end of recording.

    Args:
        reason: ``pause``, ``stop`` or ``withdrawn``.
        from_us: When, microseconds.
        head: Head of the ledger at that moment.
    """

    reason: str
    from_us: int
    head: Head


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A device's word on how far it had counted.

    Args:
        device: Its key, base64.
        at_us: When it said so, microseconds.
        record: The signed mark.
    """

    device: str
    at_us: int
    record: bytes


class Silences:
    """Keeps both kinds of record.

    Args:
        engine: The control database.
        sealer: Seals the records.
        key: 32 bytes; a person is found by a hash under it.
    """

    def __init__(self, engine: sa.Engine, *, sealer: Sealer, key: bytes) -> None:
        self._engine = engine
        self._sealer = sealer
        self._key = key

    def note(self, person: str, silence: Silence) -> None:
        """Remember that recording of a person (or of ``EVERYBODY``) ended."""
        record = {
            "reason": silence.reason,
            "from_us": silence.from_us,
            "size": silence.head.size,
            "root": silence.head.root,
        }
        self._insert(tables.silence, person, record)

    def last(self, *people: str) -> Silence | None:
        """Return the newest silence of any of the people."""
        found = [one for person in people for one in self._select(tables.silence, person)]
        if not found:
            return None
        newest = max(found, key=lambda one: one["from_us"])
        return Silence(
            reason=newest["reason"],
            from_us=newest["from_us"],
            head=Head(size=newest["size"], root=newest["root"]),
        )

    def hear(self, person: str, said: Said) -> None:
        """Keep a device's mark."""
        record = {"device": said.device, "at_us": said.at_us, "record": b64(said.record)}
        self._insert(tables.mark, person, record)

    def heard(self, person: str) -> list[Said]:
        """Return the marks of a person's devices, oldest first."""
        found = [
            Said(device=one["device"], at_us=one["at_us"], record=unb64(one["record"]))
            for one in self._select(tables.mark, person)
        ]
        return sorted(found, key=lambda one: one.at_us)

    def forget(self, person: str) -> None:
        """Delete everything about a person."""
        with self._engine.begin() as connection:
            for table in (tables.silence, tables.mark):
                connection.execute(table.delete().where(table.c.person == self._tag(person)))

    def _insert(self, table: sa.Table, person: str, record: dict[str, Any]) -> None:
        tag = self._tag(person)
        plain = canonical.encode(record)
        plain += b" " * (-len(plain) % PAD)
        sealed = self._sealer.seal(plain, aad=_aad(table, tag))
        with self._engine.begin() as connection:
            connection.execute(table.insert().values(person=tag, record=sealed))

    def _select(self, table: sa.Table, person: str) -> list[dict[str, Any]]:
        tag = self._tag(person)
        with self._engine.begin() as connection:
            rows = connection.execute(
                sa.select(table.c.record).where(table.c.person == tag).order_by(table.c.id)
            ).scalars()
            sealed = [bytes(one) for one in rows]
        return [
            canonical.decode(self._sealer.open(one, aad=_aad(table, tag)).rstrip(b" "))
            for one in sealed
        ]

    def _tag(self, person: str) -> str:
        return hmac.digest(self._key, person.encode(), "sha256").hex()[:40]


def _aad(table: sa.Table, tag: str) -> bytes:
    return f"{table.name}/{tag}".encode()
