"""Speak to the keeper."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from safehold.errors import SafeholdError, UnavailableError, WentAwayError, revive
from safehold.keeper import wire

LEADS: Final = "relayed:leads"  # each keeper answers it for itself; see ``keeper.relay``
PATIENCE_S: Final = 1.0  # for a keeper to say whether it leads
Progress = Callable[[dict[str, Any]], None]
Prove = Callable[[str, dict[str, Any]], dict[str, Any]]


class KeeperClient:
    """One caller's line to the keepers of a home; every call opens its own connection.

    Args:
        path: The keeper's socket.
        others: Those of keepers that stand by; the first that lets a caller in is asked.
        prove: Returns what proves that one call, its verb and arguments, is ours; nobody does without it.
    """

    def __init__(self, path: Path, *others: Path, prove: Prove | None = None) -> None:
        self._paths = (path, *others)
        self._prove = prove

    def proving(self, prove: Callable[[KeeperClient], Prove]) -> KeeperClient:
        """Return a line whose calls are proved; what proves them may ask for nonces on this one."""
        return KeeperClient(*self._paths, prove=prove(self))

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
            WentAwayError: One was asked and did not answer in full: whether it carried it out is not known.
        """
        if self._prove is not None:
            arguments["caller"] = self._prove(verb, arguments)
        with self._connect() as link:
            with _going_away():
                wire.send(link, {"verb": verb, "arguments": arguments}, descriptors)
            while True:
                with _going_away():
                    message = wire.receive_answer(link)
                if "progress" in message:
                    if progress is not None:
                        progress(message["progress"])
                elif "error" in message:
                    raise revive(message["error"])
                else:
                    answer: dict[str, Any] = message["answer"]
                    return answer

    def _connect(self) -> AbstractContextManager[socket.socket]:
        return self._open()

    def _open(self) -> socket.socket:
        failed: OSError | None = None
        for path in self._paths:
            try:
                return wire.dial(path)
            except OSError as error:
                failed = error
        raise UnavailableError(
            "no keeper answers", rule="keeper.reachable", fix="safehold serve"
        ) from failed

    def leads(self) -> bool:
        """Tell whether one of these keepers leads now; one that nobody stands by for does."""
        for path in self._paths:
            with suppress(OSError), wire.dial(path, patience_s=PATIENCE_S) as link:
                if leads(link):
                    return True
        return False


@contextmanager
def _going_away() -> Iterator[None]:
    """Say in our own words that the keeper ended while it was asked, however its socket says it."""
    try:
        yield
    except OSError as error:
        raise WentAwayError(
            "the keeper went away before it answered: whether it was carried out is not known",
            rule="keeper.reachable",
            fix="see what is there (safehold ledger tail), then ask again",
        ) from error


def leads(link: socket.socket) -> bool:
    """Tell whether the keeper behind a fresh connection leads; one that nobody stands by for knows no such word.

    One that does not answer in time is not waited for, and the connection is closed: its answer would be taken for
    that to whatever is asked on it next.
    """
    link.settimeout(PATIENCE_S)
    try:
        wire.send(link, {"verb": LEADS, "arguments": {}})
        message = wire.receive_answer(link)
    except (OSError, SafeholdError):
        link.close()
        return False
    link.settimeout(None)
    match message:
        case {"answer": {"leads": bool(leads)}}:
            return leads
        case _:
            return True
