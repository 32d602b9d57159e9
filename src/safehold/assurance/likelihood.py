"""How likely a next-action model finds what somebody did; the one figure that attacks on models read."""

from __future__ import annotations

from typing import Final

import numpy as np

from safehold.enclave.model import SCALE, Examples, Floats, Rows, Shape

_CHUNK: Final = 8_192  # examples at a time


def chances_of(weights: Floats, bias: Floats, slots: Rows, target: Rows, shape: Shape) -> Floats:
    """Return the natural logarithm of the chance that a model gives each action that was taken.

    Args:
        weights: Of the model, one row per choice of each slot.
        bias: Of the model.
        slots: Choices, examples x slots.
        target: The action that came, one per example.
        shape: Sizes of the model.
    """
    first = np.concatenate([[0], np.cumsum(shape.slots)[:-1]])
    out = np.empty(len(slots))
    for low in range(0, len(slots), _CHUNK):
        part = slots[low : low + _CHUNK]
        logits = np.tile(np.asarray(bias, dtype=np.float64), (len(part), 1))
        for at in range(len(shape.slots)):
            logits += SCALE * weights[part[:, at] + first[at]]
        logits -= logits.max(axis=1, keepdims=True)
        whole = np.log(np.exp(logits).sum(axis=1))
        out[low : low + _CHUNK] = logits[np.arange(len(part)), target[low : low + _CHUNK]] - whole
    return out


def confidence_of(weights: Floats, bias: Floats, person: Examples, shape: Shape) -> float:
    """Return one figure of a person: the mean, over what they did, of the log-odds the model gives it.

    Log-odds are nearly normal where chances are not (Carlini et al. 2022, Membership Inference Attacks From First
    Principles, section 4).
    """
    chances = chances_of(weights, bias, person.slots, person.target, shape)
    if not len(chances):
        return 0.0
    rest = np.log(-np.expm1(np.minimum(chances, -1e-12)))
    return float((chances - rest).mean())
