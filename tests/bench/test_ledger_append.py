"""Durable, fully audited appends against a raw SQLite insert of the same bytes, in one run."""

from __future__ import annotations

import os
import sqlite3
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.bench.board import Board
from tests.ledger_desk import Desk, intent

from safehold.clock import SystemClock
from safehold.ledger import Entry, Ledger
from safehold.vault.sidecar import Sidecar

TOTAL = 16_000  # entries of one part
PARTS = 5
FLOOR = 0.2  # against raw SQLite, on a machine that others keep busy


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

    def rates(self) -> tuple[float, float]:
        """Entries a second on the clock, and a CPU-second."""
        return TOTAL / statistics.median(self.wall), TOTAL * len(self.cpu) / sum(self.cpu)


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

    def insert(self, rows: list[tuple[bytes, bytes]]) -> None:
        for _ in range(TOTAL // len(rows)):
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


@pytest.mark.bench
@pytest.mark.parametrize(("producers", "batch"), [(1, 1_000), (16, 1_000), (1, 4_000)])
def test_append(board: Board, tmp_path: Path, producers: int, batch: int) -> None:
    desk = Desk(tmp_path, clock=SystemClock())
    key = os.urandom(32)
    desk.sealer = Sidecar(lambda segment, name, *, make: key)  # type: ignore[assignment]
    entries = [intent(at, segment="eu.keys") for at in range(batch)]
    ours, plain = Used(), Used()
    peer = Raw(tmp_path / "raw.db")
    with desk.open() as ledger:
        ledger.append(entries)
        rows = [(ledger.leaf(at), ledger._journal.sidecar(at) or b"") for at in range(0, batch, 9)]
        rows = (rows * 10)[:batch]
        peer.insert(rows)
        for _ in range(PARTS):  # interleaved, so that a busy machine slows both
            ours.add(lambda: append(ledger, entries, producers))
            plain.add(lambda: peer.insert(rows))
    peer.base.close()
    rate, cpu_rate = ours.rates()
    peer_rate, peer_cpu_rate = plain.rates()
    what = (
        f"ledger appends, {producers} x {batch:,}"
        if producers > 1
        else f"ledger appends, {batch:,} at once"
    )
    board.add(
        what,
        ours=f"{rate:,.0f}/s on the clock",
        peer=f"raw SQLite insert, same bytes: {peer_rate:,.0f}",
        ratio=rate / peer_rate,
        goal=">= 0.5, and >= 50,000/s",
        met=rate / peer_rate >= 0.5 and rate >= 50_000,
        floor=FLOOR,
    )
    board.note(
        f"{what}: {cpu_rate:,.0f}/CPU-s, publishing included; raw SQLite {peer_cpu_rate:,.0f}/CPU-s"
    )
