"""The attack on what was written: the rarest word of somebody's window, told from its vector.

The attackers know the encoder, and learn from other people's windows and vectors. For each victim they rank the word
against decoys: words about as rare that are not in the window. A word counts as told only where it ranks before every
decoy, and a tie is no hit; so without a leak each is told with the chance of one in all of them.

Sources: embedding inversion (Song and Raghunathan 2020, section 4); ranks against decoys after the exposure of
Carlini et al. 2019, section 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from safehold.enclave.embedding.encoder import Encoder, Vectors
from safehold.enclave.embedding.text import Codes
from safehold.ids import random_bytes
from safehold.privacy.release import shuffle_people

ATTACKERS: Final = ("filter", "decoder")
DECOYS: Final = 255
_FEWEST: Final = 15  # decoys, or a victim says nothing
_TEACHERS: Final = 8  # windows of one person that teach the decoder
_RIDGE: Final = 1e-2
_MOST_CELLS: Final = 32_000_000  # windows that teach times words: an open list has very many

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Told:
    """What the attackers told.

    Args:
        hits: Words that ranked before all decoys, by attacker.
        victims: People attacked.
        chance: Chance of a hit without any leak, at most.
    """

    hits: dict[str, int]
    victims: int
    chance: float


def invert(encoder: Encoder, windows: Sequence[Codes], vectors: Sequence[Vectors]) -> Told:
    """Return how many of the rarest words the attackers told.

    Args:
        encoder: What made the vectors.
        windows: The windows of each person, at least one.
        vectors: Their vectors, as they are sealed.
    """
    size = encoder.table.shape[0]
    order = shuffle_people(len(windows))
    teach, attack = order[: len(order) // 2], order[len(order) // 2 :]
    people_of = np.zeros(size, dtype=np.int64)  # people who used each word
    for one in windows:
        people_of[np.unique(one)] += 1
    used = np.flatnonzero(people_of)
    decoder = _learn(encoder, windows, vectors, teach, used)
    hits = dict.fromkeys(ATTACKERS, 0)
    victims, fewest = 0, DECOYS
    for person in attack.tolist():
        at = _draw(len(windows[person]))
        window, vector = windows[person][at], vectors[person][at].astype(np.float64)
        present = np.unique(window)
        word = int(present[people_of[present].argmin()])
        decoys = _decoys(word, present, used, people_of)
        if len(decoys) < _FEWEST:
            continue
        victims += 1
        fewest = min(fewest, len(decoys))
        chosen = np.r_[word, decoys]
        scores = {
            "filter": encoder.table[chosen].astype(np.float64) @ vector,
            "decoder": np.r_[vector, 1.0] @ decoder[:, np.searchsorted(used, chosen)],
        }
        for name, score in scores.items():
            hits[name] += bool((score[0] > score[1:] + 1e-9).all())
    return Told(hits, victims, 1 / (fewest + 1))


def _learn(
    encoder: Encoder,
    windows: Sequence[Codes],
    vectors: Sequence[Vectors],
    teach: NDArray[np.int64],
    used: NDArray[np.int64],
) -> Floats:
    """Return a linear decoder from a vector to the words in its window: ridge regression."""
    known: list[Vectors] = []
    there: list[Vectors] = []
    most = max(1, _MOST_CELLS // max(1, len(used)))
    for person in teach.tolist():
        if len(known) >= most:
            break
        for window, vector in zip(windows[person], vectors[person][:_TEACHERS], strict=False):
            row = np.zeros(len(used), dtype=np.float32)
            row[np.searchsorted(used, window)] = 1.0
            known.append(np.r_[vector, np.float32(1.0)])
            there.append(row)
    if not known:
        return np.zeros((encoder.dims + 1, len(used)))
    inputs = np.stack(known).astype(np.float64)
    targets = np.stack(there).astype(np.float64)
    # each word in units of its own spread: a rare word is then not lost beside a common one
    targets = (targets - targets.mean(axis=0)) / (targets.std(axis=0) + 1e-3)
    gram = inputs.T @ inputs
    gram += _RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram))
    return np.asarray(np.linalg.solve(gram, inputs.T @ targets))


def _decoys(
    word: int, present: NDArray[np.int64], used: NDArray[np.int64], people_of: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the words whose number of users is nearest to that of a word, in a random order among equals."""
    others = used[~np.isin(used, present)]
    others = others[shuffle_people(len(others))]
    apart = np.abs(people_of[others] - people_of[word])
    return np.asarray(others[np.argsort(apart, kind="stable")[:DECOYS]])


def _draw(count: int) -> int:
    return int.from_bytes(random_bytes(8), "big") % count


__all__ = ["ATTACKERS", "DECOYS", "Told", "invert"]
