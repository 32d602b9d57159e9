"""What serve drills, and when."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.keeper_desk import DAY_US, Bench, copy_bench, found_bench

from safehold.app.drill.nightly import NIGHT, Nightly
from safehold.keeper.program import name_program


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return found_bench(tmp_path_factory.mktemp("nightly"))


@pytest.fixture
def bench(made: Bench, tmp_path: Path):
    bench = copy_bench(made, tmp_path).start()
    yield bench
    bench.stop()


def words(bench: Bench, how: str = "weekly") -> list[str]:
    return Nightly(bench.desk, bench.clock, how=how)._words()


def test_all_of_it_every_week_and_a_few_every_night(bench: Bench) -> None:
    assert "--only" not in words(bench), "never run whole: so it is now"
    assert words(bench, "nightly")[-3] == ",".join(NIGHT)
    result = {"scenario": "S25", "of": "deployment", "state": "held"}
    begun = bench.call("drill.begin", scenarios=["S25"], program=name_program())
    bench.call("drill.record", run=begun["run"], results=[result])
    assert "--only" in words(bench)
    bench.clock.at_us += 6 * DAY_US
    assert "--only" in words(bench)
    bench.clock.at_us += DAY_US
    assert "--only" not in words(bench)


def test_off_starts_nothing_and_what_never_started_ends(bench: Bench) -> None:
    nightly = Nightly(bench.desk, bench.clock, how="off")
    nightly.start()
    nightly.close()
    assert nightly._running is None
