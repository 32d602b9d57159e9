"""Every intent gets exactly one result, and a grant that has ended is closed with the range of its uses."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.keeper_desk import (
    CROWD,
    PURPOSE,
    Bench,
    copy_bench,
    found_bench,
    passed,
    script_training,
)
from tests.world import raised

from safehold.clock import SECOND_US
from safehold.errors import DeniedError, TamperedError, UnavailableError
from safehold.keeper.ports import Frame
from safehold.ledger import Entry
from safehold.ledger.monitor import Monitor, Verdict
from safehold.ledger.published import PublishedDirectory
from safehold_verify import parse_policy

HOUR_US = 3600 * SECOND_US


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    bench = found_bench(tmp_path_factory.mktemp("made"), people=CROWD).start()
    bench.take(*CROWD)
    bench.stop()
    return bench


@pytest.fixture
def bench(made: Bench, tmp_path: Path) -> Iterator[Bench]:
    copy = copy_bench(made, tmp_path).start()
    script_training(copy)
    yield copy
    copy.stop()


def build(bench: Bench) -> dict[str, Any]:
    return bench.call("feature", purpose=PURPOSE)


def train(bench: Bench, holder: Any) -> dict[str, Any]:
    return bench.call("train", **bench.use(holder))


def pairs(bench: Bench) -> dict[int, list[str]]:
    """Return the outcomes of every intent."""
    found: dict[int, list[str]] = {}
    for index, leaf in bench.desk.ledger.leaves():
        if leaf["k"] == "access.intent":
            found[index] = []
        elif leaf["k"] == "access.result":
            found[leaf["ref"]].append(leaf["pub"]["outcome"])
    return found


def result(bench: Bench) -> dict[str, Any]:
    """Return what the side-car of the newest result says."""
    newest = [at for at, leaf in bench.desk.ledger.leaves() if leaf["k"] == "access.result"][-1]
    detail: dict[str, Any] = bench.desk.ledger.detail(newest)["detail"]
    return detail


def closings(bench: Bench) -> list[tuple[int, dict[str, Any]]]:
    return [
        (leaf["ref"], leaf["pub"])
        for _, leaf in bench.desk.ledger.leaves()
        if leaf["k"] == "grant.closed"
    ]


def watch(bench: Bench) -> Verdict:
    bench.desk.ledger.publish()
    return Monitor(
        PublishedDirectory(bench.home.ledger),
        policy=parse_policy(bench.home.policy_file.read_bytes()),
        directory=bench.path / "monitor",
        clock=bench.clock,
    ).turn()


def last_grant(bench: Bench) -> int:
    return bench.desk.trust.grants()[-1]


# ---- results


ENDS: dict[str, Callable[[], BaseException]] = {
    "denied": lambda: DeniedError("the gate says no", rule="egress.rate"),
    "failed": lambda: TamperedError("not a message", rule="release.frames"),
    "stopped": KeyboardInterrupt,
}


@pytest.mark.parametrize("outcome", ENDS)
@pytest.mark.parametrize("recipe", ["feature", "train"])
def test_a_run_that_ends_early_says_how(bench: Bench, recipe: str, outcome: str) -> None:
    build(bench)
    holder = bench.pass_()

    def ending(_spec: Mapping[str, Any]) -> Iterator[Frame]:
        error = ENDS[outcome]()
        raise error
        yield

    bench.workshop.scripts[recipe] = ending
    with pytest.raises(type(ENDS[outcome]())):
        train(bench, holder) if recipe == "train" else build(bench)
    assert list(pairs(bench).values()) == [["ok"], [outcome]]
    said = result(bench)
    assert said["blocks"] == len(CROWD), "how many blocks the vault had opened"
    assert said["rule"] == getattr(ENDS[outcome](), "rule", "KeyboardInterrupt")
    assert watch(bench).exit_code == 0


def test_a_fault_of_our_own_is_a_result_too(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(*_arguments: Any, **_more: Any) -> None:
        raise RuntimeError("a fault with a person's name in it")

    monkeypatch.setattr(bench.desk.lineage, "add", faulty)
    with pytest.raises(RuntimeError):
        build(bench)
    assert list(pairs(bench).values()) == [["failed"]]
    assert result(bench) == {"rule": "RuntimeError", "blocks": len(CROWD)}


def test_a_stop_is_the_result_of_what_ran(bench: Bench) -> None:
    def long(_spec: Mapping[str, Any]) -> Iterator[Frame]:
        bench.call("stop", **bench.order("stop"))
        yield passed("progress", values={"done": 1, "of": 2})

    bench.workshop.scripts["feature"] = long
    assert raised(lambda: build(bench)).rule == "oversight.stop"
    assert list(pairs(bench).values()) == [["stopped"]]


def test_a_run_that_ended_well_says_how_much_was_opened(bench: Bench) -> None:
    build(bench)
    train(bench, bench.pass_())
    assert list(pairs(bench).values()) == [["ok"], ["ok"]]
    results = [at for at, leaf in bench.desk.ledger.leaves() if leaf["k"] == "access.result"]
    for at in results:
        assert bench.desk.ledger.detail(at)["detail"]["blocks"] == len(CROWD)
    assert watch(bench).exit_code == 0


def test_a_result_that_the_ledger_did_not_take_is_lost_before_the_next_intent(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = bench.desk.ledger
    append = ledger.append

    def refusing(entries: Any) -> Any:
        if any(one.kind == "access.result" for one in entries):
            raise UnavailableError("the ledger's queue is full", rule="ledger.queue")
        return append(entries)

    monkeypatch.setattr(ledger, "append", refusing)
    assert raised(lambda: build(bench)).rule == "ledger.queue"
    assert raised(lambda: build(bench)).rule == "ledger.queue", "nothing is released meanwhile"
    assert list(pairs(bench).values()) == [[]]
    monkeypatch.undo()
    build(bench)
    assert list(pairs(bench).values()) == [["lost"], ["ok"]]
    kinds = [kind for kind in bench.leaves() if kind.startswith("access.")]
    assert kinds == ["access.intent", "access.result", "access.intent", "access.result"]


def test_a_run_that_goes_on_is_not_lost(bench: Bench) -> None:
    settled: list[Any] = []

    def running(spec: Mapping[str, Any]) -> Iterator[Frame]:
        settled.append(bench.verbs.work.answers.settle())
        yield from bench.features(spec)

    bench.workshop.scripts["feature"] = running
    build(bench)
    assert settled == [[]]
    assert list(pairs(bench).values()) == [["ok"]]


def test_a_second_result_is_never_appended(bench: Bench) -> None:
    build(bench)
    (intent,) = pairs(bench)
    size = bench.desk.ledger.size
    bench.verbs.work.answers.write(intent, actor="x", thing="y", outcome="lost", detail={})
    assert bench.desk.ledger.size == size


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.keeper_desk import *
from tests.keeper_desk import FixedClock, Home, PASSPHRASE, PURPOSE
from safehold.app.keeper import unlock
from tests.world import outside
path = Path(sys.argv[1])
with outside(path):
    home = Home.open(path / "home")
    root = unlock(home, {"passphrase": PASSPHRASE})
bench = Bench(path, home, root, FixedClock(int(sys.argv[2])), {}).start()
def die(*_arguments):
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[3] == "pack":
    bench.workshop.during_pack = die
elif sys.argv[3] == "inside":
    def script(spec):
        die()
        yield
    bench.workshop.scripts["feature"] = script
else:
    bench.verbs.work._release.close = die
bench.call("feature", purpose=PURPOSE)
"""


@pytest.mark.parametrize("place", ["pack", "inside", "close"])
def test_a_keeper_killed_between_intent_and_result(made: Bench, tmp_path: Path, place: str) -> None:
    bench = copy_bench(made, tmp_path)
    run = subprocess.run(
        [sys.executable, "-c", KILLED, tmp_path, str(bench.clock.at_us), place],
        env={**os.environ, "SAFEHOLD_OUTSIDE": str(tmp_path / "outside")},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        check=False,
    )
    assert run.returncode == -signal.SIGKILL, run.stderr
    bench.start()
    try:
        assert list(pairs(bench).values()) == [["lost"]]
        assert bench.leaves()[-1] == "access.result", "before anything else"
        assert watch(bench).exit_code == 0
        assert build(bench)["people"] == len(CROWD)
        assert list(pairs(bench).values()) == [["lost"], ["ok"]]
        assert watch(bench).exit_code == 0
        bench.restart()
        assert list(pairs(bench).values()) == [["lost"], ["ok"]]
    finally:
        bench.stop()


def test_an_older_database_is_found_behind_a_failed_run(made: Bench, tmp_path: Path) -> None:
    """A run that failed built nothing; the newest that did counts."""
    bench = copy_bench(made, tmp_path)
    shutil.copy(bench.home.control, tmp_path / "older.db")
    bench.start()
    build(bench)

    def failing(_spec: Mapping[str, Any]) -> Iterator[Frame]:
        raise TamperedError("not a message", rule="release.frames")
        yield

    bench.workshop.scripts["feature"] = failing
    raised(lambda: build(bench))
    bench.stop()
    for file in tmp_path.glob("home/control.db*"):
        file.unlink()
    shutil.copy(tmp_path / "older.db", bench.home.control)
    assert raised(bench.start).rule == "catalog.rollback"


def test_more_blocks_than_the_intent_names_are_an_incident(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = bench.verbs.work._release
    run = release.run

    def twice(*arguments: Any) -> Any:
        run(*arguments)
        return run(*arguments)

    monkeypatch.setattr(release, "run", twice)
    error = raised(lambda: build(bench))
    assert error.rule == "release.count"
    assert bench.leaves()[-2:] == ["incident", "access.result"]
    said = bench.desk.ledger.detail(error.entry)["detail"]
    (intent,) = pairs(bench)
    assert said == {"intent": intent, "named": len(CROWD), "opened": len(CROWD) + 1}
    assert list(pairs(bench).values()) == [["failed"]]


# ---- closed grants


def test_a_grant_that_is_used_up_is_closed_with_its_range(bench: Bench) -> None:
    build(bench)
    holder = bench.pass_(max_runs=1)
    grant = last_grant(bench)
    assert bench.verbs.grants.close_ended() == []
    train(bench, holder)
    _, used = pairs(bench)
    assert closings(bench) == [(grant, {"state": "used", "uses": 1, "first": used, "last": used})]
    assert raised(lambda: train(bench, holder)).rule == "grant.runs"
    assert bench.call("grant.list")["grants"][0]["closed"]
    assert watch(bench).exit_code == 0
    bench.restart()
    assert len(closings(bench)) == 1


def test_a_grant_is_closed_when_it_is_revoked(bench: Bench) -> None:
    bench.pass_()
    name = bench.call("grant.list")["grants"][0]["id"]
    bench.call("grant.revoke", grant=name)
    assert closings(bench) == [(last_grant(bench), {"state": "revoked", "uses": 0})]
    assert watch(bench).exit_code == 0


@pytest.mark.parametrize("how", ["touched", "started", "scheduled"])
def test_a_grant_is_closed_when_its_time_is_over(bench: Bench, how: str) -> None:
    build(bench)
    holder = bench.pass_()
    train(bench, holder)
    _, used = pairs(bench)
    bench.clock.advance(HOUR_US - 1)
    bench.restart()
    assert bench.verbs.grants.close_ended() == []
    use = bench.use(holder)
    bench.clock.advance(1)
    if how == "touched":
        assert raised(lambda: bench.call("train", **use)).rule == "capability.expired"
    elif how == "started":
        bench.restart()
    else:
        assert bench.service is not None
        bench.service.close_grants()
    assert closings(bench) == [
        (last_grant(bench), {"state": "expired", "uses": 1, "first": used, "last": used})
    ]
    bench.restart()
    assert len(closings(bench)) == 1
    assert watch(bench).exit_code == 0


def test_a_closed_grant_gets_no_intent_though_the_clock_goes_back(bench: Bench) -> None:
    """The leaf decides, not the clock: what was closed stays closed."""
    build(bench)
    holder = bench.pass_()
    bench.clock.advance(HOUR_US)
    assert len(bench.verbs.grants.close_ended()) == 1
    bench.clock.advance(-HOUR_US)
    size = bench.desk.ledger.size
    assert raised(lambda: train(bench, holder)).rule == "grant.closed"
    assert "access.intent" not in bench.leaves(size)


def test_a_grant_closed_after_admission_gets_no_intent(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check at admission is repeated in the step that appends the intent."""
    build(bench)
    holder = bench.pass_()
    decide = bench.verbs.work._release.decision.decide

    def closing(*arguments: Any) -> Any:
        entry = Entry(kind="grant.closed", actor="keeper", object="", detail={})
        assert bench.desk.trust.close_grant(last_grant(bench), entry, state="expired")
        return decide(*arguments)

    monkeypatch.setattr(bench.verbs.work._release, "decide", closing)
    size = bench.desk.ledger.size
    assert raised(lambda: train(bench, holder)).rule == "grant.closed"
    assert "access.intent" not in bench.leaves(size)


def test_a_closed_grant_is_not_enacted_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[dict[str, Any]] = []
    enact = bench.verbs.grants.enact

    def keeping(arguments: dict[str, Any], *more: Any) -> Any:
        given.append(arguments)
        return enact(arguments, *more)

    monkeypatch.setattr(bench.verbs.grants, "enact", keeping)
    bench.pass_()
    entry = Entry(kind="grant.closed", actor="keeper", object="", detail={})
    bench.desk.trust.close_grant(last_grant(bench), entry, state="expired")
    assert raised(lambda: bench.call("grant.enact", **given[0])).rule == "grant.closed"
