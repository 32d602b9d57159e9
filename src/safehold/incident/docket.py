"""What the verbs about incidents share: the fold, one way to write a step, and who is behind an incident.

Every step is one leaf. Its public facts are the state and the severity after it, and which step it is; who took it and
every word of theirs lie in the sealed part. Nothing is kept anywhere else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from safehold.access import operator_of
from safehold.access.grant import Grant
from safehold.errors import (
    ConflictError,
    DeniedError,
    InvalidError,
    MissingError,
    SafeholdError,
    UnavailableError,
)
from safehold.incident.scope import Scope, checked, scope_of
from safehold.incident.severity import of_alert
from safehold.keeper.caller import caller
from safehold.keeper.incident import OPEN, REOPENED, Incident
from safehold.keeper.incidents import Incidents, about_alert
from safehold.ledger import Entry, Receipt, Subject

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

LONGEST: Final = 20_000  # characters of a text


class Docket:
    """The incidents of a home.

    Args:
        desk: What the keeper works with.
        require_known: Passes if there is everything that a scope names.
    """

    def __init__(self, desk: Desk, require_known: Callable[[Scope], None]) -> None:
        self.desk = desk
        self._require_known = require_known
        self.lock = (
            threading.RLock()
        )  # from a look at an incident to the leaf of the step that follows
        self._fold = Incidents()

    def checked(self, scope: Scope) -> Scope:
        """Return a scope that names nothing but what there is.

        Raises:
            InvalidError: It names an entry that is no grant.
            MissingError: It names a principal, a segment or an artifact that nobody knows.
        """
        self._require_known(scope)
        return checked(scope, self.desk.ledger)

    def all(self) -> list[Incident]:
        """Return every incident, oldest first; what came back is open again."""
        with self.lock:
            self._settle()
            return self._fold.all()

    def fold(self) -> Incidents:
        """Return the fold, read up to now."""
        with self.lock:
            return self._fold.follow(self.desk.ledger)

    def find(self, arguments: Mapping[str, Any], name: str = "incident") -> Incident:
        """Return the incident that an argument names.

        Raises:
            MissingError: There is none.
        """
        index = arguments.get(name)
        if type(index) is not int:
            raise InvalidError(
                "an incident is named by its entry", field=name, rule="incident.index"
            )
        with self.lock:
            self._settle()
            found = self._fold.find(index)
        if found is None:
            raise MissingError(
                "no such incident", rule="incident.missing", fix="safehold incident list"
            )
        return found

    def open(
        self,
        text: str,
        *,
        severity: int,
        scope: Scope,
        alert: int | None = None,
        since_ms: int = 0,
    ) -> tuple[Incident, bool]:
        """Open an incident, and return it and whether it is new.

        An alert opens one, once: of another alert of the same signal about the same principal, the incident that is
        open already goes on. Whatever is said of the severity, an alert's own counts if it is graver.

        Raises:
            MissingError: There is no such alert.
        """
        with self.lock:
            self._settle()
            if alert is not None:
                known = self._for_alert(alert)
                if known is not None:
                    return known, False
                pub = next(leaf for _, leaf in self.desk.ledger.leaves(alert, alert + 1))["pub"]
                severity = min(severity, of_alert(int(pub.get("severity", 4))))
            entries = [
                Entry(
                    kind="incident",
                    actor=caller().id,
                    object="incident",
                    detail={"text": text, "scope": self.checked(scope).to_json()},
                    charter=self.desk.trust.digest(),
                    public={"severity": severity, "state": OPEN},
                    ref=alert,
                )
            ]
            index = self.desk.log(*entries)[0].index
            self._settle()
            found = self._fold.find(index)
            if found is None:
                raise ConflictError("the entry opened no incident", rule="incident.open")
            if since_ms:
                self.step(found, "clock", {"text": text}, {"since": since_ms})
            return found, True

    def _for_alert(self, alert: int) -> Incident | None:
        """Return the open incident that an alert belongs to already."""
        raised, fold = self._fold.alert(alert), self._fold
        if raised is None:
            raise MissingError("no such alert", rule="incident.alert", fix="safehold alert list")
        if (known := fold.of_alert(alert)) is not None:
            return known
        about = about_alert(self.desk.ledger, alert)
        for one in fold.all():
            mine = None if one.alert is None else fold.alert(one.alert)
            if (
                one.open
                and mine is not None
                and mine[1] == raised[1]
                and about_alert(self.desk.ledger, one.alert) == about
            ):
                return one
        return None

    def step(
        self,
        one: Incident,
        step: str,
        detail: Mapping[str, Any],
        facts: Mapping[str, int | str] | None = None,
        *,
        ref: int | None = None,
        actor: str = "",
        subjects: Sequence[Subject] = (),
        before: Sequence[Entry] = (),
        then: Sequence[Entry] = (),
    ) -> Receipt:
        """Append one step, and what comes before and behind it in the same commit; return the step's receipt.

        Raises:
            ConflictError: The step does not follow from those before it; its leaf says so and changes nothing.
        """
        with self.lock:
            entry = self.entry(one, step, detail, facts, ref=ref, actor=actor, subjects=subjects)
            receipts = self.desk.log(*before, entry, *then)
            self._fold.follow(self.desk.ledger)
            found = receipts[len(before)]
            if not any(taken.index == found.index for taken in one.steps):
                raise ConflictError(
                    "this does not follow from where the incident stands", rule="incident.turn"
                )
            return found

    def entry(
        self,
        one: Incident,
        step: str,
        detail: Mapping[str, Any],
        facts: Mapping[str, int | str] | None = None,
        *,
        ref: int | None = None,
        actor: str = "",
        subjects: Sequence[Subject] = (),
    ) -> Entry:
        """Return the leaf of one step."""
        said: dict[str, int | str] = {"state": one.state, "step": step}
        if one.severity is not None:
            said["severity"] = one.severity
        return Entry(
            kind="incident",
            actor=actor or caller().id,
            object=f"incident/{one.index}",
            detail=detail,
            charter=self.desk.trust.digest(),
            public=said | dict(facts or {}),
            ref=one.index if ref is None else ref,
            subjects=subjects,
        )

    def barred(self, one: Incident) -> frozenset[str]:
        """Return who does not end an incident: whoever opened it, and whoever it is about.

        Sealed parts that are gone tell nobody; two people are needed all the same.
        """
        desk, found = self.desk, set(self.scope(one).principals)
        for index in (one.index, one.begun):
            with suppress(SafeholdError):
                found.add(self.person(str(desk.ledger.detail(index)["actor"])))
        for grant in self.scope(one).grants:
            with suppress(SafeholdError):
                told = desk.ledger.detail(grant)["detail"].get("grant")
                if told is not None:
                    asked = Grant.from_json(told).requester
                    found |= {asked.id, operator_of(asked)}
        return frozenset(found - {""})

    def person(self, name: str) -> str:
        """Return who holds a seat, if that is a seat's name; else the name stands for a person."""
        return next((one.person for one in self.desk.trust.roster.seats if one.name == name), name)

    def scope(self, one: Incident) -> Scope:
        """Return what an incident is about."""
        return scope_of(one, self.desk.ledger)

    def _settle(self) -> None:
        """Read on; open again what has come back. A ledger that takes nothing leaves that to a later look."""
        self._fold.follow(self.desk.ledger)
        for one, why in list(self._fold.came_back(self.desk.ledger)):
            with suppress(UnavailableError):
                self.step(
                    one,
                    "reopen",
                    {"because": why, "text": "what it was about has come back"},
                    {"state": REOPENED},
                    actor="keeper",
                )


def read_text(arguments: Mapping[str, Any], name: str = "text", *, least: int = 1) -> str:
    """Return an argument that is a text of people.

    Raises:
        InvalidError: It is none, or too long, or says nothing.
    """
    given = arguments.get(name, "")
    if not isinstance(given, str) or not least <= len(given.strip()) <= LONGEST:
        raise InvalidError(
            f"a text of {least} to {LONGEST} characters", field=name, rule="incident.text"
        )
    return given.strip()


def read_level(arguments: Mapping[str, Any], name: str = "severity") -> int:
    """Return an argument that is a severity.

    Raises:
        InvalidError: It is none.
    """
    given = arguments.get(name)
    if type(given) is not int or not 0 <= given <= 5:
        raise InvalidError(
            "a severity is 0 (the gravest) to 5",
            field=name,
            rule="incident.severity",
            fix="safehold incident scale",
        )
    return given


def require_open(one: Incident) -> None:
    """Pass if an incident has not ended.

    Raises:
        DeniedError: It has.
    """
    if not one.open:
        raise DeniedError(
            "this incident has ended",
            rule="incident.closed",
            fix="open it again: safehold incident reopen",
        )
