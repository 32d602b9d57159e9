"""The ingest recipe: a raw source in, minimised batches out. It writes nothing but frames."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from safehold.errors import InvalidError
from safehold.ingest.chunk import Chunk, cut_chunks
from safehold.ingest.convert import Converted, convert, source_kinds
from safehold.ingest.leased import read_leased
from safehold.ingest.mapping import Mapping as SourceMapping
from safehold.ingest.mapping import parse_mapping
from safehold.ingest.opening import HIDDEN, names_in, open_with, telling_names
from safehold.ingest.pipeline import Order, Pipeline, Tally
from safehold.ingest.refusal import RefusalReport
from safehold.ingest.rest import RestBatch, pack
from safehold.ingest.shelf import wire_mapping
from safehold.ingest.source.record import RecordSource
from safehold.ingest.survey import survey
from safehold.workforce import Spec, person_day

Emit = Callable[..., None]
PERSON_DAYS = 8  # of a made-up workforce make one chunk


def main(spec: dict[str, Any], inputs: Sequence[int], emit: Emit) -> None:
    """Carry one source through the pipeline.

    Args:
        spec: The job; its keys are described in ``docs/reference/ingest.md``.
        inputs: The source's file descriptor; none for a made-up workforce.
        emit: Writes one frame.

    Raises:
        InvalidError: The job or the source does not fit; the source is then not taken at all.
    """
    order = Order.from_spec(spec)
    source = spec.get("source")
    kind = source.get("kind") if isinstance(source, dict) else None
    done = frozenset(spec.get("done", ()))
    if kind == "file" and len(inputs) == 1 and spec.get("preview"):
        survey(dict(source or {}), order, inputs[0], emit)
    elif kind == "file" and len(inputs) == 1:
        _run_file(dict(source or {}), spec, inputs[0], order, done=done, emit=emit)
    elif kind == "synthetic":
        _run_workforce(dict(source or {}), order, done, emit)
    elif kind == "leased" and len(inputs) == 1:
        _run_leased(inputs[0], order, done, emit, apart=bool(spec.get("apart")))
    else:
        raise InvalidError(
            "a source is a file or leased with one input, or synthetic",
            field="source",
            rule="ingest.spec",
        )


class _Run:
    """Write the frames of one source."""

    def __init__(self, pipeline: Pipeline, emit: Emit) -> None:
        self.pipeline = pipeline
        self.report = RefusalReport(keep=pipeline.order.limits.refusals)
        self.rows = 0
        self.masked: Counter[str] = Counter()  # what was found before the first row
        self.dropped: Counter[str] = Counter()
        self._emit = emit

    def write(self, index: int, chunk: Converted, read: int, *, skip: bool) -> None:
        """Validate a chunk and, unless it was committed before, emit it."""
        tally = Tally()
        accepted, offsets = self.pipeline.check(chunk, tally)
        self.rows += read
        kept = self.report.add(chunk.refusals)
        if skip:
            return
        for item in kept:
            self._emit(
                {"type": "refused", "chunk": index, "row": item.row, "field": item.field,
                 "rule": item.rule}
            )  # fmt: skip
        tally.refused = Counter(item.rule for item in chunk.refusals)
        for batch in self.pipeline.carry(accepted, chunk.keys, offsets, tally):
            _emit_batch(batch, index, self._emit)
        if index == 0:
            tally.masked.update(+self.masked)
            tally.dropped.update(+self.dropped)
        self._emit({"type": "chunk", "chunk": index, "rows_read": read, "tally": tally.to_frame()})


def _emit_batch(batch: RestBatch, chunk: int, emit: Emit) -> None:
    header = {
        "type": "batch",
        "person": batch.person,
        "stream": batch.stream,
        "window": batch.window,
        "rows": len(batch.table),
        "chunk": chunk,
        "extents": batch.extents,
    }
    emit(header, pack(batch.table))


def _run_leased(fd: int, order: Order, done: frozenset[int], emit: Emit, *, apart: bool) -> None:
    rows = refused = 0
    for index, chunk in enumerate(read_leased(fd, order, apart=apart)):
        rows += chunk.rows
        if index in done:
            continue
        if chunk.refused:
            refused += 1
            emit(
                {"type": "refused", "chunk": index, "row": index, "field": None,
                 "rule": chunk.refused, "malformed": chunk.malformed, "oldest": chunk.oldest}
            )  # fmt: skip
            continue
        for batch in chunk.batches:
            _emit_batch(batch, index, emit)
        emit(
            {
                "type": "chunk",
                "chunk": index,
                "rows_read": chunk.rows,
                "tally": chunk.tally.to_frame(),
            }
        )
    emit({"type": "done", "rows_read": rows, "refused": refused, "mapping": "leased"})


def _run_file(
    source: Mapping[str, Any],
    spec: Mapping[str, Any],
    fd: int,
    order: Order,
    *,
    done: frozenset[int],
    emit: Emit,
) -> None:
    name = str(source.get("name") or "source")
    telling = len(telling_names([name]))
    if telling:  # a message is read by people who never see the file
        name = HIDDEN
    file, mapping = open_with(fd, source, name=name, limits=order.limits)
    kinds = source_kinds(mapping, file.schema, name=name)
    tolerate = _tolerance(spec.get("tolerate", mapping.tolerate))
    run = _Run(Pipeline(order, name=name), emit)
    run.masked["SOURCE_NAME"] = telling + len(telling_names(names_in(file)))
    run.dropped["screen_image"] = file.pictures if isinstance(file, RecordSource) else 0
    for chunk in cut_chunks(
        file.batches(kinds),
        session=mapping.session_columns,
        pause=mapping.pause_column,
        limits=order.limits,
    ):
        run.write(
            chunk.index, _convert(mapping, chunk, run, name), chunk.read, skip=chunk.index in done
        )
    run.report.check(file=name, rows=run.rows, tolerate=tolerate)
    emit(
        {
            "type": "done",
            "rows_read": run.rows,
            "refused": run.report.total,
            "mapping": mapping.name,
        }
    )


def _convert(mapping: SourceMapping, chunk: Chunk, run: _Run, name: str) -> Converted:
    converted = convert(
        mapping,
        chunk.table,
        chunk.rows,
        sessions=run.pipeline.sessions,
        now_us=run.pipeline.order.now_us,
        name=name,
    )
    converted.refusals = sorted({*converted.refusals, *chunk.refusals})
    return converted


def _tolerance(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise InvalidError(
            "tolerate is a share of rows, 0 up to but not 1", field="tolerate", rule="ingest.spec"
        )
    return float(value)


def _run_workforce(
    source: Mapping[str, Any], order: Order, done: frozenset[int], emit: Emit
) -> None:
    company = Spec.from_spec(dict(source.get("spec") or {}))
    first = int(source.get("first", 0))
    last = min(first + int(source.get("count", company.people)), company.people)
    run = _Run(Pipeline(order, name="synthetic"), emit)
    places = [(index, day) for index in range(first, last) for day in range(company.days)]
    for number, start in enumerate(range(0, len(places), PERSON_DAYS)):
        if number in done:
            continue  # a person-day is a session of its own: nothing is carried over
        parts: dict[str, list[pa.Table]] = {}
        for index, day in places[start : start + PERSON_DAYS]:
            for stream, table in person_day(company, index, day).items():
                if len(table):
                    parts.setdefault(stream, []).append(table)
        chunk, read = _join_streams(parts, run)
        run.write(number, chunk, read, skip=False)
    run.report.check(file="synthetic", rows=run.rows, tolerate=0.0)
    emit({"type": "done", "rows_read": run.rows, "refused": 0, "mapping": "synthetic"})


def _join_streams(parts: Mapping[str, Sequence[pa.Table]], run: _Run) -> tuple[Converted, int]:
    """Put the tables of several person-days into one chunk whose sessions are numbered once."""
    merged, read = Converted(), 0
    number: dict[Any, int] = {}
    for stream, tables in parts.items():
        table = pa.concat_tables(tables).combine_chunks()
        rows = np.arange(read, read + len(table), dtype=np.int64)
        one = convert(
            parse_mapping(wire_mapping(stream)),
            table,
            rows,
            sessions=run.pipeline.sessions,
            now_us=run.pipeline.order.now_us,
            name="synthetic",
        )
        read += len(table)
        merged.refusals.extend(one.refusals)
        for key in one.keys:
            number.setdefault(key, len(number))
        place = np.array([number[key] for key in one.keys], dtype=np.int64)
        if stream in one.streams:
            events = one.streams[stream]
            merged.streams[stream] = type(events)(events.table, events.rows, place[events.group])
    merged.keys = list(number)
    return merged, read
