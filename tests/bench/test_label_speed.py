"""Labels of ten thousand people and a hundred datasets: what joining and walking them costs beside plain sets."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from safehold.catalog import DatasetLabel, Lineage
from safehold.catalog.algebra import Inherited, join
from safehold.db import metadata, open_engine

PEOPLE, DATASETS = 10_000, 100
MOST_JOIN = 2.0  # times the union of the same sets of people alone
MOST_GROWTH = 3.0  # for twice the datasets

pytestmark = pytest.mark.bench


def spent(work: Callable[[], Any], rounds: int = 5) -> float:
    """Return the least seconds of this process that something takes."""
    found = []
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


def test_a_join_costs_what_the_union_of_its_people_costs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    some, twice = labels(DATASETS), labels(2 * DATASETS)
    plain = spent(lambda: frozenset().union(*(one.people for one in some)))
    joined = spent(lambda: join(some))
    doubled = spent(lambda: join(twice))
    made = join(some)
    assert len(made.people) == PEOPLE + DATASETS - 1
    assert made.expires == 20_000
    with capsys.disabled():
        print(
            json.dumps(
                {"union_ms": plain * 1e3, "join_ms": joined * 1e3, "twice_ms": doubled * 1e3}
            )
        )
    assert joined <= MOST_JOIN * plain + 0.002
    assert doubled <= MOST_GROWTH * joined


def test_a_chain_of_a_hundred_datasets_is_walked_in_bounded_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
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
    with capsys.disabled():
        print(
            json.dumps(
                {"walk_100_ms": half * 1e3, "walk_200_ms": whole * 1e3, "rows_ms": rows * 1e3}
            )
        )
    assert len(lineage.above([f"table/x:{2 * DATASETS - 1}"])) == 2 * DATASETS + 1
    assert whole <= MOST_GROWTH * half
    engine.dispose()


def _raw(engine: sa.Engine) -> list[Any]:
    with engine.begin() as connection:
        return list(connection.exec_driver_sql("SELECT * FROM dataset"))
