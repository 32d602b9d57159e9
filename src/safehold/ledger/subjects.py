"""Whose data an entry is about, without saying whose.

Each person gives one item, made with their own random key and a nonce of the entry, so that nobody
without that key can tell which item is theirs, and two entries cannot be linked. Sorting hides the
order, padding to a power of two hides the count. When a person's key is destroyed their items
become noise.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from safehold import ids
from safehold.errors import InvalidError
from safehold.ledger.tree import EMPTY, leaf_hash, merkle_root

_TAG = b"sh/tag/v1"
_BLIND = b"sh/blind/v1"


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
    """The sorted, padded items of one entry; empty if it is about nobody."""

    nonce: bytes
    items: tuple[bytes, ...]

    @property
    def root(self) -> bytes:
        """RFC 6962 root over the items."""
        if not self.items:
            return EMPTY
        return merkle_root([leaf_hash(item) for item in self.items])

    def find(self, subject: Subject) -> int | None:
        """Return where a person's item lies, if they are in the set."""
        try:
            return self.items.index(item_of(subject, self.nonce))
        except ValueError:
            return None


def item_of(subject: Subject, nonce: bytes) -> bytes:
    """Return a person's item under an entry nonce: SHA-256(blind, tag, flags)."""
    tag = hmac.digest(subject.key, _TAG + nonce, "sha256")
    blind = hmac.digest(subject.key, _BLIND + nonce, "sha256")
    return hashlib.sha256(blind + tag + bytes([subject.flags])).digest()


def gather(subjects: Sequence[Subject]) -> SubjectSet:
    """Return the set of some people under a fresh nonce.

    Raises:
        InvalidError: A key is not 32 bytes, flags are out of range, or a person is named twice.
    """
    if not subjects:
        return _NOBODY
    if any(len(one.key) != 32 or not 0 <= one.flags <= 255 for one in subjects):
        raise InvalidError("a subject has a 32-byte key and small flags", rule="ledger.subject")
    if len({one.key for one in subjects}) != len(subjects):
        raise InvalidError("a subject is named twice", rule="ledger.subject")
    nonce = ids.random_bytes(32)
    items = [item_of(one, nonce) for one in subjects]
    padding = (1 << (len(items) - 1).bit_length()) - len(items)
    noise = ids.random_bytes(32 * padding)
    items += [noise[at : at + 32] for at in range(0, len(noise), 32)]
    return SubjectSet(nonce=nonce, items=tuple(sorted(items)))


_NOBODY = SubjectSet(nonce=b"", items=())
