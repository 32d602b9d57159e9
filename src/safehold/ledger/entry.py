"""One entry: what is published for ever, and what only the side-car knows.

A leaf holds no personal data in the clear. Actor, object and detail are each committed to with 32
fresh random bytes; the values and those bytes go to a sealed side-car whose key can be destroyed.
The side-car is bound to its leaf by the hash of the leaf *without* ``ct``: with it, the hash would
have to contain itself.
"""

from __future__ import annotations

import hashlib
import re
import struct
from binascii import b2a_base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol

import orjson

from safehold import canonical
from safehold.errors import InvalidError, TamperedError
from safehold.ledger.epoch import EPOCH_KIND
from safehold.ledger.kind import KINDS, VERSION, check_public
from safehold.ledger.subjects import HANDLE, Subject, SubjectSet, gather
from safehold.ledger.tile import LARGEST_ENTRY
from safehold.ledger.tree import EMPTY

FIELDS = ("act", "obj", "det")  # the order of the blinding values in a side-car
LARGEST_TEXT = 4_096  # bytes of an actor or an object
LARGEST_DETAIL = 1 << 20  # bytes of canonical detail

_MARK = b"sh/sidecar/v1"
_TEXT_MARK = b"sh/commit/v1/"
_ACT, _OBJ, _DET = (_TEXT_MARK + name.encode() + b"\0" for name in FIELDS)
_SEGMENT = re.compile(r"[A-Za-z0-9._:/@-]{0,128}")
_CT = re.compile(rb'("ct":")[A-Za-z0-9+/]{43}=(")')
_TAIL = b',"v":"' + VERSION.encode() + b'"}'
_sha256 = hashlib.sha256
_u32 = struct.Struct(">I").pack
_NO_PEOPLE = bytes(16)  # no nonce, no items, no padding, no handles


Seal = Callable[[bytes, bytes], bytes]  # (what to hide, what it belongs to) -> sealed bytes


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


@dataclass(slots=True)  # not frozen: one is made for every entry, and freezing costs 2 us
class Draft:
    """A checked entry that lacks only its time and the hash of its side-car."""

    kind: str
    segment: str
    ref: int | None
    key: bytes
    head: bytes
    middle: bytes
    plaintext: bytes
    epoch: int = 0  # the epoch whose keys the people's items were made with
    facts: Mapping[str, int | str] | None = None  # what a leaf about an epoch says of it
    handles: bytes = b""  # of the people; sealed once more under a key of the epoch
    entry: Entry | None = None  # what it was drafted from, if the epoch matters
    blind: bytes = b""

    def leaf(self, tail: bytes, seal: Seal, hide: Seal | None = None) -> tuple[bytes, bytes]:
        """Return the leaf and its sealed side-car.

        Args:
            tail: What ``leaf_tail`` returns for the time of the commit.
            seal: Seals for the segment and that time.
            hide: Seals for the epoch, if the entry is about people.
        """
        rest = self.middle + tail
        aad, plaintext = _MARK + _sha256(self.head + rest).digest(), self.plaintext
        if hide is not None:
            hidden = hide(self.handles, aad)
            plaintext += _u32(len(hidden)) + hidden
        sealed = seal(plaintext, aad)
        leaf = self.head + b2a_base64(_sha256(sealed).digest(), newline=False) + rest
        if len(leaf) > LARGEST_ENTRY:
            raise InvalidError("a leaf is longer than 65,535 bytes", rule="ledger.entry.size")
        return leaf, sealed


def leaf_tail(at_ms: int) -> bytes:
    """Return how every leaf of a commit ends: its time in milliseconds and the version."""
    return b"%d" % at_ms + _TAIL


def draft(entry: Entry, blind: bytes, epoch: int = 0) -> Draft:
    """Check an entry and commit to its fields.

    Args:
        entry: What to record.
        blind: 96 fresh random bytes, for this entry alone.
        epoch: The epoch it will probably belong to; the sequencer drafts again if it does not.

    Raises:
        InvalidError: Unknown kind, wrong type or size, or a reference that its kind cannot have.
    """
    kind = KINDS.get(entry.kind)
    if kind is None:
        raise InvalidError("a leaf of an unknown kind", rule="ledger.kind", field="kind")
    if entry.ref is None and kind.needs_ref:
        raise InvalidError(f"{entry.kind} must name its intent", rule="ledger.ref", field="ref")
    if entry.ref is not None and (type(entry.ref) is not int or not kind.refers or entry.ref < 0):
        raise InvalidError(f"{entry.kind} cannot refer to that", rule="ledger.ref", field="ref")
    if len(entry.charter) not in (0, 32):
        raise InvalidError("a charter hash has 32 bytes", rule="ledger.charter", field="charter")
    segment = _segment(entry.segment)
    public = ref = b""
    if entry.public:
        check_public(entry.kind, entry.public)
        public = b',"pub":' + orjson.dumps(dict(entry.public), option=orjson.OPT_SORT_KEYS)
    if entry.ref is not None:
        ref = b',"ref":%d' % entry.ref
    actor, thing = _text(entry.actor, "actor"), _text(entry.object, "object")
    detail = _detail(entry.detail)
    people = gather(entry.subjects, epoch)
    key = _sha256(entry.key.encode()).digest() if entry.key else b""
    act = _sha256(blind[:32] + _ACT + actor).digest()
    obj = _sha256(blind[32:64] + _OBJ + thing).digest()
    det = _sha256(blind[64:] + _DET + detail).digest()
    made = Draft(
        entry.kind,
        entry.segment,
        entry.ref,
        key,
        b'{"act":"%b","chr":"%b","ct":"'
        % (b2a_base64(act, newline=False), _charter(entry.charter)),
        b'","det":"%b","k":"%b","obj":"%b"%b%b,"seg":"%b","sub":"%b","t":'
        % (
            b2a_base64(det, newline=False),
            entry.kind.encode(),
            b2a_base64(obj, newline=False),
            public,
            ref,
            segment,
            _b64(people.root) if people.items else _NOBODY,
        ),
        _pack(blind, key, (actor, thing, detail), people),
    )
    if people.items:
        made.epoch, made.handles = epoch, _pad_handles(people)
        made.entry, made.blind = entry, blind
    elif entry.kind == EPOCH_KIND:
        made.facts = entry.public
    return made


def commit(name: str, value: bytes, blind: bytes) -> bytes:
    """Return the commitment to one field: SHA-256(blind, domain, name, 0, value)."""
    return _sha256(blind + _TEXT_MARK + name.encode() + b"\0" + value).digest()


def aad_of(leaf: bytes) -> bytes:
    """Return what the side-car of a stored leaf is bound to.

    Raises:
        TamperedError: The bytes are no leaf of this version.
    """
    bare, found = _CT.subn(rb"\1\2", leaf, count=1)
    if not found:
        raise TamperedError("a leaf names no side-car", rule="ledger.leaf")
    return _MARK + _sha256(bare).digest()


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


def _b64(data: bytes) -> bytes:
    return b2a_base64(data, newline=False)


_NOBODY = _b64(EMPTY)


@lru_cache(64)  # there is one charter in force, and few before it
def _charter(digest: bytes) -> bytes:
    return _b64(digest)


@lru_cache(1024)
def _segment(name: str) -> bytes:
    if not _SEGMENT.fullmatch(name):
        raise InvalidError("not a segment name", rule="ledger.segment", field="segment")
    return name.encode()


def _text(value: str, name: str) -> bytes:
    try:
        data = value.encode()
    except (UnicodeEncodeError, AttributeError) as error:
        raise InvalidError("not Unicode text", rule="ledger.text", field=name) from error
    if len(data) > LARGEST_TEXT:
        raise InvalidError("a text is too long", rule="ledger.text", field=name)
    return data


def _detail(value: Mapping[str, Any]) -> bytes:
    if type(value) is not dict and not isinstance(value, Mapping):
        raise InvalidError("detail is not a mapping", rule="ledger.detail", field="detail")
    data = canonical.encode(value)
    if len(data) > LARGEST_DETAIL:
        raise InvalidError("detail is too long", rule="ledger.detail", field="detail")
    return data


def _pack(
    blind: bytes, key: bytes, values: tuple[bytes, bytes, bytes], people: SubjectSet
) -> bytes:
    """Return nine parts, each behind its length in four bytes; of people, without the last."""
    actor, thing, detail = values
    crowd = _NO_PEOPLE
    if people.items:
        items = b"".join(people.items)
        crowd = b"".join(
            (_u32(len(people.nonce)), people.nonce, _u32(len(items)), items, _u32(32), people.pad)
        )
    return b"\2%b%b%b%b%b%b%b%b%b%b" % (
        _u32(len(blind)), blind,
        _u32(len(key)) + key,
        _u32(len(actor)), actor,
        _u32(len(thing)), thing,
        _u32(len(detail)), detail,
        crowd,
    )  # fmt: skip


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


def _pad_handles(people: SubjectSet) -> bytes:
    """Return the handles behind their length, as long as if there were no padding among the items."""
    size = len(people.items) * (HANDLE + 1)
    return _u32(len(people.handles)) + people.handles.ljust(size, b"\0")
