"""How much noise a privacy promise needs, and what a run costs.

The promise is about one person's whole contribution: two data sets are neighbours when one
person's data is replaced by nothing (zero-out). The number of people is public: it is in the
ledger. For this neighbouring relation the Poisson-subsampled Gaussian costs what it costs when
people are added or removed.

Rounds have a fixed number of seats (``seats_for``): the work of a round then follows from public
numbers alone. A round for which more people were drawn than it has seats takes nobody. Under the
promise above that costs nothing: who is drawn depends on no data, so on both sides the same rounds
are empty, and what is left is a mixture of pairs that Poisson sampling has already paid for. It is
paid for once more all the same, out of delta, so that nobody has to follow that argument and so that
it also holds where people are added or removed.

With everybody in each round, T rounds of noise z cost exactly what one Gaussian of noise z /
sqrt(T) does, and that has a closed form (Balle and Wang 2018, theorem 8). With sampled rounds the
search uses Renyi accounting. Either way a privacy-loss-distribution accountant checks the result,
and a plan it does not confirm is refused.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from safehold.errors import InvalidError, SafeholdError

WHOLE_PPM: Final = 1_000_000
# The closed form is aimed this far (in epsilon) below the promise, so that the other accountant,
# which rounds losses up to a grid of _GRID, still ends below the promise.
_MARGIN: Final = 1e-3
_GRID: Final = 1e-4
# This share of delta pays for rounds for which more people are drawn than have a seat.
_SPARE: Final = 1e-6
_FINE: Final = 1.0001  # how near the least noise is found
_TINY: Final = 1e-300  # what is over the goal by less than a logarithm shows is over it
_RAREST: Final = 1e-12  # and whatever delta is, a run has such a round no more often than this


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

    @property
    def delta_of_noise(self) -> float:
        """What the noise may use of delta: all but what is set aside for rounds without seats."""
        return self.delta if self.sampling_ppm == WHOLE_PPM else (1 - _SPARE) * self.delta


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
    spared = (1 - _SPARE) * delta
    if sampling_ppm == WHOLE_PPM:
        goal = epsilon - min(_MARGIN, epsilon / 100)
        multiplier = _search(lambda z: gaussian_delta(z, goal), delta) * math.sqrt(rounds)
    else:
        multiplier = _search(lambda z: _epsilon_rdp(z, rounds, sampling_ppm / 1e6, spared), epsilon)
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


def divide(plan: Plan, *, first_ppm: int) -> tuple[Plan, Plan]:
    """Divide one promise between one release before training, and the rounds of training.

    With everybody in each round all of it is Gaussian: releases of noise ``a`` and ``T`` rounds of
    noise ``z`` cost exactly what one release of noise ``(a^-2 + T z^-2)^-1/2`` does.

    Args:
        plan: Of all of it, with everybody in each round.
        first_ppm: Share of the first release in ``multiplier^-2``, in millionths.

    Returns:
        The plan of the first release, and that of the rounds. Each states the whole promise, which
        holds for both together; it is charged once.

    Raises:
        InvalidError: Rounds are sampled, or a share leaves nothing for one side.
        SafeholdError: The two accountants do not confirm the two together.
    """
    if plan.sampling_ppm != WHOLE_PPM or not 0 < first_ppm < WHOLE_PPM:
        raise InvalidError(
            "a promise is divided when everybody is in each round, and each side gets a share",
            rule="privacy.account",
        )
    share = first_ppm / WHOLE_PPM
    one = plan.multiplier / math.sqrt(plan.rounds)
    first = replace(plan, rounds=1, multiplier=one / math.sqrt(share))
    rest = replace(plan, multiplier=plan.multiplier / math.sqrt(1 - share))
    together = (first.multiplier**-2 + plan.rounds * rest.multiplier**-2) ** -0.5
    # the last bits of a float may fall to either side; the margin of the search is far wider
    if epsilon_pld(replace(plan, multiplier=together * math.sqrt(plan.rounds))) > (
        plan.epsilon_micro / 1e6
    ):
        raise SafeholdError(
            "two accountants disagree about the noise", rule="privacy.account.confirm"
        )
    return first, rest


def seats_for(plan: Plan, count: int, *, parts: int = 1) -> int:
    """Return how many people a round needs seats for: fewer than all of a large crowd.

    The chance that any round of the run draws more is so small that, weighed with 1 + e^epsilon (a
    run that differs with probability t from one that keeps epsilon and delta keeps epsilon and delta
    + (1 + e^epsilon) t), it fits into the share of delta that is set aside for it.

    Args:
        plan: Rounds, sampling and promise.
        count: Number of people, which is public.
        parts: Into how many parts people are cut, each with seats of its own; the chance is that of any of them.
    """
    if plan.sampling_ppm == WHOLE_PPM:
        return count
    share, epsilon = plan.sampling_ppm / 1e6, plan.epsilon_micro / 1e6
    # in logarithms: e^epsilon may be large and what is left of delta very small
    paid = math.log(_SPARE * plan.delta) - epsilon - math.log1p(math.exp(-epsilon))
    rarest = min(math.log(_RAREST), paid) - math.log(plan.rounds) - math.log(parts)
    low, high = math.ceil(share * count), count
    while low < high:
        middle = (low + high) // 2
        low, high = (
            (low, middle)
            if log_chance_of_more(middle, count=count, share=share) <= rarest
            else (middle + 1, high)
        )
    return high


def log_chance_of_more(seats: int, *, count: int, share: float) -> float:
    """Return a bound on the logarithm of the chance that more than ``seats`` people are drawn.

    The Chernoff bound of the binomial distribution (Hoeffding 1963, theorem 1).

    Args:
        seats: Number of people, at least the expected one.
        count: Number of people who may be drawn.
        share: Chance of each.
    """
    if seats >= count:
        return -math.inf
    more = (seats + 1) / count
    if more <= share:
        return 0.0
    rest = 0.0 if more == 1 else (1 - more) * math.log((1 - more) / (1 - share))
    return -count * (more * math.log(more / share) + rest)


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
    return _epsilon_rdp(plan.multiplier, plan.rounds, plan.sampling_ppm / 1e6, plan.delta_of_noise)


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
    return float(accountant.get_epsilon(plan.delta_of_noise))


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


def _search(cost: Callable[[float], float], goal: float) -> float:
    """Return the least noise that costs no more than a goal, to one part in 10,000, from above.

    In logarithms a cost is nearly a straight line, so a few looks find where it meets the goal; one by Renyi accounting
    takes 40 ms. Whatever the cost is like, at least each third look halves what is left.

    Args:
        cost: What a noise costs; it falls as the noise grows. One that is no number keeps nothing.
        goal: The most that it may cost.
    """

    def excess(noise: float) -> float:
        found = cost(noise)
        if not found <= goal:
            return max(math.log(found / goal), _TINY) if found < math.inf else math.inf
        return math.log(found / goal) if found > 0 else -math.inf

    low, high = 1e-2, 1.0
    above, below = math.inf, excess(high)
    while not below <= 0:
        low, high, above = high, high * 2, below
        if high > 1e6:
            raise InvalidError("no noise keeps this promise", rule="privacy.account")
        below = excess(high)
    looks = 0
    while high / low > _FINE:
        width = math.log(high / low)
        share = above / (above - below)  # of the way from low to high, if it were a straight line
        if looks % 3 == 2 or not 0 <= share <= 1:
            share = 0.5
        else:  # a little beyond, from whichever end is nearer: so that the other end comes near as well
            step = 0.4 * math.log(_FINE) / width
            share = min(share + step, 0.5) if share < 0.5 else max(share - step, 0.5)
        middle = low * math.exp(share * width)
        at = excess(middle)
        low, above, high, below = (low, above, middle, at) if at <= 0 else (middle, at, high, below)
        looks += 1
    return high


def _normal(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))
