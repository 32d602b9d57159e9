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
from safehold.ledger import press
from safehold.ledger.entry import (
    SEGMENT,
    SIDECAR_MARK,
    Entry,
    Seal,
)
from safehold.ledger.epoch import EPOCH_KIND
from safehold.ledger.kind import KINDS, VERSION, check_public
from safehold.ledger.press import LARGEST_TEXT
from safehold.ledger.subjects import HANDLE, Subject, SubjectSet, gather
from safehold.ledger.tile import LARGEST_ENTRY
from safehold.ledger.tree import EMPTY

LARGEST_DETAIL = 1 << 20  # bytes of canonical detail
LARGEST_NUMBER = 2**53 - 1

_AT_ONCE = 1_024  # entries sealed in one go: what is made on the way stays near
_MOST_PUBLIC = 4_096  # public facts remembered as checked
_sha256 = hashlib.sha256
_u32 = struct.Struct(">I").pack
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

    def note(self, number: int, entry: Entry) -> tuple[bytes, bytes]:
        """Keep what few entries have, and return what a leaf and a side-car say of it.

        Raises:
            InvalidError: A reference is missing, or cannot be.
        """
        public = _public(entry.kind, entry.public) if entry.public else b""
        if entry.ref is not None:
            public += b',"ref":%d' % _ref(entry.kind, entry.ref)
            self.refs[number] = entry.ref
        elif KINDS[entry.kind].needs_ref:
            raise InvalidError(f"{entry.kind} must name its intent", rule="ledger.ref", field="ref")
        key = b""
        if entry.key:
            key = self.keys[number] = _sha256(entry.key.encode()).digest()
        if entry.subjects:
            self.subjects[number] = entry.subjects
        if entry.kind == EPOCH_KIND:
            self.facts[number] = entry.public, entry.ref
        return public, key

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
            part = self._write_some(some, end, seal_for, hide_for)
            if max(map(len, part.leaves)) > LARGEST_ENTRY:
                raise InvalidError("a leaf is longer than 65,535 bytes", rule="ledger.entry.size")
            made.leaves.extend(part.leaves)
            made.sealed.extend(part.sealed)
            made.hashes.extend(part.hashes)
        return made

    def _write_some(
        self,
        some: range,
        end: bytes,
        seal_for: Callable[[str], Seal],
        hide_for: Callable[[int], Seal],
    ) -> Written:
        """Return some leaves and their side-cars: so few that what leads to them is still at hand."""
        first, stop = some.start, some.stop
        heads, plain, nobody = self.heads[first:stop], self.secrets[first:stop], _NOBODY + end
        rests, bound = press.bind(SIDECAR_MARK, heads, self.middles[first:stop], nobody)
        people = [(at, self.people[at]) for at in some if at in self.people] if self.people else []
        for at, one in people:
            spot = at - first
            rests[spot] = self.middles[at] + b2a_base64(one.root, newline=False) + end
            bound[spot] = SIDECAR_MARK + heads[spot] + rests[spot]
            (hidden,) = hide_for(one.epoch)([_pad_handles(one)], [bound[spot]])
            plain[spot] = plain[spot][: -len(_NO_PEOPLE)] + _pack_people(one, hidden)
        sealed = _seal(self.segments[first:stop], plain, bound, seal_for)
        leaves, hashes = press.finish(heads, sealed, rests)
        return Written(leaves, sealed, hashes)


def draft(entries: Sequence[Entry], epoch: int = 0) -> Drafts:
    """Check entries and commit to their fields, each under 32 fresh random bytes.

    Args:
        entries: What to record.
        epoch: The epoch they will probably belong to; the sequencer draws the people again if not.

    Raises:
        InvalidError: Unknown kind, wrong type or size, or a reference that its kind cannot have.
    """
    made = Drafts()
    noise = ids.random_bytes(96 * len(entries))  # one system call for all blinding values
    made.kinds, made.segments, made.heads, made.middles, made.secrets = press.draft(
        entries,
        noise,
        orjson.dumps,
        canonical.encode_plain,
        _frame,
        _public,
        made.note,
        _text,
        _detail,
    )
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
    """Return what stands in a leaf behind act, det and obj, and whether the kind asks for more."""
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
        known.needs_ref or kind == EPOCH_KIND,
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
        _checked[kind, canonical.compact(said)] = text
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
