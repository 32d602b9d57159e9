"""Judge the noisy sums of a trainer: noise, canaries, sampling.

Each test refuses a correct trainer with a chance below ``ALARM``; there are fewer than ten of them,
so a correct trainer is refused less than once in a million audits. What they can't see is said in
``LIMITS``.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtr, chdtrc, ndtr

from safehold.privacy.account import Plan
from safehold.privacy.audit.one_run import doubt, epsilon_at_least
from safehold.privacy.audit.probe import BLOCKS, COUNTED, Setting
from safehold.privacy.release import SLACK
from safehold.privacy.training.matrix import MatrixPlan

ALARM: Final = 5e-8
LIMITS: Final = (
    "An audit refutes a promise or fails to; it never proves one.",
    "Guesses about canaries alone miss a halved noise: the test of variance is what sees it.",
    "Noise that is right in variance but not Gaussian, or drawn from a seed, is not seen.",
    "What is audited is the trainer on the probe; another code path needs its own audit.",
)
_SHARE: Final = 4  # guess about the loudest and the quietest quarter: fixed before the run
_NOISE_TOO_SMALL: Final = "the noise is smaller than claimed"

Record = dict[str, Any]
Sums = NDArray[np.floating[Any]]


def judge_noise(sums: Sums, *, plan: Plan | MatrixPlan, clip: float) -> list[Record]:
    """Test that coordinates which nobody touches carry the noise that was claimed.

    Three chi-square tests: of the values, of differences between neighbouring rounds (noise that is
    used twice) and of differences between neighbouring coordinates (one number for all of them).

    Args:
        sums: Rounds x silent coordinates.
        plan: The claim.
        clip: The bound.
    """
    values = np.asarray(sums, np.float64)
    if isinstance(plan, MatrixPlan):  # C times the noise is what was drawn
        drawn = np.zeros_like(values)
        for back, weight in enumerate(plan.coefficients):
            drawn[back:] += weight * values[: len(values) - back]
        values = drawn
    values = values / (plan.multiplier * clip)
    even_rounds, even_places = (size // 2 * 2 for size in values.shape)
    return [
        _small(name, found)
        for name, found in (
            ("noise", values),
            ("noise_between_rounds", (values[:even_rounds:2] - values[1:even_rounds:2]) / 2**0.5),
            (
                "noise_between_coordinates",
                (values[:, :even_places:2] - values[:, 1:even_places:2]) / 2**0.5,
            ),
        )
    ]


def judge_canaries(
    sums: Sums, there: NDArray[np.bool_], *, setting: Setting, delta: float
) -> Record:
    """Test the claim by guessing which canaries were in, in one run.

    Args:
        sums: Rounds x canaries.
        there: Which canaries were in.
        setting: The claim.
        delta: Of the claim.
    """
    scores = np.nan_to_num(np.asarray(sums, np.float64).sum(axis=0))
    order = np.argsort(scores, kind="stable")
    each = len(order) // _SHARE
    right = int(there[order[-each:]].sum() + (~there[order[:each]]).sum())
    epsilon = setting.epsilon_micro / 1e6
    chance = doubt(canaries=len(order), guesses=2 * each, right=right, epsilon=epsilon, delta=delta)
    refuted = epsilon_at_least(canaries=len(order), guesses=2 * each, right=right, delta=delta)
    return _record(
        "canaries", chance, "canaries are recognised more often than the claim allows",
        guesses=2 * each, right=right, epsilon_at_least=round(refuted, 3),
    )  # fmt: skip


def judge_sampling(sums: Sums, *, plan: Plan, people: int) -> list[Record]:
    """Test that people are sampled by independent coins of the claimed chance.

    How many are in a round varies from round to round as a binomial does: a batch of fixed size, an
    order that is gone through, or the same people every time do not vary so. And every block of
    people is there as often as claimed.

    Args:
        sums: Rounds x (1 + blocks).
        plan: The claim.
        people: How many there are.
    """
    values = np.asarray(sums, np.float64)
    rounds, share = len(values), plan.sampling_ppm / 1e6
    noise = (plan.multiplier * SLACK) ** 2
    whole = COUNTED * people * share * (1 - share) + noise
    spread = float(((values[:, 0] - values[:, 0].mean()) ** 2).sum()) / whole
    ends = float(min(chdtr(rounds - 1, spread), chdtrc(rounds - 1, spread)))
    part = people // BLOCKS
    block = ((1 - COUNTED) * part * share * (1 - share) + noise) / rounds
    off = np.abs(values[:, 1:].mean(axis=0) - (1 - COUNTED) ** 0.5 * part * share) / block**0.5
    return [
        _record(
            "sampling_varies", 2 * ends, "who is in a round is not drawn person by person",
            ratio=round(spread / (rounds - 1), 4),
        ),
        _record(
            "sampling_chance", min(1.0, 2 * BLOCKS * float(ndtr(-off.max()))),
            "some people are in more or fewer rounds than claimed", deviations=round(off.max(), 2),
        ),
    ]  # fmt: skip


def _small(name: str, values: NDArray[np.float64]) -> Record:
    square = float((values**2).sum())
    if not np.isfinite(square):
        return _record(name, 0.0, "what was released is not finite", ratio=None)
    # the claim is the multiplier; a trainer that adds a little for rounding has more
    chance = float(chdtr(values.size, square))
    return _record(name, chance, _NOISE_TOO_SMALL, ratio=round((square / values.size) ** 0.5, 4))


def _record(name: str, chance: float, broken: str, **more: Any) -> Record:
    state = "passed" if chance >= ALARM else "failed"
    found = {"test": name, "state": state, "chance": float(f"{chance:.3g}"), **more}
    return {**found, "finding": broken} if state == "failed" else found
