"""Six kinds of misuse in a trace of access, each with its label: what a watcher has to notice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

import pyarrow as pa

from safehold.clock import DAY_US, SECOND_US
from safehold.workforce.spec import TRACE, Draw, Spec, generator
from safehold.workforce.traces import (
    HOUR,
    SEATS,
    SEGMENTS,
    Actor,
    Use,
    actors,
    ordinary,
    to_table,
    vote,
)

_EVERY: Final = 8  # days: a run has one episode of each kind, and one more for every eight days
_SLOW_DAYS: Final = 10


def traces(spec: Spec) -> pa.Table:
    """Return who used the data in the days of the company, misuse included and labelled.

    A run has every kind of misuse at least once, in its later two thirds, so that there is a
    routine to learn first. The ordinary uses of a day depend on seed, start day and day alone; where misuse falls
    depends on the number of days as well.

    Returns:
        One row per use with the schema ``traces.TRACES``.
    """
    uses = [use for day in range(spec.days) for use in ordinary(spec, day)]
    for kind, (name, commit) in enumerate(KINDS.items()):
        for turn in range(1 + spec.days // _EVERY):
            draw = Draw(generator(spec.seed, TRACE, turn, 5, kind, 0))
            day = draw.whole(spec.days // 3, spec.days - 1)
            number = turn * len(KINDS) + kind
            uses += [
                replace(use, misuse=name, episode=number, odd=None)
                for use in commit(spec, day, draw)
                if use.t < (spec.start_day + spec.days) * DAY_US
            ]
    return to_table(uses)


def _start(spec: Spec, day: int) -> int:
    return (spec.start_day + day) * DAY_US


def _pick(spec: Spec, draw: Draw, kind: str, *roles: str) -> Actor:
    return draw.pick(
        [one for one in actors(spec) if one.kind == kind and (not roles or one.role in roles)]
    )


def _by(actor: Actor, at: int, **more: object) -> Use:
    base = Use(
        t=at,
        actor=actor.name,
        kind=actor.kind,
        role=actor.role,
        operator=actor.operator,
        segments=actor.home[:1],
        grant=f"grant-{actor.name}-{actor.home[0]}",
        people=100,
        rows=int(actor.rows) + 1,
    )
    return replace(base, **more)  # type: ignore[arg-type]


def _export(spec: Spec, day: int, draw: Draw) -> Iterator[Use]:
    """Vectors of every segment within half an hour, each many times what is usual."""
    actor = _pick(spec, draw, "human", "scientist", "engineer")
    at = _start(spec, day) + int((actor.begins + 1 + 6 * draw.unit()) * HOUR)
    for segment in SEGMENTS[: draw.whole(6, 12)]:
        at += draw.whole(40, 150) * SECOND_US
        rows = int(actor.rows * draw.whole(20, 60)) + 1
        yield _by(actor, at, action="embed.export", segments=(segment,), rows=rows, people=4_000)


def _join(spec: Spec, day: int, draw: Draw) -> Iterator[Use]:
    """How somebody is rated, joined with what they wrote in private."""
    actor = _pick(spec, draw, "human", "analyst", "engineer")
    at = _start(spec, day) + int((actor.begins + 1 + 6 * draw.unit()) * HOUR)
    place = draw.pick(("us-ca", "us-wa", "de"))
    for _ in range(draw.whole(1, 3)):
        at += draw.whole(60, 900) * SECOND_US
        yield _by(actor, at, segments=(f"{place}.chat", f"{place}.metric"), people=8)


def _download(spec: Spec, day: int, draw: Draw) -> Iterator[Use]:
    """A model taken out of the house at three in the morning."""
    actor = _pick(spec, draw, "human", "scientist", "engineer")
    at = _start(spec, day) + 3 * HOUR + draw.whole(0, 1_500) * SECOND_US
    for _ in range(draw.whole(1, 4)):
        at += draw.whole(20, 200) * SECOND_US
        yield _by(actor, at, action="artifact.get", segments=(), rows=0)


def _loop(spec: Spec, day: int, draw: Draw) -> Iterator[Use]:
    """An agent that asks again and again, through one segment after the other."""
    actor = _pick(spec, draw, "agent")
    at = _start(spec, day) + int((8 + 12 * draw.unit()) * HOUR)
    for number in range(draw.whole(400, 900)):
        at += draw.whole(200, 1_800) * 1_000
        refused = draw.unit() < 0.3
        segment = SEGMENTS[number * 5 % len(SEGMENTS)]
        yield _by(
            actor,
            at,
            segments=(segment,),
            rows=0 if refused else 50,
            outcome="refused" if refused else "done",
        )


def _slow(spec: Spec, day: int, draw: Draw) -> Iterator[Use]:
    """A little more than usual, every day: no single use stands out."""
    actor = _pick(spec, draw, "human")
    day = min(day, max(spec.days - _SLOW_DAYS, 0))
    for later in range(_SLOW_DAYS):
        for _ in range(draw.whole(4, 7)):
            at = _start(spec, day + later) + int((actor.begins + 8.5 * draw.unit()) * HOUR)
            rows = int(actor.rows * (1.7 + 0.6 * draw.unit())) + 1
            yield _by(actor, at, segments=(draw.pick(actor.home),), rows=rows)


def _collude(spec: Spec, day: int, draw: Draw) -> Iterator[Use]:
    """Seats that agree at night, within seconds, to what one of them proposed."""
    at = _start(spec, day) + int((22 + draw.unit()) * HOUR)
    first = draw.whole(0, len(SEATS) - 1)
    seats = [SEATS[(first + step * 2) % len(SEATS)] for step in range(3)]
    for number in range(draw.whole(2, 4)):
        name = f"proposal-{day}-night-{number}"
        yield vote(at, seats[0], name, action="proposal")
        for seat in seats[1:]:
            at += draw.whole(3, 20) * SECOND_US
            yield vote(at, seat, name, action="proposal")
        at += draw.whole(30, 120) * SECOND_US
        actor = _pick(spec, draw, "human")
        yield _by(actor, at, action="grant", grant=name, segments=SEGMENTS[:8], rows=0)


KINDS: Final[dict[str, Callable[[Spec, int, Draw], Iterator[Use]]]] = {
    "bulk_export": _export,
    "odd_join": _join,
    "night_download": _download,
    "agent_loop": _loop,
    "slow_exfiltration": _slow,
    "quorum_collusion": _collude,
}
