"""How a run clips and steps; nothing here costs privacy except what ``Adaptive`` says it does."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from safehold.errors import InvalidError


@dataclass(frozen=True, slots=True, kw_only=True)
class Adaptive:
    """Let the bound follow a quantile of the norms (Andrew et al. 2021, arXiv 1905.03871).

    Each round releases, with noise of its own, how many people were within the bound. The two
    releases of a round together cost what the plan says: the sum gets a little more noise.

    Args:
        quantile: Share of people whose gradient should be within the bound.
        rate: How fast the bound moves, per round, in the logarithm.
        deviation: Standard deviation of the noise on the count. Each person moves it by one: whoever is beyond
            the bound, and is replaced by nothing, is within it then.
    """

    quantile: float = 0.5
    rate: float = 0.2
    deviation: float = 20.0

    def multiplier(self, whole: float) -> float:
        """Return the multiplier of the sum, so that sum and count together cost ``whole``.

        Theorem 1 of the paper, where people are replaced by nothing and keep their seat, so that the count moves
        by one and not by the paper's half: ``whole^-2 = sum^-2 + deviation^-2``.

        Raises:
            InvalidError: The count alone would cost more than the whole.
        """
        left = whole**-2 - self.deviation**-2
        if not (0 < self.quantile < 1 and self.rate > 0 and self.deviation > 0 and left > 0):
            raise InvalidError(
                "the count of people within the bound leaves nothing for the sum",
                rule="privacy.account",
                fix="give the count more noise",
            )
        return 1 / math.sqrt(left)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """How one person's gradient is bounded.

    Args:
        bound: Largest L2 norm of one person's gradient (the first one, when it adapts).
        adaptive: Let the bound follow the norms.
        per_layer: Give every parameter array its own share of the bound, all equal in square.
    """

    bound: float
    adaptive: Adaptive | None = None
    per_layer: bool = False

    def shares(self, names: list[str], bound: float) -> dict[str, float]:
        """Return the bounds a learner keeps; their squares add up to that of the whole bound."""
        if not self.per_layer:
            return {"": bound}
        return dict.fromkeys(names, bound / math.sqrt(len(names)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """What is done with the noisy mean of a round; it costs nothing, whatever it is.

    Args:
        rate: Step size.
        method: ``momentum`` (heavy ball) or ``adam`` (Kingma and Ba 2015).
        momentum: Of either method.
        average: Share of the rounds, the last ones, whose iterates are averaged; 0 takes the last.
        ema: Decay of an exponential moving average of the iterates; it replaces ``average``.
    """

    rate: float
    method: Literal["momentum", "adam"] = "momentum"
    momentum: float = 0.9
    average: float = 0.5
    ema: float | None = None
