"""Shadow models: the next-action model, trained without privacy on a part of the people.

The same loss, momentum and late averaging as the model under attack, with neither clipping nor noise: a shadow shows
how a person moves a model, and noise would only hide that from the attacker. The sums over examples are taken by
sorted rows instead of one-hot products, which is what makes eight of them cheap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from safehold.enclave.model import SCALE, Examples, Floats, Rows, Shape

_MOMENTUM = 0.9


@dataclass(frozen=True, slots=True)
class Rowed:
    """The examples of many people, one below the other.

    Args:
        slots: Rows of weights that each example adds up, examples x slots.
        target: The action that came.
        person: Whose example it is.
        share: Weight of each example: one over the number of its person's.
        people: How many people.
    """

    slots: Rows
    target: Rows
    person: NDArray[np.int64]
    share: Floats
    people: int


def row_people(examples: Sequence[Examples], shape: Shape, *, most: int) -> Rowed:
    """Return the first ``most`` examples of each person, as rows of weights."""
    first = np.concatenate([[0], np.cumsum(shape.slots)[:-1]])
    counts = [min(most, len(one.target)) for one in examples]
    slots = np.concatenate(
        [one.slots[:count] + first for one, count in zip(examples, counts, strict=True)]
    )
    target = np.concatenate(
        [one.target[:count] for one, count in zip(examples, counts, strict=True)]
    )
    share = np.concatenate([np.full(count, 1.0 / max(count, 1)) for count in counts])
    return Rowed(
        slots.astype(np.int32),
        target.astype(np.int32),
        np.repeat(np.arange(len(examples)), counts),
        share,
        len(examples),
    )


def fit(data: Rowed, inside: NDArray[np.bool_], shape: Shape, *, rounds: int, rate: float) -> Any:
    """Return weights and bias after some rounds over the people who are in.

    Args:
        data: Everybody's examples.
        inside: Who is in, one a person.
        shape: Sizes of the model.
        rounds: Steps.
        rate: Step size.
    """
    taken = inside[data.person]
    slots, target = data.slots[taken], data.target[taken]
    share = (data.share[taken] / max(1, int(inside.sum()))).astype(np.float32)
    orders = [np.argsort(slots[:, at], kind="stable") for at in range(slots.shape[1])]
    rows = [slots[order, at] for at, order in enumerate(orders)]
    starts = [np.flatnonzero(np.r_[True, one[1:] != one[:-1]]) for one in rows]
    state = np.zeros((shape.rows + 1, shape.tokens), np.float32)
    speed, average = np.zeros_like(state), np.zeros_like(state)
    late = rounds // 2
    lines = np.arange(len(target))
    for done in range(rounds):
        logits = np.tile(state[-1], (len(target), 1))
        for at in range(slots.shape[1]):
            logits += np.float32(SCALE) * state[slots[:, at]]
        logits -= logits.max(axis=1, keepdims=True)
        np.exp(logits, out=logits)
        logits /= logits.sum(axis=1, keepdims=True)
        logits[lines, target] -= 1.0
        logits *= share[:, None]
        speed *= _MOMENTUM
        speed[-1] += logits.sum(axis=0)
        for order, row, start in zip(orders, rows, starts, strict=True):
            speed[row[start]] += np.float32(SCALE) * np.add.reduceat(logits[order], start, axis=0)
        state = state - np.float32(rate) * speed
        if done >= late:
            average += state / np.float32(rounds - late)
    return average[:-1].astype(np.float64), average[-1].astype(np.float64)
