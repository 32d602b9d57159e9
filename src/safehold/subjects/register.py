"""The register of people.

Holds: names and choices are sealed at rest and bound to their row and version; every change of a choice is in
the ledger before it is in the database (the caller appends first); the register is kept in memory by the one
process that may open it.
"""

from __future__ import annotations

import hmac
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Protocol

import sqlalchemy as sa

from safehold import canonical, ids
from safehold.errors import ConflictError, MissingError
from safehold.ids import PersonId
from safehold.subjects import tables
from safehold.subjects.standing import Standing

PAD = 2048  # bytes: sealed records do not tell by their length who chose how much


@dataclass(frozen=True, slots=True)
class Origin:
    """How somebody came into the register.

    Args:
        batch: The enrolment, opaque.
        first: Digest of the standing they came with.
        salt: 32 random bytes, base64; without them nobody can tell from a voucher who somebody was.
    """

    batch: str
    first: str
    salt: str

    def voucher(self, person: PersonId) -> str:
        """Return what stands for a person in the digest of their enrolment, base64."""
        said = canonical.encode([self.salt, person, self.first])
        return canonical.b64(sha256(b"safehold/voucher/1" + said).digest())


@dataclass(frozen=True, slots=True)
class Batch:
    """People who are enrolled together.

    Args:
        id: Opaque.
        people: Their ids.
        digest: Hash over them and what they came with, base64.
    """

    id: str
    people: list[PersonId]
    digest: str


class Sealer(Protocol):
    """Seal small records under a key of the root."""

    def seal(self, plaintext: bytes, *, aad: bytes) -> bytes:
        """Return the sealed bytes."""
        ...

    def open(self, sealed: bytes, *, aad: bytes) -> bytes:
        """Return the plain bytes, or raise ``TamperedError``."""
        ...


class People:
    """Everybody the system knows.

    Args:
        engine: The control database.
        sealer: Seals the records.
        lookup_key: 32 bytes; finds a person by name without storing the name.
    """

    def __init__(self, engine: sa.Engine, *, sealer: Sealer, lookup_key: bytes) -> None:
        self._engine = engine
        self._sealer = sealer
        self._lookup_key = lookup_key
        self._lock = threading.RLock()
        self._standing: dict[PersonId, Standing] = {}
        self._version: dict[PersonId, int] = {}
        self._ids: dict[str, PersonId] = {}
        self._linked: dict[tuple[str, str], PersonId] = {}  # by principal and identity
        self._planned: set[PersonId] = (
            set()
        )  # who has, or had, a pause that begins or ends by itself
        self._origin: dict[PersonId, Origin] = {}
        self._gone: list[tuple[str, str]] = []  # batch and voucher of everybody who was erased
        with engine.begin() as connection:
            for row in connection.execute(sa.select(tables.person)):
                name = PersonId(row.id)
                plain = sealer.open(row.sealed, aad=_aad(name, row.version))
                record: dict[str, Any] = canonical.decode(plain.rstrip(b"\0"))
                if "voucher" in record:
                    self._gone.append((record["batch"], record["voucher"]))
                    continue
                self._origin[name] = Origin(
                    record.pop("batch"), record.pop("first"), record.pop("salt")
                )
                self._remember(name, Standing.from_record(record), row.version)

    def enrol(
        self,
        standings: Iterable[Standing],
        *,
        first: Callable[[Batch], object] = lambda _batch: None,
    ) -> list[PersonId]:
        """Add people in one transaction.

        Args:
            standings: Who, and what they chose.
            first: Called with the batch before anything is written; what it raises ends the enrolment.

        Raises:
            ConflictError: One of them is known already.
        """
        new: list[tuple[PersonId, Standing]] = []
        with self._lock:
            for standing in standings:
                if standing.external in self._ids:
                    raise ConflictError("this person is enrolled already", rule="subjects.enrol")
                new.append((PersonId(ids.opaque_id("psn")), standing))
            if new:
                batch = ids.opaque_id("enr")
                origin = {
                    name: Origin(batch, standing.digest(), canonical.b64(ids.random_bytes(32)))
                    for name, standing in new
                }
                people = [name for name, _ in new]
                first(
                    Batch(batch, people, _digest([one.voucher(who) for who, one in origin.items()]))
                )
                self._origin |= origin
                self._insert(new)
            for name, standing in new:
                self._remember(name, standing, 1)
        return [name for name, _ in new]

    def _insert(self, new: list[tuple[PersonId, Standing]]) -> None:
        with self._engine.begin() as connection:
            connection.execute(
                tables.person.insert(),
                [
                    {
                        "id": name,
                        "lookup": self._lookup(standing.external),
                        "sealed": self._seal(name, 1, standing),
                        "version": 1,
                    }
                    for name, standing in new
                ],
            )

    def find(self, external: str) -> PersonId:
        """Return the id of a person by the company's name for them.

        Raises:
            MissingError: Nobody of that name is enrolled.
        """
        try:
            return self._ids[external]
        except KeyError:
            raise MissingError(
                "nobody of that name is enrolled", rule="subjects.find", fix="safehold people enrol"
            ) from None

    def knows(self, external: str) -> bool:
        """Return whether a name is enrolled."""
        return external in self._ids

    def linked(self, principal: str, identity: str) -> PersonId | None:
        """Return whom a principal who proved an identity was linked to last; whether that still holds, is not asked."""
        return self._linked.get((principal, identity))

    def standing(self, person: PersonId) -> Standing:
        """Return what a person chose."""
        try:
            return self._standing[person]
        except KeyError:
            raise MissingError("no such person", rule="subjects.standing") from None

    def version(self, person: PersonId) -> int:
        """Return how many choices of a person the register has seen, enrolment included.

        Raises:
            MissingError: Nobody has this id.
        """
        self.standing(person)
        return self._version[person]

    def origin(self, person: PersonId) -> Origin:
        """Return how somebody came into the register."""
        return self._origin[person]

    def batches(self) -> dict[str, str]:
        """Return the digest of every batch, over those of it who are in the register or were erased."""
        found: dict[str, list[str]] = {}
        for batch, voucher in self._gone:
            found.setdefault(batch, []).append(voucher)
        for person in self._standing:
            origin = self._origin[person]
            found.setdefault(origin.batch, []).append(origin.voucher(person))
        return {batch: _digest(vouchers) for batch, vouchers in found.items()}

    @property
    def erased(self) -> int:
        """Number of people who were erased."""
        return len(self._gone)

    def erase(self, person: PersonId) -> None:
        """Forget a person, durably; what is left of them says only that somebody was here.

        Raises:
            MissingError: Nobody has this id.
        """
        with self._lock:
            standing, origin = self.standing(person), self._origin[person]
            name = PersonId(ids.opaque_id("gone"))
            voucher = origin.voucher(person)
            left = {"batch": origin.batch, "voucher": voucher}
            with self._engine.begin() as connection:
                connection.execute(tables.person.delete().where(tables.person.c.id == person))
                connection.execute(
                    tables.person.insert().values(
                        id=name,
                        lookup=ids.random_bytes(32),
                        sealed=self._seal_record(name, 1, left),
                        version=1,
                    )
                )
            self._gone.append((origin.batch, voucher))
            del self._standing[person], self._version[person], self._origin[person]
            del self._ids[standing.external]
            self._unlink(person, standing)
            self._planned.discard(person)

    def everybody(self) -> Mapping[PersonId, Standing]:
        """Return all standings."""
        return dict(self._standing)

    def planned(self) -> Mapping[PersonId, Standing]:
        """Return the standings of those who ever planned a pause: one that begins later, or ends by itself."""
        with self._lock:
            return {person: self._standing[person] for person in self._planned}

    def change(self, person: PersonId, how: Callable[[Standing], Standing]) -> Standing:
        """Replace a person's standing by what ``how`` makes of it, durably."""
        with self._lock:
            standing = how(self.standing(person))
            version = self._version[person] + 1
            with self._engine.begin() as connection:
                connection.execute(
                    tables.person.update()
                    .where(tables.person.c.id == person)
                    .values(sealed=self._seal(person, version, standing), version=version)
                )
            self._remember(person, standing, version)
        return standing

    def _unlink(self, person: PersonId, standing: Standing) -> None:
        link = standing.voice.link
        if link is not None and self._linked.get((link.principal, link.identity)) == person:
            del self._linked[link.principal, link.identity]

    def _remember(self, person: PersonId, standing: Standing, version: int) -> None:
        if person in self._standing:
            self._unlink(person, self._standing[person])
        if (link := standing.voice.link) is not None:
            self._linked[link.principal, link.identity] = person
        if any(pause.asked_us is not None for pause in standing.pauses):
            self._planned.add(person)
        else:
            self._planned.discard(person)
        self._standing[person] = standing
        self._version[person] = version
        self._ids[standing.external] = person

    def _lookup(self, external: str) -> bytes:
        return hmac.digest(self._lookup_key, external.encode(), "sha256")

    def _seal(self, person: PersonId, version: int, standing: Standing) -> bytes:
        origin = self._origin[person]
        came = {"batch": origin.batch, "first": origin.first, "salt": origin.salt}
        return self._seal_record(person, version, {**standing.to_record(), **came})

    def _seal_record(self, person: PersonId, version: int, record: Mapping[str, Any]) -> bytes:
        plain = canonical.encode(record)
        plain += b"\0" * (-len(plain) % PAD)
        return self._sealer.seal(plain, aad=_aad(person, version))


def _digest(vouchers: Iterable[str]) -> str:
    return canonical.b64(sha256(canonical.encode(sorted(vouchers))).digest())


def _aad(person: PersonId, version: int) -> bytes:
    return f"person/{person}/{version}".encode()
