"""Pointer events of a protected stream, with whatever the level still tells about them."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from safehold.assurance.reidentify.forest import grouped_quantiles
from safehold.assurance.reidentify.keys import by_appearance
from safehold.assurance.reidentify.trail import Bools, Floats, Ints, Trail, split_runs
from safehold.dlp.context import numbers_of, sessions_of, words_of
from safehold.telemetry.stream import Level, PointerKind

REST_MS: Final = 300.0  # a longer pause ends a stroke
SHORTEST: Final = 4  # events of a stroke
QUARTERS: Final = (0.1, 0.5, 0.9)


def read_pointer(table: pa.Table) -> Trail:
    """Return the pointer events of a table that was minimised.

    Measurements: ``gap`` in ms since the event before it in the same sitting; ``x``, ``y`` in pixels, ``dx``, ``dy``
    the way since the event before. Views: ``act`` is the kind with the role of the target, ``kind`` the kind alone.

    Args:
        table: Wire form with ``minim``, one level.
    """
    level = Level(int(table.column("minim")[0].as_py())) if table.num_rows else Level.L4
    (session,) = sessions_of(table)
    session = by_appearance(session)
    order = np.lexsort((np.arange(len(session)), session))
    table, run = table.take(pa.array(order)), session[order]
    same = np.r_[False, run[1:] == run[:-1]] if len(run) else np.zeros(0, bool)
    gap = np.full(len(run), np.nan)
    if level <= Level.L2:
        gap = _change(numbers_of(table, "mono") / 1000.0, same)
    place = [_number(table, name) for name in ("x", "y")]
    ways = [_change(value, same) for value in place]
    kind = numbers_of(table, "kind")
    role, roles = words_of(table.column("target_role"))
    both, act = np.unique(kind * len(roles) + role, return_inverse=True)
    words = tuple(
        f"{PointerKind(number // len(roles)).name} {roles[number % len(roles)] or ''}".strip()
        for number in both.tolist()
    )
    views: dict[str, tuple[Ints, tuple[str, ...]]] = {"act": (act, words)}
    if any(name is not None for name in roles):
        views["kind"] = (kind, tuple(one.name for one in PointerKind))
    index, people = words_of(table.column("person"))
    return Trail(
        people=tuple(str(name) for name in people if name is not None),
        person=index,
        run=run,
        probe=split_runs(index, run),
        views=views,
        numbers=np.stack([gap, *place, *ways], axis=1),
        names=("gap", "x", "y", "dx", "dy"),
    )


def _number(table: pa.Table, name: str) -> Floats:
    column = table.column(name).combine_chunks().cast(pa.float64())
    values: Floats = pc.fill_null(column, float("nan")).to_numpy(zero_copy_only=False)
    return values


def _change(value: Floats, same: Bools) -> Floats:
    change: Floats = np.where(same, np.diff(value, prepend=value[:1]), np.nan)
    return change


def number_strokes(trail: Trail) -> Ints:
    """Number the strokes: they end with a press, a release, a click, or a pause; too short ones join the next."""
    index, words = trail.views["act"]
    stops = np.array([not word.startswith(("MOVE", "DRAG")) for word in words])[index]
    gap = trail.number("gap")
    new = np.isnan(gap) | (gap > REST_MS)
    new[1:] |= stops[:-1]
    part = trail.run * 2 + trail.probe
    edge = np.r_[True, part[1:] != part[:-1]]
    stroke: Ints = np.cumsum(new | edge) - 1
    size = np.bincount(stroke)
    first = np.flatnonzero(new | edge)
    keep = (size >= SHORTEST) | edge[first]
    joined: Ints = (np.cumsum(keep) - 1)[stroke]
    return joined


def stroke_features(trail: Trail, stroke: Ints) -> Floats:
    """Return features of each stroke: length, straightness, speed, acceleration, bend, rhythm, where, and how it ends.

    Args:
        trail: Events of a level that keeps moves.
        stroke: Number of the stroke of each event, from 0.
    """
    groups = int(stroke.max(initial=-1)) + 1
    size = np.bincount(stroke, minlength=groups).astype(float)
    first = np.flatnonzero(np.r_[True, stroke[1:] != stroke[:-1]])
    last = np.r_[first[1:], len(stroke)] - 1
    inner = np.ones(len(stroke), bool)
    inner[first] = False
    gap = np.where(inner, np.maximum(trail.number("gap"), 1.0), np.nan)
    dx, dy = (np.where(inner, trail.number(name), np.nan) for name in ("dx", "dy"))
    step = np.hypot(dx, dy)
    speed = step / gap
    harder = np.where(inner, np.diff(speed, prepend=np.nan), np.nan) / gap
    heading = np.arctan2(dy, dx)
    turn = np.abs(np.angle(np.exp(1j * np.diff(heading, prepend=np.nan))))
    turn[(step <= 0) | ~inner] = np.nan
    x, y = trail.number("x"), trail.number("y")
    far_x, far_y = x[last] - x[first], y[last] - y[first]
    straight = np.hypot(far_x, far_y)
    length = np.bincount(stroke, weights=np.nan_to_num(step), minlength=groups)
    time = np.bincount(stroke, weights=np.nan_to_num(gap), minlength=groups)
    index, words = trail.views["act"]
    ends = np.eye(len(words))[index[last]] if len(words) <= 12 else np.zeros((groups, 0))
    columns: list[Floats] = [
        np.log1p(size)[:, None], np.log1p(length)[:, None], np.log1p(time)[:, None],
        (straight / (length + 1))[:, None], np.log1p(straight)[:, None],
        np.arctan2(far_y, far_x)[:, None], x[first][:, None], y[first][:, None],
        x[last][:, None], y[last][:, None],
        np.log1p(np.nan_to_num(trail.number("gap")[first], nan=0.0))[:, None], ends,
    ]  # fmt: skip
    spread = (np.log1p(speed), np.cbrt(harder), turn, np.log(gap), np.log1p(step))
    columns += [grouped_quantiles(value, stroke, groups, QUARTERS) for value in spread]
    return np.concatenate(columns, axis=1)
