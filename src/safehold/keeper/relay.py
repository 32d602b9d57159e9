"""A keeper that stands by hands what it is asked to the one that leads, and hands the answer back.

It decides nothing and keeps nothing: message, descriptors and answer pass through. What was certainly not begun may
be asked again; of what was begun and never answered nobody may say that it was not carried out.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from safehold.errors import TamperedError, UnavailableError, WentAwayError, revive
from safehold.keeper import wire
from safehold.keeper.server import Report

RELAYED: Final = (
    "relayed:"  # before a verb that one keeper hands to another, which answers itself or not at all
)
ALIVE: Final = RELAYED + "alive"  # each keeper answers it for itself, as it does
PROBE_S: Final = (
    5.0  # how often a keeper that is slow to answer is asked whether it is there at all
)
_UCRED: Final = struct.Struct("3i")


class NotBegunError(UnavailableError):
    """The other keeper did not take the request; it may be asked again."""


def relay(
    path: Path,
    verb: str,
    arguments: Mapping[str, Any],
    descriptors: Sequence[int],
    report: Report,
    *,
    probe_s: float = PROBE_S,
) -> dict[str, Any]:
    """Ask another keeper and return its answer.

    Args:
        path: Its socket.
        verb: What to do.
        arguments: The verb's arguments.
        descriptors: Open files to hand over.
        report: Told how far the work is.
        probe_s: How long it may be silent before it has to show that it is alive, seconds.

    Raises:
        NotBegunError: It is not there, or does not lead.
        WentAwayError: It went away, or no longer answers anybody, before it answered this.
        SafeholdError: Whatever it refused, as it refused it.
    """
    try:
        fresh = _dial(path, probe_s)
    except TimeoutError as error:
        raise NotBegunError("the leading keeper takes nothing", rule="keeper.relay") from error
    with fresh as link:
        try:
            wire.send(
                link, {"verb": RELAYED + verb, "arguments": dict(arguments)}, list(descriptors)
            )
        except OSError as error:
            raise NotBegunError("the leading keeper went away", rule="keeper.relay") from error
        while True:
            while not select.select([link], [], [], probe_s)[0]:
                # one whose door is shut ends what it is at; if it has ended, so has this connection
                with suppress(NotBegunError):
                    _probe(path, patience_s=probe_s)
            message = _receive(link)
            if "progress" in message:
                report(message["progress"])
            elif "error" in message:
                refused = revive(message["error"])
                if refused.rule == "keeper.stands-by":
                    raise NotBegunError(refused.message, rule=refused.rule)
                raise refused
            else:
                answer: dict[str, Any] = message["answer"]
                return answer


def _receive(link: socket.socket) -> dict[str, Any]:
    try:
        return wire.receive_answer(link)
    except OSError as error:
        raise WentAwayError(
            "the leading keeper went away before it answered: whether it was carried out is not known",
            rule="keeper.relay",
            fix="see what is there (safehold ledger tail), then ask again",
        ) from error


def _probe(path: Path, *, patience_s: float) -> None:
    """Pass if a keeper still answers something; a process that was halted still has an open door."""
    deadline = time.monotonic() + patience_s
    with suppress(OSError), _dial(path, patience_s) as link:
        link.settimeout(patience_s)
        wire.send(link, {"verb": ALIVE, "arguments": {}})
        wire.receive_answer(link)
        if time.monotonic() <= deadline:
            return
    raise WentAwayError(
        "the leading keeper does not answer: whether it was carried out is not known",
        rule="keeper.relay",
        fix="end that process; the keeper that stands by takes over at once",
    )


def _dial(path: Path, patience_s: float) -> socket.socket:
    try:
        link = wire.dial(path, patience_s=patience_s)
    except TimeoutError:
        raise  # somebody listens, and takes nothing
    except OSError as error:
        raise NotBegunError("the leading keeper is not there", rule="keeper.relay") from error
    raw = link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    if _UCRED.unpack(raw)[1] != os.getuid():
        link.close()
        raise TamperedError("somebody else sits behind a keeper's socket", rule="keeper.relay")
    return link
