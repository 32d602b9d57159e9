"""Pointer events at each level, without a loop over events.

At L3 a pointer stream is a sequence of user-interface actions: a click with the role of its
target, a drag, a run of scrolling. Moves, places, buttons and times are gone.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from safehold.clock import SECOND_US
from safehold.dlp.context import numbers_of, sessions_of
from safehold.dlp.level import (
    TENTH_US,
    floor_times,
    marks_columns,
    put_columns,
    time_columns,
    without_time,
)
from safehold.telemetry.stream import Level, PointerKind

Ints = npt.NDArray[np.int64]
GRID: Final = 64  # px


def reduce_pointer(table: pa.Table, level: Level) -> pa.Table:
    """Return the pointer events a level leaves.

    Args:
        table: Events in wire form.
        level: The level.
    """
    t, mono = numbers_of(table, "t"), numbers_of(table, "mono")
    rows = table.num_rows
    if level == Level.L0:
        return put_columns(table, marks_columns(np.zeros(rows, np.uint32), level))
    if level == Level.L1:
        t, mono = floor_times(t, mono, step=TENTH_US)
        columns = time_columns(t, mono) | marks_columns(np.zeros(rows, np.uint32), level)
        return put_columns(table, columns)
    (session,) = sessions_of(table)
    order = np.lexsort((numbers_of(table, "seq"), session))
    session, mono_in = session[order], mono[order]
    kind = _clicks(numbers_of(table, "kind")[order], session)
    left = _endpoints(kind, session, mono_in) if level == Level.L2 else _actions(kind, session)
    kinds = np.zeros(rows, np.int64)
    kinds[order] = kind
    kept = np.sort(order[left])
    return _reduce(table.take(pa.array(kept)), kinds[kept], level)


def _reduce(table: pa.Table, kind: Ints, level: Level) -> pa.Table:
    rows = table.num_rows
    t, mono = numbers_of(table, "t"), numbers_of(table, "mono")
    click = kind == PointerKind.CLICK
    columns: dict[str, pa.Array] = {"kind": pa.array(kind.astype(np.uint8))}
    role = table.column("target_role").combine_chunks()
    columns["target_role"] = pc.if_else(pa.array(click), role, pa.scalar(None, role.type))
    hidden = ["buttons", "wheel_dx", "wheel_dy"]
    if level == Level.L2:
        t, mono = floor_times(t, mono, step=SECOND_US)
        for name in ("x", "y"):
            values = table.column(name).combine_chunks()
            whole = pc.fill_null(values, 0).to_numpy().astype(np.int64) // GRID * GRID
            columns[name] = pa.array(
                whole, pa.int32(), mask=pc.is_null(values).to_numpy(zero_copy_only=False)
            )
        button = table.column("button").combine_chunks()
        columns["button"] = pc.if_else(pa.array(click), button, pa.scalar(None, button.type))
    else:
        t, mono = without_time(t)
        hidden += ["x", "y", "display", "button"]
    columns |= {name: pa.nulls(rows, table.schema.field(name).type) for name in hidden}
    columns |= time_columns(t, mono) | marks_columns(np.zeros(rows, np.uint32), level)
    return put_columns(table, columns)


def _clicks(kind: Ints, session: Ints) -> Ints:
    """Where a session reports no clicks, read them from presses; a press before a drag is none."""
    told = np.isin(session, np.unique(session[kind == PointerKind.CLICK]))
    still = np.flatnonzero(kind != PointerKind.MOVE)
    following = np.full(len(kind), -1, np.int64)
    if len(still) > 1:
        same = session[still[1:]] == session[still[:-1]]
        following[still[:-1]] = np.where(same, kind[still[1:]], -1)
    press = (kind == PointerKind.PRESS) & ~told & (following != PointerKind.DRAG)
    return np.where(press, int(PointerKind.CLICK), kind)


def _endpoints(kind: Ints, session: Ints, mono: Ints) -> Ints:
    placed = np.flatnonzero((kind == PointerKind.MOVE) | (kind >= PointerKind.SCROLL))
    second = mono[placed] // SECOND_US
    last = np.ones(len(placed), bool)
    last[:-1] = (second[1:] != second[:-1]) | (session[placed][1:] != session[placed][:-1])
    return np.concatenate([placed[last], np.flatnonzero(kind == PointerKind.CLICK)])


def _actions(kind: Ints, session: Ints) -> Ints:
    live = np.flatnonzero(kind >= PointerKind.CLICK)
    first = np.ones(len(live), bool)
    first[1:] = (kind[live][1:] != kind[live][:-1]) | (session[live][1:] != session[live][:-1])
    # a new press between two drags makes two of them
    presses = np.cumsum(kind == PointerKind.PRESS)[live]
    first[1:] |= presses[1:] != presses[:-1]
    kept: Ints = live[first | (kind[live] == PointerKind.CLICK)]
    return kept
