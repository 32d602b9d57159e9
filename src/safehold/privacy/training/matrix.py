"""Correlated noise: banded matrix factorisation with a fixed order of people (DP-FTRL, BandMF).

The released sums are those of a matrix mechanism ``C G + Z`` with a banded lower-triangular Toeplitz
``C``: what a round gets is its exact sum plus the matching entry of ``C^-1 Z``, so noise of one round
takes back some of the round before (Denisov et al. 2022; Choquette-Choo et al. 2023, arXiv
2306.08153).

The order is what the accountant assumes and nothing else: people are dealt once, by a shuffle that
no data touches, into ``groups`` fixed groups that take turns. So whoever is in round t is next in
round t + groups: with at most ``groups`` bands, the columns that one person's contributions go
through do not overlap, and the sensitivity is the square root of the turns times the norm of a
column (theorem 2 of that paper). There is no amplification by sampling, and none is claimed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from safehold.errors import InvalidError
from safehold.privacy.account import Plan, calibrate
from safehold.privacy.release import Floats, Noise, draw_gaussian


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixPlan:
    """A calibrated run with correlated noise over a fixed order.

    Args:
        gaussian: The one Gaussian release that the whole run costs, confirmed by both accountants.
        rounds: Noisy sums that are released.
        groups: People take turns: a person is in every ``groups``-th round.
        coefficients: First column of the strategy matrix, its bands; norm 1, falling, not negative.
        multiplier: Standard deviation of the uncorrelated noise, in units of one clipped
            contribution.
    """

    gaussian: Plan
    rounds: int
    groups: int
    coefficients: tuple[float, ...]
    multiplier: float

    def require_apart(self) -> None:
        """Pass if the noise covers people who are in every ``groups``-th round.

        Raises:
            InvalidError: A person's contributions overlap, or count for more than the noise is made for.
        """
        moved = sensitivity(self.coefficients, rounds=self.rounds, groups=self.groups)
        if self.multiplier < self.gaussian.multiplier * moved * (1 - 1e-9):
            raise InvalidError(
                "the plan's noise does not cover how often somebody takes part",
                rule="privacy.account",
                fix="take the plan from calibrate_matrix as it is",
            )


def calibrate_matrix(
    *, epsilon_micro: int, delta_e12: int, rounds: int, groups: int, bands: int | None = None
) -> MatrixPlan:
    """Find the least correlated noise that keeps a promise for people who take turns.

    Args:
        epsilon_micro: Epsilon in millionths.
        delta_e12: Delta in 10^-12.
        rounds: Noisy sums that are released.
        groups: Groups that take turns.
        bands: Bands of the strategy, at most ``groups``, which is the default.

    Raises:
        InvalidError: There are more bands than groups: contributions would overlap.
        SafeholdError: The two accountants do not agree.
    """
    bands = min(groups, rounds) if bands is None else bands
    if not 1 <= groups <= rounds or not 1 <= bands <= groups:
        raise InvalidError(
            "a fixed order needs 1 to rounds groups, and no more bands than groups",
            rule="privacy.account",
            fix="lower the number of bands, or raise the number of groups",
        )
    gaussian = calibrate(epsilon_micro=epsilon_micro, delta_e12=delta_e12)
    coefficients = strategy(bands)
    return MatrixPlan(
        gaussian=gaussian,
        rounds=rounds,
        groups=groups,
        coefficients=coefficients,
        multiplier=gaussian.multiplier * sensitivity(coefficients, rounds=rounds, groups=groups),
    )


def strategy(bands: int) -> tuple[float, ...]:
    """Return a banded strategy for prefix sums: the square root of their matrix, cut off and of norm 1.

    In closed form, so that a plan needs no optimiser: the coefficients of ``(1 - x)^(-1/2)`` (BSR, Kalinin
    and Lampert 2024, arXiv 2405.13763). A test holds its error against that of the optimum.

    Args:
        bands: Number of coefficients.
    """
    found = [1.0]
    for at in range(1, bands):
        found.append(found[-1] * (2 * at - 1) / (2 * at))
    norm = math.sqrt(sum(one * one for one in found))
    return tuple(one / norm for one in found)


def sensitivity(coefficients: tuple[float, ...], *, rounds: int, groups: int) -> float:
    """Return how far one person, clipped to 1 in every turn, can move the matrix mechanism.

    Exact for coefficients that fall and are not negative, and at most ``groups`` of them.

    Args:
        coefficients: First column of the strategy.
        rounds: Number of rounds.
        groups: Rounds from one turn of a person to the next.
    """
    values = np.asarray(coefficients)
    if len(values) > groups or (values < 0).any() or (np.diff(values) > 0).any():
        raise InvalidError("the strategy's contributions overlap", rule="privacy.account")
    # the first group has most turns; only its last column may be cut off at the end
    return math.sqrt(
        sum(float((values[: rounds - turn] ** 2).sum()) for turn in range(0, rounds, groups))
    )


class CorrelatedNoise:
    """Draws the next round's entry of ``C^-1 Z`` by back substitution; keeps as many rounds as bands.

    Args:
        coefficients: First column of ``C``.
        noise: Where the uncorrelated noise comes from; only tests pass another one.
    """

    def __init__(self, coefficients: tuple[float, ...], noise: Noise = draw_gaussian) -> None:
        self._coefficients = coefficients
        self._noise = noise
        self._before: list[Floats] = []  # the newest first

    def __call__(self, shape: tuple[int, ...], deviation: float) -> Floats:
        """Return the noise of the next round."""
        first, *rest = self._coefficients
        drawn = self._noise(shape, deviation)
        for weight, earlier in zip(rest, self._before, strict=False):
            drawn = drawn - weight * earlier
        drawn = drawn / first
        self._before = [drawn, *self._before][: len(rest)]
        return drawn
