"""Whatever fails, nothing is released, the error says what to do, and afterwards nothing is missing."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from tests.attack.test_two_keepers import (  # noqa: F401 - fixtures
    bench,
    grant,
    leaves,
    made,
    pair,
)
from tests.control_place import on_postgres  # noqa: F401 - a fixture
from tests.keeper_desk import Bench, copy_bench, found_bench
from tests.keeper_yard import Yard
from tests.pair import Keeper, eventually
from tests.world import PASSPHRASE, PURPOSE, raised

from safehold import db
from safehold.errors import SafeholdError, UnavailableError
from safehold.keeper.client import KeeperClient

HOUR_S = 3600


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A company of three with its control database and its journal in files."""
    company = found_bench(tmp_path_factory.mktemp("small")).start()
    company.take()
    company.stop()
    return company


@pytest.fixture
def alone(small: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Keeper]:
    """A keeper of its own, which leads."""
    monkeypatch.setattr(db.sqlite, "PATIENCE_S", 0.2)
    copy = copy_bench(small, tmp_path)
    copy.workshop.scripts["feature"] = lambda _spec: iter(())
    keeper = Keeper(copy, "").start()
    yield keeper
    keeper.stop()


def build(keeper: Keeper) -> SafeholdError | None:
    """Ask for a run that opens blocks; return what stopped it."""
    try:
        keeper.call("feature", purpose=PURPOSE)
    except SafeholdError as error:
        return error
    return None


def opened(keeper: Keeper) -> int:
    return len(keeper.workshop.packed)


def uses(keeper: Keeper) -> list[str]:
    """Return how every intent of the ledger ended."""
    said = leaves(keeper)
    ends = {leaf["ref"]: leaf["pub"]["outcome"] for _, leaf in said if leaf["k"] == "access.result"}
    return [ends.get(at, "") for at, leaf in said if leaf["k"] == "access.intent"]


def pragma(keeper: Keeper, *settings: str) -> Callable[[], None]:
    """Let SQLite meet a condition in every connection of the control database; what is returned ends it."""
    engine = keeper.leader().desk.engine

    def on_checkout(connection: Any, *_: Any) -> None:
        for setting in settings:
            connection.execute(f"PRAGMA {setting}")

    event.listen(engine, "checkout", on_checkout)
    return lambda: event.remove(engine, "checkout", on_checkout)


def test_a_control_database_that_somebody_holds_stops_releases_and_nothing_else(
    alone: Keeper,
) -> None:
    assert build(alone) is None
    before = opened(alone)
    with sqlite3.connect(alone.bench.home.control, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        error = build(alone)
        other.execute("ROLLBACK")
    other.close()
    assert isinstance(error, UnavailableError)
    assert (error.rule, bool(error.fix)) == ("db.unavailable", True)
    assert opened(alone) == before
    assert build(alone) is None


def started_anew(keeper: Keeper) -> Keeper:
    """Stop a keeper, and start one that compares register, ledger and witnesses."""
    keeper.candidate.close()
    return Keeper(keeper.bench, "again").start()


def test_a_control_database_that_only_reads_keeps_nothing_half(alone: Keeper) -> None:
    choose = {"person": "ana", "choice": "pause"}
    heal = pragma(alone, "query_only=ON")
    error = raised(lambda: alone.call("people.choose", **choose))
    assert isinstance(error, UnavailableError)
    assert (error.rule, bool(error.fix)) == ("db.unavailable", True)
    heal()
    pragma(alone, "query_only=OFF")
    alone.call("people.choose", **choose)
    desk = alone.leader().desk
    assert desk.people.standing(desk.people.find("ana")).paused(desk.now_us())
    again = started_anew(alone)
    assert again.leads
    again.stop()


def test_a_control_database_whose_disk_is_full_keeps_nothing_half(alone: Keeper) -> None:
    people = [
        {"person": f"q{number:03}", "jurisdiction": "US-CA", "streams": ["pointer"]}
        for number in range(100)
    ]
    heal = pragma(alone, "max_page_count=1")  # as many pages as it has, and not one more
    error = raised(lambda: alone.call("people.enrol", people=people, evidence="made up"))
    assert isinstance(error, UnavailableError)
    assert (error.rule, bool(error.fix)) == ("db.unavailable", True)
    assert "SQLITE_FULL" in error.message
    assert alone.call("people.count")["enrolled"] == 3
    heal()
    pragma(alone, "max_page_count=1073741823")
    assert alone.call("people.enrol", people=people, evidence="made up")["enrolled"] == 100
    again = started_anew(alone)
    assert again.call("people.count")["enrolled"] == 103
    again.stop()


def test_a_ledger_that_cannot_write_releases_nothing_and_is_opened_again(alone: Keeper) -> None:
    assert build(alone) is None
    before, desk = opened(alone), alone.leader().desk
    desk.ledger._journal._writer.execute("PRAGMA query_only=ON")
    for _ in range(2):
        error = build(alone)
        if error is not None:
            break
    assert isinstance(error, UnavailableError)
    assert opened(alone) == before
    eventually(lambda: len(alone.began) > 1 and alone.leads)
    assert build(alone) is None, "the same process goes on"
    assert uses(alone) == ["ok", "ok"]


def test_a_clock_that_is_off_by_an_hour_opens_nothing_that_had_ended(alone: Keeper) -> None:
    clock = alone.bench.clock
    assert build(alone) is None
    before = opened(alone)
    clock.advance(-HOUR_S * 1_000_000)
    error = build(alone)
    assert isinstance(error, UnavailableError)
    assert (error.rule, bool(error.fix)) == ("clock.back", True)
    assert opened(alone) == before
    clock.advance(HOUR_S * 1_000_000)
    assert build(alone) is None
    # an hour ahead is believed, for nobody can tell; what is written then holds the keeper until that hour has come
    clock.advance(HOUR_S * 1_000_000)
    assert build(alone) is None
    clock.advance(-HOUR_S * 1_000_000)
    assert build(alone).rule == "clock.back"  # type: ignore[union-attr]
    clock.advance(HOUR_S * 1_000_000)
    assert build(alone) is None


def test_a_database_that_goes_down_mid_transaction_loses_nothing(
    bench: Bench,  # noqa: F811
    pair: tuple[Keeper, Keeper],  # noqa: F811
) -> None:
    """Both keepers refuse at once, neither hangs, and one of them goes on when it is back."""
    one, two = pair
    server = bench.control.server
    assert server is not None
    holder = grant(bench, one, max_runs=4)
    assert two.ended(holder) == "ok"
    desk = one.leader().desk
    append = desk.trust.log_charged

    def down(*arguments: Any, **named: Any) -> Any:
        with desk.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE person SET version = version")
            server.stop(signal.SIGKILL)
            return append(*arguments, **named)

    nonce = one.nonce()
    desk.trust.log_charged = down  # type: ignore[method-assign]
    began = time.monotonic()
    error = raised(lambda: one.call("train", **one.proof(holder, nonce)))
    assert isinstance(error, UnavailableError)
    assert opened(one) == 1
    for keeper in pair:
        error = raised(lambda: keeper.call("grant.list"))  # noqa: B023
        assert isinstance(error, UnavailableError), error
        assert error.fix
    assert time.monotonic() - began < 240, "nobody hangs"
    server.start()
    eventually(lambda: one.leads or two.leads)
    leader = one if one.leads else two
    if "lost" in uses(leader):  # the intent was written before the keeper noticed
        # nobody knows what the lost run had sent: it counts as all that the grant had left
        assert [keeper.ended(holder) for keeper in pair] == ["grant.bytes", "grant.bytes"]
        holder = grant(bench, leader, max_runs=4)
    assert [keeper.ended(holder) for keeper in pair] == ["ok", "ok"]
    assert uses(leader).count("ok") == 4  # a build, and three runs


def test_nobody_waits_for_a_database_that_has_fallen_silent(
    bench: Bench,  # noqa: F811
    pair: tuple[Keeper, Keeper],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its connections stand, and no driver notices; what waits is cut after a while."""
    from safehold.db import postgres

    one, two = pair
    server = bench.control.server
    assert server is not None
    holder = grant(bench, one, max_runs=4)
    monkeypatch.setattr(postgres, "SILENT_S", 1.0)
    began = time.monotonic()
    with server.silent():
        for keeper in pair:
            error = raised(lambda: keeper.call("grant.list"))  # noqa: B023
            assert isinstance(error, UnavailableError), error
        assert time.monotonic() - began < 240
        assert opened(one) == opened(two) == 0
    eventually(lambda: one.leads or two.leads)
    assert [keeper.ended(holder) for keeper in pair] == ["ok", "ok"]


def test_a_keeper_that_is_killed_or_halted(bench: Bench) -> None:  # noqa: F811
    """Killed in the midst of a run, the other takes over; halted, nobody takes over and nobody waits for ever."""
    yard = Yard()
    try:
        _kill_in_turn(yard, bench, rounds=1, slow=1)
        _halt(yard, bench)
    finally:
        yard.close()


@pytest.mark.proof
def test_two_keepers_are_killed_in_turn_a_hundred_times(bench: Bench) -> None:  # noqa: F811
    yard = Yard()
    try:
        _kill_in_turn(yard, bench, rounds=100, slow=0.02)
    finally:
        yard.close()


def _start(yard: Yard, bench: Bench, name: str, slow: float) -> int:  # noqa: F811
    place = bench.home.outside.parent
    return yard.keeper(bench.home.path, place, name, passphrase=PASSPHRASE, slow=slow)


def _kill_in_turn(yard: Yard, bench: Bench, *, rounds: int, slow: float) -> None:  # noqa: F811
    """Kill whoever leads in the midst of its work, again and again; nothing acknowledged is ever missing."""
    names = ["", "b"]
    pids = {name: _start(yard, bench, name, slow) for name in names}
    both = [KeeperClient(bench.home.socket_of(name)) for name in names]
    acknowledged: list[dict[str, Any]] = []
    for number in range(rounds):
        leader = "b" if bench.home.leader_file.read_text() == "keeper-b.sock" else ""
        ended = threading.Event()

        def work(client: KeeperClient, number: int = number, ended: Any = ended) -> None:
            while not ended.is_set():
                try:
                    choice = "pause" if len(acknowledged) % 2 == 0 else "resume"
                    acknowledged.append(client.call("people.choose", person="p00", choice=choice))
                    client.call("feature", purpose=PURPOSE)
                except SafeholdError as error:
                    assert isinstance(error, UnavailableError) or error.code.startswith("denied")

        threads = [threading.Thread(target=work, args=(client,)) for client in both]
        for thread in threads:
            thread.start()
        target = len(acknowledged) + 1 + number % 3
        eventually(lambda: len(acknowledged) >= target)  # noqa: B023
        yard.kill(pids[leader])
        since = len(acknowledged)
        eventually(lambda: len(acknowledged) > since)  # noqa: B023 - the other has taken over
        ended.set()
        for thread in threads:
            thread.join(300)
        pids[leader] = _start(yard, bench, leader, slow)
    status = both[0].call("status")
    assert status["ledger"]["size"] > max(one["entry"] for one in acknowledged if "entry" in one)
    for pid in list(pids.values()):
        yard.kill(pid)
    keeper = Keeper(
        bench, ""
    ).start()  # it compares registers, ledger and witnesses, and settles runs
    try:
        assert keeper.leads
        assert "" not in uses(keeper), "every intent has its one result"
        said = {at for at, leaf in leaves(keeper) if leaf["k"] == "choice"}
        assert {one["entry"] for one in acknowledged if "entry" in one} <= said
    finally:
        keeper.stop()


def _halt(yard: Yard, bench: Bench) -> None:  # noqa: F811
    first, second = (_start(yard, bench, name, 0.0) for name in ("", "b"))
    by = KeeperClient(bench.home.socket_of("b"))
    assert by.call("people.count")
    os.kill(first, signal.SIGSTOP)
    error = raised(lambda: by.call("people.count"))
    assert isinstance(error, UnavailableError)
    assert (error.rule, bool(error.fix)) == ("keeper.relay", True)
    assert bench.home.leader_file.read_text() == "keeper.sock"
    os.kill(first, signal.SIGCONT)
    assert by.call("people.count")
    yard.kill(first)
    eventually(lambda: bench.home.leader_file.read_text() == "keeper-b.sock")
    yard.kill(second)
