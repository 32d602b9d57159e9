"""Turn foreign rows into wire-form events, by a mapping."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from safehold.clock import DAY_US
from safehold.errors import InvalidError
from safehold.ingest import keycode
from safehold.ingest.expression import (
    DROP,
    Expression,
    Words,
    combine_words,
    encode_words,
    evaluate_number,
    evaluate_words,
)
from safehold.ingest.mapping import Mapping
from safehold.ingest.refusal import Refusal, Sieve
from safehold.ingest.session import Key, Sessions
from safehold.telemetry.schema import WIRE, FocusKind, KeyKind, PointerKind

KINDS = {"key": KeyKind, "pointer": PointerKind, "focus": FocusKind}
COORDINATES = frozenset({"x", "y", "left", "top", "width", "height"})
_BOUNDS = {
    kind: (np.iinfo(kind.to_pandas_dtype()).min, np.iinfo(kind.to_pandas_dtype()).max)
    for kind in (pa.int8(), pa.int16(), pa.int32(), pa.uint8(), pa.uint16(), pa.uint32())
}


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
        kinds = {
            item.name: _kind_of(item.type) for stream in streams for item in WIRE[stream]
        }
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
    open_ended = any(pa.types.is_null(item.type) for item in schema)  # JSONL: later rows may hold more
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
    mapping: Mapping, table: pa.Table, rows: np.ndarray, *, sessions: Sessions, now_us: int, name: str
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
        _convert_foreign(result, mapping, table, sieve, (group, stream), sessions, now_us)
    result.refusals = sorted({*sieve.refusals(), *result.refusals})
    return result


def _streams(
    mapping: Mapping, table: pa.Table, rows: np.ndarray, sieve: Sieve, name: str
) -> Words:
    if isinstance(mapping.stream, str):
        return Words(np.zeros(len(table), dtype=np.int64), [mapping.stream])
    words = evaluate_words(mapping.stream, table, None)
    sieve.refuse(words.refused(), "stream", "mapping.translate")
    known = np.array(
        [value in WIRE or (value is None and mapping.stream.otherwise == DROP) for value in words.values],
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
        here = np.flatnonzero(stream.index == number)
        part = table if len(here) == len(table) else table.take(pa.array(here))
        own = Sieve(sieve.rows[here])
        own.ok &= sieve.ok[here]
        names = set(WIRE[target].names) | {"stream"}
        for column in part.schema.names:
            if column not in names and part.column(column).null_count < len(part):
                own.refuse(~_nulls(part.column(column)), column, "wire.foreign_field")
        columns = [
            fit_column(part.column(item.name), item, own)
            for item in WIRE[target]
        ]
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
    return pa.schema([item.with_nullable(True) for item in schema])


def _nulls(column: Any) -> np.ndarray:
    return np.asarray(column.is_null().to_numpy(zero_copy_only=False), dtype=bool) if isinstance(
        column, pa.Array
    ) else np.asarray(column.combine_chunks().is_null().to_numpy(zero_copy_only=False), dtype=bool)


def fit_column(column: Any, target: pa.Field, sieve: Sieve) -> pa.Array:
    """Bring one column to its wire type; what does not fit is refused, coordinates are clamped.

    Args:
        column: The column, of the kind the source was asked for.
        target: The wire field.
        sieve: Where refusals go.
    """
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):
        array = pa.nulls(0, array.type)
    kind = target.type
    if not target.nullable and array.null_count:
        sieve.refuse(_nulls(array), target.name, "wire.missing")
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if kind in _BOUNDS and pa.types.is_integer(array.type):
        return _fit_integer(array, target, sieve)
    if pa.types.is_timestamp(kind) or pa.types.is_duration(kind):
        return array.cast(pa.int64()).cast(kind)
    if pa.types.is_fixed_size_binary(kind) and pa.types.is_binary(array.type):
        wrong = pc.not_equal(pc.binary_length(array), kind.byte_width).fill_null(False)  # noqa: FBT003
        bad = np.asarray(wrong.to_numpy(zero_copy_only=False), dtype=bool)
        sieve.refuse(bad, target.name, "wire.length")
        array = pc.if_else(pa.array(bad), pa.scalar(b"\0" * kind.byte_width, pa.binary()), array)
    return array.cast(kind)


def _fit_integer(array: pa.Array, target: pa.Field, sieve: Sieve) -> pa.Array:
    low, high = _BOUNDS[target.type]
    present = ~_nulls(array) if array.null_count else np.ones(len(array), dtype=bool)
    values = array.fill_null(0).to_numpy(zero_copy_only=False)
    outside = present & ((values < low) | (values > high))
    if outside.any():
        if target.name not in COORDINATES:
            sieve.refuse(outside, target.name, "wire.range")
        values = np.clip(values, low, high)
    mask = None if array.null_count == 0 else ~present
    return pa.array(values.astype(target.type.to_pandas_dtype()), target.type, mask=mask)


@dataclass(frozen=True, slots=True)
class _Timed:
    """Events before their fields are read: which foreign row, what kind, and when."""

    index: np.ndarray
    kind: np.ndarray | None
    mono: np.ndarray
    t: np.ndarray
    seq: np.ndarray


def _convert_foreign(
    result: Converted,
    mapping: Mapping,
    table: pa.Table,
    sieve: Sieve,
    who: tuple[Words, Words],
    sessions: Sessions,
    now_us: int,
) -> None:
    group, stream = who
    left_out = np.array([value is None for value in stream.values], dtype=bool)[stream.index]
    if count := int((left_out & sieve.ok).sum()):
        result.dropped["not_mapped"] += count
    press, release = _times(mapping, table, sieve)
    anchor = now_us - now_us % DAY_US
    for number, target in enumerate(stream.values):
        if target is None or not isinstance(target, str):
            continue
        here = np.flatnonzero((stream.index == number) & sieve.ok)
        if not len(here):
            continue
        held = _held(mapping, target, table, here, group.index, press, release)
        timed = _order(mapping, here, group.index, press, release)
        timed = _number(mapping, timed, group, target, sessions, table, (anchor, now_us))
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
                columns.append(_evaluate(expression, item, target, part, own, shift))
        result.refusals.extend(own.refusals())
        _keep(result, target, columns, own, group.index[timed.index])


def _evaluate(
    expression: Expression,
    item: pa.Field,
    target: str,
    table: pa.Table,
    sieve: Sieve,
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
    return fit_column(words.array(pa.string()), item, sieve)


def _times(mapping: Mapping, table: pa.Table, sieve: Sieve) -> tuple[np.ndarray, np.ndarray]:
    """Return when each row began and ended, in microseconds."""
    time = mapping.time
    names = (time.press, time.release) if time.press else (time.column, time.column)
    found = []
    for name in names:
        column = table.column(name).combine_chunks()
        sieve.refuse(_nulls(column), name, "wire.missing")
        values = column.fill_null(0).to_numpy(zero_copy_only=False)
        limit = 2**62 // time.unit_us
        if pa.types.is_floating(column.type):
            sieve.refuse(~np.isfinite(values) | (np.abs(values) > limit), name, "wire.range")
            values = np.where(sieve.ok, values * time.unit_us, 0).astype(np.int64)
        else:
            sieve.refuse((values > limit) | (values < -limit), name, "wire.range")
            values = np.where(sieve.ok, values, 0).astype(np.int64) * time.unit_us
        if time.rebase:
            sieve.refuse(values < 0, name, "time.before_session")
        found.append(values)
    if time.press:
        sieve.refuse(found[1] < found[0], time.release, "time.release_before_press")
    return found[0], found[1]


def _order(
    mapping: Mapping, here: np.ndarray, group: np.ndarray, press: np.ndarray, release: np.ndarray
) -> _Timed:
    empty = np.zeros(0, dtype=np.int64)
    if not mapping.time.press:
        return _Timed(here, None, press[here], empty, empty)
    index = np.concatenate([here, here])
    kind = np.repeat(np.array([KeyKind.DOWN, KeyKind.UP], dtype=np.uint8), len(here))
    moment = np.concatenate([press[here], release[here]])
    order = np.lexsort((kind == KeyKind.UP, index, moment, group[index]))
    return _Timed(index[order], kind[order], moment[order], empty, empty)


def _number(
    mapping: Mapping,
    timed: _Timed,
    group: Words,
    target: str,
    sessions: Sessions,
    table: pa.Table,
    moments: tuple[int, int],
) -> _Timed:
    """Give each event its ``mono``, ``t`` and ``seq``, continuing sessions begun in earlier chunks."""
    anchor, now_us = moments
    code = group.index[timed.index]
    order = np.argsort(code, kind="stable")
    sorted_code = code[order]
    starts = np.flatnonzero(np.r_[True, sorted_code[1:] != sorted_code[:-1]])
    states = [sessions.get(group.values[number]) for number in sorted_code[starts].tolist()]
    lengths = np.diff(np.r_[starts, len(order)])
    value = timed.mono[order]
    if mapping.time.rebase:
        mono = value
    else:
        for state, first in zip(states, starts.tolist(), strict=True):
            if state.start_us < 0:
                state.start_us = int(value[first])
        mono = value - np.repeat([state.start_us for state in states], lengths)
    if mapping.time.clamp:
        last = np.array([state.streams.get(target, (0, -1, 0))[2] for state in states])
        mono = running_max(mono, np.repeat(np.arange(len(starts)), lengths), np.repeat(last, lengths))
    if mapping.seq:
        seq = table.column(mapping.seq).combine_chunks().fill_null(-1).to_numpy()[timed.index][order]
    else:
        before = np.array([state.streams.get(target, (0, -1, 0))[0] for state in states])
        seq = np.arange(len(order)) - np.repeat(starts, lengths) + np.repeat(before, lengths)
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    t = np.minimum(anchor + mono, now_us) if mapping.time.rebase else value
    return _Timed(
        timed.index, timed.kind, mono[back], t[back], np.asarray(seq, dtype=np.int64)[back]
    )


def running_max(values: np.ndarray, segment: np.ndarray, least: np.ndarray) -> np.ndarray:
    """Return the running maximum within each segment; segments are numbered in order.

    Args:
        values: The numbers.
        segment: Which segment each belongs to.
        least: A floor for each.
    """
    if not len(values):
        return values
    raised = np.maximum(values, least)
    low, high = int(raised.min()), int(raised.max())
    span = high - low + 1
    if span * (int(segment[-1]) + 1) < 2**62:
        return np.maximum.accumulate(raised - low + segment * span) - segment * span + low
    result = raised.copy()
    starts = np.flatnonzero(np.r_[True, segment[1:] != segment[:-1]])
    for start, stop in zip(starts, np.r_[starts[1:], len(values)], strict=True):
        result[start:stop] = np.maximum.accumulate(result[start:stop])
    return result


def _held(
    mapping: Mapping,
    target: str,
    table: pa.Table,
    here: np.ndarray,
    group: np.ndarray,
    press: np.ndarray,
    release: np.ndarray,
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return whether Shift is held at each press, and the mask of modifiers held.

    A modifier is held while an earlier press of it in the same session has not been released: the latest
    release so far lies after this press.
    """
    if target != "key" or not mapping.time.press:
        return None
    column = next(
        (
            expression.columns[0]
            for top in mapping.fields[target].values()
            for expression in (top, top.empty)
            if expression is not None and (expression.table or expression.held)
        ),
        "",
    )
    if not column:
        return None
    numbers = table.column(column).combine_chunks().fill_null(0).to_numpy()[here]
    order = np.lexsort((press[here], group[here]))
    code = group[here][order]
    starts = np.r_[True, code[1:] != code[:-1]]
    segment = np.cumsum(starts) - 1
    mask = np.zeros(len(group), dtype=np.uint8)
    floor = np.full(len(order), -1, dtype=np.int64)
    for bit, modifier in ((1, keycode.SHIFT), (2, keycode.CONTROL), (4, keycode.ALT)):
        until = np.where(numbers[order] == modifier, release[here][order], -1)
        latest = running_max(until, segment, floor)
        earlier = np.r_[-1, latest[:-1]]
        earlier[starts] = -1
        mask[here[order]] |= np.where(earlier > press[here][order], bit, 0).astype(np.uint8)
    return (mask & 1).astype(bool), mask
