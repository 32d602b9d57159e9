"""When recording ended, and how far devices had counted: small sealed records in the control database.

Holds: a stolen copy of the database tells neither who paused, left or was stopped, nor when, nor how busy a device
was. A row is found by a keyed hash of the person that is used for nothing else.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from safehold import canonical
from safehold.access.gap import Head, Mark, read_mark
from safehold.canonical import b64, unb64
from safehold.errors import MissingError
from safehold.keeper import tables
from safehold.signing import VerifyKey
from safehold.subjects import Sealer

EVERYBODY = ""
PAD = 256  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """One end of recording.

    Args:
        reason: ``pause``, ``stop``, ``withdrawn`` or ``contained``.
        from_us: When, microseconds.
        head: Head of the ledger at that moment.
        of: The one stream or segment that it ended in; empty where it ended altogether.
    """

    reason: str
    from_us: int
    head: Head
    of: str = ""


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
            **({"of": silence.of} if silence.of else {}),
        }
        self._insert(tables.silence, person, record)

    def last(self, *people: str, of: Collection[str] = ("",)) -> Silence | None:
        """Return the newest silence of any of the people: of all they do, or in one of some streams and segments."""
        found = [
            one
            for person in people
            for one in self._select(tables.silence, person)
            if one.get("of", "") in of
        ]
        if not found:
            return None
        newest = max(found, key=lambda one: one["from_us"])
        return Silence(
            reason=newest["reason"],
            from_us=newest["from_us"],
            head=Head(size=newest["size"], root=newest["root"]),
            of=newest.get("of", ""),
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


def quiet_pair(
    said: Sequence[Said], from_us: int, *, only: Collection[str] = ()
) -> tuple[Said, Said]:
    """Return the two marks of a device that prove the longest silence from a moment on.

    The count must be the same in both. The earlier one may be from before the moment, if nothing was recorded
    between it and the silence; the later one is the last before anything was recorded again.

    Args:
        said: The device's marks, oldest first.
        from_us: When the silence began, microseconds.
        only: The streams that were silent; all of them where none is named.

    Raises:
        MissingError: The device has not said twice how far it counted.
    """

    def mark_of(row: Said) -> Mark:
        return read_mark(row.record, device=VerifyKey.from_text(row.device))

    def count(row: Said) -> tuple[int, dict[str, int]]:
        mark = mark_of(row)
        if only:
            return 0, {stream: mark.positions.get(stream, 0) for stream in only}
        return mark.event_us, dict(mark.positions)

    before = [row for row in said if row.at_us < from_us][-1:]
    after = [row for row in said if row.at_us >= from_us]
    quiet = [row for row in (*before, *after) if after and count(row) == count(after[0])]
    if (
        only and quiet
    ):  # an event of another stream before that word may be one of the gap, to whoever checks it
        sooner = [row for row in quiet if mark_of(row).event_us < from_us]
        quiet = [*sooner[:1], *quiet[-1:]] if sooner and sooner[0] is not quiet[-1] else []
    if len(quiet) < 2:
        raise MissingError(
            "a device has not said twice how far it counted since then",
            rule="gap.marks",
            fix="let the collector run: it says so when it stops and when it starts",
        )
    return quiet[0], quiet[-1]
