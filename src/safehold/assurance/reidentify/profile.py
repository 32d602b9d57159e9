"""The profile attacker: means per label and per pair of labels, and the nearest profile.

For timing the features are the mean log hold of each label and the mean log gap of each pair of labels; where the
level tells no timing they are how often each label and pair occurs. Distances are Manhattan, weighted by how
often a feature was seen on either side and divided by how much people differ in it.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from safehold.assurance.reidentify.trail import Floats, Ints, Trail

COLUMNS: Final = 400  # features used, the most frequent ones
TRUST: Final = 5  # a mean is not trusted more than one of this many values
FLOOR: Final = 0.02  # added to the deviation between people
LONGEST_MS: Final = 2_000.0  # a longer gap is a pause, not a habit
OFFSET_MS: Final = 0.0


def match_timing(trail: Trail, view: str) -> Floats:
    """Return scores by timing per label of a view; row = probe, column = enrolled person."""
    label, words = trail.views[view]
    gap, hold = trail.number("gap"), trail.number("hold")
    size, before = len(words), np.r_[0, label[:-1]] if len(label) else label
    grid = step_of(gap)
    held = np.flatnonzero(hold > 0) if grid < 1.5 else np.flatnonzero(hold >= 0)
    paired = np.flatnonzero((gap >= 0) & (gap <= LONGEST_MS))
    if grid < 1.5:
        paired = paired[gap[paired] > 0]
    feature = np.concatenate([label[held], size + before[paired] * size + label[paired]])
    value = np.log(np.concatenate([hold[held], gap[paired]]) + (0.0 if grid < 1.5 else grid / 2))
    return _match(trail, np.concatenate([held, paired]), feature, value)


def step_of(gap: Floats) -> float:
    """Return the step in ms on which times lie: 1 or less where they are as recorded."""
    told = gap[~np.isnan(gap)]
    whole = told[told > 0]
    return float(whole.min()) if len(whole) else 1.0


def _match(trail: Trail, place: Ints, feature: Ints, value: Floats) -> Floats:
    used, feature = np.unique(feature, return_inverse=True)
    most = np.argsort(-np.bincount(feature), kind="stable")[:COLUMNS]
    number = np.full(len(used), -1)
    number[most] = np.arange(len(most))
    column = number[feature]
    kept = column >= 0
    place, column, value = place[kept], column[kept], value[kept]
    shape = (2, len(trail.people), len(most))
    cell = np.ravel_multi_index(
        (trail.probe[place].astype(np.int64), trail.person[place], column), shape
    )
    count = np.bincount(cell, minlength=int(np.prod(shape))).reshape(shape)
    total = np.bincount(cell, weights=value, minlength=int(np.prod(shape))).reshape(shape)
    with np.errstate(invalid="ignore"):
        mean = total / count
    return nearest(mean, np.minimum(count, TRUST))


def nearest(mean: Floats, count: Ints) -> Floats:
    """Return the negative weighted distance of every probe to every profile.

    Args:
        mean: Features of the enrolled (0) and the probes (1): shape (2, people, features); NaN where unseen.
        count: How often each was seen, capped.
    """
    enrolled, probes = np.nan_to_num(mean[0]), np.nan_to_num(mean[1])
    seen = count[0] > 0
    many = np.maximum(seen.sum(axis=0), 1)
    centre = enrolled.sum(axis=0) / many
    spread = np.sqrt((np.where(seen, enrolled - centre, 0) ** 2).sum(axis=0) / many) + FLOOR
    root = np.sqrt(count.astype(np.float64))
    scores = np.empty((len(probes), len(enrolled)))
    for who in range(len(probes)):
        weight = root[0] * root[1][who]
        apart = np.abs(enrolled - probes[who]) / spread
        total = weight.sum(axis=1)
        scores[who] = -(weight * apart).sum(axis=1) / np.where(total > 0, total, 1)
        scores[who][total == 0] = -1e3
    return scores


def match_order(trail: Trail, view: str) -> Floats:
    """Return scores by how often labels, pairs and triples of a view occur: log-likelihoods, smoothed."""
    label, words = trail.views[view]
    size = len(words)
    same = np.r_[False, trail.run[1:] == trail.run[:-1]] if len(label) else np.zeros(0, bool)
    twice = np.r_[False, same[:-1]] & same if len(label) else same
    before = np.r_[0, label[:-1]] if len(label) else label
    again = np.r_[0, before[:-1]] if len(label) else label
    parts = [
        (np.arange(len(label)), label),
        (np.flatnonzero(same), (before * size + label)[same]),
        (np.flatnonzero(twice), ((again * size + before) * size + label)[twice]),
    ]
    people = len(trail.people)
    scores = np.zeros((people, people))
    for place, feature in parts:
        used, number = np.unique(feature, return_inverse=True)
        shape = (2, people, len(used))
        cell = np.ravel_multi_index(
            (trail.probe[place].astype(np.int64), trail.person[place], number), shape
        )
        count = np.bincount(cell, minlength=int(np.prod(shape))).reshape(shape).astype(float)
        common = (count[0].sum(axis=0) + 0.5) / (count[0].sum() + 0.5 * len(used))
        total = count[0].sum(axis=1, keepdims=True)
        prior = max(8.0, float(np.median(total)) / 4)
        rate = (count[0] + prior * common) / (total + prior)
        scores += count[1] @ np.log(rate / common).T
    return scores
