"""Memory stays where it is when the input doubles."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.ingest_job import NOW_US

CODE = """
import os, sys
from pathlib import Path
from safehold.ingest import recipe
from tests.ingest_job import job
rows = 0
def emit(header, body=b""):
    global rows
    rows += header.get("rows", 0)
fd = os.open(sys.argv[1], os.O_RDONLY)
recipe.main(job({"kind": "file", "name": "a.parquet"}), [fd], emit)
# not getrusage: that peak is inherited from the process that forked this one
print(rows, int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) // 1024)
"""


def write(path: Path, sessions: int) -> int:
    """Write pointer sessions of 10,000 clicks, several row groups."""
    count = 10_000
    writer = None
    for number in range(sessions):
        mono = np.arange(count) * 1000
        table = pa.table(
            {
                "person": pa.array(["ann"] * count),
                "device": pa.array(["d"] * count),
                "session": pa.array([f"s{number}"] * count),
                "seq": pa.array(np.arange(count), pa.uint32()),
                "t": pa.array(NOW_US - 3_600_000_000 + mono).cast(pa.timestamp("us", "UTC")),
                "mono": pa.array(mono).cast(pa.duration("us")),
                "kind": pa.array(np.full(count, 3, np.uint8)),
                "x": pa.array(np.arange(count, dtype=np.int32)),
                "y": pa.array(np.arange(count, dtype=np.int32)),
                "target_role": pa.array(["button|save"] * count),
            }
        )
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()
    return sessions * count


def measure(path: Path) -> tuple[int, int]:
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(path)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    rows, peak = done.stdout.split()
    return int(rows), int(peak)


@pytest.mark.parametrize("sessions", [50])
def test_peak_memory_is_bounded_and_the_same_at_twice_the_input(
    tmp_path: Path, sessions: int
) -> None:
    path = tmp_path / "a.parquet"
    peaks = []
    for factor in (1, 2):
        wanted = write(path, sessions * factor)
        rows, peak = measure(path)
        assert 0 < rows <= wanted
        peaks.append(peak)
    assert max(peaks) < 400, peaks
    assert peaks[1] < peaks[0] * 1.15 + 10, peaks
