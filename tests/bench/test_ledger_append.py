"""Durable, fully audited appends against a raw SQLite insert of the same bytes, in one run."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from tests.ledger_desk import Desk, intent

import safehold_verify as verifier
from safehold.clock import SystemClock

ROUNDS = 20


class Counting:
    """AES-GCM with a random prefix and a counter as nonce: the cost of a good sealer, no more."""

    def __init__(self) -> None:
        self._key, self._prefix, self._count = AESGCM(os.urandom(32)), os.urandom(4), 0

    def seal(self, *, segment: str, month: int, plaintext: bytes, aad: bytes) -> bytes:
        self._count += 1
        nonce = self._prefix + self._count.to_bytes(8, "big")
        return nonce + self._key.encrypt(nonce, plaintext, aad)

    def open(self, *, segment: str, month: int, sealed: bytes, aad: bytes) -> bytes:
        return self._key.decrypt(sealed[:12], sealed[12:], aad)


def raw_insert(path: Path, rows: list[tuple[bytes, bytes]]) -> float:
    """Seconds to insert leaves and side-cars row by row, one durable commit a batch."""
    base = sqlite3.connect(path, isolation_level=None)
    base.execute("PRAGMA journal_mode=WAL")
    base.execute("PRAGMA synchronous=FULL")
    base.execute("CREATE TABLE entry(id INTEGER PRIMARY KEY, leaf BLOB, sidecar BLOB)")
    started = time.perf_counter()
    for _ in range(ROUNDS):
        base.execute("BEGIN IMMEDIATE")
        base.executemany("INSERT INTO entry(leaf, sidecar) VALUES(?, ?)", rows)
        base.execute("COMMIT")
    seconds = time.perf_counter() - started
    base.close()
    return seconds


@pytest.mark.bench
@pytest.mark.parametrize("batch", [1_000, 4_000])
def test_append(tmp_path: Path, batch: int, capsys: pytest.CaptureFixture[str]) -> None:
    desk = Desk(tmp_path, clock=SystemClock())
    desk.sealer = Counting()  # type: ignore[assignment]
    entries = [intent(at) for at in range(batch)]
    with desk.open() as ledger:
        started, cpu = time.perf_counter(), time.process_time()
        for _ in range(ROUNDS):
            ledger.append(entries)
        ours, cpu = time.perf_counter() - started, time.process_time() - cpu
        rows = [(ledger.leaf(at), ledger._journal.sidecar(at) or b"") for at in range(0, batch, 9)]
    rows = (rows * 10)[:batch]
    raw = raw_insert(tmp_path / "raw.db", rows)
    started = time.process_time()
    verifier.verify_log(desk.directory, desk.policy, heads=[desk.head])
    audit = time.process_time() - started
    count = ROUNDS * batch
    with capsys.disabled():
        print(
            f"\nbatch {batch}: {count / ours:,.0f} appends/s wall, {count / cpu:,.0f}/CPU-s; "
            f"raw SQLite {count / raw:,.0f}/s; ratio {raw / ours:.2f}; "
            f"offline audit {count / audit:,.0f} leaves/CPU-s"
        )
    assert raw / ours > 0.05
