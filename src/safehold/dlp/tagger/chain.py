"""A linear chain over labels, many pieces of text at once.

A linear-chain conditional random field: Lafferty, McCallum and Pereira, ICML 2001. Sums run forwards and
backwards in the probability domain, scaled at each step, so that nothing overflows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
LONGEST: Final = 64  # tokens of a piece


@dataclass(frozen=True, slots=True)
class Pieces:
    """Stretches of tokens that are labelled together, longest first.

    Args:
        start: First token of each.
        size: Number of tokens, at most ``LONGEST``.
    """

    start: Ints
    size: Ints


def cut_pieces(row: Ints) -> Pieces:
    """Return the pieces of rows.

    Args:
        row: Row of each token; negative for tokens that are not labelled.
    """
    change = np.ones(len(row) + 1, bool)
    change[1:-1] = row[1:] != row[:-1]
    edge = np.flatnonzero(change)
    first, last = edge[:-1], edge[1:]
    real = row[first] >= 0 if len(first) else np.zeros(0, bool)
    first, last = first[real], last[real]
    parts = -(-(last - first) // LONGEST)
    begin = np.repeat(first, parts)
    step = np.arange(int(parts.sum())) - np.repeat(np.cumsum(parts) - parts, parts)
    start = begin + step * LONGEST
    size = np.minimum(np.repeat(last, parts) - start, LONGEST)
    order = np.argsort(-size, kind="stable")
    return Pieces(start[order], size[order])


def marginals(
    scores: Floats, pieces: Pieces, moves: Floats, *, first: Floats | None = None
) -> tuple[Floats, Floats, float]:
    """Return how likely each label is for each token, the expected moves, and the log of the sum.

    Args:
        scores: Tokens x labels.
        pieces: What is labelled together.
        moves: Labels x labels: score of a label after another.
        first: Score of each label at the beginning of a piece.
    """
    labels = scores.shape[1]
    likely = np.zeros_like(scores)
    if not len(pieces.start):
        return likely, np.zeros((labels, labels), np.float32), 0.0
    top = scores.max(axis=1, keepdims=True)
    local = np.exp(scores - top)
    factor = np.exp(moves)
    begin = np.ones(labels, np.float32) if first is None else np.exp(first)
    steps = int(pieces.size[0])
    active = [int(np.searchsorted(-pieces.size, -step, side="left")) for step in range(steps)]
    forward, total = [], float(top[:, 0].sum(dtype=np.float64))
    ahead = begin
    for step, count in enumerate(active):
        here = pieces.start[:count] + step
        value = local[here] * (ahead if step == 0 else forward[-1][:count] @ factor)
        scale = value.sum(axis=1, keepdims=True)
        total += float(np.log(scale).sum(dtype=np.float64))
        forward.append(value / scale)
    expected = np.zeros((labels, labels), np.float64)
    behind = np.ones((active[-1], labels), np.float32)
    for step in range(steps - 1, -1, -1):
        count = active[step]
        here = pieces.start[:count] + step
        if len(behind) < count:  # pieces that end here
            behind = np.concatenate(
                [behind, np.ones((count - len(behind), labels), np.float32)]
            )
        value = forward[step] * behind
        value /= value.sum(axis=1, keepdims=True)
        likely[here] = value
        weight = local[here] * behind
        if step:
            before = forward[step - 1][:count]
            norm = ((before @ factor) * weight).sum(axis=1, keepdims=True)
            weight /= norm
            expected += (before.T @ weight) * factor
            behind = weight @ factor.T
            behind /= behind.sum(axis=1, keepdims=True)
    return likely, expected.astype(np.float32), total
