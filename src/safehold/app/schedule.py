"""Periodic work inside ``safehold serve``.

One thread, one task at a time; a task that fails is reported and tried again at its next turn, and never stops
the others. Part of the frame: later parts hang retention, milestones and drift checks on it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from safehold.clock import Clock
from safehold.errors import SafeholdError

_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class Task:
    """Something that is done again and again.

    Args:
        name: What it is called in ``safehold status``.
        every_us: Microseconds between two turns.
        run: The work.
    """

    name: str
    every_us: int
    run: Callable[[], None]
    due_us: int = 0
    last_us: int | None = None
    failures: int = field(default=0)


class Schedule:
    """Run tasks when they are due.

    Args:
        clock: Time.
        tasks: What to run; each is due at once.
    """

    def __init__(self, clock: Clock, tasks: list[Task]) -> None:
        self._clock = clock
        self._tasks = tasks
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def turn(self) -> list[str]:
        """Run what is due now, and return the names of what ran."""
        ran = []
        for task in self._tasks:
            if self._closing.is_set():
                break
            now = self._clock.now_us()
            # a turn further away than one period was set by a clock that has gone back since
            if now < task.due_us <= now + task.every_us:
                continue
            task.due_us = now + task.every_us
            try:
                task.run()
            except SafeholdError as error:
                task.failures += 1
                _LOG.warning("task %s failed: %s", task.name, error.code)
            except Exception as error:  # noqa: BLE001 - one task must not end the others
                task.failures += 1
                _LOG.error("task %s failed: %s", task.name, type(error).__name__)
            else:
                task.last_us = now
            ran.append(task.name)
        return ran

    def status(self) -> list[dict[str, int | str | None]]:
        """Return each task with its last success and number of failures."""
        return [
            {"task": task.name, "last_us": task.last_us, "failures": task.failures}
            for task in self._tasks
        ]

    def start(self) -> None:
        """Run turns in a thread until ``close``."""
        self._thread = threading.Thread(target=self._loop, daemon=True, name="schedule")
        self._thread.start()

    def close(self, *, patience_s: float | None = None) -> None:
        """Let the present task finish, and start no other.

        Args:
            patience_s: How long to wait for it at most; however long it takes without. Only what may be killed at any
                point is left behind.
        """
        self._closing.set()
        if self._thread is not None:
            self._thread.join(patience_s)

    def _loop(self) -> None:
        while not self._closing.wait(1.0):
            self.turn()
