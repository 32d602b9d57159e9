"""When everything of a planned person-day happens."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from safehold.clock import SECOND_US
from safehold.workforce.keyboard import KeyEvents, list_events, time_presses
from safehold.workforce.plan import AI, CHAT, Plan
from safehold.workforce.plan import KEYS as TYPING
from safehold.workforce.pointer import Moves, move_pointer, place_of
from safehold.workforce.routine import plan_day
from safehold.workforce.spec import CLOCK, POINTER, Spec, generator
from safehold.workforce.spec import KEYS as KEY_PART

_SPAN: Final = int(7.6 * 3600 * SECOND_US)  # from the first to the last action of a day
_LUNCH: Final = 40 * 60 * SECOND_US

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """A plan with its times; ``start`` is microseconds since the first session began.

    ``pace`` is below 1 on a day too busy for its hours: everything took that share of its time.
    """

    plan: Plan
    start: Ints
    gap: Ints
    session: Ints
    session_start: Ints
    keys: KeyEvents
    moves: Moves
    pace: float


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
    for action, lasts in plan.meeting_ms.items():
        length[action] = lasts * 1_000
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
    scale = 1.0
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
        keys=list_events(presses, start, commits=plan.commits),
        moves=moves,
        pace=scale,
    )


def _hurry(timed: Any, scale: float) -> Any:
    names = {item.name for item in fields(timed)} & {"down", "up", "offset"}
    return replace(timed, **{at: (getattr(timed, at) * scale).astype(np.int64) for at in names})


@lru_cache(maxsize=256)
def _place(role: str) -> tuple[int, int]:
    return place_of(role) if role else (960, 520)
