"""The one loop that trains under a person-level promise.

A round: draw who takes part as the plan's accountant assumes (``PoissonSeats``, or ``Turns`` for a
matrix plan), add up their clipped gradients, add noise once to everything, step. Shapes and work of
a round follow from public numbers alone. Nothing takes a seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from safehold.errors import InvalidError
from safehold.privacy.account import Plan, seats_for
from safehold.privacy.release import (
    SLACK,
    Floats,
    Noise,
    add_noise,
    draw_gaussian,
    sample_people,
    seat_people,
    shuffle_people,
)
from safehold.privacy.training.course import Clip, Steps
from safehold.privacy.training.learner import Learner, Params, People, take
from safehold.privacy.training.matrix import CorrelatedNoise, MatrixPlan

_BETA: Final = 0.999  # of Adam's second moment
_TINY: Final = 1e-8


@dataclass(frozen=True, slots=True)
class Trained:
    """What a run made.

    Args:
        params: The parameters.
        bound: The clipping bound of the last round; a release that the plan paid for.
    """

    params: Params
    bound: float


def train_private(
    learner: Learner,
    people: People,
    *,
    plan: Plan | MatrixPlan,
    clip: Clip,
    steps: Steps,
    noise: Noise = draw_gaussian,
    watch: Callable[[Params], None] | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Trained:
    """Train with the promise of a plan: about each whole person, however many examples they have.

    Args:
        learner: What is trained.
        people: Everybody's arrays, people first. Their number is public.
        plan: Rounds, who takes part, and noise; from ``calibrate`` or ``calibrate_matrix``.
        clip: How a person's gradient is bounded.
        steps: What is done with the noisy means.
        noise: Where noise comes from; only tests pass another one.
        watch: Is told each round's noisy sum, which is what the plan releases.
        progress: Is told the number of rounds done.

    Raises:
        InvalidError: There is nobody, or arrays differ in their number of people; or the noise of a matrix plan
            does not cover the turns that people take.
    """
    counts = {len(column) for column in people.values()}
    if len(counts) != 1 or not (count := counts.pop()):
        raise InvalidError("every array holds the same people, at least one", rule="train.people")
    if isinstance(plan, MatrixPlan):
        plan.require_apart()
    people = learner.prepare(people)
    source = CorrelatedNoise(plan.coefficients, noise) if isinstance(plan, MatrixPlan) else noise
    multiplier = plan.multiplier
    if clip.adaptive is not None:
        multiplier = _with_count(plan, clip)
    expected = _expected(plan, count)
    state = _Iterate(learner.start(), steps, plan.rounds)
    bound = clip.bound
    for done, seated in enumerate(_seats(plan, count, learner.chunk), start=1):
        exact, within = learner.sum_clipped(
            state.params, take(people, seated), seated >= 0, clip.shares(state.names, bound)
        )
        noisy = _perturb(exact, deviation=multiplier * bound * SLACK, noise=source)
        if watch is not None:
            watch(noisy)
        state.step({name: value / expected for name, value in noisy.items()})
        if clip.adaptive is not None:
            # centred: whoever is there adds a half, or takes one, by the side of the bound they are on
            there = within - 0.5 * float((seated >= 0).sum())
            told = float(add_noise([there], deviation=clip.adaptive.deviation, noise=noise)[0])
            share = min(1.0, max(0.0, told / expected + 0.5))
            bound *= math.exp(-clip.adaptive.rate * (share - clip.adaptive.quantile))
        progress(done)
    return Trained(state.result(), bound)


def _with_count(plan: Plan | MatrixPlan, clip: Clip) -> float:
    if clip.adaptive is None or isinstance(plan, MatrixPlan):
        # the matrix mechanism mixes rounds; a bound that moves is not what its accountant assumes
        raise InvalidError("correlated noise takes a fixed bound", rule="privacy.account")
    return clip.adaptive.multiplier(plan.multiplier)


def _expected(plan: Plan | MatrixPlan, count: int) -> float:
    if isinstance(plan, MatrixPlan):
        return max(1.0, count / plan.groups)
    return max(1.0, count * plan.sampling_ppm / 1e6)


def _seats(plan: Plan | MatrixPlan, count: int, chunk: int) -> Iterator[NDArray[np.int64]]:
    """Yield who sits on each seat of each round, -1 on an empty one, as the accountant assumes."""
    if isinstance(plan, MatrixPlan):
        seats = _chunks(-(-count // plan.groups), chunk)
        order = shuffle_people(count)
        for at in range(plan.rounds):
            group = order[at % plan.groups :: plan.groups]
            yield np.concatenate([group, np.full(seats - len(group), -1, np.int64)])
        return
    seats = _chunks(seats_for(plan, count), chunk)
    for _ in range(plan.rounds):
        yield seat_people(sample_people(count, ppm=plan.sampling_ppm), seats=seats)


def _chunks(seats: int, chunk: int) -> int:
    return -(-max(1, seats) // chunk) * chunk


def _perturb(total: Params, *, deviation: float, noise: Noise) -> Params:
    """Return the sum with noise on every coordinate, in one draw."""
    flat = np.concatenate([np.asarray(value, np.float64).reshape(-1) for value in total.values()])
    noisy = add_noise(flat, deviation=deviation, noise=noise)
    ends = np.cumsum([value.size for value in total.values()])[:-1]
    parts = np.split(noisy, ends)
    return {
        name: part.reshape(value.shape)
        for (name, value), part in zip(total.items(), parts, strict=True)
    }


class _Iterate:
    """Parameters on their way, and the mean of the later ones."""

    def __init__(self, params: Params, steps: Steps, rounds: int) -> None:
        self.params = params
        self.names = list(params)
        self._steps = steps
        self._done = 0
        self._late = rounds - max(1, round(steps.average * rounds))
        self._speed: Params = {name: np.zeros_like(value) for name, value in params.items()}
        self._square: Params = {name: np.zeros_like(value) for name, value in params.items()}
        self._mean: Params = {name: np.zeros_like(value) for name, value in params.items()}
        self._weight = 0.0

    def step(self, slope: Params) -> None:
        """Go one step down a slope."""
        self._done += 1
        for name, value in slope.items():
            self.params[name] = self.params[name] - self._steps.rate * self._move(name, value)
        self._remember()

    def _move(self, name: str, slope: Floats) -> Floats:
        beta = self._steps.momentum
        if self._steps.method == "momentum":
            self._speed[name] = beta * self._speed[name] + slope
            return self._speed[name]
        self._speed[name] = beta * self._speed[name] + (1 - beta) * slope
        self._square[name] = _BETA * self._square[name] + (1 - _BETA) * slope**2
        first = self._speed[name] / (1 - beta**self._done)
        second = self._square[name] / (1 - _BETA**self._done)
        return np.asarray(first / (np.sqrt(second) + _TINY))

    def _remember(self) -> None:
        if self._steps.ema is not None:
            share = 1 - self._steps.ema
            self._weight = self._steps.ema * self._weight + share
        elif self._done > self._late:
            self._weight += 1.0
            share = 1.0
        else:
            return
        keep = 1.0 if self._steps.ema is None else self._steps.ema
        for name, value in self.params.items():
            self._mean[name] = keep * self._mean[name] + share * value

    def result(self) -> Params:
        """Return the averaged parameters."""
        return {name: value / self._weight for name, value in self._mean.items()}
