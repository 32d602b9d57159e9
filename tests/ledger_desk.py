"""A small ledger for tests: a log, a witness outside, a side-car sealer whose keys can be destroyed."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from safehold.clock import Clock, FixedClock, SystemClock
from safehold.errors import ShreddedError, TamperedError
from safehold.ledger import Entry, Ledger, LogSigner, Witness, policy_text
from safehold.ledger.entry import Seal
from safehold.ledger.store import Store
from safehold.ledger.store_sqlite import SqliteStore

ORIGIN = "example.com/acme/audit"
START_US = 1_790_000_000_000_000


class Sealer:
    """AES-GCM under one key a month, in memory."""

    def __init__(self) -> None:
        self.keys: dict[tuple[str, int], AESGCM] = {}
        self.gone: set[tuple[str, int]] = set()
        self.aads: list[bytes] = []
        self.fixed: bytes | None = None

    def _key(self, segment: str, month: int) -> AESGCM:
        if (segment, month) in self.gone:
            raise ShreddedError("the audit key of that month is gone")
        place = (segment, month)
        if place not in self.keys:
            self.keys[place] = AESGCM(self.fixed or os.urandom(32))
        return self.keys[place]

    def batch(self, *, segment: str, month: int) -> Seal:
        key = self._key(segment, month)

        def one(plaintext: bytes, aad: bytes) -> bytes:
            nonce = os.urandom(12)
            self.aads.append(aad)
            return nonce + key.encrypt(nonce, plaintext, aad)

        def seal(secrets: Sequence[bytes], bound: Sequence[bytes]) -> list[bytes]:
            return list(map(one, secrets, bound))

        return seal

    def open(self, *, segment: str, month: int, sealed: bytes, aad: bytes) -> bytes:
        try:
            return self._key(segment, month).decrypt(sealed[:12], sealed[12:], aad)
        except InvalidTag as error:
            raise TamperedError("a side-car does not open") from error


class Desk:
    """Everything around one log in one temporary directory.

    Args:
        path: The directory.
        clock: Time of the leaves.
        database: URL of a PostgreSQL database that holds the journal, as its superuser; without it
            the journal is SQLite.
    """

    def __init__(
        self, path: Path, *, clock: Clock | None = None, database: str | None = None
    ) -> None:
        self.directory = path / "ledger"
        self.database = database
        if database is not None:
            (path / "ledger-url").write_text(database, "utf-8")
        self.outside = path / "witness"
        self.clock: Any = clock or FixedClock(START_US)
        self.signer = LogSigner(b"s" * 32, name=ORIGIN)
        self.sealer = Sealer()
        Ledger.create(self.directory, origin=ORIGIN, signer=self.signer, store=self.store)
        self.witness = Witness.create(
            self.outside,
            name="works-council.example",
            logs=[self.signer.vkey.text()],
            clock=self.clock,
        )
        self.policy = path / "policy"
        self.policy.write_text(
            policy_text(self.signer.policy_keys, {"council": self.witness.vkeys}), "utf-8"
        )

    def save(self) -> None:
        """Let another process use the same side-car key, through ``reopen``."""
        self.sealer.fixed = os.urandom(32)
        (self.directory.parent / "audit-key").write_bytes(self.sealer.fixed)

    @classmethod
    def reopen(cls, path: Path) -> Desk:
        desk = cls.__new__(cls)
        desk.directory, desk.outside, desk.clock = path / "ledger", path / "witness", SystemClock()
        url = path / "ledger-url"
        desk.database = url.read_text("utf-8") if url.exists() else None
        desk.signer = LogSigner(b"s" * 32, name=ORIGIN)
        desk.sealer = Sealer()
        desk.sealer.fixed = (path / "audit-key").read_bytes()
        desk.witness = Witness(desk.outside)
        desk.policy = path / "policy"
        return desk

    def open(self, *, witnesses: list[Any] | None = None) -> Ledger:
        return Ledger.open(
            self.directory,
            signer=self.signer,
            witnesses=[self.witness] if witnesses is None else witnesses,
            sidecar=self.sealer,
            clock=self.clock,
            store=self.store,
        )

    @property
    def store(self) -> Store:
        """Where the journal lies."""
        if self.database is None:
            return SqliteStore(self.directory)
        from safehold.ledger.store_postgres import PostgresStore

        return PostgresStore(self.database, directory=self.directory)

    def edit(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Change the journal behind the ledger's back, as who administers it can; return rows.

        Written for SQLite; for PostgreSQL the triggers are off and its ways to say the same stand in.
        """
        if self.database is None:
            base = sqlite3.connect(self.directory / "journal.db")
            done = base.execute(query, values)
            rows, count = done.fetchall(), done.rowcount
            base.commit()
            base.close()
        else:
            import psycopg

            from safehold.ledger.store_postgres_place import schema_of

            query = query.replace("?", "%s")
            query = re.sub(r"zeroblob\((\d+)\)", r"decode(repeat('00', \1), 'hex')", query)
            query = re.sub(r"x'([0-9a-f]+)'", r"'\\x\1'::bytea", query)
            with psycopg.connect(self.database, autocommit=True) as base_:
                base_.execute("SET session_replication_role = replica")
                base_.execute(f"SET search_path = {schema_of(ORIGIN)}".encode())
                cursor = base_.execute(query.encode(), values)
                rows, count = (cursor.fetchall() if cursor.description else []), cursor.rowcount
        assert count or rows, "the edit changed nothing"
        return rows

    @property
    def head(self) -> bytes:
        note = self.witness.head(ORIGIN)
        assert note is not None
        return note

    def files(self) -> list[Path]:
        tiles = [one for one in (self.directory / "tile").rglob("*") if one.is_file()]
        return sorted([self.directory / "checkpoint", *tiles])


def entry(number: int = 0, **changes: Any) -> Entry:
    fields: dict[str, Any] = {
        "kind": "ingest",
        "actor": f"actor-{number}",
        "object": "dataset",
        "detail": {"n": number, "why": "test"},
        "public": {"rows": number, "objects": 1},
        "segment": "eu/keys",
        "charter": b"c" * 32,
    }
    return Entry(**{**fields, **changes})


def intent(number: int = 0, **changes: Any) -> Entry:
    charge = {"purpose": "train", "epsilon_micro": 1_000, "delta_e12": 1, "unit": "person"}
    return entry(number, kind="access.intent", public=charge, **changes)


DESKS = ("sqlite", "postgres")


def desk_over(kind: str, path: Path, request: pytest.FixtureRequest, **options: Any) -> Desk:
    """Return a desk whose journal lies in a store of a kind."""
    if kind == "postgres":
        options["database"] = request.getfixturevalue("postgres").database()
    return Desk(path, **options)
