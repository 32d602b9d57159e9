"""The index of an epoch: for each person the complete list of entries about them, or a proof of none.

What this holds: closing an epoch goes through the items of every entry in it, finds the person or
the padding behind each, and commits to everybody's list in one sorted tree whose root is a leaf of
the log. A person gets their list with its count, or the two neighbours between which they would
stand. What it does not hold: that the keeper left nobody out; an auditor computes the same tree
from the same items and finds that out.

Who an entry was about is not stored by name. Beside its items a side-car keeps *handles*, the
beginnings of the people's labels in that epoch, hidden under a key of the epoch that the first
erasure after it destroys. Closing computes everybody's label once and looks the handles up.

Format: RFC 6962 tree over 64-byte leaves ``label || value``, sorted; the lowest and highest label
are sentinels; padded with derived labels to a power of two.
``value = SHA-256(r || u32 count || count x (u64 index || tag))``, ``r = HMAC(K, "sh/index/v1")``.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safehold.canonical import b64, unb64
from safehold.errors import MissingError, ShreddedError, TamperedError
from safehold.ledger.entry import INDEX_SEGMENT, Entry, Opening, SidecarSealer
from safehold.ledger.epoch import EPOCH_KIND
from safehold.ledger.held import Held
from safehold.ledger.shelf import Row, Shelf
from safehold.ledger.subjects import HANDLE, epoch_key, item_of, label_of, tag_of
from safehold.ledger.tree import EMPTY, HASH, fold, leaf_hash

if TYPE_CHECKING:
    from safehold.ledger.log import Ledger

LOWEST, HIGHEST = bytes(HASH), b"\xff" * HASH
NO_VALUE = bytes(HASH)  # of the sentinels

HELD = 128 << 20  # bytes of trees that are held in memory

_INDEX = b"sh/index/v1"
_SEED = b"sh/index/seed/v1"
_FILL = b"sh/index/fill/v1"
_NOBODY = b64(EMPTY)

Keys = Callable[[], Iterable[bytes]]


class IndexTree:
    """The sorted tree of one epoch.

    Args:
        rows: (label, value) of the people in it.
        seed: 32 bytes from which the padding is derived.
    """

    def __init__(self, rows: Iterable[tuple[bytes, bytes]], *, seed: bytes) -> None:
        leaves = [*rows, (LOWEST, NO_VALUE), (HIGHEST, NO_VALUE)]
        missing = (1 << (len(leaves) - 1).bit_length()) - len(leaves)
        leaves += [fill(seed, number) for number in range(missing)]
        self.leaves = sorted(leaves)
        self._labels = [label for label, _ in self.leaves]
        row = b"".join([leaf_hash(label + value) for label, value in self.leaves])
        self._levels = [row]
        while len(row) > HASH:
            row = fold(row)
            self._levels.append(row)

    @property
    def root(self) -> bytes:
        """RFC 6962 root."""
        return self._levels[-1]

    def find(self, label: bytes) -> tuple[int, bool]:
        """Return where a label lies, or the place before which it would lie, and whether it is there."""
        at = bisect_left(self._labels, label)
        return at, self._labels[at] == label

    def path(self, place: int) -> list[bytes]:
        """Return the audit path of a leaf, from its sibling to a child of the root."""
        return [
            row[at * HASH : (at + 1) * HASH]
            for level, row in enumerate(self._levels[:-1])
            for at in [(place >> level) ^ 1]
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """An epoch with its root in the log: leaves ``first`` to ``stop - 1``, closed by leaf ``entry``."""

    epoch: int
    first: int
    stop: int
    entry: int
    root: bytes


class EpochIndex:
    """Closes epochs, keeps their trees, and finds people in them.

    Args:
        ledger: The log.
        directory: Where the trees rest, sealed; every file may be deleted.
        sidecar: Seals them, and hides handles.
        secret: 32 bytes, always the same; the padding is derived from it.
        keys: Returns the ledger key of everybody who is not erased.
    """

    def __init__(
        self,
        ledger: Ledger,
        directory: Path,
        *,
        sidecar: SidecarSealer,
        secret: bytes,
        keys: Keys,
    ) -> None:
        self._ledger = ledger
        self._sidecar = sidecar
        self._secret = secret
        self._keys = keys
        self._shelf = Shelf(directory, sidecar)
        self._closing = threading.RLock()
        self._trees: Held[tuple[int, bytes, object], tuple[IndexTree, dict[bytes, Row]]] = Held(
            HELD
        )

    def close(self) -> list[Closed]:
        """Close the present epoch up to this moment, and any that a crash left open.

        Nothing is closed if only leaves about epochs came since the last time.

        Raises:
            TamperedError: An item of an entry is neither a person's nor padding.
        """
        with self._closing:
            self._begin()
            return self.finish()

    def _begin(self) -> None:
        epochs = self._ledger.epochs
        if any(
            leaf["k"] != EPOCH_KIND for _, leaf in self._ledger.leaves(epochs.begin(epochs.current))
        ):
            number = epochs.current + 1
            # made here, since an append may come from inside a transaction that makes no keys
            self._sidecar.batch(segment=INDEX_SEGMENT, month=number)
            self._ledger.append([_leaf({"state": "begin", "epoch": number})])

    def finish(self) -> list[Closed]:
        """Write the root of every epoch that is over and has none; after a crash there is one."""
        with self._closing:
            self._sidecar.batch(segment=INDEX_SEGMENT, month=self._ledger.epochs.current)
            return [self._finish(epoch) for epoch in self._ledger.epochs.open]

    def closed(self) -> list[Closed]:
        """Return every closed epoch, from epoch 0 on."""
        return [self.entry_of(epoch) for epoch in range(self._ledger.epochs.closed())]

    def entry_of(self, epoch: int) -> Closed:
        """Return what the log says of a closed epoch.

        Raises:
            MissingError: It is not closed.
        """
        entry = self._ledger.epochs.root(epoch)
        if entry is None:
            raise MissingError("this epoch is not closed", rule="index.epoch")
        ((_, leaf),) = self._ledger.leaves(entry, entry + 1)
        first, stop = self._ledger.epochs.span(epoch)
        return Closed(
            epoch=epoch, first=first, stop=stop, entry=entry, root=unb64(leaf["pub"]["root"])
        )

    def tree(self, epoch: int) -> tuple[IndexTree, dict[bytes, Row]]:
        """Return the tree of a closed epoch, with its rows by label; computed again if it was deleted.

        Raises:
            MissingError: It was deleted, and somebody in it was erased since.
        """
        closed = self.entry_of(epoch)
        # what is held was compared with the root; of a file that is another now, or gone, it says nothing
        name = (epoch, closed.root, self._shelf.state(epoch))
        if (held := self._trees.get(name)) is not None:
            return held
        rows = self._shelf.get(epoch)
        fresh = rows is None
        if rows is None:
            rows = list(self._rows(epoch))
        tree = IndexTree(((row.label, row.value) for row in rows), seed=self.seed(epoch))
        if tree.root != closed.root:
            if fresh:
                raise MissingError(
                    f"the index of epoch {epoch} was deleted and cannot be made again",
                    rule="index.deleted",
                    fix="put back its file; somebody in it was erased, or their key is missing",
                )
            raise TamperedError(f"the index of epoch {epoch} was changed", rule="index.root")
        if fresh:
            self._shelf.put(epoch, rows, month=self._month(closed.entry))
            return tree, {row.label: row for row in rows}
        found = tree, {row.label: row for row in rows}
        self._trees.put(name, found, _size_of(tree, rows))
        return found

    def places(self, epoch: int, key: bytes) -> list[int]:
        """Return the entries of a closed epoch about one person, by their key of it, ascending.

        It believes the sealed file and builds no tree: what is to be proved takes ``tree``.

        Raises:
            TamperedError: The file was changed.
            MissingError: It was deleted, and somebody in it was erased since.
        """
        label = label_of(key)
        rows = self._shelf.get(epoch)
        if rows is None:
            found = self.tree(epoch)[1].get(label)
        else:
            found = next((row for row in rows if row.label == label), None)
        return [] if found is None else found.places(key)

    def forget(self) -> None:
        """Hold no tree any more: somebody was erased."""
        self._trees.forget()

    def seed(self, epoch: int) -> bytes:
        """Return what the padding of an epoch's tree is derived from."""
        return hmac.digest(self._secret, _SEED + epoch.to_bytes(8, "big"), "sha256")

    def entries(self, epoch: int) -> Iterator[tuple[int, Opening, dict[bytes, int] | None]]:
        """Yield index, opening and handles of every entry about people; no handles once they are gone."""
        first, stop = self._ledger.epochs.span(epoch)
        gone = False  # one key hides those of the whole epoch
        for index, raw, leaf, opening in self._ledger.openings(first, stop, opens=_about_people):
            if opening is None:
                if leaf["sub"] != _NOBODY:
                    raise ShreddedError(
                        f"the side-car of entry {index} opens no more", rule="sidecar.key"
                    )
                continue
            handles = None
            if not gone:
                try:
                    handles = self._ledger.handles_in(raw, opening, epoch=epoch)
                except ShreddedError:
                    gone = True
            yield index, opening, handles

    def _finish(self, epoch: int) -> Closed:
        first, stop = self._ledger.epochs.span(epoch)
        rows = list(self._rows(epoch))
        tree = IndexTree(((row.label, row.value) for row in rows), seed=self.seed(epoch))
        # the tree first: it can be made again from the side-cars, but not once somebody is erased
        self._shelf.put(epoch, rows, month=self._month(stop))
        facts: dict[str, int | str] = {
            "state": "root",
            "epoch": epoch,
            "first": first,
            "stop": stop,
            "root": b64(tree.root),
        }
        (receipt,) = self._ledger.append([_leaf(facts, ref=stop)])
        return Closed(epoch=epoch, first=first, stop=stop, entry=receipt.index, root=tree.root)

    def _rows(self, epoch: int) -> Iterator[Row]:
        """Yield everybody's row, from one pass: of an entry its index and its nonce are held, of a list its numbers."""
        known = {
            label_of(key)[:HANDLE]: key for key in (epoch_key(one, epoch) for one in self._keys())
        }
        indices, nonces = array("Q"), bytearray()
        lists: dict[bytes, array[int]] = {}  # by handle which of those entries are about them
        strangers: set[bytes] = set()
        for index, opening, handles in self.entries(epoch):
            for handle in self._match(opening, handles, known, strangers):
                lists.setdefault(handle, array("Q")).append(len(indices))
            indices.append(index)
            nonces += opening.people.nonce
        if len(strangers) > self._erasures(epoch):
            raise TamperedError(
                "entries are about people whose keys are gone, though nobody was erased",
                rule="index.strangers",
                fix="put back the newest control database",
            )
        for handle, numbers in lists.items():
            key = known[handle]
            value = hashlib.sha256(start_of(key, len(numbers)))
            for at in numbers:
                tag = tag_of(key, bytes(nonces[at * HASH : (at + 1) * HASH]))
                value.update(indices[at].to_bytes(8, "big") + tag)
            yield Row.of(key, value.digest(), [indices[at] for at in numbers])

    def _match(
        self,
        opening: Opening,
        handles: dict[bytes, int] | None,
        known: dict[bytes, bytes],
        strangers: set[bytes],
    ) -> list[bytes]:
        """Return the handles of the people of an entry, after its every item is accounted for."""
        people = opening.people
        rest = set(people.items) - people.padding()
        if handles is None:  # hidden for good: everybody is tried
            return [one for one, key in known.items() if item_of(key, people.nonce) in rest]
        found: list[bytes] = []
        for handle, flags in handles.items():
            key = known.get(handle)
            if key is None:
                strangers.add(handle)
                continue
            rest.discard(item_of(key, people.nonce, flags))
            found.append(handle)
        if len(rest) != len(handles) - len(found):
            raise TamperedError(
                "an item of an entry is neither a person's nor padding", rule="index.item"
            )
        return found

    def _erasures(self, epoch: int) -> int:
        first, _ = self._ledger.epochs.span(epoch)
        return sum(
            leaf["k"] == "erasure" and leaf.get("ref") is None
            for _, leaf in self._ledger.leaves(first)
        )

    def _month(self, index: int) -> int:
        return self._shelf.month_of(self._ledger.leaf(index))


def start_of(key: bytes, count: int) -> bytes:
    """Return what the hash over a person's list begins with."""
    return hmac.digest(key, _INDEX, "sha256") + count.to_bytes(4, "big")


def fill(seed: bytes, number: int) -> tuple[bytes, bytes]:
    """Return label and value of a row that stands for nobody."""
    stem = _FILL + number.to_bytes(4, "big")
    return hmac.digest(seed, stem + b"label", "sha256"), hmac.digest(
        seed, stem + b"value", "sha256"
    )


def _about_people(leaf: dict[str, Any]) -> bool:
    return bool(leaf["sub"] != _NOBODY)


def _size_of(tree: IndexTree, rows: Iterable[Row]) -> int:
    """Return about how many bytes a tree and its rows take in memory."""
    return len(tree.leaves) * 600 + sum(len(row.sealed) for row in rows)


def _leaf(facts: dict[str, int | str], ref: int | None = None) -> Entry:
    detail: dict[str, Any] = {}
    return Entry(
        kind=EPOCH_KIND,
        actor="keeper",
        object="index",
        detail=detail,
        public=facts,
        ref=ref,
        key=f"index/{facts['state']}/{facts['epoch']}",
    )
