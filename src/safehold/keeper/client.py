"""Speak to the keeper."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safehold.errors import UnavailableError, revive
from safehold.keeper import wire

Progress = Callable[[dict[str, Any]], None]


@contextmanager
def _reachable() -> Iterator[None]:
    """Say of a connection that breaks that the keeper went away."""
    try:
        yield
    except (OSError, UnavailableError) as error:
        raise _gone() from error


def _gone() -> UnavailableError:
    return UnavailableError("the keeper went away", rule="keeper.reachable", fix="safehold doctor")


class KeeperClient:
    """One caller's line to the keeper; every call opens its own connection.

    Args:
        path: The keeper's socket.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def call(
        self,
        verb: str,
        *,
        descriptors: Sequence[int] = (),
        progress: Progress | None = None,
        **arguments: Any,
    ) -> dict[str, Any]:
        """Ask for one thing and wait for the answer.

        Args:
            verb: What to do.
            descriptors: Open files to hand over.
            progress: Told how far the work is, many times.
            **arguments: The verb's arguments.

        Returns:
            The answer.

        Raises:
            SafeholdError: Whatever the keeper refused, as it refused it.
            UnavailableError: No keeper answers.
        """
        with self._connect() as link:
            with _reachable():
                wire.send(link, {"verb": verb, "arguments": arguments}, descriptors)
            while True:
                with _reachable():
                    received = wire.receive(link)
                if received is None:
                    raise _gone()
                message, strangers = received
                wire.close_all(strangers)
                if "progress" in message:
                    if progress is not None:
                        progress(message["progress"])
                elif "error" in message:
                    raise revive(message["error"])
                else:
                    answer: dict[str, Any] = message["answer"]
                    return answer

    def _connect(self) -> socket.socket:
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with wire.address(self._path) as address:
                link.connect(address)
        except OSError as error:
            link.close()
            raise UnavailableError(
                "no keeper answers", rule="keeper.reachable", fix="safehold serve"
            ) from error
        return link
