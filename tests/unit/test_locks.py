"""Locks of files: who holds one, who is told so, and what is said where there are none."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.world import raised

from safehold.app.outbox import Outbox
from safehold.errors import ConflictError, UnavailableError
from safehold.ledger.monitor_memory import MemoryFolder
from safehold.locks import hold_file

HELD = ConflictError("somebody has it", rule="of.mine", fix="wait")


def test_one_process_at_a_time_and_none_after_it(tmp_path: Path) -> None:
    place = tmp_path / "lock"
    source = f"from pathlib import Path; from safehold.errors import ConflictError; from safehold.locks import hold_file; hold_file(Path({str(place)!r}), ConflictError('held')); print('mine', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"mine\n"
        assert raised(lambda: hold_file(place, HELD)) is HELD
        other.kill()
    handle = hold_file(place, HELD)
    assert not os.get_inheritable(handle), "else a child would hold on to it"
    assert (place.stat().st_mode & 0o777) == 0o600
    os.close(handle)
    os.close(hold_file(place, HELD))


def test_a_file_system_without_locks_is_not_somebody_who_holds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits for a lock to be let go would wait for ever."""

    def none(_handle: int, _how: int) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr("fcntl.flock", none)
    error = raised(lambda: hold_file(tmp_path / "lock", HELD))
    assert isinstance(error, UnavailableError)
    assert (error.rule, bool(error.fix)) == ("of.mine", True)
    for place in (MemoryFolder(tmp_path / "monitor", late_ms=1_000), Outbox(tmp_path / "outbox")):
        with pytest.raises(UnavailableError), place.held():
            raise AssertionError("it holds nothing")
    assert len(os.listdir("/proc/self/fd")) == before
