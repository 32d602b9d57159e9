"""Callers that append at once: one commit for many, each failing alone, and one sequencer for a log."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest
from tests.ledger_desk import DESKS, START_US, Desk, desk_over, entry

import safehold_verify as verifier
from safehold.clock import FixedClock
from safehold.errors import (
    ConflictError,
    InvalidError,
    SafeholdError,
    ShreddedError,
    TamperedError,
    UnavailableError,
)
from safehold.ledger import Ledger
from safehold.ledger import publisher as publisher_module
from safehold.ledger.draft import draft
from safehold.ledger.sequencer import LARGEST_GROUP, Request


@pytest.fixture(params=DESKS)
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Desk:
    return desk_over(request.param, tmp_path, request)


@pytest.fixture
def embedded(tmp_path: Path) -> Desk:
    """A desk whose journal is SQLite."""
    return Desk(tmp_path)


def test_callers_share_one_commit_and_one_bad_caller_fails_alone(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher_module, "INTERVAL", 3_600)
    busy, go = threading.Event(), threading.Event()
    go.set()

    class Slow(FixedClock):
        """Count the commits; each asks the time once, and waits until it may go on."""

        asked = 0

        def now_us(self) -> int:
            self.asked += 1
            busy.set()
            assert go.wait(300)
            return super().now_us()

    desk.clock = clock = Slow(START_US)
    done: list[int] = []
    errors: list[SafeholdError] = []

    def work(number: int, ledger: Ledger) -> None:
        try:
            ref = 10_000 if number % 10 == 0 else None
            kind = "feature" if ref else "ingest"
            done.extend(one.index for one in ledger.append([entry(number, kind=kind, ref=ref)] * 2))
        except SafeholdError as error:
            errors.append(error)

    with desk.open() as ledger:
        threads = [threading.Thread(target=work, args=(at, ledger)) for at in range(60)]
        busy.clear()
        go.clear()
        before = clock.asked
        first = threads[1]
        first.start()
        assert busy.wait(300)  # the first commit holds its caller, and the others wait
        for thread in threads:
            if thread is not first:
                thread.start()
        while ledger._sequencer._waiting < 59 * 2:
            threading.Event().wait(0.01)
        go.set()
        for thread in threads:
            thread.join()
        assert sorted(done) == list(range(108))
        assert [type(one) for one in errors] == [InvalidError] * 6
        assert ledger.size == 108
        assert clock.asked - before == 2
    verifier.verify_log(desk.directory, desk.policy, heads=[desk.head])


def test_a_group_is_bounded(desk: Desk) -> None:
    with desk.open() as ledger:
        receipts = ledger.append([entry(public={})] * (LARGEST_GROUP + 1))
        assert receipts[-1].index == LARGEST_GROUP
        ledger._sequencer._waiting = 65_000
        with pytest.raises(UnavailableError, match="queue is full"):
            ledger.append([entry()] * 1_000)
        ledger._sequencer._waiting = 0


def test_published_by_itself_within_a_second(desk: Desk) -> None:
    with desk.open() as ledger:
        ledger.append([entry()])
        for _ in range(6_000):  # two minutes: a busy machine
            if b"\n1\n" in (desk.directory / "checkpoint").read_bytes():
                break
            threading.Event().wait(0.02)
        assert b"\n1\n" in desk.head


def test_a_failed_commit_stops_the_log_and_loses_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = desk.open()
    ledger.append([entry(1)])

    def full(_batch: object) -> None:
        raise UnavailableError("the ledger cannot commit")

    monkeypatch.setattr(ledger._journal, "commit", full)
    with pytest.raises(UnavailableError):
        ledger.append([entry(2)])
    monkeypatch.undo()
    with pytest.raises(UnavailableError):
        ledger.append([entry(3)])
    with pytest.raises(UnavailableError):
        ledger.check_health()
    ledger.close()
    with desk.open() as again:
        assert again.size == 1


def test_a_leaf_that_no_bundle_can_hold_fails_its_caller_only(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with desk.open() as ledger:
        with monkeypatch.context() as patch:
            patch.setattr("safehold.ledger.draft.LARGEST_ENTRY", 400)
            with pytest.raises(InvalidError):
                ledger.append([entry()])
        assert ledger.append([entry()])[0].index == 0
        ledger.check_health()


def test_whoever_ends_a_commit_leaves_nobody_believing_in_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = desk.open()
    sequencer = ledger._sequencer
    other = Request(draft([entry(2)]))
    sequencer._queue.append(other)  # somebody else waits, and the next commit takes it along

    def interrupted(_batch: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ledger._journal, "commit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ledger.append([entry(1)])
    assert other.turn.is_set()
    assert isinstance(other.error, UnavailableError)
    with pytest.raises(UnavailableError):
        ledger.append([entry(3)])
    monkeypatch.undo()
    ledger.close()
    with desk.open() as again:
        assert again.size == 0


def test_a_caller_that_gives_up_keeps_nobody_waiting(desk: Desk) -> None:
    with desk.open() as ledger:
        sequencer = ledger._sequencer
        leads, waits = Request(draft([entry(1)])), Request(draft([entry(2)]))
        sequencer._queue += [leads, waits]
        sequencer._waiting, sequencer._leader = 2, leads
        thread = threading.Thread(target=ledger.append, args=([entry(3)],))
        thread.start()
        while len(sequencer._queue) < 3:
            threading.Event().wait(0.005)
        sequencer._leave(waits)  # what an interrupt of a waiting caller does
        assert sequencer._queue[0] is leads
        assert len(sequencer._queue) == 2
        sequencer._leave(leads)
        thread.join()
        assert (ledger.size, sequencer._waiting, sequencer._leader) == (1, 0, None)
        assert ledger.append([entry(4)])[0].index == 1


def test_a_sealer_that_is_away_fails_its_caller_only(desk: Desk) -> None:
    with desk.open() as ledger:
        desk.sealer.gone.add(("us/keys", 202609))
        with pytest.raises(ShreddedError):
            ledger.append([entry(), entry(segment="us/keys")])
        assert ledger.append([entry()])[0].index == 0
        ledger.check_health()


def test_a_second_sequencer_is_refused_at_the_door_and_at_the_commit(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher_module, "INTERVAL", 3_600)  # or it, too, finds what is wrong
    first = desk.open()
    with pytest.raises(ConflictError, match="another process"):
        desk.open()
    first.append([entry()])
    # Past the lock: the database says that the log has moved, whether in size or in root.
    for change in ("size = size + 1", "root = zeroblob(32)"):
        [before] = desk.edit("SELECT size, root FROM state")
        desk.edit(f"UPDATE state SET {change}")  # noqa: S608
        with pytest.raises(TamperedError, match="somebody else"):
            first.append([entry()])
        first._sequencer.stopped = None
        desk.edit("UPDATE state SET size = ?, root = ?", *before)
    first.append([entry()])
    first.close()
    with desk.open() as again:
        assert again.size == 2


def test_a_writer_that_holds_the_database_is_waited_for_then_refused(embedded: Desk) -> None:
    first = embedded.open()
    first.append([entry()])
    first._journal._writer.execute("PRAGMA busy_timeout=50")
    base = sqlite3.connect(embedded.directory / "journal.db", isolation_level=None)
    base.execute("BEGIN IMMEDIATE")
    with pytest.raises(UnavailableError):
        first.append([entry()])
    base.execute("ROLLBACK")
    base.close()
    first.close()
    assert embedded.open().size == 1


def test_the_journal_syncs_every_commit(embedded: Desk) -> None:
    with embedded.open() as ledger:
        writer = ledger._journal._writer
        assert writer.execute("PRAGMA synchronous").fetchone() == (2,)
        assert writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        ledger.append([entry() for _ in range(300)])
        assert writer.execute("SELECT count(*) FROM journal").fetchone() == (1,)
