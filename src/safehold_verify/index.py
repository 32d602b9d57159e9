"""The index of an epoch: how a person stands in it, and an auditor's check of the whole.

Keys of an epoch: everything of one person in one epoch comes from 32 bytes K. Their label is
``SHA-256("sh/label/v1" || K)``; in an entry with nonce N their tag is ``HMAC(K, "sh/tag/v1" || N)``
and their item ``SHA-256(HMAC(K, "sh/blind/v1" || N) || tag || flags)``. The tree of an epoch is an
RFC 6962 tree over ``label || SHA-256(r || u32 count || count x (u64 index || tag))``, sorted by
label, with ``r = HMAC(K, "sh/index/v1")``.

What holds when ``verify_index`` returns: every item of every entry of the epoch is that of a listed
person or padding, everybody's list is complete, and the tree over the lists is the one whose root
is in the log. What it cannot show: who the people are, or that nothing happened without an entry.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safehold_verify.epochs import MARK, Epochs
from safehold_verify.errors import VerificationError
from safehold_verify.files import (
    LARGEST_TEXT,
    Files,
    cut_bundle,
    parts,
    path_of,
    read_file,
    settled,
)
from safehold_verify.log import Report, verify_log
from safehold_verify.merkle import (
    EMPTY,
    HASH,
    WIDTH,
    leaf_hash,
    leaf_hashes,
    root_at,
    tree_root,
    tree_rows,
)
from safehold_verify.notes import parse_base64, parse_checkpoint
from safehold_verify.policy import Policy

_ERASURE = b'"k":"erasure"'
LOWEST, HIGHEST = bytes(HASH), b"\xff" * HASH


def label_of(key: bytes) -> bytes:
    """Return a person's label from their key of an epoch."""
    return hashlib.sha256(b"sh/label/v1" + key).digest()


def tag_of(key: bytes, nonce: bytes) -> bytes:
    """Return a person's tag in an entry."""
    return hmac.digest(key, b"sh/tag/v1" + nonce, "sha256")


def item_of(key: bytes, nonce: bytes, flags: int) -> bytes:
    """Return a person's item in an entry."""
    blind = hmac.digest(key, b"sh/blind/v1" + nonce, "sha256")
    return hashlib.sha256(blind + tag_of(key, nonce) + bytes([flags])).digest()


def value_of(key: bytes, uses: Sequence[tuple[int, bytes]]) -> bytes:
    """Return what the tree holds for a person.

    Args:
        key: Their key of the epoch.
        uses: (index, nonce) of each entry about them, ascending.
    """
    listed = b"".join(index.to_bytes(8, "big") + tag_of(key, nonce) for index, nonce in uses)
    start = hmac.digest(key, b"sh/index/v1", "sha256") + len(uses).to_bytes(4, "big")
    return hashlib.sha256(start + listed).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexReport:
    """What was found to hold of one epoch.

    Args:
        origin: Name of the log.
        epoch: Number of the epoch.
        first: Its first leaf.
        stop: The leaf after its last.
        root: Root of its index, hex.
        entries: Entries in it that are about people.
        people: People with at least one entry.
        closed: Rows nobody's key was given for: of people who were erased since. Whether their lists were complete is
            not shown any more; 0 is the full check.
        unaccounted: Items that may be theirs.
    """

    origin: str
    epoch: int
    first: int
    stop: int
    root: str
    entries: int
    people: int
    closed: int
    unaccounted: int

    def payload(self) -> dict[str, object]:
        """Return the report as JSON values."""
        return asdict(self)


def verify_index(
    directory: Path | str,
    policy: Policy | Path | str,
    bundle: bytes,
    *,
    heads: Sequence[bytes] = (),
) -> IndexReport:
    """Compute the index of one epoch again and compare it with the log.

    Args:
        directory: The exported log; it is checked first.
        policy: Whose word counts; from outside the directory.
        bundle: What the keeper wrote for the auditor, opened.
        heads: Heads of the log kept elsewhere.

    Raises:
        VerificationError: An item is nobody's, a person or an entry is left out, a list is not
            complete, or the root is another one; ``where`` says where.
    """
    found = verify_log(directory, policy, heads=heads)
    said = read_json(bundle, "bundle")
    match said:
        case {"v": "safehold.audit/1", "origin": str(origin), "epoch": int(epoch), "seed": str(seed),
              "people": list(people), "closed": list(closed), "entries": list(entries)} if (
            len(said) == 7
        ):  # fmt: skip
            pass
        case _:
            raise VerificationError("not an audit bundle", where="bundle")
    if origin != found.origin:
        raise VerificationError("it is about another log", where="bundle")
    epochs, erasures, about = Epochs(), list[int](), dict[int, str]()
    for index, leaf in Leaves(Path(directory), found):
        if MARK in leaf:
            epochs.note(index, json.loads(leaf))
        elif _ERASURE in leaf and "ref" not in json.loads(leaf):
            erasures.append(index)
        if epochs.current == epoch and parse_base64(sub := json.loads(leaf)["sub"]) != EMPTY:
            about[index] = sub
    if epoch not in epochs.closed:
        raise VerificationError(f"epoch {epoch} is not closed in this log", where="bundle")
    first, stop, text = epochs.closed[epoch]
    root = take(text, f"epoch {epoch}")
    erased = sum(index >= first for index in erasures)
    sets = _Sets(entries, about)
    rows = _rows(people, closed, sets)
    left = sets.check(may_be_closed=erased)
    if len(closed) > erased:
        raise VerificationError("more closed rows than erasures", where="bundle")
    if index_root(rows, take(seed, "bundle, seed")) != root:
        raise VerificationError(
            "the index in the log is not the one over these lists", where=f"epoch {epoch}"
        )
    return IndexReport(
        origin=origin,
        epoch=epoch,
        first=first,
        stop=stop,
        root=root.hex(),
        entries=len(about),
        people=len(people),
        closed=len(closed),
        unaccounted=left,
    )


def _rows(people: Sequence[Any], closed: Sequence[Any], sets: _Sets) -> list[tuple[bytes, bytes]]:
    """Return the rows of a tree: those of the people, computed, and those that are only given."""
    rows: list[tuple[bytes, bytes]] = []
    for number, one in enumerate(people):
        where = f"bundle, person {number}"
        match one:
            case [str(text), list(uses)]:
                key = take(text, where)
            case _:
                raise VerificationError("malformed", where=where)
        rows.append((label_of(key), value_of(key, sets.claim(key, uses, where))))
    for number, one in enumerate(closed):
        where = f"bundle, closed row {number}"
        match one:
            case [str(label), str(value)]:
                rows.append((take(label, where), take(value, where)))
            case _:
                raise VerificationError("malformed", where=where)
    return rows


class _Sets:
    """The items of every entry, and which of them are accounted for."""

    def __init__(self, entries: Sequence[Any], about: Mapping[int, str]) -> None:
        self._nonces: dict[int, bytes] = {}
        self._left: dict[int, set[bytes]] = {}
        for one in entries:
            match one:
                case [int(index), str(nonce), str(pad), str(joined)] if index in about:
                    self._add(index, nonce, pad, joined, about[index])
                case [int(index), *_]:
                    raise VerificationError("not about people", where=f"leaf {index}")
                case _:
                    raise VerificationError("malformed", where="bundle, entries")
        if missing := sorted(about.keys() - self._left.keys()):
            raise VerificationError("an entry is left out", where=f"leaf {missing[0]}")

    def _add(self, index: int, nonce: str, pad: str, joined: str, root: str) -> None:
        where = f"leaf {index}"
        raw = parse_base64(joined, where=where)
        items = [raw[at : at + HASH] for at in range(0, len(raw), HASH)]
        if index in self._left:
            raise VerificationError("an entry comes twice", where=where)
        if len(raw) % HASH or sorted(set(items)) != items:
            raise VerificationError("items out of order", where=where)
        if tree_root(b"".join(map(leaf_hash, items))) != parse_base64(root, where=where):
            raise VerificationError("the items are not those of the entry", where=where)
        self._nonces[index] = take(nonce, where)
        left = set(items)
        for number, key in enumerate([take(pad, where)] * len(items)):
            item = hmac.digest(key, b"sh/pad/v1" + number.to_bytes(4, "big"), "sha256")
            if item not in left:
                break
            left.discard(item)
        self._left[index] = left

    def claim(self, key: bytes, uses: Sequence[Any], where: str) -> list[tuple[int, bytes]]:
        """Return (index, nonce) of a person's entries, and tick their items off."""
        if not uses or any(type(one) is not int for one in uses) or sorted(set(uses)) != uses:
            raise VerificationError("a list out of order, or empty", where=where)
        for index in uses:
            left, nonce = self._left.get(index, set()), self._nonces.get(index, b"")
            item = next(
                (it for it in (item_of(key, nonce, f) for f in range(256)) if it in left), None
            )
            if item is None:
                raise VerificationError(f"leaf {index} is not about this person", where=where)
            left.discard(item)
        return [(index, self._nonces[index]) for index in uses]

    def check(self, *, may_be_closed: int) -> int:
        """Return how many items are not accounted for; none may be if nobody was erased."""
        for index, left in self._left.items():
            if len(left) > may_be_closed:
                raise VerificationError(
                    "an item is neither a listed person's nor padding", where=f"leaf {index}"
                )
        return sum(map(len, self._left.values()))


def index_root(rows: Sequence[tuple[bytes, bytes]], seed: bytes) -> bytes:
    """Return the root of an epoch's tree over people's rows, with sentinels and padding.

    Raises:
        VerificationError: A label comes twice, or is a sentinel's.
    """
    leaves = [*rows, (LOWEST, bytes(HASH)), (HIGHEST, bytes(HASH))]
    for number in range((1 << (len(leaves) - 1).bit_length()) - len(leaves)):
        stem = b"sh/index/fill/v1" + number.to_bytes(4, "big")
        leaves.append(
            (
                hmac.digest(seed, stem + b"label", "sha256"),
                hmac.digest(seed, stem + b"value", "sha256"),
            )
        )
    if len({label for label, _ in leaves}) != len(leaves):
        raise VerificationError("a label comes twice", where="index")
    return tree_root(b"".join(leaf_hash(label + value) for label, value in sorted(leaves)))


def read_json(data: bytes, where: str) -> dict[str, Any]:
    """Read a JSON object that is spelled in the one canonical way: sorted, ASCII, no spaces.

    Raises:
        VerificationError: It is not.
    """
    try:
        said = json.loads(data)
        spelled = json.dumps(said, sort_keys=True, separators=(",", ":")).encode()
    except (ValueError, RecursionError) as error:
        raise VerificationError("not JSON", where=where) from error
    if not isinstance(said, dict) or spelled != data:
        raise VerificationError("not in the canonical spelling", where=where)
    return said


def take(text: Any, where: str) -> bytes:
    """Return 32 bytes from base64.

    Raises:
        VerificationError: They are not that.
    """
    raw = parse_base64(text, where=where) if isinstance(text, str) else b""
    if len(raw) != HASH:
        raise VerificationError("not 32 bytes in base64", where=where)
    return raw


class Leaves:
    """The leaves of a log that was checked, read again and held against the root that was checked.

    Whoever can write to the directory may exchange its files after the check. So nothing is handed
    out of a bundle before its hashes have been found in that tree once more.

    Args:
        directory: The log; it may have grown.
        found: What the check said.

    Raises:
        VerificationError: These are not the files that were checked.
    """

    def __init__(self, directory: Path, found: Report) -> None:
        self._size = found.size
        with settled(directory):
            note = read_file(directory / "checkpoint", "checkpoint", limit=LARGEST_TEXT)
            # what it says is only used to name files
            self._now = parse_checkpoint(note.partition(b"\n\n")[0] + b"\n").size
            if self._now < found.size:
                raise self._changed("checkpoint")
            self._files = Files(directory)
            self._files.hold_edge(self._now)
        full, rest = divmod(found.size, WIDTH)
        tiles = [self._files.read("1", *one) for one in parts(self._now // WIDTH)]
        self._tops = b"".join(tiles)[: full * HASH]
        if rest:
            tail = self._files.read("0", full, min(WIDTH, self._now - full * WIDTH))
            self._tail = tree_root(tail[: rest * HASH])
        else:
            self._tail = b""
        if len(self._tops) != full * HASH or self._root(full).hex() != found.root:
            raise self._changed("tile/")

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        for number, width in parts(self._now):
            first = number * WIDTH
            if first >= self._size:
                return
            name = path_of("entries", number, width)
            entries, _ = cut_bundle(self._files.read("entries", number, width), width, name)
            entries = entries[: self._size - first]
            top = self._tops[number * HASH :][:HASH] or self._tail
            if tree_root(leaf_hashes(entries)) != top:
                raise self._changed(name)
            for at, entry in enumerate(entries, first):
                yield at, entry[1:]  # behind the zero byte that its hash begins with

    def _root(self, full: int) -> bytes:
        return root_at(tree_rows(self._tops), full, tail=self._tail)

    @staticmethod
    def _changed(where: str) -> VerificationError:
        return VerificationError("it was exchanged while it was checked", where=where)
