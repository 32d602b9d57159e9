"""The course of events that leaves tell: uses and their results, grants, epochs, keys, the board.

Rules, over leaves in the order of the log:
1. time does not go back by more than a little, and a reference names an earlier leaf;
2. a result names an intent that has none yet, so an intent has at most one; how long an intent may
   go without one is asked for with a time;
3. an intent that names a grant names one that is neither closed nor revoked, and ``grant.closed``
   says truly which leaves its uses lie between, so that nobody can add one later;
4. ``index.epoch`` leaves begin epochs in order and close them in order, without a gap between;
5. ``key.rotate`` leaves tell which keys of the log count from where on;
6. rosters, charters and proposals follow from one another as ``council`` says;
7. every word of an auditor carries their signature, and follows from what came before: see ``assize``.

What is read costs a few entries for what is open: intents, grants, epochs. Nothing closed is held.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

from safehold_verify.assize import KIND as AUDIT
from safehold_verify.assize import Assize
from safehold_verify.council import BOARD, Council, Facts

SKEW_MS = 2_000  # how far a leaf's time may lie before an earlier leaf's
LATEST_RESULT_MS = 24 * 3_600_000  # how long an intent may go without its result
TOLD = BOARD | frozenset(
    {"access.intent", "access.result", "grant", "grant.closed", "index.epoch", "key.rotate", AUDIT}
)  # kinds whose public facts and references say more than that an earlier leaf is meant
OUTCOMES = frozenset({"ok", "failed", "denied", "stopped", "lost"})

_NONE: Facts = {}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that should not be there.

    Args:
        rule: Which rule says so, such as ``story.result``.
        index: The leaf, -1 if it is about the log as a whole.
        sentence: What is wrong, for people.
    """

    rule: str
    index: int
    sentence: str


class Course:
    """What has been told so far; ``read`` leaf after leaf.

    Args:
        late_ms: How long an intent may go without its result, in milliseconds.
    """

    def __init__(self, *, late_ms: int = LATEST_RESULT_MS) -> None:
        self._late = late_ms
        self._latest = 0
        self._intents: dict[int, int] = {}  # without a result: index to time
        self._grants: dict[int, list[int]] = {}  # not closed: index to uses, first, last, revoked
        self._epoch = 0  # the one that the next leaf belongs to
        self._closed = 0  # epochs below it are closed
        self._begins = {0: (0, 0)}  # index and time, of epochs that are not closed yet
        self._keys: dict[
            str, list[int]
        ] = {}  # vkey to leaves that announce and retire it, -1 if none
        self._council = Council()
        self.assize = Assize()

    def read(
        self, index: int, kind: str, time: int, ref: int, facts: Facts = _NONE
    ) -> list[Finding]:
        """Take the next leaf, and return what is wrong with it.

        Args:
            index: Its number.
            kind: Its kind.
            time: Its time, milliseconds since 1970-01-01 UTC.
            ref: The leaf it refers to, -1 if none.
            facts: Its public facts; read only for the kinds of ``TOLD``. Of the board's, ``chr`` besides.
        """
        found: list[Finding] = []
        if time < self._latest - SKEW_MS:
            found.append(Finding("story.time", index, "its time lies before an earlier leaf's"))
        self._latest = max(self._latest, time)
        if ref >= index:
            found.append(Finding("story.ref", index, "it refers to no earlier leaf"))
        match kind:
            case "access.intent":
                found += self._intent(index, time, ref)
            case "access.result":
                found += self._result(index, time, ref, facts)
            case "grant":
                found += self._grant(index, ref, facts)
            case "grant.closed":
                found += self._close(index, ref, facts)
            case "index.epoch":
                found += self._turn(index, time, ref, facts)
            case "key.rotate":
                found += self._rotate(index, facts)
            case "charter" | "roster" | "proposal" | "audit":
                found += self._decide(kind, index, ref, facts)
            case _:
                pass
        return found

    def pair(
        self, intents: Iterable[tuple[int, int]], results: Sequence[int], refs: Sequence[int]
    ) -> list[Finding]:
        """Take uses that name no grant, and results, where nothing else lies between them.

        It is ``read`` for many: that times do not go back, that references name earlier leaves, and
        outcomes are the caller's to check. Of findings only the first in the log is returned.

        Args:
            intents: Index and time of each intent.
            results: Index of each result.
            refs: Of the intent that each of them names.
        """
        waiting = self._intents
        waiting.update(intents)
        begun = [*map(waiting.pop, refs, repeat(None))]
        if None not in begun:
            return []
        waiting.update(
            (ref, time) for ref, time in zip(refs, begun, strict=True) if time is not None
        )
        for index, ref in sorted(zip(results, refs, strict=True)):
            if waiting.pop(ref, None) is None:
                return [_stray(index, ref)]
        raise AssertionError  # as many intents wait as before

    def overdue(self, now_ms: int) -> list[Finding]:
        """Return what has waited too long at a moment: intents for a result, epochs to be closed."""
        found = [
            Finding("story.unpaired", index, "an intent whose result is overdue")
            for index, time in self._intents.items()
            if now_ms - time > self._late
        ]
        found += [
            Finding("story.unclosed", index, f"epoch {epoch - 1} ended and was not closed")
            for epoch, (index, time) in self._begins.items()
            if epoch > self._closed and now_ms - time > self._late
        ]
        return found

    @property
    def open_intents(self) -> tuple[int, ...]:
        """The intents that have no result yet."""
        return tuple(self._intents)

    def counts(self, vkey: str, size: int, *, first: bool) -> bool:
        """Tell whether a key of the log may sign a head of a size, by what the log says of it.

        Args:
            vkey: The key as a policy writes it.
            size: Leaves that the head covers; they must have been read.
            first: True if the key counts without being announced: it was there from the beginning.
        """
        announced, retired = self._keys.get(vkey, (-1, -1))
        if 0 <= retired < size:
            return False
        return first or 0 <= announced < size

    def state(self) -> dict[str, Any]:
        """Return what was told as JSON values, for ``resume``."""
        return {
            "latest": self._latest,
            "intents": [[index, time] for index, time in self._intents.items()],
            "grants": [[index, *uses] for index, uses in self._grants.items()],
            "epoch": self._epoch,
            "closed": self._closed,
            "begins": [[epoch, *begin] for epoch, begin in self._begins.items()],
            "keys": [[vkey, *leaves] for vkey, leaves in self._keys.items()],
            "board": self._council.state(),
            "audits": self.assize.state(),
        }

    @classmethod
    def resume(cls, state: Mapping[str, Any], *, late_ms: int = LATEST_RESULT_MS) -> Course:
        """Go on from what ``state`` returned."""
        course = cls(late_ms=late_ms)
        course._latest = int(state["latest"])
        course._intents = {int(index): int(time) for index, time in state["intents"]}
        course._grants = {
            int(index): [int(one) for one in uses] for index, *uses in state["grants"]
        }
        course._epoch, course._closed = int(state["epoch"]), int(state["closed"])
        course._begins = {int(epoch): (int(at), int(time)) for epoch, at, time in state["begins"]}
        course._keys = {str(vkey): [int(one) for one in at] for vkey, *at in state["keys"]}
        course._council = Council.resume(state["board"])
        course.assize = Assize.resume(state.get("audits"))
        return course

    def _decide(self, kind: str, index: int, ref: int, facts: Facts) -> list[Finding]:
        if kind == AUDIT:
            rule, wrong = "story.audit", self.assize.read(index, ref, facts)
        else:
            rule, wrong = "story.board", self._council.read(kind, index, ref, facts)
        return [Finding(rule, index, wrong)] if wrong else []

    def _intent(self, index: int, time: int, ref: int) -> list[Finding]:
        self._intents[index] = time
        if ref < 0:
            return []
        uses = self._grants.get(ref)
        if uses is None:
            return [Finding("story.closed", index, f"a use of leaf {ref}, which is no open grant")]
        uses[0] += 1
        uses[1] = index if uses[1] < 0 else uses[1]
        uses[2] = index
        if uses[3]:
            return [Finding("story.revoked", index, f"a use of grant {ref}, which was revoked")]
        return []

    def _result(self, index: int, time: int, ref: int, facts: Facts) -> list[Finding]:
        begun = self._intents.pop(ref, None)
        if begun is None:
            return [_stray(index, ref)]
        found = []
        outcome = facts.get("outcome", "ok")
        if time - begun > self._late and outcome != "lost":  # nobody was there to write that one
            found.append(Finding("story.late", index, f"the result of intent {ref} came late"))
        if outcome not in OUTCOMES:
            found.append(Finding("story.outcome", index, "a result with an unknown outcome"))
        return found

    def _grant(self, index: int, ref: int, facts: Facts) -> list[Finding]:
        if ref < 0:
            self._grants[index] = [0, -1, -1, 0]
        elif facts.get("state") == "revoked" and ref in self._grants:
            self._grants[ref][3] = 1
        return []

    def _close(self, index: int, ref: int, facts: Facts) -> list[Finding]:
        uses = self._grants.pop(ref, None)
        if uses is None:
            return [Finding("story.grant", index, "it closes no open grant")]
        said = [facts.get("uses"), facts.get("first", -1), facts.get("last", -1)]
        if said != uses[:3]:
            return [Finding("story.range", index, f"not the uses that grant {ref} had")]
        return []

    def _turn(self, index: int, time: int, ref: int, facts: Facts) -> list[Finding]:
        epoch = facts.get("epoch")
        if facts.get("state") == "begin" and isinstance(epoch, int):
            due, self._epoch = self._epoch + 1, epoch
            self._begins[epoch] = (index, time)
            if epoch != due:
                return [Finding("story.epoch", index, f"it begins another epoch than {due}")]
            return []
        if facts.get("state") != "root" or not (
            isinstance(epoch, int) and isinstance(facts.get("root"), str)
        ):
            return [Finding("story.epoch", index, "it neither begins nor closes an epoch")]
        due, self._closed = self._closed, epoch + 1
        begin, end = self._begins.pop(epoch, None), self._begins.get(epoch + 1)
        if epoch != due:
            return [Finding("story.epoch", index, f"it closes another epoch than {due}")]
        said = (facts.get("first"), facts.get("stop"), ref)
        if begin is None or end is None or said != (begin[0], end[0], end[0]):
            return [Finding("story.epoch", index, "it covers other leaves than its epoch has")]
        return []

    def _rotate(self, index: int, facts: Facts) -> list[Finding]:
        vkey = facts.get("vkey")
        if not isinstance(vkey, str):
            return [Finding("story.key", index, "it names no key")]
        leaves = self._keys.setdefault(vkey, [-1, -1])
        leaves[1 if facts.get("state") == "retired" else 0] = index
        return []


def _stray(index: int, ref: int) -> Finding:
    words = (
        "a result of no intent that waits for one" if ref >= 0 else "a result without its intent"
    )
    return Finding("story.result", index, words)
