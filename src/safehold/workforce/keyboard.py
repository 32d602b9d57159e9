# ruff: noqa: SIM905 - long lists of words read better as text
"""From text to key presses, and from key presses to key events.

One byte stands for one key press: printable ASCII for itself, control bytes for named keys. So
the typing of a whole day is one byte string, and everything about it is a table look-up.

Names of keys and codes follow W3C UI Events; the layout is US.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from safehold.telemetry.stream import KeyKind
from safehold.workforce.people import Hand
from safehold.workforce.plan import Commit
from safehold.workforce.spec import Draw

LEFT: Final = 1
END: Final = 2
SELECT_ALL: Final = 3
ERASE_WORD: Final = 4
PASTE: Final = 5
HELD: Final = 6  # backspace repeated because it is held down
BACKSPACE: Final = 8
TAB: Final = 9
ENTER: Final = 13
DELETE: Final = 127

SHIFT_BIT: Final = 1  # bits of ``mods``
CONTROL_BIT: Final = 2

_PLAIN: Final = "`-=[]\\;',./"
_SHIFTED: Final = '~_+{}|:"<>?'
_PUNCTUATION: Final = (
    "Backquote Minus Equal BracketLeft BracketRight Backslash Semicolon Quote Comma Period Slash"
).split()
_NEIGHBOURS: Final = {
    97 + at: near.encode()
    for at, near in enumerate(
        "sqwz vghn xdfv serfcx wsdr rtgdvc tyfhvb yugjbn uojk uikmnh iojlm kop njk bhjm ipkl ol wa "
        "etdf awedxz rygf yihj cfgb qeas zsdc tugh xsa".split()
    )
}

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]


def _name_keys() -> tuple[list[str], list[str], Bytes, Bytes, Bytes, Bytes]:
    """Build the tables: names of codes and keys, and per byte code, key, modifiers and class."""
    codes, keys = ["ShiftLeft", "ControlLeft"], ["Shift", "Control"]
    code, key, mods, group = (np.zeros(128, np.uint8) for _ in range(4))

    def put(byte: int, code_name: str, key_name: str, *, bits: int = 0, kind: int = 30) -> None:
        if code_name not in codes:
            codes.append(code_name)
        if key_name not in keys:
            keys.append(key_name)
        code[byte], key[byte] = codes.index(code_name), keys.index(key_name)
        mods[byte], group[byte] = bits, kind

    for at, letter in enumerate("abcdefghijklmnopqrstuvwxyz"):
        put(ord(letter), f"Key{letter.upper()}", letter, kind=at)
        put(ord(letter.upper()), f"Key{letter.upper()}", letter.upper(), bits=SHIFT_BIT, kind=at)
    for digit, mark in zip("0123456789", ")!@#$%^&*(", strict=True):
        put(ord(digit), f"Digit{digit}", digit, kind=26)
        put(ord(mark), f"Digit{digit}", mark, bits=SHIFT_BIT, kind=27)
    for plain, shifted, name in zip(_PLAIN, _SHIFTED, _PUNCTUATION, strict=True):
        put(ord(plain), name, plain, kind=27)
        put(ord(shifted), name, shifted, bits=SHIFT_BIT, kind=27)
    put(ord(" "), "Space", " ", kind=28)
    put(LEFT, "ArrowLeft", "ArrowLeft")
    put(END, "End", "End")
    put(SELECT_ALL, "KeyA", "a", bits=CONTROL_BIT)
    put(ERASE_WORD, "Backspace", "Backspace", bits=CONTROL_BIT, kind=29)
    put(PASTE, "KeyV", "v", bits=CONTROL_BIT)
    for byte in (HELD, BACKSPACE):
        put(byte, "Backspace", "Backspace", kind=29)
    for byte, name in ((TAB, "Tab"), (ENTER, "Enter"), (DELETE, "Delete")):
        put(byte, name, name, kind=31)
    return codes, keys, code, key, mods, group


CODES, KEYS, _CODE, _KEY, _MODS, _GROUP = _name_keys()

_COMMON: Final = np.random.Generator(np.random.PCG64(20_240_611))  # shared by everybody: the layout
_KEY_GAP: Final = 0.12 * _COMMON.standard_normal(128)
_PAIR_GAP: Final = 0.12 * _COMMON.standard_normal((32, 32))
_KEY_HOLD: Final = 0.08 * _COMMON.standard_normal(128)
# against the mean of the letters: a space comes sooner, a correction later and its key is left sooner
_KEY_GAP[ord(" ")], _KEY_GAP[BACKSPACE], _KEY_GAP[DELETE] = -0.15, 0.35, 0.35
_KEY_HOLD[BACKSPACE] = -0.2


def strike(text: str, *, rate: float, draw: Draw) -> bytes:
    """Return the key presses that leave ``text``, with errors that are noticed and corrected.

    Errors replace a letter by a neighbour, are noticed after 0 to 5 characters, and are corrected
    by backspaces (most), by moving the caret, or by deleting the word.

    Args:
        text: Printable ASCII.
        rate: Chance per letter of an error.
        draw: Source of chance.
    """
    raw, out, at = text.encode("ascii"), bytearray(), 0
    scale = math.log1p(-rate)
    while True:
        slip = at + int(math.log(1.0 - draw.unit()) / scale)
        if slip >= len(raw):
            return bytes(out + raw[at:])
        out += raw[at:slip]
        near = _NEIGHBOURS.get(raw[slip])
        if near is None:
            out.append(raw[slip])
            at = slip + 1
            continue
        late = draw.weigh((0, 1, 2, 3, 4, 5, 6), (0.54, 0.70, 0.81, 0.89, 0.94, 0.97, 1.0))
        at = min(slip + 1 + late, len(raw))
        late = at - slip - 1
        out.append(draw.pick(near))
        out += raw[slip + 1 : at]
        _correct(out, raw, slip=slip, at=at, style=draw.unit())


def _correct(out: bytearray, raw: bytes, *, slip: int, at: int, style: float) -> None:
    late = at - slip - 1
    begin = raw.rfind(b" ", 0, slip) + 1
    if style > 0.93 and begin > 0 and raw[begin:at].isalpha():
        out.append(ERASE_WORD)
        out += raw[begin:at]
    elif style > 0.75 and late > 0:
        if style > 0.84:
            out += bytes([LEFT]) * late + bytes([BACKSPACE])
        else:
            out += bytes([LEFT]) * (late + 1) + bytes([DELETE])
        out.append(raw[slip])
        out.append(END)
    else:
        out += bytes([BACKSPACE]) * (late + 1)
        out += raw[slip:at]


@dataclass(frozen=True, slots=True, kw_only=True)
class Presses:
    """Key presses of a day with their timing inside each action, in microseconds.

    Args:
        op: One byte per press.
        action: Number of the action each press belongs to.
        down: Time of the press since its action began.
        up: Time of the release since its action began.
        length: Duration of each typing action, by action number.
        lead: Share of the gap before a key for which its modifier is held already.
        stay: Share of the gap after it for which the modifier is still held.
    """

    op: Bytes
    action: Ints
    down: Ints
    up: Ints
    length: Ints
    lead: float = 0.4
    stay: float = 0.5


def time_presses(
    op: Bytes, *, action: Ints, actions: int, hand: Hand, rng: np.random.Generator
) -> Presses:
    """Draw gaps and holds: lognormal, with offsets per person, key and pair of keys.

    Args:
        op: One byte per press, action by action.
        action: Number of the action of each press, non-decreasing.
        actions: Number of actions of the day.
        hand: The person's way of typing.
        rng: Source of chance.
    """
    count = len(op)
    length = np.zeros(actions, np.int64)
    if count == 0:
        empty = np.zeros(0, np.int64)
        return Presses(op=op, action=action, down=empty, up=empty, length=length)
    pair = _GROUP[op]
    before = np.roll(pair, 1)
    noise = rng.standard_normal((2, count))
    tail = rng.random(count)
    gap = hand.gap + (_KEY_GAP + hand.key_gap)[op] + (_PAIR_GAP + hand.pair_gap)[before, pair]
    gap += 0.33 * hand.gap_spread * noise[0]
    gap += np.where(tail < hand.pause, 0.85 + 0.93 * tail / hand.pause, 0.0)  # pauses
    hold = hand.hold + (_KEY_HOLD + hand.key_hold)[op] + 0.27 * hand.hold_spread * noise[1]
    hold -= np.where(tail > 1.0 - hand.hold_dip, 0.7, 0.0)
    gap_us = (1000.0 * np.exp(gap)).astype(np.int64) + 1000
    hold_us = (1000.0 * np.exp(hold)).astype(np.int64) + 1000
    held = op == HELD
    gap_us[held] = 33_000
    first = np.ones(count, bool)
    first[1:] = action[1:] != action[:-1]
    starts = np.flatnonzero(first)
    gap_us[starts] = 60_000  # room for a modifier before the first key
    clock = np.cumsum(gap_us)
    base = np.repeat(clock[starts] - gap_us[starts], np.diff(np.append(starts, count)))
    down = clock - base
    # a key must be up before it goes down again
    group = action * 256 + _CODE[op]
    order = np.argsort(group, kind="stable")
    now, later = order[:-1], order[1:]
    again = group[now] == group[later]
    limit = np.full(count, np.iinfo(np.int64).max)
    limit[now[again]] = down[later[again]] - 600
    up = np.maximum(np.minimum(down + hold_us, limit), down + 300)
    length[action[starts]] = np.maximum.reduceat(up, starts) + 90_000
    return Presses(
        op=op, action=action, down=down, up=up, length=length, lead=hand.lead, stay=hand.stay
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyEvents:
    """Key events of a day in the order of time.

    Args:
        at: Time in microseconds since the day's first session began.
        action: Number of the action.
        kind: ``KeyKind``.
        code: Index into ``CODES``, -1 for none.
        key: Index into ``KEYS``, -1 for none.
        mods: Modifier bits.
        repeat: Made by holding the key.
        press: Place of the event of each press (its down) in this order.
        composing: Made while an input method composes.
        commits: Place of the event of each commit.
    """

    at: Ints
    action: Ints
    kind: Bytes
    code: npt.NDArray[np.int16]
    key: npt.NDArray[np.int16]
    mods: Bytes
    repeat: npt.NDArray[np.bool_]
    press: Ints
    composing: npt.NDArray[np.bool_]
    commits: Ints


def list_events(presses: Presses, start: Ints, *, commits: Sequence[Commit] = ()) -> KeyEvents:
    """Return downs and ups of keys and modifiers, the pastes and the commits, ordered by time.

    Args:
        presses: The presses with their timing.
        start: Start of each action in microseconds.
        commits: What an input method composed.
    """
    op, action = presses.op, presses.action
    base = start[action]
    down, up = base + presses.down, base + presses.up
    mods = _MODS[op]
    last_held = np.ones(len(op), bool)
    last_held[:-1] = (op[1:] != HELD) | (action[1:] != action[:-1])
    released = np.flatnonzero((op != HELD) | last_held)
    # a held key is released once, at the end of the run: its first press has no release
    begins = np.zeros(len(op), bool)
    begins[:-1] = (op[:-1] == BACKSPACE) & (op[1:] == HELD) & (action[1:] == action[:-1])
    released = released[~begins[released]]
    parts: list[tuple[Any, ...]] = [
        (down, action, KeyKind.DOWN, _CODE[op], _KEY[op], mods, op == HELD),
        (up[released], action[released], KeyKind.UP, *_look(op[released]), mods[released], None),
    ]
    for bit, name in ((SHIFT_BIT, 0), (CONTROL_BIT, 1)):
        needed = (mods & bit) > 0
        parts += _press_modifier(presses, down, up, needed=needed, bit=bit, name=name)
    pasted = np.flatnonzero(op == PASTE)
    if len(pasted):
        parts.append((down[pasted] + 900, action[pasted], KeyKind.PASTE, None, None, None, None))
    composed = np.zeros(len(op), bool)
    if commits:
        for each in commits:
            composed[each.first : each.last + 1] = True
        last = np.array([each.last for each in commits])
        parts.append((down[last] + 900, action[last], KeyKind.COMMIT, None, None, None, None))
    sizes = [len(part[0]) for part in parts]

    def column(place: int, fill: int) -> npt.NDArray[np.int64]:
        return np.concatenate(
            [
                np.full(size, fill if part[place] is None else part[place], np.int64)
                if part[place] is None or np.isscalar(part[place])
                else part[place]
                for part, size in zip(parts, sizes, strict=True)
            ]
        ).astype(np.int64)

    at = column(0, 0)
    order = np.argsort(at, kind="stable")
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    composing = np.zeros(len(order), bool)
    composing[rank[: len(op)]] = composed
    composing[rank[len(op) : len(op) + len(released)]] = composed[released]
    return KeyEvents(
        at=at[order],
        action=column(1, 0)[order],
        kind=column(2, 0)[order].astype(np.uint8),
        code=column(3, -1)[order].astype(np.int16),
        key=column(4, -1)[order].astype(np.int16),
        mods=column(5, 0)[order].astype(np.uint8),
        repeat=column(6, 0)[order].astype(bool),
        press=rank[: len(op)],
        composing=composing,
        commits=rank[len(rank) - len(commits) :],
    )


def _look(op: Bytes) -> tuple[Bytes, Bytes]:
    return _CODE[op], _KEY[op]


def _press_modifier(
    presses: Presses, down: Ints, up: Ints, *, needed: npt.NDArray[np.bool_], bit: int, name: int
) -> list[tuple[Any, ...]]:
    """Hold a modifier over each run of presses that need it."""
    if not needed.any():
        return []
    action = presses.action
    joined = np.zeros(len(needed), bool)
    joined[1:] = needed[1:] & needed[:-1] & (action[1:] == action[:-1])
    first = np.flatnonzero(needed & ~joined)
    ends = np.ones(len(needed), bool)
    ends[:-1] = ~joined[1:]
    last = np.flatnonzero(needed & ends)
    earlier = np.where(first > 0, down[np.maximum(first - 1, 0)], 0)
    same = (first > 0) & (action[np.maximum(first - 1, 0)] == action[first])
    gap = np.where(same, down[first] - earlier, 50_000)
    pressed = down[first] - np.maximum((gap * presses.lead).astype(np.int64), 1)
    later = np.minimum(last + 1, len(down) - 1)
    follows = (last + 1 < len(down)) & (action[later] == action[last])
    after = ((down[later] - down[last]) * presses.stay).astype(np.int64)
    room = np.where(follows, after, up[last] - down[last] + 20_000)
    released = down[last] + np.maximum(room, 2)
    return [
        (pressed, action[first], KeyKind.DOWN, name, name, bit, None),
        (released, action[last], KeyKind.UP, name, name, 0, None),
    ]
