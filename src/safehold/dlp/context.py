"""Where nothing is recorded: password fields, and windows the charter denies.

A denied window is known by application, host or title. It stays denied for some seconds after it
has lost the focus, for that is when a copied password is pasted elsewhere. The seconds are
counted on the monotonic clock within one session.

A window that came to the front in an earlier chunk is still in front: ``denied_so_far`` says what
has to be remembered of it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from safehold.clock import SECOND_US
from safehold.dlp.engine.rows import constant_of
from safehold.dlp.pattern import compile_expression, read_data
from safehold.dlp.rules import LONGEST_AFTER_S, Rules
from safehold.telemetry.stream import VOCABULARIES, FocusKind

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
_SPAN: Final = 1 << 42  # us, 50 days: longest session told apart; what is later counts as this late
_LONG: Final = _SPAN - 1
_LONGEST_AFTER_US: Final = LONGEST_AFTER_S * SECOND_US
_OPEN_FIELDS: Final = VOCABULARIES["field_kind"] - {"password"}


@dataclass(frozen=True, slots=True)
class Contexts:
    """Built-in denied contexts, and the classes of titles."""

    apps: frozenset[str]
    hosts: frozenset[str]
    labels: tuple[str, ...]
    title: Any
    classes: tuple[tuple[str, Any], ...]


@cache
def load_contexts() -> Contexts:
    """Return the contexts of the data file."""
    data = json.loads(read_data("contexts.json"))
    every = data["contexts"].values()
    titles = "|".join(f"(?:{each['titles']})" for each in every if each["titles"])
    return Contexts(
        apps=frozenset(app for each in every for app in each["apps"]),
        hosts=frozenset(host for each in every for host in each["hosts"]),
        labels=tuple(label for each in every for label in each["labels"]),
        title=compile_expression("(?i)" + titles),
        classes=tuple(
            (name, compile_expression("(?i)" + pattern)) for name, pattern in data["titles"].items()
        ),
    )


def title_class(title: str | None, app: str | None = None) -> str:
    """Return what kind of window a title belongs to, ``other`` when no class fits."""
    for text in (app, title):
        if text:
            for name, pattern in load_contexts().classes:
                if pattern.search(text[:1024]):
                    return name
    return "other"


def is_password_field(kind: str | None) -> int:
    """Return 0 for the kinds of field that are known to be none, and where nothing is said.

    A kind that is not known may be a password field in another spelling.
    """
    return int(kind is not None and kind not in _OPEN_FIELDS)


def _is_denied_app(app: str | None, rules: Rules) -> int:
    if not app:
        return 0
    name = app.lower()
    short = name.rsplit("/", 1)[-1].rsplit("\\", 1)[-1].removesuffix(".exe").removesuffix(".app")
    known = load_contexts()
    return int(bool({name, short} & (known.apps | rules.denied_apps)))


def _is_denied_host(host: str | None, rules: Rules) -> int:
    if not host:
        return 0
    known = load_contexts()
    name = host.lower().split("://")[-1].split("/")[0].split("@")[-1].split(":")[0].rstrip(".")
    labels = name.split(".")
    for place in range(len(labels)):
        if (
            ".".join(labels[place:]) in known.hosts
            or ".".join(labels[place:]) in rules.denied_hosts
        ):
            return 1
    return int(any(_begins(label, known.labels) for label in labels[: max(1, len(labels) - 1)]))


def _begins(label: str, starts: tuple[str, ...]) -> int:
    return int(any(label == start or label.startswith(start + "-") for start in starts))


def _is_denied_title(title: str | None) -> int:
    return int(bool(title) and load_contexts().title.search(str(title)[:4096]) is not None)


def words_of(column: Any) -> tuple[Ints, list[str | None]]:
    """Return a number per row and the value of each number; nulls have one as well."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if not pa.types.is_dictionary(array.type):
        if array.null_count == len(array):  # a column that the recorder does not fill
            return np.zeros(len(array), np.int64), [None]
        one = constant_of(array) if pa.types.is_string(array.type) else None
        if one is not None:  # as of a recorder, a person: much cheaper than to number the rows
            return np.zeros(len(array), np.int64), [one.decode(), None]
        array = array.dictionary_encode()
    values: list[str | None] = [*array.dictionary.to_pylist(), None]
    index = array.indices
    if index.null_count:
        index = pc.fill_null(index.cast(pa.int64()), len(values) - 1)
    return index.to_numpy(zero_copy_only=False).astype(np.int64, copy=False), values


def distinct(code: Ints) -> tuple[Ints, Ints]:
    """Return what ``np.unique`` does, with the inverse: by counting where numbers are small."""
    top = int(code.max(initial=0))
    if not len(code) or top > 4 * len(code) or int(code.min()) < 0:
        values, inverse = np.unique(code, return_inverse=True)
        return values, inverse
    there = np.zeros(top + 1, bool)
    there[code] = True
    return np.flatnonzero(there), (np.cumsum(there) - 1)[code]


def _flags(column: Any, judge: Any) -> Bools:
    index, values = words_of(column)
    return np.array([bool(judge(value)) for value in values])[index]


def numbers_of(table: pa.Table, name: str) -> Ints:
    """Return a time or number column as integers; nulls are 0."""
    column = table.column(name)
    if column.null_count == len(column):  # a column that the recorder does not fill
        return np.zeros(len(column), np.int64)
    if pa.types.is_temporal(column.type):
        column = column.cast(pa.int64())
    return np.asarray(pc.fill_null(column, 0).to_numpy(), np.int64)


def sessions_of(*tables: pa.Table) -> list[Ints]:
    """Number the sessions (person, device, session) alike over several tables."""
    joined = pa.concat_tables([t.select(["person", "device", "session"]) for t in tables])
    code = np.zeros(joined.num_rows, np.int64)
    for name in ("person", "device", "session"):
        index, _ = words_of(joined.column(name))
        if top := int(index.max(initial=0)):  # one value for all divides nothing
            _, code = distinct(code * (top + 1) + index)
    ends = np.cumsum([t.num_rows for t in tables])[:-1]
    return list(np.split(code.astype(np.int64), ends))


def denied_events(table: pa.Table, rules: Rules, focus: pa.Table | None) -> Bools:
    """Tell which events lie in a denied context or within the seconds after one.

    Args:
        table: Events in wire form.
        rules: The stream's rules.
        focus: Focus events of the same sessions, where there are any.
    """
    if "url_host" in table.schema.names:  # focus events: each is judged by itself
        return _denied_windows(table, rules)
    own = _flags(table.column("app"), lambda app: _is_denied_app(app, rules))
    windows = None if focus is None or not focus.num_rows else focus
    if windows is None and not own.any():
        return own
    after = rules.after_s * SECOND_US
    parts = sessions_of(table) if windows is None else sessions_of(table, windows)
    group, mono = parts[0], np.clip(numbers_of(table, "mono"), 0, _LONG)
    starts, ends, groups = [mono[own]], [mono[own] + after], [group[own]]
    if windows is not None:
        bad, begin, end, session = _intervals(windows, parts[1], rules)
        starts.append(begin[bad])
        ends.append(end[bad] + after)
        groups.append(session[bad])
        own |= _in_context(table, windows, group, parts[1], rules)
    start = np.concatenate(groups) * _SPAN * 2 + np.concatenate(starts)
    if not len(start):
        return own
    until = np.concatenate(groups) * _SPAN * 2 + np.concatenate(ends)
    order = np.argsort(start, kind="stable")
    start, until = start[order], np.maximum.accumulate(until[order])
    at = group * _SPAN * 2 + mono
    place = np.searchsorted(start, at, side="right") - 1
    return own | ((place >= 0) & (until[np.maximum(place, 0)] >= at))


def denied_so_far(focus: pa.Table, rules: Rules) -> pa.Table:
    """Return what later chunks must know of these windows: the denied ones, and what ended each.

    Args:
        focus: Focus events in wire form; those of earlier chunks may come first.
        rules: Which windows are denied.

    Returns:
        Focus events without titles, names and hosts: a denied window has the name of one that is
        denied everywhere. What ended long ago is left out.
    """
    (session,) = sessions_of(focus)
    mono = numbers_of(focus, "mono")
    order = np.lexsort((mono, session))
    bad = _denied_windows(focus, rules)
    away = (numbers_of(focus, "kind") == FocusKind.AFK) & ~bad
    order = order[~away[order]]  # an absence does not end a window
    if not bad.any():
        return focus.slice(0, 0)
    here, who, when = bad[order], session[order], mono[order]
    same = np.r_[False, who[1:] == who[:-1]]
    ends = np.r_[False, here[:-1]] & same
    latest = np.zeros(int(who.max()) + 1, np.int64)
    np.maximum.at(latest, who, when)
    until = np.r_[when[1:], 0]  # when the window lost the focus; the last one still has it
    until[np.r_[~same[1:], True]] = _LONG
    fresh = np.where(here, until, when) >= latest[who] - _LONGEST_AFTER_US
    kept = order[(here | ends) & fresh]
    names = np.where(bad[kept], min(load_contexts().apps), "window")
    table = focus.take(pa.array(kept))
    hidden = {"app", "title", "url_host", "pid", "left", "top", "width", "height", "dur", "afk"}
    arrays = [
        pa.array(names.tolist(), item.type)
        if item.name == "app_name"
        else pa.nulls(len(kept), item.type)
        if item.name in hidden
        else table.column(item.name)
        for item in focus.schema
    ]
    return pa.Table.from_arrays(arrays, schema=focus.schema)


def _denied_windows(focus: pa.Table, rules: Rules) -> Bools:
    bad = _flags(focus.column("app"), lambda app: _is_denied_app(app, rules))
    bad |= _flags(focus.column("app_name"), lambda app: _is_denied_app(app, rules))
    bad |= _flags(focus.column("url_host"), lambda host: _is_denied_host(host, rules))
    bad |= _flags(focus.column("title"), _is_denied_title)
    return bad


def _intervals(focus: pa.Table, session: Ints, rules: Rules) -> tuple[Bools, Ints, Ints, Ints]:
    kind = numbers_of(focus, "kind")
    named = np.zeros(focus.num_rows, bool)
    for name in ("app", "app_name", "title", "url_host"):
        named |= pc.is_valid(focus.column(name)).to_numpy()
    keep = np.flatnonzero(named | (kind != FocusKind.AFK))  # an absence does not change the window
    bad, mono = _denied_windows(focus, rules), np.clip(numbers_of(focus, "mono"), 0, _LONG)
    keep = keep[np.lexsort((mono[keep], session[keep]))]
    begin, who = mono[keep], session[keep]
    last = np.append(who[1:] != who[:-1], np.ones(min(1, len(who)), bool))
    end = np.append(begin[1:], 0)
    # the last window of a session is denied to the end: nothing says that it was left
    end[last] = _LONG
    return bad[keep], begin, end, who


def _in_context(
    table: pa.Table, focus: pa.Table, group: Ints, session: Ints, rules: Rules
) -> Bools:
    bad = _denied_windows(focus, rules) & pc.is_valid(focus.column("ctx")).to_numpy()
    known = session[bad] << 32 | numbers_of(focus, "ctx")[bad]
    here = group << 32 | numbers_of(table, "ctx")
    found: Bools = np.isin(here, known) & pc.is_valid(table.column("ctx")).to_numpy()
    return found
