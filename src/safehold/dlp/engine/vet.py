"""Checks on many candidates at once, for the checks that are asked most.

Each function decides what is plain and leaves the rest: -1 means that the check itself has to be asked.
What it does decide is what the check would say; a test compares the two on every corpus.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
_DIGIT, _LOWER, _UPPER, _MARK, _AT, _SLASH, _BLANK, _COLON = (1 << bit for bit in range(8))


def _table(*groups: tuple[int, str]) -> bytes:
    table = bytearray(256)
    for bit, signs in groups:
        for sign in signs.encode():
            table[sign] |= bit
    return bytes(table)


_A_TO_Z: Final = "abcdefghijklmnopqrstuvwxyz"
_KINDS: Final = _table(
    (_DIGIT, "0123456789"), (_LOWER, _A_TO_Z), (_UPPER, _A_TO_Z.upper()), (_MARK, "!#$%^&*+?~@"),
    (_AT, "@"), (_SLASH, "/"), (_BLANK, " ([{<"), (_COLON, ":"),
)  # fmt: skip


def _among(signs: bytes) -> Flags:
    table = np.zeros(256, bool)
    table[list(signs)] = True
    return table


class Candidates:
    """Candidates of one rule: stretches of a buffer that begins and ends with a zero byte.

    Args:
        facts: What is known of the buffer.
        start: First byte of each.
        end: Byte after the last.
    """

    def __init__(self, facts: Facts, start: Ints, end: Ints) -> None:
        self.facts, self.start, self.end = facts, start, end

    @cached_property
    def before(self) -> npt.NDArray[np.uint8]:
        """The byte before each; zero at the begin of a row."""
        return self.facts.code[self.start - 1]

    @cached_property
    def after(self) -> npt.NDArray[np.uint8]:
        """The byte after each; zero at the end of a row."""
        return self.facts.code[self.end]

    @cached_property
    def digits(self) -> Ints:
        """How many digits each holds."""
        return self.facts.digits[self.end] - self.facts.digits[self.start]

    @cached_property
    def holds(self) -> npt.NDArray[np.uint8]:
        """Which kinds of signs each holds."""
        pairs = np.empty(2 * len(self.start), np.int64)
        pairs[0::2], pairs[1::2] = self.start, self.end
        return np.bitwise_or.reduceat(self.facts.kinds, pairs)[0::2]

    def has(self, kinds: int) -> Flags:
        """Return which hold any of some kinds."""
        return (self.holds & kinds) > 0


class Facts:
    """What is known of a buffer, worked out when it is asked for.

    Args:
        data: The buffer; it begins and ends with a zero byte.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.code = np.frombuffer(data, np.uint8)

    @cached_property
    def lower(self) -> bytes:
        """The buffer with small letters for capitals."""
        return self.data.lower()

    @cached_property
    def kinds(self) -> npt.NDArray[np.uint8]:
        """The kinds of each byte."""
        return np.frombuffer(self.data.translate(_KINDS), np.uint8)

    @cached_property
    def digits(self) -> npt.NDArray[np.int32]:
        """How many digits stand before each byte."""
        counts = np.zeros(len(self.code) + 1, np.int32)
        np.cumsum((self.kinds & _DIGIT).view(np.bool_), out=counts[1:])
        return counts


def _unsure(size: int) -> Ints:
    return np.full(size, -1, np.int64)


def _phone(each: Candidates) -> Ints:
    said = np.where(each.digits >= 10, 90, 75)
    tail = each.facts.code[np.minimum(each.end + 1, len(each.facts.code) - 1)]
    said[_among(b"-./:#")[each.before]] = 0
    said[_among(b"-.:")[each.after] & _among(b"0123456789")[tail]] = 0
    said[(each.digits < 7) | (each.digits > 15)] = 0
    code = each.facts.code
    doubtful = each.has(_LOWER | _UPPER) | (each.digits == 8) | (each.digits == 6)
    doubtful |= (code[each.start] == 48) & (code[each.start + 1] == 48)
    # eleven times one digit is no number: looked at where the last two are alike
    doubtful |= code[each.end - 1] == code[each.end - 2]
    said[doubtful] = -1
    return said


def _ssn(each: Candidates) -> Ints:
    code = each.facts.code
    digit = _among(b"0123456789")
    said = np.full(len(each.start), 95, np.int64)
    zeros = sum((code[each.end - at] == 48).astype(np.int64) for at in range(1, 5))
    first = code[each.start]
    said[(first == 57) | (zeros == 4)] = 70
    doubtful = (each.digits != 9) | digit[each.before] | digit[each.after]
    doubtful |= _among(b"06")[first] | _among(b".-")[each.before]
    # parted by two dashes or by nothing; any other way is looked at one by one
    size, reach = each.end - each.start, len(code) - 1
    dashes = [code[np.minimum(each.start + at, reach)] == 45 for at in (3, 6)]
    doubtful |= (size != 9) & ((size != 11) | ~dashes[0] | ~dashes[1])
    said[doubtful] = -1
    return said


_CUE_ENDS: Final = _among(b"nreldvNRELDV")


def _spread(each: Candidates, which: Ints) -> tuple[npt.NDArray[np.uint8], Flags]:
    """Return the signs of some candidates, one a row, and which of them are inside."""
    length = (each.end - each.start)[which]
    at = np.arange(int(length.max(initial=0)))
    place = np.minimum(each.start[which][:, None] + at, len(each.facts.code) - 1)
    return each.facts.code[place], at < length[:, None]


def _ip(each: Candidates) -> Ints:
    size = len(each.start)
    said = _unsure(size)
    six = each.has(_COLON)
    if six.any():
        signs, inside = _spread(each, np.flatnonzero(six))
        colon = (signs == 58) & inside
        colons, doubled = np.zeros(size, np.int64), np.zeros(size, np.int64)
        colons[six] = colon.sum(axis=1)
        doubled[six] = (colon[:, 1:] & colon[:, :-1]).sum(axis=1)
        said[six & (doubled == 0) & (colons != 7)] = 0  # eight groups, or some left out
    return _ip_four(each, said, ~six)


def _ip_four(each: Candidates, said: Ints, four: Flags) -> Ints:
    code = each.facts.code
    length = each.end - each.start
    if not four.any():
        return said
    signs = code[np.minimum(each.start[:, None] + np.arange(16), len(code) - 1)]
    inside = np.arange(16) < length[:, None]
    point = (signs == 46) & inside
    value = np.zeros(len(signs), np.int64)
    worst, zero = np.zeros(len(signs), np.int64), np.zeros(len(signs), bool)
    width = np.zeros(len(signs), np.int64)
    for at in range(16):
        now, stop = signs[:, at].astype(np.int64), point[:, at] | ~inside[:, at]
        zero |= ~stop & (width == 1) & (value == 0)  # a leading zero: another notation
        value = np.where(stop, 0, value * 10 + now - 48)
        width = np.where(stop, 0, width + 1)
        worst = np.maximum(worst, value)
    sure = four & (length <= 15) & (point.sum(axis=1) == 3) & (worst <= 255) & ~zero
    tail = code[np.minimum(each.end + 1, len(code) - 1)]
    more = (each.after == 46) & _among(b"0123456789")[tail]
    sure &= ~_among(b".-_")[each.before] & ~_among(b"-_")[each.after] & ~more
    # the last word before it may say that it is a version
    back = each.start - 1
    for _ in range(4):
        back = np.where(_among(b" :=(\t\n")[code[back]], back - 1, back)
    last = code[np.maximum(back, 0)]
    sure &= ~_CUE_ENDS[last] & ~_among(b" :=(\t\n")[last] & (last < 128)
    said[sure] = 90
    return said


def _mac(each: Candidates) -> Ints:
    said = np.full(len(each.start), 95, np.int64)
    said[_among(b":-")[each.after] | ~each.has(_COLON)] = -1
    return said


def _spelled(each: Candidates) -> Ints:
    return np.where(each.has(_BLANK), -1, 0)


def _shape(each: Candidates) -> Ints:
    said = _unsure(len(each.start))
    said[(each.end - each.start < 8) | (each.digits < 2) | each.has(_AT)] = 0
    for kind in (_LOWER, _UPPER, _MARK):
        said[~each.has(kind)] = 0
    border = _among(b"/=&.-_:\\<>{}()[]%")
    said[border[each.before] | border[each.after]] = 0
    return said


def _bare_token(each: Candidates) -> Ints:
    said = _unsure(len(each.start))
    said[_among(b"/.@=")[each.before] | (each.digits < 4) | each.has(_SLASH)] = 0
    said[~each.has(_LOWER) | ~each.has(_UPPER)] = 0
    return said


def _house(each: Candidates) -> Ints:
    return np.where(each.digits > 0, 75, 0)


def _always(confidence: int) -> Callable[[Candidates], Ints]:
    def vet(each: Candidates) -> Ints:
        return np.full(len(each.start), confidence, np.int64)

    return vet


# by the name of the check's function
VETS: Final[dict[str, Callable[[Candidates], Ints]]] = {
    "check_any": _always(90),
    "check_bare": _always(60),
    "check_phone": _phone,
    "check_named_phone": _phone,
    "check_ssn": _ssn,
    "check_ip": _ip,
    "check_mac": _mac,
    "check_spelled": _spelled,
    "check_shape": _shape,
    "check_bare_token": _bare_token,
    "check_house": _house,
}
