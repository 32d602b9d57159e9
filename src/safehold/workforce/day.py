"""From a plan to the streams of a person-day, in wire form."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa

from safehold.clock import SECOND_US
from safehold.errors import InvalidError
from safehold.telemetry.stream import FocusKind, PointerKind
from safehold.workforce.frame import Frame, choose, make_table, same
from safehold.workforce.keyboard import CODES, KEYS
from safehold.workforce.metric import metric
from safehold.workforce.plan import CLICK, FIELD_KINDS
from safehold.workforce.screen import screen
from safehold.workforce.spec import WHOLE, Spec
from safehold.workforce.timing import time_plan
from safehold.workforce.transcript import speech

_REST: Final = 5 * 60 * SECOND_US  # a longer silence counts as being away


def person_day(spec: Spec, index: int, day: int) -> dict[str, pa.Table]:
    """Return the streams of one person-day in wire form.

    The bytes depend on seed, pace, start day, person and day, and on nothing else.

    Args:
        spec: The company.
        index: Number of the person, 0 to ``spec.people - 1``.
        day: Number of the day, 0 to ``spec.days - 1``.

    Returns:
        Tables for ``key``, ``pointer``, ``chat``, ``ai`` and ``focus``, in the whole edition for
        ``speech``, ``metric`` and ``screen`` as well, each ordered by time, with the schema
        ``telemetry.schema.WIRE``. A day off has no rows.

    Raises:
        InvalidError: There is no such person or day.
    """
    if not 0 <= index < spec.people or not 0 <= day < spec.days:
        raise InvalidError("There is no such person-day", rule="workforce.person_day")
    timed = time_plan(spec, index, day)
    frame = Frame(spec, index, day, timed)
    tables = {
        "key": _keys(frame),
        "pointer": _pointer(frame),
        "chat": _chat(frame),
        "ai": _ai(frame),
        "focus": _focus(frame),
    }
    if spec.edition >= WHOLE:
        tables["speech"] = speech(frame)
        tables["metric"] = metric(frame, spec, index, day)
        tables["screen"] = screen(frame, spec, index, day)
    return tables


_CODE_NAMES: Final = pa.array(CODES)
_KEY_NAMES: Final = pa.array(KEYS)
_FIELD_NAMES: Final = pa.array(FIELD_KINDS)


def _keys(frame: Frame) -> pa.Table:
    keys = frame.timed.keys
    fields = np.asarray(frame.plan.fields, np.int64)[keys.action]
    rows = len(keys.at)
    return make_table(
        "key",
        frame.of_actions(keys.action, keys.at)
        | {
            "kind": pa.array(keys.kind),
            "code": choose(keys.code, _CODE_NAMES),
            "key": choose(keys.key, _KEY_NAMES),
            "mods": pa.array(keys.mods),
            "repeat": pa.array(keys.repeat),
            "composing": pa.array(keys.composing),
            "field_kind": choose(fields, _FIELD_NAMES),
            "commit": _committed(frame, rows),
        },
    )


def _committed(frame: Frame, rows: int) -> pa.Array:
    """Return the text of each commit at its place, null elsewhere."""
    commits = frame.plan.commits
    if not commits:
        return pa.nulls(rows, pa.string())
    index = np.full(rows, -1)
    index[frame.timed.keys.commits] = np.arange(len(commits))
    return choose(index, pa.array([each.text for each in commits], pa.string()))


def _pointer(frame: Frame) -> pa.Table:
    moves, plan = frame.timed.moves, frame.plan
    names = list(dict.fromkeys(plan.roles))
    place = {name: at for at, name in enumerate(names)}
    numbers = np.array([place[name] for name in plan.roles], np.int64)
    clicked = (moves.kind == PointerKind.CLICK) & (np.asarray(plan.kinds)[moves.action] == CLICK)
    roles = np.where(clicked, numbers[moves.action], -1)
    at = frame.timed.start[moves.action] + moves.offset
    return make_table(
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
            "target_role": choose(roles, pa.array(names, pa.string())),
        },
    )


def _chat(frame: Frame) -> pa.Table:
    chats = frame.plan.chats
    rows = len(chats)
    actions = np.array([each.action for each in chats], np.int64)
    marks = [f"msg-{frame.person}-{frame.day}-{at + 1}" for at in range(rows)]
    return make_table(
        "chat",
        frame.of_actions(actions, frame.timed.start[actions] + 50_000)
        | {
            "platform": same("chat", rows),
            "channel": pa.array([each.thread for each in chats], pa.string()),
            "channel_kind": pa.array([each.kind for each in chats], pa.string()),
            "msg": pa.array(marks, pa.string()),
            "reply_to": pa.array([each.reply for each in chats], pa.string()),
            "participants": pa.array([each.people for each in chats], pa.list_(pa.string())),
            "text": pa.array([each.text for each in chats], pa.large_string()),
            "lang": same("en", rows),
            "attachments": pa.array(np.zeros(rows, np.uint8)),
            "edit_of": pa.nulls(rows, pa.string()),
        },
    )


def _ai(frame: Frame) -> pa.Table:
    turns = frame.plan.turns
    rows = len(turns)
    actions = np.array([each.action for each in turns], np.int64)
    asked = np.array([each.kind == "user" for each in turns], bool)
    tokens = np.array([len(each.text) // 4 + 1 for each in turns], np.int64)
    return make_table(
        "ai",
        frame.of_actions(actions, frame.timed.start[actions] + 50_000)
        | {
            "provider": same("local", rows),
            "model": same("assistant-1", rows),
            "conversation": pa.array([each.thread for each in turns], pa.string()),
            "turn": pa.array([each.turn for each in turns], pa.uint16()),
            "role": pa.array([each.kind for each in turns], pa.string()),
            "text": pa.array([each.text for each in turns], pa.large_string()),
            "input_tokens": pa.array(tokens, pa.uint32(), mask=~asked),
            "output_tokens": pa.array(tokens, pa.uint32(), mask=asked),
            "tool": pa.nulls(rows, pa.string()),
        },
    )


def _focus(frame: Frame) -> pa.Table:
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
    return make_table(
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
