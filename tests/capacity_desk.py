"""What a chunk costs a keeper and a sandbox, measured on the real path; and a scaled day sent the same way.

``python -m tests.capacity_desk measure FILE`` writes the figures that ``safehold capacity plan`` reads; ``way``
instead of ``measure`` those of the way in alone, ``leases`` those of leases. Everything is CPU-seconds of
all processes, so that a busy machine changes little.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tests.bench.path_desk import Bench, opened, reap, spent
from tests.lease_desk import keeper_at

from safehold.clock import SystemClock, day_of
from safehold.ingest.limits import Limits
from safehold.workforce import Spec, person_day

STREAMS = ("key", "pointer")
SEED_OF_COSTS, SEED_OF_DAY = 11, 29  # never the same people: the day is predicted from other data


@dataclass(frozen=True, slots=True)
class Spent:
    """What one chunk took.

    Args:
        stream: Its stream.
        events: Read.
        blocks: Sealed: one a person.
        kept: Rows that came to rest.
        sealed: Bytes that came to rest.
        sandbox_s: CPU-seconds of the sandbox.
        keeper_s: CPU-seconds of the keeper.
        wall_s: On the clock.
        entries: Of the ledger.
    """

    stream: str
    events: int
    blocks: int
    kept: int
    sealed: int
    sandbox_s: float
    keeper_s: float
    wall_s: float
    entries: int


def tables(
    seed: int, people: int, *, pace: int, day: int = 0, streams: tuple[str, ...] = STREAMS
) -> dict[str, pa.Table]:
    """Return a day of some made-up people, stream by stream; yesterday, unless another is named."""
    begin = day or day_of(SystemClock().now_us()) - 1
    spec = Spec(people=people, days=1, start_day=begin, seed=seed, pace=pace)
    parts: dict[str, list[pa.Table]] = {stream: [] for stream in streams}
    for index in range(people):
        made = person_day(spec, index, 0)
        for stream in streams:
            if stream in made:
                parts[stream].append(made[stream])
    return {stream: pa.concat_tables(found) for stream, found in parts.items() if found}


class Road:
    """The real path: a keeper in this process, a sandbox for each chunk.

    Args:
        bench: The keeper.
        folder: Where chunks lie before they are taken in.
    """

    def __init__(self, bench: Bench, folder: Path) -> None:
        self.bench, self._folder, self._number = bench, folder, 0
        self._enrolled: set[str] = set()

    def enrol(self, names: list[str]) -> None:
        new = [name for name in names if name not in self._enrolled]
        people = [
            {"person": name, "jurisdiction": "US-CA", "streams": list(STREAMS), "pauses": []}
            for name in new
        ]
        if people:
            verbs = self.bench.service.verbs.table()
            verbs["people.enrol"]({"people": people, "evidence": "bench"}, (), lambda _: None)
            self._enrolled.update(new)

    def take(self, stream: str, table: pa.Table) -> Spent:
        """Take one chunk in."""
        self._number += 1
        path = self._folder / f"{stream}-{self._number}.parquet"
        pq.write_table(table, path)
        self.enrol(pc.unique(table.column("person")).to_pylist())
        desk = self.bench.service.desk
        entries, objects = desk.ledger.size, sizes(desk.home.objects)
        verbs, file = self.bench.service.verbs.table(), os.open(path, os.O_RDONLY)
        reap()
        before = [spent(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        start = time.perf_counter()
        answer = verbs["ingest"](
            {"source": {"kind": "file", "name": path.name}}, (file,), lambda _: None
        )
        wall = time.perf_counter() - start
        reap()
        after = [spent(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        os.close(file)
        path.unlink()
        tally = answer["tally"]
        assert not answer["already"]
        return Spent(
            stream=stream,
            events=len(table),
            blocks=int(answer["blocks"])
            if "blocks" in answer
            else len(pc.unique(table.column("person"))),
            kept=sum(tally["taken"].values()),
            sealed=sizes(desk.home.objects) - objects,
            sandbox_s=after[1] - before[1],
            keeper_s=after[0] - before[0],
            wall_s=wall,
            entries=desk.ledger.size - entries,
        )


def sizes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def shaped(table: pa.Table, prefix: str, people: int, each: int) -> pa.Table:
    """Return rows as those of so many people, so many events each."""
    parts = []
    for number in range(people):
        at = (number * 977) % max(1, len(table) - each)
        part = table.slice(at, each)
        name = pa.repeat(f"{prefix}{number}", len(part))
        parts.append(part.set_column(0, table.schema.field(0), name))
    return pa.concat_tables(parts)


@contextmanager
def path_at(folder: Path) -> Iterator[Road]:
    with opened(folder, level="L3") as bench:
        yield Road(bench, folder)


TURNS = 2
DEVICES, CALLS = 200, 2_000
# people in a chunk, events of each
SHAPES = ((1, 200), (120, 500), (120, 50), (60, 2_000), (20, 20_000), (10, 100_000))


def measure(folder: Path) -> list[Spent]:
    """Return what chunks of different shapes take, each twice."""
    made = tables(SEED_OF_COSTS, 4, pace=300_000)
    found = []
    with path_at(folder) as path:
        path.take("key", shaped(made["key"], "warm", 1, 100))
        for turn in range(TURNS):
            for stream in STREAMS:
                for people, each in SHAPES:
                    name = f"{stream[0]}{people}x{each}t{turn}-"
                    found.append(path.take(stream, shaped(made[stream], name, people, each)))
        return found


def leases(folder: Path, *, devices: int = DEVICES) -> dict[str, float]:
    """Return what renewals take of a keeper that is a process of its own, by the names that a file of costs has."""
    with keeper_at(folder, people=devices) as keeper:
        keeper.renewals(
            1, batch=devices
        )  # of first leases nothing is counted: once in the life of a device
        nonce = keeper.nonce_s(CALLS)
        alone, many = keeper.renewals(TURNS, batch=1), keeper.renewals(20 * TURNS, batch=devices)

    def parts(one: float, each: float) -> tuple[float, float]:
        """Return what a call and a lease take, of what a lease takes in calls of one and of all."""
        lease = (each * devices - one) / (devices - 1)
        return max(0.0, one - lease), max(0.0, lease)

    call_ms, lease_ms = parts(alone.cpu_ms, many.cpu_ms)
    return {
        "keeper.nonce_call_s": nonce,
        "keeper.lease_call_s": call_ms / 1_000,
        "keeper.lease_s": lease_ms / 1_000,
        "ledger.lease_call_entries": alone.entries,
        "ledger.lease_bytes": parts(alone.bytes, many.bytes)[1],
    }


LEASES = {
    "keeper.nonce_call_s": "CPU-seconds of a call for nonces",
    "keeper.lease_call_s": "of a call for leases, whoever is in it",
    "keeper.lease_s": "of each lease in it, a renewal",
    "ledger.lease_call_entries": "entries of the ledger for a call",
    "ledger.lease_bytes": "bytes of the ledger for each lease in it, beside the entry",
}


def chunks_of(events: int) -> int:
    """Return in how many chunks so many events are committed."""
    return -(-events // Limits().chunk_rows)


def fit(found: list[Spent]) -> dict[str, Any]:
    """Return costs by least squares, relative errors weighed alike: a chunk, a block, an event of each stream."""

    def solve(which: str) -> dict[str, float]:
        rows, values = [], []
        for one in found:
            value = getattr(one, which)
            row = [
                1.0,
                chunks_of(one.events),
                one.blocks,
                *(one.events if one.stream == stream else 0.0 for stream in STREAMS),
            ]
            rows.append([part / value for part in row])
            values.append(1.0)
        from scipy.optimize import nnls

        answer, _ = nnls(np.array(rows), np.array(values))
        return {
            "file_s": float(answer[0]),
            "chunk_s": float(answer[1]),
            "block_s": float(answer[2]),
            **{f"{stream}_event_s": float(answer[3 + at]) for at, stream in enumerate(STREAMS)},
        }

    return {
        "sandbox": solve("sandbox_s"),
        "keeper": solve("keeper_s"),
    }


def figures(found: list[Spent], lease: Mapping[str, float]) -> dict[str, dict[str, Any]]:
    """Return what was measured as a file of costs has it."""
    told: dict[str, dict[str, Any]] = {}

    def put(name: str, value: float, what: str) -> None:
        told[name] = {"value": float(f"{value:.5g}"), "from": "measured", "what": what}

    for name, what in LEASES.items():
        put(name, lease[name], what)
    if not found:
        return told
    costs = fit(found)
    for role in ("sandbox", "keeper"):
        put(
            f"{role}.file_s",
            costs[role]["file_s"],
            "CPU-seconds of a file, a sandbox of its own included",
        )
        put(f"{role}.chunk_s", costs[role]["chunk_s"], "of a chunk of at most 100,000 events")
        put(
            f"{role}.block_s",
            costs[role]["block_s"],
            "of a block: one person, stream and day in a chunk",
        )
        for stream in STREAMS:
            put(
                f"{role}.event_s.{stream}",
                costs[role][f"{stream}_event_s"],
                "of an event that is read, level L3",
            )
    for stream in STREAMS:
        for size in sorted({one.events // one.blocks for one in found}):
            mine = [
                one for one in found if one.stream == stream and one.events // one.blocks == size
            ]
            if mine:
                value = float(np.mean([one.sealed / one.blocks for one in mine]))
                put(
                    f"rest.bytes.{stream}@{size}",
                    value,
                    "bytes at rest of a block of so many events that were read, L3",
                )
    per_chunk = [
        (one.entries - 3) / (chunks_of(one.events) - 1)
        for one in found
        if chunks_of(one.events) > 1
    ]
    put("ledger.chunk_entries", float(np.mean(per_chunk)), "entries for a chunk")
    put(
        "ledger.file_entries", 3 - float(np.mean(per_chunk)), "entries for a file beside its chunks"
    )
    return told


def main(arguments: list[str]) -> None:
    what, place = arguments[0], Path(arguments[1])
    old = json.loads(place.read_text("utf-8"))["figures"] if place.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        told = dict(old) if what == "leases" else {}
        if what in {"leases", "measure"}:
            lent = leases(Path(folder))
        else:
            lent = {name: float(old[name]["value"]) for name in LEASES}
        if what == "leases":
            told |= figures([], lent)
        else:
            (Path(folder) / "way").mkdir()
            found = measure(Path(folder) / "way")
            for one in found:
                print(one, file=sys.stderr)
            told = figures(found, lent) | {
                name: one for name, one in old.items() if one["from"] != "measured"
            }
    whole = {
        "version": "safehold-costs/1",
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": f"{os.cpu_count()} shared cores, {platform.machine()}, Python {platform.python_version()}",
        "figures": told,
    }
    place.write_text(json.dumps(whole, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
