"""A look at a source before it is taken in: what its mapping makes of it, in counts and never in values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from safehold.ingest.chunk import cut_chunks
from safehold.ingest.convert import Converted, convert, source_kinds
from safehold.ingest.opening import HIDDEN, names_in, open_with, telling_names
from safehold.ingest.pipeline import Order, Pipeline, Tally
from safehold.ingest.refusal import RefusalReport
from safehold.ingest.source.record import RecordSource

MOST: Final = 1_000  # distinct values that are counted one by one


@dataclass(slots=True)
class _Stream:
    """What is counted of one stream."""

    events: int = 0
    people: set[str] = field(default_factory=set)
    sessions: set[tuple[str, ...]] = field(default_factory=set)
    filled: Counter[str] = field(default_factory=Counter)
    words: dict[str, set[int]] = field(default_factory=dict)

    def add(self, table: pa.Table, keys: list[Any]) -> None:
        self.events += len(table)
        self.people |= {key[0] for key in keys}
        self.sessions |= set(keys)
        for name in table.schema.names:
            column = table.column(name)
            if (count := len(table) - column.null_count) == 0:
                continue
            self.filled[name] += count
            seen = self.words.setdefault(name, set())
            if len(seen) < MOST and not pa.types.is_list(column.type):
                seen |= {hash(one) for one in pc.unique(column).slice(0, MOST).to_pylist()}

    def to_frame(self) -> dict[str, Any]:
        fields = {
            name: {"filled": count, "distinct": min(len(self.words.get(name, ())), MOST)}
            for name, count in self.filled.items()
        }
        return {
            "events": self.events,
            "people": len(self.people),
            "sessions": len(self.sessions),
            "fields": fields,
        }


def survey(source: Mapping[str, Any], order: Order, fd: int, emit: Callable[..., None]) -> None:
    """Read a source as it would be taken in and emit one frame of counts.

    Args:
        source: The file, as in a job.
        order: Whose limits count; nobody has to have agreed, for nothing is kept.
        fd: The open file.
        emit: Writes the frame.

    Raises:
        InvalidError: The file or the mapping does not fit.
    """
    name = str(source.get("name") or "source")
    if telling := len(telling_names([name])):
        name = HIDDEN
    file, mapping = open_with(fd, source, name=name, limits=order.limits)
    pipeline = Pipeline(order, name=name)
    report = RefusalReport(keep=10)
    tally = Tally()
    streams: dict[str, _Stream] = {}
    read = 0
    for chunk in cut_chunks(
        file.batches(source_kinds(mapping, file.schema, name=name)),
        session=mapping.session_columns,
        pause=mapping.pause_column,
        limits=order.limits,
    ):
        made: Converted = convert(
            mapping,
            chunk.table,
            chunk.rows,
            sessions=pipeline.sessions,
            now_us=order.now_us,
            name=name,
        )
        made.refusals = sorted({*made.refusals, *chunk.refusals})
        accepted, _ = pipeline.check(made, tally)
        report.add(made.refusals)
        read += chunk.read
        for stream, events in accepted.items():
            if len(events.table):
                keys = [made.keys[number] for number in set(events.group.tolist())]
                streams.setdefault(stream, _Stream()).add(events.table, keys)
    emit(
        {
            "type": "preview",
            "mapping": mapping.name,
            "rows_read": read,
            "streams": {stream: found.to_frame() for stream, found in sorted(streams.items())},
            "refused": dict(sorted(report.counts.items())),
            "refusals": [[item.row, item.field, item.rule] for item in report.first],
            "tolerated": report.total <= mapping.tolerate * read,
            "dropped": dict(sorted((+tally.dropped).items())),
            "clamped": dict(sorted((+tally.clamped).items())),
            "screen_images": file.pictures if isinstance(file, RecordSource) else 0,
            "names_that_tell": telling + len(telling_names(names_in(file))),
        }
    )
