"""Generating must not be what limits the demo."""

import pyarrow as pa
import pytest
from tests.bench.board import PLAIN, cpu, plain_pass

from safehold.workforce import Spec, person_day


@pytest.mark.bench
def test_events_per_second_of_one_core(board):
    spec = Spec(people=30, days=1, start_day=20_780, seed=2)
    person_day(spec, 0, 0)
    made: dict[str, list[pa.Table]] = {}

    def work():
        made.clear()
        for index in range(spec.people):
            for stream, table in person_day(spec, index, 0).items():
                made.setdefault(stream, []).append(table)

    ours = cpu(work, rounds=2)
    tables = [pa.concat_tables(parts).combine_chunks() for parts in made.values()]
    rows = sum(map(len, tables))
    peer = sum(map(plain_pass, tables))
    board.add(
        "making up a workforce",
        ours=f"{rows / ours:,.0f} events/CPU-s",
        peer=f"{PLAIN}: {rows / peer:,.0f}",
        ratio=peer / ours,
        goal=">= 200,000 events/CPU-s",
        met=rows / ours >= 200_000,
        floor=0.003,
    )
