"""A line to the keeper on which every call is signed by a session of ours."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from safehold.access.identity import sign_call, sign_in_message
from safehold.access.identity.proof import DOMAIN
from safehold.canonical import b64, unb64
from safehold.errors import SignInError, UnavailableError, WentAwayError
from safehold.keeper.client import Progress
from safehold.signing import SigningKey

AGAIN = frozenset({"session.expired", "session.ended"})


class Line(Protocol):
    """A line to the keeper."""

    def call(
        self,
        verb: str,
        *,
        descriptors: Sequence[int] = (),
        progress: Progress | None = None,
        **arguments: Any,
    ) -> dict[str, Any]:
        """Ask for one thing; see ``KeeperClient.call``."""
        ...


@dataclass(frozen=True, slots=True)
class Session:
    """A session of ours.

    Args:
        ticket: What the keeper gave us.
        key: The key that signs our calls.
    """

    ticket: str
    key: SigningKey


class SignedLine:
    """Signs each call, and signs in again when the session is over, if it can.

    Args:
        line: The line.
        session: The session, if there is one.
        sign_in: Opens one.
    """

    def __init__(
        self,
        line: Line,
        session: Session | None = None,
        *,
        sign_in: Callable[[Line], Session] | None = None,
    ) -> None:
        self._line = line
        self._session = session
        self._sign_in = sign_in
        self._lock = threading.Lock()

    def call(
        self,
        verb: str,
        *,
        descriptors: Sequence[int] = (),
        progress: Progress | None = None,
        **arguments: Any,
    ) -> dict[str, Any]:
        """Ask for one thing as whoever signed in; see ``KeeperClient.call``.

        Raises:
            SignInError: We are signed out, and cannot sign in by ourselves.
        """
        session = self._open()
        try:
            return self._ask(session, verb, descriptors, progress, arguments)
        except SignInError as error:
            if error.rule not in AGAIN or self._sign_in is None:
                raise
        return self._ask(self._open(after=session), verb, descriptors, progress, arguments)

    def _open(self, after: Session | None = None) -> Session:
        with self._lock:
            if self._session is None or self._session is after:
                if self._sign_in is None:
                    raise SignInError(
                        "you are signed out", rule="session.none", fix="safehold sign-in"
                    )
                self._session = self._sign_in(self._line)
            return self._session

    def _ask(
        self,
        session: Session,
        verb: str,
        descriptors: Sequence[int],
        progress: Progress | None,
        arguments: Mapping[str, Any],
    ) -> dict[str, Any]:
        caller = prove(self._line, session, verb, arguments)
        return self._line.call(
            verb, descriptors=descriptors, progress=progress, **arguments, caller=caller
        )


def prove(line: Line, session: Session, verb: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return what proves that one call is made in a session: the ticket, and a signature over a fresh nonce.

    Raises:
        UnavailableError: There was no nonce to be had; of what is to be asked nothing was begun.
    """
    try:
        nonce = str(line.call("nonce")["nonce"])
    except WentAwayError as error:
        raise UnavailableError(
            "no keeper answers; nothing was asked", rule=error.rule, fix=error.fix
        ) from error
    return {
        "ticket": session.ticket,
        "nonce": nonce,
        "proof": b64(sign_call(session.key, unb64(nonce), verb, arguments)),
    }


def open_with_key(line: Line, identity: SigningKey) -> tuple[Session, dict[str, Any]]:
    """Sign in with a key of one's own; return the session and what the keeper said.

    Raises:
        SignInError: Nobody is enrolled with this key.
    """
    session, question = SigningKey.generate(), str(line.call("session.ask")["question"])
    proof = identity.sign(DOMAIN, sign_in_message(unb64(question), session.public))
    answer = line.call(
        "session.open",
        method="key",
        identity=identity.public.text(),
        key=session.public.text(),
        question=question,
        proof=b64(proof),
    )
    return Session(str(answer["ticket"]), session), answer


def line_with_key(line: Line, identity: SigningKey) -> SignedLine:
    """Return a line of the owner of a key; a session that is over is opened anew."""
    return SignedLine(line, sign_in=lambda bare: open_with_key(bare, identity)[0])
