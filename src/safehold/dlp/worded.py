"""Streams that carry a text somebody wrote or said: chat, assistants, speech; and what is left of it."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from safehold.dlp.classes import CLASSES, NAMES
from safehold.dlp.context import numbers_of
from safehold.dlp.level import coarse_times, marks_columns, put_columns, time_columns
from safehold.dlp.message import mask_messages
from safehold.dlp.named import mask_named
from safehold.dlp.roster import Roster, mask_roster
from safehold.dlp.rules import Rules
from safehold.dlp.stitch import stitch
from safehold.telemetry.stream import Level

_PERSON: Final = CLASSES["PERSON"]
_BITS: Final = np.array([int(each.bit) for each in CLASSES.values()], np.uint32)
# what is read together: by conversation, and by who says it
_THREADS: Final = {
    "chat": ("channel", "person"),
    "ai": ("conversation", "person"),
    "speech": ("meeting", "speaker"),
}


def add_count(counts: dict[str, int], reason: str, rows: int) -> None:
    """Add to a count; nothing is added for nothing."""
    if rows:
        counts[reason] = counts.get(reason, 0) + rows


def count_kinds(kind: npt.NDArray[np.int64]) -> dict[str, int]:
    """Return how often each class occurs, by its name."""
    counts = np.bincount(kind, minlength=len(NAMES))
    return {NAMES[at]: int(count) for at, count in enumerate(counts) if count}


def minimise_words(
    stream: str, table: pa.Table, rules: Rules, masked: dict[str, int], roster: Roster | None
) -> pa.Table:
    """Return events with a text, masked, at the level the rules ask for.

    Args:
        stream: Name of the stream.
        table: Events in wire form that are kept.
        rules: What the charter asks.
        masked: Where the counts go.
        roster: Names of people who work here, if names are masked.
    """
    sens = np.zeros(table.num_rows, np.uint32)
    columns: dict[str, Any] = {}
    if "text" in table.schema.names:
        found = mask_messages(table.column("text"), groups=rules.groups)
        for name, count in found.classes.items():
            add_count(masked, name, count)
        sens, columns["text"] = found.sens, found.text
        if stream in _THREADS and len(table):
            when = numbers_of(table, "t")
            talk, who = (table.column(name) for name in _THREADS[stream])
            texts, more, counts = stitch(found.text, talk, who, when, groups=rules.groups)
            sens, columns["text"] = sens | more, texts
            for name, count in counts.items():
                add_count(masked, name, count)
        if roster is not None:
            unnamed = mask_roster(columns["text"], roster)
            sens = sens.copy()
            sens[unnamed.rows] |= int(_PERSON.bit)
            columns["text"] = unnamed.text
            add_count(masked, _PERSON.name, len(unnamed.rows))
        if rules.tagged:
            nameless = mask_named(columns["text"])
            sens = sens.copy()
            np.bitwise_or.at(sens, nameless.row, _BITS[nameless.kind])
            columns["text"] = nameless.text
            for name, count in count_kinds(nameless.kind).items():
                add_count(masked, name, count)
    t, mono = coarse_times(rules.level, numbers_of(table, "t"), numbers_of(table, "mono"))
    if stream == "speech" and rules.level >= Level.L1:
        step = {Level.L1: 100, Level.L2: 1_000}.get(rules.level, 0)
        for name in ("start", "end"):
            value = numbers_of(table, name)
            columns[name] = pa.array(value // step * step if step else value * 0).cast(
                pa.duration("ms")
            )
    return put_columns(table, columns | time_columns(t, mono) | marks_columns(sens, rules.level))
