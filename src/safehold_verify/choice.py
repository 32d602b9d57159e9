"""The receipt of a choice: what a person chose, that it is in the log, and that it was kept to since.

What holds when ``verify_choice`` returns: the leaf is in a log that the policy accepts and commits to exactly this
record; where the person signed, the signature is that of the key in it, over these very words; the leaf was written
under the charter that the record names. With ``verify_effect`` and the person's package: between the leaf of the choice
and the end of what the package covers, or a later choice that ended it, no entry about the person uses what they
forbade. What it cannot show: that the key is theirs (they compare it), and what the package cannot show.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safehold_verify.errors import VerificationError
from safehold_verify.files import LARGEST_ENTRY, read_file
from safehold_verify.head import open_head
from safehold_verify.index import read_json, take
from safehold_verify.leaf import parse_leaf
from safehold_verify.merkle import leaf_hash, verify_inclusion
from safehold_verify.notes import parse_base64
from safehold_verify.package import PackageReport, Use
from safehold_verify.passkey import verify_spoken
from safehold_verify.policy import Policy, load_policy

SKEW_MS = 2_000  # how far a planned moment and a leaf's time may lie apart
LARGEST = 4 * LARGEST_ENTRY  # bytes
USING = frozenset(
    {
        "access.intent", "ingest", "lease", "feature", "embed.export", "train.start", "train.end",
        "artifact.get",
    }
)  # fmt: skip
# what ends what a person forbade
ENDS: Mapping[str, frozenset[str]] = {
    "withdraw": frozenset({"consent"}),
    "erase": frozenset(),
    "pause": frozenset({"resume"}),
    "restrict": frozenset({"lift", "answer"}),
    "object": frozenset({"consent", "answer"}),
}
_DOMAIN = "safehold.choice.v1"
_SAID = b"safehold/said/1"
_HEAD = frozenset({"v", "home", "person", "charter", "nonce", "choice"})
# what the keeper writes beside what a person signed; whatever else is in the record, they signed
_BESIDE = frozenset(
    {
        "at_us", "by", "by_code", "case", "charter", "choice", "due_us", "evidence", "identity", "key", "method",
        "principal", "register", "request", "salt", "session", "signature", "standing", "statement", "version",
    }
)  # fmt: skip
# of these choices it also writes out what was left open: every purpose of the charter, no days
_WRITTEN_OUT = {"consent": "purposes", "correct": "days"}
_OWN_COPY = "right-of-access"
_DEPTH = 63


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What a receipt says and proves.

    Args:
        origin: Name of the log.
        index: The leaf.
        time: Milliseconds since 1970, UTC, by the log's own clock.
        choice: What was chosen.
        by: ``person``, ``sign-in``, ``operator``, or the seats of the board.
        key: The key that signed, base64, or a passkey; empty if nobody signed.
        session: Of a sign-in: the leaf of the session in which it was said, and the id of who was signed in.
        charter: Id and version of the charter in force, and its digest; empty before there was one.
        said: The whole record.
    """

    origin: str
    index: int
    time: int
    choice: str
    by: str
    key: str
    session: tuple[int, str] | tuple[()]
    charter: tuple[str, ...]
    said: Mapping[str, Any]

    def payload(self) -> dict[str, object]:
        """Return it as JSON values."""
        return {**asdict(self), "said": {k: v for k, v in self.said.items() if k != "salt"}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """That a choice was kept to.

    Args:
        first: The first leaf after the choice.
        stop: The leaf before which it is shown.
        ended_by: The later choice that ended it, -1 if none did.
        unexplained: The first later choice of which no receipt was given, -1 if there is none.
        copies: Entries that say they are copies which the person asked for, with their key: who did not ask for
            one knows that it is something else.
    """

    first: int
    stop: int
    ended_by: int = -1
    unexplained: int = -1
    copies: tuple[int, ...] = ()

    def payload(self) -> dict[str, object]:
        """Return it as JSON values."""
        return asdict(self)


def verify_choice(
    receipt: bytes | Path | str, policy: Policy | Path | str, *, key: str | None = None
) -> Choice:
    """Check the receipt of a choice.

    Args:
        receipt: Its bytes, or the path of its file.
        policy: Whose word counts; from outside.
        key: The person's public key, base64: what they chose must be signed with it.

    Raises:
        VerificationError: It does not hold.
    """
    if not isinstance(receipt, bytes):
        receipt = read_file(receipt, Path(receipt).name, limit=LARGEST)
    match said := read_json(receipt, "receipt"):
        case {"v": "safehold.choice-receipt/1", "checkpoint": str(note), "index": int(index),
              "leaf": str(text), "path": list(path), "detail": {"r": str(r), "value": str(value)},
              "record": str(record)} if len(said) == 7:  # fmt: skip
            pass
        case _:
            raise VerificationError("not the receipt of a choice", where="receipt")
    if len(path) > _DEPTH or type(index) is not int:
        raise VerificationError("not a path of hashes", where="receipt, path")
    head, _ = open_head(
        parse_base64(note, where="receipt, checkpoint"), load_policy(policy), "receipt, checkpoint"
    )
    raw = parse_base64(text, where="receipt, leaf")
    hashes = [take(one, "receipt, path") for one in path]
    verify_inclusion(index, head.size, leaf_hash(raw), hashes, head.root)
    kind, time, _ = parse_leaf(raw)
    if kind != "choice":
        raise VerificationError("the leaf is that of no choice", where="receipt, leaf")
    leaf = json.loads(raw)
    told = _record(leaf, r, value, parse_base64(record, where="receipt, record"))
    if key is not None and told.get("key") != key:
        raise VerificationError("it was not signed with this key", where="receipt, key")
    return Choice(
        origin=head.origin,
        index=index,
        time=time,
        choice=str(told["choice"]),
        by=str(told.get("by", "operator")),
        key=str(told.get("key", "")),
        session=_session(told),
        charter=_charter(told, leaf),
        said=told,
    )


def verify_effect(
    choice: Choice, package: PackageReport, *, later: Sequence[Choice] = ()
) -> Effect:
    """Check, with the person's package, that a choice was kept to.

    Args:
        choice: A verified receipt of what was forbidden.
        package: The verified package of the same person.
        later: Verified receipts of later choices: which of them ended it.

    Raises:
        VerificationError: An entry after it uses what was forbidden, the package does not reach it, or words that
            count once were recorded twice.
    """
    if choice.choice not in ENDS:
        raise VerificationError("this choice forbids nothing", where="receipt")
    if choice.origin != package.origin:
        raise VerificationError("the package is about another log", where="package")
    mine = {use.index: use for use in package.uses}
    if choice.index >= package.covered:
        raise VerificationError("the package ends before this choice", where="package")
    if choice.index not in mine or mine[choice.index].kind != "choice":
        # the leaf of a choice is about one person, so the package of nobody else has it
        raise VerificationError("the package does not list this choice", where="package")
    _once([choice, *later])
    explained = {one.index: one for one in later if one.origin == choice.origin}
    stop, ended, unexplained = package.covered, -1, -1
    copies: list[int] = []
    for use in package.uses:
        if use.index <= choice.index:
            continue
        if use.kind == "choice":
            known = explained.get(use.index)
            if known is None:
                unexplained, stop = use.index, use.index
                break
            if known.choice in ENDS[choice.choice]:
                ended, stop = use.index, use.index
                break
        elif use.kind == "access.intent" and use.purpose == _OWN_COPY:
            copies.append(use.index)
        elif _forbidden(choice, use):
            raise VerificationError(
                f"it is about you, and you had chosen otherwise at leaf {choice.index}",
                where=f"leaf {use.index}",
            )
    return Effect(
        first=choice.index + 1,
        stop=stop,
        ended_by=ended,
        unexplained=unexplained,
        copies=tuple(copies),
    )


def _once(choices: Sequence[Choice]) -> None:
    """Pass if nothing that the person signed stands at two leaves: it names a question that was answered once."""
    seen: dict[str, int] = {}
    for one in choices:
        said = one.said.get("statement")
        if isinstance(said, str) and seen.setdefault(said, one.index) != one.index:
            raise VerificationError(
                f"words that were signed for leaf {seen[said]} stand here again",
                where=f"leaf {one.index}",
            )


def _forbidden(choice: Choice, use: Use) -> bool:
    """Whether an entry after a choice does what the choice forbade."""
    if use.kind not in USING:
        return False
    said = _fields(choice.said)
    match choice.choice:
        case "object":
            return use.kind == "access.intent" and use.purpose in {"", *said.get("purposes", ())}
        case "pause":
            start, end = said.get("start_us"), said.get("end_us")
            begins = said["at_us"] if start is None else max(int(start), said["at_us"])
            if begins > said["at_us"] and use.time < begins // 1000 + SKEW_MS:
                return False  # planned, and not begun
            return end is None or use.time < end // 1000
        case _:
            return True


def _fields(said: Mapping[str, Any]) -> dict[str, Any]:
    statement = json.loads(said["statement"]) if "statement" in said else {}
    return {**statement, **said}


def _record(leaf: Mapping[str, Any], r: str, value: str, record: bytes) -> dict[str, Any]:
    """Return the record that a leaf commits to."""
    where = "receipt, record"
    raw = parse_base64(value, where="receipt, detail")
    stem = take(r, "receipt, detail") + b"sh/commit/v1/det\0"
    if hashlib.sha256(stem + raw).digest() != take(leaf["det"], "receipt, leaf"):
        raise VerificationError("not what the leaf commits to", where="receipt, detail")
    try:
        detail, told = json.loads(raw), json.loads(record)
    except (ValueError, RecursionError) as error:
        raise VerificationError("not JSON", where=where) from error
    digest = hashlib.sha256(_SAID + record).digest()
    if not isinstance(detail, dict) or digest != take(detail.get("said"), "receipt, detail"):
        raise VerificationError("not what the leaf commits to", where=where)
    if not isinstance(told, dict) or type(told.get("at_us", 0)) is not int or "choice" not in told:
        raise VerificationError("not the record of a choice", where=where)
    if "statement" in told or told.get("by") == "person":
        _signed(told)
    return told


def _session(told: Mapping[str, Any]) -> tuple[int, str] | tuple[()]:
    """Return where something was said in a session; nothing that a person signed is told as if it were that."""
    if told.get("by") != "sign-in":
        return ()
    match told.get("session"), told.get("principal"):
        case int(leaf), str(principal) if "statement" not in told and type(leaf) is int:
            return leaf, principal
        case _:
            raise VerificationError("not the record of a choice", where="receipt, record")


def _signed(told: Mapping[str, Any]) -> None:
    """Check the person's signature, and that nothing stands beside their words that contradicts them."""
    where = "receipt, statement"
    text, signature, key = (str(told.get(name, "")) for name in ("statement", "signature", "key"))
    verify_spoken(key, _DOMAIN, text.encode(), parse_base64(signature, where=where), where=where)
    try:
        said = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise VerificationError("the signature does not hold", where=where) from error
    if not isinstance(said, dict) or said.get("v") != "safehold.choice/1":
        raise VerificationError("not a statement of a choice", where=where)
    for name, value in told.items():
        if name in {"charter", "version"} or name not in said:
            continue
        if said[name] != value:
            raise VerificationError("the record says something else than was signed", where=where)
    beside = set(told) - set(said) - _BESIDE - {_WRITTEN_OUT.get(str(said.get("choice")), "")}
    if beside or said.get("choice") != told["choice"] or not set(said) >= _HEAD:
        raise VerificationError("the record says something else than was signed", where=where)


def _charter(told: Mapping[str, Any], leaf: Mapping[str, Any]) -> tuple[str, ...]:
    where = "receipt, charter"
    match told.get("charter"):
        case [] | None:
            return ()
        case [str(name), int(version), str(digest)]:
            if leaf["chr"] and take(leaf["chr"], where).hex() != digest:
                raise VerificationError("the leaf was written under another charter", where=where)
            return name, str(version), digest
        case _:
            raise VerificationError("malformed", where=where)
