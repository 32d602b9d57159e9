"""What the sentinel has learnt, and how far it has read: sealed in the home, in one file.

It tells who usually does what, so it rests as ciphertext, bound to this home. It is a cache: with the file deleted,
cut, edited or from another ledger the sentinel reads from the first leaf again, and what it raised is not raised twice.
Whoever else watches keeps a file of their own: nobody tells the sentinel what it knows, or reads what it learnt.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from safehold import canonical
from safehold.canonical import b64, unb64
from safehold.errors import InvalidError, MissingError, TamperedError
from safehold.keeper.caller import SENTINEL, caller
from safehold.keeper.server import Report, Verb
from safehold.ledger.files import replace_file
from safehold.ledger.tree import leaf_hash

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

VERSION: Final = "safehold.sentinel/1"
LARGEST: Final = 32 << 20  # bytes of what was learnt


class WatchState:
    """The verbs ``sentinel.keep`` and ``sentinel.recall``.

    Args:
        desk: What the keeper works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._lock = threading.Lock()

    def verbs(self) -> dict[str, Verb]:
        """Return them by name."""
        return {"sentinel.keep": self.keep, "sentinel.recall": self.recall}

    def keep(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Seal what was learnt from all leaves before one, in the place of what was kept before; durable.

        Raises:
            InvalidError: Too much, or beyond the ledger.
        """
        after, state = arguments["next"], unb64(str(arguments["state"]))
        if type(after) is not int or not 0 <= after <= self._desk.ledger.size:
            raise InvalidError("beyond the ledger", field="next", rule="watch.since")
        if len(state) > LARGEST:
            raise InvalidError("too much to keep", field="state", rule="watch.state")
        body = canonical.encode(
            {"v": VERSION, "next": after, "last": self._last(after), "state": b64(state)}
        )
        sealed = self._desk.sealer.seal(body, aad=self._bound())
        with self._lock:
            replace_file(self._file(), sealed)
        return {"next": after}

    def recall(
        self, _arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return what was kept and where to go on; where it cannot be used, why, and the beginning."""
        try:
            with self._lock:
                sealed = self._file().read_bytes()
        except OSError:
            return {"next": 0, "state": None, "lost": "missing"}
        try:
            body = canonical.decode(self._desk.sealer.open(sealed, aad=self._bound()))
            after, state = int(body["next"]), str(body["state"])
            if body["v"] != VERSION or body["last"] != self._last(after):
                return {"next": 0, "state": None, "lost": "other"}
        except (TamperedError, InvalidError, MissingError, KeyError, TypeError, ValueError):
            return {"next": 0, "state": None, "lost": "changed"}
        return {"next": after, "state": state, "lost": None}

    def _bound(self) -> bytes:
        return canonical.encode([VERSION, self._desk.home.id, caller().id])

    def _file(self) -> Path:
        file, who = self._desk.home.sentinel_file, caller()
        if who.kind == SENTINEL:
            return file
        return file.with_name(f"{file.name}-{sha256(who.id.encode()).hexdigest()[:32]}")

    def _last(self, after: int) -> str:
        """Return the hash of the newest leaf that was read, so that it fits no other ledger."""
        return b64(leaf_hash(self._desk.ledger.leaf(after - 1))) if after else ""
