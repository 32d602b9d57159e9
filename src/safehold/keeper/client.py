"""Speak to the keeper."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from safehold.errors import UnavailableError, revive
from safehold.keeper import wire

Progress = Callable[[dict[str, Any]], None]
Prove = Callable[[str, dict[str, Any]], dict[str, Any]]


class KeeperClient:
    """One caller's line to the keeper; every call opens its own connection.

    Args:
        path: The keeper's socket.
        prove: Returns what proves that one call, its verb and arguments, is ours; nobody does without it.
    """

    def __init__(self, path: Path, *, prove: Prove | None = None) -> None:
        self._path = path
        self._prove = prove

    def proving(self, prove: Callable[[KeeperClient], Prove]) -> KeeperClient:
        """Return a line whose calls are proved; what proves them may ask for nonces on this one."""
        return KeeperClient(self._path, prove=prove(self))

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
        if self._prove is not None:
            arguments["caller"] = self._prove(verb, arguments)
        with self._connect() as link:
            wire.send(link, {"verb": verb, "arguments": arguments}, descriptors)
            while True:
                received = wire.receive(link)
                if received is None:
                    raise UnavailableError(
                        "the keeper went away", rule="keeper.reachable", fix="safehold doctor"
                    )
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
