"""From a table of scores to figures: rank-1, rank-10, equal error rate, and how sure they are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from safehold.assurance.reidentify.trail import Floats
from safehold.privacy.recognition import upper_bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """How well one attacker recognises people.

    Args:
        attacker: Its name.
        hits: People whose own profile scored best.
        among_ten: People whose own profile was among the best ten.
        people: People to be recognised, each against all of them.
        eer: Equal error rate over all pairs.
    """

    attacker: str
    hits: int
    among_ten: int
    people: int
    eer: float

    @property
    def rank1(self) -> float:
        """Share of people recognised."""
        return self.hits / max(self.people, 1)

    @property
    def upper(self) -> float:
        """Upper bound of the share at ``CONFIDENCE``, one-sided (Clopper and Pearson 1934)."""
        return upper_bound(self.hits, self.people)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, shares to four places."""
        return {
            "attacker": self.attacker,
            "rank1": round(self.rank1, 4),
            "rank1_error": round(standard_error(self.hits, self.people), 4),
            "rank1_upper": round(self.upper, 4),
            "rank10": round(self.among_ten / max(self.people, 1), 4),
            "eer": round(self.eer, 4),
        }


def standard_error(hits: int, people: int) -> float:
    """Return the standard error of a share, with one hit and one miss added so that it is never 0."""
    share = (hits + 1) / (people + 2)
    return math.sqrt(share * (1 - share) / (people + 2))


def judge_scores(attacker: str, scores: Floats) -> Figure:
    """Return the figures of a table of scores.

    A tie counts against the attacker only where nothing tells the two apart: half of the ties are given to it.

    Args:
        attacker: Its name.
        scores: Higher is likelier; row = probe, column = profile, the diagonal is the truth.
    """
    people = len(scores)
    own = np.diag(scores)[:, None]
    better = (scores > own).sum(axis=1)
    equal = (scores == own).sum(axis=1) - 1
    rank = better + (equal + 1) // 2
    return Figure(
        attacker=attacker,
        hits=int((rank == 0).sum()),
        among_ten=int((rank < 10).sum()),
        people=people,
        eer=equal_error(scores),
    )


def equal_error(scores: Floats) -> float:
    """Return the rate at which as many impostors pass as owners fail, one threshold for everybody."""
    own = np.sort(np.diag(scores))
    other = np.sort(scores[~np.eye(len(scores), dtype=bool)])
    fails = np.searchsorted(own, own, side="left") / max(len(own), 1)
    passes = 1.0 - np.searchsorted(other, own, side="left") / max(len(other), 1)
    place = int(np.argmin(np.abs(fails - passes)))
    return float((fails[place] + passes[place]) / 2)


def level_scores(scores: Floats) -> Floats:
    """Return scores with mean 0 and deviation 1 in every row, so that those of two attackers can be added."""
    deviation = scores.std(axis=1, keepdims=True)
    normal: Floats = (scores - scores.mean(axis=1, keepdims=True)) / np.where(
        deviation > 0, deviation, 1
    )
    return normal


def normal_columns(scores: Floats) -> Floats:
    """Take away from each profile how well it fits everybody: some profiles resemble all."""
    normal: Floats = scores - scores.mean(axis=0, keepdims=True)
    return normal
