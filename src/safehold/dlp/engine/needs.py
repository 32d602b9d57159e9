"""What every match of an expression must hold: short runs of signs, one of which has to be there.

Worked out from the expression itself, never by hand, so that a gate built of it cannot be narrower
than the rule. Of all runs that would do, the rarest in ordinary text are taken.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise, product
from typing import Final

from safehold.dlp.engine.syntax import (
    DIGIT,
    OTHER,
    SPACE,
    WORD,
    Edge,
    Either,
    Node,
    Repeat,
    Row,
    Sign,
    read_expression,
)
from safehold.errors import InvalidError

Run = tuple[int, ...]
Runs = tuple[Run, ...]
_MOST: Final = 256  # runs in one alternative
_COMMON: Final = 0.2  # what stands at more places of ordinary text tells nothing
_LONG: Final = 28  # signs in one run
_ANY: Final[Runs] = ((),)
_BLANK: Final = SPACE
_LETTER_OR_BLANK: Final = SPACE | WORD & ~DIGIT
# how often a sign stands in ordinary chat, in a thousand; what is not listed: 1
_OFTEN: Final = {
    " ": 160, "e": 90, "t": 75, "a": 65, "o": 65, "i": 60, "n": 55, "s": 50, "r": 45, "h": 38, "l": 35, "d": 30,
    "u": 28, "c": 22, "m": 22, "y": 18, "g": 18, "w": 16, "p": 18, "f": 14, "b": 14, "k": 9, "v": 8, ".": 14, ",": 7,
    "'": 7, ":": 6, "-": 6, "/": 6, "0": 5, "1": 5, "2": 4, "?": 5, "j": 2, "x": 3, "q": 1, "z": 1,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Need:
    """Something every match holds.

    Args:
        runs: One of these, at so many places.
        times: How many; the places do not overlap.
    """

    runs: Runs
    times: int = 1


@dataclass(frozen=True, slots=True)
class _Known:
    exact: Runs | None  # all texts of the node, as runs
    begins: Runs
    ends: Runs
    needs: tuple[Need, ...]  # each of them holds


@cache
def chance(mask: int) -> float:
    """Return how often a sign of a set stands at one place of ordinary text, roughly."""
    signs = (chr(code) for code in range(128) if mask >> code & 1)
    total = sum(_OFTEN.get(sign, 3 if sign.isdigit() else 0.7) for sign in signs)
    return min(1.0, total / 1000 + (0.01 if mask >> 128 else 0))


@cache
def _closed(mask: int) -> bool:
    """Return whether a set holds neither letters nor blanks: a blank mostly follows such signs."""
    return not mask & _LETTER_OR_BLANK


def price(runs: Iterable[Run]) -> float:
    """Return how often one of the runs stands at one place of ordinary text, roughly."""
    return sum(map(_price, runs))


@cache
def _price(run: Run) -> float:
    whole = math.prod(map(chance, run))
    for one, two in pairwise(run):
        if _closed(one) and not two & _BLANK and (one | two) & ~DIGIT:
            whole *= 0.15
    return whole


def _useful(runs: Runs | None) -> tuple[Need, ...]:
    return (Need(runs),) if runs and all(runs) and len(runs) <= _MOST else ()


def _joined(left: Runs, right: Runs) -> Runs | None:
    if len(left) * len(right) > _MOST:
        return None
    runs = tuple(dict.fromkeys(a + b for a, b in product(left, right)))
    return runs if max(map(len, runs)) <= _LONG else None


def _known(node: Node) -> _Known:
    if isinstance(node, Sign):
        runs: Runs = ((node.mask,),)
        return _Known(runs, runs, runs, _useful(runs))
    if isinstance(node, Edge):
        return _Known(_ANY, _ANY, _ANY, ())
    if isinstance(node, Row):
        return _row(tuple(_known(part) for part in node.parts))
    if isinstance(node, Either):
        return _either([_known(part) for part in node.parts])
    return _repeat(node)


def _row(parts: tuple[_Known, ...]) -> _Known:
    held, begins = _ANY, None
    needs: list[Need] = []
    for part in parts:
        whole = None if part.exact is None else _joined(held, part.exact)
        if whole is not None:
            held = whole
            continue
        reach = _joined(held, part.begins)
        needs += [*_useful(reach), *_useful(held), *part.needs]
        begins = begins or reach or held
        held = part.ends if part.exact is None else part.exact
    needs += _useful(held)
    return _Known(held if begins is None else None, begins or held, held, tuple(needs))


def _either(parts: list[_Known]) -> _Known:
    def union(runs: Iterable[Runs]) -> Runs:
        found = tuple(dict.fromkeys(run for each in runs for run in each))
        return found if len(found) <= _MOST else _ANY

    needs: tuple[Need, ...] = ()
    if all(part.needs for part in parts):
        bests = [min(part.needs, key=lambda need: price(need.runs)) for part in parts]
        found = union(best.runs for best in bests)
        if all(found):
            needs = (Need(found, min(best.times for best in bests)),)
    exact = None
    exacts = [part.exact for part in parts]
    if all(each is not None for each in exacts):
        exact = tuple(dict.fromkeys(run for each in exacts if each is not None for run in each))
        exact = exact if len(exact) <= _MOST else None
    return _Known(exact, union(p.begins for p in parts), union(p.ends for p in parts), needs)


def _repeat(node: Repeat) -> _Known:
    part = _known(node.part)
    if node.least == 0:
        if node.most == 1 and part.exact is not None and len(part.exact) < _MOST:
            runs = (*part.exact, ())
            return _Known(runs, runs, runs, ())
        return _Known(None, _ANY, _ANY, ())
    turns = min(node.least, _LONG)
    known = _row((part,) * turns)
    if node.most == node.least == turns:
        return known
    often = tuple(Need(need.runs, need.times * node.least) for need in part.needs)
    return _Known(None, known.begins, known.ends, known.needs + often)


def needed(node: Node) -> tuple[Need, ...]:
    """Return what every match holds, rarest first; each of it has to be there.

    Args:
        node: The tree of the expression.
    """
    known = set()
    for need in _known(node).needs:
        runs = tuple(dict.fromkeys(_core(_in_bytes(run)) for run in need.runs))
        if price(runs) <= _COMMON:
            known.add(Need(runs, need.times))
    return tuple(sorted(known, key=lambda need: (price(need.runs) ** need.times, need.runs)))


def _in_bytes(run: Run) -> Run:
    """Return the rarest part of a run that is as long in bytes as in signs.

    A sign beyond ASCII takes several bytes: it may stand at an end, where one of its bytes will do, and nowhere else.
    """
    wide = [at for at, mask in enumerate(run[1:-1], 1) if mask & OTHER]
    borders = [0, *wide, len(run) - 1]
    parts = [run[low : high + 1] for low, high in pairwise(borders)]
    return min(parts, key=_price, default=run)


def _core(run: Run) -> Run:
    """Return a run without signs at its ends that tell nothing."""
    low, high = 0, len(run)
    while high - low > 1 and chance(run[low]) > 0.9:
        low += 1
    while high - low > 1 and chance(run[high - 1]) > 0.9:
        high -= 1
    return run[low:high]


def digits_of(node: Node) -> int:
    """Return how many digits every match holds at least."""
    if isinstance(node, Sign):
        return int(node.mask & ~DIGIT == 0)
    if isinstance(node, Edge):
        return 0
    if isinstance(node, Row):
        return sum(map(digits_of, node.parts))
    if isinstance(node, Either):
        return min(map(digits_of, node.parts))
    return node.least * digits_of(node.part)


def stays_within(pattern: str) -> bool:
    """Return whether no match of an expression holds a zero byte, so that none leaves its row."""
    try:
        return not _may_hold_zero(read_expression(pattern))
    except InvalidError:
        return False


def _may_hold_zero(node: Node) -> bool:
    if isinstance(node, Sign):
        return bool(node.mask & 1)
    if isinstance(node, Edge):
        return False
    if isinstance(node, Repeat):
        return _may_hold_zero(node.part)
    return any(map(_may_hold_zero, node.parts))
