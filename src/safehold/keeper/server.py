"""The keeper's door: a Unix socket, peer credentials checked, one thread a caller.

Whoever may connect still gets no key and no row: there is no verb that returns either.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from safehold.errors import ConflictError, InvalidError, SafeholdError
from safehold.keeper import wire

Report = Callable[[dict[str, Any]], None]
Verb = Callable[[dict[str, Any], Sequence[int], Report], dict[str, Any]]

_LOG = logging.getLogger(__name__)
_UCRED = struct.Struct("3i")


def require_silent(path: Path) -> None:
    """Pass if no keeper answers on a socket; one that was abandoned does not.

    Raises:
        ConflictError: One does.
    """
    try:
        wire.dial(path, patience_s=1.0).close()
    except TimeoutError:
        pass  # one that takes nothing is there all the same
    except OSError:
        return
    raise ConflictError("a keeper is running already", rule="keeper.one", fix="stop it first")


class Server:
    """Answer callers until it is closed.

    Args:
        path: Where the socket is made; an abandoned one is replaced.
        verbs: What may be asked for.
        allowed: User ids that may connect, besides our own.
    """

    def __init__(
        self, path: Path, verbs: Mapping[str, Verb], *, allowed: frozenset[int] = frozenset()
    ) -> None:
        self._path = path
        self._verbs = verbs
        self._allowed = allowed | {os.getuid()}
        self._closing = threading.Event()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._bind()
        except BaseException:
            self._socket.close()
            raise

    def serve(self) -> None:
        """Accept callers until ``close`` is called."""
        while not self._closing.is_set():
            try:
                link, _ = self._socket.accept()
            except OSError:
                break
            threading.Thread(target=self._answer, args=(link,), daemon=True).start()

    def close(self) -> None:
        """Stop accepting callers and take the socket away."""
        self._closing.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()

    def _bind(self) -> None:
        require_silent(self._path)
        self._path.unlink(missing_ok=True)
        # others may knock only if some of them may come in; who it is the kernel says
        old = os.umask(0o177 if self._allowed <= {0, os.getuid()} else 0o111)
        try:
            with wire.address(self._path) as address:
                self._socket.bind(address)
        finally:
            os.umask(old)
        self._socket.listen(64)

    def _answer(self, link: socket.socket) -> None:
        with link:
            raw = link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
            _pid, uid, _gid = _UCRED.unpack(raw)
            if uid not in self._allowed:
                return
            try:
                while (received := wire.receive(link)) is not None:
                    message, descriptors = received
                    try:
                        self._one(link, message, descriptors)
                    finally:
                        wire.close_all(descriptors)
            except (SafeholdError, OSError):
                return  # the caller broke off; whatever it asked for is finished or undone by itself

    def _carry_out(
        self, message: dict[str, Any], descriptors: Sequence[int], report: Report
    ) -> dict[str, Any]:
        match message:
            case {"verb": str(name), "arguments": dict(arguments)} if name in self._verbs:
                return self._verbs[name](arguments, descriptors, report)
            case _:
                raise InvalidError("no such verb", rule="keeper.verb")

    def _one(
        self, link: socket.socket, message: dict[str, Any], descriptors: Sequence[int]
    ) -> None:
        def report(progress: dict[str, Any]) -> None:
            # a caller that has gone does not end work that is under way
            with contextlib.suppress(OSError):
                wire.send(link, {"progress": progress})

        try:
            answer = self._carry_out(message, descriptors, report)
        except SafeholdError as error:
            wire.send(link, {"error": error.payload()})
        except (KeyError, TypeError, ValueError) as error:
            # the kind of the error only: its text may hold a value
            _LOG.exception("verb failed: %s", type(error).__name__, exc_info=False)
            said = InvalidError("the request has another shape", rule="keeper.verb")
            wire.send(link, {"error": said.payload()})
        except Exception as error:  # noqa: BLE001 - one caller's failure must not end the keeper
            _LOG.error("verb failed: %s", type(error).__name__)
            failed = SafeholdError(
                "the keeper failed: whether it was carried out is not known",
                rule="keeper.internal",
                fix="see what is there (safehold ledger tail), then ask again",
            )
            wire.send(link, {"error": failed.payload()})
        else:
            wire.send(link, {"answer": answer})
