"""Two attacks on who is behind vectors: whose they are, and whether somebody is in the set at all.

The attacker knows the later half of everybody's vectors, and is given the earlier half without names. Both halves are
as noisy as they are sealed. Nothing here is kept but counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from safehold.enclave.embedding.encoder import Vectors
from safehold.privacy.release import sample_people, shuffle_people

Floats = NDArray[np.float64]
ATTACKERS: Final = ("mean", "nearest", "whitened")
_LEAST: Final = 4  # people, or there is no line to draw


@dataclass(frozen=True, slots=True)
class Halves:
    """What the attackers work on.

    Args:
        known: The later half of each person's vectors.
        probe: The earlier half.
    """

    known: Sequence[Vectors]
    probe: Sequence[Vectors]

    def __len__(self) -> int:
        return len(self.known)


def halve(people: Sequence[Vectors]) -> Halves:
    """Return the halves of everybody who has at least two vectors; of an odd number the later half has one more."""
    both = [one for one in people if len(one) > 1]
    return Halves([one[len(one) // 2 :] for one in both], [one[: len(one) // 2] for one in both])


def link(halves: Halves) -> dict[str, int]:
    """Return how many people each attacker recognises: their known half is the nearest of all to their other half."""
    return {
        name: int((score(halves).argmax(axis=1) == np.arange(len(halves))).sum())
        for name, score in _SCORES.items()
    }


def guess_members(halves: Halves) -> tuple[int, int]:
    """Return how often the attacker is right about who is in a set, and how often they guessed.

    Each person is in the set with a coin's chance: then their earlier half lies in it. The attacker has everybody's
    later half, learns from one half of the people where to draw the line, and guesses for the other; then the other
    way round.
    """
    count = len(halves)
    inside = sample_people(count, ppm=500_000)
    if count < _LEAST or not inside.any():
        return 0, 0
    order = shuffle_people(count)
    parts = order[: count // 2], order[count // 2 :]
    rights = []
    for score in _SCORES.values():
        near = score(halves).T[:, inside]  # people who may be in it, by the unnamed halves in it
        evidence = (near.max(axis=1) - near.mean(axis=1)) / (near.std(axis=1) + 1e-12)
        taught = right = 0
        for learn, test in (parts, parts[::-1]):
            line, above = _line(evidence[learn], inside[learn])
            taught += int((((evidence[learn] > line) == above) == inside[learn]).sum())
            right += int((((evidence[test] > line) == above) == inside[test]).sum())
        rights.append((taught, right))
    return max(rights, key=lambda one: one[0])[1], count


def _line(evidence: Floats, inside: NDArray[np.bool_]) -> tuple[float, bool]:
    """Return the line that tells those who learn apart best, and whether members lie above it."""
    best, line, above = -1, 0.0, True
    for at in np.sort(evidence):
        hits = int(((evidence > at) == inside).sum())
        for right, side in ((hits, True), (len(inside) - hits, False)):
            if right > best:
                best, line, above = right, float(at), side
    return line, above


def _means(halves: Sequence[Vectors]) -> Floats:
    return np.stack([one.mean(axis=0, dtype=np.float64) for one in halves])


def _cosine(left: Floats, right: Floats) -> Floats:
    left = left / np.maximum(np.linalg.norm(left, axis=1, keepdims=True), 1e-12)
    right = right / np.maximum(np.linalg.norm(right, axis=1, keepdims=True), 1e-12)
    return np.asarray(left @ right.T)


def _by_mean(halves: Halves) -> Floats:
    known, probe = _means(halves.known), _means(halves.probe)
    middle = known.mean(axis=0)
    return _cosine(probe - middle, known - middle)


def _by_nearest(halves: Halves) -> Floats:
    """Return how near the nearest known vector of each person comes to any vector of a probe."""
    known = np.concatenate(halves.known).astype(np.float64)
    owner = np.repeat(np.arange(len(halves)), [len(one) for one in halves.known])
    starts = np.flatnonzero(np.r_[True, owner[1:] != owner[:-1]])
    found = np.empty((len(halves), len(halves)))
    for at, probe in enumerate(halves.probe):
        near = _cosine(probe.astype(np.float64), known).max(axis=0)
        found[at] = np.maximum.reduceat(near, starts)
    return found


def _by_whitened(halves: Halves) -> Floats:
    """Return likeness of means where what varies within people counts for less (linear discriminant analysis)."""
    known, probe = _means(halves.known), _means(halves.probe)
    within = np.concatenate(
        [one - mean for one, mean in zip(halves.known, known, strict=True)]
    ).astype(np.float64)
    spread = within.T @ within / max(1, len(within) - len(known))
    dims = spread.shape[0]
    spread = spread + (np.trace(spread) / dims * 0.1 + 1e-9) * np.eye(dims)
    values, turns = np.linalg.eigh(spread)
    white = turns / np.sqrt(values)
    middle = known.mean(axis=0)
    return _cosine((probe - middle) @ white, (known - middle) @ white)


_SCORES: Final[dict[str, Callable[[Halves], Floats]]] = dict(
    zip(ATTACKERS, (_by_mean, _by_nearest, _by_whitened), strict=True)
)

__all__ = ["ATTACKERS", "Halves", "guess_members", "halve", "link"]
