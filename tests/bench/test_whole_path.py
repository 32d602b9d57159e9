"""The whole path: a Parquet file, sandbox, minimisation, vault, catalogue, ledger, live.

A rate is events of the source by CPU-seconds of *all* processes: the keeper (which runs in this process) and
everything in the sandbox. The peer is what somebody does who protects nothing: read the same file and write it
again as compressed Parquet, on one thread.
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
from tests.bench.board import Board

from safehold.app.keeper import Service, compose, unlock
from safehold.app.setup import create
from safehold.catalog import Catalog
from safehold.charter import shipped
from safehold.clock import SystemClock, day_of
from safehold.ledger import Ledger
from safehold.settings import Home
from safehold.vault import Vault
from safehold.workforce import Spec, person_day

pytestmark = pytest.mark.bench

PASSPHRASE = "bench bench bench bench"
GOALS = {"key": 100_000, "pointer": 250_000}  # events a second and core
FLOORS = {"key": 0.07, "pointer": 0.09}  # of the peer: about a third of what was measured
SUBREAPER = 36  # prctl(2), PR_SET_CHILD_SUBREAPER
PHASES = (
    (Vault, "seal", "sealing"),
    (Ledger, "append", "ledger"),
    (Catalog, "commit_chunk", "catalogue"),
    (Catalog, "overlap", "catalogue"),
)


@dataclass
class Bench:
    service: Service
    spent: Counter[str] = field(default_factory=Counter)

    def take(self, path: Path) -> tuple[float, float, float]:
        """Take a file in; return CPU-seconds of keeper and sandbox, and seconds on the clock."""
        verbs = self.service.verbs.table()
        names = pq.read_table(path, columns=["person"]).column("person").unique().to_pylist()
        people = [
            {"person": name, "jurisdiction": "US-CA", "streams": list(GOALS), "pauses": []}
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


def spent(who: int) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


class Memory:
    """The most memory the processes below this one have together, looked at again and again.

    (What ``getrusage`` says of children counts this process as it was when they were forked off.)
    """

    def __init__(self) -> None:
        self.peak = 0
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
            total = 0
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


@pytest.fixture(scope="module")
def days() -> dict[str, list[pa.Table]]:
    """Person-days of about 30 k key and 60 k pointer events."""
    spec = Spec(people=6, days=1, start_day=day_of(SystemClock().now_us()) - 1, seed=5, pace=90_000)
    made: dict[str, list[pa.Table]] = {stream: [] for stream in GOALS}
    for index in range(spec.people):
        tables = person_day(spec, index, 0)
        for stream in GOALS:
            made[stream].append(tables[stream])
    return made


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


def report(
    board: Board, bench: Bench, what: str, stream: str, path: Path, *, goal: bool = True
) -> None:
    rows = pq.read_metadata(path).num_rows
    keeper, sandbox, wall = bench.take(path)
    peer = rewrite(path)
    rate = rows / (keeper + sandbox)
    wanted = GOALS[stream]
    board.add(
        what,
        ours=f"{rate:,.0f} events/CPU-s",
        peer=f"Parquet read and written: {rows / peer:,.0f}",
        ratio=peer / (keeper + sandbox),
        goal=f">= {wanted:,} events/CPU-s" if goal else "(none: small blocks)",
        met=rate >= wanted or not goal,
        floor=FLOORS[stream] / (1 if goal else 4),
    )
    phases = ", ".join(f"{name} {used:.2f}" for name, used in sorted(bench.spent.items()))
    board.note(
        f"{what}: {rows:,} events in {wall:.1f} s ({rows / wall:,.0f}/s on the clock); CPU-seconds: sandbox "
        f"{sandbox:.2f}, keeper {keeper:.2f} (of it {phases})"
    )


def test_whole_path_with_order_only(board: Board, tmp_path: Path, days: Any) -> None:
    with opened(tmp_path, level="L3") as bench:
        half = write(tmp_path / "half.parquet", days["key"], rows=500_000, prefix="h", most=10**6)
        with Memory() as before:
            bench.take(half)
        keys = write(tmp_path / "key.parquet", days["key"], rows=1_000_000, prefix="k", most=10**6)
        report(board, bench, "whole path, key, L3 (order only)", "key", keys)
        again = write(
            tmp_path / "again.parquet", days["key"], rows=1_000_000, prefix="a", most=10**6
        )
        with Memory() as after:
            bench.take(again)
        board.add(
            "memory of the sandbox at twice the input",
            ours=f"{after.peak >> 20} MiB at 1 M events",
            peer=f"{before.peak >> 20} MiB at 0.5 M events",
            ratio=after.peak / before.peak,
            goal="<= 1.1, and <= 2 GiB",
            met=after.peak / before.peak <= 1.1 and after.peak < 1 << 31,
            most=1.4,
        )
        moves = write(
            tmp_path / "pointer.parquet", days["pointer"], rows=1_000_000, prefix="p", most=10**6
        )
        report(board, bench, "whole path, pointer, L3 (order only)", "pointer", moves)
        small = write(tmp_path / "small.parquet", days["key"], rows=200_000, prefix="s", most=1_000)
        report(board, bench, "whole path, key, L3, 1 k events a block", "key", small, goal=False)


def test_whole_path_with_coarse_times(board: Board, tmp_path: Path, days: Any) -> None:
    with opened(tmp_path, level="L2") as bench:
        keys = write(tmp_path / "key.parquet", days["key"], rows=500_000, prefix="k", most=10**6)
        report(board, bench, "whole path, key, L2 (coarse times)", "key", keys)
        moves = write(
            tmp_path / "pointer.parquet", days["pointer"], rows=1_000_000, prefix="p", most=10**6
        )
        report(board, bench, "whole path, pointer, L2 (coarse times)", "pointer", moves)
