"""Counts over people, released with exact discrete noise.

The mechanism is the discrete Laplace (two-sided geometric) one: a whole number with chance proportional to
exp(-epsilon |x|) is added to each count. Each person lies in one group, so adding or removing one changes one count by
one, and the whole release is epsilon-differentially private with delta 0. The sampler is that of Canonne, Kamath and
Steinke, "The Discrete Gaussian for Differential Privacy" (2020), algorithms 1 and 2: whole numbers and fractions only,
so no rounding gives the noise away, and it draws from the operating system alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Final

from safehold.errors import InvalidError
from safehold.ids import random_bytes

MICRO: Final = 1_000_000
Noise = Callable[[int], int]


def draw_laplace(epsilon_micro: int, sensitivity: int = 1) -> int:
    """Return discrete Laplace noise for a whole figure that one person moves by so much at most.

    Args:
        epsilon_micro: Epsilon in millionths, positive.
        sensitivity: How far one person moves it; 1 for a count in which they count once.
    """
    if epsilon_micro <= 0 or sensitivity <= 0:
        raise InvalidError("epsilon and sensitivity are above zero", rule="privacy.epsilon")
    top, bottom = Fraction(epsilon_micro, MICRO * sensitivity).as_integer_ratio()
    while True:
        offset = _below(
            bottom
        )  # exp(-(top/bottom) * x), drawn as exp(-offset/bottom) * exp(-whole)
        if not _flip_exp(Fraction(offset, bottom)):
            continue
        whole = 0
        while _flip_exp(Fraction(1)):
            whole += 1
        size = (offset + bottom * whole) // top
        negative = _below(2) == 1
        if not (negative and size == 0):
            return -size if negative else size


def merge_groups(sizes: Mapping[str, int], order: Sequence[str], *, least: int) -> list[list[str]]:
    """Return groups of groups, each with at least so many people; nothing if there are too few in all.

    A small group joins the next one of the order; only sizes decide, never what anybody chose.

    Args:
        sizes: People in each.
        order: From the top down.
        least: Fewest people of a group that is shown.
    """
    merged: list[list[str]] = [[]]
    for name in order:
        merged[-1].append(name)
        if sum(sizes.get(one, 0) for one in merged[-1]) >= least:
            merged.append([])
    rest = merged.pop()
    if any(sizes.get(one, 0) for one in rest):
        if not merged:
            return []
        merged[-1] += rest
    return merged


def release_counts(
    counts: Mapping[str, int], *, epsilon_micro: int, noise: Noise = draw_laplace
) -> dict[str, int]:
    """Return each count with noise, never below zero.

    Args:
        counts: People by group; nobody is in two.
        epsilon_micro: Epsilon in millionths.
        noise: Where the noise comes from; only tests pass another one.
    """
    return {name: max(0, count + noise(epsilon_micro)) for name, count in counts.items()}


def _below(limit: int) -> int:
    """Return a whole number below a limit, each as likely, from operating-system entropy."""
    if limit == 1:
        return 0
    bits = (limit - 1).bit_length()
    size, mask = (bits + 7) // 8, (1 << bits) - 1
    while True:
        drawn = int.from_bytes(random_bytes(size), "big") & mask
        if drawn < limit:
            return drawn


def _flip(chance: Fraction) -> bool:
    return _below(chance.denominator) < chance.numerator


def _flip_exp(gamma: Fraction) -> bool:
    """Return true with chance exp(-gamma), for gamma from 0 to 1."""
    count = 1
    while _flip(gamma / count):
        count += 1
    return count % 2 == 1
