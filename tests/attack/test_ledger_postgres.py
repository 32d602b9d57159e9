"""A journal in PostgreSQL against its administrator, a second sequencer, cut lines and killed servers."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.attack import test_ledger_crash as crash
from tests.attack import test_ledger_rollback as rollback
from tests.ledger_desk import ORIGIN, Desk, entry
from tests.postgres import Line, Server

import safehold_verify as verifier
from safehold.db import place
from safehold.errors import (
    ConflictError,
    SafeholdError,
    TamperedError,
    UnavailableError,
    WentAwayError,
)
from safehold.ledger import Ledger, store_postgres
from safehold.ledger import publisher as publisher_module
from safehold.ledger.store_postgres_place import lock_of, schema_of

SCHEMA = schema_of(ORIGIN)


def said(query: str) -> bytes:
    """Return a query in which ``@`` stands for the schema of the log."""
    return query.replace("@", SCHEMA).encode()


@pytest.fixture
def bare(postgres: Server, tmp_path: Path) -> Desk:
    return Desk(tmp_path, database=postgres.database())


@pytest.fixture
def desk(bare: Desk) -> Desk:
    """A log of 300 entries, published."""
    with bare.open() as ledger:
        ledger.append([entry(at) for at in range(300)])
    return bare


# What is not about the journal holds over this one as well.
test_a_witness_that_lost_its_memory = rollback.test_a_witness_that_lost_its_memory
test_a_witness_out_of_reach = rollback.test_a_witness_out_of_reach_means_read_only
test_a_witness_that_goes_away_later = rollback.test_a_witness_that_goes_away_later
test_an_edited_export = rollback.test_an_edited_export_is_found_when_the_ledger_opens
test_leftovers_of_a_crashed_export_go = rollback.test_leftovers_of_a_crashed_export_go


def elsewhere(desk: Desk) -> Desk:
    """The same log on another machine: same database and witness, a copy of the files."""
    other = Desk.__new__(Desk)
    other.__dict__.update(desk.__dict__)
    other.directory = desk.directory.with_name("elsewhere")
    shutil.copytree(desk.directory, other.directory)
    return other


def actors(ledger: Ledger) -> list[str]:
    return [ledger.detail(at)["actor"] for at in range(ledger.size)]


# Two sequencers


def test_the_second_sequencer_is_refused_until_the_first_has_lost_its_session(
    postgres: Server, desk: Desk
) -> None:
    first, other = desk.open(), elsewhere(desk)
    with pytest.raises(ConflictError, match="another process"):
        other.open()
    first.check_health()
    with postgres.admin() as base:
        assert base.execute(
            "SELECT pg_terminate_backend(%s, 60000)", (first._journal._pid,)
        ).fetchone() == (True,)
    with pytest.raises(ConflictError):  # nobody else writes the files while the first lives on
        desk.open()
    with other.open() as second:
        second.append([entry(1_000, key="second")])
        for _ in range(2):
            with pytest.raises(UnavailableError) as found:
                first.append([entry(2_000)])
        assert found.value.rule in ("ledger.commit", "ledger.lost")
        with pytest.raises(UnavailableError):
            first.check_health()
        with pytest.raises(UnavailableError):
            first.publish()
        second.append([entry(1_001)])
        assert actors(second)[299:] == ["actor-299", "actor-1000", "actor-1001"]
    first.close()
    with other.open() as again:
        assert again.size == 302
    verifier.verify_log(other.directory, desk.policy, heads=[desk.head])


@pytest.mark.parametrize("session", ["_writer", "_reader"])
@pytest.mark.parametrize("first", ["check_health", "publish"])
def test_a_lost_session_is_noticed_before_anything_is_appended(
    postgres: Server, desk: Desk, session: str, first: str
) -> None:
    """A release asks first whether the ledger is well; it must not hear yes from one that has lost its lock."""
    ledger = desk.open()
    ledger.check_health()
    pid = getattr(ledger._journal, session).info.backend_pid
    with postgres.admin() as base:
        base.execute("SELECT pg_terminate_backend(%s, 60000)", (pid,))
    with pytest.raises(UnavailableError):
        getattr(ledger, first)()
    with pytest.raises(UnavailableError):  # and it does not come back by itself
        ledger.append([entry()])
    ledger.close()
    with desk.open() as again:
        assert again.size == 300


def test_the_lock_of_a_keeper_that_has_just_died_is_waited_for(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(desk.database or "", autocommit=True) as dying:
        dying.execute("SELECT pg_advisory_lock(%s::bigint)", (lock_of(ORIGIN),))
        monkeypatch.setattr(store_postgres.time, "sleep", lambda _: dying.close())
        desk.open().close()


def test_a_session_that_lost_its_lock_and_lives_on_cannot_move_the_log(desk: Desk) -> None:
    first, other = desk.open(), elsewhere(desk)
    first._journal._writer.execute("SELECT pg_advisory_unlock_all()")
    with other.open() as second:
        second.append([entry(1_000)])
        with pytest.raises(UnavailableError, match="ended the ledger's session"):
            first.check_health()
        first._journal._lost = None
        with pytest.raises(TamperedError, match="somebody else has moved the log"):
            first.append([entry(2_000)])
        assert actors(second)[300:] == ["actor-1000"]
    first.close()


def test_a_pooler_that_hands_out_another_session_is_found(desk: Desk) -> None:
    ledger = desk.open()
    ledger._journal._pid += 1
    with pytest.raises(UnavailableError, match="hands out sessions"):
        ledger.append([entry()])
    ledger.close()
    with desk.open() as again:
        assert again.size == 300


# Servers that die or would forget


@pytest.mark.parametrize("kills", [4, pytest.param(60, marks=pytest.mark.proof)])
def test_a_killed_postmaster_loses_nothing_that_was_acknowledged(
    postgres: Server, bare: Desk, kills: int
) -> None:
    """Kill -9 of the server and every process of it in the middle of appends; the disk's cache survives that."""
    bare.save()
    at_least = 0
    for _ in range(kills):
        child = subprocess.Popen(
            [sys.executable, "-c", crash.CHILD, str(bare.directory.parent)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": f"{crash.ROOT / 'src'}:{crash.ROOT}"},
        )
        assert child.stdout is not None
        first = child.stdout.readline()
        threading.Event().wait(random.uniform(0, 0.2))
        try:
            postgres.stop(signal.SIGKILL)
            rest, said = child.communicate(timeout=120)  # its next append fails, and so it ends
        finally:
            postgres.start()
        assert first, said.decode()
        # lost before the commit was sent, or in its midst: then its end is not known
        assert any(one in said for one in (b"UnavailableError", b"WentAwayError")), said.decode()
        whole = [one for one in (first + rest).splitlines(keepends=True) if one.endswith(b"\n")]
        at_least = max(at_least, int(whole[-1]))
        with bare.open() as ledger:
            assert ledger.size >= at_least
            assert ledger.size % 7 == 0  # a batch is there whole or not at all
            found = ledger.find(f"k{at_least - 1}")
            assert found is not None
            assert found.index == at_least - 1
            at_least = ledger.size
        verifier.verify_log(bare.directory, bare.policy, heads=[bare.head])


def test_a_killed_keeper_loses_nothing_and_lets_the_next_one_in(
    bare: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a busy server may take longer to notice that the keeper has died
    monkeypatch.setattr(store_postgres, "PATIENCE_S", 120.0)
    bare.save()
    for _ in range(4):
        acknowledged = crash.run(bare.directory.parent, random.uniform(0, 0.12))
        with bare.open() as ledger:
            assert ledger.size >= acknowledged
            assert ledger.size % 7 == 0
            found = ledger.find(f"k{acknowledged - 1}")
            assert found is not None
            assert found.index == acknowledged - 1


@pytest.mark.parametrize("name", ["fsync", "full_page_writes", "synchronous_commit"])
def test_a_server_that_would_forget_is_refused(postgres: Server, desk: Desk, name: str) -> None:
    with postgres.setting(name, "off"), pytest.raises(UnavailableError) as found:
        desk.open()
    assert found.value.rule == "ledger.durable"
    desk.open().close()


def test_commits_that_would_not_wait_for_named_standbys_are_refused(
    postgres: Server, desk: Desk
) -> None:
    desk.database = f"{desk.database}&options=-csynchronous_commit%3Dlocal"
    desk.open().close()  # without standbys it is as good as on
    with (
        postgres.setting("synchronous_standby_names", "ghost"),
        pytest.raises(UnavailableError, match="standbys"),
    ):
        desk.open()


def test_a_server_that_is_too_old_or_takes_no_writes_is_refused(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, pytest.raises(UnavailableError, match="older than"):
        patch.setattr(place, "OLDEST", 99)
        desk.open()
    desk.database = f"{desk.database}&options=-cdefault_transaction_read_only%3Don"
    with pytest.raises(UnavailableError, match="does not let us in"):
        desk.open()


def test_a_row_that_somebody_holds_is_waited_for_then_the_commit_is_refused(desk: Desk) -> None:
    plain = desk.database or ""
    desk.database = f"{plain}&options=-clock_timeout%3D100"
    with desk.open() as ledger, psycopg.connect(plain) as base:
        base.execute(said("SELECT 1 FROM @.state FOR UPDATE"))
        with pytest.raises(UnavailableError, match="55P03"):
            ledger.append([entry()])
    desk.database = plain
    with desk.open() as again:
        assert again.size == 300
        assert again._journal._writer.execute("SHOW lock_timeout").fetchone() == ("30s",)


def test_a_setting_changed_under_a_running_ledger(postgres: Server, desk: Desk) -> None:
    """What a session can hold on to is held; where it cannot, the next commit is not acknowledged."""
    ledger = desk.open()
    writer = ledger._journal._writer
    with postgres.setting("synchronous_commit", "off"):
        ledger.append([entry(1)])
        assert writer.execute("SHOW synchronous_commit").fetchone() == ("on",)
    with postgres.setting("fsync", "off"):
        for _ in range(1_200):  # until that session has heard of it
            if writer.execute("SHOW fsync").fetchone() == ("off",):
                break
            threading.Event().wait(0.05)
        with pytest.raises(UnavailableError) as found:
            ledger.append([entry(2)])
        assert found.value.rule == "ledger.durable"
    with pytest.raises(UnavailableError):
        ledger.append([entry(3)])
    ledger.close()
    with desk.open() as again:
        assert again.size == 302  # the second is there: it was only not acknowledged


def test_a_commit_that_gave_up_on_its_standby_is_not_acknowledged(
    postgres: Server, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher_module, "INTERVAL", 3_600)
    ledger = desk.open()
    acknowledged: list[int] = []
    errors: list[SafeholdError] = []
    cancelled: set[object] = set()  # each commit once: a second time would hit what comes after it

    def work() -> None:
        try:
            while len(cancelled) < 3:  # the first ends it; three mean that nobody minded
                acknowledged.append(ledger.append([entry()])[0].index)
        except SafeholdError as error:
            errors.append(error)

    with postgres.setting("synchronous_standby_names", "ghost"):
        thread = threading.Thread(target=work)
        thread.start()
        with postgres.admin() as base:
            query = (
                "SELECT query_start FROM pg_stat_activity WHERE pid = %s AND wait_event = 'SyncRep'"
            )
            while thread.is_alive():
                for row in base.execute(query, (ledger._journal._pid,)).fetchall():
                    if row not in cancelled:
                        cancelled.add(row)
                        base.execute("SELECT pg_cancel_backend(%s)", (ledger._journal._pid,))
                threading.Event().wait(0.02)
        thread.join()
    assert [one.rule for one in errors] == ["ledger.durable"]
    ledger.close()
    with desk.open() as again:
        assert again.size == 300 + len(acknowledged) + 1


def test_no_server(desk: Desk, tmp_path: Path) -> None:
    desk.database = f"postgresql:///d?host={tmp_path}&user=nobody"
    with pytest.raises(UnavailableError) as found:
        desk.open()
    assert found.value.rule == "ledger.database"
    with pytest.raises(UnavailableError):
        desk.store.published(ORIGIN, 300)


# Cut lines


@pytest.fixture
def line(postgres: Server, tmp_path: Path) -> Iterator[Line]:
    folder = tmp_path / "line"
    folder.mkdir()
    with closing(Line(postgres.path / ".s.PGSQL.5432", folder)) as line:
        yield line


@pytest.mark.parametrize("cut", ["before", "after"])
def test_a_line_cut_around_a_commit(
    postgres: Server, desk: Desk, line: Line, cut: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever appended hears that it is not known; opening again finds out, and the key tells."""
    monkeypatch.setattr(publisher_module, "INTERVAL", 3_600)
    plain = desk.database or ""
    desk.database = plain.replace(str(postgres.path), str(line.path))
    ledger = desk.open()
    ledger.append([entry(1_000, key="first")])
    line.cut = cut
    with pytest.raises(WentAwayError, match="whether the commit is there is not known"):
        ledger.append([entry(1_001, key="cut")])
    line.cut = None
    with pytest.raises(
        UnavailableError
    ):  # the line is whole again, and nobody connects it silently
        ledger.append([entry(1_002, key="later")])
    ledger.close()
    with desk.open() as again:
        there = again.find("cut")
        assert (there is not None) == (cut == "after")
        [receipt] = again.append([entry(1_001, key="cut")])
        assert receipt.index == 301
        assert (again.size, actors(again)[300:]) == (302, ["actor-1000", "actor-1001"])
    verifier.verify_log(desk.directory, desk.policy, heads=[desk.head])


# Many callers


def test_callers_that_wait_for_the_database_share_the_next_commit(
    postgres: Server, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher_module, "INTERVAL", 3_600)
    indexes: list[int] = []
    with desk.open() as ledger, psycopg.connect(desk.database or "") as base:
        base.execute(said("SELECT 1 FROM @.state FOR UPDATE"))  # commits wait for us

        def work(number: int) -> None:
            indexes.extend(one.index for one in ledger.append([entry(number)] * 3))

        threads = [threading.Thread(target=work, args=(at,)) for at in range(40)]
        threads[0].start()
        queue = ledger._sequencer
        while not (queue.committing.locked() and queue._waiting == 0):  # its commit is under way
            threading.Event().wait(0.01)
        for thread in threads[1:]:
            thread.start()
        while queue._waiting < 39 * 3:
            threading.Event().wait(0.01)
        base.rollback()
        for thread in threads:
            thread.join()
        assert sorted(indexes) == list(range(300, 420))
        rows: list[tuple[Any, ...]] = desk.edit("SELECT count FROM journal ORDER BY first")
        assert rows == [(300,), (3,), (117,)]
