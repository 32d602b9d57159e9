"""The head of the portal's own journal goes into the ledger, every hour and when the portal ends.

The portal has a key of its own for that and for nothing else. A home that demands that whoever operates it is known
takes its word once an operator enrolled that key as a workload; until then the journal is only as good as its disk.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from pathlib import Path
from typing import Any, Final

from safehold.errors import SafeholdError, SignInError
from safehold.keeper.client import KeeperClient
from safehold.keeper.signed import line_with_key
from safehold.portal.journal import Head, Journal
from safehold.signing import SigningKey

EVERY_S: Final = 3_600.0
_LOG: Final = logging.getLogger(__name__)


class Heads:
    """Tells the keeper how far the journal goes.

    Args:
        journal: The journal.
        keeper: A bare line to the keeper.
        key: The portal's own.
        every_s: Seconds between two heads.
    """

    def __init__(
        self, journal: Journal, keeper: KeeperClient, key: SigningKey, *, every_s: float = EVERY_S
    ) -> None:
        self._journal = journal
        self._keeper = keeper
        self._key = key
        self._every_s = every_s
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="heads", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Say it once more, and end."""
        self._ends.set()
        self._thread.join(10)

    def say(self) -> dict[str, Any] | None:
        """Tell the keeper once; return its answer, or nothing if it took none."""
        head: Head = self._journal.head
        if not head.size:
            return None
        said: dict[str, Any] = {
            "portal": name_of(self._key),
            "size": head.size,
            "head": head.digest,
        }
        try:
            try:
                return line_with_key(self._keeper, self._key).call("portal.head", **said)
            except (
                SignInError
            ):  # nobody enrolled it: a home that knows nobody yet takes it from the socket
                return self._keeper.call("portal.head", **said)
        except SafeholdError as error:
            _LOG.warning("the ledger took no head of the journal: %s", error.rule or error.code)
            return None

    def _go_on(self) -> None:
        while not self._ends.wait(self._every_s):
            self.say()
        self.say()


def name_of(key: SigningKey) -> str:
    """Return how a portal is called in the ledger: by its key."""
    return hashlib.sha256(key.public.raw).hexdigest()[:16]


def own_key(folder: Path) -> SigningKey:
    """Return the portal's own key, made if there is none; its public half lies beside it, to be enrolled."""
    file = folder / "portal-key"
    if not file.exists():
        key = SigningKey.generate()
        key.write(file)
        file.with_name("portal-key.pub").write_text(key.public.text() + os.linesep, "ascii")
    return SigningKey.read(file)
