"""Leaves, their side-cars and their hashes, many in one call: compiled where it can be, else in Python.

A hash of a hundred bytes takes less time than calling for it, so a commit of thousands of entries
spends most of it in calls. ``press.c`` does the same to whole columns, with OpenSSL's SHA-256 and
without the interpreter's lock. What is here writes the same bytes, entry by entry; it is what runs where
no compiler was at hand when Safehold was installed. No key comes to either.
"""

from __future__ import annotations

import hashlib
import struct
from binascii import b2a_base64
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from safehold.ledger.entry import Entry

VERSION: Final = 2  # of the compiled module that this fits to
HASH: Final = 32
COMMIT_MARK: Final = b"sh/commit/v1/"
LARGEST_TEXT: Final = 4_096  # bytes of an actor or an object

_sha256 = hashlib.sha256
# Taking up a hash behind its first byte is faster than joining that byte to what is hashed.
_leaf, _node = _sha256(b"\0"), _sha256(b"\1")
_pairs = struct.Struct(f"{2 * HASH}s").iter_unpack
_ACT, _OBJ, _DET = (COMMIT_MARK + name + b"\0" for name in (b"act", b"obj", b"det"))
_u32 = struct.Struct(">I").pack
_blinds = struct.Struct("32s32s32s").iter_unpack
_LENGTHS = tuple(map(_u32, range(LARGEST_TEXT + 1)))
_NO_PEOPLE = bytes(16)  # no nonce, no items, no padding, no handles

# (kind, segment, charter) -> what stands behind act, det and obj; and whether there is more to the kind
Frame = Callable[[str, str, bytes], tuple[bytes, bytes, bytes, bool]]
Spell = Callable[[Mapping[str, Any]], bytes]  # raises what is no SafeholdError
Facts = Callable[[str, Mapping[str, int | str]], bytes]  # (kind, public facts) -> as in a leaf
# (number, entry) -> public facts and reference as in a leaf, hash of its idempotency key
More = Callable[[int, "Entry"], tuple[bytes, bytes]]
Text = Callable[[str, str], bytes]  # (text, name of the field) -> bytes
Detail = Callable[[Mapping[str, Any]], bytes]
Columns = tuple[list[str], list[str], list[bytes], list[bytes], list[bytes]]


def draft_plainly(  # noqa: PLR0917 - that of press.c, where names cost
    entries: Sequence[Entry],
    noise: bytes,
    _spell: Spell,
    _encode: Spell,
    frame: Frame,
    facts: Facts,
    more: More,
    text: Text,
    detail: Detail,
    /,
) -> Columns:
    """Return kinds, segments, leaves up to ``ct``, leaves from there to ``sub``, and side-cars.

    Args:
        entries: What to record.
        noise: 96 bytes an entry, the three blinding values.
        _spell: Writes JSON; it and the next save the compiled way a call.
        _encode: Writes canonical JSON of what is plain enough.
        frame: What all entries of a kind, a segment and a charter share; checks them.
        facts: Checks public facts.
        more: Takes what few entries have: a reference, an idempotency key, people.
        text: Checks an actor or an object.
        detail: Checks a detail.
    """
    heads: list[bytes] = []
    middles: list[bytes] = []
    secrets: list[bytes] = []
    sha256, base64, join = _sha256, b2a_base64, b"".join
    for number, (entry, blinds) in enumerate(zip(entries, _blinds(noise), strict=True)):
        act_blind, obj_blind, det_blind = blinds
        behind_act, behind_det, behind_obj, special = frame(
            entry.kind, entry.segment, entry.charter
        )
        key = b""
        if special or entry.ref is not None or entry.key or entry.subjects:
            public, key = more(number, entry)
        else:
            public = facts(entry.kind, entry.public) if entry.public else b""
        actor, thing = text(entry.actor, "actor"), text(entry.object, "object")
        said = detail(entry.detail)
        act = base64(sha256(act_blind + _ACT + actor).digest(), newline=False)
        obj = base64(sha256(obj_blind + _OBJ + thing).digest(), newline=False)
        det = base64(sha256(det_blind + _DET + said).digest(), newline=False)
        heads.append(b'{"act":"' + act + behind_act)
        middles.append(join((b'","det":"', det, behind_det, obj, b'"', public, behind_obj)))
        parts = (
            b"\2\0\0\0\x60", act_blind, obj_blind, det_blind,
            _LENGTHS[len(key)], key,
            _LENGTHS[len(actor)], actor,
            _LENGTHS[len(thing)], thing,
            _u32(len(said)), said,
            _NO_PEOPLE,
        )  # fmt: skip
        secrets.append(join(parts))
    kinds, segments = [one.kind for one in entries], [one.segment for one in entries]
    return kinds, segments, heads, middles, secrets


def bind_plainly(
    mark: bytes, heads: list[bytes], middles: list[bytes], tail: bytes, /
) -> tuple[list[bytes], list[bytes]]:
    """Return leaves from behind ``ct``, and what their side-cars are bound to."""
    rests = [middle + tail for middle in middles]
    return rests, [mark + head + rest for head, rest in zip(heads, rests, strict=True)]


def finish_plainly(
    heads: list[bytes], sealed: list[bytes], rests: list[bytes], /
) -> tuple[list[bytes], list[bytes]]:
    """Return leaves that name the hashes of their side-cars, and the RFC 6962 hash of each."""
    leaves = [
        head + b2a_base64(_sha256(one).digest(), newline=False) + rest
        for head, one, rest in zip(heads, sealed, rests, strict=True)
    ]
    return leaves, hash_plainly(leaves)


def hash_plainly(entries: Sequence[bytes], /) -> list[bytes]:
    """Return the hash of each entry (RFC 6962 section 2.1)."""
    found: list[bytes] = []
    fresh, keep = _leaf.copy, found.append
    for data in entries:
        one = fresh()
        one.update(data)
        keep(one.digest())
    return found


def fold_plainly(hashes: bytes, /) -> bytes:
    """Return the next level of a run of hashes; an odd last one is left out."""
    if odd := len(hashes) % (2 * HASH):
        hashes = hashes[:-odd]
    found: list[bytes] = []
    fresh, keep = _node.copy, found.append
    for (pair,) in _pairs(hashes):
        one = fresh()
        one.update(pair)
        keep(one.digest())
    return b"".join(found)


def pack_plainly(things: list[bytes], width: int, /) -> bytes:
    """Return byte strings one after the other, each behind its length.

    Raises:
        OverflowError: One is longer than ``width`` bytes can say.
    """
    parts = things * 2  # a length and a thing in turns: joining them pair by pair would copy twice
    parts[::2] = [len(one).to_bytes(width, "big") for one in things]
    parts[1::2] = things
    return b"".join(parts)


def cut_plainly(bundle: bytes, /) -> list[bytes]:
    """Return the entries of a bundle, each of which stood behind its length in two bytes.

    Raises:
        ValueError: It ends within an entry.
    """
    found: list[bytes] = []
    at, end = 0, len(bundle)
    while at + 2 <= end:
        stop = at + 2 + (bundle[at] << 8 | bundle[at + 1])
        if stop > end:
            break
        found.append(bundle[at + 2 : stop])
        at = stop
    if at != end:
        raise ValueError("it ends within an entry")
    return found


pack, cut = pack_plainly, cut_plainly
draft, bind, finish = draft_plainly, bind_plainly, finish_plainly
leaf_hashes: Callable[[Sequence[bytes]], list[bytes]] = hash_plainly
fold: Callable[[bytes], bytes] = fold_plainly
try:
    from safehold.ledger import _press
except ImportError:
    COMPILED = False
else:
    # another one was left by an older checkout, or is not ours
    if COMPILED := getattr(_press, "VERSION", None) == VERSION:
        draft, bind, finish = _press.draft, _press.bind, _press.finish
        leaf_hashes, fold = _press.leaf_hashes, _press.fold
        pack, cut = _press.pack, _press.cut
