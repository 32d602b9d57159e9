"""Person-level DP training with JAX.

Each round takes every sampled person's gradient (the mean over their examples), clips it to one
bound, adds the clipped gradients up, adds noise once, and steps. What happens after the noise
(momentum, averaging the later iterates) costs nothing.

Every array has a shape that follows from public numbers; a seat of a round that nobody sits on takes
part with weight zero. So neither compilation nor running time depends on who was sampled or on how
much anybody did. A round has seats for as many people as are ever drawn, not for everybody: see
``privacy.account``.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from safehold.enclave.model import SCALE, Examples, Floats, Shape
from safehold.privacy.account import Plan, seats_for
from safehold.privacy.release import (
    SLACK,
    Noise,
    add_noise,
    draw_gaussian,
    pick_places,
    seat_people,
)
from safehold.privacy.release import sample_people as draw_people

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
from jax_privacy.clipping import clipped_grad

CHUNK: Final = 32  # people at a time; the sum runs over chunks one after the other
MOMENTUM: Final = 0.9

Params = dict[str, Any]


@dataclass(frozen=True, slots=True)
class People:
    """Examples of all people in arrays of public shape.

    Args:
        slots: People x examples x slots.
        target: People x examples.
        weight: People x examples; a person's weights add up to 1, or to 0 without examples.
    """

    slots: NDArray[np.int32]
    target: NDArray[np.int32]
    weight: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained model.

    Args:
        weights: One row per choice of each slot.
        bias: One number per action.
    """

    weights: Floats
    bias: Floats


def gather_people(examples: Sequence[Examples], shape: Shape, *, most: int) -> People:
    """Return each person's examples, at most ``most``, drawn at random where there are more.

    Args:
        examples: One entry per person.
        shape: Sizes of the model.
        most: Cap on the examples of one person; also the second size of each array.
    """
    count = len(examples)
    people = People(
        np.zeros((count, most, len(shape.slots)), np.int32),
        np.zeros((count, most), np.int32),
        np.zeros((count, most), np.float32),
    )
    lengths = np.array([len(person.target) for person in examples], dtype=np.int64)
    for at, places in enumerate(pick_places(lengths, most=most)):
        taken = len(places)
        if taken:
            people.slots[at, :taken] = examples[at].slots[places]
            people.target[at, :taken] = examples[at].target[places]
            people.weight[at, :taken] = 1.0 / taken
    return people


@functools.lru_cache(maxsize=16)  # one compilation for each public shape
def sum_clipped(shape: Shape, *, clip: float) -> Callable[[Params, Any, Any, Any], Params]:
    """Return the function that adds up clipped gradients, one per person.

    Zeroing one person's weights moves its result by at most ``clip`` in L2 norm.

    Args:
        shape: Sizes of the model.
        clip: Largest L2 norm of one person's gradient.
    """

    def loss(params: Params, slots: Any, target: Any, weight: Any) -> Any:
        chosen = [
            jax.nn.one_hot(slots[:, at], size, dtype=jnp.float32)
            for at, size in enumerate(shape.slots)
        ]
        situation = SCALE * jnp.concatenate(chosen, axis=1)
        chances = jax.nn.log_softmax(situation @ params["weights"] + params["bias"])
        return -jnp.sum(weight * jnp.take_along_axis(chances, target[:, None], axis=1)[:, 0])

    total: Callable[[Params, Any, Any, Any], Params] = jax.jit(
        clipped_grad(
            loss,
            l2_clip_norm=clip,
            batch_argnums=(1, 2, 3),
            keep_batch_dim=False,
            microbatch_size=CHUNK,
        )
    )
    return total


def train(
    people: People,
    shape: Shape,
    *,
    plan: Plan,
    clip: float,
    rate: float,
    count: int,
    noise: Noise = draw_gaussian,
    progress: Callable[[int], None] = lambda _: None,
) -> Trained:
    """Train with the promise of a plan.

    Args:
        people: Everybody's examples.
        shape: Sizes of the model.
        plan: What the accountant calibrated: rounds, sampling and noise are taken from it alone.
        clip: Largest L2 norm of one person's gradient.
        rate: Step size.
        count: Number of people, which is public; sums are divided by the expected number in a
            round.
        noise: Where noise comes from; only tests pass another one.
        progress: Told the number of rounds done.
    """
    deviation = plan.multiplier * clip * SLACK

    def perturb(total: Floats) -> Floats:
        return add_noise(total, deviation=deviation, noise=noise)

    return _descend(
        people, shape, plan=plan, clip=clip, rate=rate, count=count, perturb=perturb,
        progress=progress,
    )  # fmt: skip


def train_without_privacy(
    people: People, shape: Shape, *, plan: Plan, rate: float, count: int
) -> Trained:
    """Train the same model over the same rounds with neither clipping nor noise.

    It is a baseline on made-up people only.
    """
    return _descend(
        people, shape, plan=plan, clip=1e6, rate=rate, count=count,
        perturb=lambda total: total, progress=lambda _: None,
    )  # fmt: skip


def take_seats(people: People, seated: NDArray[np.int64]) -> People:
    """Return the examples of those who sit in a round; on an empty seat all weights are zero."""
    there = seated >= 0
    return People(
        people.slots[seated],  # -1 is somebody, who then counts nothing
        people.target[seated],
        np.asarray(people.weight[seated] * there[:, None].astype(np.float32)),
    )


def _descend(
    people: People,
    shape: Shape,
    *,
    plan: Plan,
    clip: float,
    rate: float,
    count: int,
    perturb: Callable[[Floats], Floats],
    progress: Callable[[int], None],
) -> Trained:
    total = sum_clipped(shape, clip=clip)
    seats = -(-max(1, seats_for(plan, count)) // CHUNK) * CHUNK  # whole chunks; more does no harm
    expected = max(1.0, count * plan.sampling_ppm / 1e6)
    state = np.zeros((shape.rows + 1, shape.tokens))  # the bias is the last row
    speed, average = np.zeros_like(state), np.zeros_like(state)
    late = plan.rounds // 2
    for done in range(plan.rounds):
        drawn = draw_people(count, ppm=plan.sampling_ppm)
        seated = take_seats(people, seat_people(drawn, seats=seats))
        params = {
            "weights": jnp.asarray(state[:-1], jnp.float32),
            "bias": jnp.asarray(state[-1], jnp.float32),
        }
        gradient = total(params, seated.slots, seated.target, seated.weight)
        exact = np.concatenate(
            [np.asarray(gradient["weights"]), np.asarray(gradient["bias"])[None]]
        )
        speed = MOMENTUM * speed + perturb(exact.astype(np.float64)) / expected
        state = state - rate * speed
        if done >= late:
            average += state / (plan.rounds - late)
        progress(done + 1)
    return Trained(average[:-1], average[-1])
