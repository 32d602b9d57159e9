"""Who goes first: a person's choice before a use of their data.

Decisions about uses and choices exclude each other by one lock, which is not fair: with many runs under way somebody
who withdraws could wait behind all of them. So a decision lets every choice that waits go first.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Turn:
    """Choices that wait, and decisions that give way to them.

    Args:
        lock: What excludes decisions and choices from each other.
    """

    def __init__(self, lock: threading.RLock) -> None:
        self._lock = lock
        self._changed = threading.Condition()
        self._waiting = 0

    @contextmanager
    def first(self) -> Iterator[None]:
        """Hold the lock, before everything that waits for it in ``last``."""
        with self._changed:
            self._waiting += 1
        try:
            with self._lock:
                yield
        finally:
            with self._changed:
                self._waiting -= 1
                self._changed.notify_all()

    @contextmanager
    def last(self) -> Iterator[None]:
        """Hold the lock once no choice waits; what has it already when a choice comes is let finish."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: not self._someone_waits())
            with self._lock:
                if self._someone_waits():  # it came while we waited for the lock
                    continue
                yield
                return

    def _someone_waits(self) -> bool:
        return self._waiting > 0
