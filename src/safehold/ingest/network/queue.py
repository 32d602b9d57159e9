"""What a queue of envelopes is: names, limits, and what a consumer and a sender need of it.

``broker`` speaks NATS JetStream behind this; nothing else knows of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urlsplit

from safehold.errors import InvalidError, UnavailableError
from safehold.ledger.line import is_here

NAME: Final = re.compile(r"[a-z0-9]{1,32}")
TOKEN: Final = re.compile(r"[0-9a-f]{32}")
MESSAGE_ID: Final = (
    "Nats-Msg-Id"  # the name of the envelope: a hash of what is sealed anew each time
)
ANSWER_TO: Final = "Answer-To"  # a random word of the sender's, under which they listen


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a queue holds, and how often it hands something out.

    Args:
        bytes: Of the whole queue; a full one refuses, and drops nothing.
        message: Bytes of one message.
        age_s: How long a message waits; its lease is over by then.
        same_s: How long the same message is known again.
        pending: Messages that are handed out and not answered.
        wait_s: How long a consumer may be silent about one before another gets it.
        deliveries: How often a message is handed out at most.
    """

    bytes: int = 4 << 30
    message: int = 8 << 20
    age_s: int = 1_200
    same_s: int = 1_200
    pending: int = 512
    wait_s: float = 30.0
    deliveries: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a queue is, and by what we prove ourselves there.

    Args:
        url: ``tls://host:port``, or ``nats://127.0.0.1:port`` on this machine.
        name: Of the queue.
        authority: File of certificates that the server's must come from, PEM.
        certificate: Our own chain, PEM.
        key: Its key, PEM.
    """

    url: str
    name: str = "safehold"
    authority: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def __post_init__(self) -> None:
        """Refuse what would be heard by others, or would hold a secret."""
        try:
            parts = urlsplit(self.url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            host, port, parts = "", None, urlsplit("")
        if (
            parts.scheme not in ("nats", "tls") or not host or port is None
            or parts.path or parts.query or parts.fragment
        ):  # fmt: skip
            raise InvalidError("not the URL of a queue", rule="queue.url", fix="tls://host:4222")
        if "@" in parts.netloc:
            raise InvalidError(
                "a URL holds no password", rule="queue.url", fix="prove yourself by a certificate"
            )
        if parts.scheme == "nats" and not is_here(host):
            raise InvalidError(
                "without TLS a queue is reached on this machine alone",
                rule="queue.url",
                fix="use tls://",
            )
        if not NAME.fullmatch(self.name):
            raise InvalidError("a queue has a short name", rule="queue.name", fix="a-z and 0-9")
        if (self.certificate is None) != (self.key is None):
            raise InvalidError("a certificate and its key come together", rule="queue.tls")

    @property
    def stream(self) -> str:
        """The stream's name."""
        return self.name.upper()

    @property
    def subject(self) -> str:
        """The subject that envelopes are published on: one for all."""
        return f"{self.name}.in"

    def answers(self, token: str) -> str:
        """Return the subject that a sender is answered on.

        Raises:
            InvalidError: Not a random word: an answer must go nowhere else.
        """
        if not TOKEN.fullmatch(token):
            raise InvalidError("not a word to answer to", rule="queue.answer")
        return f"{self.name}.answer.{token}"


class FullError(UnavailableError):
    """The queue takes no more now."""


class Delivery(Protocol):
    """One message that is ours until we say what became of it."""

    data: bytes
    headers: Mapping[str, str]
    times: int  # that it was handed out, this one among them

    def done(self) -> None:
        """Take it out of the queue: it was answered for good."""
        ...

    def later(self, after_s: float) -> None:
        """Have it handed out again."""
        ...

    def working(self) -> None:
        """Say that we are still at it."""
        ...


class Queue(Protocol):
    """The consumer's end."""

    limits: Limits

    def pull(self, most: int, wait_s: float) -> Sequence[Delivery]:
        """Return what is there, or nothing after a while.

        Raises:
            UnavailableError: The queue is away.
        """
        ...

    def answer(self, token: str, data: bytes) -> None:
        """Tell a sender; whether they hear it is not known."""
        ...
