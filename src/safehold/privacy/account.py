"""How much noise a privacy promise needs, and what a run costs.

The promise is about one person's whole contribution: two data sets are neighbours when one
person's data is replaced by nothing (zero-out). The number of people is public: it is in the
ledger. For this neighbouring relation the Poisson-subsampled Gaussian costs what it costs when
people are added or removed.

With everybody in each round, T rounds of noise z cost exactly what one Gaussian of noise z /
sqrt(T) does, and that has a closed form (Balle and Wang 2018, theorem 8). With sampled rounds the
search uses Renyi accounting. Either way a privacy-loss-distribution accountant checks the result,
and a plan it does not confirm is refused.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from safehold.errors import InvalidError, SafeholdError

WHOLE_PPM: Final = 1_000_000
# The closed form is aimed this far (in epsilon) below the promise, so that the other accountant,
# which rounds losses up to a grid of _GRID, still ends below the promise.
_MARGIN: Final = 1e-3
_GRID: Final = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A calibrated run.

    Args:
        epsilon_micro: The promise, epsilon in millionths. This is what is charged.
        delta_e12: The promise, delta in 10^-12.
        rounds: Noisy sums that are released.
        sampling_ppm: Chance of each person to be in a round, in millionths, independent of all
            others.
        multiplier: Standard deviation of the noise, in units of one person's largest contribution.
    """

    epsilon_micro: int
    delta_e12: int
    rounds: int
    sampling_ppm: int
    multiplier: float

    @property
    def delta(self) -> float:
        """The promised delta as a number."""
        return self.delta_e12 / 1e12


def calibrate(
    *, epsilon_micro: int, delta_e12: int, rounds: int = 1, sampling_ppm: int = WHOLE_PPM
) -> Plan:
    """Find the least noise that keeps a promise.

    Args:
        epsilon_micro: Epsilon in millionths, at most 50 million.
        delta_e12: Delta in 10^-12, above zero.
        rounds: Noisy sums that are released.
        sampling_ppm: Chance of each person per round, in millionths.

    Raises:
        InvalidError: A number is out of range.
        SafeholdError: The second accountant does not confirm the plan.
    """
    for name, value, most in (
        ("epsilon_micro", epsilon_micro, 50_000_000),
        ("delta_e12", delta_e12, 10**10),
        ("rounds", rounds, 100_000),
        ("sampling_ppm", sampling_ppm, WHOLE_PPM),
    ):
        if type(value) is not int or not 1 <= value <= most:
            raise InvalidError(
                f"{name} must be a whole number from 1 to {most}",
                rule="privacy.account",
                field=name,
            )
    epsilon, delta = epsilon_micro / 1e6, delta_e12 / 1e12
    if sampling_ppm == WHOLE_PPM:
        goal = epsilon - min(_MARGIN, epsilon / 100)
        multiplier = _search(lambda z: gaussian_delta(z, goal) <= delta) * math.sqrt(rounds)
    else:
        multiplier = _search(
            lambda z: _epsilon_rdp(z, rounds, sampling_ppm / 1e6, delta) <= epsilon
        )
    plan = Plan(
        epsilon_micro=epsilon_micro,
        delta_e12=delta_e12,
        rounds=rounds,
        sampling_ppm=sampling_ppm,
        multiplier=multiplier,
    )
    if epsilon_pld(plan) > epsilon:
        raise SafeholdError(
            "two accountants disagree about the noise", rule="privacy.account.confirm"
        )
    return plan


def gaussian_delta(multiplier: float, epsilon: float) -> float:
    """Return the exact delta of one Gaussian release (Balle and Wang 2018, theorem 8).

    Args:
        multiplier: Noise in units of the sensitivity.
        epsilon: Epsilon.
    """
    half = 0.5 / multiplier
    shift = epsilon * multiplier
    return _normal(half - shift) - math.exp(epsilon) * _normal(-half - shift)


def epsilon_rdp(plan: Plan) -> float:
    """Return epsilon of a plan by Renyi accounting: an upper bound."""
    return _epsilon_rdp(plan.multiplier, plan.rounds, plan.sampling_ppm / 1e6, plan.delta)


def epsilon_pld(plan: Plan) -> float:
    """Return epsilon of a plan by a privacy-loss distribution: a tighter upper bound."""
    import dp_accounting  # noqa: PLC0415  (two seconds to load; the keeper never needs it)
    from dp_accounting import pld  # noqa: PLC0415

    accountant = pld.PLDAccountant(value_discretization_interval=_GRID)
    if plan.sampling_ppm == WHOLE_PPM:
        accountant.compose(
            dp_accounting.GaussianDpEvent(plan.multiplier / math.sqrt(plan.rounds)), 1
        )
    else:
        event = dp_accounting.PoissonSampledDpEvent(
            plan.sampling_ppm / 1e6, dp_accounting.GaussianDpEvent(plan.multiplier)
        )
        accountant.compose(event, plan.rounds)
    return float(accountant.get_epsilon(plan.delta))


def _epsilon_rdp(multiplier: float, rounds: int, rate: float, delta: float) -> float:
    import dp_accounting  # noqa: PLC0415
    from dp_accounting import rdp  # noqa: PLC0415

    # It says aloud that it drops fractional orders; that only loosens the bound.
    logging.getLogger("absl").setLevel(logging.ERROR)
    accountant = rdp.RdpAccountant()
    event = dp_accounting.GaussianDpEvent(multiplier)
    accountant.compose(
        event if rate >= 1 else dp_accounting.PoissonSampledDpEvent(rate, event), rounds
    )
    return float(accountant.get_epsilon(delta))


def _search(holds: Callable[[float], bool]) -> float:
    """Return the least noise that holds, to one part in 10,000, from above."""
    low, high = 1e-2, 1.0
    while not holds(high):
        low, high = high, high * 2
        if high > 1e6:
            raise InvalidError("no noise keeps this promise", rule="privacy.account")
    while high / low > 1.0001:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _normal(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))
