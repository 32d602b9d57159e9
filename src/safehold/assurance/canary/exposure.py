"""How much of a canary a model gives away: its rank among sequences that were drawn like it.

Source: Carlini et al. 2019, The Secret Sharer, section 4: exposure = log2 |candidates| - log2 rank. With the canary
itself counted among the candidates, one of which nothing is remembered has an even rank, and exceeds b bits with a
chance of 2^-b.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from safehold.enclave.model import Floats
from safehold.errors import InvalidError


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """What a search came to.

    Args:
        planted: Canaries.
        candidates: Sequences they were ranked among.
        exposed: Canaries that are likelier than every candidate.
        deepest: Largest exposure, thousandths of a bit.
        mean: Mean exposure, thousandths of a bit.
    """

    planted: int
    candidates: int
    exposed: int
    deepest: int
    mean: int


def expose(planted: Floats, candidates: Floats) -> Exposure:
    """Return how well a model tells canaries from candidates.

    Args:
        planted: How likely the model finds each canary.
        candidates: How likely it finds each candidate.

    Raises:
        InvalidError: There is nothing to rank.
    """
    if not len(planted) or not len(candidates):
        raise InvalidError("there is nothing to rank", rule="canary.none")
    order = np.sort(candidates)
    above = len(order) - np.searchsorted(order, planted, side="left")  # a tie counts against it
    bits = np.log2(len(order) + 1) - np.log2(above + 1)
    return Exposure(
        planted=len(planted),
        candidates=len(order),
        exposed=int((above == 0).sum()),
        deepest=round(float(bits.max()) * 1_000),
        mean=round(float(bits.mean()) * 1_000),
    )
