"""Looks for drift at the edges: while keys are rotated, at the ends of months and years, in other time zones."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.attack.test_drift import lower_level
from tests.keeper_desk import Bench, copy_bench, found_bench
from tests.seated import signed_roster
from tests.world import raised

from safehold.charter.turnover import next_roster
from safehold.clock import DAY_US, SECOND_US
from safehold.signing import SigningKey

FIVE_MINUTES = 300 * SECOND_US
FRESH = SigningKey(b"r" * 32)
ENDS = ("2026-12-31", "2027-02-28", "2028-02-29", "2027-03-31")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return found_bench(tmp_path_factory.mktemp("made"), people=("ana", "bo"))


@pytest.fixture
def bench(made: Bench, tmp_path: Path) -> Iterator[Bench]:
    copy = copy_bench(made, tmp_path).start()
    yield copy
    copy.stop()


def stops(bench: Bench) -> None:
    """Check that a changed flag still stops recording within five minutes."""
    with pytest.MonkeyPatch.context() as patch:
        lower_level(bench, patch)
        bench.clock.at_us += FIVE_MINUTES
        error = raised(lambda: bench.take("ana", name="while it differs"))
        assert error.rule == "drift.collect.keys.minimise.level"
    bench.clock.at_us += FIVE_MINUTES


@pytest.mark.parametrize(
    "zone", ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kathmandu"]
)
@pytest.mark.parametrize("day", ENDS)
def test_at_the_end_of_a_month_in_any_time_zone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, day: str, zone: str
) -> None:
    """Days are days of UTC, whatever the machine thinks; the last second of one and the first of the next are alike."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        midnight = (
            int(datetime.fromisoformat(f"{day}T00:00:00+00:00").timestamp()) * SECOND_US + DAY_US
        )
        for number, offset in enumerate((-SECOND_US, 0, SECOND_US)):
            bench.clock.at_us = midnight + offset
            bench.take("ana", name=f"n{number}", first=100 * number)
        assert datetime.fromtimestamp(bench.clock.at_us / 1e6, UTC).day == 1
        assert "drift" not in bench.leaves()
        stops(bench)
        bench.take("ana", name="as signed", first=900)
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("restarted", [False, True])
def test_while_the_key_of_the_log_is_rotated(bench: Bench, restarted: bool) -> None:
    for number, step in enumerate(("begin", "retire")):
        bench.call("ledger.rotate", step=step)
        if restarted:
            bench.restart()
        bench.clock.at_us += FIVE_MINUTES
        bench.take("ana", name=f"after {step}", first=100 * number)
        stops(bench)
    assert bench.call("drift")["ok"]


@pytest.mark.parametrize("restarted", [False, True])
def test_while_a_seat_rotates_its_key(bench: Bench, restarted: bool) -> None:
    new = next_roster(bench.desk.trust.roster, seat="hr", key=FRESH.public)
    new = signed_roster(new, {"hr": bench.seats["hr"]}, ("hr", FRESH))
    bench.call("board.rotate", roster=new.to_json())
    if restarted:
        bench.restart()
    bench.clock.at_us += FIVE_MINUTES
    bench.take("ana")
    stops(bench)
    assert bench.call("drift")["ok"]


def test_a_difference_outlives_a_restart_until_a_look_finds_none(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A keeper that is ended in the middle, and one that is started after the flag was put back."""
    with monkeypatch.context() as patch:
        lower_level(bench, patch)
        bench.clock.at_us += FIVE_MINUTES
        raised(lambda: bench.take("ana"))
        bench.restart()
        assert raised(lambda: bench.take("ana")).rule == "drift.collect.keys.minimise.level"
    bench.restart()
    bench.take("ana")
    told = [leaf["pub"]["state"] for _, leaf in bench.desk.ledger.leaves() if leaf["k"] == "drift"]
    assert told[0] == "found"
    assert told[-1] == "clear"


def test_a_clock_that_goes_back_makes_no_look_younger(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.take("ana")
    lower_level(bench, monkeypatch)
    bench.clock.at_us -= 60 * SECOND_US
    error = raised(lambda: bench.take("ana", name="earlier", first=100))
    assert error.rule == "drift.collect.keys.minimise.level"
