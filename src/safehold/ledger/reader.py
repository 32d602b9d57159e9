"""The reading half of a ledger: leaves, what their side-cars say, proofs.

Everything comes from the journal; nothing here appends. What a side-car says is checked against the
commitments of its leaf before it is returned.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import orjson

from safehold.canonical import b64
from safehold.errors import MissingError, TamperedError, UnavailableError
from safehold.ledger.checkpoint import Checkpoint
from safehold.ledger.entry import Opening, Receipt, SidecarSealer, open_handles
from safehold.ledger.note import text_of
from safehold.ledger.opening import open_leaf
from safehold.ledger.proof import prove_inclusion
from safehold.ledger.replay import read_nodes
from safehold.ledger.store import Journal
from safehold.ledger.tree import Tree, leaf_hash


class Reader(ABC):
    """Reads one journal.

    Args:
        journal: Where the entries are.
        sidecar: Opens what is personal.
    """

    def __init__(self, journal: Journal, sidecar: SidecarSealer) -> None:
        self._journal = journal
        self._sidecar = sidecar

    @property
    @abstractmethod
    def size(self) -> int:
        """Number of durable entries."""

    @property
    @abstractmethod
    def tree(self) -> Tree:
        """The tree over them."""

    def leaves(
        self, start: int = 0, stop: int | None = None
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield (index, leaf) for a range of the log."""
        end = self.size if stop is None else min(stop, self.size)
        if start >= end:
            return
        for first, batch in self._journal.batches(start):
            for index, leaf in enumerate(batch, first):
                if index >= end:
                    return
                if index >= start:
                    yield index, orjson.loads(leaf)

    def leaf(self, index: int) -> bytes:
        """Return the stored bytes of one leaf."""
        return self._journal.leaf(index)

    def detail(self, index: int) -> dict[str, Any]:
        """Return what the side-car of an entry says: actor, object, detail.

        Raises:
            ShreddedError: Its key was destroyed.
            TamperedError: It does not say what the leaf commits to.
            MissingError: There is no such entry, or its side-car was deleted.
        """
        opening = self.opening(index)
        return {"actor": opening.actor, "object": opening.object, "detail": opening.detail}

    def opening(self, index: int) -> Opening:
        """Return everything that the side-car of an entry says, checked; raises as ``detail`` does."""
        return self._open(index)[1]

    def handles(self, index: int, *, epoch: int) -> tuple[Opening, dict[bytes, int]]:
        """Return an opening and, by the beginning of their labels, the flags of its people.

        Raises:
            ShreddedError: A key was destroyed; that of an epoch's handles goes with an erasure.
        """
        leaf, opening = self._open(index)
        return opening, open_handles(leaf, opening, self._sidecar, epoch=epoch)

    def _open(self, index: int) -> tuple[bytes, Opening]:
        leaf = self._journal.leaf(index)
        sealed = self._journal.sidecar(index)
        if sealed is None:
            raise MissingError(f"entry {index} has lost its side-car", rule="ledger.sidecar")
        return leaf, open_leaf(leaf, sealed, self._sidecar)

    def find(self, key: str) -> Receipt | None:
        """Return the receipt of the entry with an idempotency key, if there is one."""
        digest = sha256(key.encode()).digest()
        index = self._journal.find(digest)
        if index is None:
            return None
        leaf = self._journal.leaf(index)
        sealed = self._journal.sidecar(index) or b""
        if open_leaf(leaf, sealed, self._sidecar).key != digest:
            raise TamperedError("an idempotency key points to another entry", rule="ledger.key")
        return Receipt(index=index, leaf_hash=leaf_hash(leaf), size=self.size)

    def head(self) -> bytes:
        """Return the newest published checkpoint with its cosignatures.

        Raises:
            UnavailableError: None was published yet.
        """
        found = self._journal.head()
        if found is None:
            raise UnavailableError("no head was published yet", rule="ledger.head")
        return found[1]

    def prove(self, index: int) -> str:
        """Return a tlog-proof that an entry is in the newest published head.

        Raises:
            MissingError: The entry is not in a published head yet.
        """
        note = self.head()
        size = Checkpoint.parse(text_of(note)).size
        lines = ["c2sp.org/tlog-proof@v1", f"index {index}", *map(b64, self.path(index, size))]
        return "\n".join([*lines, "", ""]) + note.decode()

    def path(self, index: int, size: int) -> list[bytes]:
        """Return the audit path of an entry in the tree of a published head's size.

        Raises:
            MissingError: The entry is not in it.
        """
        if not 0 <= index < size <= self.size:
            raise MissingError(f"entry {index} is not published yet", rule="ledger.prove")
        return prove_inclusion(read_nodes(self._journal, self.tree), index, size)
