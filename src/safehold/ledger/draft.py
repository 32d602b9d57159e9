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
from safehold.ledger.epoch import EPOCH_KIND
from safehold.ledger.kind import KINDS, VERSION, check_public
from safehold.ledger.subjects import HANDLE, Subject, SubjectSet, gather
from safehold.ledger.tile import LARGEST_ENTRY
from safehold.ledger.tree import EMPTY, leaf_hashes

LARGEST_TEXT = 4_096  # bytes of an actor or an object
LARGEST_DETAIL = 1 << 20  # bytes of canonical detail
LARGEST_NUMBER = 2**53 - 1

_ACT, _OBJ, _DET = (COMMIT_MARK + name.encode() + b"\0" for name in FIELDS)
_AT_ONCE = 256  # entries sealed in one go: what is made on the way fits the cache of a core
_MOST_PUBLIC = 4_096  # public facts remembered as checked
_sha256 = hashlib.sha256
_u32 = struct.Struct(">I").pack
_blinds = struct.Struct("32s32s32s").iter_unpack
_LENGTHS = tuple(map(_u32, range(LARGEST_TEXT + 1)))
_NO_KEY = _u32(0)
_NO_PEOPLE = bytes(16)  # no nonce, no items, no padding, no handles
_NOBODY = b2a_base64(EMPTY, newline=False)

Facts = tuple[Mapping[str, int | str], int | None]


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
        secrets: Each side-car as it is about nobody.
        refs: The earlier leaf that an entry completes, by number of the entry.
        keys: Hashes of idempotency keys, by number of the entry.
        subjects: Whom an entry is about, by number of the entry; most are about nobody.
        people: The set drawn for them.
        facts: What a leaf about an epoch says of it, and its reference, by number of the entry.
        epoch: The epoch that the sets were drawn for, up to the first leaf that begins another.
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
    facts: dict[int, Facts] = field(default_factory=dict)
    epoch: int = 0

    def __len__(self) -> int:
        return len(self.kinds)

    def gather(self, epoch: int) -> None:
        """Draw the sets of subjects, under fresh nonces.

        Args:
            epoch: The epoch that the first entry will belong to.

        Raises:
            InvalidError: A key is not 32 bytes, flags are out of range, or a person is named twice.
        """
        self.epoch = epoch
        begins = [at for at, (said, _) in self.facts.items() if said.get("state") == "begin"]
        self.people = {
            at: gather(subjects, epoch + sum(begin < at for begin in begins))
            for at, subjects in self.subjects.items()
        }

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
            facts={to: self.facts[at] for to, at in places if at in self.facts},
            # if a leaf that begins an epoch is left out, the sets behind it are for another one
            epoch=-1 if self.facts.keys() - set(numbers) else self.epoch,
        )

    def write(
        self, at_ms: int, seal_for: Callable[[str], Seal], hide_for: Callable[[int], Seal]
    ) -> Written:
        """Seal the side-cars and return the leaves of one time.

        Args:
            at_ms: Time of the commit, milliseconds.
            seal_for: Returns what seals for a segment at that time.
            hide_for: Returns what seals the handles of people in an epoch.

        Raises:
            InvalidError: A leaf is longer than 65,535 bytes.
        """
        end = b'","t":%d,"v":"%b"}' % (at_ms, VERSION.encode())
        made = Written([], [], [])
        for first in range(0, len(self), _AT_ONCE):
            some = range(first, min(first + _AT_ONCE, len(self)))
            leaves, sealed = self._write_some(some, end, seal_for, hide_for)
            if max(map(len, leaves)) > LARGEST_ENTRY:
                raise InvalidError("a leaf is longer than 65,535 bytes", rule="ledger.entry.size")
            made.leaves.extend(leaves)
            made.sealed.extend(sealed)
            made.hashes.extend(leaf_hashes(leaves))
        return made

    def _write_some(
        self,
        some: range,
        end: bytes,
        seal_for: Callable[[str], Seal],
        hide_for: Callable[[int], Seal],
    ) -> tuple[list[bytes], list[bytes]]:
        """Return some leaves and their side-cars: so few that what leads to them is still at hand."""
        first, stop = some.start, some.stop
        heads, plain, nobody = self.heads[first:stop], self.secrets[first:stop], _NOBODY + end
        rests = [middle + nobody for middle in self.middles[first:stop]]
        people = [(at, self.people[at]) for at in some if at in self.people] if self.people else []
        for at, one in people:
            rests[at - first] = self.middles[at] + b2a_base64(one.root, newline=False) + end
        bound = [SIDECAR_MARK + head + rest for head, rest in zip(heads, rests, strict=True)]
        for at, one in people:
            (hidden,) = hide_for(one.epoch)([_pad_handles(one)], [bound[at - first]])
            plain[at - first] = plain[at - first][: -len(_NO_PEOPLE)] + _pack_people(one, hidden)
        sealed = _seal(self.segments[first:stop], plain, bound, seal_for)
        leaves = [
            head + b2a_base64(_sha256(one).digest(), newline=False) + rest
            for head, one, rest in zip(heads, sealed, rests, strict=True)
        ]
        return leaves, sealed


def draft(entries: Sequence[Entry], epoch: int = 0) -> Drafts:
    """Check entries and commit to their fields, each under 32 fresh random bytes.

    Args:
        entries: What to record.
        epoch: The epoch they will probably belong to; the sequencer draws the people again if not.

    Raises:
        InvalidError: Unknown kind, wrong type or size, or a reference that its kind cannot have.
    """
    made = Drafts()
    heads, middles, secrets = made.heads, made.middles, made.secrets
    sha256, base64, join = _sha256, b2a_base64, b"".join
    noise = ids.random_bytes(96 * len(entries))  # one system call for all blinding values
    for number, (entry, blinds) in enumerate(zip(entries, _blinds(noise), strict=True)):
        act_blind, obj_blind, det_blind = blinds
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
            digest = made.keys[number] = sha256(entry.key.encode()).digest()
            key = _u32(len(digest)) + digest
        if entry.subjects:
            made.subjects[number] = entry.subjects
        if entry.kind == EPOCH_KIND:
            made.facts[number] = entry.public, entry.ref
        act = base64(sha256(act_blind + _ACT + actor).digest(), newline=False)
        obj = base64(sha256(obj_blind + _OBJ + thing).digest(), newline=False)
        det = base64(sha256(det_blind + _DET + detail).digest(), newline=False)
        heads.append(b'{"act":"' + act + behind_act)
        middles.append(join((b'","det":"', det, behind_det, obj, b'"', public, behind_obj)))
        parts = (
            b"\2\0\0\0\x60", act_blind, obj_blind, det_blind,
            key,
            _LENGTHS[len(actor)], actor,
            _LENGTHS[len(thing)], thing,
            _u32(len(detail)), detail,
            _NO_PEOPLE,
        )  # fmt: skip
        secrets.append(join(parts))
    made.kinds = [entry.kind for entry in entries]
    made.segments = [entry.segment for entry in entries]
    made.gather(epoch)
    return made


def _seal(
    segments: list[str], plain: list[bytes], bound: list[bytes], seal_for: Callable[[str], Seal]
) -> list[bytes]:
    names = dict.fromkeys(segments)
    if len(names) == 1:
        return seal_for(segments[0])(plain, bound)
    sealed = [b""] * len(plain)
    for name in names:
        which = [at for at, segment in enumerate(segments) if segment == name]
        some = seal_for(name)([plain[at] for at in which], [bound[at] for at in which])
        for at, one in zip(which, some, strict=True):
            sealed[at] = one
    return sealed


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
        said = orjson.dumps(facts)  # in their order: sorting them costs more than a second entry
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


def _pack_people(people: SubjectSet, hidden: bytes) -> bytes:
    parts = (people.nonce, b"".join(people.items), people.pad, hidden)
    return b"".join(_u32(len(part)) + part for part in parts)


def _pad_handles(people: SubjectSet) -> bytes:
    """Return the handles behind their length, as long as if there were no padding among the items."""
    size = len(people.items) * (HANDLE + 1)
    return _u32(len(people.handles)) + people.handles.ljust(size, b"\0")
