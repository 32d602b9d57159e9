"""Person-level DP training of the next-action model.

The model is the linear one over slots, the bias a slot that is always there; the loop is
``privacy.training.descent``, the one that ``attack audit`` looks at. Nothing here draws noise, samples
people or counts a price.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from safehold.enclave.gradient import first_rows
from safehold.enclave.model import SCALE, Examples, Floats, Shape
from safehold.privacy.account import Plan
from safehold.privacy.release import Noise, draw_gaussian, pick_places
from safehold.privacy.training.course import Clip, Steps
from safehold.privacy.training.descent import train_private
from safehold.privacy.training.learner import Learner, People
from safehold.privacy.training.slots import SlotLearner


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained model.

    Args:
        weights: One row per choice of each slot.
        bias: One number per action.
    """

    weights: Floats
    bias: Floats


def learner_of(shape: Shape) -> SlotLearner:
    """Return the learner of a model; its last row is the bias."""
    return SlotLearner(rows=shape.rows + 1, classes=shape.tokens)


def gather_people(
    examples: Sequence[Examples],
    shape: Shape,
    *,
    most: int,
    places: Sequence[NDArray[np.int64]] | None = None,
) -> People:
    """Return each person's examples in arrays of public shape, drawn at random where there are more.

    Args:
        examples: One entry per person.
        shape: Sizes of the model.
        most: Cap on the examples of one person; also the second size of each array.
        places: Which of them count, where that was drawn elsewhere; at most ``most`` of each person.

    Returns:
        ``rows`` and ``values`` (people x examples x slots and the bias), ``target`` and ``weight`` (people x
        examples); a person's weights add up to 1, or to 0 without examples.
    """
    count, wide = len(examples), len(shape.slots) + 1
    rows = np.full((count, most, wide), shape.rows, np.int32)
    values = np.zeros((count, most, wide), np.float32)
    target = np.zeros((count, most), np.int32)
    weight = np.zeros((count, most), np.float32)
    first = first_rows(shape)
    if places is None:
        lengths = np.array([len(person.target) for person in examples], dtype=np.int64)
        places = pick_places(lengths, most=most)
    for at, chosen in enumerate(places):
        if taken := len(chosen):
            rows[at, :taken, :-1] = examples[at].slots[chosen] + first
            values[at, :taken, :-1] = SCALE
            values[at, :taken, -1] = 1.0
            target[at, :taken] = examples[at].target[chosen]
            weight[at, :taken] = 1.0 / taken
    return {"rows": rows, "values": values, "target": target, "weight": weight}


def train(
    people: People,
    shape: Shape,
    *,
    plan: Plan,
    clip: float,
    rate: float,
    noise: Noise = draw_gaussian,
    progress: Callable[[int], None] = lambda _: None,
    learner: Learner | None = None,
) -> Trained:
    """Train with the promise of a plan.

    Args:
        people: Everybody's examples; their number is public.
        shape: Sizes of the model.
        plan: What the accountant calibrated: rounds, sampling and noise are taken from it alone.
        clip: Largest L2 norm of one person's gradient.
        rate: Step size.
        noise: Where noise comes from; only tests pass another one.
        progress: Told the number of rounds done.
        learner: Adds up people's gradients, where that is done elsewhere.
    """
    made = train_private(
        learner_of(shape) if learner is None else learner,
        people,
        plan=plan,
        clip=Clip(bound=clip),
        steps=Steps(rate=rate),
        noise=noise,
        progress=progress,
    ).params["weights"]
    return Trained(made[:-1], made[-1])


def train_without_privacy(people: People, shape: Shape, *, plan: Plan, rate: float) -> Trained:
    """Train the same model over the same rounds with neither clipping nor noise.

    It is a baseline on made-up people only.
    """
    return train(
        people,
        shape,
        plan=plan,
        clip=longest_gradient(shape),
        rate=rate,
        noise=lambda size, _: np.zeros(size),
    )


def longest_gradient(shape: Shape) -> float:
    """Return the largest L2 norm that any person's gradient can have before it is clipped.

    An example's rows times its errors, whose norm is at most that of one right and one wrong; weights add up to 1.
    """
    return math.sqrt(2 * (SCALE**2 * len(shape.slots) + 1))
