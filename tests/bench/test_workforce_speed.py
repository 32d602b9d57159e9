"""Generating must not be what limits the demo."""

import time

import pytest

from safehold.workforce import Spec, person_day


@pytest.mark.bench
def test_events_per_second_of_one_core():
    spec = Spec(people=60, days=1, start_day=20_780, seed=2)
    person_day(spec, 0, 0)
    start, rows = time.thread_time(), 0
    for index in range(spec.people):
        rows += sum(table.num_rows for table in person_day(spec, index, 0).values())
    rate = rows / (time.thread_time() - start)
    print(f"{rate:,.0f} events per second")
    assert rate > 200_000
