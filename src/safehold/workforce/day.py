"""From a plan to the streams of a person-day, in wire form."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from safehold.clock import DAY_US, SECOND_US
from safehold.errors import InvalidError
from safehold.telemetry.schema import WIRE, FocusKind, PointerKind
from safehold.workforce.keyboard import CODES, KEYS, KeyEvents, list_events, time_presses
from safehold.workforce.people import person
from safehold.workforce.plan import AI, CHAT, CLICK, FIELD_KINDS, Plan
from safehold.workforce.plan import KEYS as TYPING
from safehold.workforce.pointer import Moves, move_pointer, place_of
from safehold.workforce.routine import plan_day
from safehold.workforce.spec import CLOCK, POINTER, Spec, generator
from safehold.workforce.spec import KEYS as KEY_PART

_SPAN: Final = int(7.6 * 3600 * SECOND_US)  # from the first to the last action of a day
_LUNCH: Final = 40 * 60 * SECOND_US
_REST: Final = 5 * 60 * SECOND_US  # a longer silence counts as being away
_CONTEXTS: Final = 1_000_000  # context ids of one person-day

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """A plan with its times; ``start`` is microseconds since the first session began."""

    plan: Plan
    start: Ints
    gap: Ints
    session: Ints
    session_start: Ints
    keys: KeyEvents
    moves: Moves


def time_plan(spec: Spec, index: int, day: int) -> Timed:
    """Return the plan of a person-day with the time of every event."""
    plan = plan_day(spec, index, day)
    kinds = np.asarray(plan.kinds, np.int64)
    total = len(kinds)
    ends_of_ops = np.asarray([0, *plan.op_ends], np.int64)
    sizes = ends_of_ops[1:] - ends_of_ops[:-1]
    op = np.frombuffer(bytes(plan.ops), np.uint8)
    presses = time_presses(
        op,
        action=np.repeat(np.arange(total), sizes),
        actions=total,
        hand=plan.hand,
        rng=generator(spec.seed, index, day, KEY_PART),
    )
    pointing = np.flatnonzero(kinds < TYPING)
    places = np.array([_place(plan.roles[at]) for at in pointing], np.int64).reshape(-1, 2)
    moves = move_pointer(
        kinds[pointing],
        places=places,
        actions=pointing,
        total=total,
        hand=plan.hand,
        rng=generator(spec.seed, index, day, POINTER),
    )
    rng = generator(spec.seed, index, day, CLOCK)
    length = presses.length + moves.length
    length[kinds == CHAT] = 150_000
    length[kinds == AI] = 2_400_000
    lead = (1000.0 * np.exp(5.6 + 0.7 * rng.standard_normal(total))).astype(np.int64)
    starts = np.asarray(plan.task_starts, np.int64)
    starts = starts[starts < total]
    left = _SPAN - _LUNCH - int(length.sum() + lead.sum())
    if len(starts) and left > 0:
        share = np.exp(1.3 * rng.standard_normal(len(starts)))
        np.add.at(lead, starts, (0.9 * left * share / share.sum()).astype(np.int64))
    session = np.zeros(total, np.int64)
    if 0 <= plan.second_session < total:
        session[plan.second_session :] = 1
        lead[plan.second_session] += _LUNCH
    ends = np.cumsum(lead + length)
    start = ends - length
    if total and ends[-1] > _SPAN:  # a very busy day is a faster one
        scale = _SPAN / float(ends[-1])
        start = (start * scale).astype(np.int64)
        presses, moves = _hurry(presses, scale), _hurry(moves, scale)
    second = start[plan.second_session] - SECOND_US if session.any() else 0
    return Timed(
        plan=plan,
        start=start,
        gap=lead,
        session=session,
        session_start=np.array([0, second], np.int64),
        keys=list_events(presses, start),
        moves=moves,
    )


def _hurry(timed: Any, scale: float) -> Any:
    names = {item.name for item in fields(timed)} & {"down", "up", "offset"}
    return replace(timed, **{at: (getattr(timed, at) * scale).astype(np.int64) for at in names})


@lru_cache(maxsize=256)
def _place(role: str) -> tuple[int, int]:
    return place_of(role) if role else (960, 520)


def person_day(spec: Spec, index: int, day: int) -> dict[str, pa.Table]:
    """Return the streams of one person-day in wire form.

    The bytes depend on seed, pace, start day, person and day, and on nothing else.

    Args:
        spec: The company.
        index: Number of the person, 0 to ``spec.people - 1``.
        day: Number of the day, 0 to ``spec.days - 1``.

    Returns:
        Tables for ``key``, ``pointer``, ``chat``, ``ai`` and ``focus``, each ordered by time,
        with the schema ``telemetry.schema.WIRE``. A day off has no rows.

    Raises:
        InvalidError: There is no such person or day.
    """
    if not 0 <= index < spec.people or not 0 <= day < spec.days:
        raise InvalidError("There is no such person-day", rule="workforce.person_day")
    timed = time_plan(spec, index, day)
    frame = _Frame(spec, index, day, timed)
    return {
        "key": _keys(frame),
        "pointer": _pointer(frame),
        "chat": _chat(frame),
        "ai": _ai(frame),
        "focus": _focus(frame),
    }


class _Frame:
    """Make the envelope columns of a stream."""

    def __init__(self, spec: Spec, index: int, day: int, timed: Timed) -> None:
        who = person(spec, index)
        self.timed, self.plan = timed, timed.plan
        self.person, self.day = who.id, day
        self.device = f"dev-{who.id}"
        self.origin = (spec.start_day + day) * DAY_US + who.work_hour * 3600 * SECOND_US
        self.origin += (index * 7919) % 1800 * SECOND_US
        self.apps = pa.array(dict.fromkeys(context.app for context in self.plan.contexts))
        names = self.apps.to_pylist()
        self.app_of = np.array([names.index(each.app) for each in self.plan.contexts], np.int64)
        self.context = np.asarray(self.plan.contexts_of, np.int64)

    def envelope(self, at: Ints, context: Ints, session: Ints) -> dict[str, pa.Array]:
        """Return the envelope of events at these times, which are in order."""
        rows = len(at)
        later = int(np.searchsorted(session, 1))
        seq = np.concatenate([np.arange(1, later + 1), np.arange(1, rows - later + 1)])
        names = [f"ses-{self.person}-{self.day}-{number}" for number in (0, 1)]
        return {
            "person": _same(self.person, rows),
            "device": _same(self.device, rows),
            "session": _choose(session, pa.array(names)),
            "seq": pa.array(seq, pa.uint32()),
            "t": pa.array(at + self.origin, pa.int64()).cast(pa.timestamp("us", "UTC")),
            "mono": pa.array(at - self.timed.session_start[session], pa.duration("us")),
            "app": _choose(self.app_of[context], self.apps),
            "ctx": pa.array(context + 1 + self.day * _CONTEXTS, pa.uint32()),
        }

    def of_actions(self, actions: Ints, at: Ints) -> dict[str, pa.Array]:
        """Return the envelope of events that belong to these actions."""
        return self.envelope(at, self.context[actions], self.timed.session[actions])


def _same(value: str, rows: int) -> pa.Array:
    return pa.repeat(pa.scalar(value, pa.string()), rows)


def _choose(index: npt.NDArray[Any], names: pa.Array) -> pa.Array:
    """Return ``names[index]``; a negative index gives null."""
    if len(names) == 0:
        return pa.nulls(len(index), pa.string())
    places = pa.array(index, pa.int32(), mask=np.asarray(index) < 0)
    return pc.take(names, places)


def _table(stream: str, columns: dict[str, pa.Array]) -> pa.Table:
    schema = WIRE[stream]
    return pa.Table.from_arrays([columns[name] for name in schema.names], schema=schema)


_CODE_NAMES: Final = pa.array(CODES)
_KEY_NAMES: Final = pa.array(KEYS)
_FIELD_NAMES: Final = pa.array(FIELD_KINDS)


def _keys(frame: _Frame) -> pa.Table:
    keys = frame.timed.keys
    fields = np.asarray(frame.plan.fields, np.int64)[keys.action]
    rows = len(keys.at)
    return _table(
        "key",
        frame.of_actions(keys.action, keys.at)
        | {
            "kind": pa.array(keys.kind),
            "code": _choose(keys.code, _CODE_NAMES),
            "key": _choose(keys.key, _KEY_NAMES),
            "mods": pa.array(keys.mods),
            "repeat": pa.array(keys.repeat),
            "composing": pa.array(np.zeros(rows, bool)),
            "field_kind": _choose(fields, _FIELD_NAMES),
            "commit": pa.nulls(rows, pa.string()),
        },
    )


def _pointer(frame: _Frame) -> pa.Table:
    moves, plan = frame.timed.moves, frame.plan
    names = list(dict.fromkeys(plan.roles))
    place = {name: at for at, name in enumerate(names)}
    numbers = np.array([place[name] for name in plan.roles], np.int64)
    clicked = (moves.kind == PointerKind.CLICK) & (np.asarray(plan.kinds)[moves.action] == CLICK)
    roles = np.where(clicked, numbers[moves.action], -1)
    at = frame.timed.start[moves.action] + moves.offset
    return _table(
        "pointer",
        frame.of_actions(moves.action, at)
        | {
            "kind": pa.array(moves.kind, pa.uint8()),
            "x": pa.array(moves.x, pa.int32()),
            "y": pa.array(moves.y, pa.int32()),
            "display": pa.array(moves.display, pa.uint8()),
            "button": pa.array(moves.button, pa.int8()),
            "buttons": pa.array(moves.buttons, pa.uint8()),
            "wheel_dx": pa.array(np.zeros(len(at), np.int16)),
            "wheel_dy": pa.array(moves.wheel, pa.int16()),
            "target_role": _choose(roles, pa.array(names, pa.string())),
        },
    )


def _chat(frame: _Frame) -> pa.Table:
    chats = frame.plan.chats
    rows = len(chats)
    actions = np.array([each.action for each in chats], np.int64)
    marks = [f"msg-{frame.person}-{frame.day}-{at + 1}" for at in range(rows)]
    return _table(
        "chat",
        frame.of_actions(actions, frame.timed.start[actions] + 50_000)
        | {
            "platform": _same("chat", rows),
            "channel": pa.array([each.thread for each in chats], pa.string()),
            "channel_kind": pa.array([each.kind for each in chats], pa.string()),
            "msg": pa.array(marks, pa.string()),
            "reply_to": pa.array([each.reply for each in chats], pa.string()),
            "participants": pa.array([each.people for each in chats], pa.list_(pa.string())),
            "text": pa.array([each.text for each in chats], pa.large_string()),
            "lang": _same("en", rows),
            "attachments": pa.array(np.zeros(rows, np.uint8)),
            "edit_of": pa.nulls(rows, pa.string()),
        },
    )


def _ai(frame: _Frame) -> pa.Table:
    turns = frame.plan.turns
    rows = len(turns)
    actions = np.array([each.action for each in turns], np.int64)
    asked = np.array([each.kind == "user" for each in turns], bool)
    tokens = np.array([len(each.text) // 4 + 1 for each in turns], np.int64)
    return _table(
        "ai",
        frame.of_actions(actions, frame.timed.start[actions] + 50_000)
        | {
            "provider": _same("local", rows),
            "model": _same("assistant-1", rows),
            "conversation": pa.array([each.thread for each in turns], pa.string()),
            "turn": pa.array([each.turn for each in turns], pa.uint16()),
            "role": pa.array([each.kind for each in turns], pa.string()),
            "text": pa.array([each.text for each in turns], pa.large_string()),
            "input_tokens": pa.array(tokens, pa.uint32(), mask=~asked),
            "output_tokens": pa.array(tokens, pa.uint32(), mask=asked),
            "tool": pa.nulls(rows, pa.string()),
        },
    )


def _focus(frame: _Frame) -> pa.Table:
    """Return the windows in front, and the times the person was away."""
    timed, contexts = frame.timed, frame.plan.contexts
    first = np.array([each.action for each in contexts], np.int64)
    rests = np.flatnonzero(timed.gap > _REST)
    before = np.maximum(timed.start - timed.gap, 0)
    # a context begins with the step that opens it; an absence with the end of the action before it
    at = np.concatenate([np.maximum(timed.start[first] - 30_000, 0), before[rests] + 1_000])
    context = np.concatenate([np.arange(len(contexts)), frame.context[np.maximum(rests - 1, 0)]])
    session = np.concatenate([timed.session[first], timed.session[np.maximum(rests - 1, 0)]])
    away = np.arange(len(at)) >= len(contexts)
    order = np.lexsort((at, session))
    at, context, session, away = at[order], context[order], session[order], away[order]
    until = np.append(at[1:], timed.start[-1] if len(at) else 0)
    until = np.maximum(until, at)
    names = [contexts[number] for number in context]
    kind = np.where(away, int(FocusKind.AFK), int(FocusKind.FOCUS))
    kind[1:][(~away[1:]) & (frame.app_of[context][1:] == frame.app_of[context][:-1])] = (
        FocusKind.TITLE
    )
    rows = len(at)
    return _table(
        "focus",
        frame.envelope(at, context, session)
        | {
            "kind": pa.array(kind, pa.uint8()),
            "app_name": pa.array([each.name for each in names], pa.string()),
            "title": pa.array([each.title for each in names], pa.string()),
            "url_host": pa.array([each.host for each in names], pa.string()),
            "pid": pa.array(4_000 + frame.app_of[context], pa.uint32()),
            "left": pa.array(np.zeros(rows, np.int32)),
            "top": pa.array(np.zeros(rows, np.int32)),
            "width": pa.array(np.full(rows, 1920, np.int32)),
            "height": pa.array(np.full(rows, 1080, np.int32)),
            "dur": pa.array(until - at, pa.duration("us")),
            "afk": pa.array(away),
        },
    )
