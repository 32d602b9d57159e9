"""The gradient of the next-action model, person by person, in double precision: a step of several houses.

It is what the learner of ``training`` adds up; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from safehold.enclave.model import SCALE, Examples, Floats, Shape


def first_rows(shape: Shape) -> NDArray[np.int64]:
    """Return where the weights of each slot begin."""
    return np.concatenate([[0], np.cumsum(shape.slots)[:-1]]).astype(np.int64)


def person_gradient(one: Examples, at: NDArray[np.int64], flat: Floats, shape: Shape) -> Floats:
    """Return the gradient of one person's mean loss.

    Args:
        one: Their examples.
        at: Which of them count.
        flat: The model, weights row by row and then the bias.
        shape: Sizes of the model.

    Returns:
        As many numbers as the model has.
    """
    state = flat.reshape(shape.rows + 1, shape.tokens)
    rows = one.slots[at] + first_rows(shape)
    logits = state[-1] + SCALE * state[rows].sum(axis=1)
    logits -= logits.max(axis=1, keepdims=True)
    chances = np.exp(logits)
    chances /= chances.sum(axis=1, keepdims=True)
    chances[np.arange(len(at)), one.target[at]] -= 1.0
    chances /= len(at)
    gradient = np.zeros_like(state)
    for slot in range(rows.shape[1]):
        np.add.at(gradient, rows[:, slot], SCALE * chances)
    gradient[-1] = chances.sum(axis=0)
    return gradient.reshape(-1)


def sum_of_clipped(
    people: Sequence[tuple[Examples, NDArray[np.int64]]], flat: Floats, shape: Shape, *, clip: float
) -> Floats:
    """Return the sum of everybody's gradient, each scaled down to an L2 norm of at most ``clip``.

    A gradient that is not finite counts as nothing; so does somebody without examples.
    """
    total = np.zeros(shape.parameters)
    for one, at in people:
        if len(at):
            gradient = person_gradient(one, at, flat, shape)
            norm = float(np.linalg.norm(gradient))
            if np.isfinite(norm):
                total += gradient * min(1.0, clip / max(norm, 1e-300))
    return total
