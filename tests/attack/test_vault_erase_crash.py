"""Erasure, and a crash at every step of it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
from functools import partial

import pytest
import sqlalchemy as sa
from tests.vaults import make_home, opens, plain, raw_files, wrapped_keys

from safehold.errors import ShreddedError, TamperedError
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


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("skip", [0, 1])
def test_a_crash_at_any_step_is_finished_by_reopening(tmp_path, step, skip):
    killer = Killer()
    home = make_home(tmp_path, killer)
    sealed = home.vault.seal([plain(f"psn_{i}") for i in range(4)], segment="de")
    other = home.vault.seal([plain("psn_0"), plain("psn_9")], segment="us")
    kept_subject = home.vault.subjects.key("psn_1")
    home.vault.subjects.key("psn_0")
    copy = home.copy_home("backup")
    erased = wrapped_keys(home, owner="psn_0")
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
        assert opens(again, sealed.blocks[0])  # nothing had begun
        again.shred(person="psn_0")
    assert not opens(again, sealed.blocks[0])
    assert not opens(again, other.blocks[0])
    assert all(opens(again, block) for block in (*sealed.blocks[1:], other.blocks[1]))
    assert again.subjects.key("psn_1") == kept_subject
    with home.engine.begin() as connection:
        assert connection.execute(sa.select(tables.rotation)).all() == []
        secrets = set(connection.execute(sa.select(tables.segment.c.secret)).scalars())
    assert {file.name for file in home.epochs.iterdir()} == secrets
    assert all(one not in raw_files(home) for one in erased)
    restored = home.open(copy)
    assert not any(opens(restored, block) for block in (*sealed.blocks, *other.blocks))


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
    assert not opens(again, sealed.blocks[0])
    assert opens(again, sealed.blocks[1])


def test_an_interrupted_erasure_is_finished_by_the_next_one(tmp_path):
    killer = Killer()
    home = make_home(tmp_path, killer)
    sealed = home.vault.seal([plain(f"psn_{i}") for i in range(3)], segment="de")
    killer.step = "destroy"
    with pytest.raises(CrashError):
        home.vault.shred(person="psn_0")
    home.vault.shred(person="psn_1")
    assert [opens(home.vault, block) for block in sealed.blocks] == [False, False, True]


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
        timeout=600,
        env={**os.environ, "PYTHONPATH": "src"},
    )
    assert done.returncode == -signal.SIGKILL
    again = home.open()
    if step == "mark":
        again.shred(person="psn_a")
    assert not opens(again, sealed.blocks[0])
    assert opens(again, sealed.blocks[1])


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
        assert not opens(restored, sealed.blocks[0])
    second._keyring.forget()
    assert opens(second, sealed.blocks[1])


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
    assert opens(home.open(), sealed.blocks[0])
