"""The reading half of a ledger: leaves, what their side-cars say, proofs.

Everything comes from the journal; nothing here appends. What a side-car says is checked against the
commitments of its leaf before it is returned.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cache
from hashlib import sha256
from typing import Any

import orjson

from safehold.canonical import b64
from safehold.errors import MissingError, ShreddedError, TamperedError, UnavailableError
from safehold.ledger.checkpoint import Checkpoint
from safehold.ledger.entry import Opening, Receipt, SidecarSealer, open_handles
from safehold.ledger.note import text_of
from safehold.ledger.opening import Said, open_leaf, open_said
from safehold.ledger.proof import prove_consistency, prove_inclusion, root_at
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

    def scan(
        self,
        start: int,
        stop: int,
        *,
        opens: Callable[[int, dict[str, Any]], bool],
        damaged: Callable[[int], None] | None = None,
    ) -> Iterator[tuple[int, dict[str, Any], Said | None]]:
        """Yield (index, leaf, who did what) for a range of the log, opening only what is asked for.

        Made for reading many: a batch is read once, and whose data an entry is about is never opened.

        Args:
            start: Index of the first.
            stop: Index after the last.
            opens: Says of a leaf, before its side-car is opened, whether it may be; what may not be, and what can no
                longer be opened because its key or the side-car is gone, comes as None.
            damaged: Is told of an entry whose side-car was to be opened, and was taken away or changed; it comes as
                None too, and nothing is raised.

        Raises:
            TamperedError: A side-car does not say what its leaf commits to, and nobody is told of that.
        """
        end = min(stop, self.size)
        for first, batch in self._journal.batches(start) if start < end else ():
            held: list[bytes] | None = None
            for index, leaf in enumerate(batch, first):
                if index >= end:
                    return
                if index < start:
                    continue
                said = orjson.loads(leaf)
                found: Said | None = None
                if opens(index, said):
                    try:
                        held = self._journal.sidecars(first) if held is None else held
                        if index - first < len(held):
                            with suppress(ShreddedError):
                                found = open_said(leaf, said, held[index - first], self._sidecar)
                        elif damaged is not None:
                            damaged(index)
                    except TamperedError:
                        if damaged is None:
                            raise
                        damaged(index)
                yield index, said, found
            if first + len(batch) >= end:
                return

    def stored(self, stop: int) -> Iterator[bytes]:
        """Yield the stored bytes of the first leaves, in order.

        Args:
            stop: How many.
        """
        for first, batch in self._journal.batches():
            yield from batch[: max(stop - first, 0)]
            if first + len(batch) >= stop:
                return

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

    def openings(
        self, start: int, stop: int, *, opens: Callable[[dict[str, Any]], bool]
    ) -> Iterator[tuple[int, bytes, dict[str, Any], Opening | None]]:
        """Yield (index, stored leaf, what it says, what its side-car says) for a range, batch by batch.

        Each side-car is checked against its leaf. There is none of a leaf that was not to be opened, or whose key was
        destroyed.

        Args:
            start: First leaf.
            stop: Leaf after the last.
            opens: Says of a leaf whether its side-car is opened.

        Raises:
            TamperedError: A side-car does not say what its leaf commits to.
            MissingError: A side-car was deleted.
        """
        end = min(stop, self.size)
        if start >= end:
            return
        for first, batch in self._journal.batches(start):
            if first >= end:
                return
            sealed: list[bytes] | None = None
            for index, leaf in enumerate(batch, first):
                if not start <= index < end:
                    continue
                said, opening = orjson.loads(leaf), None
                if opens(said):
                    sealed = self._journal.sidecars(first) if sealed is None else sealed
                    if len(sealed) <= index - first:
                        raise MissingError(
                            f"entry {index} has lost its side-car", rule="ledger.sidecar"
                        )
                    with suppress(ShreddedError):
                        opening = open_leaf(leaf, sealed[index - first], self._sidecar)
                yield index, leaf, said, opening

    def entries(self, indices: Iterable[int]) -> Iterator[tuple[int, bytes, Opening]]:
        """Yield (index, stored leaf, what its side-car says) of some entries; a batch is read once while they ascend.

        Raises:
            ShreddedError: The key of a side-car was destroyed.
            TamperedError: A side-car does not say what its leaf commits to.
            MissingError: There is no such entry, or its side-car was deleted.
        """
        first, batch, sealed = 0, list[bytes](), list[bytes]()
        for index in indices:
            if not first <= index < first + len(batch):
                if not 0 <= index < self.size:
                    raise MissingError(f"there is no leaf {index}", rule="ledger.index")
                first, batch = next(iter(self._journal.batches(index)))
                sealed = self._journal.sidecars(first)
            if len(sealed) <= index - first:
                raise MissingError(f"entry {index} has lost its side-car", rule="ledger.sidecar")
            leaf = batch[index - first]
            yield index, leaf, open_leaf(leaf, sealed[index - first], self._sidecar)

    def pick(self, indices: Iterable[int]) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield (index, leaf) of some entries; a batch is read once while they ascend, and no side-car.

        Raises:
            MissingError: There is no such entry.
        """
        first, batch = 0, list[bytes]()
        batches: Iterator[tuple[int, list[bytes]]] = iter(())
        for index in indices:
            if not 0 <= index < self.size:
                raise MissingError(f"there is no leaf {index}", rule="ledger.index")
            if not first <= index < first + len(batch):
                # the next batch follows most often; only further on it is looked for
                first, batch = next(batches, (0, []))
                if not first <= index < first + len(batch):
                    batches = self._journal.batches(index)
                    first, batch = next(batches)
            yield index, orjson.loads(batch[index - first])

    def prover(self, size: int) -> Callable[[int], list[bytes]]:
        """Return what gives the audit paths of many entries in a tree of one size; it reads no node twice."""
        node = cache(read_nodes(self._journal, self.tree, keep=True))

        def path(index: int) -> list[bytes]:
            if not 0 <= index < size <= self.size:
                raise MissingError(f"entry {index} is not published yet", rule="ledger.prove")
            return prove_inclusion(node, index, size)

        return path

    def handles_in(self, leaf: bytes, opening: Opening, *, epoch: int) -> dict[bytes, int]:
        """Return the flags of the people of an opened entry, by the beginning of their labels.

        Raises:
            ShreddedError: The key that hid them was destroyed, because somebody was erased since.
        """
        return open_handles(leaf, opening, self._sidecar, epoch=epoch)

    def root_at(self, size: int) -> bytes:
        """Return the root that the log had when it was so large, 32 bytes."""
        return root_at(read_nodes(self._journal, self.tree), size)

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

    def published(self, size: int) -> tuple[int, bytes] | None:
        """Return (size, note) of the smallest published head that covers so many entries, if there is one."""
        return self._journal.head_from(size)

    def consistency(self, old: int, size: int) -> list[bytes]:
        """Return the proof that the log of one size is the beginning of the log of another.

        Raises:
            MissingError: It is not so large.
        """
        if not 0 <= old <= size <= self.size:
            raise MissingError("the log is not so large", rule="ledger.prove")
        return prove_consistency(read_nodes(self._journal, self.tree), old, size)

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
