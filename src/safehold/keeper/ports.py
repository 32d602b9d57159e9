"""What the keeper needs from packages above it, given to it by the composition root."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Frame:
    """One message out of a sandbox.

    Args:
        header: JSON object with a ``type``.
        body: Raw bytes.
    """

    header: dict[str, Any]
    body: memoryview


class Job(Protocol):
    """A running sandbox."""

    level: str

    def frames(self) -> Iterator[Frame]:
        """Return what it sends, until it ends; a failure inside is raised here."""
        ...

    def kill(self) -> None:
        """End it at once."""
        ...


class Workshop(Protocol):
    """Start recipes in sandboxes."""

    def start(
        self, recipe: str, spec: Mapping[str, Any], inputs: Sequence[int], *, least: str
    ) -> AbstractContextManager[Job]:
        """Start a recipe; leaving the context kills what still runs.

        Raises:
            UnavailableError: This machine reaches no level of at least ``least``.
        """
        ...

    def pack(self, parts: Iterable[tuple[Mapping[str, Any], pa.Table]]) -> int:
        """Return a sealed, read-only memory file that holds tables for a recipe."""
        ...


class Gate(Protocol):
    """Judge what a recipe sends out."""

    def pass_(self, recipe: str, frame: Frame) -> Frame:
        """Return the frame if it may leave.

        Raises:
            DeniedError: It may not.
        """
        ...
