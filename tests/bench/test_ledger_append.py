"""Durable, fully audited appends against a raw SQLite insert of the same bytes, in one run."""

from __future__ import annotations

import os
import sqlite3
import statistics
import time
from pathlib import Path

import pytest
from tests.bench.board import Board
from tests.ledger_desk import Desk, intent

from safehold.clock import SystemClock
from safehold.vault.sidecar import Sidecar

TOTAL = 12_000  # entries of one part
PARTS = 5


def raw_insert(path: Path, rows: list[tuple[bytes, bytes]], rounds: int) -> float:
    """Seconds to insert leaves and side-cars row by row, one durable commit a batch."""
    base = sqlite3.connect(path, isolation_level=None)
    base.execute("PRAGMA journal_mode=WAL")
    base.execute("PRAGMA synchronous=FULL")
    base.execute("CREATE TABLE entry(id INTEGER PRIMARY KEY, leaf BLOB, sidecar BLOB)")
    started = time.perf_counter()
    for _ in range(rounds):
        base.execute("BEGIN IMMEDIATE")
        base.executemany("INSERT INTO entry(leaf, sidecar) VALUES(?, ?)", rows)
        base.execute("COMMIT")
    seconds = time.perf_counter() - started
    base.close()
    return seconds


@pytest.mark.bench
@pytest.mark.parametrize("batch", [1_000, 4_000])
def test_append(board: Board, tmp_path: Path, batch: int) -> None:
    desk = Desk(tmp_path, clock=SystemClock())
    key = os.urandom(32)
    desk.sealer = Sidecar(lambda segment, name, *, make: key)  # type: ignore[assignment]
    entries = [intent(at, segment="eu.keys") for at in range(batch)]
    rounds = TOTAL // batch
    ours, raw, used = [], [], 0.0
    with desk.open() as ledger:
        ledger.append(entries)
        rows = [(ledger.leaf(at), ledger._journal.sidecar(at) or b"") for at in range(0, batch, 9)]
        rows = (rows * 10)[:batch]
        for part in range(PARTS):  # interleaved, so that a busy machine slows both
            started, cpu_started = time.perf_counter(), time.process_time()
            for _ in range(rounds):
                ledger.append(entries)
            ours.append(time.perf_counter() - started)
            used += time.process_time() - cpu_started
            raw.append(raw_insert(tmp_path / f"raw-{part}.db", rows, rounds))
    count = rounds * batch
    rate, plain = count / statistics.median(ours), count / statistics.median(raw)
    board.add(
        f"ledger appends, {batch:,} at once",
        ours=f"{rate:,.0f}/s on the clock",
        peer=f"raw SQLite insert, same bytes: {plain:,.0f}",
        ratio=rate / plain,
        goal=">= 0.35, and >= 20,000/s",
        met=rate / plain >= 0.35 and rate >= 20_000,
        floor=0.11,
    )
    board.note(f"ledger appends, {batch:,} at once: {PARTS * count / used:,.0f}/CPU-s")
