"""Kill -9 at random moments: what was acknowledged is never lost, and the log always opens again."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.ledger_desk import Desk, entry

import safehold_verify as verifier
from safehold.ledger import Ledger

ROOT = Path(__file__).resolve().parents[2]

CHILD = """
import sys
from pathlib import Path
from safehold.clock import SystemClock
from safehold.ledger import Ledger, log
from tests.ledger_desk import Desk, entry
log.INTERVAL = 0.01
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


@pytest.mark.parametrize("step", [4096 * 5, pytest.param(8216, marks=pytest.mark.proof)])
def test_a_wal_cut_anywhere_leaves_whole_batches(tmp_path: Path, step: int) -> None:
    """What a power cut can leave of the log file: every prefix opens, with whole batches only."""
    desk = Desk(tmp_path)
    ledger = desk.open(witnesses=[])
    for number in range(6):
        ledger.append([entry(number * 20 + at) for at in range(20)])
    copy = tmp_path / "copy"
    shutil.copytree(desk.directory, copy, ignore=shutil.ignore_patterns("journal.lock"))
    ledger.close()
    wal = copy / "journal.db-wal"
    data = wal.read_bytes()
    assert len(data) > 6 * 8192
    seen = set()
    for cut in [*range(0, len(data), step), len(data)]:
        trial = shutil.copytree(copy, tmp_path / "trial")
        (trial / "journal.db-wal").write_bytes(data[:cut])
        (trial / "journal.db-shm").unlink(missing_ok=True)
        shutil.rmtree(trial / "tile", ignore_errors=True)
        (trial / "checkpoint").unlink(missing_ok=True)
        base = sqlite3.connect(trial / "journal.db")  # the files go with the log that is cut
        base.execute("UPDATE state SET exported = -1")
        base.execute("DELETE FROM head")
        base.commit()
        base.close()
        with Ledger.open(
            trial, signer=desk.signer, witnesses=[], sidecar=desk.sealer, clock=desk.clock
        ) as opened:
            assert opened.size % 20 == 0
            seen.add(opened.size)
        shutil.rmtree(trial)
    assert max(seen) == 120
    assert len(seen) > 3


def test_a_crash_between_witness_and_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every step of a publication: the next start goes on from there."""
    from safehold.ledger import files

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
