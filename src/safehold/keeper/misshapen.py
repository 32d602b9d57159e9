"""Requests of a shape that no verb takes: one is a slip of somebody's, very many are somebody trying the door.

What is refused for who asks is a leaf each. What is refused for how it is asked is none, or whoever can speak to the
socket could fill the ledger; but then whoever watches the ledger would be blind to it. So many of one caller within a
while are one leaf: how many, and of which verbs, never what was in them.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from safehold.clock import SECOND_US

MANY: Final = 20  # of one caller make a leaf
WHILE_US: Final = 600 * SECOND_US  # within which they count together
EACH_US: Final = (
    20 * SECOND_US
)  # at most one leaf of one caller within this; so few hundred are a burst to the sentinel
CALLERS: Final = (
    1000  # that are counted apart; of more than that the one who was quiet longest is forgotten
)
VERBS: Final = 20  # that a leaf names, the most frequent ones
RULE: Final = "shape.many"


@dataclass(slots=True)
class _Seen:
    first_us: int
    told_us: int = -EACH_US
    verbs: Counter[str] = field(default_factory=Counter)


class Misshapen:
    """Counts them. Nothing of it outlasts the process."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}
        self._lock = threading.Lock()

    def count(self, caller: str, verb: str, *, now_us: int) -> dict[str, int] | None:
        """Count one, and return by verb how many there were once a leaf is due.

        Args:
            caller: Who asked, as the keeper knows them.
            verb: What they asked for.
            now_us: The time, microseconds.
        """
        with self._lock:
            seen = self._seen.pop(caller, None)
            if seen is None or not 0 <= now_us - seen.first_us < WHILE_US:
                told_us = -EACH_US if seen is None else seen.told_us
                seen = _Seen(first_us=now_us, told_us=told_us)
            self._seen[caller] = seen  # the newest last
            if len(self._seen) > CALLERS:
                del self._seen[next(iter(self._seen))]
            seen.verbs[verb] += 1
            if seen.verbs.total() < MANY or 0 <= now_us - seen.told_us < EACH_US:
                return None
            told = dict(seen.verbs.most_common(VERBS))
            self._seen[caller] = _Seen(first_us=now_us, told_us=now_us)
            return told


__all__ = ["MANY", "RULE", "Misshapen"]
