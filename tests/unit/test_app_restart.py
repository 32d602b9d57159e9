"""The paper of an order to resume: who signs reads what they sign, and nothing else is handed in."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.keeper_desk import Bench, copy_bench, found_bench
from tests.world import outside, raised

from safehold import canonical
from safehold.app import restart
from safehold.clock import DAY_US, SECOND_US
from safehold.errors import QuorumError


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return found_bench(tmp_path_factory.mktemp("made"), people=("ana",))


class Line:
    """A line to the keeper of a bench."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def call(self, verb: str, **arguments: object) -> dict[str, object]:
        return self._bench.call(verb, **arguments)


@pytest.fixture
def bench(made: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    copy = copy_bench(made, tmp_path).start()
    copy.call("stop", **copy.order("stop", "hr"))
    copy.clock.advance(SECOND_US)

    class Now:
        now_us = staticmethod(copy.clock.now_us)

    monkeypatch.setattr("safehold.app.charters.SystemClock", Now)
    (tmp_path / "cause.txt").write_text("a door stood open")
    for seat, key in copy.seats.items():
        key.write(tmp_path / f"{seat}.key")
    yield copy
    copy.stop()


def drawn(bench: Bench, *seats: str) -> Path:
    file = bench.path / "resume.json"
    with outside(bench.path):
        restart.draw_up(bench.home.path, file, reason="mended", cause=bench.path / "cause.txt")
    for seat in seats:
        told = restart.sign_paper(file, seat=seat, key=bench.path / f"{seat}.key")
        assert told["cause"] == "a door stood open"
    return file


def test_six_seats_resume_within_three_days(bench: Bench) -> None:
    *five, last = bench.seats
    file = drawn(bench, *five)
    assert isinstance(raised(lambda: restart.hand_in(Line(bench), file)), QuorumError)
    restart.sign_paper(file, seat=last, key=bench.path / f"{last}.key")
    bench.clock.advance(3 * DAY_US)
    assert restart.hand_in(Line(bench), file)["state"] == "resume"
    assert not bench.desk.trust.stopped
    assert raised(lambda: restart.hand_in(Line(bench), file)).rule == "oversight.order"


def test_after_three_days_it_counts_no_more(bench: Bench) -> None:
    file = drawn(bench, *bench.seats)
    bench.clock.advance(3 * DAY_US + SECOND_US)
    assert raised(lambda: restart.hand_in(Line(bench), file)).rule == "oversight.order"
    assert bench.desk.trust.stopped


@pytest.mark.parametrize("restarted", [False, True])
def test_a_seat_that_thinks_better_of_it_stops_again(bench: Bench, restarted: bool) -> None:
    file = drawn(bench, *bench.seats)
    bench.clock.advance(SECOND_US)
    bench.call("stop", **bench.order("stop", "hr"))
    if restarted:
        bench.restart()
    error = raised(lambda: restart.hand_in(Line(bench), file))
    assert error.rule == "oversight.order"
    assert "last stop" in error.message
    assert bench.desk.trust.stopped


def test_nobody_signs_under_a_cause_that_the_order_does_not_name(bench: Bench) -> None:
    file = drawn(bench)
    tree = canonical.decode(file.read_bytes().strip())
    for other in (
        tree | {"cause": "nothing happened"},
        {k: v for k, v in tree.items() if k != "cause"},
    ):
        file.write_bytes(canonical.encode(other))
        error = raised(lambda: restart.sign_paper(file, seat="hr", key=bench.path / "hr.key"))
        assert error.rule == "oversight.paper"
    file.write_bytes(b"{}")
    assert raised(lambda: restart.hand_in(Line(bench), file)).rule == "oversight.paper"


def test_a_paper_is_not_written_over(bench: Bench) -> None:
    drawn(bench)
    assert raised(lambda: drawn(bench)).rule == "oversight.paper"
