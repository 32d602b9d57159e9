"""What the keeper needs of a session between houses: a process that holds one side of it, given by what is above."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol


class Party(Protocol):
    """The process of this house in one session."""

    def kill(self) -> None:
        """End it at once."""
        ...

    def wait(self) -> dict[str, Any]:
        """Return its figures.

        Raises:
            SafeholdError: It ended otherwise.
        """
        ...


class Crossing(Protocol):
    """Starts such a process."""

    def start(
        self, order: Mapping[str, Any], listener: int | None
    ) -> AbstractContextManager[Party]:
        """Start it with an order that is its own memory alone; leaving the context kills what still runs.

        Args:
            order: As ``federation.party`` reads it.
            listener: Descriptor of a listening socket, which stays the caller's.

        Raises:
            UnavailableError: What it needs is not installed.
        """
        ...
