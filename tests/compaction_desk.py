"""Small blocks with rows that can be told apart, and what reads them back in order."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from tests.keeper_desk import Bench, batch, chunk, rest_table

from safehold.ingest.rest import pack
from safehold.keeper.ports import Frame
from safehold.telemetry.stream import STREAMS

Rows = dict[tuple[str, str, int], list[dict[str, Any]]]


def telling(stream: str, first: int, rows: int) -> pa.Table:
    """Return rows that differ from all others: a number that grows, and words of their own."""
    table = rest_table(stream, rows)
    numbers = np.arange(first, first + rows, dtype=np.uint32)
    words = pa.array([f"app {first % 7} {one % 3}" for one in range(rows)])
    for name, values in (("seq", pa.array(numbers)), ("app", words.dictionary_encode())):
        at = table.schema.get_field_index(name)
        kind = table.schema.field(at)
        table = table.set_column(at, kind, values.cast(kind.type))
    return table


def told(person: str, window: int, *, stream: str = "pointer", first: int, rows: int = 3) -> Frame:
    """Return a batch frame of such rows."""
    frame = batch(person, window, stream=stream)
    session = sha256(f"{person} {stream}".encode()).hexdigest()[:16]
    header = frame.header | {
        "rows": rows,
        "extents": [["00" * 8, session, first, first + rows - 1]],
    }
    return Frame(header, memoryview(pack(telling(stream, first, rows))))


class Trickle:
    """Takes sources in, a few rows of each of some people at a time."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self._next = bench, 0

    def take(
        self,
        *people: str,
        days_ago: int = 1,
        streams: Sequence[str] = ("pointer",),
        rows: int = 3,
    ) -> str:
        """Take one source in, and return its id."""
        self._next += 1
        window = self.bench.today - days_ago
        frames = [
            told(one, window, stream=stream, first=1000 * self._next, rows=rows)
            for one in people
            for stream in streams
        ]
        counts = {stream: rows * len(people) for stream in streams}
        done = self.bench.ingest(
            *frames,
            chunk(rows=sum(counts.values()), taken=counts),
            name=f"trickle {self._next}",
        )
        return str(done["source"])


def held(bench: Bench) -> Rows:
    """Return the rows that open, in the order of reading, by person, stream and day."""
    found: Rows = {}
    blocks = bench.desk.catalog.blocks(kind="telemetry", streams=STREAMS, after_day=0)
    read = {block.block_id: table for block, table in bench.desk.vault.read(blocks)}
    for block in blocks:
        place = (block.person, block.stream, block.window)
        found.setdefault(place, []).extend(read[block.block_id].to_pylist())
    return found


def on_disk(bench: Bench) -> set[str]:
    """Return the names of the objects in the folder of a home."""
    folder = bench.path / "home" / "objects"
    return {f"{file.parent.name}/{file.name}" for file in Path(folder).glob("??/*.shb")}
