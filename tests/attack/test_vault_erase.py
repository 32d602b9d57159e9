"""Erasure and expiry, against every copy that was ever made and a crash at every step."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from functools import partial

import pytest
import sqlalchemy as sa
from tests.vaults import LABEL, TODAY, make_home, plain, rows

from safehold import db
from safehold.clock import DAY_US
from safehold.errors import (
    InvalidError,
    ShreddedError,
    TamperedError,
    UnavailableError,
)
from safehold.vault import tables

STEPS = ("mark", "prepare", "rewrap", "destroy", "scrub", "close")


class CrashError(Exception):
    """Stands for a killed process."""


class Killer:
    """Crashes once, the n-th time a step is reached."""

    def __init__(self) -> None:
        self.step: str | None = None
        self.skip = 0

    def __call__(self, step: str) -> None:
        if step == self.step:
            if self.skip:
                self.skip -= 1
                return
            self.step = None
            raise CrashError(step)


@pytest.fixture
def home(tmp_path):
    return make_home(tmp_path)


def _opens(vault, block) -> bool:
    try:
        ((_, table),) = vault.read([block])
    except ShreddedError:
        return False
    assert table.num_rows == block.rows
    return True


def _wrapped(home, **where) -> list[bytes]:
    with home.engine.begin() as connection:
        return list(
            connection.execute(sa.select(tables.key.c.wrapped).filter_by(**where)).scalars()
        )


def _raw_files(home) -> bytes:
    return b"".join(file.read_bytes() for file in home.home.glob("control.db*"))


def test_the_erased_opens_nothing_and_the_others_everything(home):
    sealed = home.vault.seal([plain("psn_a"), plain("psn_b")], segment="de")
    before = home.vault.subject_key("psn_a"), home.vault.subject_key("psn_b")
    done = home.vault.shred(person="psn_a")
    assert done.keys == 2  # one stream, one subject key
    assert done.segments == ("@subjects", "de")
    gone, kept = sealed.blocks
    assert not _opens(home.vault, gone)
    assert _opens(home.vault, kept)
    assert home.vault.subject_key("psn_b") == before[1]
    assert home.vault.subject_key("psn_a") != before[0]
    assert home.vault.check(sealed.name, root=sealed.root, size=sealed.size, segment="de") == 2


def test_one_lost_key_stops_a_reading_before_the_first_row(home):
    sealed = home.vault.seal([plain("psn_a"), plain("psn_b")], segment="de")
    home.vault.shred(person="psn_b")
    seen = []
    with pytest.raises(ShreddedError):
        seen.extend(home.vault.read(sealed.blocks))
    assert not seen


def test_erased_bytes_are_in_no_file_of_the_database(home):
    home.vault.seal([plain(f"psn_{i}") for i in range(50)], segment="de")
    home.vault.subject_key("psn_7")
    wrapped = _wrapped(home, owner="psn_7") + _wrapped(home, owner="psn_8")
    assert len(wrapped) == 3
    assert all(one in _raw_files(home) for one in wrapped)
    home.vault.shred(person="psn_7")
    after = _raw_files(home)
    # the erased row, and the old wrapping of a survivor too
    assert all(one not in after for one in wrapped)
    assert _wrapped(home, owner="psn_8")[0] in after


def test_without_the_scrubbing_the_bytes_would_stay(home, monkeypatch):
    """The trap itself: delete alone leaves the bytes, whatever secure_delete says."""
    home.vault.seal([plain("psn_a"), plain("psn_b")], segment="de")
    db.truncate_wal(home.engine)
    (wrapped,) = _wrapped(home, owner="psn_a")
    monkeypatch.setattr(db, "truncate_wal", lambda _engine: None)
    home.vault.shred(person="psn_a")
    assert wrapped in _raw_files(home)


def test_a_backup_with_the_live_root_opens_nothing_after_an_erasure(home):
    sealed = home.vault.seal([plain("psn_a"), plain("psn_b")], segment="de")
    home.vault.subject_key("psn_a")
    artifact = home.vault.seal_artifact("art_1", b"model", label=LABEL, segment="de")
    copy = home.copy_home("backup")
    assert _opens(home.open(copy), sealed.blocks[0])  # the copy was good
    home.vault.shred(person="psn_a")
    restored = home.open(copy)
    for block in sealed.blocks:
        with pytest.raises(ShreddedError):
            list(restored.read([block]))
    with pytest.raises(ShreddedError):
        restored.subject_key("psn_a")
    with pytest.raises(ShreddedError):
        restored.read_artifact(artifact)
    with pytest.raises(ShreddedError):
        restored.shred(person="psn_b")
    # opening the copy destroyed nothing that is alive
    assert _opens(home.open(), sealed.blocks[1])


def test_a_backup_opens_nothing_after_an_expiry(home):
    soon = plain("psn_a", label=_expiring(TODAY + 1))
    late = plain("psn_a", label=_expiring(TODAY + 9))
    sealed = home.vault.seal([soon, late], segment="de")
    copy = home.copy_home("backup")
    home.clock.advance(DAY_US)
    done = home.vault.shred(expired_on=TODAY + 1)
    assert done.keys == 1
    home.clock.advance(-DAY_US)  # a clock set back helps nobody
    assert not _opens(home.vault, sealed.blocks[0])
    assert _opens(home.vault, sealed.blocks[1])
    restored = home.open(copy)
    for block in sealed.blocks:
        assert not _opens(restored, block)


def _expiring(day: int):
    from dataclasses import replace

    return replace(LABEL, expires=day)


def test_expired_data_is_refused_even_before_the_sweep(home):
    sealed = home.vault.seal([plain(label=_expiring(TODAY + 1))], segment="de")
    assert _opens(home.vault, sealed.blocks[0])
    home.clock.advance(DAY_US)
    with pytest.raises(ShreddedError) as caught:
        list(home.vault.read(sealed.blocks))
    assert caught.value.rule == "vault.expired"
    with pytest.raises(InvalidError):
        home.vault.seal([plain(label=_expiring(TODAY + 1))], segment="de")


def test_an_attacker_who_kept_the_old_segment_key_gets_no_new_row(home):
    """After the change of epoch the old KEK unwraps no row of the live database."""
    from safehold.vault import keys
    from safehold.vault.keyring import KeyName

    home.vault.seal([plain("psn_a"), plain("psn_b")], segment="de")
    old = home.vault._keyring._keks["de"][1]
    home.vault.shred(person="psn_a")
    (wrapped,) = _wrapped(home, owner="psn_b")
    context = KeyName("person", "psn_b", "key", LABEL.expires).context("de")
    with pytest.raises(TamperedError):
        keys.unwrap_row(old, wrapped, context=context)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("skip", [0, 1])
def test_a_crash_at_any_step_is_finished_by_reopening(tmp_path, step, skip):
    killer = Killer()
    home = make_home(tmp_path, killer)
    sealed = home.vault.seal([plain(f"psn_{i}") for i in range(4)], segment="de")
    other = home.vault.seal([plain("psn_0"), plain("psn_9")], segment="us")
    kept_subject = home.vault.subject_key("psn_1")
    home.vault.subject_key("psn_0")
    copy = home.copy_home("backup")
    erased = _wrapped(home, owner="psn_0")
    killer.step, killer.skip = step, skip
    try:
        home.vault.shred(person="psn_0")
        crashed = False
    except CrashError:
        crashed = True
    assert crashed or step in {"mark", "scrub", "close"}  # these are reached once
    home.engine.dispose()

    again = home.open()
    if crashed and step == "mark":
        assert _opens(again, sealed.blocks[0])  # nothing had begun
        again.shred(person="psn_0")
    assert not _opens(again, sealed.blocks[0])
    assert not _opens(again, other.blocks[0])
    assert all(_opens(again, block) for block in (*sealed.blocks[1:], other.blocks[1]))
    assert again.subject_key("psn_1") == kept_subject
    with home.engine.begin() as connection:
        assert connection.execute(sa.select(tables.rotation)).all() == []
        secrets = set(connection.execute(sa.select(tables.segment.c.secret)).scalars())
    assert {file.name for file in home.epochs.iterdir()} == secrets
    assert all(one not in _raw_files(home) for one in erased)
    restored = home.open(copy)
    assert not any(_opens(restored, block) for block in (*sealed.blocks, *other.blocks))


@pytest.mark.parametrize("step", STEPS)
def test_two_crashes_in_a_row_lose_nothing(tmp_path, step):
    killer = Killer()
    home = make_home(tmp_path, killer)
    sealed = home.vault.seal([plain("psn_a"), plain("psn_b")], segment="de")
    killer.step = "rewrap"
    with pytest.raises(CrashError):
        home.vault.shred(person="psn_a")
    killer.step = step
    with contextlib.suppress(CrashError):
        home.open(reached=killer)
    again = home.open()
    assert not _opens(again, sealed.blocks[0])
    assert _opens(again, sealed.blocks[1])


def test_an_interrupted_erasure_is_finished_by_the_next_one(tmp_path):
    killer = Killer()
    home = make_home(tmp_path, killer)
    sealed = home.vault.seal([plain(f"psn_{i}") for i in range(3)], segment="de")
    killer.step = "destroy"
    with pytest.raises(CrashError):
        home.vault.shred(person="psn_0")
    home.vault.shred(person="psn_1")
    assert [_opens(home.vault, block) for block in sealed.blocks] == [False, False, True]


@pytest.mark.parametrize("step", STEPS)
def test_a_killed_process_is_finished_by_reopening(tmp_path, step):
    """The same with a real SIGKILL in a process of its own."""
    home = make_home(tmp_path)
    sealed = home.vault.seal([plain("psn_a"), plain("psn_b")], segment="de")
    home.engine.dispose()
    script = textwrap.dedent(
        """
        import os, signal, sys
        from pathlib import Path
        from safehold import db
        from safehold.clock import FixedClock
        from safehold.vault import Objects, Vault
        from safehold.vault.kms import LocalRoot
        home, epochs, step, now = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
        def reached(at):
            if at == step:
                os.kill(os.getpid(), signal.SIGKILL)
        Vault.open(
            engine=db.open_engine(home / "control.db"), root=LocalRoot(sys.stdin.buffer.read(32)),
            epochs=epochs, objects=Objects(home / "objects"), clock=FixedClock(now), reached=reached,
        ).shred(person="psn_a")
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", script, home.home, home.epochs, step, str(home.clock.now_us())],
        input=home.root.secret(),
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONPATH": "src"},
    )
    assert done.returncode == -signal.SIGKILL
    again = home.open()
    if step == "mark":
        again.shred(person="psn_a")
    assert not _opens(again, sealed.blocks[0])
    assert _opens(again, sealed.blocks[1])


def test_a_copy_from_the_middle_of_an_erasure_harms_nothing_alive(tmp_path):
    killer = Killer()
    home = make_home(tmp_path, killer)
    sealed = home.vault.seal([plain("psn_a"), plain("psn_b")], segment="de")
    copies = []
    for step in ("prepare", "rewrap", "destroy", "scrub", "close"):
        killer.step = step
        go = partial(home.vault.shred, person="psn_a") if step == "prepare" else home.open
        with pytest.raises(CrashError):
            go(**({} if step == "prepare" else {"reached": killer}))
        copies.append(home.copy_home(f"copy-{step}"))
    home.open()
    home.open().shred(person="psn_nobody")
    second = home.open()
    for copy in copies:
        try:
            restored = home.open(copy)
        except (ShreddedError, TamperedError):
            continue
        assert not _opens(restored, sealed.blocks[0])
    second._keyring.forget()
    assert _opens(second, sealed.blocks[1])


def test_a_note_that_would_end_a_living_epoch_is_refused(home):
    sealed = home.vault.seal([plain()], segment="de")
    with home.engine.begin() as connection:
        current = connection.execute(sa.select(tables.segment)).one()
        connection.execute(
            sa.insert(tables.rotation).values(
                segment="de",
                old_epoch=current.epoch,
                old_secret=current.secret,
                new_secret=current.secret,
                deleted=0,
            )
        )
    with pytest.raises(TamperedError):
        home.open()
    with home.engine.begin() as connection:
        connection.execute(sa.delete(tables.rotation))
    assert _opens(home.open(), sealed.blocks[0])


def test_a_reader_that_holds_the_database_open_is_reported_not_ignored(home, monkeypatch):
    sealed = home.vault.seal([plain("psn_a"), plain("psn_b")], segment="de")
    reader = sqlite3.connect(home.home / "control.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM vault_key").fetchone()

    from sqlalchemy import event

    @event.listens_for(home.engine, "checkout")
    def _impatient(connection, *_):
        connection.execute("PRAGMA busy_timeout=50")

    with pytest.raises(UnavailableError):
        home.vault.shred(person="psn_a")
    # the keys are destroyed all the same, and the scrubbing is made good later
    assert not _opens(home.vault, sealed.blocks[0])
    reader.close()
    again = home.open()
    assert _opens(again, sealed.blocks[1])
    with home.engine.begin() as connection:
        assert connection.execute(sa.select(tables.rotation)).all() == []


def test_the_epoch_secret_is_overwritten_before_it_is_removed(home, monkeypatch):
    from pathlib import Path

    home.vault.seal([plain()], segment="de")
    (file,) = home.epochs.iterdir()
    secret = file.read_bytes()
    seen = []
    real = Path.unlink

    def unlink(self, *given, **named):
        if self == file:
            seen.append(self.read_bytes())
        return real(self, *given, **named)

    monkeypatch.setattr(Path, "unlink", unlink)
    home.vault.shred(person="psn_a")
    assert len(seen) == 1
    assert len(seen[0]) == len(secret)
    assert seen[0] != secret
    assert not file.exists()


def test_a_damaged_epoch_secret_is_told_from_an_ended_one(home):
    sealed = home.vault.seal([plain()], segment="de")
    (file,) = home.epochs.iterdir()
    file.write_bytes(bytes(44))
    with pytest.raises(TamperedError):
        list(home.open().read(sealed.blocks))
    file.unlink()
    with pytest.raises(ShreddedError):
        list(home.open().read(sealed.blocks))


def test_exactly_one_thing_is_shredded_at_a_time(home):
    with pytest.raises(InvalidError):
        home.vault.shred()
    with pytest.raises(InvalidError):
        home.vault.shred(person="psn_a", expired_on=TODAY)


def test_shredding_nobody_changes_no_epoch(home):
    home.vault.seal([plain()], segment="de")
    before = {file.name for file in home.epochs.iterdir()}
    assert home.vault.shred(person="psn_nobody").keys == 0
    assert {file.name for file in home.epochs.iterdir()} == before


def test_an_artifact_ends_by_name_and_by_day(home):
    one = home.vault.seal_artifact("art_1", b"one" * 999, label=LABEL, segment="de")
    two = home.vault.seal_artifact("art_2", b"two", label=LABEL, segment="de")
    assert home.vault.read_artifact(one) == b"one" * 999
    home.vault.shred(artifact="art_1")
    with pytest.raises(ShreddedError):
        home.vault.read_artifact(one)
    assert home.vault.read_artifact(two) == b"two"
    home.vault.shred(expired_on=LABEL.expires)
    with pytest.raises(ShreddedError):
        home.vault.read_artifact(two)


def test_a_side_car_month_ends_with_its_key(home):
    sealer = home.vault.sidecar
    old = sealer.batch(segment="de", month=600)(b"who and why", b"leaf 1")
    new = sealer.batch(segment="de", month=601)(b"who and why", b"leaf 2")
    copy = home.copy_home("backup")
    home.vault.shred(sidecar_before=601)
    with pytest.raises(ShreddedError):
        sealer.open(segment="de", month=600, sealed=old, aad=b"leaf 1")
    assert sealer.open(segment="de", month=601, sealed=new, aad=b"leaf 2") == b"who and why"
    with pytest.raises(ShreddedError):
        home.open(copy).sidecar.open(segment="de", month=600, sealed=old, aad=b"leaf 1")


def test_a_person_erased_while_their_rows_are_sealed_leaves_no_object(home, monkeypatch):
    real = home.vault._objects.put

    def put(name, data):
        real(name, data)
        home.vault.shred(person="psn_a")

    home.vault.seal([plain("psn_a")], segment="de")
    kept = set(home.vault._objects.names())
    monkeypatch.setattr(home.vault._objects, "put", put)
    with pytest.raises(Exception) as caught:
        home.vault.seal([plain("psn_a"), plain("psn_b")], segment="de")
    assert caught.value.code == "conflict"
    assert set(home.vault._objects.names()) == kept


def test_rows_survive_many_epochs(home):
    sealed = home.vault.seal([plain("psn_z", table=rows(5))], segment="de")
    for number in range(5):
        home.vault.seal([plain(f"psn_{number}")], segment="de")
        home.vault.shred(person=f"psn_{number}")
    ((_, table),) = home.open().read(sealed.blocks)
    assert table.equals(rows(5))
