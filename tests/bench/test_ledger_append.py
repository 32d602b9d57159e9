"""Durable, fully audited appends against a raw SQLite insert of the same bytes, in one run."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from tests.bench.board import Board
from tests.ledger_desk import Desk, intent

from safehold.clock import SystemClock
from safehold.ledger import Entry, Ledger
from safehold.vault.sidecar import Sidecar

TOTAL = 48_000  # entries of one part
PARTS = 5
FLOOR = 0.3  # against raw SQLite, on a machine that others keep busy


@dataclass(slots=True)
class Used:
    """Seconds on the clock and of this process's CPU, a part each."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def add(self, work: Callable[[], None]) -> None:
        started, cpu_started = time.perf_counter(), time.process_time()
        work()
        self.wall.append(time.perf_counter() - started)
        self.cpu.append(time.process_time() - cpu_started)

    def us(self) -> tuple[float, float]:
        """Microseconds an entry on the clock, and of CPU; the median of the parts."""
        wall, cpu = statistics.median(self.wall), statistics.median(self.cpu)
        return wall / TOTAL * 1e6, cpu / TOTAL * 1e6


class Raw:
    """The peer: leaves and side-cars row by row, a durable commit a batch, set up as our journal is."""

    def __init__(self, path: Path) -> None:
        self.base = sqlite3.connect(path, isolation_level=None)
        for setting in (
            "page_size=8192",
            "journal_mode=WAL",
            "synchronous=FULL",
            "wal_autocheckpoint=20000",
        ):
            self.base.execute(f"PRAGMA {setting}")
        self.base.execute("CREATE TABLE entry(id INTEGER PRIMARY KEY, leaf BLOB, sidecar BLOB)")

    def insert(self, rows: list[tuple[bytes, bytes]], *, rounds: int) -> None:
        for _ in range(rounds):
            self.base.execute("BEGIN IMMEDIATE")
            self.base.executemany("INSERT INTO entry(leaf, sidecar) VALUES(?, ?)", rows)
            self.base.execute("COMMIT")


def append(ledger: Ledger, entries: list[Entry], producers: int) -> None:
    """Append the total in batches, each waited for, from some threads."""

    def produce() -> None:
        for _ in range(TOTAL // producers // len(entries)):
            ledger.append(entries)

    threads = [threading.Thread(target=produce) for _ in range(producers - 1)]
    for thread in threads:
        thread.start()
    produce()
    for thread in threads:
        thread.join()


def primitives(rows: list[tuple[bytes, bytes]], path: Path) -> float:
    """CPU-microseconds an entry of what no layout of ours can leave out, the least of some turns.

    Three commitments, the hash of the side-car, of the leaf and of one node; one AES-256-GCM of the
    side-car; and a row a batch for leaves and side-cars in SQLite.
    """
    journal = Raw(path)
    sealed, commitment, node = rows[0][1], bytes(90), bytes(65)
    cipher, nonce, leaves = AESGCM(bytes(32)), bytes(12), b"".join(leaf for leaf, _ in rows)
    secret, sealeds = sealed[37:-16], b"".join(one for _, one in rows)
    found = []
    for _ in range(15):
        started = time.thread_time()
        for leaf, one in rows:
            for data in (commitment, commitment, commitment, one, leaf, node):
                hashlib.sha256(data).digest()
            cipher.encrypt(nonce, secret, None)
        journal.insert([(leaves, sealeds)], rounds=1)
        found.append(time.thread_time() - started)
    journal.base.close()
    return min(found) / len(rows) * 1e6


@pytest.mark.bench
@pytest.mark.parametrize(("producers", "batch"), [(1, 1_000), (16, 1_000), (1, 4_000)])
def test_append(board: Board, tmp_path: Path, producers: int, batch: int) -> None:
    desk = Desk(tmp_path, clock=SystemClock())
    key = os.urandom(32)
    desk.sealer = Sidecar(lambda segment, name, *, make: key)  # type: ignore[assignment]
    entries = [intent(at, segment="eu.keys") for at in range(batch)]
    ours, plain, publishing = Used(), Used(), Used()
    peer = Raw(tmp_path / "raw.db")
    with desk.open() as ledger:
        ledger.append(entries)
        rows = [(ledger.leaf(at), ledger._journal.sidecar(at) or b"") for at in range(0, batch, 9)]
        rows = (rows * 10)[:batch]
        peer.insert(rows, rounds=1)
        for _ in range(PARTS):  # interleaved, so that a busy machine slows both
            ours.add(lambda: append(ledger, entries, producers))
            # what is published in the background is ours, and must not slow the peer
            publishing.add(ledger.publish)
            plain.add(lambda: peer.insert(rows, rounds=TOTAL // batch))
    peer.base.close()
    least = primitives(rows, tmp_path / "least.db")
    (wall, cpu), (peer_wall, peer_cpu) = ours.us(), plain.us()
    ratio, rate = peer_wall / wall, 1e6 / wall
    what = (
        f"ledger appends, {producers} x {batch:,}"
        if producers > 1
        else f"ledger appends, {batch:,} at once"
    )
    board.add(
        what,
        ours=f"{rate:,.0f}/s on the clock",
        peer=f"raw SQLite insert, same bytes: {1e6 / peer_wall:,.0f}",
        ratio=ratio,
        goal=">= 0.5, and >= 50,000/s",
        met=ratio >= 0.5 and rate >= 50_000,
        floor=FLOOR,
    )
    board.note(
        f"{what}: {cpu:.1f} CPU-us an entry and {publishing.us()[1]:.1f} to publish the rest; raw SQLite"
        f" {peer_cpu:.1f} ({peer_cpu / cpu:.2f}); our primitives alone {least:.1f} ({peer_cpu / least:.2f})"
    )
