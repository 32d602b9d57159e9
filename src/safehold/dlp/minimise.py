"""One call per chunk: what must not be stored is gone from what comes back.

In this order, and the first reason that fits is the one counted: password fields, clipboard,
applications that are not listed, denied contexts, the counterpart rule. Then text is masked and
the level applied. Nothing is remembered between calls.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from safehold.clock import SECOND_US
from safehold.dlp.classes import CLASSES
from safehold.dlp.context import (
    denied_events,
    is_password_field,
    numbers_of,
    title_class,
    words_of,
)
from safehold.dlp.counterpart import chat_losses, speech_losses, without_quotes
from safehold.dlp.engine.tier import using_tier
from safehold.dlp.keymap import TOKENS, ZONES, token_of, zone_of
from safehold.dlp.keys import class_tokens, count_classes, find_marks, read_keys
from safehold.dlp.level import (
    TENTH_US,
    bucket_gaps,
    coarse_times,
    floor_times,
    marks_columns,
    put_columns,
    take_rows,
    time_columns,
    without_time,
)
from safehold.dlp.mask import Marks
from safehold.dlp.picture import pictured_events
from safehold.dlp.pointer import reduce_pointer
from safehold.dlp.redact import mask_text
from safehold.dlp.roster import Roster
from safehold.dlp.rules import Rules
from safehold.dlp.typed import Typed
from safehold.dlp.worded import add_count, minimise_words
from safehold.errors import InvalidError
from safehold.telemetry.schema import WIRE
from safehold.telemetry.stream import KeyKind, Level

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
# free or nearly free text besides the body: a name can carry anything
_NAMES: Final = {
    "key": ("app",),
    "pointer": ("app", "target_role"),
    "focus": ("app", "app_name", "url_host"),
    "chat": ("app", "platform", "lang"),
    "ai": ("app", "provider", "model", "tool"),
    "speech": ("app", "lang"),
    "metric": ("app", "name", "unit", "source", "scale"),
    "screen": ("app", "trigger"),
}

_PERSON: Final = CLASSES["PERSON"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Minimised:
    """What is left of a chunk.

    Args:
        table: The events in wire form with ``sens`` and ``minim``.
        dropped: Events dropped, by reason.
        masked: Events masked, by class.
    """

    table: pa.Table
    dropped: dict[str, int]
    masked: dict[str, int]


def minimise(
    stream: str,
    wire: pa.Table,
    rules: Rules,
    *,
    focus: pa.Table | None = None,
    pointer: pa.Table | None = None,
    consented: frozenset[str] = frozenset(),
    roster: Roster | None = None,
    lost: pa.Table | None = None,
) -> Minimised:
    """Drop what must never be stored, mask what is sensitive, and apply the level.

    Args:
        stream: Name of the stream.
        wire: Events in wire form, whole sessions.
        rules: What the charter asks.
        focus: Focus events of the same sessions: they tell which contexts are denied.
        pointer: Pointer events of the same sessions: a click ends a segment of typing.
        consented: People who have opted in; the counterpart rule needs them.
        roster: Names of people who work here; they are masked where names are.
        lost: Messages of the same chunk that were dropped before: of people who do not take part.

    Returns:
        The events that may be stored. It never fails on odd but valid data.

    Raises:
        InvalidError: The rules are those of another stream, or the table has another schema.
    """
    if rules.stream != stream or stream not in WIRE:
        raise InvalidError("the rules are those of another stream", rule="dlp.stream")
    if wire.schema.names != WIRE[stream].names:
        raise InvalidError("the events are not in wire form", rule="dlp.schema")
    roster = roster if "identifiers" in rules.groups else None
    with using_tier(rules.tier):
        return _minimised(
            stream, wire, rules, focus=focus, pointer=pointer, consented=consented, roster=roster, lost=lost
        )  # fmt: skip


def _minimised(
    stream: str,
    wire: pa.Table,
    rules: Rules,
    *,
    focus: pa.Table | None,
    pointer: pa.Table | None,
    consented: frozenset[str],
    roster: Roster | None,
    lost: pa.Table | None,
) -> Minimised:
    wire = wire.combine_chunks()
    keep, dropped = _drop(stream, wire, rules, focus=focus, consented=consented)
    table = wire if keep.all() else wire.filter(pa.array(keep))
    table, named, masked = _mask_names(table, _NAMES[stream], roster)
    if stream == "chat" and len(table):
        gone = wire.filter(pa.array(~keep))
        texts, quotes = without_quotes(
            table, gone if lost is None else pa.concat_tables([gone, lost])
        )
        table = put_columns(table, {"text": texts})
        add_count(masked, "QUOTE", quotes)
    if stream == "key":
        # what is dropped is read as well: a word that tells a secret may be among it
        typed = read_keys(wire, clicks=pointer)
        marks = find_marks(typed, groups=rules.groups, roster=roster, tagged=rules.tagged)
        kept = _keys(table, rules, typed, marks, keep=keep, counts=(dropped, masked))
    elif rules.level == Level.L4:
        kept = put_columns(table.slice(0, 0), marks_columns(named[:0], Level.L4))
        add_count(dropped, "aggregate_only", table.num_rows)
    elif stream == "pointer":
        kept = reduce_pointer(table, rules.level)
        add_count(dropped, "reduced", table.num_rows - kept.num_rows)
    elif stream == "focus":
        kept = _focus(table, rules, masked)
    else:
        kept = minimise_words(stream, table, rules, masked, roster)
    return Minimised(table=_add_sens(kept, table, named), dropped=dropped, masked=masked)


def _drop(
    stream: str, wire: pa.Table, rules: Rules, *, focus: pa.Table | None, consented: frozenset[str]
) -> tuple[Bools, dict[str, int]]:
    losses: dict[str, Bools] = {}
    dropped: dict[str, int] = {}
    if stream == "key":
        index, values = words_of(wire.column("field_kind"))
        losses["password_field"] = np.array([is_password_field(v) > 0 for v in values])[index]
        if "clipboard" in rules.drop:
            losses["clipboard"] = numbers_of(wire, "kind") == KeyKind.PASTE
    if rules.apps is not None:
        index, values = words_of(wire.column("app"))
        losses["app_not_listed"] = np.array([(v or "").lower() not in rules.apps for v in values])[
            index
        ]
    losses["screen_image"] = pictured_events(wire)
    losses["denied_context"] = denied_events(wire, rules, focus)
    if stream == "chat":
        losses |= chat_losses(wire, rules, consented=consented)
    elif stream == "speech":
        losses |= speech_losses(wire, consented=consented)
    elif stream == "screen" and "screen" in rules.drop:
        losses["screen"] = np.ones(wire.num_rows, bool)
    keep = np.ones(wire.num_rows, bool)
    for reason, lost in losses.items():
        add_count(dropped, reason, int((keep & lost).sum()))
        keep &= ~lost
    return keep, dropped


def _mask_names(
    table: pa.Table, columns: tuple[str, ...], roster: Roster | None
) -> tuple[pa.Table, npt.NDArray[np.uint32], dict[str, int]]:
    """Mask what is sensitive in names; each distinct name is scanned once, under every group."""
    sens, masked = np.zeros(table.num_rows, np.uint32), dict[str, int]()
    coded = [words_of(table.column(name)) for name in columns]
    listed = [value for _, values in coded for value in values]
    # each as it is, and with underscores read as spaces; all in one call, for a call costs more than a name
    loose = [value and value.replace("_", " ") for value in listed]
    found = mask_text(pa.array(listed + loose, pa.large_string()))
    strict, words = found.sens[: len(listed)], found.text.slice(0, len(listed)).to_pylist()
    bits = found.sens[len(listed) :]
    if roster is not None:
        bits[roster.find(pa.array(listed, pa.large_string())).row] |= int(_PERSON.bit)
    # found only when underscores are read as spaces: the whole name goes
    words = [
        new if not any_ or plain else "[MASKED]"
        for new, any_, plain in zip(words, bits, strict, strict=True)
    ]
    bits = bits | strict
    begin = 0
    for name, (index, values) in zip(columns, coded, strict=True):
        here = slice(begin, begin + len(values))
        begin += len(values)
        if not bits[here].any():
            continue
        column = pc.take(pa.array(words[here], table.schema.field(name).type), pa.array(index))
        table = put_columns(table, {name: column})
        sens |= bits[here][index]
        add_count(masked, "NAME", int((bits[here][index] > 0).sum()))
    return table, sens, masked


def _add_sens(kept: pa.Table, table: pa.Table, named: npt.NDArray[np.uint32]) -> pa.Table:
    if not named.any() or not kept.num_rows:
        return kept
    if kept.num_rows == table.num_rows:
        sens = named
    else:  # the level has left fewer rows: every row that is left carries what its stretch held
        sens = np.full(kept.num_rows, np.bitwise_or.reduce(named), np.uint32)
    return put_columns(kept, {"sens": pa.array(sens | kept.column("sens").to_numpy())})


def _keys(
    table: pa.Table,
    rules: Rules,
    typed: Typed,
    marks: Marks,
    *,
    keep: Bools,
    counts: tuple[dict[str, int], dict[str, int]],
) -> pa.Table:
    dropped, masked = counts
    level, order, kinds = rules.level, typed.order, typed.kinds
    zones = level <= Level.L1
    tokens = class_tokens(
        typed, marks, name_of=zone_of if zones else token_of, vocabulary=ZONES if zones else TOKENS
    )
    if not keep.all():
        here = keep[order]
        order = (np.cumsum(keep) - 1)[order[here]]
        marks, kinds = Marks(marks.kind[here], marks.sens[here]), kinds[here]
        tokens = tokens.filter(pa.array(here))
    for name, count in count_classes(marks.kind).items():
        masked[name] = masked.get(name, 0) + count
    if level == Level.L4:
        add_count(dropped, "aggregate_only", table.num_rows)
        return put_columns(table.slice(0, 0), marks_columns(marks.sens[:0], level))
    sorted_already = bool((order[1:] > order[:-1]).all())
    ordered = table if sorted_already else table.take(pa.array(order))
    return _level_keys(ordered, tokens, marks, kinds=kinds, level=level, dropped=dropped)


def _level_keys(
    table: pa.Table,
    tokens: pa.Array,
    marks: Marks,
    *,
    kinds: Ints,
    level: Level,
    dropped: dict[str, int],
) -> pa.Table:
    t, mono = numbers_of(table, "t"), numbers_of(table, "mono")
    hidden, rows = marks.kind >= 0, table.num_rows
    nothing = pa.nulls(rows, pa.string())
    columns: dict[str, Any] = {"key": tokens, "code": nothing, "commit": nothing}
    if level == Level.L0:
        mask = pa.array(~hidden)
        columns = {
            "key": pc.if_else(mask, table.column("key").combine_chunks(), tokens),
            "code": pc.if_else(mask, table.column("code").combine_chunks(), nothing),
            "commit": pc.if_else(mask, table.column("commit").combine_chunks(), nothing),
        }
    if level <= Level.L1:
        t, mono = _blur_masked(t, mono, hidden)
        columns["mods"] = pc.if_else(
            pa.array(~hidden), table.column("mods").combine_chunks(), pa.scalar(None, pa.uint8())
        )
        if level == Level.L1:
            columns["mods"] = pa.nulls(rows, pa.uint8())  # Shift tells the case of a letter
            t, mono = floor_times(t, mono, step=TENTH_US)
        return put_columns(
            table, columns | time_columns(t, mono) | marks_columns(marks.sens, level)
        )
    down = np.flatnonzero(kinds != KeyKind.UP)
    add_count(dropped, "reduced", rows - len(down))
    columns |= {
        "mods": pa.nulls(rows, pa.uint8()),
        "repeat": pa.nulls(rows, pa.bool_()),
        "composing": pa.nulls(rows, pa.bool_()),
    }
    table = take_rows(put_columns(table, columns), down)
    t, mono, hidden = t[down], mono[down], hidden[down]
    if level == Level.L2:
        t, mono = _blur_masked(t, mono, hidden)
        index = [words_of(table.column(name))[0] for name in ("person", "device", "session")]
        change = np.zeros(len(t), bool)
        for part in index:
            change[1:] |= part[1:] != part[:-1]
        mono = bucket_gaps(np.cumsum(change), mono)
        t = without_time(t)[0]
    else:
        t, mono = without_time(t)
    return put_columns(table, time_columns(t, mono) | marks_columns(marks.sens[down], level))


def _blur_masked(t: Ints, mono: Ints, hidden: Bools) -> tuple[Ints, Ints]:
    """Give every event of a masked run the time at which the run began, to the second."""
    if not hidden.any():
        return t, mono
    first = hidden.copy()
    first[1:] &= ~hidden[:-1]
    start = np.maximum.accumulate(np.where(first, np.arange(len(t)), 0))[hidden]
    t, mono = t.copy(), mono.copy()
    t[hidden], mono[hidden] = floor_times(t[start], mono[start], step=SECOND_US)
    return t, mono


def _focus(table: pa.Table, rules: Rules, masked: dict[str, int]) -> pa.Table:
    found = mask_text(table.column("title"))
    for name, count in found.classes.items():
        masked[name] = masked.get(name, 0) + count
    titles: pa.Array = pa.nulls(table.num_rows, pa.string())
    if rules.titles == "class_only":
        pairs = zip(
            table.column("title").to_pylist(), table.column("app_name").to_pylist(), strict=True
        )
        known: dict[tuple[str | None, str | None], str] = {}
        listed = []
        for pair in pairs:
            if pair not in known:
                known[pair] = title_class(*pair)
            listed.append(known[pair])
        titles = pa.array(listed, pa.string())
    columns: dict[str, Any] = {"title": titles}
    t, mono = coarse_times(rules.level, numbers_of(table, "t"), numbers_of(table, "mono"))
    if rules.level >= Level.L1:
        hidden = ["pid", "left", "top", "width", "height"]
        hidden += ["dur"] if rules.level >= Level.L3 else []
        columns |= {
            name: pa.nulls(table.num_rows, table.schema.field(name).type) for name in hidden
        }
    if Level.L1 <= rules.level < Level.L3:
        step = TENTH_US if rules.level == Level.L1 else SECOND_US
        dur = table.column("dur").combine_chunks()
        began = numbers_of(table, "mono")  # the end lies on the grid of the beginnings
        whole = (began + numbers_of(table, "dur")) // step * step - began // step * step
        columns["dur"] = pc.if_else(
            pc.is_valid(dur), pa.array(whole).cast(pa.duration("us")), pa.scalar(None, dur.type)
        )
    return put_columns(
        table, columns | time_columns(t, mono) | marks_columns(found.sens, rules.level)
    )
