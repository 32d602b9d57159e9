"""Sealed blocks against Parquet Modular Encryption, and one person among ten thousand.

Parquet is encrypted in two ways: *one file* under one key, a row group a block, which is fast and erases nobody; and *a
file a person*, each with a key of its own, which is what our blocks give. Settings are the tuned ones of the bench
against plain Parquet. CPU-seconds of one thread, the least of some turns; every file is written and synced.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.bench.board import Board, sized, together
from tests.bench.test_vault_speed import TUNED, _telemetry
from tests.vaults import VaultHome, make_home, plain

pe = pytest.importorskip("pyarrow.parquet.encryption")

pytestmark = pytest.mark.bench
ROWS = sized(300_000, 1_200)
ROUNDS = 3
PEOPLE = sized(10_000, 60)
ASKED = sized(15, 3)
# rows of a block -> the least ratios that are accepted, by way and by what is done; about a third of what was measured
FLOORS = {
    300: {"a file a person": (2.0, 2.0, 0.5)},
    30_000: {"a file a person": (0.9, 0.5, 0.2), "one file": (0.9, 0.5, 0.2)},
}


class Encrypted:
    """Tables as encrypted Parquet."""

    def __init__(self, path: Path, tables: list[pa.Table], *, apart: bool) -> None:
        path.mkdir()
        self.tables = tables
        self.files = [path / f"{at}.parquet" for at in range(len(tables) if apart else 1)]
        self.keys = [os.urandom(32) for _ in self.files]

    def write(self) -> None:
        """Write all tables, each into its file or all into the one, and sync."""
        each = len(self.tables) // len(self.files)
        for at, (file, key) in enumerate(zip(self.files, self.keys, strict=True)):
            held = pe.create_encryption_properties(key)
            schema = self.tables[0].schema
            with pq.ParquetWriter(file, schema, encryption_properties=held, **TUNED) as writer:
                for table in self.tables[at * each : (at + 1) * each]:
                    writer.write_table(table)
            handle = os.open(file, os.O_RDONLY)
            os.fsync(handle)
            os.close(handle)

    def read(self, columns: list[str] | None = None) -> int:
        """Read all of them, and return the number of rows."""
        count = 0
        for file, key in zip(self.files, self.keys, strict=True):
            held = pe.create_decryption_properties(key)
            with pq.ParquetFile(file, decryption_properties=held) as opened:
                count += opened.read(columns=columns, use_threads=False).num_rows
        return count

    @property
    def size(self) -> int:
        """Bytes at rest."""
        return sum(file.stat().st_size for file in self.files)


@pytest.mark.parametrize("rows", [300, 30_000], ids=["11KB", "1.1MB"])
def test_sealed_against_encrypted_parquet(board: Board, tmp_path: Path, rows: int) -> None:
    count = max(2, ROWS // rows)
    tables = [_telemetry(min(rows, ROWS // 2), seed) for seed in range(count)]
    held = sum(len(table) for table in tables)
    home = make_home(tmp_path)
    blocks = [plain(f"psn_{i}", table=table) for i, table in enumerate(tables)]
    sealed = home.vault.seal(blocks, segment="de")

    def write() -> None:
        nonlocal sealed
        sealed = home.vault.seal(blocks, segment="de")

    def read(columns: list[str] | None = None) -> None:
        found = sum(len(table) for _, table in home.vault.read(sealed.blocks, columns=columns))
        assert found == held

    arrow = sum(table.nbytes for table in tables) / 1e6
    label = f"{arrow / len(tables) * 1000:.0f} KB"
    for way, floors in FLOORS[rows].items():
        peer = Encrypted(tmp_path / way.replace(" ", "-"), tables, apart=way != "one file")
        peer.write()
        assert peer.read() == held
        pairs: list[tuple[str, Callable[[], object], Callable[[], object]]] = [
            ("write", write, peer.write),
            ("read", read, peer.read),
            ("one column", lambda: read(["key"]), lambda peer=peer: peer.read(["key"])),
        ]
        for (what, mine, other), floor in zip(pairs, floors, strict=True):
            ours, theirs = together(mine, other, rounds=ROUNDS)
            board.add(
                f"sealed blocks of {label}: {what}", ours=f"{arrow / ours:,.0f} MB/CPU-s",
                peer=f"encrypted Parquet, {way}: {arrow / theirs:,.0f}", ratio=theirs / ours,
                goal=">= 1 x", met=theirs >= ours, floor=floor, rival=True,
            )  # fmt: skip
        board.add(
            f"sealed blocks of {label}: size", ours=f"{sealed.size / 1e6:.1f} MB",
            peer=f"encrypted Parquet, {way}: {peer.size / 1e6:.1f} MB", ratio=sealed.size / peer.size,
            goal="<= 1.1", met=sealed.size <= 1.1 * peer.size, most=2.0, rival=True,
        )  # fmt: skip


def test_one_person_among_many(board: Board, tmp_path: Path) -> None:
    """Ours reads the person's block with the person's key; Parquet, sorted by person, looks through its row groups."""
    home = make_home(tmp_path)
    each = 30
    whole = _telemetry(PEOPLE * each, 1)
    names = [f"psn_{at:05}" for at in range(PEOPLE)]
    found = {}
    for first in range(0, PEOPLE, 1_000):
        some = names[first : first + 1_000]
        blocks = [
            plain(name, table=whole.slice((first + at) * each, each))
            for at, name in enumerate(some)
        ]
        for name, block in zip(some, home.vault.seal(blocks, segment="de").blocks, strict=True):
            found[name] = block
    person = pa.array(np.repeat(np.array(names, object), each)).dictionary_encode()
    table = whole.append_column("person", person)
    asked = names[:: max(1, PEOPLE // ASKED)][:ASKED]
    mine = _median(lambda name: _ours(home, found[name]), asked, each)
    for way, key in (("plain", None), ("encrypted, one key", os.urandom(32))):
        file = tmp_path / f"{key is None}.parquet"
        held = pe.create_encryption_properties(key) if key else None
        tuned = TUNED | {"use_dictionary": ["kind", "app", "person"]}
        with pq.ParquetWriter(file, table.schema, encryption_properties=held, **tuned) as writer:
            writer.write_table(table, row_group_size=3_000)

        def other(name: str, file: Path = file, key: bytes | None = key) -> pa.Table:
            opened = pe.create_decryption_properties(key) if key else None
            return pq.read_table(
                file, filters=[("person", "=", name)], decryption_properties=opened, use_threads=False
            )  # fmt: skip

        theirs = _median(other, asked, each)
        board.add(
            f"one person among {PEOPLE:,}, {each} rows each", ours=f"{mine * 1000:.2f} ms on the clock",
            peer=f"tuned Parquet, {way}, 3,000 rows a group: {theirs * 1000:.2f} ms", ratio=theirs / mine,
            goal="<= 50 ms", met=mine <= 0.05, floor=0.3, rival=True,
        )  # fmt: skip


def _ours(home: VaultHome, block: object) -> pa.Table:
    ((_, table),) = home.vault.read([block])
    return table


def _median(read: Callable[[str], pa.Table], asked: list[str], each: int) -> float:
    took = []
    for name in asked:
        start = time.perf_counter()
        assert read(name).num_rows == each
        took.append(time.perf_counter() - start)
    return sorted(took)[len(took) // 2]
