"""Crashes of the ledger: what was acknowledged is never lost, and the log always opens again.

The long form, a thousand points, is in tests/proof/test_ledger_points.py.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import ledger_points as points
from tests.crashing import Job, Yard
from tests.ledger_desk import Desk, entry

import safehold_verify as verifier

ROOT = Path(__file__).resolve().parents[2]

CHILD = """
import sys
from pathlib import Path
from safehold.clock import SystemClock
from safehold.ledger import Ledger, publisher
from tests.ledger_desk import Desk, entry
publisher.INTERVAL = 0.01
desk = Desk.reopen(Path(sys.argv[1]))
ledger = desk.open()
number = ledger.size
while True:
    receipts = ledger.append([entry(number + at, key=f"k{number + at}") for at in range(7)])
    number = receipts[-1].index + 1
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


def run(path: Path, seconds: float) -> int:
    """Append in another process, kill it, return the number of acknowledged entries."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
    )
    assert child.stdout is not None
    first = child.stdout.readline()
    assert first, "the log did not open again"
    time.sleep(seconds)
    child.send_signal(signal.SIGKILL)
    rest = child.stdout.read()
    child.wait()
    child.stdout.close()
    whole = [line for line in (first + rest).splitlines(keepends=True) if line.endswith(b"\n")]
    return int(whole[-1])


@pytest.fixture(scope="module")
def yard() -> Iterator[Yard]:
    yard = Yard()
    yield yard
    yard.close()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("crash") / "base"
    points.found_desk(path)
    return path


@pytest.mark.parametrize("kills", [10, pytest.param(200, marks=pytest.mark.proof)])
def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path, kills: int) -> None:
    desk = Desk(tmp_path)
    desk.save()
    for _ in range(kills):
        acknowledged = run(tmp_path, random.uniform(0, 0.12))
        with desk.open() as ledger:
            assert ledger.size >= acknowledged
            assert ledger.size % 7 == 0  # a batch is there whole or not at all
            last = acknowledged - 1
            assert ledger.detail(last)["actor"] == f"actor-{last}"
            found = ledger.find(f"k{last}")
            assert found is not None
            assert found.index == last
        report = verifier.verify_log(desk.directory, desk.policy, heads=[desk.head])
        assert report.size >= acknowledged


def test_kill_9_at_a_step(yard: Yard, base: Path, tmp_path: Path) -> None:
    """Of journal, mark, witness and export; before it and after it."""
    tally = points.kill_at_steps(yard, base, tmp_path, every=25)
    assert tally.opened >= tally.points > 9


def test_kill_9_at_a_random_moment(yard: Yard, base: Path, tmp_path: Path) -> None:
    tally = points.kill_at_moments(yard, base, tmp_path, kills=6)
    assert tally.opened == tally.points == 6


def test_an_io_error_at_a_step(yard: Yard, base: Path, tmp_path: Path) -> None:
    """It is an error with a rule, never a foreign one, and the next start goes on."""
    tally = points.fail_at_steps(yard, base, tmp_path, every=16)
    assert tally.opened == tally.points > 8
    assert {"ledger.commit", "ledger.quorum", "ledger.export"} <= set(tally.errors)


def test_a_full_disk(yard: Yard, base: Path, tmp_path: Path) -> None:
    limits = [1 << 12, 1 << 15, 1 << 17, 200_000, 1 << 18]
    tally = points.fill_the_disk(yard, base, tmp_path, limits)
    assert tally.opened == tally.points == len(limits)
    assert set(tally.errors) <= {"ledger.open", "ledger.commit", "ledger.export"}
    assert "ledger.open" in tally.errors  # not "tampered": the journal is as it was


def test_a_full_file_system(yard: Yard, base: Path, tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("needs root to mount a small file system")
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs root that may mount a small file system")
    try:
        path = points.copy_desk(base, small / "desk")
        status, acks = yard.run(Job(path=path, acks=tmp_path / "acks", mode="flood"))
        assert (status, acks.foreign) == (0, "")
        assert acks.error in ("ledger.commit", "ledger.export", "ledger.quorum")
        assert acks.entries
        subprocess.run(["mount", "-o", "remount,size=64m", str(small)], check=True)
        points.look(path, acks.entries, points.Tally("full"))
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_crash_between_witness_and_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file half written at every step of a publication: the next start goes on from there."""
    from safehold.ledger import files, publisher

    monkeypatch.setattr(publisher, "INTERVAL", 3_600)  # only we publish, and so only we crash
    desk = Desk(tmp_path)
    ledger = desk.open()
    real = files._write
    for fail_at in range(1, 9):
        calls = 0

        def crash(path: Path, data: bytes) -> int:
            nonlocal calls
            calls += 1
            if calls == fail_at:  # noqa: B023 - used within this turn only
                os.close(real(path, data[: len(data) // 2]))
                raise KeyboardInterrupt
            return real(path, data)

        ledger.append([entry()] * 5)
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(files, "_write", crash)
            ledger.publish()
            raise KeyboardInterrupt
        ledger._publisher.close()  # as if the process had gone: nothing is published on the way out
        ledger._journal.close()
        ledger = desk.open()
        assert ledger.size == fail_at * 5
        verifier.verify_log(desk.directory, desk.policy, heads=[desk.head])
    ledger.close()


def test_a_power_cut_before_the_first_publication(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.open().close()
    report = verifier.verify_log(desk.directory, desk.policy, heads=[desk.head])
    assert (report.size, report.files) == (0, 1)
