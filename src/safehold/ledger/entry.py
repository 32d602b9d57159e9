"""One entry: what is published for ever, and what only the side-car knows.

A leaf holds no personal data in the clear. Actor, object and detail are each committed to with 32
fresh random bytes; the values and those bytes go to a sealed side-car whose key can be destroyed.
The side-car is bound to its leaf by the leaf *without* ``ct``: that hash is one of the side-car, and
cannot be known before it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, overload

import orjson

from safehold import canonical
from safehold.errors import TamperedError
from safehold.ledger.press import COMMIT_MARK
from safehold.ledger.subjects import HANDLE, Subject, SubjectSet

FIELDS = ("act", "obj", "det")  # the order of the blinding values in a side-car
INDEX_SEGMENT = "@index"  # of the side-car keys under which handles of an epoch are hidden
SIDECAR_MARK = b"sh/sidecar/v2"
OLD_SIDECAR_MARK = b"sh/sidecar/v1"  # bound to a hash of the leaf
SEGMENT = re.compile(r"[A-Za-z0-9._:/@-]{0,128}")

_CT = re.compile(rb'("ct":")[A-Za-z0-9+/]{43}=(")')
_sha256 = hashlib.sha256


# (what to hide, what each belongs to) -> sealed bytes of each
Seal = Callable[[Sequence[bytes], Sequence[bytes]], list[bytes]]


class SidecarSealer(Protocol):
    """Seal side-cars under keys that retention can destroy, never twice under one key and nonce."""

    def batch(self, *, segment: str, month: int) -> Seal:
        """Return what seals the side-cars of one commit.

        Args:
            segment: Segment of the leaves, may be empty.
            month: UTC month of the leaves as ``year * 100 + month``.
        """
        ...

    def open(self, *, segment: str, month: int, sealed: bytes, aad: bytes) -> bytes:
        """Return what was hidden, or raise ``ShreddedError`` or ``TamperedError``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Something to record.

    Args:
        kind: One of ``KINDS``.
        actor: Who acts; committed to, never in the clear.
        object: What is acted upon; as above.
        detail: Everything else; canonical JSON; as above.
        segment: Part of the company, in the clear, may be empty.
        charter: Hash of the charter in force, 32 bytes or none.
        subjects: Whose data it is about; only keyed tags under one root are recorded.
        public: Small facts that stay readable for ever; a closed list of keys a kind.
        ref: Index of the earlier leaf that this one completes.
        key: Idempotency key; a second entry with the same key is not appended.
    """

    kind: str
    actor: str
    object: str
    detail: Mapping[str, Any]
    segment: str = ""
    charter: bytes = b""
    subjects: Sequence[Subject] = ()
    public: Mapping[str, int | str] = field(default_factory=dict)
    ref: int | None = None
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """Where an entry stands in the log.

    Args:
        index: Number of the leaf, from 0.
        leaf_hash: Its RFC 6962 hash, 32 bytes.
        size: Size of the log when the receipt was given.
    """

    index: int
    leaf_hash: bytes
    size: int


class Receipts(Sequence[Receipt]):
    """The receipts of one call, in order; each is made when it is looked at.

    Args:
        indexes: Number of the leaf of every entry.
        hashes: Its RFC 6962 hash.
        size: Size of the log after the commit.
    """

    __slots__ = ("_hashes", "_indexes", "_size")

    def __init__(self, indexes: Sequence[int], hashes: Sequence[bytes], size: int) -> None:
        self._indexes = indexes
        self._hashes = hashes
        self._size = size

    def __len__(self) -> int:
        return len(self._indexes)

    @overload
    def __getitem__(self, at: int) -> Receipt: ...

    @overload
    def __getitem__(self, at: slice) -> Receipts: ...

    def __getitem__(self, at: int | slice) -> Receipt | Receipts:
        if isinstance(at, slice):
            return Receipts(self._indexes[at], self._hashes[at], self._size)
        return Receipt(index=self._indexes[at], leaf_hash=self._hashes[at], size=self._size)


def commit(name: str, value: bytes, blind: bytes) -> bytes:
    """Return the commitment to one field: SHA-256(blind, domain, name, 0, value)."""
    return _sha256(blind + COMMIT_MARK + name.encode() + b"\0" + value).digest()


def aad_of(leaf: bytes) -> bytes:
    """Return what the side-car of a stored leaf is bound to.

    Raises:
        TamperedError: The bytes are no leaf of this version.
    """
    return SIDECAR_MARK + _bare(leaf)


def open_bound(
    leaf: bytes, sidecar: SidecarSealer, *, segment: str, month: int, sealed: bytes
) -> bytes:
    """Return what was sealed for a leaf, bound to it as it is now or as it was before.

    Args:
        leaf: Its stored bytes.
        sidecar: Opens it.
        segment: Segment whose key sealed it.
        month: Month of that key; for handles of people, the epoch.
        sealed: What was sealed.

    Raises:
        ShreddedError: The key was destroyed.
        TamperedError: They do not belong together, or the bytes are no leaf of this version.
    """
    bare = _bare(leaf)
    try:
        return sidecar.open(segment=segment, month=month, sealed=sealed, aad=SIDECAR_MARK + bare)
    except TamperedError:
        old = OLD_SIDECAR_MARK + _sha256(bare).digest()
        return sidecar.open(segment=segment, month=month, sealed=sealed, aad=old)


def _bare(leaf: bytes) -> bytes:
    """Return a leaf without the hash of its side-car."""
    bare, found = _CT.subn(rb"\1\2", leaf, count=1)
    if not found:
        raise TamperedError("a leaf names no side-car", rule="ledger.leaf")
    return bare


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What a side-car says, checked against the commitments of its leaf."""

    actor: str
    object: str
    detail: dict[str, Any]
    blinds: dict[str, bytes]
    key: bytes
    people: SubjectSet
    hidden: bytes  # the people's handles, sealed under the key of the epoch
    values: dict[str, bytes]  # the fields as they were committed to


def unseal(leaf: bytes, plaintext: bytes) -> Opening:
    """Read an opened side-car and check every commitment of its leaf.

    Raises:
        TamperedError: The side-car does not say what the leaf commits to.
    """
    said = orjson.loads(leaf)
    try:
        blind, key, values, people, hidden = _unpack(plaintext)
        blinds = {name: blind[at * 32 : at * 32 + 32] for at, name in enumerate(FIELDS)}
        found = {
            name: canonical.b64(commit(name, value, blinds[name]))
            for name, value in zip(FIELDS, values, strict=True)
        }
        opening = Opening(
            actor=values[0].decode(),
            object=values[1].decode(),
            detail=orjson.loads(values[2]),
            blinds=blinds,
            key=key,
            people=people,
            hidden=hidden,
            values=dict(zip(FIELDS, values, strict=True)),
        )
    except (ValueError, IndexError) as error:
        raise TamperedError("a side-car is malformed", rule="ledger.sidecar") from error
    found["sub"] = canonical.b64(people.root)
    if any(said[name] != value for name, value in found.items()):
        raise TamperedError(
            "a side-car does not say what its leaf commits to", rule="ledger.commitment"
        )
    return opening


def unseal_values(said: Mapping[str, Any], plaintext: bytes) -> list[bytes]:
    """Return actor, object and detail of an opened side-car, checked against their commitments.

    Raises:
        TamperedError: The side-car does not say what the leaf commits to.
    """
    parts, at = [], 1
    for _ in range(2 + len(FIELDS)):
        stop = at + 4 + int.from_bytes(plaintext[at : at + 4], "big")
        parts.append(plaintext[at + 4 : stop])
        at = stop
    blind, _key, *values = parts
    if plaintext[:1] != b"\2" or at > len(plaintext) or len(blind) != 32 * len(FIELDS):
        raise TamperedError("a side-car is malformed", rule="ledger.sidecar")
    for number, (name, value) in enumerate(zip(FIELDS, values, strict=True)):
        made = commit(name, value, blind[number * 32 : number * 32 + 32])
        if said[name] != canonical.b64(made):
            raise TamperedError(
                "a side-car does not say what its leaf commits to", rule="ledger.commitment"
            )
    return values


def open_handles(
    leaf: bytes, opening: Opening, sidecar: SidecarSealer, *, epoch: int
) -> dict[bytes, int]:
    """Return the flags of the people of an entry, by the beginning of their labels.

    Raises:
        TamperedError: The handles do not belong to the entry.
        ShreddedError: The key that hid them was destroyed, because somebody was erased since.
    """
    if not opening.people.items:
        return {}
    plain = open_bound(leaf, sidecar, segment=INDEX_SEGMENT, month=epoch, sealed=opening.hidden)
    data = plain[4 : 4 + int.from_bytes(plain[:4], "big")]
    step = HANDLE + 1
    return {data[at : at + HANDLE]: data[at + HANDLE] for at in range(0, len(data), step)}


def _unpack(plaintext: bytes) -> tuple[bytes, bytes, list[bytes], SubjectSet, bytes]:
    parts, at = [], 1
    while at < len(plaintext):
        stop = at + 4 + int.from_bytes(plaintext[at : at + 4], "big")
        parts.append(plaintext[at + 4 : stop])
        at = stop
    if at != len(plaintext) or len(parts) != 9 or plaintext[0] != 2:
        raise ValueError("framing")
    blind, key, *values, nonce, items, pad, hidden = parts
    people = SubjectSet(
        nonce=nonce, pad=pad, items=tuple(items[at : at + 32] for at in range(0, len(items), 32))
    )
    return blind, key, values, people, hidden
