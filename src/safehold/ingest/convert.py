"""Turn foreign rows into wire-form events, by a mapping."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from safehold.clock import DAY_US
from safehold.errors import InvalidError
from safehold.ingest.expression import (
    DROP,
    Expression,
    Words,
    combine_words,
    encode_words,
    evaluate_number,
    evaluate_words,
)
from safehold.ingest.fit import find_nulls, fit_column
from safehold.ingest.mapping import Mapping
from safehold.ingest.refusal import Refusal, Sieve
from safehold.ingest.session import Key, Sessions
from safehold.ingest.timing import find_held, number_events, order_events, read_times
from safehold.telemetry.schema import WIRE
from safehold.telemetry.stream import FocusKind, KeyKind, PointerKind

KINDS = {"key": KeyKind, "pointer": PointerKind, "focus": FocusKind}


@dataclass(frozen=True, slots=True)
class Events:
    """Wire-form events of one stream.

    Args:
        table: The events.
        rows: Source row of each event.
        group: Index of each event's session in ``Converted.keys``.
    """

    table: pa.Table
    rows: np.ndarray
    group: np.ndarray


@dataclass(slots=True)
class Converted:
    """A chunk in wire form.

    Args:
        streams: Events by stream.
        keys: Person, device and session of each group.
        refusals: Rows that could not be converted.
        dropped: Rows that the mapping leaves out, by reason.
    """

    streams: dict[str, Events] = field(default_factory=dict)
    keys: list[Key] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)


def source_kinds(mapping: Mapping, schema: pa.Schema, *, name: str) -> dict[str, str]:
    """Return the columns to read from a source and their kinds.

    Raises:
        InvalidError: The source has a column the mapping does not know, or lacks one it needs.
    """
    if mapping.wire:
        streams = [mapping.stream] if isinstance(mapping.stream, str) else list(WIRE)
        kinds = {item.name: _kind_of(item.type) for stream in streams for item in WIRE[stream]}
        if isinstance(mapping.stream, Expression):
            kinds |= dict.fromkeys(mapping.stream.columns, "text")
        needed = {"person", "device", "session", "seq", "t", "mono"}
        if isinstance(mapping.stream, str):
            needed = {item.name for item in WIRE[mapping.stream] if not item.nullable}
    else:
        kinds = {key: kind for key, kind in mapping.columns.items() if key not in mapping.ignore}
        needed = set(kinds)
    for index, column in enumerate(schema.names):
        if column not in kinds and column not in mapping.ignore:
            raise InvalidError(
                f"column {index} is not known to mapping {mapping.name}",
                file=name,
                row=0,
                rule="source.unknown_column",
                fix="list it in the mapping under columns, or under ignore",
            )
    open_ended = any(
        pa.types.is_null(item.type) for item in schema
    )  # JSONL: later rows may hold more
    if not open_ended and (missing := sorted(needed - set(schema.names))):
        raise InvalidError(
            f"a column that mapping {mapping.name} needs is missing",
            file=name,
            row=0,
            field=missing[0],
            rule="source.missing_column",
        )
    return kinds


def _kind_of(kind: pa.DataType) -> str:
    if pa.types.is_duration(kind) and kind.unit != "us":
        return f"span_{kind.unit}"
    if pa.types.is_integer(kind) or pa.types.is_timestamp(kind) or pa.types.is_duration(kind):
        return "integer"
    if pa.types.is_floating(kind):
        return "number"
    if pa.types.is_boolean(kind):
        return "flag"
    if pa.types.is_list(kind):
        return "texts"
    return "bytes" if pa.types.is_fixed_size_binary(kind) else "text"


def convert(
    mapping: Mapping,
    table: pa.Table,
    rows: np.ndarray,
    *,
    sessions: Sessions,
    now_us: int,
    name: str,
) -> Converted:
    """Turn foreign rows into events.

    Args:
        mapping: How.
        table: Foreign columns, each of its kind.
        rows: Number of each row in the source.
        sessions: What is remembered of each session.
        now_us: The moment of the import, microseconds; relative times are anchored at its UTC day.
        name: Name of the source.

    Raises:
        InvalidError: A row names a stream that does not exist.
    """
    result = Converted()
    if not mapping.wire:
        if mapping.person is None:
            raise InvalidError(
                "this format does not say whose events it holds",
                file=name,
                rule="mapping.person",
                fix="say whose they are: --person NAME",
            )
        table, rows = _rows_taken(mapping, table, rows, result)
    if not len(table):
        return result
    sieve = Sieve(rows)
    if mapping.wire:
        parts = [encode_words(table.column(item)) for item in ("person", "device", "session")]
    else:
        asked = (mapping.person, mapping.device, mapping.session)
        parts = [evaluate_words(item, table, None) for item in asked if item is not None]
    for part, field_name in zip(parts, ("person", "device", "session"), strict=True):
        missing = np.array([value in (None, "") for value in part.values], dtype=bool)
        sieve.refuse(missing[part.index], field_name, "wire.missing")
    group = combine_words(parts, lambda row: tuple(str(value) for value in row))
    result.keys = group.values
    stream = _streams(mapping, table, rows, sieve, name)
    if mapping.wire:
        _convert_wire(result, table, sieve, group, stream)
    else:
        _convert_foreign(
            result,
            mapping,
            table,
            sieve,
            who=(group, stream),
            sessions=sessions,
            now_us=now_us,
        )
    result.refusals = sorted({*sieve.refusals(), *result.refusals})
    return result


def _rows_taken(
    mapping: Mapping, table: pa.Table, rows: np.ndarray, result: Converted
) -> tuple[pa.Table, np.ndarray]:
    """Leave out rows that the mapping does not want, and make rows of columns where it says so."""
    if mapping.where.allowed and len(table):
        keep = mapping.where.keep(table)
        if count := int((~keep).sum()):
            result.dropped["not_mapped"] += count
            table, rows = table.filter(pa.array(keep)), rows[keep]
    if mapping.spread is not None and len(table):
        table, rows = mapping.spread.rows(table, rows)
    return table, rows


def _streams(mapping: Mapping, table: pa.Table, rows: np.ndarray, sieve: Sieve, name: str) -> Words:
    if isinstance(mapping.stream, str):
        return Words(np.zeros(len(table), dtype=np.int64), [mapping.stream])
    words = evaluate_words(mapping.stream, table, None)
    sieve.refuse(words.refused(), "stream", "mapping.translate")
    known = np.array(
        [
            value in WIRE or (value is None and mapping.stream.otherwise == DROP)
            for value in words.values
        ],
        dtype=bool,
    )
    strange = ~known[words.index] & sieve.ok
    if strange.any():
        raise InvalidError(
            f"this stream does not exist; a stream is one of {', '.join(WIRE)}",
            file=name,
            row=int(rows[np.argmax(strange)]),
            field="stream",
            rule="source.unknown_stream",
        )
    distinct = list(dict.fromkeys(words.values))
    place = np.array([distinct.index(value) for value in words.values], dtype=np.int64)
    return Words(place[words.index], distinct)


def _convert_wire(
    result: Converted, table: pa.Table, sieve: Sieve, group: Words, stream: Words
) -> None:
    present = np.unique(stream.index)
    for number in present.tolist():
        target = stream.values[number]
        if target not in WIRE:
            continue  # every such row is refused for something else already
        here = np.flatnonzero(stream.index == number)
        part = table if len(here) == len(table) else table.take(pa.array(here))
        own = Sieve(sieve.rows[here])
        own.ok &= sieve.ok[here]
        names = set(WIRE[target].names) | {"stream"}
        for column in part.schema.names:
            if column not in names and part.column(column).null_count < len(part):
                own.refuse(~find_nulls(part.column(column)), column, "wire.foreign_field")
        columns = [fit_column(part.column(item.name), item, own) for item in WIRE[target]]
        sieve.ok[here] &= own.ok
        result.refusals.extend(own.refusals())
        _keep(result, target, columns, own, group.index[here])


def _keep(
    result: Converted, target: str, columns: list[pa.Array], sieve: Sieve, group: np.ndarray
) -> None:
    table = pa.Table.from_arrays(columns, schema=_loose(WIRE[target]))
    rows = sieve.rows
    if not sieve.ok.all():
        table, rows, group = table.filter(pa.array(sieve.ok)), rows[sieve.ok], group[sieve.ok]
    if len(table):
        result.streams[target] = Events(table, rows, group)


def _loose(schema: pa.Schema) -> pa.Schema:
    return pa.schema([item.with_nullable(nullable=True) for item in schema])


def _convert_foreign(
    result: Converted,
    mapping: Mapping,
    table: pa.Table,
    sieve: Sieve,
    *,
    who: tuple[Words, Words],
    sessions: Sessions,
    now_us: int,
) -> None:
    group, stream = who
    left_out = np.array([value is None for value in stream.values], dtype=bool)[stream.index]
    if count := int((left_out & sieve.ok).sum()):
        result.dropped["not_mapped"] += count
    press, release = read_times(mapping, table, sieve)
    anchor = now_us - now_us % DAY_US
    for number, target in enumerate(stream.values):
        if target is None or not isinstance(target, str):
            continue
        here = np.flatnonzero((stream.index == number) & sieve.ok)
        if not len(here):
            continue
        held = find_held(mapping, target, table, here, group.index, press=press, release=release)
        timed = order_events(mapping, here, group.index, press, release)
        timed = number_events(
            mapping,
            timed,
            group,
            target,
            sessions=sessions,
            table=table,
            moments=(anchor, now_us),
        )
        part = table.take(pa.array(timed.index))
        own = Sieve(sieve.rows[timed.index])
        shift = held[0][timed.index] if held is not None else None
        columns = []
        for item in WIRE[target]:
            if item.name in ("person", "device", "session"):
                place = ("person", "device", "session").index(item.name)
                words = Words(group.index[timed.index], [key[place] for key in group.values])
                columns.append(words.array(item.type))
            elif item.name in ("seq", "t", "mono"):
                values = pa.array({"seq": timed.seq, "t": timed.t, "mono": timed.mono}[item.name])
                columns.append(fit_column(values, item, own))
            elif item.name == "kind" and timed.kind is not None:
                columns.append(pa.array(timed.kind, pa.uint8()))
            elif (expression := mapping.fields[target].get(item.name)) is None:
                columns.append(pa.nulls(len(part), item.type))
            elif expression.held:
                mask = held[1][timed.index] if held is not None else np.zeros(len(part), np.uint8)
                columns.append(pa.array(mask, pa.uint8()))
            else:
                columns.append(_evaluate(expression, item, target, part, own, shift=shift))
        result.refusals.extend(own.refusals())
        _keep(result, target, columns, own, group.index[timed.index])


def _evaluate(
    expression: Expression,
    item: pa.Field,
    target: str,
    table: pa.Table,
    sieve: Sieve,
    *,
    shift: np.ndarray | None,
) -> pa.Array:
    if expression.plain:
        return fit_column(evaluate_number(expression, table), item, sieve)
    words = evaluate_words(expression, table, shift)
    sieve.refuse(words.refused(), item.name, "mapping.translate")
    if item.name == "kind" and target in KINDS:
        names = KINDS[target].__members__
        words = Words(words.index, [names.get(str(value)) for value in words.values])
    if pa.types.is_integer(item.type):
        return fit_column(words.array(pa.int64()), item, sieve)
    words = Words(words.index, [_spelled(value) for value in words.values])
    return fit_column(words.array(pa.string()), item, sieve)


def _spelled(value: Any) -> Any:
    """Return a literal of a mapping as text: a YAML flag or number is none."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value
