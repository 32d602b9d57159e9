"""The whole ingest path in one process: read, validate, minimise, rank, bring to rest, pack."""

from __future__ import annotations

import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.ingest_job import NOW_US, run_path

from safehold.workforce import Spec, person_day

GOALS = {"key": 100_000, "pointer": 250_000}  # events a second and core
COHORTS = [{"prefix": "emp-", "streams": list(GOALS)}]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bench")
    spec = Spec(people=60, days=2, start_day=NOW_US // 86_400_000_000 - 3, seed=5)
    parts: dict[str, list[pa.Table]] = {stream: [] for stream in GOALS}
    for index in range(spec.people):
        for day in range(spec.days):
            tables = person_day(spec, index, day)
            for stream in GOALS:
                if stream in tables:
                    parts[stream].append(tables[stream])
    for stream, tables in parts.items():
        pq.write_table(pa.concat_tables(tables), folder / f"{stream}.parquet")
    return {stream: folder / f"{stream}.parquet" for stream in GOALS}


@pytest.mark.bench
@pytest.mark.parametrize("stream", list(GOALS))
def test_ingest_reaches_its_goal(files: dict[str, Path], stream: str) -> None:
    rows = pq.read_metadata(files[stream]).num_rows
    best = 0.0
    for _ in range(3):
        start = time.process_time()
        frames = run_path(files[stream], people={}, cohorts=COHORTS)
        best = max(best, rows / (time.process_time() - start))
    assert frames.of("done")[0]["rows_read"] == rows
    print(f"{stream}: {best:,.0f} events/s on one core, goal {GOALS[stream]:,}")
    assert best >= GOALS[stream]
