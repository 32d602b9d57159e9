"""What can be trained under a person-level promise.

A learner knows its parameters and how to add up people's gradients, each person's clipped to one
bound. It knows no noise, no sampling and no accountant: those are ``descent``'s, so no learner can
get them wrong. Three learners are shipped: ``JaxLearner`` for any JAX loss, ``SlotLearner`` for the
linear models over counted things, ``TorchLearner`` for a module of PyTorch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Params = dict[str, Floats]
People = Mapping[str, NDArray[Any]]  # every array: people first; shapes are public


class Learner(Protocol):
    """A model whose people's gradients can be added up, each clipped to one bound.

    Attributes:
        chunk: Seats of a round are a multiple of this.
    """

    chunk: int

    def start(self) -> Params:
        """Return the parameters training starts from; they follow from public facts alone."""
        ...

    def prepare(self, people: People) -> People:
        """Return people's arrays with whatever is worth computing once, person by person."""
        ...

    def sum_clipped(
        self,
        params: Params,
        people: People,
        present: NDArray[np.bool_],
        bounds: Mapping[str, float],
    ) -> tuple[Params, float]:
        """Return the sum of clipped gradients, and how many people were within their bounds.

        Taking one person out moves the sum by at most the L2 norm of ``bounds``.

        Args:
            params: Where the gradient is taken.
            people: Arrays of those on the seats of a round.
            present: Seats that somebody sits on; an empty seat adds nothing.
            bounds: Largest L2 norm of each parameter's gradient; under the name ``""`` that of all
                of them together.
        """
        ...


def take(people: People, places: NDArray[np.int64]) -> People:
    """Return the arrays of the people at some places; -1 is an empty seat, which holds anybody."""
    return {name: column[places] for name, column in people.items()}


def scale_within(norms: Floats, bound: float) -> Floats:
    """Return the factor that brings each norm within a bound; a norm that is not finite: zero."""
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.minimum(1.0, bound / np.maximum(norms, 1e-30))
    return np.where(np.isfinite(norms), factor, 0.0)
