"""Who used the data of the company: an ordinary trace of access, for whatever watches for misuse.

The people here are not those whose data it is: they are scientists, engineers, seats of the board,
and the agents and scheduled jobs that work for them. ``misuse`` adds what must be noticed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, Final

import pyarrow as pa

from safehold.clock import DAY_US, SECOND_US
from safehold.telemetry.schema import T
from safehold.workforce.spec import TRACE, Draw, Spec, generator

HUMANS: Final = 24
AGENTS: Final = 6
WORKLOADS: Final = 3
SEATS: Final = ("works_council", "privacy", "security", "legal", "product", "employees")
ROLES: Final = ("scientist", "engineer", "analyst", "auditor")
PURPOSES: Final = ("train_ui_agent", "improve_tools", "secure_the_pipeline")
SEGMENTS: Final = tuple(
    f"{place}.{stream}"
    for place in ("us-ca", "us-wa", "de")
    for stream in ("key", "pointer", "chat", "ai", "focus", "speech", "metric", "screen")
)
HOUR: Final = 3_600 * SECOND_US


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One thing somebody did, or tried to do, with the data.

    Args:
        t: When, microseconds since 1970, UTC.
        actor: Who.
        kind: ``human``, ``agent``, ``workload`` or ``seat``.
        role: Role of the actor.
        operator: The human an agent works for.
        action: Kind of the ledger's leaf: ``access.intent``, ``embed.export``, ``artifact.get`` ...
        segments: What was asked for; two or more are a join.
        purpose: The purpose stated.
        grant: Id of the grant, or of the proposal that is voted on.
        people: Number of people asked for.
        rows: Number of rows that came out.
        outcome: ``done`` or ``refused``.
        misuse: What it is a part of, as a label for tests; None for ordinary use.
        episode: Number of the misuse, counted over the run.
        odd: Ordinary use that looks odd: ``on_call``, ``new_segment``, ``large`` or ``busy_day``.
    """

    t: int
    actor: str
    kind: str
    role: str
    operator: str | None = None
    action: str = "access.intent"
    segments: tuple[str, ...] = ()
    purpose: str = PURPOSES[0]
    grant: str | None = None
    people: int = 0
    rows: int = 0
    outcome: str = "done"
    misuse: str | None = None
    episode: int | None = None
    odd: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Somebody who uses the data, with habits that last.

    Args:
        name: Who.
        kind: ``human``, ``agent`` or ``workload``.
        role: Role.
        operator: The human an agent works for.
        home: Segments used day by day.
        rows: Median rows of one use.
        uses: Uses on an ordinary day.
        begins: UTC hour at which the day begins.
    """

    name: str
    kind: str
    role: str
    operator: str | None
    home: tuple[str, ...]
    rows: float
    uses: float
    begins: int


def actors(spec: Spec) -> tuple[Actor, ...]:
    """Return everybody who uses the data, the same whatever the size of the company."""
    return _actors(spec.seed)


@lru_cache(maxsize=8)
def _actors(seed: int) -> tuple[Actor, ...]:
    found: list[Actor] = []
    for place in range(HUMANS + AGENTS + WORKLOADS):
        draw = Draw(generator(seed, TRACE, place, 1, 0, 0))
        first = draw.whole(0, len(SEGMENTS) - 1)
        home = tuple(SEGMENTS[(first + step) % len(SEGMENTS)] for step in range(draw.whole(2, 4)))
        if place < HUMANS:
            name, kind, role = f"staff-{place:02d}", "human", ROLES[place % len(ROLES)]
            operator, uses, rows = None, 10.0, 4_000.0
        elif place < HUMANS + AGENTS:
            name, kind, role = f"agent-{place - HUMANS:02d}", "agent", "agent"
            operator = f"staff-{draw.whole(0, HUMANS - 1):02d}"
            uses, rows = (120.0 if place % 2 else 40.0), 800.0
        else:
            name, kind, role = f"job-{place - HUMANS - AGENTS:02d}", "workload", "workload"
            operator, uses, rows = None, 24.0, 20_000.0
        found.append(
            Actor(
                name=name,
                kind=kind,
                role=role,
                operator=operator,
                home=home,
                rows=rows * 2.0 ** draw.normal(),
                uses=uses * 1.5 ** draw.normal(),
                begins=draw.pick((7, 8, 13, 14, 15)),  # so that the day ends before 24:00
            )
        )
    return tuple(found)


def ordinary(spec: Spec, day: int) -> Iterator[Use]:
    """Yield the ordinary uses of one day, drawn alone.

    Args:
        spec: The company.
        day: Number of the day.
    """
    start = (spec.start_day + day) * DAY_US
    weekend = (spec.start_day + day + 3) % 7 >= 5  # 1970-01-01 was a Thursday
    busy = 1.8 if generator(spec.seed, TRACE, day, 2, 0, 0).random() < 0.05 else 1.0
    for place, actor in enumerate(actors(spec)):
        draw = Draw(generator(spec.seed, TRACE, day, 3, place, 0))
        share = 1.0 if actor.kind == "workload" else 0.1 if weekend else busy
        count = int(actor.uses * share * 1.3 ** draw.normal() + draw.unit())
        call = actor.kind == "human" and draw.unit() < 0.02
        for number in range(count):
            yield _use(actor, draw, start, number=number, busy=busy > 1.0)
        if call:
            for number in range(draw.whole(2, 5)):
                at = start + int((1.0 + 3.0 * draw.unit()) * HOUR)
                yield _use(actor, draw, start, number=number, at=at, odd="on_call")
    yield from _board(spec, day, start)


def _use(  # one use has this many circumstances
    actor: Actor, draw: Draw, start: int, *, number: int, at: int | None = None,
    busy: bool = False, odd: str | None = None,
) -> Use:  # fmt: skip
    if at is None:
        at = start + int((actor.begins + 8.5 * draw.unit()) * HOUR)
        if actor.kind == "workload":
            at = start + number % 24 * HOUR + draw.whole(0, 90) * SECOND_US
    segments: tuple[str, ...] = (draw.pick(actor.home),)
    rows = actor.rows * 2.0 ** (0.7 * draw.normal())
    chance = draw.unit()
    if chance < 0.004:
        segments, odd = (draw.pick(SEGMENTS),), odd or "new_segment"
    elif chance < 0.014:
        rows, odd = rows * draw.whole(8, 20), odd or "large"
    elif chance < 0.09 and len(actor.home) > 1:
        segments = tuple(sorted({actor.home[0], actor.home[1]}))
    way = draw.unit()
    action = "access.intent"
    if actor.kind == "human" and actor.role in ("scientist", "engineer"):
        action = "artifact.get" if way < 0.06 else "embed.export" if way < 0.1 else action
    refused = draw.unit() < 0.02
    return Use(
        t=at,
        actor=actor.name,
        kind=actor.kind,
        role=actor.role,
        operator=actor.operator,
        action=action,
        segments=() if action == "artifact.get" else segments,
        purpose=PURPOSES[len(actor.name + actor.home[0]) % 2],
        grant=f"grant-{actor.name}-{segments[0]}",
        people=draw.whole(50, 400),
        rows=0 if refused or action == "artifact.get" else int(rows) + 1,
        outcome="refused" if refused else "done",
        odd=odd or ("busy_day" if busy else None),
    )


def _board(spec: Spec, day: int, start: int) -> Iterator[Use]:
    """Yield proposals and votes: seats take hours to read, and do not all agree."""
    draw = Draw(generator(spec.seed, TRACE, day, 4, 0, 0))
    for number in range(draw.whole(0, 2)):
        at = start + int((9 + 5 * draw.unit()) * HOUR)
        name, asks = f"proposal-{day}-{number}", draw.pick(SEATS)
        yield vote(at, asks, name, action="proposal")
        for seat in SEATS:
            if seat != asks and draw.unit() < 0.8:
                later = at + int((0.3 + 6 * draw.unit()) * HOUR)
                outcome = "done" if draw.unit() < 0.85 else "refused"
                yield vote(later, seat, name, action="proposal", outcome=outcome)


def vote(at: int, seat: str, name: str, *, action: str, outcome: str = "done") -> Use:
    """Return a proposal, or a seat's word on it.

    Args:
        at: When.
        seat: The seat.
        name: The proposal.
        action: Kind of the leaf.
        outcome: ``refused`` for a no.
    """
    return Use(
        t=at, actor=seat, kind="seat", role="board", action=action, grant=name, outcome=outcome
    )


_TYPES: Final[dict[str, Any]] = {
    "t": T,
    "segments": pa.list_(pa.string()),
    "people": pa.int32(),
    "rows": pa.int64(),
    "episode": pa.int32(),
}
_OPTIONAL: Final = ("operator", "grant", "misuse", "episode", "odd")
TRACES: Final = pa.schema(
    [
        pa.field(item.name, _TYPES.get(item.name, pa.string()), nullable=item.name in _OPTIONAL)
        for item in fields(Use)
    ]
)


def to_table(uses: list[Use]) -> pa.Table:
    """Return uses as a table, ordered by time and actor."""
    uses = sorted(uses, key=lambda use: (use.t, use.actor, use.action, use.segments))
    columns = []
    for item in TRACES:
        values = [getattr(use, item.name) for use in uses]
        plain = pa.array(values, pa.int64() if item.type == T else item.type)
        columns.append(plain.cast(item.type))
    return pa.Table.from_arrays(columns, schema=TRACES)
