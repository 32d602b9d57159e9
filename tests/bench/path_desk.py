"""The whole path as the benches drive it: a home, its keeper in this process, and what was spent on the way.

CPU-seconds are of *all* processes: the keeper (which runs in this one) and everything in the sandbox.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from safehold.app.keeper import compose, unlock
from safehold.app.service import Service
from safehold.app.setup import create
from safehold.catalog import Catalog
from safehold.catalog.extents import Extents
from safehold.charter import shipped
from safehold.ledger import Ledger
from safehold.settings import Home
from safehold.vault import Vault

PASSPHRASE = "bench bench bench bench"
STREAMS = ("key", "pointer", "chat", "ai")
SUBREAPER = 36  # prctl(2), PR_SET_CHILD_SUBREAPER
PHASES = (
    (Vault, "seal", "sealing"),
    (Ledger, "append", "ledger"),
    (Catalog, "commit_chunk", "catalogue"),
    (Extents, "overlap", "catalogue"),
)


@dataclass
class Bench:
    service: Service
    spent: Counter[str] = field(default_factory=Counter)

    def take(self, path: Path) -> tuple[float, float, float]:
        """Take a file in; return CPU-seconds of keeper and sandbox, and seconds on the clock."""
        verbs = self.service.verbs.table()
        names = people_in(path)
        people = [
            {"person": name, "jurisdiction": "US-CA", "streams": list(STREAMS), "pauses": []}
            for name in names
        ]
        verbs["people.enrol"]({"people": people, "evidence": "bench"}, (), lambda _: None)
        file = os.open(path, os.O_RDONLY)
        reap()
        self.spent.clear()
        before = [spent(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        start = time.perf_counter()
        answer = verbs["ingest"](
            {"source": {"kind": "file", "name": path.name}}, (file,), lambda _: None
        )
        wall = time.perf_counter() - start
        reap()
        after = [spent(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        os.close(file)
        assert not answer["already"]
        assert not answer["tally"]["refused"]
        read = sum(sum(answer["tally"][group].values()) for group in ("taken", "dropped"))
        assert read == pq.read_metadata(path).num_rows
        assert self.service.desk.catalog.sources_of([]) == []
        return after[0] - before[0], after[1] - before[1], wall


def people_in(path: Path) -> list[str]:
    """Return who is in a file, each once; piece by piece, since the memory of this process is measured."""
    names: dict[str, None] = {}
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(50_000, columns=["person"], use_threads=False):
            names.update(dict.fromkeys(batch.column(0).unique().to_pylist()))
    return list(names)


def spent(who: int) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


class Memory:
    """The most memory the processes below this one have together, looked at again and again.

    (What ``getrusage`` says of children counts this process as it was when they were forked off.)

    Args:
        own: Count this process too, which is the keeper's.
    """

    def __init__(self, *, own: bool = False) -> None:
        self.peak, self.mine, self._own = 0, 0, own
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        me = psutil.Process()
        while not self._over.wait(0.03):
            total = me.memory_info().rss if self._own else 0
            self.mine = max(self.mine, total)
            for child in me.children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    if "python" in child.name():
                        total += child.memory_info().rss
            self.peak = max(self.peak, total)


def reap() -> None:
    """Collect what the sandboxes left behind: their first process outlives the one we started."""
    deadline = time.monotonic() + 2
    with contextlib.suppress(ChildProcessError):
        while time.monotonic() < deadline:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.01)


def clocked(bench: Bench, method: Any, name: str) -> Any:
    def call(*given: Any, **named: Any) -> Any:
        start = time.thread_time()
        try:
            return method(*given, **named)
        finally:
            bench.spent[name] += time.thread_time() - start

    return call


@contextlib.contextmanager
def opened(folder: Path, *, level: str) -> Iterator[Bench]:
    """A home of its own, its keeper in this process, and a charter that keeps so much of an event."""
    patch = pytest.MonkeyPatch()
    outside = tempfile.mkdtemp(prefix="sh-")  # short: the keeper's socket lies in it
    patch.setenv("SAFEHOLD_OUTSIDE", outside)
    charter = folder / "charter.yaml"
    text = shipped("demo").read_text("utf-8")
    charter.write_text(text.replace("level: L3", f"level: {level}"), "utf-8")
    libc = ctypes.CDLL(None)
    libc.prctl(SUBREAPER, 1, 0, 0, 0)
    try:
        create(
            folder / "home",
            seats=folder / "seats",
            charter=charter,
            synthetic=False,
            passphrase=PASSPHRASE,
        )
        home = Home.open(folder / "home")
        service = compose(home, unlock(home, {"passphrase": PASSPHRASE}))
        bench = Bench(service)
        for owner, method, name in PHASES:
            patch.setattr(owner, method, clocked(bench, getattr(owner, method), name))
        try:
            yield bench
        finally:
            service.finish()
    finally:
        libc.prctl(SUBREAPER, 0, 0, 0, 0)
        patch.undo()
        shutil.rmtree(outside, ignore_errors=True)


def write(path: Path, tables: list[pa.Table], *, rows: int, prefix: str, most: int) -> Path:
    """Write so many events, day after day under a new name, at most so many events a person."""
    left, number = rows, 0
    with pq.ParquetWriter(path, tables[0].schema) as writer:
        while left > 0:
            table = tables[number % len(tables)].slice(0, min(left, most))
            name = pa.repeat(f"{prefix}{number}", len(table))
            writer.write_table(table.set_column(0, table.schema.field(0), name))
            left, number = left - len(table), number + 1
    return path


def rewrite(path: Path) -> float:
    """Return the CPU-seconds of reading a file and writing it again, unprotected, on one thread."""
    target = path.with_suffix(".again")
    start = spent(resource.RUSAGE_SELF)
    with pq.ParquetFile(path) as source, pq.ParquetWriter(target, source.schema_arrow, compression="zstd") as writer:  # fmt: skip
        for batch in source.iter_batches(100_000, use_threads=False):
            writer.write_batch(batch)
    return spent(resource.RUSAGE_SELF) - start
