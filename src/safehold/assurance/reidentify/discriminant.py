"""The discriminant attacker: a linear map, learned from what was enrolled, under which people lie far apart.

Within each person the windows vary (covariance W), between people their means do (B). A probe's mean is compared with
each profile by the likelihood ratio of the two-covariance model (Brummer and de Villiers 2010), with W and B
estimated on the enrolled windows of all people and shrunk towards their diagonals.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from safehold.assurance.reidentify.trail import Floats, Ints

SHRINK: Final = 0.15
LARGEST: Final = 4.0  # deviations; a feature further out counts as this far


def match_discriminant(features: Floats, *, owner: Ints, probe: Any, people: int) -> Floats:
    """Return scores; row = probe, column = enrolled person.

    Args:
        features: One row a window; NaN where a window shows nothing.
        owner: Person of each window.
        probe: Whether the window is to be recognised.
        people: Number of people.
    """
    enrolled = features[~probe]
    told = ~np.isnan(enrolled)
    many = np.maximum(told.sum(axis=0), 1)
    centre = np.nan_to_num(enrolled).sum(axis=0) / many
    spread = np.sqrt((np.where(told, enrolled - centre, 0) ** 2).sum(axis=0) / many)
    used = spread > 1e-9
    normal = np.where(np.isnan(features), 0.0, (features - centre) / np.where(used, spread, 1))
    normal = np.clip(normal[:, used], -LARGEST, LARGEST)
    mean, count = zip(
        *(_means(normal[part], owner[part], people) for part in (~probe, probe)), strict=True
    )
    apart = normal[~probe] - mean[0][owner[~probe]]
    free = max(int((~probe).sum()) - int((count[0] > 0).sum()), 1)
    within = _shrink(apart.T @ apart / free)
    between = np.cov(mean[0][count[0] > 0].T) - within * np.mean(1 / count[0][count[0] > 0])
    return _ratio(mean, count, within, between)


def _means(rows: Floats, owner: Ints, people: int) -> tuple[Floats, Floats]:
    count = np.bincount(owner, minlength=people).astype(float)
    total = np.zeros((people, rows.shape[1]))
    np.add.at(total, owner, rows)
    return total / np.maximum(count, 1)[:, None], count


def _shrink(covariance: Floats) -> Floats:
    shrunk: Floats = (1 - SHRINK) * covariance + SHRINK * np.diag(np.diag(covariance))
    return shrunk + 1e-4 * np.eye(len(covariance))


def _ratio(mean: Any, count: Any, within: Floats, between: Floats) -> Floats:
    """Return log p(probe | same person as the profile) - log p(probe), all in the space where W is the identity."""
    value, vector = np.linalg.eigh(within)
    white = vector / np.sqrt(value)
    strength, turn = np.linalg.eigh(white.T @ between @ white)
    kept = strength > 0.02
    strength, base = strength[kept], (white @ turn)[:, kept]
    profile, found = mean[0] @ base, mean[1] @ base
    known, seen = np.maximum(count[0], 0.5)[:, None], np.maximum(count[1], 0.5)[:, None]
    # posterior of a person's place given the profile: gain towards it, and what remains unsure
    gain = strength * known / (strength * known + 1)
    place, left = gain * profile, strength / (strength * known + 1)
    scores = np.empty((len(found), len(profile)))
    for who in range(len(found)):
        noise = 1 / seen[who]
        wide, narrow = strength + noise, left + noise
        scores[who] = 0.5 * (
            (found[who] ** 2 / wide + np.log(wide))
            - ((found[who] - place) ** 2 / narrow + np.log(narrow))
        ).sum(axis=1)
    return scores
