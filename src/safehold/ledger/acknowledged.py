"""How often the calling thread had something recorded: who fails after that must not say that nothing was done."""

from __future__ import annotations

import threading


class _Count(threading.local):
    done = 0


_COUNT = _Count()


def acknowledged() -> int:
    """Return how many appends were acknowledged to this thread since it began."""
    return _COUNT.done


def acknowledge() -> None:
    """Count one more."""
    _COUNT.done += 1
