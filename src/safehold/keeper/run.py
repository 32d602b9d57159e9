"""Sandboxes that hold somebody's rows right now, so that an erasure can end them and wait until they are gone."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from safehold.errors import DeniedError, UnavailableError
from safehold.ids import PersonId
from safehold.keeper.crossing import Party
from safehold.keeper.ports import Job

PATIENCE_S = 30.0  # for a killed sandbox and its memory to be gone


class Run:
    """One sandbox from before its rows are opened until its memory is closed.

    Args:
        people: Whose rows it is given.
    """

    def __init__(self, people: Iterable[PersonId]) -> None:
        self.people = tuple(people)
        self.ended = False
        self._job: Job | Party | None = None
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.get_ident()

    def attach(self, job: Job | Party) -> None:
        """Let an erasure end this sandbox; one that came before ends it now."""
        with self._lock:
            self._job = job
            if self.ended:
                job.kill()

    def require_going(self) -> None:
        """Pass while nobody of the run was erased.

        Raises:
            DeniedError: Somebody was; nothing more is opened, and nothing comes out.
        """
        if self.ended:
            raise DeniedError(
                "somebody whose data was in this run was erased while it went on",
                rule="subjects.erased",
                fix="ask again: it goes on without them",
            )

    def end(self) -> None:
        """End the sandbox at once; what it has sent and not handed on is dropped."""
        with self._lock:
            self.ended = True
            if self._job is not None:
                self._job.kill()

    def wait(self) -> None:
        """Return once the sandbox and its memory are gone.

        Raises:
            UnavailableError: They are not in time.
        """
        if self._thread != threading.get_ident() and not self._over.wait(PATIENCE_S):
            raise UnavailableError(
                "a sandbox that holds rows of this person does not end",
                rule="subjects.running",
                fix="ask for the erasure again: it carries on where it was",
            )

    def over(self) -> None:
        """Say that nothing of it is left."""
        self._over.set()
