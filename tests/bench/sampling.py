"""Where the CPU goes: samples of all threads of this process, each weighed with the CPU-time of its thread since the last one.

``python -m tests.bench.sampling`` prints the tables of docs/explanation/hot-paths.md, section "The way in". What waits
uses no CPU, and so has no weight. C code counts for the Python function that called it.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Self

EVERY_S = 0.002
OURS = f"{os.sep}safehold{os.sep}"


class Sampler:
    """Samples as long as its block runs."""

    def __init__(self) -> None:
        self.by_function: Counter[str] = Counter()
        self.by_leaf: Counter[str] = Counter()
        self.total = 0.0
        self._last: dict[int, float] = {}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="sampler", daemon=True)

    def __enter__(self) -> Self:
        self._look(count=False)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _go_on(self) -> None:
        while not self._end.wait(EVERY_S):
            self._look()

    def _look(self, *, count: bool = True) -> None:
        own = threading.get_ident()
        for ident, frame in sys._current_frames().items():
            if ident == own and count:
                continue
            try:
                spent = time.clock_gettime(time.pthread_getcpuclockid(ident))
            except OSError:
                continue
            took = spent - self._last.get(ident, spent)
            self._last[ident] = spent
            if count and took > 0:
                self.total += took
                self.by_function[_ours(frame)] += took  # type: ignore[assignment]
                self.by_leaf[_name(frame)] += took  # type: ignore[assignment]

    def table(self, most: int = 8) -> list[str]:
        """Return lines of a table: share of CPU, innermost function of ours, and where it is besides."""
        lines = ["| share | function |", "|---|---|"]
        lines += [
            f"| {100 * took / self.total:.0f} % | `{name}` |"
            for name, took in self.by_function.most_common(most)
        ]
        return lines


def _ours(frame: FrameType | None) -> str:
    while frame is not None:
        if OURS in frame.f_code.co_filename:
            return _name(frame)
        frame = frame.f_back
    return "(libraries and interpreter)"


def _name(frame: FrameType) -> str:
    file = frame.f_code.co_filename
    place = file.partition(f"safehold{os.sep}")[2] if OURS in file else file.rpartition(os.sep)[2]
    return f"{place.removesuffix('.py').replace(os.sep, '.')}.{frame.f_code.co_qualname}"


def sampled(what: str, work: Callable[[], object]) -> None:
    """Do some work and print where its CPU went."""
    work()  # once before, so that nothing is imported while it is looked at
    with Sampler() as found:
        began = time.process_time()
        work()
        spent = time.process_time() - began
    print(f"\n{what}: {spent:.2f} CPU-seconds\n")
    print("\n".join(found.table()))


def ingestion() -> None:
    """The recipe in one process: keys, pointer, chat."""
    import pyarrow.parquet as pq
    from tests.capacity_desk import SEED_OF_COSTS, shaped, tables
    from tests.ingest_job import NOW_US, run_path

    day = NOW_US // 86_400_000_000 - 3
    made = tables(SEED_OF_COSTS, 3, pace=200_000, day=day)
    found = {stream: shaped(table, "emp-", 20, 10_000) for stream, table in made.items()}
    found |= tables(SEED_OF_COSTS, 40, pace=10_000, day=day, streams=("chat",))
    with tempfile.TemporaryDirectory() as folder:
        for stream, table in found.items():
            path = Path(folder) / f"{stream}.parquet"
            pq.write_table(table, path)
            cohorts = [{"prefix": "emp-", "streams": [stream]}]
            sampled(
                f"recipe, {stream}, {len(table):,} rows",
                lambda path=path, cohorts=cohorts: run_path(path, people={}, cohorts=cohorts),
            )


def keeper() -> None:
    """The keeper's part: many small blocks, where sealing, catalogue and ledger show."""
    from tests.capacity_desk import SEED_OF_COSTS, path_at, shaped, tables
    from tests.lease_desk import Verbs, enrolled, one_by_one, together

    made = tables(SEED_OF_COSTS, 2, pace=100_000)
    with tempfile.TemporaryDirectory() as folder, path_at(Path(folder)) as road:
        number = 0

        def take() -> None:
            nonlocal number
            number += 1
            road.take("key", shaped(made["key"], f"k{number}-", 400, 200))

        sampled("keeper, 400 blocks of 200 keys", take)

        line, names = Verbs(road.bench.service.verbs.table()), [f"d{one}" for one in range(200)]
        road.enrol(names)
        devices = enrolled(line, names)
        one_by_one(line, devices)  # the first of each is another thing
        sampled("keeper, 200 leases, one by one", lambda: one_by_one(line, devices))
        sampled(
            "keeper, 2,000 leases, 200 together",
            lambda: [together(line, devices) for _ in range(10)],
        )


def ledger() -> None:
    """Appends of a thousand entries at once, sealed with the vault's own side-car's twin, durable."""
    from tests.ledger_desk import Desk, intent

    from safehold.clock import SystemClock

    with tempfile.TemporaryDirectory() as folder:
        desk = Desk(Path(folder), clock=SystemClock())
        with desk.open() as log:

            def append() -> None:
                for _ in range(20):
                    log.append([intent(number) for number in range(1_000)])

            sampled("ledger, 20 times 1,000 entries", append)


def portal() -> None:
    """Reads of somebody who is signed in: portal and keeper in this process."""
    from tests.portal_desk import found_served, portal_of

    with tempfile.TemporaryDirectory() as folder:
        made = found_served(Path(folder) / "made")
        with portal_of(made, Path(folder)) as one:
            client = one.client("enno")
            paths = ("/api/v1/me", "/api/v1/status", "/api/v1/grants", "/trust-in-pages")

            def read() -> None:
                for number in range(400):
                    client.get(paths[number % len(paths)])

            sampled("portal and keeper, 400 reads", read)


if __name__ == "__main__":
    for part in (ingestion, keeper, ledger, portal):
        try:
            part()
        except Exception as error:
            print(f"{part.__name__}: {error!r}", file=sys.stderr)
