"""Whose data an entry is about, without saying whose.

Each person gives one item, made with a key of their own for one epoch and a nonce of the entry, so
that nobody without that key can tell which item is theirs, and two entries cannot be linked.
Sorting hides the order, padding to a power of two hides the count. The padding can be derived, but
only from bytes that lie in the sealed side-car: so an auditor who gets everybody's keys of one
epoch can account for every item, and nobody else can tell padding from people. When a person's key
is destroyed their items become noise.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from safehold import ids
from safehold.errors import InvalidError
from safehold.ledger.held import Held
from safehold.ledger.tree import EMPTY, HASH, fold, leaf_hashes, merkle_root

HANDLE = 16  # bytes: the beginning of a label, by which closing an epoch finds the person again

LARGE = 256  # items from which on the hashes over a set are held: a use of a crowd is on everybody's list
_ROWS: Held[bytes, list[bytes]] = Held(64 << 20)

_EPOCH = b"sh/epoch/v1"
_LABEL = b"sh/label/v1"
_TAG = b"sh/tag/v1"
_BLIND = b"sh/blind/v1"
_PAD = b"sh/pad/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A person, as the ledger may know them.

    Args:
        key: The person's ledger key, 32 random bytes; destroyed by erasure.
        flags: Classes of the data, 0 to 255.
    """

    key: bytes
    flags: int = 0

    def __repr__(self) -> str:
        return "Subject(key=...)"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectSet:
    """The sorted, padded items of one entry; empty if it is about nobody.

    Args:
        nonce: 32 random bytes of the entry.
        pad: 32 random bytes from which the padding is derived.
        items: People and padding, sorted.
        handles: For each person the beginning of their label, and their flags; sorted, joined.
            Known while an entry is drafted; of a stored entry see ``entry.open_handles``.
        epoch: The epoch whose keys they were made with; known as long as the handles.
    """

    nonce: bytes
    pad: bytes
    items: tuple[bytes, ...]
    handles: bytes = b""
    epoch: int = 0

    @property
    def root(self) -> bytes:
        """RFC 6962 root over the items."""
        if not self.items:
            return EMPTY
        if len(self.items) & (
            len(self.items) - 1
        ):  # not as it is written: only its root is asked for
            return merkle_root(leaf_hashes(self.items))
        return self.rows[-1]

    @property
    def rows(self) -> list[bytes]:
        """Hashes over the items, padded as they are, row by row: from the leaves to the root, each joined."""
        data = b"".join(self.items)
        held = len(self.items) >= LARGE
        name = hashlib.sha256(data).digest() if held else b""
        rows = _ROWS.get(name) if held else None
        if rows is None:
            rows = [b"".join(leaf_hashes(self.items))]
            while len(rows[-1]) > HASH:
                rows.append(fold(rows[-1]))
            if held:
                _ROWS.put(name, rows, 2 * len(data))
        return rows

    def path(self, place: int) -> list[bytes]:
        """Return the audit path of an item, from its sibling to a child of the root."""
        return [
            row[at * HASH : (at + 1) * HASH]
            for level, row in enumerate(self.rows[:-1])
            for at in [(place >> level) ^ 1]
        ]

    def find(self, key: bytes) -> tuple[int, int] | None:
        """Return (place, flags) of a person's item, by their key of the epoch, if they are in."""
        stem = stem_of(key, self.nonce)
        for flags in range(256):
            item = hashlib.sha256(stem + bytes([flags])).digest()
            if item in self.items:
                return self.items.index(item), flags
        return None

    def padding(self) -> set[bytes]:
        """Return the items that stand for nobody."""
        found: set[bytes] = set()
        held = set(self.items)
        while (item := padding_item(self.pad, len(found))) in held:
            found.add(item)
        return found


def epoch_key(key: bytes, epoch: int) -> bytes:
    """Return a person's key of one epoch; it opens no other and does not lead back."""
    return hmac.digest(key, _EPOCH + epoch.to_bytes(8, "big"), "sha256")


def label_of(key: bytes) -> bytes:
    """Return what a person is called in the index of an epoch, from their key of it."""
    return hashlib.sha256(_LABEL + key).digest()


def tag_of(key: bytes, nonce: bytes) -> bytes:
    """Return a person's tag in one entry, from their key of the epoch."""
    return hmac.digest(key, _TAG + nonce, "sha256")


def stem_of(key: bytes, nonce: bytes) -> bytes:
    """Return what a person's item in one entry is the hash of, before the flags: blind, tag."""
    return hmac.digest(key, _BLIND + nonce, "sha256") + hmac.digest(key, _TAG + nonce, "sha256")


def item_of(key: bytes, nonce: bytes, flags: int = 0) -> bytes:
    """Return a person's item in one entry: SHA-256(blind, tag, flags)."""
    return hashlib.sha256(stem_of(key, nonce) + bytes([flags])).digest()


def padding_item(pad: bytes, number: int) -> bytes:
    """Return an item that stands for nobody."""
    return hmac.digest(pad, _PAD + number.to_bytes(4, "big"), "sha256")


def gather(subjects: Sequence[Subject], epoch: int) -> SubjectSet:
    """Return the set of some people in an epoch, under a fresh nonce.

    Raises:
        InvalidError: A key is not 32 bytes, flags are out of range, or a person is named twice.
    """
    if not subjects:
        return _NOBODY
    if any(len(one.key) != 32 or not 0 <= one.flags <= 255 for one in subjects):
        raise InvalidError("a subject has a 32-byte key and small flags", rule="ledger.subject")
    if len({one.key for one in subjects}) != len(subjects):
        raise InvalidError("a subject is named twice", rule="ledger.subject")
    noise = ids.random_bytes(2 * HASH)
    nonce, pad = noise[:HASH], noise[HASH:]
    items, handles = [], []
    for one in subjects:
        key, flags = epoch_key(one.key, epoch), bytes([one.flags])
        items.append(hashlib.sha256(stem_of(key, nonce) + flags).digest())
        handles.append(label_of(key)[:HANDLE] + flags)
    missing = (1 << (len(items) - 1).bit_length()) - len(items)
    items += [padding_item(pad, number) for number in range(missing)]
    return SubjectSet(
        nonce=nonce,
        pad=pad,
        items=tuple(sorted(items)),
        handles=b"".join(sorted(handles)),
        epoch=epoch,
    )


_NOBODY = SubjectSet(nonce=b"", pad=b"", items=())
