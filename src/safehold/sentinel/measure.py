"""The few statistics that everything is judged by; each is one step for one event."""

from __future__ import annotations

from math import log, log10, sqrt
from typing import Final

LEAST: Final = 1e-9


class Running:
    """A mean and a variance that follow what is measured, newer values counting more.

    Args:
        alpha: Weight of a new value once there are many.
    """

    __slots__ = ("count", "mean", "spread")

    def __init__(self, count: int = 0, mean: float = 0.0, spread: float = 0.0) -> None:
        self.count = count
        self.mean = mean
        self.spread = spread

    def learn(self, value: float, alpha: float = 0.06) -> None:
        """Take in a value."""
        self.count += 1
        step = max(alpha, 1.0 / self.count)
        away = value - self.mean
        self.mean += step * away
        self.spread = (1.0 - step) * (self.spread + step * away * away)

    def far(
        self, value: float, floor: float, prior: Running | None = None, pull: float = 4.0
    ) -> float:
        """Return how many standard deviations a value lies above the mean.

        Args:
            value: The value.
            floor: Least standard deviation.
            prior: What is usual among others, for whoever has little of their own.
            pull: How many own values the prior counts as.
        """
        mean, spread = self.mean, self.spread
        if prior is not None and prior.count:
            own = self.count / (self.count + pull)
            apart = self.mean - prior.mean if self.count else 0.0
            mean = own * self.mean + (1.0 - own) * prior.mean
            spread = own * self.spread + (1.0 - own) * (prior.spread + own * apart * apart)
        elif not self.count:
            return 0.0
        return (value - mean) / sqrt(spread + floor * floor)

    def to_json(self) -> list[float]:
        """Return it as JSON."""
        return [self.count, self.mean, self.spread]

    @classmethod
    def from_json(cls, tree: list[float]) -> Running:
        """Return what ``to_json`` wrote."""
        return cls(int(tree[0]), tree[1], tree[2])


def rarity(chance: float) -> float:
    """Return how rare something of a chance is: 3 means one in a thousand."""
    return -log10(chance) if chance > LEAST else 9.0


def too_many(count: float, usual: float) -> float:
    """Return how rare so many are where some are usual (Chernoff's bound on a Poisson tail), as ``rarity`` does."""
    if count <= usual:
        return 0.0
    return (count * log(count / usual) - count + usual) / 2.302585092994046
