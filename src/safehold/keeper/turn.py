"""Who goes first: a person's choice before a use of their data.

Decisions about uses and choices exclude each other by one lock, which is not fair: with many runs under way somebody
who withdraws could wait behind all of them. So a decision lets every choice that waits go first.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Turn:
    """Choices that wait, and decisions that give way to them."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._waiting = 0

    @contextmanager
    def first(self) -> Iterator[None]:
        """Go before every decision that has not begun; to be entered before the lock is waited for."""
        with self._lock:
            self._waiting += 1
        try:
            yield
        finally:
            with self._lock:
                self._waiting -= 1
                self._lock.notify_all()

    def give_way(self) -> None:
        """Return when no choice waits."""
        with self._lock:
            while self._waiting:
                self._lock.wait()
