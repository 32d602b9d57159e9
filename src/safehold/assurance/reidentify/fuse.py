"""The fused attacker: all attackers' scores, weighed by what recognises people inside what was enrolled.

The weights are those of a conditional logit (McFadden 1974): the chance that a probe is a person's grows with the
weighted sum of the scores. They are learned on a second trial within the enrolled part, never on the probe.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from safehold.assurance.reidentify.score import level_scores
from safehold.assurance.reidentify.trail import Floats, Trail, place_in, split_runs

STEPS: Final = 300
RATE: Final = 0.05
DECAY: Final = 0.002


def inner_trial(trail: Trail) -> Trail:
    """Return the enrolled part as a trial of its own, its probes no longer than those of the outer one."""
    inner = trail.take(~trail.probe)
    inner = replace(inner, probe=split_runs(inner.person, inner.run))
    sizes = np.bincount(trail.person[trail.probe], minlength=1)
    most = int(np.median(sizes[sizes > 0])) if (sizes > 0).any() else 1
    return inner.take(~inner.probe | (place_in(inner.person * 2 + inner.probe) < most))


def learn_weights(tables: Sequence[Floats]) -> Floats:
    """Return one weight a table, none below 0.

    Args:
        tables: Scores of the inner trial, one table an attacker.
    """
    stack = np.stack([level_scores(table) for table in tables])
    own = np.einsum("ann->an", stack).mean(axis=1)
    weight = np.ones(len(stack))
    first, second = np.zeros(len(stack)), np.zeros(len(stack))
    for step in range(1, STEPS + 1):
        total = np.tensordot(weight, stack, 1)
        chance = np.exp(total - total.max(axis=1, keepdims=True))
        chance /= chance.sum(axis=1, keepdims=True)
        slope = (stack * chance).sum(axis=2).mean(axis=1) - own + DECAY * weight
        first = 0.9 * first + 0.1 * slope
        second = 0.99 * second + 0.01 * slope**2
        move = (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.99**step)) + 1e-8)
        weight = np.maximum(weight - RATE * move, 0.0)
    return weight


def fuse(tables: Mapping[str, Floats], inner: Mapping[str, Floats]) -> Floats:
    """Return the weighted sum of the scores of all attackers that also ran on the inner trial."""
    names = [name for name in tables if name in inner]
    weights = learn_weights([inner[name] for name in names])
    total: Floats = sum(
        (weight * level_scores(tables[name]) for weight, name in zip(weights, names, strict=True)),
        np.zeros_like(tables[names[0]]),
    )
    return total
