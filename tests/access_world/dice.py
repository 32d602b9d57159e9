"""Chance that is the same for the same seed: one stream of draws for each label."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import TypeVar

Thing = TypeVar("Thing")


class Dice(random.Random):
    """Draws for one label: what is drawn for another label never shifts these."""

    @classmethod
    def of(cls, seed: int, *labels: object) -> Dice:
        return cls("/".join(str(part) for part in (seed, *labels)))

    def poisson(self, mean: float) -> int:
        """By waiting times: fine for the small means used here."""
        if mean > 60:
            return max(0, round(self.gauss(mean, math.sqrt(mean))))
        count, left = 0, self.expovariate(1.0)
        while left < mean:
            count += 1
            left += self.expovariate(1.0)
        return count

    def happens(self, chance: float) -> bool:
        return self.random() < chance

    def weighted(self, weights: Mapping[Thing, float]) -> Thing:
        return self.choices(list(weights), list(weights.values()))[0]

    def zipf(self, things: Sequence[Thing], steep: float = 1.1) -> Thing:
        """The first of a list is used most, the last rarely."""
        return self.choices(things, [1.0 / (place + 1) ** steep for place in range(len(things))])[0]

    def size(self, mu: float, sigma: float = 0.9) -> float:
        """Log-normal, with a Pareto tail for one in thirty: real sizes have no largest one."""
        value = self.lognormvariate(mu, sigma)
        return value * self.paretovariate(1.3) * 2.0 if self.happens(0.033) else value
