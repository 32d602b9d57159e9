"""Kill a run at some moment, whole tree and all, and compare what is left with a run that nobody killed."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from tests.world import copy_home, outside

from safehold.app.embedded import connect
from safehold.app.keeper import open_desk
from safehold.app.search import search
from safehold.app.setup import create
from safehold.app.verification import verify_home
from safehold.catalog import tables
from safehold.charter import shipped
from safehold.clock import SystemClock, day_of
from safehold.keeper.models import Models
from safehold.settings import Home
from safehold.vault.kms import open_sealed
from safehold.workforce import Spec, roster, truth
from safehold.workforce.files import write_files

PASSPHRASE = "kill me if you can"  # of homes that hold made-up people only
STREAMS = ("key", "pointer", "chat", "ai", "focus")
SHORTEST = 6  # characters; shorter values occur by chance


@dataclass(frozen=True, slots=True)
class Office:
    """A home before its first run, and the files that a run takes in.

    Args:
        path: Folder of home and outside.
        sources: Canonical files.
        planted: What was planted in them.
    """

    path: Path
    sources: tuple[Path, ...]
    planted: frozenset[str]

    def copy(self, path: Path) -> Path:
        """Return a folder with a copy of home and outside."""
        shutil.rmtree(path, ignore_errors=True)
        return copy_home(self.path, path)


@dataclass(frozen=True, slots=True)
class Left:
    """What a home holds after all.

    Args:
        rows: Rows by person and stream, as they open.
        doubled: How many sequence numbers of a device, session and stream are held twice.
        extents: Runs of sequence numbers that the catalogue knows.
        tally: What was taken, as the sources say.
    """

    rows: Counter[tuple[str, str]]
    doubled: int
    extents: Counter[tuple[Any, ...]]
    tally: int


def found_office(path: Path, *, people: int, pace: int, seed: int) -> Office:
    """Make a home with people in it, and files of yesterday's work."""
    spec = Spec(
        people=people,
        days=1,
        seed=seed,
        pace=pace,
        start_day=day_of(SystemClock().now_us()) - 1,
    )
    with outside(path):
        create(
            path / "home",
            seats=path / "seats",
            charter=shipped("demo"),
            synthetic=False,
            passphrase=PASSPHRASE,
        )
        with connect(Home.open(path / "home"), {"passphrase": PASSPHRASE}) as client:
            client.call(
                "people.enrol",
                people=[
                    {
                        "person": one.id,
                        "jurisdiction": one.jurisdiction,
                        "streams": sorted(one.consent),
                        "pauses": [list(pause) for pause in one.pauses],
                    }
                    for one in roster(spec)
                ],
                evidence="made-up people",
            )
    table = truth(spec)
    values = {
        value
        for value, decoy in zip(table["value"].to_pylist(), table["decoy"].to_pylist(), strict=True)
        if not decoy and len(value) >= SHORTEST
    }
    return Office(path, tuple(write_files(spec, path / "sources")), frozenset(values))


def start_run(office: Office, path: Path) -> subprocess.Popen[bytes]:
    """Start ``safehold run`` over all files."""
    command = [sys.executable, "-m", "safehold", "run", "--json", "--home", str(path / "home")]
    for source in office.sources:
        command += ["--source", str(source)]
    return subprocess.Popen(
        command,
        env={
            **os.environ,
            "SAFEHOLD_OUTSIDE": str(path / "outside"),
            "SAFEHOLD_PASSPHRASE": PASSPHRASE,
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def finish(run: subprocess.Popen[bytes]) -> dict[str, Any]:
    """Wait for a run that nobody kills, and return what it says."""
    out, err = run.communicate(timeout=300)
    assert run.returncode == 0, err.decode()[-2000:]
    answer: dict[str, Any] = orjson.loads(out)
    return answer


def kill_after(run: subprocess.Popen[bytes], seconds: float) -> bool:
    """Kill a run and everything below it after a time; return whether it still ran."""
    try:
        run.wait(seconds)
    except subprocess.TimeoutExpired:
        tree = _stop_tree(run.pid)
        for process in reversed(tree):
            _signal(process, signal.SIGKILL)
        run.wait()
        _wait_gone(tree)
        alive = True
    else:
        alive = False
    for pipe in (run.stdout, run.stderr):
        if pipe is not None:
            pipe.close()
    return alive


def look(path: Path) -> Left:
    """Open a home that no keeper holds, with recovery, and return what it holds."""
    with outside(path):
        home = Home.open(path / "home")
    desk = open_desk(
        home, open_sealed(home.root_file, PASSPHRASE), clock=SystemClock(), workshop=None
    )
    try:
        rows: Counter[tuple[str, str]] = Counter()
        seen: Counter[tuple[Any, ...]] = Counter()
        blocks = desk.catalog.blocks(kind="telemetry", streams=STREAMS, after_day=0)
        for block, table in desk.vault.read(blocks):
            assert table.num_rows == block.rows
            rows[desk.people.standing(block.person).external, block.stream] += block.rows
            columns = [table[name].to_pylist() for name in ("device", "session", "seq")]
            seen.update((block.stream, *one) for one in zip(*columns, strict=True))
        with desk.engine.begin() as connection:
            extents = Counter(
                (row.origin, row.stream, row.first, row.last)
                for row in connection.execute(tables.extent.select())
            )
            live = [
                row.id for row in connection.execute(tables.source.select()) if row.state == "live"
            ]
        taken = sum(sum(desk.catalog.tally_of(one).get("taken", {}).values()) for one in live)
        known = desk.catalog.objects() | Models(desk).objects()
        lie = {str(file.relative_to(home.objects)) for file in _files(home.objects)}
        assert {Path(one).name for one in lie} == {Path(one).name for one in known}, "orphans"
        return Left(rows, sum(count > 1 for count in seen.values()), extents, taken)
    finally:
        desk.ledger.close()
        desk.engine.dispose()


def search_everywhere(office: Office, path: Path, since: float) -> set[str]:
    """Return which planted values lie in home, outside, or anything temporary made since a moment."""
    found, _ = search([path], office.planted)
    for folder in {Path(tempfile.gettempdir()), Path("/tmp"), Path("/dev/shm")}:
        for file in folder.iterdir() if folder.is_dir() else ():
            mine = office.path.is_relative_to(file) or path.is_relative_to(file)
            try:
                old = file.lstat().st_mtime < since
            except OSError:  # other tests make and remove files here
                continue
            if not mine and not old and file.is_file():
                found |= _look_at(office, file)
    return found


def one_round(
    office: Office, path: Path, *, kills: int, longest: float, dice: random.Random
) -> tuple[int, Left]:
    """Kill a run some times at random moments, let the next one end, and check what must hold.

    A run that ended before its moment tells how long one takes now, and the home starts anew: so some
    run is killed however busy the machine was when the longest was measured.

    Returns:
        How many runs were killed while they ran, and what the home holds.
    """
    office.copy(path)
    began = time.time()
    killed = tries = 0
    while tries < kills or not killed:
        started = time.monotonic()
        alive = kill_after(start_run(office, path), dice.uniform(0.05, longest))
        assert not search_everywhere(office, path, began), "plaintext after a kill"
        tries, killed = tries + 1, killed + alive
        if not alive and (tries < kills or not killed):
            longest = min(longest, time.monotonic() - started)
            office.copy(path)
    finish(start_run(office, path))
    with outside(path):
        assert verify_home(path / "home")["verified"]
    left = look(path)
    assert left.doubled == 0
    assert sum(left.rows.values()) > 0
    return killed, left


def _look_at(office: Office, file: Path) -> set[str]:
    with tempfile.TemporaryDirectory(dir=office.path) as folder:
        try:
            shutil.copy(file, Path(folder) / "copy")
        except OSError:  # it went away, or is no file of ours
            return set()
        return search([Path(folder)], office.planted)[0]


def _stop_tree(top: int) -> list[int]:
    """Stop a process and all below it, and return them; nothing new can start meanwhile."""
    found = [top]
    _signal(top, signal.SIGSTOP)
    while True:
        fresh = [pid for pid, parent in _parents().items() if parent in found and pid not in found]
        if not fresh:
            return found
        for pid in fresh:
            _signal(pid, signal.SIGSTOP)
        found += fresh


def _parents() -> dict[int, int]:
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                stat = (folder / "stat").read_text("ascii", "replace")
            except OSError:
                continue
            parents[int(folder.name)] = int(stat[stat.rindex(")") + 2 :].split()[1])
    return parents


def _wait_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 120  # a busy machine
    while left := [pid for pid in pids if _runs(pid)]:
        assert time.monotonic() < deadline, f"{len(left)} processes outlived the kill"
        time.sleep(0.01)


def _runs(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("ascii", "replace")
    except OSError:
        return False
    return stat[stat.rindex(")") + 2] not in "ZX"


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def _files(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file()]
