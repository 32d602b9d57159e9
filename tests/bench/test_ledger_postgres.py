"""Durable, fully audited appends in PostgreSQL against the same bytes copied in raw, in one run."""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path

import psycopg
import pytest
from tests.bench.board import Board
from tests.ledger_desk import Desk, intent
from tests.postgres import Server

from safehold.clock import SystemClock
from safehold.vault.sidecar import Sidecar

TOTAL = 12_000  # entries of one part
PARTS = 5


def raw_copy(base: psycopg.Connection, rows: list[tuple[bytes, bytes]], rounds: int) -> float:
    """Seconds to copy leaves and side-cars in, a row an entry, one durable commit a batch."""
    base.execute("DROP TABLE IF EXISTS entry")
    base.execute("CREATE TABLE entry(id bigserial PRIMARY KEY, leaf bytea, sidecar bytea)")
    started = time.perf_counter()
    for _ in range(rounds):
        with (
            base.transaction(),
            base.cursor() as cursor,
            cursor.copy("COPY entry(leaf, sidecar) FROM STDIN (FORMAT BINARY)") as copy,
        ):
            copy.set_types(["bytea", "bytea"])
            for row in rows:
                copy.write_row(row)
    return time.perf_counter() - started


def raw_rows(base: psycopg.Connection, rows: list[tuple[bytes, bytes]], rounds: int) -> float:
    """Seconds to write each batch as one row of leaves and side-cars: what no layout can undercut."""
    base.execute("DROP TABLE IF EXISTS entry")
    base.execute("CREATE TABLE entry(id bigserial PRIMARY KEY, leaves bytea, sidecars bytea)")
    for column in ("leaves", "sidecars"):
        base.execute(f"ALTER TABLE entry ALTER {column} SET STORAGE EXTERNAL".encode())
    whole = tuple(b"".join(some) for some in zip(*rows, strict=True))
    started = time.perf_counter()
    for _ in range(rounds):
        base.execute("INSERT INTO entry(leaves, sidecars) VALUES(%b, %b)", whole)
    return time.perf_counter() - started


@pytest.mark.bench
@pytest.mark.parametrize("batch", [1_000, 4_000])
def test_append(board: Board, postgres: Server, tmp_path: Path, batch: int) -> None:
    desk = Desk(tmp_path, clock=SystemClock(), database=postgres.database())
    key = os.urandom(32)
    desk.sealer = Sidecar(lambda segment, name, *, make: key)  # type: ignore[assignment]
    entries = [intent(at, segment="eu.keys") for at in range(batch)]
    rounds = TOTAL // batch
    ours, copied, whole = [], [], []
    with desk.open() as ledger, psycopg.connect(desk.database or "", autocommit=True) as base:
        ledger.append(entries)
        rows = [(ledger.leaf(at), ledger._journal.sidecar(at) or b"") for at in range(0, batch, 9)]
        rows = (rows * 10)[:batch]
        for _ in range(PARTS):  # interleaved, so that a busy machine slows all
            started = time.perf_counter()
            for _ in range(rounds):
                ledger.append(entries)
            ours.append(time.perf_counter() - started)
            copied.append(raw_copy(base, rows, rounds))
            whole.append(raw_rows(base, rows, rounds))
    rate, plain, least = (rounds * batch / statistics.median(one) for one in (ours, copied, whole))
    board.add(
        f"ledger appends in PostgreSQL, {batch:,} at once",
        ours=f"{rate:,.0f}/s on the clock",
        peer=f"raw binary COPY, same bytes: {plain:,.0f}",
        ratio=rate / plain,
        goal="(none stated)",
        met=True,
        floor=0.1,
    )
    board.note(
        f"ledger appends in PostgreSQL, {batch:,} at once: {rate / least:.2f} of one raw row a batch ({least:,.0f})"
    )
