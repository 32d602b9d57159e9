"""The linear model over slots, with exact person-level clipping for the price of one pass.

An example is a few rows of one weight matrix, each with a value (a word, an earlier action, a pair
of both); it scores every class by the sum of its rows. One person's gradient is ``X' D`` for that
person's examples ``X`` and errors ``D``, and its norm needs no gradient: it is ``sum(K * D D')`` with
``K = X X'``, which never changes. So people are clipped before anything is added up, and what is
added up is one sparse product (the idea of ghost clipping, Li et al. 2022, for whole persons).

The loss is convex, which takes noise well, and the noise of a row that an example does not use does
not touch it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from safehold.privacy.training.learner import Params, People, scale_within

Singles = NDArray[np.float32]


class SlotLearner:
    """Multinomial logistic regression over slots.

    People's arrays: ``rows`` (people x examples x slots, whole numbers), ``values`` (same shape),
    ``target`` (people x examples), ``weight`` (people x examples; padding weighs 0, a person's
    weights add up to at most 1).

    Args:
        rows: Rows of the weight matrix; a public number.
        classes: What is told apart; a public number.
    """

    chunk = 1

    def __init__(self, *, rows: int, classes: int) -> None:
        self.rows, self.classes = rows, classes

    def start(self) -> Params:
        """Return a model that knows nothing."""
        return {"weights": np.zeros((self.rows, self.classes))}

    def prepare(self, people: People) -> People:
        """Add each person's ``kernel``: the inner products of that person's examples.

        A person with a value that is not finite counts nothing, in whatever is added up later.
        """
        fine = np.isfinite(people["values"]).all(axis=(1, 2), keepdims=True)
        people = {**people, "values": np.where(fine, people["values"], 0.0).astype(np.float32)}
        kernel = np.stack([
            _kernel(rows, values)
            for rows, values in zip(people["rows"], people["values"], strict=True)
        ])  # fmt: skip
        return {**people, "kernel": kernel}

    def sum_clipped(
        self,
        params: Params,
        people: People,
        present: NDArray[np.bool_],
        bounds: Mapping[str, float],
    ) -> tuple[Params, float]:
        """Return the sum of clipped gradients; see ``Learner``."""
        bound = bounds.get("", bounds.get("weights", 0.0))
        count, examples = people["target"].shape
        matrix = self.matrix(people)
        weights = params["weights"].astype(np.float32)
        errors = _chances(matrix @ weights)
        errors[np.arange(len(errors)), people["target"].reshape(-1)] -= 1.0
        errors *= (people["weight"] * present[:, None]).reshape(-1, 1)
        each = errors.reshape(count, examples, self.classes)
        squares = np.einsum("pij,pij->p", np.matmul(people["kernel"], each), each, dtype=np.float64)
        norms = np.sqrt(np.maximum(squares, 0.0) + _lost(people["kernel"], each, people["rows"]))
        factor = scale_within(norms, bound)
        within = float(((norms <= bound) & present).sum())
        errors *= np.repeat(factor, examples)[:, None].astype(np.float32)
        np.nan_to_num(errors, copy=False, posinf=0.0, neginf=0.0)
        return {"weights": np.asarray(matrix.T @ errors, np.float64)}, within

    def scores(self, params: Params, people: People) -> Singles:
        """Return the score of each class, people x examples x classes."""
        shape = (*people["target"].shape, self.classes)
        found: Singles = self.matrix(people) @ params["weights"].astype(np.float32)
        return found.reshape(shape)

    def matrix(self, people: People) -> Any:
        """Return all examples as one sparse matrix with as many entries as there are slots."""
        rows = people["rows"]
        ends = np.arange(0, rows.size + 1, rows.shape[-1])
        shape = (rows.size // rows.shape[-1], self.rows)
        values = people["values"].astype(np.float32, copy=False).reshape(-1)
        return sparse.csr_matrix((values, rows.reshape(-1), ends), shape=shape)


def _lost(kernel: Singles, each: Singles, rows: NDArray[np.int32]) -> NDArray[np.float64]:
    """Return how much single precision may have taken from each squared norm, at most.

    Examples whose gradients are large and cancel leave a square that is all rounding; taken as it is, it would
    say zero of somebody who is far beyond the bound (Higham 2002, section 3.1: as many roundings as terms).
    """
    lengths = np.sqrt(np.diagonal(kernel, axis1=1, axis2=2).astype(np.float64))
    sizes = np.sqrt(np.einsum("pij,pij->pi", each, each, dtype=np.float64))
    terms = rows.shape[1] + rows.shape[2] + 2
    return np.asarray(terms * 2.0**-23 * (lengths * sizes).sum(axis=1) ** 2)


def _kernel(rows: NDArray[np.int32], values: Singles) -> Singles:
    examples, slots = rows.shape
    _, place = np.unique(rows, return_inverse=True)
    place = place.reshape(-1)
    wide = np.zeros((examples, int(place.max()) + 1), np.float32)
    np.add.at(wide, (np.repeat(np.arange(examples), slots), place), values.reshape(-1))
    return np.asarray(wide @ wide.T, np.float32)


def _chances(scores: Singles) -> Singles:
    scores = scores - scores.max(axis=1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=1, keepdims=True)
    return scores
