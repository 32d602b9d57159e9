"""Sealed blocks against tuned plain Parquet: write, read and size as ratios of one interleaved run.

Both sides write one durable file (fsync) and read it whole on one thread; Parquet gets one row group a block.
Ratios are medians over rounds; a shared machine makes them wander by a third, so the limits asserted here are
the goals less that margin, and the figures are printed (``pytest -m bench -s``).
"""

from __future__ import annotations

import os
import statistics
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.vaults import make_home, plain

from safehold.vault import container, keys, objects, payload

pytestmark = pytest.mark.bench

ROWS = 300_000
ROUNDS = 5
TUNED = {
    "use_dictionary": ["kind", "app"],
    "column_encoding": {
        "ts": "DELTA_BINARY_PACKED",
        "dwell": "BYTE_STREAM_SPLIT",
        "flight": "BYTE_STREAM_SPLIT",
        "key": "PLAIN",
        "x": "PLAIN",
        "y": "PLAIN",
        "text": "PLAIN",
    },
    "compression": "zstd",
    "compression_level": 1,
}


def _telemetry(count: int, seed: int) -> pa.Table:
    random = np.random.default_rng(seed)
    words = np.array(["the plan", "is", "late", "see", "you at", "noon", "ok", "merge", "it"])
    text = np.where(
        random.random(count) < 0.1,
        np.char.add(np.char.add(random.choice(words, count), " "), random.choice(words, count)),
        None,
    )
    return pa.table(
        {
            "ts": 1_700_000_000_000_000 + np.cumsum(random.integers(20_000, 400_000, count)),
            "kind": _closed(random.choice(["down", "up", "move"], count), pa.int8()),
            "app": _closed(random.choice(["mail", "ide", "crm"], count), pa.int16()),
            "key": random.integers(0, 120, count, dtype=np.int16),
            "dwell": random.normal(90, 30, count).astype(np.float32),
            "flight": random.normal(140, 60, count).astype(np.float32),
            "x": np.clip(np.cumsum(random.integers(-9, 10, count)), 0, 1919).astype(np.int16),
            "y": np.clip(np.cumsum(random.integers(-9, 10, count)), 0, 1079).astype(np.int16),
            "text": pa.array(text, pa.string()),
        }
    )


def _closed(values: np.ndarray, index: pa.DataType) -> pa.Array:
    """A closed vocabulary as the rest form holds it."""
    return pa.array(values).dictionary_encode().cast(pa.dictionary(index, pa.string()))


def _timed(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


@pytest.mark.parametrize(
    ("rows", "goals"),
    [
        # limits: write and read speed against Parquet (at least), size against Parquet (at most)
        pytest.param(300, {"write": 0.0, "read": 0.0, "size": 3.0}, id="11KB"),
        pytest.param(3_000, {"write": 0.6, "read": 0.7, "size": 1.5}, id="112KB"),
        pytest.param(30_000, {"write": 1.0, "read": 0.7, "size": 1.35}, id="1.1MB"),
    ],
)
def test_sealed_against_plain_parquet(tmp_path, rows, goals):
    home = make_home(tmp_path)
    tables = [_telemetry(rows, seed) for seed in range(ROWS // rows)]
    blocks = [plain(f"psn_{i}", table=table) for i, table in enumerate(tables)]
    file = tmp_path / "plain.parquet"

    def write_plain():
        with pq.ParquetWriter(file, tables[0].schema, **TUNED) as writer:
            for table in tables:
                writer.write_table(table)
        handle = os.open(file, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)

    def write_sealed():
        nonlocal sealed
        sealed = home.vault.seal(blocks, segment="de")

    def read_plain():
        assert pq.read_table(file, use_threads=False).num_rows == len(tables) * rows

    def read_sealed():
        assert sum(t.num_rows for _, t in home.vault.read(sealed.blocks)) == len(tables) * rows

    def read_one_plain():
        pq.read_table(file, columns=["key"], use_threads=False)

    def read_one_sealed():
        for _ in home.vault.read(sealed.blocks, columns=["key"]):
            pass

    def pack_only():
        for block in blocks:
            payload.encode(block.table)

    place = container.Place(name=objects.new_name(), segment="de", generation=1)
    window_keys = [keys.new_key() for _ in blocks]

    def pack_and_seal():
        container.seal_object(place, blocks, metadata_key=b"m" * 32, window_keys=window_keys)

    sealed = home.vault.seal(blocks, segment="de")
    works = (
        write_plain,
        write_sealed,
        read_plain,
        read_sealed,
        read_one_plain,
        read_one_sealed,
        pack_only,
        pack_and_seal,
    )
    for work in works:
        work()
    times = {work.__name__: [] for work in works}
    for _ in range(ROUNDS):
        for work in works:
            times[work.__name__].append(_timed(work))
    at = {name: statistics.median(taken) for name, taken in times.items()}
    write = at["write_plain"] / at["write_sealed"]
    read = at["read_plain"] / at["read_sealed"]
    one = at["read_one_sealed"] / at["read_one_plain"]
    size = sealed.size / file.stat().st_size
    overhead = at["pack_and_seal"] / at["pack_only"] - 1
    arrow = sum(table.nbytes for table in tables) / 1e6
    print(
        f"\n{rows} rows ({arrow / len(tables) * 1000:.0f} KB): write {write:.2f} x Parquet "
        f"({arrow / at['write_sealed']:.0f} MB/s), read {read:.2f} x "
        f"({arrow / at['read_sealed']:.0f} MB/s), one column {one:.2f} x slower, "
        f"size {size:.3f} x, sealing on top of packing {overhead:+.1%}"
    )
    assert write >= goals["write"]
    assert read >= goals["read"]
    assert size <= goals["size"]


def test_erasing_one_person_among_ten_thousand(tmp_path):
    from safehold.vault.keyring import PERSON, KeyName

    home = make_home(tmp_path)
    names = [KeyName(PERSON, f"psn_{i}", "key", 30_000) for i in range(10_000)]
    with home.engine.begin() as connection:
        home.vault._keyring.make(connection, "de", names)
    for i in range(100):
        home.vault.subject_key(f"psn_{i}")

    def find():
        assert len(home.vault._find("de", set(names))) == 10_000

    released = _timed(find)
    erased = _timed(lambda: home.vault.shred(person="psn_7"))
    print(f"\n10 000 keys: found and unwrapped in {released:.3f} s, one erased in {erased:.3f} s")
    assert erased < 2.0
    assert released < 2.0
