"""One line to another house: frames of a known kind and a known length, in a known order.

A frame is a kind (u8), a length (u32, big-endian) and as many bytes. Whoever reads says what must come, so a frame too
long, too short, out of turn or of another kind is refused before its body is read. The line is a socket; in use it is
one of TLS 1.3 with both ends proved (``link``).
"""

from __future__ import annotations

import socket
import struct
import time
from enum import IntEnum
from typing import Final

from safehold.errors import (
    DeniedError,
    InvalidError,
    TamperedError,
    UnavailableError,
)

LARGEST: Final = 1 << 22  # bytes of one frame
_HEAD: Final = struct.Struct(">BI")


class Kind(IntEnum):
    """What a frame holds."""

    HELLO = 1
    SESSION = 2
    SET = 3
    BACK = 4
    KEY = 5
    VALUES = 6
    TOTAL = 7
    RESULT = 8
    DONE = 9
    SHARE = 10
    PARTIAL = 11
    REFUSED = 12


# why a house ended a session; a closed list, so a reason carries nothing else
REASONS: Final = ("few", "terms", "failed")


class Line:
    """Sends and receives frames; counts them; gives up on a silent peer.

    Args:
        link: A connected socket, plain or TLS. It becomes the line's.
        idle_s: Longest wait for any piece of a frame.
        whole_s: Longest life of the line.
    """

    def __init__(self, link: socket.socket, *, idle_s: float, whole_s: float) -> None:
        self._link = link
        self._idle = idle_s
        self._end = time.monotonic() + whole_s
        self.sent = 0
        self.received = 0

    def send(self, kind: Kind, body: bytes) -> None:
        """Send one frame.

        Raises:
            UnavailableError: The peer has gone, or takes nothing.
        """
        if len(body) > LARGEST:
            raise InvalidError("a frame is too large", rule="join.frame")
        try:
            self._link.settimeout(self._patience())
            self._link.sendall(_HEAD.pack(kind, len(body)) + body)
        except OSError as error:
            raise _gone() from error
        self.sent += _HEAD.size + len(body)

    def receive(self, kind: Kind, *, size: int | None = None, most: int = LARGEST) -> bytes:
        """Return the body of the next frame.

        Args:
            kind: What it must be.
            size: How long it must be; None where it may be shorter than ``most``.
            most: The longest it may be.

        Raises:
            TamperedError: Another kind or another length came.
            DeniedError: The other house refused to go on.
            UnavailableError: The peer has gone, or is silent.
        """
        came, length = _HEAD.unpack(self._read(_HEAD.size))
        if came == Kind.REFUSED and length == 1:
            raise refused_by_peer(self._read(1)[0])
        if came != kind or length > min(most, LARGEST) or (size is not None and length != size):
            raise TamperedError(
                "the other house sent something else than its turn",
                rule="join.order",
                fix="nothing was released; both houses must run the same version",
            )
        return self._read(length)

    def refuse(self, reason: str) -> None:
        """Tell the peer that it ends here, in one of a closed list of words, if it still listens."""
        try:
            self.send(Kind.REFUSED, bytes((REASONS.index(reason),)))
        except UnavailableError:
            return

    def close(self) -> None:
        """Hang up."""
        self._link.close()

    def _read(self, size: int) -> bytes:
        body = bytearray()
        while len(body) < size:
            try:
                self._link.settimeout(self._patience())
                piece = self._link.recv(min(size - len(body), 1 << 18))
            except OSError as error:
                raise _gone() from error
            if not piece:
                raise _gone()
            body += piece
        self.received += size
        return bytes(body)

    def _patience(self) -> float:
        left = self._end - time.monotonic()
        if left <= 0:
            raise _gone()
        return min(self._idle, left)


def refused_by_peer(reason: int) -> DeniedError:
    """Return what a refusal of the other house means here."""
    match REASONS[reason] if reason < len(REASONS) else "failed":
        case "few":
            return too_few()
        case "terms":
            return DeniedError(
                "the other house asks for other terms",
                rule="join.terms",
                fix="state the same purpose, streams, epsilon and clamp on both sides",
            )
        case _:
            return DeniedError(
                "the other house gave up",
                rule="join.peer",
                fix="ask there why: its ledger holds the reason",
            )


def too_few() -> DeniedError:
    """Return the refusal of a join about too few people: it says no number."""
    return DeniedError(
        "too few people are in both houses, or so few that noise hides whether it is enough",
        rule="join.min_people",
        fix="wait until more people take part; what it cost is spent",
    )


def _gone() -> UnavailableError:
    return UnavailableError(
        "the other house went away or fell silent",
        rule="join.peer",
        fix="start again on both sides; what it cost is spent",
    )
