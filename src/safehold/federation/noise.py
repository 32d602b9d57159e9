"""Noise that each side adds where the other one looks.

Every kind comes from whole numbers and fractions, out of operating-system entropy, as in ``privacy.counting``.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Final

import numpy as np
import numpy.typing as npt

from safehold.errors import InvalidError
from safehold.ids import random_bytes
from safehold.privacy.counting import MICRO, draw_laplace

WIDEST_SHIFT: Final = 2**20  # elements: a smaller epsilon would cost more than it is worth
TAIL: Final = 40  # noise beyond so many scales comes once in 10^17 draws
_WORD: Final = 64  # bits drawn at once
_WORDS: Final = 2


def reach_of_shift(epsilon_micro: int, delta_e12: int) -> int:
    """Return half the range of a noise that never goes below zero: the least that keeps epsilon and delta.

    Discrete Laplace noise is cut off at -reach and reach, and moved up by reach, so it lies in 0 .. 2 reach. Moving
    what it is added to by one changes each chance by e^epsilon at most, but at the one end that then cannot occur;
    the chance of an end is (1 - a) a^reach / (1 + a - 2 a^(reach + 1)) with a = e^-epsilon, and delta is at least that.

    Raises:
        InvalidError: Epsilon or delta is so small that no bearable range keeps it.
    """
    if epsilon_micro <= 0 or delta_e12 <= 0:
        raise InvalidError("a hidden count takes epsilon and delta above zero", rule="join.privacy")
    epsilon, delta = epsilon_micro / 1e6, delta_e12 / 1e12
    ratio = math.exp(-epsilon)

    def end(reach: int) -> float:
        # -expm1(-epsilon) is 1 - a without what a subtraction would lose
        low = math.exp(-epsilon * reach)
        return -math.expm1(-epsilon) * low / (1 + ratio - 2 * low * ratio)

    low, high = 0, 1
    while end(high) > delta * (1 - 1e-9):
        low, high = high, high * 2
        if high > WIDEST_SHIFT:
            raise InvalidError(
                "no bearable range of dummies keeps so small an epsilon",
                rule="join.privacy",
                fix="a larger epsilon",
            )
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if end(middle) > delta * (1 - 1e-9) else (low, middle)
    return high


def draw_shift(epsilon_micro: int, reach: int) -> int:
    """Return noise from 0 to twice a reach (see ``reach_of_shift``)."""
    while abs(drawn := draw_laplace(epsilon_micro)) > reach:
        pass  # drawn again: what is left has the same proportions
    return reach + drawn


def tail_of(epsilon_micro: int, sensitivity: int) -> int:
    """Return how far noise of this scale reaches, but once in 10^17 draws."""
    return math.ceil(TAIL * sensitivity * MICRO / epsilon_micro)


class VectorNoise:
    """Discrete Laplace noise for many figures at once, the same distribution as ``draw_laplace``.

    The noise is the difference of two geometric numbers, and the binary digits of a geometric number are independent:
    digit i is one with chance q / (1 + q), q = e^(-epsilon 2^i). Each is drawn by comparing 128 random bits with that
    chance, so together they are off by less than 2^-120.

    Args:
        epsilon_micro: Epsilon in millionths, positive.
        sensitivity: How far one person moves all figures together (L1).
    """

    def __init__(self, epsilon_micro: int, sensitivity: int) -> None:
        if epsilon_micro <= 0 or sensitivity <= 0:
            raise InvalidError("epsilon and sensitivity are above zero", rule="privacy.epsilon")
        rate = Fraction(epsilon_micro, MICRO * sensitivity)
        self._chances: list[int] = []
        while chance := _chance(rate * 2 ** len(self._chances)):
            self._chances.append(chance)
            if len(self._chances) > 60:
                raise InvalidError("the noise would not fit", rule="privacy.epsilon")

    def draw(self, count: int) -> npt.NDArray[np.int64]:
        """Return so many independent numbers."""
        return self._geometric(count) - self._geometric(count)

    def _geometric(self, count: int) -> npt.NDArray[np.int64]:
        total = np.zeros(count, np.int64)
        for place, chance in enumerate(self._chances):
            total += _flips(count, chance).astype(np.int64) << place
        return total


def _chance(rate: Fraction) -> int:
    """Return e^-rate / (1 + e^-rate) in 2^-128, rounded down; zero where it is smaller than that."""
    bits = _WORD * _WORDS
    power = _exp(rate, bits + 32)
    one = 1 << (bits + 32)
    return (power << bits) // (one + power)


def _exp(rate: Fraction, bits: int) -> int:
    """Return e^-rate in 2^-bits: halved until it is small, the series, then squared back."""
    if rate > bits:
        return 0
    halvings = max(0, math.ceil(rate).bit_length())
    wide = bits + 2 * halvings + 16
    small = (rate.numerator << wide) // (rate.denominator << halvings)
    term = total = 1 << wide
    for number in range(1, wide):
        term = -(term * small >> wide) // number
        if term in (0, -1):
            break
        total += term
    for _ in range(halvings):
        total = total * total >> wide
    return total >> (wide - bits)


def _flips(count: int, chance: int) -> npt.NDArray[np.bool_]:
    """Return so many independent coins with a chance in 2^-128."""
    high, low = divmod(chance, 1 << _WORD)
    drawn = np.frombuffer(random_bytes(8 * count), np.uint64)
    found: npt.NDArray[np.bool_] = drawn < np.uint64(high)
    for place in np.flatnonzero(drawn == np.uint64(high)):  # once in 2^64
        found[place] = int.from_bytes(random_bytes(8), "little") < low
    return found
