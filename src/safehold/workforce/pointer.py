"""How the pointer moves: bent minimum-jerk strokes to where things are, clicks, scrolls, drags."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from safehold.telemetry.stream import PointerKind
from safehold.workforce.people import Hand
from safehold.workforce.plan import CLICK, DRAG, SCROLL

WIDTH: Final = 1920
HEIGHT: Final = 1080

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """Pointer events of a day, action by action, with times inside the action in microseconds."""

    action: Ints
    offset: Ints
    kind: Ints
    x: Ints
    y: Ints
    button: Ints
    buttons: Ints
    wheel: Ints
    display: Ints
    length: Ints


def place_of(role: str) -> tuple[int, int]:
    """Return where things of this role lie on everybody's screen."""
    code = zlib.crc32(role.encode())
    return 120 + code % (WIDTH - 240), 60 + (code >> 12) % (HEIGHT - 160)


def _spread(counts: Ints) -> tuple[Ints, Ints]:
    """Return, for each of ``counts`` runs laid end to end, the run's number and the place in it."""
    run = np.repeat(np.arange(len(counts)), counts)
    return run, np.arange(len(run)) - np.repeat(np.cumsum(counts) - counts, counts)


def _pause(rng: np.random.Generator, count: int, who: Hand) -> Ints:
    """Draw times between samples in us: the device's rate, the recorder's, and short rests."""
    pick = rng.random(count)
    noise = rng.standard_normal(count)
    ms = np.where(
        pick < who.quick,
        16.0 + 0.8 * noise,
        np.where(pick < 0.88, 110.0 * np.exp(0.18 * noise), 300.0 * np.exp(0.5 * noise)),
    )
    return (np.clip(ms * who.tempo, 4.0, 3_000.0) * 1000.0).astype(np.int64)


def move_pointer(
    kinds: Ints, *, places: Ints, actions: Ints, total: int, hand: Hand, rng: np.random.Generator
) -> Moves:
    """Draw the events of all pointer actions of a day.

    Args:
        kinds: ``CLICK``, ``SCROLL`` or ``DRAG`` per pointer action.
        places: Where each goes, shape (n, 2), in pixels.
        actions: Number of each action in the plan.
        total: Number of actions in the plan.
        hand: The person's way of pointing.
        rng: Source of chance.
    """
    count = len(kinds)
    target = places + np.rint(rng.standard_normal((count, 2)) * (22.0, 9.0)).astype(np.int64)
    target = np.clip(target, 0, (WIDTH - 1, HEIGHT - 1))
    stays = kinds == SCROLL
    keep = np.maximum.accumulate(np.where(~stays, np.arange(count), -1))
    target = np.where((stays & (keep >= 0))[:, None], target[np.maximum(keep, 0)], target)
    origin = np.vstack([np.array([[WIDTH // 2, HEIGHT // 2]]), target[:-1]])[:count]
    steps = np.clip(np.exp(3.12 + 0.45 * rng.standard_normal(count)), 4, 120).astype(np.int64)
    steps[stays] = rng.integers(3, 13, int(stays.sum()))
    drags = kinds == DRAG
    extra = np.where(kinds == CLICK, 3, np.where(drags, 2, 0))
    sizes = steps + extra
    run, place = _spread(sizes)
    tau = np.minimum((place + 1 - drags[run]) / steps[run], 1.0)
    rise = np.minimum(2.2 * tau, 1.0)  # the rest of the stroke homes in
    ease = rise**3 * (10.0 - 15.0 * rise + 6.0 * rise**2)  # Flash and Hogan 1985
    way = (target - origin).astype(np.float64)
    normal = np.stack([-way[:, 1], way[:, 0]], axis=1)
    bend = (hand.bend + 0.06 * rng.standard_normal(count))[run] * np.sin(np.pi * rise)
    shake = hand.shake * rng.standard_normal((len(run), 2)) * (tau < 1.0)[:, None]
    spot = origin[run] + way[run] * ease[:, None] + normal[run] * bend[:, None] + shake
    spot[stays[run]] = target[run[stays[run]]]
    spot = np.clip(np.rint(spot), 0, (WIDTH - 1, HEIGHT - 1)).astype(np.int64)
    kind = np.full(len(run), int(PointerKind.MOVE))
    kind[stays[run]] = PointerKind.SCROLL
    kind[drags[run]] = PointerKind.DRAG
    wait = _pause(rng, len(run), hand)
    after = place - steps[run]  # 0, 1, 2 for press, release and click
    clicks = kinds[run] == CLICK
    held = (1000.0 * np.exp(hand.click + 0.25 * rng.standard_normal(count))).astype(np.int64)
    kind[clicks & (after == 0)] = PointerKind.PRESS
    kind[clicks & (after == 1)] = PointerKind.RELEASE
    kind[clicks & (after == 2)] = PointerKind.CLICK
    kind[drags[run] & (place == 0)] = PointerKind.PRESS
    kind[drags[run] & (after == 1)] = PointerKind.RELEASE
    wait = np.where(clicks & (after == 1), held[run], wait)
    wait[clicks & (after == 2)] = 300
    wait[stays[run]] = np.minimum(wait[stays[run]], 140_000)
    clock = np.cumsum(wait)
    ends = np.cumsum(sizes) - 1
    lengths = clock[ends] - np.append(0, clock[ends[:-1]]) if count else np.zeros(0, np.int64)
    offset = clock - np.append(0, clock[ends[:-1]])[run] if count else clock
    length = np.zeros(total, np.int64)
    length[actions] = lengths + 40_000
    pressed = (kind == PointerKind.PRESS) | (kind == PointerKind.DRAG)
    button = np.where(
        np.isin(kind, (PointerKind.PRESS, PointerKind.RELEASE, PointerKind.CLICK)), 0, -1
    )
    turn = np.where(rng.random(count) < 0.8, -120, 120)
    display = (rng.random(count) < (0.3 if hand.displays > 1 else 0.0)).astype(np.int64)
    return Moves(
        action=actions[run],
        offset=offset,
        kind=kind,
        x=spot[:, 0] - WIDTH * display[run],
        y=spot[:, 1],
        button=button,
        buttons=pressed.astype(np.int64),
        wheel=np.where(stays[run], turn[run], 0),
        display=display[run],
        length=length,
    )
