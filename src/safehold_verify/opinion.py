"""An auditor's words: made with the auditor's key, and checked in a log by anybody.

What holds when ``verify_opinion`` returns: the log is whole, it holds exactly this opinion by this key, over a head
and over epochs that are in it, and these are all the findings that the auditor signed in that engagement, with what
became of each. What it cannot show: that the board engaged this auditor; whose key counts is the caller's to say.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from safehold_verify.assize import KIND, VERSION, Assize, holds, message_of
from safehold_verify.auditor import Auditor
from safehold_verify.epochs import Epochs
from safehold_verify.errors import VerificationError
from safehold_verify.index import Leaves, read_json
from safehold_verify.log import verify_log
from safehold_verify.merkle import leaf_hash, tree_root
from safehold_verify.notes import ED25519, VKey, parse_vkey
from safehold_verify.policy import Policy
from safehold_verify.recompute import digest_of

ENGAGEMENT: Final = "safehold.engaged/1"
WORDS: Final = ("begun", "finding", "opinion", "finding.closed", "ended")


@dataclass(frozen=True, slots=True, kw_only=True)
class Engaged:
    """What an auditor got with the papers: the order by which the board engaged them, and its leaf.

    Args:
        index: Its leaf.
        sha256: Of the order, hex.
        order: What the order says.
    """

    index: int
    sha256: str
    order: Mapping[str, Any]

    @classmethod
    def read(cls, data: bytes) -> Engaged:
        """Read ``engagement.json``.

        Raises:
            VerificationError: It is none.
        """
        said = read_json(data, "engagement")
        match said:
            case {"v": "safehold.engaged/1", "index": int(index), "order": str(text)}:
                order = read_json(text.encode(), "engagement, order")
            case _:
                raise VerificationError("not an engagement", where="engagement")
        return cls(index=index, sha256=hashlib.sha256(text.encode()).hexdigest(), order=order)

    @property
    def scope(self) -> tuple[int, int]:
        """First and last epoch."""
        match self.order.get("scope"):
            case {"first": int(first), "last": int(last)}:
                return first, last
            case _:
                raise VerificationError("it names no epochs", where="engagement")


def make_word(
    auditor: Auditor,
    engaged: Engaged,
    state: str,
    facts: Mapping[str, int | str],
    *,
    ref: int | None = None,
    text: str = "",
) -> bytes:
    """Return a word of an auditor as a file, signed.

    Args:
        auditor: The auditor.
        engaged: The engagement it belongs to.
        state: One of ``WORDS``.
        facts: What it says.
        ref: The leaf it is about, the engagement's without.
        text: Words for people whose SHA-256 the facts name.

    Raises:
        VerificationError: Another auditor was engaged.
    """
    named = parse_vkey(str(engaged.order.get("vkey")))
    if named != auditor.vkey:
        raise VerificationError("somebody else was engaged", where="engagement")
    if state not in WORDS:
        raise VerificationError(f"not a word: {', '.join(WORDS)}", where="word")
    about = engaged.index if ref is None else ref
    said = {**facts, **({"sha256": hashlib.sha256(text.encode()).hexdigest()} if text else {})}
    made = {
        "v": VERSION,
        "engagement": engaged.sha256,
        "ref": about,
        "state": state,
        "facts": said,
        "text": text,
        "sig": base64.b64encode(
            auditor.sign_word(message_of(engaged.sha256, about, state, said))
        ).decode(),
    }
    return json.dumps(made, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def opinion_facts(
    report: Mapping[str, Any], opinion: str, findings: Sequence[bytes], at_ms: int
) -> dict[str, int | str]:
    """Return what an opinion says: of the report of ``recompute``, and of the findings that were signed.

    Raises:
        VerificationError: A report or a finding is none.
    """
    listed: dict[int, str] = {}
    for data in findings:
        match read_json(data.strip(), "finding"):
            case {"state": "finding", "facts": {"number": int(number), "sha256": str(sha)}}:
                listed[number] = sha
            case _:
                raise VerificationError("not a finding", where="finding")
    try:
        epochs = report["epochs"]
        return {
            "opinion": opinion,
            "size": int(report["size"]),
            "root": base64.b64encode(bytes.fromhex(report["root"])).decode(),
            "first": int(epochs[0][0]),
            "last": int(epochs[-1][0]),
            "epochs": str(report["digest"]),
            "counters": str(report["counters"]),
            "findings": len(listed),
            "listed": digest_of([listed[number] for number in sorted(listed)]),
            "at": at_ms,
        }
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise VerificationError("not a report of a recount", where="report") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class OpinionReport:
    """What was found to hold.

    Args:
        origin: Name of the log.
        entry: Leaf of the opinion.
        engagement: Leaf of the engagement.
        opinion: What it says.
        size: Leaves of the head it is over.
        first: First epoch that was computed again.
        last: Last of them.
        counters: SHA-256 of the counters that were compared, hex.
        at: When it was signed, milliseconds.
        findings: Leaf, number, severity, control, due day, and whether it is open, of each finding.
    """

    origin: str
    entry: int
    engagement: int
    opinion: str
    size: int
    first: int
    last: int
    counters: str
    at: int
    findings: tuple[dict[str, Any], ...]

    def payload(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


def verify_opinion(
    directory: Path | str,
    policy: Policy | Path | str,
    auditor: str | VKey,
    *,
    word: bytes | None = None,
    heads: Sequence[bytes] = (),
) -> OpinionReport:
    """Check the newest opinion of an auditor in a log.

    Args:
        directory: The exported log; it is checked first.
        policy: Whose word counts; from outside the directory.
        auditor: The key of the auditor, from outside the directory.
        word: The opinion as the auditor wrote it: it must be the one in the log.
        heads: Heads of the log kept elsewhere.

    Raises:
        VerificationError: There is none, or something it says is not so.
    """
    key = parse_vkey(auditor) if isinstance(auditor, str) else auditor
    if key.algorithm != ED25519:
        raise VerificationError("an auditor's key is Ed25519", where="auditor")
    found = verify_log(directory, policy, heads=heads)
    assize, epochs, hashes = Assize(), Epochs(), bytearray()
    audits: dict[int, dict[str, Any]] = {}
    for index, raw in Leaves(Path(directory), found):
        hashes += leaf_hash(raw)
        leaf = json.loads(raw)
        if leaf["k"] == "index.epoch":
            epochs.note(index, leaf)
        elif leaf["k"] == KIND:
            audits[index] = leaf
            assize.read(index, leaf.get("ref", -1), leaf.get("pub", {}))
    mine = [(at, one) for at, one in assize.held.items() if one.key == key.key and one.opinion >= 0]
    if not mine:
        raise VerificationError("no opinion of this auditor is in this log", where="auditor")
    engagement, held = mine[-1]
    facts = audits[held.opinion]["pub"]
    where = f"leaf {held.opinion}"
    if not holds(key.key, held.sha256, engagement, facts):
        raise VerificationError("the auditor has not signed it", where=where)
    if word is not None:
        _check_word(word, held.sha256, facts, where)
    root = base64.b64encode(tree_root(bytes(hashes[: 32 * facts["size"]]))).decode()
    if facts["root"] != root:
        raise VerificationError("it is over another head", where=where)
    scope = range(facts["first"], facts["last"] + 1)
    if not scope or any(one not in epochs.closed for one in scope):
        raise VerificationError("it names epochs that are not closed", where=where)
    spans = [[one, *_span(epochs.closed[one])] for one in scope]
    if facts["epochs"] != digest_of(spans):
        raise VerificationError("it is over other epochs", where=where)
    listed = [audits[at]["pub"]["sha256"] for _, at in sorted(held.findings.items())]
    if facts["listed"] != digest_of(listed):
        raise VerificationError("it lists other findings", where=where)
    closed = {one["ref"] for one in audits.values() if one["pub"]["state"] == "finding.closed"}
    return OpinionReport(
        origin=found.origin,
        entry=held.opinion,
        engagement=engagement,
        opinion=facts["opinion"],
        size=facts["size"],
        first=facts["first"],
        last=facts["last"],
        counters=facts["counters"],
        at=facts["at"],
        findings=tuple(
            {
                "entry": at,
                "open": at not in closed,
                **{
                    name: audits[at]["pub"][name]
                    for name in ("number", "severity", "control", "due")
                },
            }
            for _, at in sorted(held.findings.items())
        ),
    )


def _check_word(word: bytes, engagement: str, facts: Mapping[str, Any], where: str) -> None:
    said = read_json(word.strip(), "word")
    rest = {name: value for name, value in facts.items() if name not in ("state", "sig")}
    told = (said.get("engagement"), said.get("state"), said.get("facts"), said.get("sig"))
    if told != (engagement, "opinion", rest, facts.get("sig")):
        raise VerificationError("the log holds another opinion than this", where=where)


def _span(closed: tuple[int, int, str]) -> list[Any]:
    first, stop, root = closed
    return [first, stop, base64.b64decode(root).hex()]
