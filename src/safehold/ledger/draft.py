"""From entries to leaves and sealed side-cars, many at a time.

A call's entries are kept column by column, as plain bytes, and every step is one pass over a
column: an object for each entry would cost more than its hashes, and every few hundred of them wake
the garbage collector. The set of subjects is a part of its own, because it can be drawn again
between drafting and commit; everything else of an entry is drafted once.
"""

from __future__ import annotations

import hashlib
import struct
from binascii import b2a_base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import orjson

from safehold import canonical, ids
from safehold.errors import InvalidError
from safehold.ledger.entry import (
    COMMIT_MARK,
    FIELDS,
    SEGMENT,
    SIDECAR_MARK,
    Entry,
    Seal,
)
from safehold.ledger.kind import KINDS, VERSION, check_public
from safehold.ledger.subjects import Subject, SubjectSet, gather
from safehold.ledger.tile import LARGEST_ENTRY
from safehold.ledger.tree import EMPTY, leaf_hashes

LARGEST_TEXT = 4_096  # bytes of an actor or an object
LARGEST_DETAIL = 1 << 20  # bytes of canonical detail
LARGEST_NUMBER = 2**53 - 1

_ACT, _OBJ, _DET = (COMMIT_MARK + name.encode() + b"\0" for name in FIELDS)
_MOST_PUBLIC = 4_096  # public facts remembered as checked
_sha256 = hashlib.sha256
_u32 = struct.Struct(">I").pack
_LENGTHS = tuple(map(_u32, range(LARGEST_TEXT + 1)))
_NO_KEY = _u32(0)
_NO_PEOPLE = bytes(8)  # an empty nonce and no items
_NOBODY = b2a_base64(EMPTY, newline=False)


@dataclass(frozen=True, slots=True)
class Written:
    """Leaves in order, with the sealed side-car and the RFC 6962 hash of each."""

    leaves: list[bytes]
    sealed: list[bytes]
    hashes: list[bytes]


@dataclass(slots=True)
class Drafts:
    """Checked entries that lack only their time and the hashes of their side-cars.

    Args:
        kinds: Kind of each entry.
        segments: Segment of each.
        heads: Each leaf up to the place of ``ct``.
        middles: Each leaf from behind ``ct`` to the place of ``sub``.
        secrets: Each side-car up to the people.
        refs: The earlier leaf that an entry completes, by number of the entry.
        keys: Hashes of idempotency keys, by number of the entry.
        subjects: Whom an entry is about, by number of the entry; most are about nobody.
        people: The set drawn for them.
    """

    kinds: list[str] = field(default_factory=list)
    segments: list[str] = field(default_factory=list)
    heads: list[bytes] = field(default_factory=list)
    middles: list[bytes] = field(default_factory=list)
    secrets: list[bytes] = field(default_factory=list)
    refs: dict[int, int] = field(default_factory=dict)
    keys: dict[int, bytes] = field(default_factory=dict)
    subjects: dict[int, Sequence[Subject]] = field(default_factory=dict)
    people: dict[int, SubjectSet] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.kinds)

    def gather(self) -> None:
        """Draw the sets of subjects, under fresh nonces.

        Raises:
            InvalidError: A key is not 32 bytes, flags are out of range, or a person is named twice.
        """
        self.people = {at: gather(subjects) for at, subjects in self.subjects.items()}

    def pick(self, numbers: Sequence[int]) -> Drafts:
        """Return some of the entries, in the order given, without their keys and references."""
        places = list(enumerate(numbers))
        return Drafts(
            kinds=[self.kinds[at] for at in numbers],
            segments=[self.segments[at] for at in numbers],
            heads=[self.heads[at] for at in numbers],
            middles=[self.middles[at] for at in numbers],
            secrets=[self.secrets[at] for at in numbers],
            subjects={to: self.subjects[at] for to, at in places if at in self.subjects},
            people={to: self.people[at] for to, at in places if at in self.people},
        )

    def write(self, at_ms: int, seal_for: Callable[[str], Seal]) -> Written:
        """Seal the side-cars and return the leaves of one time.

        Args:
            at_ms: Time of the commit, milliseconds.
            seal_for: Returns what seals for a segment at that time.

        Raises:
            InvalidError: A leaf is longer than 65,535 bytes.
        """
        end = b'","t":%d,"v":"%b"}' % (at_ms, VERSION.encode())
        nobody = _NOBODY + end
        rests = [middle + nobody for middle in self.middles]
        plain = [secret + _NO_PEOPLE for secret in self.secrets]
        for at, people in self.people.items():
            rests[at] = self.middles[at] + b2a_base64(people.root, newline=False) + end
            plain[at] = self.secrets[at] + _pack_people(people)
        bound = [
            SIDECAR_MARK + _sha256(head + rest).digest()
            for head, rest in zip(self.heads, rests, strict=True)
        ]
        sealed = self._seal(plain, bound, seal_for)
        leaves = [
            head + b2a_base64(_sha256(one).digest(), newline=False) + rest
            for head, one, rest in zip(self.heads, sealed, rests, strict=True)
        ]
        if max(map(len, leaves), default=0) > LARGEST_ENTRY:
            raise InvalidError("a leaf is longer than 65,535 bytes", rule="ledger.entry.size")
        return Written(leaves, sealed, leaf_hashes(leaves))

    def _seal(
        self, plain: list[bytes], bound: list[bytes], seal_for: Callable[[str], Seal]
    ) -> list[bytes]:
        names = dict.fromkeys(self.segments)
        if len(names) == 1:
            return seal_for(self.segments[0])(plain, bound)
        sealed = [b""] * len(plain)
        for name in names:
            which = [at for at, segment in enumerate(self.segments) if segment == name]
            some = seal_for(name)([plain[at] for at in which], [bound[at] for at in which])
            for at, one in zip(which, some, strict=True):
                sealed[at] = one
        return sealed


def draft(entries: Sequence[Entry]) -> Drafts:
    """Check entries and commit to their fields, each under 32 fresh random bytes.

    Raises:
        InvalidError: Unknown kind, wrong type or size, or a reference that its kind cannot have.
    """
    made = Drafts()
    heads, middles, secrets = made.heads, made.middles, made.secrets
    noise = ids.random_bytes(96 * len(entries))  # one system call for all blinding values
    for number, entry in enumerate(entries):
        behind_act, behind_det, behind_obj, needs_ref = _frame(
            entry.kind, entry.segment, entry.charter
        )
        public = _public(entry.kind, entry.public) if entry.public else b""
        if entry.ref is not None:
            public += b',"ref":%d' % _ref(entry.kind, entry.ref)
            made.refs[number] = entry.ref
        elif needs_ref:
            raise InvalidError(f"{entry.kind} must name its intent", rule="ledger.ref", field="ref")
        actor, thing = _text(entry.actor, "actor"), _text(entry.object, "object")
        detail = _detail(entry.detail)
        key = _NO_KEY
        if entry.key:
            digest = made.keys[number] = _sha256(entry.key.encode()).digest()
            key = _u32(len(digest)) + digest
        if entry.subjects:
            made.subjects[number] = entry.subjects
        blind = noise[number * 96 : number * 96 + 96]
        act = _sha256(blind[:32] + _ACT + actor).digest()
        obj = _sha256(blind[32:64] + _OBJ + thing).digest()
        det = _sha256(blind[64:] + _DET + detail).digest()
        heads.append(b'{"act":"' + b2a_base64(act, newline=False) + behind_act)
        det, obj = b2a_base64(det, newline=False), b2a_base64(obj, newline=False)
        middles.append(b"".join((b'","det":"', det, behind_det, obj, b'"', public, behind_obj)))
        parts = (
            b"\1\0\0\0\x60", blind,
            key,
            _LENGTHS[len(actor)], actor,
            _LENGTHS[len(thing)], thing,
            _u32(len(detail)), detail,
        )  # fmt: skip
        secrets.append(b"".join(parts))
    made.kinds = [entry.kind for entry in entries]
    made.segments = [entry.segment for entry in entries]
    made.gather()
    return made


@lru_cache(1024)  # kinds and segments are few, and one charter is in force
def _frame(kind: str, segment: str, charter: bytes) -> tuple[bytes, bytes, bytes, bool]:
    """Return what stands in a leaf behind act, det and obj, and whether a reference must."""
    known = KINDS.get(kind)
    if known is None:
        raise InvalidError("a leaf of an unknown kind", rule="ledger.kind", field="kind")
    if len(charter) not in (0, 32):
        raise InvalidError("a charter hash has 32 bytes", rule="ledger.charter", field="charter")
    if not SEGMENT.fullmatch(segment):
        raise InvalidError("not a segment name", rule="ledger.segment", field="segment")
    return (
        b'","chr":"%b","ct":"' % b2a_base64(charter, newline=False),
        b'","k":"%b","obj":"' % kind.encode(),
        b',"seg":"%b","sub":"' % segment.encode(),
        known.needs_ref,
    )


_checked: dict[tuple[str, bytes], bytes] = {}


def _public(kind: str, facts: Mapping[str, int | str]) -> bytes:
    """Return the public facts as they stand in a leaf; those that were checked once come fast."""
    try:
        said = orjson.dumps(facts, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        said = b""  # the check says what is wrong
    if (text := _checked.get((kind, said))) is not None:
        return text
    check_public(kind, facts)
    text = b',"pub":' + orjson.dumps(dict(facts), option=orjson.OPT_SORT_KEYS)
    if len(_checked) >= _MOST_PUBLIC:
        _checked.clear()
    if said:
        _checked[kind, said] = text
    return text


def _ref(kind: str, ref: int) -> int:
    if type(ref) is not int or not 0 <= ref <= LARGEST_NUMBER or not KINDS[kind].refers:
        raise InvalidError(f"{kind} cannot refer to that", rule="ledger.ref", field="ref")
    return ref


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


def _pack_people(people: SubjectSet) -> bytes:
    items = b"".join(people.items)
    return b"%b%b%b%b" % (_u32(len(people.nonce)), people.nonce, _u32(len(items)), items)
