"""What waits before some servers: a small simulation, job by job, first come first served.

Holds: with constant arrivals and exponential times it agrees with Erlang's formula, with one server and any times with
Pollaczek and Khinchine's (tests). Job by job and not minute by minute, so a burst within a minute is seen.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from safehold.errors import InvalidError

Times = npt.NDArray[np.float64]
MOST_JOBS: Final = 4_000_000


@dataclass(frozen=True, slots=True)
class Waited:
    """What came of it.

    Args:
        begun: When each job began, seconds.
        ended: When it was done.
        came: When it came.
    """

    begun: Times
    ended: Times
    came: Times

    @property
    def waits(self) -> Times:
        """Seconds that each job waited."""
        return self.begun - self.came

    def quantile(self, share: float) -> float:
        """Return the wait that this share of jobs does not exceed, seconds."""
        return float(np.quantile(self.waits, share)) if len(self.waits) else 0.0

    def backlog(self, at: Times) -> Times:
        """Return how many jobs wait at some moments."""
        came, begun = np.sort(self.came), np.sort(self.begun)
        return (
            np.searchsorted(came, at, side="right") - np.searchsorted(begun, at, side="right")
        ).astype(np.float64)


def serve(came: Times, took: Times, servers: int) -> Waited:
    """Return when each of some jobs begins and ends before so many servers.

    Args:
        came: When each comes, seconds, in order.
        took: What each takes, seconds.
        servers: How many there are.

    Raises:
        InvalidError: There are no servers, or too many jobs to follow one by one.
    """
    if servers < 1 or len(came) != len(took) or len(came) > MOST_JOBS:
        raise InvalidError("a queue has servers, and not too many jobs", rule="capacity.queue")
    begun = np.empty_like(came)
    if servers == 1:
        free = -np.inf
        for at in range(len(came)):
            free = begun[at] = max(came[at], free)
            free += took[at]
        return Waited(begun, begun + took, came)
    heap = [-np.inf] * servers
    for at in range(len(came)):
        start = begun[at] = max(came[at], heap[0])
        heapq.heapreplace(heap, start + took[at])
    return Waited(begun, begun + took, came)


def arrivals(rates: Times, step_s: float, chance: np.random.Generator) -> Times:
    """Return moments at which jobs come, at random, so many a second in each step.

    Args:
        rates: Jobs a second in each step.
        step_s: Length of a step, seconds.
        chance: What draws them; a simulation, so it may be seeded.
    """
    counts = chance.poisson(rates * step_s)
    begin = np.repeat(np.arange(len(rates)) * step_s, counts)
    return np.sort(begin + chance.random(len(begin)) * step_s)


def times(mean: float, spread: float, count: int, chance: np.random.Generator) -> Times:
    """Return what so many jobs take: about a mean, with a coefficient of variation (gamma)."""
    if spread <= 0:
        return np.full(count, mean)
    shape = 1 / spread**2
    return chance.gamma(shape, mean / shape, count)
