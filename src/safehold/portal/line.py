"""The lines by which a portal speaks to the keeper: of somebody who signed in, and of nobody.

A portal asks much, so its connections are kept between calls and its nonces are fetched in batches. Neither carries
anybody's right: every call is signed anew with the key of the session it is made in.
"""

from __future__ import annotations

import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from safehold.access.identity import sign_call
from safehold.canonical import b64, unb64
from safehold.errors import SafeholdError, SignInError, UnavailableError, WentAwayError
from safehold.keeper import wire
from safehold.keeper.client import PATIENCE_S, KeeperClient, Progress, leads
from safehold.keeper.signed import Line, Session
from safehold.portal.identity.cookie import Visitor, signed_out
from safehold.settings import Home

# what the portal asks for nobody in particular; in a home that knows no principals yet the socket alone would let
# anybody do more, so it is this list that holds
FOR_NOBODY: Final = frozenset(
    {"nonce", "public.file", "public.home", "session.ask", "session.open", "status"}
)
MOST_IDLE: Final = 32
BATCH: Final = 32
FRESH_S: Final = 30.0  # a nonce lives for a minute


class KeptClient(KeeperClient):
    """A line whose connections are used again, one call at a time each.

    Args:
        path: The keeper's socket.
        others: Those of keepers that stand by.
        find: Returns the sockets there are now; those that were named unless it is given.
    """

    def __init__(
        self, path: Path, *others: Path, find: Callable[[], Sequence[Path]] | None = None
    ) -> None:
        super().__init__(path, *others)
        self._find = find or (lambda: self._paths)
        self._idle: deque[socket.socket] = deque()
        self._lock = threading.Lock()
        self._nonces: deque[tuple[float, str]] = deque()
        self._filling = threading.Lock()

    def nonce(self) -> str:
        """Return a fresh nonce.

        Raises:
            UnavailableError: No keeper answers.
        """
        with self._filling:
            oldest = time.monotonic() - FRESH_S
            while self._nonces and self._nonces[0][0] < oldest:
                self._nonces.popleft()
            if not self._nonces:
                since = time.monotonic()
                try:
                    made = self.call("nonce", count=BATCH)["nonces"]
                except WentAwayError as error:  # of what is to be asked nothing was begun
                    raise UnavailableError(
                        "no keeper answers", rule=error.rule, fix="safehold serve"
                    ) from error
                self._nonces.extend((since, str(one)) for one in made)
            # the oldest first: one that waits is not spent in vain
            return self._nonces.popleft()[1]

    def forget(self) -> None:
        """Forget the nonces: the keeper that gave them may be another one now."""
        with self._filling:
            self._nonces.clear()

    def close(self) -> None:
        """Close the connections that are kept; others are made when they are needed."""
        with self._lock:
            while self._idle:
                self._idle.pop().close()

    def _open(self) -> socket.socket:
        """Return a connection to the keeper that leads; while none says so, to one that stands by and hands on."""
        others: list[socket.socket] = []
        slow: list[Path] = []
        try:
            paths = self._find()
            for path in paths:
                try:
                    link = wire.dial(
                        path, patience_s=PATIENCE_S if len(paths) > 1 else wire.CONNECT_S
                    )
                except TimeoutError:
                    slow.append(path)
                    continue
                except OSError:
                    continue
                if len(paths) == 1 or leads(link):
                    return link
                if link.fileno() < 0:
                    slow.append(path)
                else:
                    others.append(link)
            if others:
                return others.pop(0)
            for path in slow:
                with suppress(OSError):
                    return wire.dial(path)
        finally:
            for one in others:
                one.close()
        raise UnavailableError("no keeper answers", rule="keeper.reachable", fix="safehold serve")

    @contextmanager
    def _connect(self) -> Iterator[socket.socket]:
        link = self._take() or self._open()
        try:
            yield link
        except SafeholdError as error:
            # what the keeper refuses ends its answer; what breaks a line leaves it in the middle of one
            if isinstance(error, UnavailableError) or error.rule == "keeper.message":
                link.close()
            else:
                self._put(link)
            raise
        except BaseException:
            link.close()
            raise
        self._put(link)

    def _take(self) -> socket.socket | None:
        while True:
            with self._lock:
                if not self._idle:
                    return None
                link = self._idle.pop()
            poll = select.poll()
            poll.register(link, select.POLLIN | select.POLLHUP | select.POLLERR)
            if not poll.poll(0):
                return link
            link.close()  # the keeper ended it

    def _put(self, link: socket.socket) -> None:
        with self._lock:
            if len(self._idle) < MOST_IDLE:
                self._idle.append(link)
                return
        link.close()


class NobodysLine:
    """A line for somebody who is signed out.

    Args:
        line: To the keeper.
    """

    def __init__(self, line: Line) -> None:
        self._line = line

    def call(
        self,
        verb: str,
        *,
        descriptors: Sequence[int] = (),
        progress: Progress | None = None,
        **arguments: Any,
    ) -> dict[str, Any]:
        """Ask for one thing that anybody may ask for; see ``KeeperClient.call``.

        Raises:
            SignInError: It takes somebody.
        """
        if verb not in FOR_NOBODY or descriptors:
            raise signed_out()
        return self._line.call(verb, progress=progress, **arguments)


class SomebodysLine:
    """A line on which every call is signed in somebody's session.

    Args:
        keeper: To the keeper.
        session: The session.
    """

    def __init__(self, keeper: KeptClient, session: Session) -> None:
        self._keeper = keeper
        self._session = session

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
            SignInError: The session is over.
        """
        try:
            return self._ask(verb, descriptors, progress, arguments)
        except SignInError as error:
            # the batch came from a keeper that is no more; a nonce of the caller's own is theirs to renew
            if error.rule != "capability.nonce" or "nonce" in arguments:
                raise
        self._keeper.forget()
        return self._ask(verb, descriptors, progress, arguments)

    def _ask(
        self,
        verb: str,
        descriptors: Sequence[int],
        progress: Progress | None,
        arguments: Mapping[str, Any],
    ) -> dict[str, Any]:
        nonce = self._keeper.nonce()
        proof = sign_call(self._session.key, unb64(nonce), verb, arguments)
        caller = {"ticket": self._session.ticket, "nonce": nonce, "proof": b64(proof)}
        return self._keeper.call(
            verb, descriptors=descriptors, progress=progress, **arguments, caller=caller
        )


def keeper_of(home: Home, *names: str) -> KeptClient:
    """Return a bare line to the keepers of a home; the one that leads is asked, else one that hands on.

    Args:
        home: The home.
        names: Of keepers that stand by, if their sockets may not be looked for.
    """
    named = [home.socket_of(name) for name in names]
    return KeptClient(home.socket, find=lambda: list(dict.fromkeys([*home.sockets, *named])))


def line_of(keeper: KeptClient, visitor: Visitor | None) -> Line:
    """Return the line of a visitor."""
    if visitor is None:
        return NobodysLine(keeper)
    return SomebodysLine(keeper, visitor.session)


__all__ = ["FOR_NOBODY", "KeptClient", "NobodysLine", "SomebodysLine", "keeper_of", "line_of"]
