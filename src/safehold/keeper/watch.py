"""Reading the ledger for the sentinel: who asked for data, and never whose it was.

Holds: nothing of an entry is opened before an intent is durable, and in strict mode cosigned, that says who reads,
under which purpose of the charter in force, and from where on. It is about nobody's data and has no key to any. One
intent is for one reader and half an hour at most; its result says how much was opened. A charter without a purpose
that makes alerts of the access log has no sentinel. A stop does not blind it.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from safehold.charter import Charter
from safehold.clock import SECOND_US
from safehold.errors import (
    ConflictError,
    DeniedError,
    InvalidError,
    TamperedError,
    UnavailableError,
)
from safehold.keeper.answers import Answers
from safehold.keeper.caller import SENTINEL, caller
from safehold.keeper.principals import Principals
from safehold.keeper.server import Report, Verb
from safehold.keeper.watch_events import WATCH, Known, derive, is_apart, known, opens, told
from safehold.ledger import Entry, Receipt

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

SOURCE: Final = "access_log"
RELEASE: Final = "alert"
THING: Final = "access-log"  # what is read, as an entry names it
# a use that has no result after an hour counts as one that is missing it
SHIFT_US: Final = 1800 * SECOND_US
MOST_LEAVES: Final = 10_000  # of one batch
MOST_READERS: Final = 16  # beside the sentinel: however many read, it does too
MOST_OWN: Final = 4  # readings of the sentinel at once: one that was killed said no goodbye
ALIVE_US: Final = 15 * SECOND_US  # a sentinel that was not heard of for longer is not there
_REMEMBERED: Final = 50_000  # intents and grants that are known without being opened again
_T = TypeVar("_T")
_READER: Final = re.compile(r"[0-9a-f]{32}")


@dataclass(slots=True, kw_only=True)
class _Shift:
    """One intent under which a reader reads.

    Args:
        intent: Its receipt.
        actor: Who reads.
        charter: Digest of the charter it was written under.
        until_us: When it ends, microseconds.
        first: From which leaf on.
        opened: How many entries were opened.
        confirmed: Whether the witnesses have cosigned it, where that is waited for.
    """

    intent: Receipt
    actor: str
    charter: bytes
    until_us: int
    first: int
    opened: int = 0
    confirmed: bool = False


def watch_purpose(charter: Charter) -> str:
    """Return the purpose under which a charter lets the access log be watched.

    Raises:
        DeniedError: It has none.
    """
    for name, purpose in sorted(charter.purposes.items()):
        if RELEASE in purpose.releases and set(purpose.sources) == {SOURCE}:
            return name
    raise DeniedError(
        "the charter in force lets nobody watch who reads",
        rule="watch.purpose",
        fix="have the board sign a purpose from access_log that releases alert: see secure_the_pipeline in an example",
    )


class Watch:
    """The verbs ``sentinel.events`` and ``sentinel.done``.

    Args:
        desk: What the keeper works with.
        principals: Says of which kind somebody is.
        answers: Writes results.
    """

    def __init__(self, desk: Desk, principals: Principals, answers: Answers) -> None:
        self._desk = desk
        self._principals = principals
        self._answers = answers
        self._lock = threading.RLock()
        self._shifts: dict[tuple[str, str], _Shift] = {}
        self._known: OrderedDict[int, Known] = OrderedDict()
        self._apart: OrderedDict[int, bool] = OrderedDict()
        self._heard_us: int | None = None
        self._waits: str | None = None  # for what it waits
        self._next = 0  # of the sentinel beside this keeper, as it asked last

    def verbs(self) -> dict[str, Verb]:
        """Return them by name."""
        return {"sentinel.events": self.events, "sentinel.done": self.done}

    def events(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return the events of some leaves, which of them somebody has damaged, and where to go on.

        Raises:
            DeniedError: The charter in force has no purpose for it.
            UnavailableError: The ledger takes no entry, or in strict mode the witnesses do not answer.
            InvalidError: No such place, or not a reader.
        """
        reader, since = str(arguments["reader"]), arguments["since"]
        limit = arguments.get("limit", MOST_LEAVES)
        if _READER.fullmatch(reader) is None:
            raise InvalidError("a reader is 16 bytes in hex", field="reader", rule="watch.reader")
        if type(since) is not int or type(limit) is not int or since < 0 or limit < 1:
            raise InvalidError("not a place in the ledger", field="since", rule="watch.since")
        desk = self._desk
        size = desk.ledger.size
        if since > size:
            raise InvalidError("beyond the ledger", field="since", rule="watch.since")
        self._hear(since)
        try:
            purpose = watch_purpose(desk.trust.charter())
        except DeniedError as error:
            if caller().kind != SENTINEL:
                raise
            # it stands ready for a charter that wants it; that it asks again and again is no refusal to record
            self._waits = error.rule or error.code
            return {
                "events": [], "next": since, "size": since, "damaged": [], "waits": self._waits,
            }  # fmt: skip
        with self._lock:
            self._waits = None
            self._close_over()
            place = (caller().id, reader)
            stop = min(size, since + min(limit, MOST_LEAVES))
            damaged: list[list[int]] = []
            found = self._read(
                since, stop, lambda first: self._shift(place, purpose, first), damaged.append
            )
            return {"events": found, "next": stop, "size": size, "damaged": damaged}

    def done(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """End the reading of one reader: its intent has its result then."""
        with self._lock:
            shift = self._shifts.get((caller().id, str(arguments["reader"])))
            if shift is not None:
                self._close((caller().id, str(arguments["reader"])))
        return {"opened": 0 if shift is None else shift.opened}

    def close_over(self) -> None:
        """Write the result of every reading that is over: of a reader that went away, too."""
        with self._lock:
            self._close_over()

    def close_all(self) -> None:
        """Write the result of every reading: this keeper ends."""
        with self._lock:
            for place in list(self._shifts):
                self._close(place)

    def status(self) -> dict[str, Any]:
        """Return whether the sentinel beside this keeper is alive, and how far behind it is."""
        heard, after = self._heard_us, self._next  # without waiting for whoever reads right now
        if heard is None:
            return {"alive": False, "read": None, "behind": None, "behind_s": None}
        ledger, now = self._desk.ledger, self._desk.now_us()
        size, late_us = ledger.size, 0
        for _, leaf in ledger.leaves(after, after + 1):  # the oldest that it has not read
            late_us = max(now - int(leaf["t"]) * 1000, 0)
        return {
            "alive": now - heard <= ALIVE_US,
            "read": after,
            "behind": size - after,
            "behind_s": late_us // SECOND_US,
            **({} if self._waits is None else {"waits": self._waits}),
        }

    # -- reading -------------------------------------------------------------------------------

    def _read(
        self,
        start: int,
        stop: int,
        shift: Callable[[int], _Shift],
        damaged: Callable[[list[int]], None],
    ) -> list[dict[str, Any]]:
        ledger, found = self._desk.ledger, []
        people: dict[str, tuple[str, str]] = {}
        under: _Shift | None = None
        gone: set[int] = set()

        def kind_of(name: str) -> tuple[str, str]:
            if name not in people:
                one = self._principals.find(name)
                people[name] = ("", "") if one is None else (one.kind, one.role)
            return people[name]

        def may_open(index: int, leaf: dict[str, Any]) -> bool:
            nonlocal under
            if not opens(leaf, skip=self._is_apart):
                return False
            if under is None:
                under = shift(index)
            under.opened += 1
            return True

        for index, leaf, opened in ledger.scan(start, stop, opens=may_open, damaged=gone.add):
            if index in gone:
                damaged([index, int(leaf["t"]) * 1000])
            if leaf["k"] == "access.intent":
                _remember(self._apart, index, is_apart(leaf))
            if opened is None:
                continue
            said = told(leaf["k"], opened)
            above = self._look(leaf.get("ref"))
            if leaf["k"] == "access.intent" or (leaf["k"] == "grant" and "ref" not in leaf):
                _remember(self._known, index, known(leaf, said, above))
            event = derive(index, leaf, said, above=above, kind_of=kind_of)
            if event is not None:
                found.append(event)
        return found

    def look(self, index: int) -> Known | None:
        """Return what is known of a grant or an intent: who holds it, and for what; nothing where it cannot be read."""
        with self._lock:
            return self._look(index)

    def _look(self, index: int | None) -> Known | None:
        """Return what is known of the entry that a leaf refers to: a grant, or an intent; opened only to be known."""
        if index is None or index in self._known:
            return None if index is None else self._known[index]
        for _, leaf, said in self._desk.ledger.scan(
            index,
            index + 1,
            opens=lambda _, leaf: leaf["k"] in ("grant", "access.intent") and not is_apart(leaf),
            damaged=lambda _: None,  # told where it is read itself
        ):
            if said is not None:
                above = self._look(leaf.get("ref")) if leaf["k"] == "access.intent" else None
                found = known(leaf, told(leaf["k"], said), above)
                return _remember(self._known, index, found)
        return None

    def _is_apart(self, intent: int) -> bool:
        if intent not in self._apart:
            for _, leaf in self._desk.ledger.leaves(intent, intent + 1):
                _remember(self._apart, intent, is_apart(leaf))
        return self._apart.get(intent, False)

    # -- log before use ------------------------------------------------------------------------

    def _shift(self, place: tuple[str, str], purpose: str, first: int) -> _Shift:
        """Return the intent under which a reader reads now; when this returns it is durable and confirmed."""
        desk = self._desk
        shift = self._shifts.get(place)
        if shift is not None and shift.charter != desk.trust.digest():
            self._close(place)
            shift = None
        if shift is None:
            self._make_room()
            shift = self._shifts[place] = self._begin(place, purpose, first)
        if not shift.confirmed:
            desk.confirm(shift.intent)
            shift.confirmed = True
        return shift

    def _make_room(self) -> None:
        """Pass if one more may read: nobody else takes the sentinel's place, and its own oldest reading ends for it.

        Raises:
            ConflictError: Too many others read.
        """
        own = [place for place in self._shifts if place[0] == SENTINEL]
        if caller().kind == SENTINEL:
            for place in own[: len(own) - MOST_OWN + 1]:
                self._close(place)
        elif len(self._shifts) - len(own) >= MOST_READERS:
            raise ConflictError("too many read the ledger at once", rule="watch.readers")

    def _begin(self, place: tuple[str, str], purpose: str, first: int) -> _Shift:
        desk = self._desk
        desk.ledger.check_health()
        with desk.lock:  # nobody settles the intent before it is known to go on
            intent = desk.trust.log_watching(
                Entry(
                    kind="access.intent",
                    actor=place[0],
                    object=THING,
                    detail={"grant": "", "purpose": purpose, "reader": place[1], "first": first},
                    charter=desk.trust.digest(),
                    public={"purpose": purpose, "action": WATCH},
                )
            )
            self._answers.begin(intent.index)
        return _Shift(
            intent=intent,
            actor=place[0],
            charter=desk.trust.digest(),
            until_us=desk.now_us() + SHIFT_US,
            first=first,
        )

    def _close_over(self) -> None:
        now = self._desk.now_us()
        for place, shift in list(self._shifts.items()):
            # a clock that went back ends it too: no reading lasts longer than it said
            if not shift.until_us - SHIFT_US <= now < shift.until_us:
                self._close(place)

    def _close(self, place: tuple[str, str]) -> None:
        shift = self._shifts.pop(place)
        intent = shift.intent.index
        try:
            if intent in self._desk.trust.unanswered():
                with suppress(
                    UnavailableError, TamperedError
                ):  # then it is ``lost``, and said so later
                    self._answers.write(
                        intent,
                        actor=shift.actor,
                        thing=THING,
                        outcome="ok" if shift.confirmed else "failed",
                        detail={"opened": shift.opened, "blocks": 0},
                    )
        finally:
            self._answers.over(intent)

    def _hear(self, since: int) -> None:
        if caller().kind == SENTINEL:
            self._heard_us, self._next = self._desk.now_us(), since


def _remember(memory: OrderedDict[int, _T], index: int, value: _T) -> _T:
    memory[index] = value
    if len(memory) > _REMEMBERED:
        memory.popitem(last=False)
    return value
