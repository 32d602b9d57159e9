"""Alerts: raised once, answered by narrowing, looked at and answered by people.

Holds: an alert is a leaf; the same episode, however often it is raised, is one leaf. What its answer did is a leaf
that refers to it, and is done once. How an alert stands is a fold over leaves. What is public of one is the signal,
how severe it is and how it stands: about whom it is, and the sentence, lie in the side-car. People answer alerts,
never about themselves or their own agents; no agent does.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from safehold.clock import DAY_US
from safehold.errors import (
    ConflictError,
    DeniedError,
    InvalidError,
    MissingError,
    ShreddedError,
)
from safehold.keeper.caller import SENTINEL, caller
from safehold.keeper.principals import Principals
from safehold.keeper.server import Report, Verb
from safehold.keeper.watch_answers import ANSWERS, REVIEW, Answering
from safehold.keeper.watch_events import OPENED
from safehold.ledger import Entry

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

KIND: Final = "alert"
RAISED: Final = "raised"
ACTED: Final = "acted"
ACKED: Final = "acked"
MOST_EVENTS: Final = 256
LONGEST: Final = 600  # characters of a sentence, or of a reason
STALE_US: Final = (
    DAY_US  # what happened longer ago is looked at by people, whatever would have been done then
)
_SIGNAL: Final = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
_PRINCIPAL: Final = re.compile(r"[A-Za-z0-9._:/+=@#-]{1,128}")


@dataclass(slots=True, kw_only=True)
class Standing:
    """How one alert stands: what its leaves say in public.

    Args:
        entry: Index of its leaf.
        t_ms: When that was written, milliseconds.
        signal: Which signal.
        severity: 0 to 4.
        acted: Leaves of what was done.
        acked: Leaf of the answer by a person, -1 while there is none.
    """

    entry: int
    t_ms: int
    signal: str
    severity: int
    acted: list[int] = field(default_factory=list)
    acked: int = -1

    @property
    def state(self) -> str:
        """``raised``, ``acted`` or ``acked``."""
        return ACKED if self.acked >= 0 else ACTED if self.acted else RAISED

    @property
    def newest(self) -> int:
        """Leaf that says how it stands now."""
        return self.acked if self.acked >= 0 else max(self.acted, default=self.entry)


class Alerts:
    """The verbs ``alert.*``.

    Args:
        desk: What the keeper works with.
        principals: The register.
        answering: Does what an alert is answered by.
    """

    def __init__(self, desk: Desk, principals: Principals, answering: Answering) -> None:
        self._desk = desk
        self._principals = principals
        self._answering = answering
        self._lock = (
            threading.RLock()
        )  # of what is raised and answered, which may wait for a sandbox to end
        self._folding = threading.Lock()  # of the fold alone: how alerts stand is told meanwhile
        self._standings: dict[int, Standing] = {}
        self._read = 0

    def verbs(self) -> dict[str, Verb]:
        """Return them by name."""
        return {
            "alert.raise": self.raise_,
            "alert.list": self.listing,
            "alert.show": self.show,
            "alert.ack": self.ack,
        }

    def raise_(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Raise an alert and answer it; an episode that was raised before is answered if it was not, and not again.

        Raises:
            InvalidError: Not an alert.
            UnavailableError: The ledger does not take it.
        """
        said = _read_alert(arguments, size=self._desk.ledger.size)
        episode = f"alert/{said['signal']}/{said['principal']}/{said['events'][-1]}"
        # nobody raises it first, and milder, in the sentinel's place
        key = episode if caller().kind == SENTINEL else f"alert-by/{caller().id}/{episode}"
        with self._lock:
            earlier = self._desk.ledger.find(episode) or self._desk.ledger.find(key)
            if earlier is not None:
                entry = earlier.index
                said = self._said(entry) or {**said, "answers": [REVIEW]}
            else:
                self._check_events(said["events"])
                late = self._desk.now_us() - said["t_us"] > STALE_US
                said |= {"answers": [REVIEW], "late": True} if late else {}
                entry = self._append(said, state=RAISED, key=key, detail=said)
            done = self._answer(entry, said)
        return {"alert": entry, "new": earlier is None, "answers": said["answers"], "acted": done}

    def listing(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """List the alerts, with the sentence of each: those that wait for an answer first, the gravest at the top.

        Of the same severity, and of those that were answered, the newest comes first.
        """
        only_open, most = arguments.get("open") is True, arguments.get("limit", 100)
        if type(most) is not int or not 0 < most <= 10_000:
            raise InvalidError("not a number of alerts", field="limit", rule="alert.limit")
        with self._folding:
            self._follow()
            found = [one for one in self._standings.values() if one.acked < 0 or not only_open]
            waiting = sum(one.acked < 0 for one in self._standings.values())
        # what waits and is grave is not pushed out of a short list by what is new
        found.sort(
            key=lambda one: (one.acked >= 0, -one.severity if one.acked < 0 else 0, -one.entry)
        )
        shown = [self._shown(one) for one in found[:most]]
        return {"alerts": shown, "open": waiting, "of": len(self._standings)}

    def show(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Show one alert: the sentence, the entries that show it, what was done, and who answered it how.

        Raises:
            MissingError: There is no such alert.
        """
        one = self._find(arguments)
        said = self._said(one.entry)
        shown = self._shown(one) | {"events": said.get("events", []), "late": "late" in said}
        shown["done"] = [
            {"entry": index, **self._said(index)} for index in one.acted
        ]  # what, on what, with which entries
        if one.acked >= 0:
            answer = self._desk.ledger.detail(one.acked)
            shown["acked"] = {
                "entry": one.acked,
                "by": answer["actor"],
                "reason": answer["detail"].get("reason", ""),
            }
        return shown

    def ack(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Answer an alert as a person who has looked at it, with a reason; it lifts nothing that was narrowed.

        Raises:
            DeniedError: It is about the caller, or about an agent of theirs.
            ConflictError: It was answered before.
        """
        reason = arguments.get("reason")
        if not isinstance(reason, str) or not 3 < len(reason.strip()) <= LONGEST:
            raise InvalidError("an answer has a reason", field="reason", rule="alert.reason")
        with self._lock:
            one = self._find(arguments)
            if one.acked >= 0:
                raise ConflictError("this alert was answered", rule="alert.acked", entry=one.acked)
            said = self._said(one.entry)
            about = str(said.get("principal", ""))
            found, who = self._principals.find(about), caller()
            own = found is not None and found.operator == who.id
            if who.proved and (who.id == about or own):
                raise DeniedError(
                    "nobody answers an alert about themselves, or about their agent",
                    rule="alert.self",
                    fix="ask somebody else",
                )
            said |= {"signal": one.signal, "severity": one.severity, "principal": about}
            entry = self._append(
                said,
                state=ACKED,
                key=f"alert/{one.entry}/acked",
                detail={"reason": reason.strip()},
                ref=one.entry,
            )
        return {"alert": one.entry, "state": ACKED, "entry": entry}

    def told(self, since: int, stop: int, *, most: int) -> list[dict[str, Any]]:
        """Return the alerts whose standing was last changed by a leaf of a range, in order of that leaf.

        Args:
            since: First leaf.
            stop: Leaf after the last.
            most: How many at most, the oldest ones.
        """
        with self._lock:
            self._follow()
            found = [one for one in self._standings.values() if since <= one.newest < stop]
        found.sort(key=lambda one: one.newest)
        return [self._shown(one) for one in found[:most]]

    def status(self) -> dict[str, int]:
        """Return how many alerts wait for a person, and how many there are."""
        with self._folding:
            self._follow()
            waiting = sum(one.acked < 0 for one in self._standings.values())
            return {"open": waiting, "of": len(self._standings)}

    # -- ground --------------------------------------------------------------------------------

    def _answer(self, entry: int, said: Mapping[str, Any]) -> list[int]:
        """Do what an alert is answered by, once; return the leaves that say so."""
        answers = [str(one) for one in said["answers"] if one != REVIEW]
        if not answers:
            return []
        key = f"alert/{entry}/{ACTED}"
        done = self._desk.ledger.find(key)
        if done is not None:
            return [done.index]
        did = self._answering.carry_out(answers, said, alert=entry)
        return [self._append(said, state=ACTED, key=key, detail={"did": did}, ref=entry)]

    def _append(
        self,
        said: Mapping[str, Any],
        *,
        state: str,
        key: str,
        detail: Mapping[str, Any],
        ref: int | None = None,
    ) -> int:
        (receipt,) = self._desk.log(
            Entry(
                kind=KIND,
                actor=caller().id,
                object=str(said["principal"]),
                detail=dict(detail),
                charter=self._desk.trust.digest(),
                public={"signal": said["signal"], "severity": said["severity"], "state": state},
                ref=ref,
                key=key,
            )
        )
        return receipt.index

    def _check_events(self, events: Sequence[int]) -> None:
        for index in events:
            for _, leaf in self._desk.ledger.leaves(index, index + 1):
                if leaf["k"] not in OPENED:
                    raise InvalidError(
                        "an alert names entries of uses and attempts",
                        field="events",
                        rule="alert.events",
                    )

    def _follow(self) -> None:
        ledger = self._desk.ledger
        for index, leaf in ledger.leaves(self._read):
            self._read = index + 1
            if leaf["k"] != KIND:
                continue
            facts, ref = leaf["pub"], leaf.get("ref")
            if ref is None:
                self._standings[index] = Standing(
                    entry=index,
                    t_ms=int(leaf["t"]),
                    signal=str(facts["signal"]),
                    severity=int(facts["severity"]),
                )
            elif ref in self._standings and facts["state"] == ACTED:
                self._standings[ref].acted.append(index)
            elif ref in self._standings and facts["state"] == ACKED:
                self._standings[ref].acked = index

    def _find(self, arguments: Mapping[str, Any]) -> Standing:
        entry = arguments.get("alert")
        with self._folding:
            self._follow()
            found = self._standings.get(entry) if type(entry) is int else None
        if found is None:
            raise MissingError("no such alert", rule="alert.missing", fix="safehold alert list")
        return found

    def _said(self, index: int) -> dict[str, Any]:
        try:
            return dict(self._desk.ledger.detail(index)["detail"])
        except (ShreddedError, MissingError):  # long ago
            return {}

    def _shown(self, one: Standing) -> dict[str, Any]:
        said = self._said(one.entry)
        return {
            "alert": one.entry,
            "entry": one.newest,
            "t_us": said.get("t_us", one.t_ms * 1000),
            "signal": one.signal,
            "severity": one.severity,
            "state": one.state,
            "principal": said.get("principal", ""),
            "sentence": said.get("sentence", ""),
            "answers": said.get("answers", []),
            "count": len(said.get("events", [])),
        }


def _read_alert(arguments: Mapping[str, Any], *, size: int) -> dict[str, Any]:
    """Return what an alert says, checked.

    Raises:
        InvalidError: It is none.
    """
    match dict(arguments):
        case {
            "principal": str(principal),
            "signal": str(signal),
            "severity": int(severity),
            "sentence": str(sentence),
            "events": [*events],
            "t_us": int(t_us),
            **rest,
        } if rest.keys() <= {"answers"}:
            answers = rest.get("answers", [REVIEW])
        case _:
            raise InvalidError("not an alert", rule="alert.shape")
    numbers = [one for one in events if type(one) is int and 0 <= one < size]
    if (
        _PRINCIPAL.fullmatch(principal) is None
        or _SIGNAL.fullmatch(signal) is None
        or not 0 <= severity <= 4
        or not 0 < len(sentence) <= LONGEST
        or not sentence.isprintable()
        or not 0 < len(events) == len(numbers)
        or numbers != sorted(numbers)
        or t_us < 0
        or not isinstance(answers, list)
        or not all(one in ANSWERS for one in answers)
    ):
        raise InvalidError("not an alert", rule="alert.shape")
    return {
        "principal": principal,
        "signal": signal,
        "severity": severity,
        "sentence": sentence,
        "events": numbers[-MOST_EVENTS:],
        "t_us": t_us,
        "answers": answers,
    }
