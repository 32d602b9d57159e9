"""How often one caller may ask: a token bucket each, of a bounded number of callers."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final

from safehold.clock import SECOND_US, Clock
from safehold.errors import SafeholdError

MOST: Final = 20_000  # callers remembered; the one seen longest ago goes first


class TooManyError(SafeholdError):
    """Somebody asks too often."""

    code = "too_many"
    exit_code = 6
    status = 429


class Rates:
    """Token buckets.

    Args:
        clock: Tells the time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._left: OrderedDict[tuple[str, str], tuple[float, int]] = OrderedDict()

    def take(self, what: str, who: str, *, a_minute: int) -> None:
        """Count one request of somebody.

        Args:
            what: Which limit it counts against.
            who: Of whom: a session, or an address.
            a_minute: How many there may be, also at once.

        Raises:
            TooManyError: They have asked too often.
        """
        now = self._clock.now_us()
        with self._lock:
            left, since = self._left.pop((what, who), (float(a_minute), now))
            left = min(float(a_minute), left + (now - since) * a_minute / (60 * SECOND_US))
            self._left[(what, who)] = (max(0.0, left - 1), now)
            while len(self._left) > MOST:
                self._left.popitem(last=False)
        if left < 1:
            raise TooManyError("too many requests", rule=f"portal.rate.{what}", fix="wait a minute")
