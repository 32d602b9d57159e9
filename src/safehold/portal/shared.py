"""What all portals of a home know together: proofs that were used, how often an address signed in.

It rests with the keeper, in memory and named by hashes (``keeper.pigeonholes``). A thread says again and again what
this portal is still at work on; a portal that has ended says nothing, and the others know.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from safehold.errors import InvalidError, SafeholdError, SignInError
from safehold.ids import random_bytes
from safehold.keeper.signed import Line
from safehold.portal.rate import TooManyError

HOLD_S: Final = 4.0  # the keeper believes a portal for 15 s
MOST: Final = 4_000
_LOG: Final = logging.getLogger(__name__)


class Shared:
    """This portal's line to what all of them know.

    Args:
        line: A bare line to the keeper.
        folder: Of the keys that all portals of the home share.
    """

    def __init__(self, line: Line, folder: Path) -> None:
        self._line = line
        self._secret = secret_of(folder / "answers-key")
        self._lock = threading.Lock()
        self._requests: set[str] = set()
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="holding", daemon=True)
        # told again every few seconds: names of notes that this portal is at work on; and what to do about those that
        # the keeper, another one than before, does not have
        self.notes: Callable[[], list[str]] = list
        self.missing: Callable[[list[str]], None] = lambda _names: None

    def start(self) -> None:
        """Begin to say what this portal is at work on."""
        self._thread.start()

    def close(self) -> None:
        """End."""
        self._ends.set()
        if self._thread.is_alive():
            self._thread.join(10)

    def name(self, *parts: str) -> str:
        """Return what the keeper knows something by: a hash under a key that it does not have."""
        text = "\0".join(parts).encode("utf-8", "surrogatepass")
        return hmac.digest(self._secret, text, hashlib.sha256).hex()

    def call(self, verb: str, **arguments: Any) -> dict[str, Any]:
        """Ask the keeper; see ``KeeperClient.call``."""
        return self._line.call(verb, **arguments)

    def spend(self, proof: str, at_s: int) -> None:
        """Note at all portals that a proof was used.

        Args:
            proof: What names it: the thumbprint of its key, and its number.
            at_s: Its time, seconds since 1970.

        Raises:
            SignInError: It was used before, at this portal or another one; or nobody knows.
            UnavailableError: No keeper answers.
        """
        name = hashlib.sha256(proof.encode()).hexdigest()
        match self._line.call("portal.spend", name=name, at_s=at_s)["state"]:
            case "fresh":
                return
            case "spent":
                raise SignInError("a proof seen before", rule="api.proof.replay")
            case "before":
                raise SignInError(
                    "a proof of another time", rule="api.proof.time", fix="make a new one"
                )
            case _:
                raise SignInError("too many proofs at once", rule="api.proof.replay")

    def count(self, what: str, who: str, *, a_minute: int) -> None:
        """Count one request of somebody at all portals together.

        Raises:
            TooManyError: They have asked too often.
            UnavailableError: No keeper answers.
        """
        name = self.name("count", what, who)
        if not self._line.call("portal.count", name=name, a_minute=a_minute)["left"]:
            raise TooManyError("too many requests", rule=f"portal.rate.{what}", fix="wait a minute")

    def hold(self, name: str) -> None:
        """Say from now on that this portal is at work on a request."""
        with self._lock:
            self._requests.add(name)

    def let_go(self, name: str) -> None:
        """Say so no longer."""
        with self._lock:
            self._requests.discard(name)

    def _go_on(self) -> None:
        while not self._ends.wait(HOLD_S):
            with self._lock:
                requests = sorted(self._requests)[:MOST]
            notes = self.notes()
            if not requests and not notes:
                continue
            try:
                told = self._line.call("portal.hold", requests=requests, notes=notes)
                if told["missing"]:
                    self.missing([str(one) for one in told["missing"]])
            except SafeholdError as error:  # said again in a moment
                _LOG.warning("the keeper was not told what goes on: %s", error.rule or error.code)


def secret_of(file: Path) -> bytes:
    """Return the key in a file, which is made if there is none.

    Raises:
        InvalidError: It is none, or others may read it.
    """
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    else:
        with os.fdopen(handle, "wb") as new:
            new.write(random_bytes(32))
            new.flush()
            os.fsync(new.fileno())
    data = file.read_bytes()
    if len(data) != 32 or file.stat().st_mode & 0o077:
        raise InvalidError("not a key of portals, or others may read it", rule="portal.keys")
    return data
