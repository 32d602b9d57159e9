"""Labels of ten thousand people and a hundred datasets: what joining and walking them costs beside plain sets."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.bench.board import SHORT, Board, sized

from safehold.catalog import DatasetLabel, Lineage
from safehold.catalog.algebra import Inherited, join
from safehold.db import metadata, open_engine

PEOPLE, DATASETS = sized(10_000, 100), sized(100, 6)
MOST_JOIN = 2.0  # times the union of the same sets of people alone
MOST_GROWTH = 3.0  # for twice the datasets

pytestmark = pytest.mark.bench


def spent(work: Callable[[], Any], rounds: int = 5) -> float:
    """Return the least seconds of this process that something takes."""
    found = []
    if not SHORT:
        gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            start = time.process_time()
            work()
            found.append(time.process_time() - start)
    finally:
        gc.enable()
    return min(found)


def labels(count: int) -> list[Inherited]:
    """Return labels that overlap in most of their people."""
    everybody = [f"psn_{number:026}" for number in range(PEOPLE + count)]
    return [
        Inherited(
            people=frozenset(everybody[at : at + PEOPLE]),
            streams=frozenset({"key", "pointer"}),
            purposes=frozenset({"train", f"p{at % 3}"}),
            jurisdictions=frozenset({"US-CA", "DE"}),
            expires=20_000 + at,
            first_day=19_000 + at,
            last_day=19_500 + at,
            sensitivity=at % 5,
        )
        for at in range(count)
    ]


def test_a_join_costs_what_the_union_of_its_people_costs(board: Board) -> None:
    some, twice = labels(DATASETS), labels(2 * DATASETS)
    plain = spent(lambda: frozenset().union(*(one.people for one in some)))
    joined = spent(lambda: join(some))
    doubled = spent(lambda: join(twice))
    made = join(some)
    assert len(made.people) == PEOPLE + DATASETS - 1
    assert made.expires == 20_000
    board.add(
        f"labels of {DATASETS} datasets of {PEOPLE:,} people joined",
        ours=f"{joined * 1e3:.1f} CPU-ms",
        peer=f"the union of their people alone: {plain * 1e3:.1f}",
        ratio=max(0.0, joined - 0.002) / plain,
        goal="<= 1.2 x",
        met=joined <= 1.2 * plain,
        most=MOST_JOIN,
    )
    _twice(board, f"labels of {2 * DATASETS} datasets joined", joined, doubled)


def test_a_chain_of_a_hundred_datasets_is_walked_in_bounded_time(
    board: Board, tmp_path: Path
) -> None:
    """Every row on the way is read once and its code is checked."""
    engine = open_engine(tmp_path / "control.db")
    metadata.create_all(engine)
    lineage = Lineage(engine, key=bytes(32))
    label = DatasetLabel(
        people=PEOPLE,
        streams=frozenset({"key"}),
        purposes=frozenset({"train"}),
        jurisdictions=frozenset({"DE"}),
        expires=20_000,
        first_day=19_000,
        last_day=19_001,
    )
    lineage.add("source", kind="source", label=label, parents=[], created_us=1)
    for at in range(2 * DATASETS):
        lineage.add(
            f"table/x:{at}",
            kind="table",
            label=label,
            parents=["source" if not at else f"table/x:{at - 1}"],
            created_us=at + 2,
        )
    half = spent(lambda: lineage.above([f"table/x:{DATASETS - 1}"]), 3)
    whole = spent(lambda: lineage.above([f"table/x:{2 * DATASETS - 1}"]), 3)
    rows = spent(lambda: list(_raw(engine)), 3)
    board.note(f"reading the same rows raw: {rows * 1e3:.2f} CPU-ms")
    assert len(lineage.above([f"table/x:{2 * DATASETS - 1}"])) == 2 * DATASETS + 1
    _twice(board, f"a chain of {2 * DATASETS} datasets walked", half, whole)
    engine.dispose()


def _twice(board: Board, what: str, half: float, whole: float) -> None:
    board.add(
        what,
        ours=f"{whole * 1e3:.1f} CPU-ms",
        peer=f"of half as many: {half * 1e3:.1f}",
        ratio=whole / half,
        goal="<= 2.4 x",
        met=whole <= 2.4 * half,
        most=MOST_GROWTH,
    )


def _raw(engine: sa.Engine) -> list[Any]:
    with engine.begin() as connection:
        return list(connection.exec_driver_sql("SELECT * FROM dataset"))
