"""What the portals of a home remember of requests, so that one that is sent again has one effect, wherever it is sent.

Holds (draft-ietf-httpapi-idempotency-key-header-07): under one key of one principal the same request gets the same
answer for a day, at every portal; another request under it is refused; while the first is being carried out a second
waits its turn. What ended without anybody knowing how, because a process died, is told as that, and is not carried out
again unless the keeper itself knows a repetition. Answers rest sealed with the keeper (``keeper.answered``), durable
before anything is carried out; whose they are rests as a keyed hash.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Final

from safehold.canonical import b64, unb64
from safehold.errors import ConflictError, InvalidError, SafeholdError
from safehold.portal.identity.cookie import Cookies
from safehold.portal.rate import TooManyError
from safehold.portal.shared import Shared

LARGEST: Final = 1 << 20  # bytes of an answer that is kept
LONGEST_KEY: Final = 255
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer.

    Args:
        status: Its status.
        body: Its bytes; empty if they were too many to keep.
    """

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Ticket:
    """A request that is being carried out under a key.

    Args:
        name: Under which it is kept.
    """

    name: str


class Answers:
    """Answers by key, with the keeper.

    Args:
        shared: The line to it.
        cookies: Seals what rests.
    """

    def __init__(self, shared: Shared, cookies: Cookies) -> None:
        self._shared = shared
        self._cookies = cookies

    def begin(self, who: str, key: str, asked: bytes, *, again: bool) -> Kept | Ticket:
        """Return the answer that there is under a key, or what stands for carrying the request out now.

        Args:
            who: The principal.
            key: The header ``Idempotency-Key``.
            asked: Digest of the request.
            again: Whether the keeper itself knows a repetition.

        Raises:
            InvalidError: Another request came under this key, or it is no key.
            ConflictError: The same one is being carried out, or nobody knows how it ended.
            TooManyError: The principal has too many open.
        """
        if not 0 < len(key) <= LONGEST_KEY or not key.isascii() or not key.isprintable():
            raise InvalidError("not a key of a request", rule="idempotency.key")
        name = self._shared.name("answer", who, key)
        told = self._shared.call(
            "portal.begin",
            name=name,
            owner=self._shared.name("owner", who),
            # keyed too: a digest of a request that can be guessed says what it was
            asked=self._shared.name("asked", asked.hex()),
            again=again,
        )
        match told["state"]:
            case "begun":
                self._shared.hold(name)
                return Ticket(name)
            case "done":
                sealed = unb64(str(told["answer"]))
                return Kept(int(told["status"]), self._cookies.unwrap(sealed) or b"")
            case "reused":
                raise InvalidError(
                    "another request came under this key",
                    rule="idempotency.reused",
                    fix="make a new key for each request",
                )
            case "running":
                raise ConflictError(
                    "this request is being carried out",
                    rule="idempotency.running",
                    fix="send it again in a moment",
                )
            case "unknown":
                raise ConflictError(
                    "this request came before, and how it ended is not known",
                    rule="idempotency.unknown",
                    fix="look what is there; if it was not carried out, send it under a new key",
                )
            case _:
                raise TooManyError(
                    "too many requests are open", rule="idempotency.open", fix="wait a while"
                )

    def end(self, ticket: Ticket, answer: Kept) -> None:
        """Keep an answer."""
        body = answer.body if len(answer.body) <= LARGEST else b""
        self._end(ticket, state="done", status=answer.status, answer=b64(self._cookies.wrap(body)))

    def drop(self, ticket: Ticket) -> None:
        """Forget a request that was certainly not carried out."""
        self._end(ticket, state="gone")

    def lose(self, ticket: Ticket) -> None:
        """Say of a request that nobody knows how it ended."""
        self._end(ticket, state="unknown")

    def _end(self, ticket: Ticket, **how: Any) -> None:
        self._shared.let_go(ticket.name)
        try:
            self._shared.call("portal.end", name=ticket.name, **how)
        except SafeholdError as error:
            # whoever asks again hears that it is not known, which is true of all but this one process
            _LOG.warning("the end of a request was not kept: %s", error.rule or error.code)
