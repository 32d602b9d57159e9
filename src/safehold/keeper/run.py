"""Sandboxes that hold somebody's rows right now, so that an erasure or a containment can end them and see them gone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from safehold.errors import DeniedError, UnavailableError
from safehold.ids import PersonId
from safehold.keeper.contained import Thing
from safehold.keeper.ports import Ending

PATIENCE_S = 30.0  # for a killed sandbox and its memory to be gone


class Run:
    """One sandbox from before its rows are opened until its memory is closed.

    Args:
        people: Whose rows it is given.
        touched: What it touches that could be contained.
    """

    def __init__(self, people: Iterable[PersonId], touched: frozenset[Thing] = frozenset()) -> None:
        self.people = tuple(people)
        self.touched = touched
        self.ended = False
        self._why: Callable[[], DeniedError] | None = None
        self._job: Ending | None = None
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.get_ident()

    def attach(self, job: Ending) -> None:
        """Let an erasure or a containment end this sandbox; one that came before ends it now."""
        with self._lock:
            self._job = job
            if self.ended:
                job.kill()

    def require_going(self) -> None:
        """Pass while nobody of the run was erased, and nothing of it was contained.

        Raises:
            DeniedError: Somebody or something was; nothing more is opened, and nothing comes out.
        """
        if self.ended and self._why is not None:
            raise self._why()
        if self.ended:
            raise DeniedError(
                "somebody whose data was in this run was erased while it went on",
                rule="subjects.erased",
                fix="ask again: it goes on without them",
            )

    def end(self, why: Callable[[], DeniedError] | None = None) -> None:
        """End the sandbox at once; what it has sent and not handed on is dropped.

        Args:
            why: Returns what whoever asked for the run is told; without it somebody was erased.
        """
        with self._lock:
            self.ended = True
            self._why = self._why or why
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

    def gone(self, within_s: float) -> bool:
        """Return whether nothing of it is left, or will be within some seconds."""
        return self._thread == threading.get_ident() or self._over.wait(within_s)

    def over(self) -> None:
        """Say that nothing of it is left."""
        self._over.set()
