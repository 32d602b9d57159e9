"""When events happened: relative and absolute times, pairs of press and release, numbering."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from safehold.ingest import keycode
from safehold.ingest.expression import Words, encode_words
from safehold.ingest.fit import find_nulls
from safehold.ingest.mapping import Mapping
from safehold.ingest.moment import read_moment
from safehold.ingest.refusal import Sieve
from safehold.ingest.session import Sessions
from safehold.telemetry.stream import KeyKind


@dataclass(frozen=True, slots=True)
class Timed:
    """Events before their fields are read: which foreign row, what kind, and when.

    Args:
        index: Foreign row of each event.
        kind: Down or up, where one row makes both.
        mono: Time since the session began, microseconds.
        t: Wall clock, microseconds since 1970.
        seq: Its number.
    """

    index: np.ndarray
    kind: np.ndarray | None
    mono: np.ndarray
    t: np.ndarray
    seq: np.ndarray


def read_times(mapping: Mapping, table: pa.Table, sieve: Sieve) -> tuple[np.ndarray, np.ndarray]:
    """Return when each row began and ended, in microseconds."""
    time = mapping.time
    if time.now:
        return np.zeros(len(table), np.int64), np.zeros(len(table), np.int64)
    if time.written:
        words = encode_words(table.column(time.column))
        moments = [read_moment(value, time) for value in words.values]
        wrong = np.array([moment is None for moment in moments], dtype=bool)
        sieve.refuse(wrong[words.index], time.column, "time.format")
        values = np.array([moment or 0 for moment in moments], dtype=np.int64)[words.index]
        return values, values
    names = (time.press, time.release) if time.press else (time.column, time.column)
    found = []
    for name in names:
        column = table.column(name).combine_chunks()
        sieve.refuse(find_nulls(column), name, "wire.missing")
        values = column.fill_null(0).to_numpy(zero_copy_only=False)
        limit = 2**62 // time.unit_us
        if pa.types.is_floating(column.type):
            sieve.refuse(~np.isfinite(values) | (np.abs(values) > limit), name, "wire.range")
            # what is refused must not be multiplied: it may be no number, or too large for one
            values = (np.where(sieve.ok, values, 0) * time.unit_us).astype(np.int64)
        else:
            sieve.refuse((values > limit) | (values < -limit), name, "wire.range")
            values = np.where(sieve.ok, values, 0).astype(np.int64) * time.unit_us
        if time.rebase:
            sieve.refuse(values < 0, name, "time.before_session")
        found.append(values)
    if time.press:
        sieve.refuse(found[1] < found[0], time.release, "time.release_before_press")
    return found[0], found[1]


def order_events(
    mapping: Mapping, here: np.ndarray, group: np.ndarray, press: np.ndarray, release: np.ndarray
) -> Timed:
    """Return the events of these rows; one with press and release makes two, in order of time."""
    empty = np.zeros(0, dtype=np.int64)
    if not mapping.time.press:
        return Timed(here, None, press[here], empty, empty)
    index = np.concatenate([here, here])
    kind = np.repeat(np.array([KeyKind.DOWN, KeyKind.UP], dtype=np.uint8), len(here))
    moment = np.concatenate([press[here], release[here]])
    order = np.lexsort((kind == KeyKind.UP, index, moment, group[index]))
    return Timed(index[order], kind[order], moment[order], empty, empty)


def number_events(
    mapping: Mapping,
    timed: Timed,
    group: Words,
    target: str,
    *,
    sessions: Sessions,
    table: pa.Table,
    moments: tuple[int, int],
) -> Timed:
    """Give each event its ``mono``, ``t`` and ``seq``, going on where earlier chunks ended."""
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
        mono = running_max(
            mono, np.repeat(np.arange(len(starts)), lengths), np.repeat(last, lengths)
        )
    if mapping.seq:
        seq = (
            table.column(mapping.seq).combine_chunks().fill_null(-1).to_numpy()[timed.index][order]
        )
    else:
        before = np.array([state.streams.get(target, (0, -1, 0))[0] for state in states])
        seq = np.arange(len(order)) - np.repeat(starts, lengths) + np.repeat(before, lengths)
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    t = np.minimum(anchor + mono, now_us) if mapping.time.rebase else value
    return Timed(
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
        shifted = np.maximum.accumulate(raised - low + segment * span)
        return np.asarray(shifted - segment * span + low)
    result = np.array(raised)
    starts = np.flatnonzero(np.r_[True, segment[1:] != segment[:-1]])
    for start, stop in zip(starts, np.r_[starts[1:], len(values)], strict=True):
        result[start:stop] = np.maximum.accumulate(result[start:stop])
    return result


def find_held(
    mapping: Mapping,
    target: str,
    table: pa.Table,
    here: np.ndarray,
    group: np.ndarray,
    *,
    press: np.ndarray,
    release: np.ndarray,
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return whether Shift is held at each press, and the mask of modifiers held.

    A modifier is held while an earlier press of it in the same session has not been released: the
    latest release so far lies after this press.
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
