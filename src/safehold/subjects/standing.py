"""What one person chose, and what follows from it.

Rules, in this order:
1. Nobody is in until they opted in, stream by stream, and for the purposes that stood in the charter they read; an
   opt-in that an operator entered counts only while the charter lets operators.
2. A pause stops recording from its start; what carries a time inside it is never taken.
3. A withdrawal withholds every key at once and for good; a new opt-in starts anew.
4. A restriction withholds every key and stops recording until it is lifted; what lies there stays sealed.
5. An objection to a purpose, and contested days, are left out at once; the answer comes later.
6. A person outside the charter's jurisdictions is not collected; after a move nothing from before it is taken in.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from safehold import canonical
from safehold.errors import ConsentError, InvalidError
from safehold.subjects.case import WITHDRAWN, Case, Span
from safehold.subjects.pause import Pause
from safehold.subjects.voice import NOBODY, Voice

MOST_ANSWERED = 20  # cases that are remembered beside the open ones


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The present choices of one person.

    Args:
        external: The name the company uses; sealed at rest.
        jurisdiction: Where the person works, such as ``US-CA``.
        streams: Streams the person opted in to.
        consented_us: When; 0 if never.
        withdrawn_us: When the person withdrew, or None.
        pauses: All pauses, oldest first.
        evidence: Where the opt-in is recorded, in words.
        anew_us: When the person opted in again after a withdrawal, or 0; nothing older is used.
        purposes: Purposes the person opted in to; None of an opt-in from before they were named.
        objected: Purposes the person objects to.
        restricted_us: Since when everything is restricted, or None.
        contested: Days that are left out.
        cases: What the person is owed an answer to, and the newest that were answered.
        moved_us: When the person moved last, or 0; nothing from before is taken in.
        level: ``staff``, ``manager`` or ``executive``; who has which is not the person's to choose.
        voice: By which key the person speaks.
        signed: Whether the opt-in is signed by the person; where an operator entered it, the charter decides.
    """

    external: str
    jurisdiction: str
    streams: frozenset[str] = frozenset()
    consented_us: int = 0
    withdrawn_us: int | None = None
    pauses: tuple[Pause, ...] = ()
    evidence: str = ""
    anew_us: int = 0
    purposes: frozenset[str] | None = None
    objected: frozenset[str] = frozenset()
    restricted_us: int | None = None
    contested: tuple[Span, ...] = ()
    cases: tuple[Case, ...] = ()
    moved_us: int = 0
    level: str = "staff"
    voice: Voice = NOBODY
    signed: bool = False

    def allowed(self, *, at_us: int) -> frozenset[str]:
        """Return the streams whose data may be used now; never empty.

        Raises:
            ConsentError: The person withdrew, is paused, restricted everything, or never opted in.
        """
        if self.withdrawn_us is not None:
            raise ConsentError("the person has withdrawn", rule="subjects.withdrawn")
        if self.restricted_us is not None:
            raise ConsentError("the person has restricted all use", rule="subjects.restricted")
        if self.paused(at_us):
            raise ConsentError("the person has paused", rule="subjects.paused")
        if not self.streams:
            raise ConsentError("the person has not opted in", rule="subjects.opt_in")
        return self.streams

    def paused(self, at_us: int) -> bool:
        """Return whether a pause holds at a moment; one that began and has no end holds whatever the clock says."""
        return any(pause.holds(at_us) for pause in self.pauses)

    def agrees(self, purpose: str) -> bool:
        """Return whether the person opted in to a purpose and does not object to it."""
        return purpose not in self.objected and (self.purposes is None or purpose in self.purposes)

    def bar(self, purpose: str, stream: str = "", window: int = 0) -> str | None:
        """Return the rule by which rows of a stream and day are left out for a purpose, if there is one."""
        if purpose in self.objected:
            return "subjects.objected"
        if not self.agrees(purpose):
            return "subjects.purpose"
        if any(span.covers(stream, window) for span in self.contested):
            return "subjects.contested"
        return None

    def consent(
        self,
        streams: Iterable[str],
        *,
        at_us: int,
        evidence: str,
        purposes: Iterable[str] | None = None,
        signed: bool = False,
    ) -> Standing:
        """Return the standing after an opt-in; it replaces an earlier one and ends a withdrawal.

        Whoever opts in to a purpose they had objected to objects no more.
        """
        named = None if purposes is None else frozenset(purposes)
        taken_back = self.objected if named is None else self.objected & named
        return replace(
            self._end_cases(taken_back, at_us=at_us),
            streams=frozenset(streams),
            consented_us=at_us,
            withdrawn_us=None,
            evidence=evidence,
            anew_us=self.anew_us if self.withdrawn_us is None else at_us,
            purposes=named,
            signed=signed,
            objected=self.objected - taken_back,
        )

    def pause(
        self, *, at_us: int, start_us: int | None = None, end_us: int | None = None
    ) -> Standing:
        """Return the standing with a pause; one that changes nothing is not added.

        Args:
            at_us: Now.
            start_us: When it begins; now if absent or in the past.
            end_us: When it ends by itself; never if absent. One that has an end does not keep a longer one out.

        Raises:
            InvalidError: It ends before it begins.
        """
        start = at_us if start_us is None else max(start_us, at_us)
        if end_us is not None and end_us <= start:
            raise InvalidError("a pause ends after it begins", rule="subjects.pause")
        if any(one.end_us is None and one.start_us <= start for one in self.pauses):
            return self
        asked = None if end_us is None and start == at_us else at_us
        return replace(self, pauses=(*self.pauses, Pause(start, end_us, asked)))

    def resume(self, *, at_us: int, planned: bool = False) -> Standing:
        """Return the standing with the running pauses ended.

        Args:
            at_us: Now.
            planned: Whether those that have not begun are given up too.
        """
        pauses = [pause.ended(at_us) if pause.holds(at_us) else pause for pause in self.pauses]
        kept = [one for one in pauses if not (planned and one.start_us > at_us)]
        return replace(self, pauses=tuple(kept))

    def withdraw(self, *, at_us: int) -> Standing:
        """Return the standing after a withdrawal."""
        return replace(self, streams=frozenset(), withdrawn_us=at_us)

    def object_to(self, case: Case) -> Standing:
        """Return the standing after an objection to the purposes of a case; it counts at once."""
        return replace(self, objected=self.objected | set(case.about), cases=self._with_case(case))

    def restrict(self, case: Case) -> Standing:
        """Return the standing after a restriction; a second one changes nothing."""
        if self.restricted_us is not None:
            return self
        return replace(self, restricted_us=case.at_us, cases=self._with_case(case))

    def lift(self, *, at_us: int) -> Standing:
        """Return the standing without its restriction; what was recorded meanwhile is never taken."""
        if self.restricted_us is None:
            return self
        quiet = Pause(self.restricted_us, max(at_us, self.restricted_us + 1))
        cases = tuple(
            replace(case, answered_us=at_us, outcome=WITHDRAWN)
            if case.open and case.right == "restrict"
            else case
            for case in self.cases
        )
        return replace(self, restricted_us=None, pauses=(*self.pauses, quiet), cases=cases)

    def contest(self, case: Case, spans: Iterable[Span]) -> Standing:
        """Return the standing in which some days are contested; they are left out from now on."""
        return replace(
            self,
            contested=tuple(sorted({*self.contested, *spans})),
            cases=self._with_case(case),
        )

    def move(
        self, *, at_us: int, jurisdiction: str, level: str, spans: Iterable[Span] = ()
    ) -> Standing:
        """Return the standing of somebody who works elsewhere, or at another level, from now on.

        Args:
            at_us: Now; what was recorded before is not taken in any more.
            jurisdiction: Where the person works now.
            level: Their level now.
            spans: Days that were sealed under a place that was wrong already.
        """
        moved = at_us if jurisdiction != self.jurisdiction else self.moved_us
        return replace(
            self,
            jurisdiction=jurisdiction,
            level=level,
            moved_us=moved,
            contested=tuple(sorted({*self.contested, *spans})),
        )

    def answer(self, name: str, outcome: str, *, at_us: int) -> Standing:
        """Return the standing after the answer to a case."""
        case = self.case(name)
        told = replace(
            self, cases=self._with_case(replace(case, answered_us=at_us, outcome=outcome))
        )
        match case.right, outcome:
            case "object", "refused":
                return replace(told, objected=told.objected - set(case.about))
            case "restrict", "lifted":
                return told.lift(at_us=at_us)
            case "correct", "refused":
                kept = tuple(span for span in told.contested if span.case != name)
                return replace(told, contested=kept)
            case _:
                return told

    def case(self, name: str) -> Case:
        """Return an open case.

        Raises:
            InvalidError: There is none of that name.
        """
        found = [case for case in self.cases if case.id == name and case.open]
        if not found:
            raise InvalidError("no such open request", rule="subjects.case")
        return found[0]

    def _with_case(self, case: Case) -> tuple[Case, ...]:
        others = [one for one in self.cases if one.id != case.id]
        answered = [one for one in others if not one.open]
        gone = {one.id for one in answered[: max(len(answered) - MOST_ANSWERED, 0)]}
        return (*(one for one in others if one.id not in gone), case)

    def _end_cases(self, purposes: frozenset[str], *, at_us: int) -> Standing:
        """Close open objections that lie within purposes: the person took them back."""
        cases = tuple(
            replace(case, answered_us=at_us, outcome=WITHDRAWN)
            if case.open and case.right == "object" and set(case.about) <= purposes
            else case
            for case in self.cases
        )
        return replace(self, cases=cases)

    def to_record(self) -> dict[str, Any]:
        """Return the standing as canonical JSON values, to be sealed; what came later is left out while unset."""
        later: dict[str, Any] = {
            "purposes": None if self.purposes is None else sorted(self.purposes),
            "objected": sorted(self.objected),
            "restricted_us": self.restricted_us,
            "contested": [[s.stream, s.first_day, s.last_day, s.case] for s in self.contested],
            "cases": [case.to_record() for case in self.cases],
            "moved_us": self.moved_us,
            "level": "" if self.level == "staff" else self.level,
            "voice": self.voice.to_record(),
            "signed": self.signed,
        }
        return {
            "external": self.external,
            "jurisdiction": self.jurisdiction,
            "streams": sorted(self.streams),
            "consented_us": self.consented_us,
            "withdrawn_us": self.withdrawn_us,
            "pauses": [pause.to_record() for pause in self.pauses],
            "evidence": self.evidence,
            "anew_us": self.anew_us,
            **{
                key: value
                for key, value in later.items()
                if value or (key in {"purposes", "restricted_us"} and value is not None)
            },
        }

    def digest(self) -> str:
        """Return a hash of the whole standing, base64: what a leaf says of it, sealed and equally long for all."""
        return canonical.b64(sha256(canonical.encode(self.to_record())).digest())

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Standing:
        """Read a standing back.

        Raises:
            InvalidError: The record has another shape.
        """
        purposes = record.get("purposes")
        try:
            return cls(
                external=record["external"],
                jurisdiction=record["jurisdiction"],
                streams=frozenset(record["streams"]),
                consented_us=record["consented_us"],
                withdrawn_us=record["withdrawn_us"],
                pauses=tuple(Pause.from_record(one) for one in record["pauses"]),
                evidence=record["evidence"],
                anew_us=record["anew_us"],
                purposes=None if purposes is None else frozenset(purposes),
                objected=frozenset(record.get("objected", ())),
                restricted_us=record.get("restricted_us"),
                contested=tuple(Span(*one) for one in record.get("contested", ())),
                cases=tuple(Case.from_record(one) for one in record.get("cases", ())),
                moved_us=record.get("moved_us", 0),
                level=record.get("level", "staff"),
                voice=Voice.from_record(record.get("voice", ())),
                signed=record.get("signed", False),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidError("a standing has another shape", rule="subjects.record") from error
