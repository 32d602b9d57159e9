"""Levels: how much of the time and the place of an event is left.

======  =======================================  ==========================================
level   keys                                     pointer
======  =======================================  ==========================================
L0      raw, masked                              raw
L1      100 ms and the zone of the key           100 ms
L2      class; four buckets of gaps; no holds    clicks and the last event of each second,
                                                 1 s, 64 px grid
L3      order of key classes, no timing          user-interface actions, no timing, no place
L4      nothing: only aggregates may leave       nothing
======  =======================================  ==========================================
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from safehold.clock import DAY_US, SECOND_US
from safehold.dlp.engine.rows import constant_of, whole_of
from safehold.telemetry.schema import T
from safehold.telemetry.stream import Level

Ints = npt.NDArray[np.int64]
TENTH_US: Final = 100_000
# gaps below 0.25, 1 and 3 s, and longer ones; each gap becomes the middle of its bucket
GAP_BORDERS_US: Final = np.array([250_000, SECOND_US, 3 * SECOND_US], np.int64)
GAP_VALUES_US: Final = np.array([125_000, 625_000, 2 * SECOND_US, 5 * SECOND_US], np.int64)


def floor_times(t: Ints, mono: Ints, *, step: int) -> tuple[Ints, Ints]:
    """Round both clocks down to a step in microseconds, on one grid.

    Two grids would lie across each other and together tell the time more finely than either. So the
    wall clock is that of the session's begin, rounded, and the rounded time since.
    """
    whole = mono // step * step
    return np.maximum((t - mono) // step * step + whole, 0), whole


def without_time(t: Ints) -> tuple[Ints, Ints]:
    """Return the start of the UTC day, and zero for the monotonic clock."""
    return t // DAY_US * DAY_US, np.zeros(len(t), np.int64)


def bucket_gaps(session: Ints, mono: Ints) -> Ints:
    """Return monotonic times made of bucketed gaps, per session.

    Args:
        session: Session of each event, non-decreasing.
        mono: Monotonic time in microseconds.
    """
    if not len(mono):
        return mono
    gap = np.diff(mono, prepend=mono[0])
    value = GAP_VALUES_US[np.searchsorted(GAP_BORDERS_US, gap, side="right")]
    new = np.r_[True, session[1:] != session[:-1]]
    value[new] = 0
    total = np.cumsum(value)
    return total - np.maximum.accumulate(np.where(new, total, 0))


def coarse_times(level: Level, t: Ints, mono: Ints) -> tuple[Ints, Ints]:
    """Return the times of an event that is not a key and not a pointer event."""
    if level >= Level.L3:
        return without_time(t)
    if level == Level.L0:
        return t, mono
    return floor_times(t, mono, step=TENTH_US if level == Level.L1 else SECOND_US)


def take_rows(table: pa.Table, rows: npt.NDArray[np.int64]) -> pa.Table:
    """Return some rows of a table; a column that holds one value, or none, is not copied.

    Args:
        table: The table.
        rows: Their numbers, each once.
    """
    columns = []
    for item in table.schema:
        column = whole_of(table.column(item.name))
        alike = column.null_count == len(column)
        alike = alike or (pa.types.is_string(item.type) and constant_of(column) is not None)
        columns.append(column.slice(0, len(rows)) if alike else column.take(pa.array(rows)))
    return pa.Table.from_arrays(columns, schema=table.schema)


def put_columns(table: pa.Table, values: dict[str, pa.Array]) -> pa.Table:
    """Return the table with some columns replaced, in its own types, or added."""
    for name, value in values.items():
        at = table.schema.get_field_index(name)
        if at < 0:
            table = table.append_column(name, value)
        else:
            field = table.schema.field(at)
            table = table.set_column(at, field, value.cast(field.type))
    return table


def time_columns(t: Ints, mono: Ints) -> dict[str, pa.Array]:
    """Return ``t`` and ``mono`` as Arrow arrays."""
    return {"t": pa.array(t).cast(T), "mono": pa.array(mono).cast(pa.duration("us"))}


def marks_columns(sens: npt.NDArray[np.uint32], level: Level) -> dict[str, pa.Array]:
    """Return ``sens`` and ``minim``."""
    return {
        "sens": pa.array(sens.astype(np.uint32)),
        "minim": pa.array(np.full(len(sens), int(level), np.uint8)),
    }
