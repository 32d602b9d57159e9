"""Any JAX loss, person by person.

``lax.scan`` goes over chunks of people; inside one each person's gradient is taken, clipped and
added up. Memory holds the gradients of one chunk, whatever the number of people.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from safehold.privacy.training.learner import Params, People

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp

Loss = Callable[[Any, Any], Any]


class JaxLearner:
    """A model with a loss of one person.

    Args:
        loss: ``loss(params, person) -> number``: the mean loss of one person's examples. ``person``
            holds that person's arrays; rows that are only padding must weigh nothing in it.
        params: Parameters to start from, from public facts alone.
        chunk: People whose gradients are held at once.
    """

    def __init__(self, loss: Loss, params: Mapping[str, Any], *, chunk: int = 1) -> None:
        self.chunk = chunk
        self._start = {name: np.asarray(value, np.float64) for name, value in params.items()}
        self._total = _compile(loss, chunk)

    def start(self) -> Params:
        """Return the parameters training starts from."""
        return {name: value.copy() for name, value in self._start.items()}

    def prepare(self, people: People) -> People:
        """Return people as they are."""
        return people

    def sum_clipped(
        self,
        params: Params,
        people: People,
        present: NDArray[np.bool_],
        bounds: Mapping[str, float],
    ) -> tuple[Params, float]:
        """Return the sum of clipped gradients; see ``Learner``."""
        small = {name: jnp.asarray(value, jnp.float32) for name, value in params.items()}
        limits = {name: jnp.float32(value) for name, value in bounds.items()}
        total, within = self._total(small, dict(people), present, limits)
        return {name: np.asarray(total[name], np.float64) for name in params}, float(within)


@functools.lru_cache(maxsize=16)  # one compilation for each loss and public shape
def _compile(loss: Loss, chunk: int) -> Callable[..., Any]:
    compiled: Callable[..., Any] = jax.jit(_sum_people(loss, chunk))
    return compiled


def _sum_people(loss: Loss, chunk: int) -> Callable[..., Any]:
    slope = jax.grad(loss)

    def clipped(params: Any, person: Any, here: Any, bounds: Any) -> tuple[Any, Any]:
        found = slope(params, person)
        squares = {name: jnp.sum(jnp.square(value)) for name, value in found.items()}
        if "" in bounds:
            whole = sum(squares.values())
            norms = dict.fromkeys(found, jnp.sqrt(whole))
            limits = dict.fromkeys(found, bounds[""])
        else:
            norms = {name: jnp.sqrt(square) for name, square in squares.items()}
            limits = bounds
        fine = here & jnp.all(jnp.array([jnp.isfinite(norm) for norm in norms.values()]))
        inside = jnp.all(jnp.array([norms[name] <= limits[name] for name in found]))
        kept = {
            # a gradient that is not finite counts nothing; 0 * NaN would still be NaN
            name: jnp.where(
                fine, value * jnp.minimum(1.0, limits[name] / jnp.maximum(norms[name], 1e-30)), 0.0
            )
            for name, value in found.items()
        }
        return kept, (inside & fine).astype(jnp.float32)

    def total(params: Any, people: Any, present: Any, bounds: Any) -> tuple[Any, Any]:
        def add(carry: Any, some: Any) -> tuple[Any, None]:
            persons, here = some
            if chunk == 1:
                one = jax.tree.map(lambda column: column[0], persons)
                parts, inside = clipped(params, one, here[0], bounds)
            else:
                each, flags = jax.vmap(clipped, in_axes=(None, 0, 0, None))(
                    params, persons, here, bounds
                )
                parts = jax.tree.map(lambda column: column.sum(axis=0), each)
                inside = flags.sum()
            return (jax.tree.map(jnp.add, carry[0], parts), carry[1] + inside), None

        groups = jax.tree.map(
            lambda column: column.reshape(-1, chunk, *column.shape[1:]), (people, present)
        )
        nothing = (jax.tree.map(jnp.zeros_like, params), jnp.float32(0))
        return jax.lax.scan(add, nothing, groups)[0]

    return total
