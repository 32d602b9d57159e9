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
_MOST: Final = 11.0  # odds beyond exp(11) count as that: sums stay exact to less than a millionth
_ROUNDING: Final = 1e-13  # of the sum of all odds of a batch


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
    scores: Floats, pieces: Pieces, moves: Floats, *, expect: bool = False
) -> tuple[Floats, Floats, float]:
    """Return how likely each label is for each token, the expected moves, and the log of the sum.

    Args:
        scores: Tokens x labels.
        pieces: What is labelled together; tokens outside get zeros.
        moves: Labels x labels: score of a label after another.
        expect: Whether the expected moves are wanted; they are zeros otherwise.
    """
    labels = scores.shape[1]
    likely = np.zeros_like(scores)
    expected = np.zeros((labels, labels), np.float64)
    if not len(pieces.start):
        return likely, expected.astype(np.float32), 0.0
    steps = np.arange(int(pieces.size[0]))
    active = np.searchsorted(-pieces.size, -steps, side="left").tolist()
    edges = np.concatenate([[0], np.cumsum(active)]).tolist()
    # step by step: the first tokens of all pieces, then all second ones
    place = np.concatenate([pieces.start[:count] + step for step, count in enumerate(active)])
    local = scores[place]
    top = local.max(axis=1, keepdims=True)
    local -= top
    np.exp(local, out=local)
    factor, forward = np.exp(moves), np.empty_like(local)
    total = float(top.sum(dtype=np.float64))
    one = np.ones(labels, np.float32)
    ahead = np.empty(0, np.float32)
    for step, count in enumerate(active):
        here = slice(edges[step], edges[step + 1])
        value = forward[here]
        if step:
            np.matmul(ahead[:count], factor, out=value)
            value *= local[here]
        else:
            value[:] = local[here]
        scale = value @ one
        total += float(np.log(scale).sum(dtype=np.float64))
        value /= scale[:, None]
        ahead = value
    behind = np.ones((0, labels), np.float32)
    back = factor.T.copy()
    for step in range(len(active) - 1, -1, -1):
        count = active[step]
        here = slice(edges[step], edges[step + 1])
        if len(behind) < count:  # pieces that end here
            more = np.ones((count - len(behind), labels), np.float32)
            behind = np.concatenate([behind, more])
        weight = local[here] * behind
        value = forward[here]
        if step:
            if expect:
                before = forward[edges[step - 1] : edges[step - 1] + count]
                share = weight / (((before @ factor) * weight) @ one)[:, None]
                expected += (before.T @ share) * factor
            following = weight @ back
            following /= (following @ one)[:, None]
        else:
            following = behind
        value *= behind
        value /= (value @ one)[:, None]
        behind = following
    likely[place] = forward
    return likely, expected.astype(np.float32), total


class Odds:
    """Which pieces may hold anything but label 0; those that cannot are not read further.

    A piece is left out only where a bound proves it: the odds of every labelling against all zeros are
    at most the product over its other tokens of ``exp(score - score of 0)`` times what the moves into and
    out of that label can give (a move between two such labels is counted half at each end). If these
    odds sum to x, then no token is likelier than exp(x) - 1 to be anything but 0.

    Args:
        size: Number of tokens.
        moves: Labels x labels: score of a label after another.
    """

    def __init__(self, size: int, moves: Floats) -> None:
        gain = moves - moves[0, 0]
        into = np.maximum(gain[0, 1:], gain[1:, 1:].max(axis=0) / 2)
        out = np.maximum(gain[1:, 0], gain[1:, 1:].max(axis=1) / 2)
        # never less than nothing: at the end of a piece there is no move to lose by
        self._best = np.exp(np.maximum(into, 0) + np.maximum(out, 0)).astype(np.float32)
        self._sums = np.zeros(size + 1)

    def add(self, low: int, scores: Floats) -> None:
        """Take note of the scores of the tokens from ``low`` on; to be called in order."""
        ahead = scores[:, 1:] - scores[:, :1]
        np.minimum(ahead, _MOST, out=ahead)
        np.exp(ahead, out=ahead)
        here = self._sums[low + 1 : low + 1 + len(scores)]
        np.cumsum(ahead @ self._best, out=here)
        here += self._sums[low]

    def worth_reading(self, pieces: Pieces, *, least: float) -> Pieces:
        """Return the pieces in which a token may be something else than 0 with chance ``least``."""
        total = self._sums[pieces.start + pieces.size] - self._sums[pieces.start]
        keep = total >= np.log1p(least) - _ROUNDING * self._sums[-1]
        return Pieces(pieces.start[keep], pieces.size[keep])
