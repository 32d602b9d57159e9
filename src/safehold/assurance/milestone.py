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

    The same result on the same day is one leaf, unless another result or a stop came in between: the newest leaf is
    always what was measured last.

    Raises:
        QuorumError: No charter is in force.
        UnavailableError: The ledger takes nothing.
    """
    desk = verbs.desk
    promises = desk.trust.charter().promises
    results = [(promise, take(promise.measure, verbs)) for promise in promises]
    told, stop = _told(verbs)
    shown: list[Milestone] = []
    for promise, result in results:
        entry = _leaf(verbs, promise, result)
        index, leaf = told.get(promise.id, (-1, {}))
        same = index > stop and (leaf["pub"], unb64(leaf["chr"]), _day(leaf)) == (
            entry.public,
            entry.charter,
            desk.today(),
        )
        if not same:
            (receipt,) = desk.log(entry)
            index = receipt.index
        shown.append(_shown(promise, result, entry=index, at_ms=desk.now_us() // 1000))
    return shown


def newest(verbs: Verbs) -> list[Milestone]:
    """Return how every promise stood when it was last measured under the charter in force."""
    trust, (told, _) = verbs.desk.trust, _told(verbs)
    return [
        _read(one, told.get(one.id), charter=trust.digest()) for one in trust.charter().promises
    ]


def _told(verbs: Verbs) -> tuple[dict[str, tuple[int, dict[str, Any]]], int]:
    """Return the newest leaf of each promise with its index, and the index of the newest stop, -1 without one."""
    found: dict[str, tuple[int, dict[str, Any]]] = {}
    stop = -1
    for index, leaf in verbs.desk.ledger.leaves():
        if leaf["k"] == "milestone":
            found[leaf["pub"]["promise"]] = (index, leaf)
        elif leaf["k"] == "stop":
            stop = index
    return found, stop


def _day(leaf: Mapping[str, Any]) -> int:
    return day_of(int(leaf["t"]) * 1000)


def _read(
    promise: Promise, found: tuple[int, dict[str, Any]] | None, *, charter: bytes
) -> Milestone:
    never = Measured(micro=None, sentence="")
    if found is None:
        return _shown(promise, never)
    index, leaf = found
    pub = leaf["pub"]
    if unb64(leaf["chr"]) != charter or (pub["op"], pub["bound"]) != _bound(promise):
        return _shown(
            promise, never
        )  # the promise, or what it is measured by, may have changed since
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
