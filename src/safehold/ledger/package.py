"""An employee's package: all that shows them, offline, every use of their data or that there was none.

What this holds: for every closed epoch a proof of their complete list or of their absence, for
every entry on it the leaf, its place in the log, their own item in it and what is disclosed of it,
and the keys of those epochs, which are theirs. Nothing else is in it: of others there are hashes,
and in a proof of absence the two neighbouring labels, which are random to everybody and used once.

A *receipt* commits the keeper to a person's keys before any use, without showing one: a tree over
their labels in the epochs to come. A package made with other keys does not fit an earlier receipt.

Format: one canonical JSON object (sorted keys, ASCII, no spaces), hashes and bytes in base64.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import orjson

from safehold import canonical
from safehold.canonical import b64
from safehold.ledger.entry import Opening
from safehold.ledger.index import Closed, EpochIndex
from safehold.ledger.note import Checkpoint
from safehold.ledger.subjects import epoch_key, label_of
from safehold.ledger.tree import HASH, fold, leaf_hash

if TYPE_CHECKING:
    from safehold.ledger.log import Ledger

PACKAGE = "safehold.package/1"
RECEIPT = "safehold.receipt/1"
ERASURE = "safehold.erasure/1"
HORIZON = 16  # a receipt covers the first 2^16 epochs

# what is disclosed of an entry beside its leaf; the acting person's name is only where the board decided so
TOLD: Mapping[str, Sequence[str]] = {
    "access.intent": ("obj", "det"),
    "ingest": ("obj",),
}


class Commitment:
    """What a person's keys of all epochs are committed by.

    Args:
        key: The person's ledger key.
    """

    def __init__(self, key: bytes) -> None:
        row = b"".join(
            [leaf_hash(label_of(epoch_key(key, epoch))) for epoch in range(1 << HORIZON)]
        )
        self._levels = [row]
        while len(row) > HASH:
            row = fold(row)
            self._levels.append(row)

    @property
    def root(self) -> bytes:
        """What the receipt holds."""
        return self._levels[-1]

    def path(self, epoch: int) -> list[bytes]:
        """Return the path of an epoch's label."""
        return [
            row[at * HASH : (at + 1) * HASH]
            for level, row in enumerate(self._levels[:-1])
            for at in [(epoch >> level) ^ 1]
        ]


def make_receipt(key: bytes, *, origin: str, size: int) -> bytes:
    """Return the receipt of a person's keys.

    Args:
        key: The person's ledger key.
        origin: Name of the log.
        size: Entries in it now.
    """
    said = {"v": RECEIPT, "origin": origin, "size": size, "commitment": b64(Commitment(key).root)}
    return canonical.encode(said)


def make_package(
    ledger: Ledger,
    index: EpochIndex,
    key: bytes,
    told: Mapping[int, Sequence[str]] = MappingProxyType({}),
) -> bytes:
    """Return a person's package over every closed and published epoch.

    Args:
        ledger: The log.
        index: Its epochs.
        key: The person's ledger key.
        told: Which parts of which entries are disclosed, where that is decided otherwise than ``TOLD``.
    """
    note = ledger.head()
    size = Checkpoint.parse(note[: note.rfind(b"\n\n") + 1]).size
    commitment = Commitment(key)
    packer = _Packer(ledger, index, size, told)
    epochs = []
    for closed in index.closed():
        if closed.entry >= size:
            break
        own = epoch_key(key, closed.epoch)
        epochs.append(
            {
                "key": b64(own),
                "bind": _all(commitment.path(closed.epoch)),
                "next": packer.leaf(closed.stop),
                "root": packer.leaf(closed.entry),
                **packer.place(closed, own),
            }
        )
    said = {
        "v": PACKAGE,
        "head": sha256(note).hexdigest(),
        "checkpoint": b64(note),
        "commitment": b64(commitment.root),
        "epochs": epochs,
    }
    return canonical.encode(said)


def erasure_receipt(ledger: Ledger, begun: int, done: int, amended: Sequence[int] = ()) -> bytes:
    """Return what proves an erasure to whoever asked for it: both leaves, in the log, with what they commit to.

    No key of anybody is in it, and no name: it proves that the request was carried out, not whose it was.

    Args:
        ledger: The log.
        begun: The leaf that tells what was made from the person and what becomes of it.
        done: The leaf that tells that it was carried out.
        amended: Leaves that tell what became of what was still due then.

    Raises:
        MissingError: No published head covers all of them yet.
    """
    note = ledger.head()
    size = Checkpoint.parse(note[: note.rfind(b"\n\n") + 1]).size

    def told(index: int) -> dict[str, Any]:
        opening = ledger.opening(index)
        return {
            "index": index,
            "leaf": b64(ledger.leaf(index)),
            "path": _all(ledger.path(index, size)),
            "told": {
                one: {"r": b64(opening.blinds[one]), "value": b64(opening.values[one])}
                for one in ("det", "obj")
            },
        }

    said: dict[str, Any] = {
        "v": ERASURE,
        "checkpoint": b64(note),
        "begun": told(begun),
        "done": told(done),
    }
    if amended:
        said["amended"] = [told(index) for index in amended]
    return canonical.encode(said)


class _Packer:
    def __init__(
        self, ledger: Ledger, index: EpochIndex, size: int, told: Mapping[int, Sequence[str]]
    ) -> None:
        self._ledger = ledger
        self._told = told
        self._index = index
        self._path = ledger.prover(size)

    def leaf(self, index: int) -> dict[str, Any]:
        return {
            "index": index,
            "leaf": b64(self._ledger.leaf(index)),
            "path": _all(self._path(index)),
        }

    def place(self, closed: Closed, key: bytes) -> dict[str, Any]:
        tree, rows = self._index.tree(closed.epoch)
        label = label_of(key)
        at, there = tree.find(label)
        if there:
            places = self._ledger.entries(rows[label].places(key))
            entries = [self.entry(index, leaf, opening, key) for index, leaf, opening in places]
            return {"place": at, "path": _all(tree.path(at)), "entries": entries}
        return {
            "place": at - 1,
            "absent": [
                {
                    "label": b64(tree.leaves[one][0]),
                    "value": b64(tree.leaves[one][1]),
                    "path": _all(tree.path(one)),
                }
                for one in (at - 1, at)
            ],
        }

    def entry(self, index: int, leaf: bytes, opening: Opening, key: bytes) -> dict[str, Any]:
        found = opening.people.find(key)
        at, flags = found if found is not None else (0, 0)
        return {
            "index": index,
            "leaf": b64(leaf),
            "path": _all(self._path(index)),
            "nonce": b64(opening.people.nonce),
            "flags": flags,
            "place": at,
            "set": _all(opening.people.path(at)),
            "told": {
                name: {"r": b64(opening.blinds[name]), "value": b64(opening.values[name])}
                for name in self._told.get(index, TOLD.get(orjson.loads(leaf)["k"], ()))
            },
        }


def _all(hashes: Sequence[bytes]) -> list[str]:
    return [b64(one) for one in hashes]
