"""The receipt of an erasure: both of its leaves, in the log, with what they commit to.

What holds when ``verify_erasure`` returns: before any key was destroyed the log took a leaf that says
what was made from the person and what becomes of it, and after it a leaf that says it was carried
out; both are in a head that the policy accepts. What it cannot show: whose request it was (nobody can
show that any more, and only whoever knows the request's name can tie it to themselves), and that the
keeper did what it wrote.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safehold_verify.errors import VerificationError
from safehold_verify.files import read_file
from safehold_verify.head import open_head
from safehold_verify.index import read_json, take
from safehold_verify.leaf import parse_leaf
from safehold_verify.merkle import leaf_hash, verify_inclusion
from safehold_verify.notes import Checkpoint, parse_base64
from safehold_verify.policy import Policy, load_policy
from safehold_verify.words import moment, plain

ERASURE = "safehold.erasure/1"
LARGEST = 16 << 20  # bytes
STATUSES = ("shredded", "rebuilt", "pending", "bounded", "unsupported")
DUE, OPEN = "pending", "unsupported"  # what keeps an erasure from being complete
MOST_AMENDED = 10_000

_KINDS = {
    "source": "data that was taken in",
    "feature": "features",
    "model": "a model",
    "figures": "published figures about",
    "table": "a table",
    "vectors": "embeddings",
    "embedding": "embeddings",
    "aggregate": "a published result",
    "lost": "something of which nobody can say what it was made from,",
}
_MEANING = {
    "shredded": "it opens nowhere any more",
    "rebuilt": "it opens nowhere any more; a later one was made without you",
    "pending": "it opens nowhere any more; one without you is due and not there yet",
    "bounded": "it stays; what it can tell of you is bounded",
    "unsupported": "it stays, and nothing bounds what it tells of you",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One thing that was made from the person.

    Args:
        kind: ``source``, ``feature``, ``embedding``, ``table``, ``vectors``, ``model``, ``aggregate``, ``figures``, or
            ``lost``
            where nobody can say.
        id: Its name.
        status: What became of it.
        epsilon: Of what is bounded, the most that it tells of any one person.
        delta: As above.
        by: Of what was rebuilt, the one that was made without the person.
    """

    kind: str
    id: str
    status: str
    epsilon: float | None = None
    delta: float | None = None
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureReport:
    """What was found to hold.

    Args:
        origin: Name of the log.
        size: Entries in it.
        witnesses: Who cosigned the head, with the latest time of each in seconds.
        request: Name of the request.
        begun: Leaf that says what becomes of what.
        done: Leaf that says it was carried out.
        asked_us: When it was asked for, microseconds since 1970.
        due_us: Until when it had to be done.
        done_us: When it was.
        effects: Everything that was made from the person, as far as lineage knew, as it stands now.
        amended: Leaves that tell what became of what was due.
    """

    origin: str
    size: int
    witnesses: Mapping[str, int]
    request: str
    begun: int
    done: int
    asked_us: int
    due_us: int
    done_us: int
    effects: tuple[Effect, ...]
    amended: tuple[int, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether nothing is left without a bound, and nothing is still due."""
        return not any(self.outstanding().values())

    def outstanding(self) -> dict[str, int]:
        """Return how much has no bound, and how much is still due."""
        return {status: sum(one.status == status for one in self.effects) for status in (OPEN, DUE)}

    @property
    def late(self) -> bool:
        """Whether it came after its deadline."""
        return self.done_us > self.due_us

    def payload(self) -> dict[str, object]:
        """Return the report as JSON values."""
        said = {**asdict(self), "late": self.late, "outstanding": self.outstanding()}
        return {**said, "complete": True} if self.complete else said


def verify_erasure(receipt: bytes | Path | str, policy: Policy | Path | str) -> ErasureReport:
    """Check the receipt of an erasure.

    Args:
        receipt: Its bytes, or the path of its file.
        policy: Whose word counts; from outside.

    Raises:
        VerificationError: Something does not hold; ``where`` says what.
    """
    if not isinstance(receipt, bytes):
        receipt = read_file(receipt, Path(receipt).name, limit=LARGEST)
    match read_json(receipt, "receipt"):
        case {
            "v": "safehold.erasure/1",
            "checkpoint": str(text),
            "begun": first,
            "done": last,
            **more,
        } if more.keys() <= {"amended"}:
            note = parse_base64(text, where="receipt, checkpoint")
            listed = more.get("amended", [])
        case _:
            raise VerificationError("not the receipt of an erasure", where="receipt")
    head, signed = open_head(note, load_policy(policy), "receipt, checkpoint")
    begun, done = _Leaf(first, head, "begun"), _Leaf(last, head, "done")
    if (begun.state, begun.ref) != ("begun", -1) or (done.state, done.ref) != ("done", begun.index):
        raise VerificationError("the two leaves are not those of one erasure", where="receipt")
    if begun.request != done.request:
        raise VerificationError("the two leaves are about two requests", where="receipt")
    if not isinstance(listed, list) or len(listed) > MOST_AMENDED:
        raise VerificationError("malformed", where="amended")
    amended = [_Leaf(one, head, "amended") for one in listed]
    for one in amended:
        if (one.state, one.ref, one.request) != ("amended", begun.index, begun.request):
            raise VerificationError("a leaf of another erasure", where="amended")
        if one.index <= done.index:
            raise VerificationError("it was amended before it was carried out", where="amended")
    due = _whole(begun.detail, "due_us", "begun")
    if _whole(done.detail, "due_us", "done") != due:
        raise VerificationError("the two leaves name two deadlines", where="receipt")
    report = ErasureReport(
        origin=head.origin,
        size=head.size,
        witnesses=signed.witnesses,
        request=begun.request,
        begun=begun.index,
        done=done.index,
        asked_us=_whole(begun.detail, "asked_us", "begun"),
        due_us=due,
        done_us=_whole(done.detail, "done_us", "done"),
        effects=tuple(_amend(list(_effects(begun.detail, "begun")), amended)),
        amended=tuple(one.index for one in amended),
    )
    if done.detail.get("late") is not report.late:
        raise VerificationError("it was late and says otherwise", where="done")
    return report


def tell_erasure(report: ErasureReport) -> Iterator[str]:
    """Yield the lines of a report in plain words, with what it does not show."""
    yield f"Checked: {report.origin}, {report.size} entries."
    yield f"The request {plain(report.request)} was made {moment(report.asked_us, 'us')}."
    when = "after" if report.late else "before"
    yield f"It was carried out {moment(report.done_us, 'us')}, {when} its deadline, {moment(report.due_us, 'us')}."
    if not report.effects:
        yield "Nothing that was kept had been made from your data."
    for one in report.effects:
        line = f"  {_KINDS[one.kind]} {plain(one.id)}: {one.status}; {_MEANING[one.status]}"
        if one.epsilon is not None:
            line += f" by epsilon {one.epsilon:g}, delta {one.delta:g}"
        yield f"{line}, by {plain(one.by)}." if one.by else f"{line}."
    yield _conclude(report)
    yield "What this does not show:"
    yield "  whose request it was: nothing that leads to you was kept. Whoever knows its name can say it was theirs."
    yield "  that the keeper did what it wrote: the keys are destroyed by its construction, which a drill can try."
    yield "  what left before: copies that were handed out, and what people remember."


def _conclude(report: ErasureReport) -> str:
    """Return the line that says whether it is complete, and if not, why."""
    if report.complete:
        return "Complete: of everything listed nothing opens any more, or a bound is stated."
    stays, due = report.outstanding().values()
    parts = [f"{stays} without a bound"] * bool(stays) + [f"{due} still due"] * bool(due)
    return f"NOT finished: {', '.join(parts)}."


class _Leaf:
    """One of the leaves, in the log, with what it disclosed."""

    def __init__(self, said: Any, head: Checkpoint, where: str) -> None:
        match said:
            case {"index": int(index), "leaf": str(text), "path": list(path),
                  "told": {"det": det, "obj": obj, **more}} if (
                len(said) == 4 and not more and type(index) is int and index >= 0
            ):  # fmt: skip
                pass
            case _:
                raise VerificationError("malformed", where=where)
        raw = parse_base64(text, where=where)
        kind, _, self.ref = parse_leaf(raw)
        hashes = [take(one, where) for one in path]
        verify_inclusion(index, head.size, leaf_hash(raw), hashes, head.root)
        facts = json.loads(raw)
        if kind != "erasure":
            raise VerificationError("a leaf of another kind", where=where)
        self.index = index
        self.state = facts.get("pub", {}).get("state", "")
        self.request = _disclosed(facts["obj"], "obj", obj, where)
        self.detail = _object(_disclosed(facts["det"], "det", det, where), where)


def _disclosed(committed: str, name: str, said: Any, where: str) -> str:
    match said:
        case {"r": str(r), "value": str(value)} if len(said) == 2:
            raw = parse_base64(value, where=where)
            stem = take(r, where) + b"sh/commit/v1/" + name.encode() + b"\0"
            if hashlib.sha256(stem + raw).digest() != take(committed, where):
                raise VerificationError(f"{name} is not what the leaf commits to", where=where)
            return raw.decode("utf-8", "replace")
        case _:
            raise VerificationError("malformed", where=where)


def _object(text: str, where: str) -> dict[str, Any]:
    found = read_json(text.encode(), where)
    if not isinstance(found, dict):
        raise VerificationError("malformed", where=where)
    return found


def _whole(detail: Mapping[str, Any], name: str, where: str) -> int:
    found = detail.get(name)
    if type(found) is not int or found < 0:
        raise VerificationError(f"it does not say {name}", where=where)
    return found


def _amend(effects: list[Effect], amended: Iterable[_Leaf]) -> Iterator[Effect]:
    """Yield what became of each; only what was due may be amended, once, and not to something that is due."""
    told: dict[str, Effect] = {}
    for leaf in amended:
        found = leaf.detail.get("effects")
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            raise VerificationError("it does not say what became of what was due", where="amended")
        for one in found:
            was = [effect for effect in effects if effect.id == one.get("id")]
            if [effect.status for effect in was] != [DUE] or one.get("id") in told:
                raise VerificationError("it amends what was not due", where="amended")
            (now,) = _effects({"effects": [{"kind": was[0].kind, **one}]}, "amended")
            if now.status not in {"rebuilt", "shredded"} or now.kind != was[0].kind:
                raise VerificationError("an amendment in another form", where="amended")
            told[now.id] = now
    for effect in effects:
        yield told.get(effect.id, effect) if effect.status == DUE else effect


def _effects(detail: Mapping[str, Any], where: str) -> Iterator[Effect]:
    found = detail.get("effects")
    if not isinstance(found, list):
        raise VerificationError("it does not say what was made from the person", where=where)
    for one in found:
        match one:
            case {"kind": str(kind), "id": str(name), "status": str(status), **more} if (
                kind in _KINDS and status in STATUSES
            ):
                pass
            case _:
                raise VerificationError("an effect in another form", where=where)
        facts: dict[str, Any] = {str(key): value for key, value in more.items()}
        bound: tuple[float, float] | tuple[None, None] = (None, None)
        if status == "bounded":
            micro = _whole(facts, "epsilon_micro", where)
            bound = (micro / 1e6, _whole(facts, "delta_e12", where) / 1e12)
            if not micro:
                raise VerificationError("bounded by nothing", where=where)
        by = facts.get("by", "")
        if not isinstance(by, str) or (status == "rebuilt") != bool(by):
            raise VerificationError("an effect in another form", where=where)
        yield Effect(kind=kind, id=name, status=status, epsilon=bound[0], delta=bound[1], by=by)
