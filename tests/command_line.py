"""The command line as somebody meets it: a process of its own, judged by stdout, stderr and exit code."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from safehold.clock import SystemClock, day_of
from safehold.workforce import Spec, roster, write_files

SOURCES = Path(__file__).resolve().parents[1] / "src"
CHARTERS = SOURCES / "safehold" / "charter"
QUORUM = ("privacy", "employee_representative", "legal", "hr", "ml_lead")
EVIDENCE = "opt-in forms, May"
KEYS = ("vault_key", "vault_segment")
_PARTS = ("home", "outside", "seats")
_MADE: dict[
    tuple[bytes, str], Path
] = {}  # homes as ``init`` leaves them, by charter and passphrase


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str
    seconds: float
    peak: int = 0

    @property
    def json(self) -> Any:
        """The one JSON object on stdout."""
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, Any]:
        """The one JSON object on stderr."""
        return dict(json.loads(self.err)["error"])


@dataclass
class World:
    """A home, its outside, its seats, and the command line that works on them."""

    root: Path
    passphrase: str = "a passphrase of the tests"
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def seats(self) -> Path:
        return self.root / "seats"

    @property
    def environment(self) -> dict[str, str]:
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith("SAFEHOLD_")
        }
        return {
            **kept,
            "PYTHONPATH": str(SOURCES),
            "SAFEHOLD_HOME": str(self.home),
            "SAFEHOLD_OUTSIDE": str(self.root / "outside"),
            "SAFEHOLD_PASSPHRASE": self.passphrase,
            "OPENBLAS_NUM_THREADS": "1",
            "COLUMNS": "200",
            **self.extra,
        }

    def try_run(
        self, *words: str | Path, cwd: Path | None = None, stdin: bytes = b"", timeout: float = 240
    ) -> Done:
        """Run a command and return how it ended, whatever the end."""
        started = time.monotonic()
        done = subprocess.run(
            command(words),
            input=stdin,
            capture_output=True,
            check=False,
            cwd=cwd or self.root,
            env=self.environment,
            timeout=timeout,
        )
        out, err = done.stdout.decode(), done.stderr.decode()
        assert "Traceback (most recent call last)" not in err + out, err
        return Done(done.returncode, out, err, time.monotonic() - started)

    def run(self, *words: str | Path, **more: Any) -> Done:
        """Run a command that must succeed."""
        done = self.try_run(*words, **more)
        assert done.code == 0, f"exit {done.code}: {done.err}"
        return done

    def ailing(self) -> list[str]:
        """Return what doctor finds wrong; each says what to do."""
        wrong = [
            one
            for one in json.loads(self.try_run("doctor", "--json").out)["checks"]
            if not one["ok"]
        ]
        assert all(one["fix"] for one in wrong)
        return [one["check"] for one in wrong]

    def ask(self, *words: str | Path, **more: Any) -> Any:
        """Run a command that must succeed, with ``--json``, and return its object."""
        done = self.run(*words, "--json", **more)
        assert done.err == "", "with --json and without trouble stderr is empty"
        return done.json

    def refuse(self, *words: str | Path, code: int, **more: Any) -> dict[str, Any]:
        """Run a command that must be refused, with ``--json``, and return the error."""
        done = self.try_run(*words, "--json", **more)
        assert done.code == code, f"exit {done.code}, not {code}: {done.err}{done.out}"
        assert done.out == ""
        assert done.error["rule"], done.error
        return done.error

    def measured(self, *words: str | Path, timeout: float = 240) -> Done:
        """Run a command and measure the peak memory of its whole process tree."""
        started = time.monotonic()
        process = subprocess.Popen(
            command(words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.root,
            env=self.environment,
        )
        watch = Watch(process.pid)
        watch.start()
        try:
            out, err = process.communicate(timeout=timeout)
        finally:
            process.kill()
            watch.stop()
        assert b"Traceback (most recent call last)" not in err, err.decode()
        return Done(
            process.returncode,
            out.decode(),
            err.decode(),
            time.monotonic() - started,
            watch.peak,
        )

    def init(self, charter: Path | None = None) -> World:
        """Make the home, with a charter in force where one is given.

        What the command makes is made once and copied afterwards; each copy has an outside of its own.
        """
        paper = b"" if charter is None else charter.read_bytes()
        if self.extra or (paper, self.passphrase) not in _MADE:
            more = () if charter is None else ("--charter", charter)
            self.run("init", "--seats", self.seats, *more)
            if not self.extra:
                kept = _MADE[paper, self.passphrase] = Path(tempfile.mkdtemp(prefix="made-"))
                atexit.register(shutil.rmtree, kept, ignore_errors=True)
                for name in _PARTS:
                    shutil.copytree(self.root / name, kept / name)
        else:
            for name in _PARTS:
                shutil.copytree(_MADE[paper, self.passphrase] / name, self.root / name)
        return self

    @contextlib.contextmanager
    def kept(self) -> Iterator[World]:
        """Let one keeper answer all commands meanwhile: the one that each would start for itself."""
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "safehold.app.keeper", str(self.home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self.environment,
            cwd=self.root,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            order = {"secret": {"passphrase": self.passphrase}}
            process.stdin.write(json.dumps(order).encode() + b"\n")
            process.stdin.flush()
            assert "ready" in json.loads(process.stdout.readline())
            yield self
        finally:
            process.stdin.close()  # its sign to finish
            code = process.wait(300)
            process.stdout.close()
        assert code == 0

    def copy(self, to: Path) -> World:
        """Return the same world at another place, with an outside of its own."""
        shutil.copytree(self.root, to, dirs_exist_ok=True)
        return World(to, self.passphrase, self.extra)

    def counts(self, *, keys: bool = False) -> dict[str, Any]:
        """Return what lies in the home: rows of the catalogue, and files of sealed objects.

        Keys are left out unless asked for: they are made before a source proves bad; they open nothing, and
        the next good run uses them.
        """
        base = sqlite3.connect(f"file:{self.home / 'control.db'}?mode=ro", uri=True)
        try:
            names = [
                name
                for (name,) in base.execute(
                    "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
                )
            ]
            rows = {
                name: base.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]  # noqa: S608
                for name in names
            }
            # that a source was refused is remembered, without any of it
            (refused,) = base.execute(
                "SELECT count(*) FROM source WHERE state = 'refused'"
            ).fetchone()
            rows["source"] -= refused
            if not keys:
                rows = {name: count for name, count in rows.items() if name not in KEYS}
        finally:
            base.close()
        objects = sorted(
            (str(file.relative_to(self.home)), file.stat().st_size)
            for file in (self.home / "objects").rglob("*")
            if file.is_file()
        )
        return {"rows": rows, "objects": objects}


class Watch(threading.Thread):
    """Sample the memory of a process and all it started, also what left its session.

    What counts is the proportional share where the kernel tells it, so that a page that two processes map is
    counted once; else the resident size.
    """

    def __init__(self, pid: int, *, every: float = 0.05) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._every = every
        self._end = threading.Event()
        self.peak = 0

    def run(self) -> None:
        root = psutil.Process(self._pid)
        while not self._end.is_set():
            try:
                family = [root, *root.children(recursive=True)]
            except psutil.NoSuchProcess:
                return
            self.peak = max(self.peak, sum(memory_of(one) for one in family))
            self._end.wait(self._every)

    def stop(self) -> None:
        self._end.set()
        self.join()


def memory_of(process: psutil.Process) -> int:
    """Return the resident memory of one process, in bytes; zero when it is gone."""
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def command(words: tuple[str | Path, ...]) -> list[str]:
    """Return the argument list of a command."""
    return [sys.executable, "-m", "safehold", *(str(word) for word in words)]


def yesterday() -> int:
    """Return yesterday's UTC day number."""
    return day_of(SystemClock().now_us()) - 1


def company(people: int, *, pace: int = 400, seed: int = 5) -> Spec:
    """Return a small made-up company that worked yesterday."""
    return Spec(people=people, days=1, seed=seed, start_day=yesterday(), pace=pace)


def write_people(spec: Spec, file: Path) -> Path:
    """Write the CSV of ``people enrol --file``."""
    lines = [f"{one.id},{one.jurisdiction},{' '.join(sorted(one.consent))}" for one in roster(spec)]
    file.write_text("\n".join(["person,jurisdiction,streams", *lines]) + "\n", "utf-8")
    return file


def write_sources(spec: Spec, folder: Path) -> dict[str, Path]:
    """Write a company's streams: keys and pointer as Parquet, the rest as JSON lines."""
    parquet = {file.stem: file for file in write_files(spec, folder, "parquet")}
    lines = {file.stem: file for file in write_files(spec, folder, "jsonl")}
    return {
        stream: (parquet if stream in {"key", "pointer"} else lines)[stream] for stream in lines
    }


def eventually(check: Callable[[], bool], *, seconds: float = 120) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)
