"""The line to the keeper: a lost one says how to go on, and a broken progress display breaks nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, Final

from safehold.errors import UnavailableError
from safehold.keeper.client import KeeperClient, Progress

LOST: Final = "keeper.reachable"
FIX: Final = (
    "session.reconnect(), then request.open() again; nothing was released without its ledger entry"
)


class Line(KeeperClient):
    """One session's line; any thread may use it, every call has a connection of its own."""

    def call(
        self,
        verb: str,
        *,
        descriptors: Sequence[int] = (),
        progress: Progress | None = None,
        **arguments: Any,
    ) -> dict[str, Any]:
        """Ask for one thing and wait for the answer.

        Raises:
            SafeholdError: Whatever the keeper refused, as it refused it.
            UnavailableError: The keeper is not there or went away; its rule is ``keeper.reachable``.
        """
        try:
            return super().call(
                verb,
                descriptors=descriptors,
                progress=None if progress is None else careful(progress),
                **arguments,
            )
        except UnavailableError as error:
            if error.rule != LOST:
                raise
            raise type(error)(error.message, rule=LOST, fix=FIX) from None

    def __repr__(self) -> str:
        return "Line(...)"


def careful(progress: Progress) -> Progress:
    """Return a progress callback whose faults end nothing: a drawing must not cost a run."""

    def told(message: dict[str, Any]) -> None:
        with contextlib.suppress(Exception):
            progress(message)

    return told
