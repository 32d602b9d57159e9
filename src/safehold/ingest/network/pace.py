"""How often one address may ask, and what a client waits before it asks again."""

from __future__ import annotations

import random
import threading
from collections import OrderedDict
from typing import Final

from safehold.clock import SECOND_US, Clock

MOST: Final = 20_000  # addresses remembered; the one seen longest ago goes first
FIRST_S: Final = 0.2
LONGEST_S: Final = 20.0


class Pace:
    """A bucket of tokens for each address.

    Args:
        clock: The time.
        a_minute: How often each may ask, also at once; 0 sets no limit.
    """

    def __init__(self, clock: Clock, *, a_minute: int) -> None:
        self._clock = clock
        self._a_minute = a_minute
        self._lock = threading.Lock()
        self._left: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def wait_s(self, address: str) -> int:
        """Count one request, and return 0 or, if it is one too many, in how many seconds there is room again."""
        if not self._a_minute:
            return 0
        now, rate = self._clock.now_us(), self._a_minute / (60 * SECOND_US)
        with self._lock:
            left, since = self._left.pop(address, (float(self._a_minute), now))
            left = min(float(self._a_minute), left + max(0, now - since) * rate)
            self._left[address] = (max(0.0, left - 1), now)
            while len(self._left) > MOST:
                self._left.popitem(last=False)
        return 0 if left >= 1 else 1 + int((1 - left) / rate / SECOND_US)


def wait_before(attempt: int, *, asked_s: float = 0.0) -> float:
    """Return seconds to wait before an attempt: longer each time, and never the same for all who wait.

    Args:
        attempt: How many have failed, from 1.
        asked_s: What the server asked for at least.
    """
    longest = min(LONGEST_S, FIRST_S * 2.0 ** min(attempt, 16))
    # which client waits how long decides nothing: no randomness that protects is needed
    return min(asked_s, LONGEST_S) + random.uniform(longest / 2, longest)  # noqa: S311
