"""A process that appends to a real ledger and dies: at one step of its work, or whenever it is killed.

A step is what lies between two moments that a disk can tell apart: a statement that writes to the
journal, an fsync, a rename, a removal, a write of the mark. ``Yard`` holds a process that has
imported everything and forks one worker for each crash, so that a thousand crashes take minutes.
What a worker writes to its file of acknowledgements outlives it: only it is killed, not the kernel.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from tests.ledger_desk import Desk, entry, intent

from safehold.errors import SafeholdError
from safehold.ledger import Ledger, publisher

ROOT = Path(__file__).resolve().parents[1]
WRITES = ("BEGIN", "COMMIT", "INSERT", "UPDATE", "DELETE", "REPLACE")
ROUNDS = 3  # of the script: append, refer, repeat, publish


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a worker does, and how it ends.

    Args:
        path: Folder of a saved desk.
        acks: File that it appends its acknowledgements to.
        mode: ``script`` ends by itself; ``flood`` goes on until it is killed or the disk is full.
        die_at: Number of the step at which it kills itself, from 1; 0 for never.
        fail_at: Number of the step that fails with EIO; 0 for none.
        limit: Largest file it may write, in bytes; 0 for any.
        salt: Makes its idempotency keys differ from those of other workers.
    """

    path: Path
    acks: Path
    mode: str = "script"
    die_at: int = 0
    fail_at: int = 0
    limit: int = 0
    salt: int = 0


@dataclass(slots=True)
class Acks:
    """What a worker has said before it ended.

    Args:
        entries: (index, leaf hash, idempotency key) of every acknowledged entry.
        events: (name, index of its leaf) of every acknowledged act of a board.
        steps: Names of its steps, if it came to its end.
        error: Rule of the error that ended it, if one did.
        foreign: Type of an error that is none of ours.
    """

    entries: list[tuple[int, bytes, str]] = field(default_factory=list)
    events: list[tuple[str, int]] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    error: str = ""
    foreign: str = ""

    @classmethod
    def read(cls, path: Path) -> Acks:
        found = cls()
        data = path.read_bytes() if path.exists() else b""
        for line in data.splitlines(keepends=True):
            if not line.endswith(b"\n"):
                break
            said = orjson.loads(line)
            if "ack" in said:
                found.entries += [(at, bytes.fromhex(h), key) for at, h, key in said["ack"]]
            if "event" in said:
                found.events.append((said["event"], said["entry"]))
            found.steps = said.get("steps", found.steps)
            found.error = said.get("error", found.error)
            found.foreign = said.get("foreign", found.foreign)
        return found


class Yard:
    """A process that has everything imported and forks workers.

    Args:
        words: The module that it runs, and its arguments; its ``work`` does the jobs.
    """

    def __init__(self, *words: str | Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", *map(str, words or ("tests.crashing",))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
            text=True,
        )

    def kills(self, job: Job) -> bool:
        """Run a worker that dies at a step; return whether it came that far, and not to its end."""
        status, acks = self.run(job)
        if status == 0:
            return False
        assert status == -signal.SIGKILL, (status, acks)
        return True

    def run(self, job: Job, *, kill: Callable[[Acks], bool] | None = None) -> tuple[int, Acks]:
        """Run one worker; return its exit status (negative: the signal) and what it said.

        Args:
            job: What it does.
            kill: Asked again and again until it says that the worker may be killed now.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        job.acks.unlink(missing_ok=True)
        said = {name: getattr(job, name) for name in Job.__slots__}
        self._process.stdin.write(json.dumps(said, default=str) + "\n")
        self._process.stdin.flush()
        pid = int(self._process.stdout.readline())
        while kill is not None:
            said_so_far = Acks.read(job.acks)
            if said_so_far.error or said_so_far.foreign:
                break  # it has ended by itself, which its status will show
            if kill(said_so_far):
                os.kill(pid, signal.SIGKILL)
                break
            time.sleep(0.001)
        status = int(self._process.stdout.readline())
        return status, Acks.read(job.acks)

    def close(self) -> None:
        self._process.communicate(timeout=600)


class Steps:
    """Counts the steps of this process, and ends it or lets one fail."""

    def __init__(self, *, die_at: int, fail_at: int) -> None:
        self._die_at, self._fail_at = die_at, fail_at
        self._lock = threading.RLock()
        self.names: list[str] = []

    def step(self, name: str) -> bool:
        """Return whether this step has to fail."""
        with self._lock:
            self.names.append(name)
            if len(self.names) == self._die_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return len(self.names) == self._fail_at

    def wrap(self, module: Any, name: str) -> None:
        real = getattr(module, name)

        def counted(*args: Any, **more: Any) -> Any:
            if self.step(f"before {name}"):
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            done = real(*args, **more)
            self.step(f"after {name}")
            return done

        setattr(module, name, counted)

    def wrap_sqlite(self) -> None:
        steps, real = self, sqlite3.connect

        class Connection(sqlite3.Connection):
            def execute(self, sql: str, *args: Any) -> Any:
                return steps.statement(super().execute, sql, *args)

            def executemany(self, sql: str, *args: Any) -> Any:
                return steps.statement(super().executemany, sql, *args)

        def connect(*args: Any, **more: Any) -> Any:
            return real(*args, **{**more, "factory": Connection})

        sqlite3.connect = connect  # type: ignore[assignment]

    def statement(self, run: Callable[..., Any], sql: str, *args: Any) -> Any:
        if not sql.startswith(WRITES):
            return run(sql, *args)
        name = " ".join(sql.split()[:4])
        if self.step(f"before {name}"):
            raise sqlite3.OperationalError("disk I/O error")
        done = run(sql, *args)
        self.step(f"after {name}")
        return done


def work(job: Job) -> None:
    """Do a job; in a worker."""
    out = os.open(job.acks, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def say(**what: Any) -> None:
        os.write(out, orjson.dumps(what) + b"\n")

    if job.limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (job.limit, resource.RLIM_INFINITY))
    steps = Steps(die_at=job.die_at, fail_at=job.fail_at)
    if job.mode == "script":
        # nothing is published by itself, or the steps would depend on how busy the machine is
        publisher.INTERVAL = 3_600
        steps.wrap_sqlite()
        for name in ("fsync", "replace", "unlink", "pwrite"):
            steps.wrap(os, name)
    try:
        ledger = Desk.reopen(job.path).open()
        if job.mode == "script":
            script(ledger, say, salt=job.salt)
        else:
            flood(ledger, say, salt=job.salt)
        ledger.close()
    except SafeholdError as error:
        say(error=error.rule or error.code)
    except BaseException as error:
        say(foreign=type(error).__name__)
        raise
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        say(steps=steps.names)


def script(ledger: Ledger, say: Callable[..., None], *, salt: int) -> None:
    """Append, refer, repeat and publish, a few times over."""
    for turn in range(ROUNDS):
        keys = [f"{salt}-{turn}-{at}" for at in range(5)]
        told = append(ledger, say, [intent(at, key=key) for at, key in enumerate(keys)], keys)
        again = [entry(9, kind="access.intent", public={}, key=keys[0])]  # told before: the old one
        answer = entry(
            7, kind="access.result", public={"rows": 1}, ref=told[0], key=f"{salt}r{turn}"
        )
        repeated = append(ledger, say, [*again, answer], [keys[0], f"{salt}r{turn}"])
        assert repeated[0] == told[0]
        ledger.publish()
        append(ledger, say, [entry(3, key=f"{salt}-{turn}-late")], [f"{salt}-{turn}-late"])


def flood(ledger: Ledger, say: Callable[..., None], *, salt: int) -> None:
    """Append from three threads until the end comes."""
    errors: list[BaseException] = []

    def one(thread: int) -> None:
        try:
            number = 0
            while not errors:
                keys = [f"{salt}-{thread}-{number + at}" for at in range(1 + number % 7)]
                append(ledger, say, [entry(at, key=key) for at, key in enumerate(keys)], keys)
                number += len(keys)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=one, args=(at,)) for at in range(3)]
    for thread in threads:
        thread.start()
    try:
        while not errors:
            time.sleep(0.005)
            ledger.publish()
    except BaseException as error:
        errors.append(error)
    for thread in threads:
        thread.join()
    raise errors[0]


def append(
    ledger: Ledger, say: Callable[..., None], entries: list[Any], keys: list[str]
) -> list[int]:
    """Append, and say so once it is acknowledged."""
    receipts = ledger.append(entries)
    say(
        ack=[(one.index, one.leaf_hash.hex(), key) for one, key in zip(receipts, keys, strict=True)]
    )
    return [one.index for one in receipts]


def main(work: Callable[[Job], None] = work) -> None:
    """Fork a worker for every job that is read, and say its pid and how it ended."""
    for line in sys.stdin:
        said = json.loads(line)
        job = Job(**{**said, "path": Path(said["path"]), "acks": Path(said["acks"])})
        pid = os.fork()
        if not pid:
            try:
                work(job)
            except BaseException:
                os._exit(1)
            os._exit(0)
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
