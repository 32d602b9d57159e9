"""Noise that several houses add together, each its share, on a grid of whole numbers.

Each silo rounds its exact sum to the grid, adds the rounded share of a Gaussian, and sends whole numbers; only the sum
of all is seen. With h honest silos the noise in it has at least the deviation of the plan. Three things are paid for:

- **Rounding.** The sum of a silo is rounded to the grid after its people were clipped, so one person moves it by at
  most ``clip`` before, and by at most ``clip + grid * sqrt(d)`` after rounding: each of the d numbers moves by less
  than one step more. The sensitivity is widened by that (compare Kairouz, Liu and Steinke 2021, section 4, whose
  conditional rounding is for far coarser grids).
- **The sum of rounded Gaussians is no rounded Gaussian**, which would be covered as a function of a Gaussian. Both are
  compared with the discrete Gaussian. Within L deviations s (in grid steps) the chances of a rounded and a discrete
  Gaussian differ by a factor of at most exp((L^2 + 1) / (24 s^2) + 2 L^4 / (1920 s^4)); a sum of h discrete ones
  differs from one by exp(10 sum_k exp(-2 pi^2 s^2 k / (k + 1))) (the same paper, theorem 5), which is 1 here. Over d
  numbers, T steps and both neighbours this is ``epsilon_of_grid``; what lies beyond L = 12 deviations is
  ``delta_of_grid``.
- **Rounds that fail** are counted like others.

Holds against whoever sees all sums and knows what the other silos sent, while h honest silos are in each sum.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from safehold.errors import InvalidError
from safehold.privacy.account import Plan, calibrate, epsilon_pld
from safehold.privacy.release import SLACK, Noise, draw_gaussian

GRID_BITS: Final = 24  # the clip is 2^24 steps of the grid
_FAR: Final = 12.0  # deviations within which chances are compared
_FINE: Final = 1 << 16  # a share of noise has at least so many steps of the grid


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """How each silo adds its share.

    Args:
        plan: Promise, steps, sampling and noise, as for one house.
        size: Numbers of one vector.
        clip: Largest L2 norm of one person's part.
        honest: Silos whose shares count.
    """

    plan: Plan
    size: int
    clip: float
    honest: int

    @property
    def grid(self) -> float:
        """The step of the grid."""
        return self.clip / 2**GRID_BITS

    @property
    def deviation(self) -> float:
        """The deviation of one silo's share, in steps of the grid."""
        sensitivity = 2**GRID_BITS + math.sqrt(self.size)
        return self.plan.multiplier * SLACK * sensitivity / math.sqrt(self.honest)


def share_noise(
    *,
    epsilon_micro: int,
    delta_e12: int,
    steps: int,
    sampling_ppm: int,
    size: int,
    clip_micro: int,
    honest: int,
) -> Shares:
    """Find the least share of noise that keeps a promise with some number of honest silos.

    Args:
        epsilon_micro: Epsilon of the whole run, millionths.
        delta_e12: Delta of the whole run, in 10^-12.
        steps: Sums that are seen at most, those of failed rounds among them.
        sampling_ppm: Chance of each person to be in a step, millionths.
        size: Numbers of one vector.
        clip_micro: Largest L2 norm of one person's part, millionths.
        honest: Silos whose shares count in each sum.

    Raises:
        InvalidError: A number is out of range, or the noise would be too small for the grid.
    """
    if not 1 <= honest <= 1000 or not 1 <= size <= 1 << 26 or clip_micro < 1:
        raise InvalidError("shares of noise need silos and numbers", rule="privacy.shares")

    def made(aim_micro: int, aim_e12: int) -> Shares:
        plan = calibrate(
            epsilon_micro=aim_micro, delta_e12=aim_e12, rounds=steps, sampling_ppm=sampling_ppm
        )
        return Shares(plan=plan, size=size, clip=clip_micro / 1e6, honest=honest)

    first = made(epsilon_micro, delta_e12)
    # more noise only makes both smaller, so what the first attempt pays is enough for the second
    paid = math.ceil(1e6 * epsilon_of_grid(first))
    if paid * 10 > epsilon_micro or first.deviation < _FINE or delta_of_grid(first) > 1e-13:
        raise InvalidError("too little noise for the grid", rule="privacy.shares.grid")
    return made(epsilon_micro - paid, delta_e12 - 1) if delta_e12 > 1 else first


def epsilon_of_grid(shares: Shares) -> float:
    """Return what the grid adds to epsilon; see the module."""
    one = (_FAR**2 + 1) / (24 * shares.deviation**2) + 2 * _FAR**4 / (1920 * shares.deviation**4)
    return 2 * shares.plan.rounds * shares.size * (shares.honest + 1) * one


def delta_of_grid(shares: Shares) -> float:
    """Return what the grid adds to delta, with the factor e^epsilon."""
    tail = math.erfc(_FAR / math.sqrt(2))
    beyond = 2 * shares.plan.rounds * shares.size * (shares.honest + 1) * tail
    return beyond * math.exp(shares.plan.epsilon_micro / 1e6)


def epsilon_of(shares: Shares, *, honest: int) -> float:
    """Return epsilon where some other number of honest silos is in each sum.

    Args:
        shares: How each silo adds its share.
        honest: How many of them do.
    """
    share = math.sqrt(honest / shares.honest)
    plan = Plan(
        epsilon_micro=shares.plan.epsilon_micro,
        delta_e12=shares.plan.delta_e12,
        rounds=shares.plan.rounds,
        sampling_ppm=shares.plan.sampling_ppm,
        multiplier=shares.plan.multiplier * share,
    )
    return epsilon_pld(plan) + epsilon_of_grid(shares)


def put_on_grid(
    total: Any, *, grid: float, deviation: float, noise: Noise = draw_gaussian
) -> NDArray[np.int64]:
    """Return a silo's sum with its share of the noise, in steps of the grid.

    Args:
        total: The exact sum of clipped parts.
        grid: One step.
        deviation: Deviation of the share, in steps.
        noise: Where it comes from; only tests pass another one.

    Raises:
        InvalidError: The sum is not finite.
    """
    exact = np.asarray(total, dtype=np.float64)
    if not np.isfinite(exact).all():
        raise InvalidError("a sum that is no number", rule="privacy.shares.sum")
    rounded = np.rint(exact / grid).astype(np.int64)
    return np.asarray(rounded + np.rint(noise(exact.shape, deviation)).astype(np.int64))
