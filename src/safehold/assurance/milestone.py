"""Each promise of the charter as a measurement with a result in the ledger.

Once a day every promise is measured and what came out is a leaf; a promise that is broken, or that could not be
measured, is a leaf too. So nobody can publish the good days only: the newest leaf of a promise is its state.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from safehold.assurance.measure import Measured, take
from safehold.canonical import unb64
from safehold.charter.oversight import Promise
from safehold.charter.value import MICRO, Threshold
from safehold.clock import day_of
from safehold.keeper.restart import voids
from safehold.keeper.verbs import Verbs
from safehold.ledger import Entry

KEPT, BROKEN, UNMEASURED = "kept", "broken", "unmeasured"
OPERATORS: Final[Mapping[str, tuple[str, Callable[[int, int], bool]]]] = {
    "<=": ("le", operator.le),
    ">=": ("ge", operator.ge),
    "==": ("eq", operator.eq),
    "<": ("lt", operator.lt),
    ">": ("gt", operator.gt),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Milestone:
    """One promise and how it stood when it was measured last.

    Args:
        promise: Its id.
        says: The promise in words.
        state: ``kept``, ``broken`` or ``unmeasured``.
        bound: What must be, such as ``<=1``.
        figure: What was measured, if anything.
        sentence: What was looked at; empty when it was read from the ledger.
        entry: Index of its leaf; -1 before there is one.
        at_ms: When, milliseconds; 0 before.
    """

    promise: str
    says: str
    state: str
    bound: str
    figure: float | None
    sentence: str
    entry: int = -1
    at_ms: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "promise": self.promise,
            "says": self.says,
            "state": self.state,
            "must_be": self.bound,
            "measured": self.figure,
            "how": self.sentence,
            "entry": self.entry if self.entry >= 0 else None,
            "at_ms": self.at_ms or None,
        }


def judge(bound: Threshold, measured: Measured) -> str:
    """Return whether a promise is kept; without a figure it is not measured, and not kept."""
    if measured.micro is None:
        return UNMEASURED
    _, compare = OPERATORS[bound.op]
    return KEPT if compare(measured.micro, bound.micro) else BROKEN


def measure_all(verbs: Verbs) -> list[Milestone]:
    """Measure every promise of the charter in force, and put each result in the ledger.

    The same result on the same day, with nothing else in between, no stop, no change and no red drill, is one leaf.

    Raises:
        QuorumError: No charter is in force.
        UnavailableError: The ledger takes nothing.
    """
    desk = verbs.desk
    promises = desk.trust.charter().promises
    results = [(promise, take(promise.measure, verbs)) for promise in promises]
    known = _newest_leaves(verbs, since_stop=True)
    drawn = {promise.id: _leaf(verbs, promise, result) for promise, result in results}
    fresh = {
        name: entry for name, entry in drawn.items() if not _repeats(verbs, known.get(name), entry)
    }
    places = {promise: index for promise, (index, _) in known.items()}
    if fresh:
        receipts = desk.log(*fresh.values())
        places |= {promise: receipt.index for promise, receipt in zip(fresh, receipts, strict=True)}
    return [
        _shown(promise, result, entry=places[promise.id], at_ms=desk.now_us() // 1000)
        for promise, result in results
    ]


def _newest_leaves(
    verbs: Verbs, *, since_stop: bool = False
) -> dict[str, tuple[int, dict[str, Any]]]:
    """Return the newest leaf of each promise, of the whole ledger or since the last stop, change or red drill."""
    found: dict[str, tuple[int, dict[str, Any]]] = {}
    for index, leaf in verbs.desk.ledger.leaves():
        if since_stop and (leaf["k"] == "stop" or voids(leaf)):
            found.clear()
        elif leaf["k"] == "milestone":
            found[leaf["pub"]["promise"]] = (index, leaf)
    return found


def _repeats(verbs: Verbs, known: tuple[int, dict[str, Any]] | None, entry: Entry) -> bool:
    """Whether the newest leaf of a promise says the same, today and under the same charter."""
    if known is None:
        return False
    leaf = known[1]
    return (
        leaf["pub"] == entry.public
        and unb64(leaf["chr"]) == entry.charter
        and day_of(int(leaf["t"]) * 1000) == verbs.desk.today()
    )


def newest(verbs: Verbs) -> list[Milestone]:
    """Return how every promise of the charter in force stood when it was last measured."""
    desk = verbs.desk
    found = _newest_leaves(verbs)
    digest = desk.trust.digest()
    return [
        _read(promise, found.get(promise.id), digest) for promise in desk.trust.charter().promises
    ]


def _read(promise: Promise, found: tuple[int, dict[str, Any]] | None, digest: bytes) -> Milestone:
    never = Measured(micro=None, sentence="")
    if found is None:
        return _shown(promise, never)
    index, leaf = found
    pub = leaf["pub"]
    if (pub["op"], pub["bound"]) != _bound(promise) or unb64(leaf["chr"]) != digest:
        return _shown(promise, never)  # the promise, or what measures it, has changed since
    return _shown(
        promise, Measured(micro=pub.get("micro"), sentence=""), entry=index, at_ms=leaf["t"]
    )


def _bound(promise: Promise) -> tuple[str, int]:
    return OPERATORS[promise.must_be.op][0], promise.must_be.micro


def _leaf(verbs: Verbs, promise: Promise, result: Measured) -> Entry:
    desk = verbs.desk
    op, bound = _bound(promise)
    public: dict[str, int | str] = {
        "promise": promise.id,
        "state": judge(promise.must_be, result),
        "op": op,
        "bound": bound,
    }
    if result.micro is not None:
        public["micro"] = result.micro
    return Entry(
        kind="milestone",
        actor="keeper",
        object=promise.measure,
        detail={"how": result.sentence},
        charter=desk.trust.digest(),
        public=public,
    )


def _shown(promise: Promise, result: Measured, *, entry: int = -1, at_ms: int = 0) -> Milestone:
    return Milestone(
        promise=promise.id,
        says=promise.says,
        state=judge(promise.must_be, result),
        bound=f"{promise.must_be.op}{promise.must_be.micro / MICRO:g}",
        figure=None if result.micro is None else result.micro / MICRO,
        sentence=result.sentence,
        entry=entry,
        at_ms=at_ms,
    )


__all__ = ["BROKEN", "KEPT", "UNMEASURED", "Milestone", "judge", "measure_all", "newest"]
