"""An employee's package: every use of their data in every closed epoch, or that there was none.

What holds when ``verify_package`` returns: for the person of these keys, the uses in the report are
all that the index of each closed epoch lists, from leaf 0 to ``covered`` without a gap, and each is
in the log. With a receipt from before, the keys are those the keeper was committed to then. What it
cannot show: that the index is complete (an auditor's statement says so), that nothing happened
without an entry (the keeper's construction says so), or, without a receipt, that the keys are this
person's and not those of somebody whose data nobody used.

Every byte of a package counts: it has one spelling, and every value in it is checked.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from safehold_verify.auditor import STATEMENT, statement_of
from safehold_verify.epochs import KIND
from safehold_verify.errors import VerificationError
from safehold_verify.files import read_file
from safehold_verify.head import open_head
from safehold_verify.index import (
    HIGHEST,
    LOWEST,
    item_of,
    label_of,
    read_json,
    take,
    value_of,
)
from safehold_verify.leaf import parse_leaf
from safehold_verify.merkle import HASH, leaf_hash, verify_inclusion
from safehold_verify.notes import ED25519, Checkpoint, VKey, open_note, parse_base64, parse_vkey
from safehold_verify.policy import Policy, load_policy
from safehold_verify.receipt import parse_receipt

FILE = "package.json"
LARGEST = 256 << 20  # bytes
FIELDS = ("act", "det", "obj")

_DEPTH = 63  # levels of a tree
_HORIZON = 16  # levels of the tree that a receipt holds


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One entry about the person.

    Args:
        index: Leaf of the log.
        epoch: The epoch it belongs to.
        time: Milliseconds since 1970, UTC.
        kind: What was done.
        purpose: What for, where the entry says so in the clear.
        told: What was disclosed of it: detail, object, and the actor if that was disclosed.
    """

    index: int
    epoch: int
    time: int
    kind: str
    purpose: str
    told: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One closed epoch.

    Args:
        epoch: Its number.
        first: Its first leaf.
        stop: The leaf after its last.
        count: Entries in it that are about the person.
        root: Root of the index in which the person was looked up, hex.
        auditors: Who has signed that this index is complete.
    """

    epoch: int
    first: int
    stop: int
    count: int
    root: str
    auditors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageReport:
    """What was found to hold.

    Args:
        origin: Name of the log.
        size: Entries in it.
        witnesses: Who cosigned the head that everything was proved against, with the latest time
            of each in seconds; what came later is not in the package.
        until: Time in milliseconds of the leaf that ends the last closed epoch, 0 if none is
            closed; the log's own clock says it.
        covered: The closed epochs cover the leaves before this one; later ones are not covered yet.
        spans: The closed epochs.
        uses: Every entry about the person in them.
        commitment: What the keys are committed by, hex; compare it with an earlier package's.
        bound: Whether a receipt from before was given and fits.
    """

    origin: str
    size: int
    witnesses: Mapping[str, int]
    until: int
    covered: int
    spans: tuple[Span, ...]
    uses: tuple[Use, ...]
    commitment: str
    bound: bool

    def payload(self) -> dict[str, object]:
        """Return the report as JSON values."""
        return asdict(self)


def verify_package(
    path: Path | str,
    policy: Policy | Path | str,
    *,
    receipt: bytes | None = None,
    statements: Sequence[bytes] = (),
    auditors: Sequence[str] = (),
) -> PackageReport:
    """Check an employee's package.

    Args:
        path: The package, or the directory it lies in.
        policy: Whose word counts; from outside.
        receipt: What the person got when they were enrolled.
        statements: Notes of auditors, each about the index of one epoch.
        auditors: Verifier keys of the auditors whose word counts; from outside.

    Raises:
        VerificationError: Something does not hold; ``where`` says what.
    """
    file = Path(path)
    file = file / FILE if file.is_dir() else file
    data = read_file(file, file.name, limit=LARGEST)
    said = read_json(data, "package")
    match said:
        case {"v": "safehold.package/1", "head": str(digest), "checkpoint": str(text),
              "commitment": str(committed), "epochs": list(epochs)} if len(said) == 5:  # fmt: skip
            pass
        case _:
            raise VerificationError("not a package", where="package")
    note = parse_base64(text, where="package, checkpoint")
    if hashlib.sha256(note).hexdigest() != digest:
        raise VerificationError("another checkpoint", where="package, head")
    trusted = load_policy(policy)
    head, signed = open_head(note, trusted, "package, checkpoint")
    commitment = take(committed, "package, commitment")
    bound = receipt is not None
    if receipt is not None:
        _check_receipt(receipt, head, commitment)
    reader = _Reader(head, commitment)
    for one in epochs:
        reader.read(one)
    keys = [_auditor(one, trusted) for one in auditors]
    for number, one in enumerate(statements, 1):
        _vouch(one, keys, head.origin, reader.spans, f"statement {number}")
    return PackageReport(
        origin=head.origin,
        size=head.size,
        witnesses=signed.witnesses,
        until=reader.until,
        covered=reader.stop,
        spans=tuple(reader.spans),
        uses=tuple(reader.uses),
        commitment=commitment.hex(),
        bound=bound,
    )


class _Reader:
    """Reads the epochs of a package, one after the other, without a gap."""

    def __init__(self, head: Checkpoint, commitment: bytes) -> None:
        self._head = head
        self._commitment = commitment
        self.stop = 0
        self.until = 0
        self.spans: list[Span] = []
        self.uses: list[Use] = []

    def read(self, said: Any) -> None:
        epoch, first = len(self.spans), self.stop
        where = f"epoch {epoch}"
        match said:
            case {"key": str(text), "bind": bind, "next": following, "root": closing,
                  "place": int(place), **rest}:  # fmt: skip
                key = take(text, where)
            case _:
                raise VerificationError("malformed", where=where)
        self._bind(epoch, label_of(key), bind, where)
        stop, _ = self._leaf(following, where)
        begun = {"state": "begin", "epoch": epoch + 1}
        if stop["kind"] != KIND or stop["pub"] != begun:
            raise VerificationError("the leaf after it does not begin the next", where=where)
        root_leaf, _ = self._leaf(closing, where)
        root = _root(root_leaf, epoch=epoch, first=first, stop=stop["index"], where=where)
        if place < 0:
            raise VerificationError("malformed", where=where)
        match rest:
            case {"path": path, "entries": list(entries), **more} if not more and entries:
                uses = [self._use(one, epoch, key, (first, stop["index"])) for one in entries]
                listed = [(use.index, nonce) for use, nonce in uses]
                if [index for index, _ in listed] != sorted({index for index, _ in listed}):
                    raise VerificationError("entries out of order", where=where)
                row = label_of(key) + value_of(key, listed)
                check_path(place, row, path, root, where=where)
                self.uses += [use for use, _ in uses]
                count = len(uses)
            case {"absent": [below, above], **more} if not more:
                low, depth = _neighbour(below, place, root, where)
                high, other = _neighbour(above, place + 1, root, where)
                if depth != other or not low < label_of(key) < high:
                    raise VerificationError("the neighbours do not show an absence", where=where)
                count = 0
            case _:
                raise VerificationError("malformed", where=where)
        self.spans.append(
            Span(epoch=epoch, first=first, stop=stop["index"], count=count, root=root.hex())
        )
        self.stop, self.until = stop["index"], stop["time"]

    def _bind(self, epoch: int, label: bytes, path: Any, where: str) -> None:
        if not isinstance(path, list) or len(path) != _HORIZON:
            raise VerificationError("the keys do not fit their commitment", where=where)
        check_path(epoch, label, path, self._commitment, where=where)

    def _leaf(self, said: Any, where: str, more: int = 0) -> tuple[dict[str, Any], bytes]:
        """Check that a leaf is in the log; return what it says, with its index, kind, time."""
        match said:
            case {"index": int(index), "leaf": str(text), "path": path} if len(said) == 3 + more:
                pass
            case _:
                raise VerificationError("malformed", where=where)
        raw = parse_base64(text, where=where)
        kind, time, ref = parse_leaf(raw)
        hashes = _hashes(path, where)
        verify_inclusion(index, self._head.size, leaf_hash(raw), hashes, self._head.root)
        facts = json.loads(raw)
        found = {"index": index, "kind": kind, "time": time, "ref": ref, "said": facts}
        return found | {"pub": facts.get("pub", {})}, raw

    def _use(self, said: Any, epoch: int, key: bytes, span: tuple[int, int]) -> tuple[Use, bytes]:
        where = f"epoch {epoch}, entry"
        leaf, _ = self._leaf(said, where, more=5)
        where = f"leaf {leaf['index']}"
        match said:
            case {"nonce": str(text), "flags": int(flags), "place": int(place), "set": path,
                  "told": dict(told)} if type(flags) is int and 0 <= flags < 256 and place >= 0:  # fmt: skip
                nonce = take(text, where)
            case _:
                raise VerificationError("malformed", where=where)
        if not span[0] <= leaf["index"] < span[1]:
            raise VerificationError("it belongs to another epoch", where=where)
        root = take(leaf["said"]["sub"], where)
        check_path(place, item_of(key, nonce, flags), path, root, where=where)
        shown = {name: _told(leaf["said"], name, one, where) for name, one in told.items()}
        use = Use(
            index=leaf["index"],
            epoch=epoch,
            time=leaf["time"],
            kind=leaf["kind"],
            purpose=str(leaf["pub"].get("purpose", "")),
            told=shown,
        )
        return use, nonce


def check_path(place: int, data: bytes, path: Any, root: bytes, *, where: str) -> None:
    """Check that data is a leaf of a tree with a power of two of leaves.

    Raises:
        VerificationError: It is not.
    """
    hashes = _hashes(path, where)
    try:
        verify_inclusion(place, 1 << len(hashes), leaf_hash(data), hashes, root)
    except VerificationError as error:
        raise VerificationError(error.message, where=where) from error


def _neighbour(said: Any, place: int, root: bytes, where: str) -> tuple[bytes, int]:
    """Return the label of a row that a tree holds at a place, and the depth of the tree."""
    match said:
        case {"label": str(label), "value": str(value), "path": list(path)} if len(said) == 3:
            found = take(label, where)
            if found in (LOWEST, HIGHEST) and take(value, where) != bytes(HASH):
                raise VerificationError("a sentinel with a value", where=where)
            check_path(place, found + take(value, where), path, root, where=where)
            return found, len(path)
        case _:
            raise VerificationError("malformed", where=where)


def _root(leaf: Mapping[str, Any], *, epoch: int, first: int, stop: int, where: str) -> bytes:
    facts = dict(leaf["pub"])
    root = take(facts.pop("root", ""), where)
    wanted = {"state": "root", "epoch": epoch, "first": first, "stop": stop}
    if leaf["kind"] != KIND or facts != wanted or leaf["ref"] != stop:
        raise VerificationError("the closing leaf is that of another range", where=where)
    return root


def _told(leaf: Mapping[str, Any], name: str, said: Any, where: str) -> str:
    match said:
        case {"r": str(r), "value": str(value)} if len(said) == 2 and name in FIELDS:
            raw = parse_base64(value, where=where)
            stem = take(r, where) + b"sh/commit/v1/" + name.encode() + b"\0"
            if hashlib.sha256(stem + raw).digest() != take(leaf[name], where):
                raise VerificationError(f"{name} is not what the leaf commits to", where=where)
            return raw.decode("utf-8", "replace")
        case _:
            raise VerificationError("malformed", where=where)


def _check_receipt(data: bytes, head: Checkpoint, commitment: bytes) -> None:
    receipt = parse_receipt(data)
    if receipt.origin != head.origin or receipt.size > head.size:
        raise VerificationError("it is about another log", where="receipt")
    if receipt.commitment != commitment.hex():
        raise VerificationError("the package was made with other keys", where="receipt")


def _auditor(text: str, policy: Policy) -> VKey:
    """Return an auditor's key, which must not be a log's: whoever runs that does not audit it."""
    key = parse_vkey(text)
    if key.algorithm != ED25519:
        raise VerificationError("not an auditor's key", where="auditor")
    if any(key.key == one.key for one in policy.logs):
        raise VerificationError("the log's own key is no auditor's", where="auditor")
    return key


def _vouch(note: bytes, keys: Sequence[VKey], origin: str, spans: list[Span], where: str) -> None:
    """Add whoever signed a statement to the epoch it is about, if it is about this very index."""
    try:
        signed = open_note(note, keys)
    except VerificationError as error:
        raise VerificationError(error.message, where=f"{where} ({error.where})") from error
    match signed.text.decode().split("\n"):
        case [head, name, stretch, _, ""] if head == STATEMENT:
            epoch = stretch.partition(" ")[0]
        case _:
            raise VerificationError("not an auditor's statement", where=where)
    if name != origin:
        raise VerificationError("it is about another log", where=where)
    span = next((one for one in spans if str(one.epoch) == epoch), None)
    if span is None:
        raise VerificationError("it is about an epoch that is not in the package", where=where)
    wanted = statement_of(
        origin=origin, epoch=span.epoch, first=span.first, stop=span.stop, root=span.root
    )
    if signed.text != wanted:
        raise VerificationError(
            f"the auditor found another index complete than the one used in epoch {span.epoch}",
            where=where,
        )
    names = {*span.auditors, *(one.key.name for one in signed.signatures)}
    spans[span.epoch] = replace(span, auditors=tuple(sorted(names)))


def _hashes(path: Any, where: str) -> Sequence[bytes]:
    if not isinstance(path, list) or len(path) > _DEPTH:
        raise VerificationError("not a path of hashes", where=where)
    return [take(one, where) for one in path]
