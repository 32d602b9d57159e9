"""The drill of ``safehold serve``: a few attacks every night, all of them every week, in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Final

from safehold.app.embedded import keeper_environment
from safehold.clock import DAY_US, SECOND_US, Clock
from safehold.errors import UnavailableError
from safehold.keeper.desk import Desk
from safehold.keeper.drills import newest_results

FIRST_US: Final = 3600 * SECOND_US  # after a start: it has better things to do at once
NIGHT: Final = ("S01", "S02", "S03", "S04", "S05", "S12")
LAST: Final = "S25"  # a run that has it was a whole one
WEEK_US: Final = 7 * DAY_US - FIRST_US
HOW: Final = ("weekly", "nightly", "off")
PATIENCE_S: Final = 30.0


class Nightly:
    """Starts drills and ends them with the keeper.

    Args:
        desk: What the keeper works with.
        clock: Time.
        how: ``weekly``: a few each night and all each week. ``nightly``: never all. ``off``: none.
    """

    def __init__(self, desk: Desk, clock: Clock, *, how: str = "weekly") -> None:
        self._desk = desk
        self._clock = clock
        self._how = how
        self._running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start tonight's run and do not wait for it.

        Raises:
            UnavailableError: The run before could not be carried out.
        """
        if self._how == "off" or not self._desk.trust.digest():
            return
        before, self._running = self._running, None
        if before is not None and before.poll() is None:
            self._running = before
            return
        self._running = subprocess.Popen(
            [sys.executable, "-P", "-m", "safehold", "drill", *self._words()],
            env=keeper_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        # 1 is a run in which something came through: its leaves say so
        if before is not None and before.returncode not in (0, 1):
            raise UnavailableError("the drill before could not be run", rule="drill.nightly")

    def close(self) -> None:
        """End a run that is under way."""
        if self._running is None or self._running.poll() is not None:
            return
        os.killpg(self._running.pid, signal.SIGINT)
        try:
            self._running.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._running.kill()
            self._running.wait()

    def _words(self) -> list[str]:
        words = ["--home", str(self._desk.home.path), "--json", "--quick"]
        whole = newest_results(self._desk.ledger).get(LAST)
        oldest_ms = (self._clock.now_us() - WEEK_US) // 1000
        if self._how == "weekly" and (whole is None or whole.at_ms < oldest_ms):
            return words
        return [*words, "--only", ",".join(NIGHT), "--levels", ""]


__all__ = ["FIRST_US", "HOW", "Nightly"]
