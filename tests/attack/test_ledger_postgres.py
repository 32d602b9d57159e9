"""A journal in PostgreSQL against its administrator, a second sequencer, cut lines and killed servers."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
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
from tests.postgres import Server

import safehold_verify as verifier
from safehold.errors import (
    ConflictError,
    MissingError,
    SafeholdError,
    TamperedError,
    UnavailableError,
)
from safehold.ledger import Ledger
from safehold.ledger import log as log_module
from safehold.ledger.store_postgres import schema_of
from safehold.ledger.store_postgres_sql import NAMES

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
            "SELECT pg_terminate_backend(%s)", (first._journal._pid,)
        ).fetchone() == (True,)
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


def test_a_lost_session_is_noticed_before_anything_is_appended(
    postgres: Server, desk: Desk
) -> None:
    """A release asks first whether the ledger is well; it must not hear yes from one that has lost its lock."""
    for session in ("_writer", "_reader"):
        ledger = desk.open()
        ledger.check_health()
        pid = getattr(ledger._journal, session).info.backend_pid
        with postgres.admin() as base:
            base.execute("SELECT pg_terminate_backend(%s, 60000)", (pid,))
        with pytest.raises(UnavailableError):
            ledger.check_health()
        with pytest.raises(UnavailableError):  # and it does not come back by itself
            ledger.append([entry()])
        ledger.close()
    with desk.open() as again:
        assert again.size == 300


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


# The administrator

EDITS = {
    **{name: edit for name, edit in rollback.EDITS.items() if "published head" not in name},
    "the published head": "UPDATE head SET note = overlay(note placing 'x'::bytea from 9)",
    "the published heads": "DELETE FROM head",
    "the vkey": "UPDATE meta SET vkey = 'x'",
    "the name": "DELETE FROM meta",
    "no number": "ALTER TABLE state ALTER size DROP NOT NULL; UPDATE state SET size = NULL",
    "text for bytes": "ALTER TABLE journal ALTER body TYPE text USING encode(body, 'base64')",
    "text for numbers": "ALTER TABLE state ALTER size TYPE text USING size::text",
    "halves for numbers": "ALTER TABLE state ALTER size TYPE numeric USING size + 0.5",
    "bytes for text": "ALTER TABLE meta ALTER origin TYPE bytea USING origin::bytea",
    "all rows": "TRUNCATE journal, sidecar, tile, state, head, idem, meta",
    "a table": "DROP TABLE tile",
    "a column": "ALTER TABLE journal DROP COLUMN count",
    "another table": "CREATE TABLE spare(one int)",
    "a view for a table": "ALTER TABLE tile RENAME TO hidden; CREATE VIEW tile AS TABLE hidden",
    "a table that a crash empties": "ALTER TABLE journal SET UNLOGGED",
}


@pytest.mark.parametrize("name", EDITS)
def test_what_the_administrator_edits_is_found_when_the_ledger_opens(desk: Desk, name: str) -> None:
    for one in EDITS[name].split("; "):
        desk.edit(one)
    with pytest.raises(SafeholdError) as found:
        desk.open()
    assert found.value.code in ("tampered", "invalid")


@pytest.mark.parametrize("edit", ["ALTER TABLE head DROP COLUMN note", "DROP TABLE head CASCADE"])
def test_a_reader_beside_the_keeper_finds_damage_too(desk: Desk, edit: str) -> None:
    assert desk.store.published(ORIGIN, 300) == (desk.directory / "checkpoint").read_bytes()
    assert desk.store.published(ORIGIN, 299) is None
    desk.edit(edit)
    with pytest.raises(TamperedError):
        desk.store.published(ORIGIN, 300)


def test_rows_edited_before_they_are_exported_are_found_by_the_verifier(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "INTERVAL", 3_600)
    with desk.open() as ledger:
        ledger.append([entry(1_000)])
        desk.edit(
            "UPDATE journal SET body = overlay(body placing 'X'::bytea from 20) WHERE first = 300"
        )
        ledger.publish()
    with pytest.raises(verifier.VerificationError, match=r"leaf 300|entries/001"):
        verifier.verify_log(desk.directory, desk.policy, heads=[desk.head])
    with pytest.raises(TamperedError):
        desk.open()


def test_a_changed_side_car_and_a_lost_one(desk: Desk) -> None:
    with desk.open() as ledger:
        desk.edit("UPDATE sidecar SET body = overlay(body placing 'X'::bytea from 30)")
        with pytest.raises(TamperedError):
            ledger.detail(0)
        desk.edit("DELETE FROM sidecar")
        with pytest.raises(MissingError):
            ledger.detail(0)


def test_a_slip_of_the_hand_is_stopped_by_the_tables_themselves(
    postgres: Server, desk: Desk
) -> None:
    database = psycopg.conninfo.conninfo_to_dict(desk.database or "")["dbname"]
    refused = [
        "UPDATE @.journal SET body = body",
        "UPDATE @.sidecar SET body = body",
        "UPDATE @.tile SET data = data",
        "UPDATE @.idem SET place = place",
        "UPDATE @.meta SET vkey = vkey",
        *map("DELETE FROM @.{}".format, ("journal", "tile", "idem", "meta", "head", "state")),
        *map("TRUNCATE @.{}".format, NAMES),
        "UPDATE @.state SET size = size - 1",
        "UPDATE @.state SET exported = -1",
        "UPDATE @.state SET time = 0",
    ]
    with postgres.admin(str(database)) as base:
        base.execute(said("INSERT INTO @.idem VALUES('x', 1)"))
        for query in refused:
            with pytest.raises(psycopg.errors.RestrictViolation):
                base.execute(said(query))
        base.execute(said("SET session_replication_role = replica; DELETE FROM @.idem"))
    desk.open().close()


def dump(postgres: Server, desk: Desk, name: str) -> Path:
    path = desk.directory.parent / name
    postgres.program("pg_dump", "-Fc", "-n", SCHEMA, "-f", str(path), desk.database or "")
    shutil.copytree(desk.directory, path.with_name(f"{name}-files"))
    return path


def restore(postgres: Server, desk: Desk, path: Path) -> None:
    with psycopg.connect(desk.database or "", autocommit=True) as base:
        base.execute(said("DROP SCHEMA @ CASCADE"))
    postgres.program("pg_restore", "-d", desk.database or "", str(path))
    shutil.rmtree(desk.directory)
    shutil.copytree(path.with_name(f"{path.name}-files"), desk.directory)


def test_an_older_dump_that_was_restored_is_found_by_the_witness(
    postgres: Server, desk: Desk
) -> None:
    older = dump(postgres, desk, "older")
    with desk.open() as ledger:
        ledger.append([entry(), entry()])
    newest = dump(postgres, desk, "newest")
    restore(postgres, desk, older)
    with pytest.raises(TamperedError, match="knows 302 entries, the journal only 300"):
        desk.open()
    with desk.open(witnesses=[]) as forked:  # without the witness it is a log like any other
        forked.append([entry(), entry(), entry()])
    with pytest.raises(TamperedError, match="another history"):
        desk.open()
    restore(postgres, desk, newest)
    with desk.open() as ledger:
        assert ledger.size == 302


def test_no_such_log_and_a_log_without_its_files(postgres: Server, desk: Desk) -> None:
    full, desk.database = desk.database, postgres.database("other")
    with pytest.raises(MissingError):
        desk.open()
    with pytest.raises(TamperedError):
        desk.store.published(ORIGIN, 300)
    desk.database = full
    desk.directory = desk.directory.with_name("empty")
    with pytest.raises(MissingError):
        desk.open()
    desk.directory.mkdir()
    with pytest.raises(TamperedError, match="checkpoint is missing"):
        desk.open()


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
        assert b"UnavailableError" in said, said.decode()
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


def test_a_killed_keeper_loses_nothing_and_lets_the_next_one_in(bare: Desk) -> None:
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
    monkeypatch.setattr(log_module, "INTERVAL", 3_600)
    ledger = desk.open()
    acknowledged: list[int] = []
    errors: list[SafeholdError] = []

    def work() -> None:
        try:
            while True:
                acknowledged.append(ledger.append([entry()])[0].index)
        except SafeholdError as error:
            errors.append(error)

    with postgres.setting("synchronous_standby_names", "ghost"):
        thread = threading.Thread(target=work)
        thread.start()
        with postgres.admin() as base:
            query = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE pid = %s AND wait_event = 'SyncRep'"
            while not errors:
                base.execute(query, (ledger._journal._pid,))
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


class Line:
    """A line to the server that can be cut around the next commit.

    Args:
        target: Socket of the server.
        folder: Where its own socket lies.
    """

    def __init__(self, target: Path, folder: Path) -> None:
        self.path = folder
        self._target = target
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(str(folder / ".s.PGSQL.5432"))
        self._door.listen()
        self.cut: str | None = None
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._door.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._door.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def _carry(self, near: socket.socket) -> None:
        far = socket.socket(socket.AF_UNIX)
        far.connect(str(self._target))
        swallow = threading.Event()
        with near, far:
            back = threading.Thread(target=self._back, args=(far, near, swallow), daemon=True)
            back.start()
            while data := self._receive(near):
                if self.cut is not None and b'"seg":"eu/keys"' in data:  # the leaves of a commit
                    if self.cut == "before":
                        break
                    swallow.set()
                far.sendall(data)
            for one in (near, far):
                _shut(one)
            back.join()

    def _back(self, far: socket.socket, near: socket.socket, swallow: threading.Event) -> None:
        while data := self._receive(far):
            if swallow.is_set():
                while data and not data.endswith(b"Z\0\0\0\5I"):  # until it is ready for more
                    data = self._receive(far)
                break
            near.sendall(data)
        for one in (near, far):
            _shut(one)

    @staticmethod
    def _receive(end: socket.socket) -> bytes:
        try:
            return end.recv(1 << 20)
        except OSError:
            return b""


def _shut(end: socket.socket) -> None:
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


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
    monkeypatch.setattr(log_module, "INTERVAL", 3_600)
    plain = desk.database or ""
    desk.database = plain.replace(str(postgres.path), str(line.path))
    ledger = desk.open()
    ledger.append([entry(1_000, key="first")])
    line.cut = cut
    with pytest.raises(UnavailableError, match="whether the commit is there is not known"):
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
    monkeypatch.setattr(log_module, "INTERVAL", 3_600)
    indexes: list[int] = []
    with desk.open() as ledger, psycopg.connect(desk.database or "") as base:
        base.execute(said("SELECT 1 FROM @.state FOR UPDATE"))  # commits wait for us

        def work(number: int) -> None:
            indexes.extend(one.index for one in ledger.append([entry(number)] * 3))

        threads = [threading.Thread(target=work, args=(at,)) for at in range(40)]
        for thread in threads:
            thread.start()
        while ledger._sequencer._waiting < 39 * 3:
            threading.Event().wait(0.01)
        base.rollback()
        for thread in threads:
            thread.join()
        assert sorted(indexes) == list(range(300, 420))
        rows: list[tuple[Any, ...]] = desk.edit("SELECT count FROM journal ORDER BY first")
        assert rows == [(300,), (3,), (117,)]
