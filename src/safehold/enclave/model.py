"""The next-action model: a multinomial logistic model over what was done last.

An example is the situation before one action: the last ``DEPTH`` action words, the application,
and the pair of both. Each of these is one choice out of a known number (a slot), so an example is
one row number per slot, and the model adds up one row of weights per slot. The loss is convex,
which takes noise well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from safehold.enclave.action import Actions

ARCHITECTURE: Final = "safehold.next-action.v1"
DEPTH: Final = 5
MOST_PAIRS: Final = 4096
# Slots weigh this much more than the bias: fewer rounds for the same fit.
SCALE: Final = 2.0

Rows = NDArray[np.int32]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The sizes of a model; they follow from the public vocabulary alone.

    Args:
        tokens: Number of action words, which are also what is predicted.
        apps: Number of applications.
    """

    tokens: int
    apps: int

    @property
    def slots(self) -> tuple[int, ...]:
        """The number of choices of each slot."""
        pairs = min(MOST_PAIRS, self.apps * (self.tokens + 1))
        return (*(self.tokens + 1 for _ in range(DEPTH)), self.apps, pairs)

    @property
    def rows(self) -> int:
        """The number of rows of weights."""
        return sum(self.slots)

    @property
    def parameters(self) -> int:
        """The number of weights, the bias included."""
        return (self.rows + 1) * self.tokens

    @property
    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the tensors of a model, all of them float32."""
        return {"bias": (self.tokens,), "weights": (self.rows, self.tokens)}


@dataclass(frozen=True, slots=True)
class Examples:
    """All examples of one person.

    Args:
        slots: The choice in each slot, one row per example.
        target: The action that came next.
        last: The action before, or the number of words at the start of a session.
    """

    slots: Rows
    target: Rows
    last: Rows


def make_examples(actions: Actions, shape: Shape) -> Examples:
    """Return one example for each action that has one before it in its session."""
    count = len(actions.token)
    blank = shape.tokens
    session = np.cumsum(actions.start)
    padded = np.concatenate([np.full(DEPTH, blank), actions.token])
    before_session = np.concatenate([np.zeros(DEPTH, dtype=np.int64), session])
    columns = []
    for back in range(1, DEPTH + 1):
        there = slice(DEPTH - back, DEPTH - back + count)
        columns.append(np.where(before_session[there] == session, padded[there], blank))
    app = np.concatenate([np.zeros(1, dtype=np.int64), actions.app])[:count]
    pairs = shape.slots[-1]
    columns += [app, (app * (shape.tokens + 1) + columns[0]) % pairs]
    keep = ~actions.start
    slots = np.stack(columns, axis=1)[keep].astype(np.int32)
    return Examples(slots, actions.token[keep].astype(np.int32), slots[:, 0])


def predict(weights: Floats, bias: Floats, slots: Rows, shape: Shape) -> Rows:
    """Return the most likely next action of each example."""
    first = np.concatenate([[0], np.cumsum(shape.slots)[:-1]])
    logits = np.tile(bias, (len(slots), 1))
    for at in range(len(shape.slots)):
        logits += SCALE * weights[slots[:, at] + first[at]]
    return np.asarray(logits.argmax(axis=1), dtype=np.int32)
