"""The whole ingest path in one process: read, validate, minimise, rank, bring to rest, pack."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.bench.board import PLAIN, Board, cpu, plain_pass
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
def test_ingest_reaches_its_goal(board: Board, files: dict[str, Path], stream: str) -> None:
    table = pq.read_table(files[stream])
    frames = run_path(files[stream], people={}, cohorts=COHORTS)
    assert frames.of("done")[0]["rows_read"] == len(table)
    ours = cpu(lambda: run_path(files[stream], people={}, cohorts=COHORTS), rounds=2)
    peer = plain_pass(table)
    board.add(
        f"ingest recipe alone, {stream}, L3",
        ours=f"{len(table) / ours:,.0f} events/CPU-s",
        peer=f"{PLAIN}: {len(table) / peer:,.0f}",
        ratio=peer / ours,
        goal=f">= {GOALS[stream]:,} events/CPU-s",
        met=len(table) / ours >= GOALS[stream],
        floor=0.005,
    )
