"""The truth about what was planted, for tests and for the demo's own proof."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from safehold.workforce.day import person_day
from safehold.workforce.people import external_id
from safehold.workforce.plan import Message, Plan, Said, Span
from safehold.workforce.spec import Spec
from safehold.workforce.timing import Timed, time_plan

TRUTH: Final = pa.schema(
    [
        pa.field("person", pa.string(), nullable=False),
        pa.field("stream", pa.string(), nullable=False),
        pa.field("class", pa.string(), nullable=False),
        pa.field("value", pa.string(), nullable=False),
        pa.field("erased", pa.bool_(), nullable=False),
        pa.field("decoy", pa.bool_(), nullable=False),
        pa.field("first_seq", pa.uint32(), nullable=False),
        pa.field("last_seq", pa.uint32(), nullable=False),
        pa.field("session", pa.string(), nullable=False),
        pa.field("device", pa.string(), nullable=False),
        pa.field("day", pa.int32(), nullable=False),
        pa.field("span_id", pa.string(), nullable=False),
        pa.field("retyped", pa.bool_(), nullable=False),
        pa.field("field_kind", pa.string()),
        pa.field("column", pa.string(), nullable=False),
    ]
)


def truth(spec: Spec) -> pa.Table:
    """Return one row per planted value.

    ``first_seq`` and ``last_seq`` are the sequence numbers of the first and last key *down* of
    the value (corrections inside it included), or of the one message, window, segment of speech
    or metric that holds it; ``column`` names where it holds it. What an input method composed ends
    with its commit. Passwords typed into password fields are rows as well: they must not be stored either.
    """
    rows: dict[str, list[object]] = {name: [] for name in TRUTH.names}
    for index in range(spec.people):
        for day in range(spec.days):
            _add_day(rows, spec, index, day)
    return pa.table({name: pa.array(rows[name], TRUTH.field(name).type) for name in TRUTH.names},
                    schema=TRUTH)  # fmt: skip


def _add_day(rows: dict[str, list[object]], spec: Spec, index: int, day: int) -> None:
    timed = time_plan(spec, index, day)
    streams = {span.stream for span in timed.plan.spans}
    tables = person_day(spec, index, day) if streams & {"focus", "metric"} else {}
    for number, span in enumerate(timed.plan.spans):
        session, first, last, kind = _locate(timed, span, tables)
        who = external_id(index)
        values = (
            who, span.stream, span.kind, span.value, span.erased, span.decoy, first, last,
            f"ses-{who}-{day}-{session}", f"dev-{who}", day, f"{who}/{day}/{number}",
            span.retyped, kind, span.column,
        )  # fmt: skip
        for name, value in zip(TRUTH.names, values, strict=True):
            rows[name].append(value)


def _locate(
    timed: Timed, span: Span, tables: Mapping[str, pa.Table]
) -> tuple[int, int, int, str | None]:
    """Return session number, first and last sequence number, and the kind of the field."""
    plan = timed.plan
    if span.stream == "key":
        places = timed.keys.press[[span.first, span.last]]
        if span.commit is not None:
            places[1] = timed.keys.commits[span.commit]
        action = int(timed.keys.action[places[0]])
        session = int(timed.session[action])
        before = int(np.searchsorted(timed.session[timed.keys.action], session))
        kind = ("text", "password", "search", "code")[plan.fields[action]]
        return session, int(places[0]) - before + 1, int(places[1]) - before + 1, kind
    if span.stream in ("focus", "metric"):
        table = tables[span.stream]
        row = _row(table, span, plan)
        seq = table["seq"][row].as_py()
        return int(table["session"][row].as_py().rpartition("-")[2]), seq, seq, None
    told: Sequence[Message | Said] = {"chat": plan.chats, "ai": plan.turns}.get(
        span.stream, plan.said
    )
    sessions = timed.session[[each.action for each in told]]
    session = int(sessions[span.first])
    seq = span.first - int(np.searchsorted(sessions, session)) + 1
    return session, seq, seq, None


def _row(table: pa.Table, span: Span, plan: Plan) -> int:
    """Return the row of a window or of an odd metric."""
    if span.stream == "metric":
        return int(table["name"].to_pylist().index(plan.labels[span.first]))
    ctx = table["ctx"].to_numpy() % 1_000_000 - 1
    away = table["afk"].to_numpy(zero_copy_only=False)
    return int(np.flatnonzero((ctx == span.first) & ~away)[0])
