"""The verbs by which people work on an incident: open, note, assign, move, contain or say why not, act, publish."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final

from safehold.errors import DeniedError, InvalidError
from safehold.incident.docket import Docket, read_level, read_text, require_open
from safehold.incident.report import NAME
from safehold.incident.scope import Scope
from safehold.incident.severity import Facts, propose, told
from safehold.keeper.incident import CLOSED, CONTAINED, NEXT, REOPENED, ROLES, Incident
from safehold.keeper.restart import cause_entry
from safehold.keeper.server import Report, Verb
from safehold.ledger import Entry

LONGEST_WORD: Final = 256  # characters


class Steps:
    """The verbs.

    Args:
        docket: The incidents.
    """

    def __init__(self, docket: Docket) -> None:
        self._docket = docket
        self._desk = docket.desk

    def verbs(self) -> dict[str, Verb]:
        """Return the verbs by name."""
        return {
            "incident.open": self.open,
            "incident.note": self.note,
            "incident.assign": self.assign,
            "incident.severity": self.severity,
            "incident.move": self.move,
            "incident.uncontained": self.uncontained,
            "incident.aware": self.aware,
            "incident.cause": self.cause,
            "incident.action": self.action,
            "incident.reopen": self.reopen,
            "incident.publish": self.publish,
        }

    def open(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Open an incident, as a person or for an alert; without a severity it is the worst that it could be."""
        text = read_text(arguments)
        scope = Scope.from_json(arguments.get("scope") or {})
        level = propose(Facts())[0]
        if arguments.get("severity") is not None:
            level = read_level(arguments)
        alert = arguments.get("alert")
        if alert is not None and type(alert) is not int:
            raise InvalidError(
                "an alert is named by its entry", field="alert", rule="incident.alert"
            )
        if alert is not None and arguments.get("severity") is None:
            level = told(5)["severity"]  # the alert says it
        since = self._since(arguments)
        one, new = self._docket.open(text, severity=level, scope=scope, alert=alert, since_ms=since)
        return {"new": new, **_shown(one)}

    def note(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Note something, sealed; a scope that comes with it is added to what the incident is about."""
        one = self._docket.find(arguments)
        detail: dict[str, Any] = {"text": read_text(arguments)}
        scope = Scope.from_json(arguments.get("scope") or {})
        if scope != Scope():
            detail["scope"] = self._docket.checked(scope).to_json()
        step = "scope" if "scope" in detail else "note"
        receipt = self._docket.step(one, step, detail)
        return {"entry": receipt.index, **_shown(one)}

    def assign(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Give a role to a principal, whose id is sealed."""
        one = self._docket.find(arguments)
        require_open(one)
        role, who = arguments.get("role"), arguments.get("principal")
        if role not in ROLES:
            raise InvalidError(
                "no such role", field="role", rule="incident.role", fix=f"one of {', '.join(ROLES)}"
            )
        if not isinstance(who, str) or not 0 < len(who) <= LONGEST_WORD:
            raise InvalidError("not the id of a principal", field="principal", rule="incident.role")
        receipt = self._docket.step(one, "assign", {"principal": who}, {"about": str(role)})
        return {"entry": receipt.index, **_shown(one)}

    def severity(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Set it as grave as it is, or graver; anybody may.

        Raises:
            DeniedError: It would be less grave, which takes two people.
        """
        one = self._docket.find(arguments)
        require_open(one)
        level, why = read_level(arguments), read_text(arguments)
        if level > one.grave:
            raise DeniedError(
                "to call it less grave takes two people",
                rule="incident.lower",
                fix="safehold incident severity with --seat and --key, by two people",
            )
        receipt = self._docket.step(one, "severity", {"text": why}, {"severity": level})
        return {"entry": receipt.index, **_shown(one)}

    def move(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Move an incident on to a state that is allowed from where it is.

        Raises:
            DeniedError: It is not allowed from there, or nothing is contained.
        """
        one = self._docket.find(arguments)
        state, text = arguments.get("state"), read_text(arguments)
        allowed = [each for each in NEXT[one.state] if each not in (CLOSED, REOPENED)]
        if state not in allowed:
            raise DeniedError(
                f"an incident that is {one.state} moves on to {' or '.join(allowed) or 'nothing'}",
                rule="incident.turn",
                fix="safehold incident show",
            )
        held = any(index > one.begun for index in one.held) or any(one.held.values())
        if state == CONTAINED and not held and one.uncontained is None:
            raise DeniedError(
                "nothing is contained for this incident",
                rule="incident.contain",
                fix="contain it, or state why nothing is: safehold incident contain --none",
            )
        receipt = self._docket.step(one, "move", {"text": text}, {"state": str(state)})
        return {"entry": receipt.index, **_shown(one)}

    def uncontained(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """State why nothing is contained."""
        one = self._docket.find(arguments)
        require_open(one)
        receipt = self._docket.step(one, "uncontained", {"text": read_text(arguments)})
        return {"entry": receipt.index, **_shown(one)}

    def aware(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Say that somebody knew earlier than the record tells; every clock then began earlier.

        Raises:
            DeniedError: It would be later: no clock is set back.
        """
        one = self._docket.find(arguments)
        require_open(one)
        since = self._since(arguments)
        if not 0 < since < one.aware_ms:
            raise DeniedError(
                "a clock only ever begins earlier",
                rule="incident.clock",
                fix="name a moment before the one that the record tells: safehold incident clock",
            )
        receipt = self._docket.step(one, "clock", {"text": read_text(arguments)}, {"since": since})
        return {"entry": receipt.index, **_shown(one)}

    def cause(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Publish the root cause: its hash in the clear, its text sealed; a restart can name it."""
        one = self._docket.find(arguments)
        require_open(one)
        text, desk = read_text(arguments), self._desk
        sha = hashlib.sha256(text.encode()).hexdigest()
        with desk.lock:
            published = cause_entry(desk.trust.charter(), text, digest=desk.trust.digest())
            receipt = self._docket.step(one, "cause", {}, {"sha256": sha}, before=[published])
        return {"entry": receipt.index, "sha256": sha, **_shown(one)}

    def action(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Write down something to do, or that it is done.

        Raises:
            DeniedError: There is no such action.
        """
        one, text = self._docket.find(arguments), read_text(arguments)
        done = arguments.get("done")
        if done is None:
            require_open(one)
            receipt = self._docket.step(one, "action", {"text": text})
        elif done in one.actions and type(done) is int:
            receipt = self._docket.step(one, "done", {"text": text}, ref=done)
        else:
            raise DeniedError("no such action of this incident", rule="incident.action")
        return {"entry": receipt.index, **_shown(one)}

    def reopen(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Open an incident again that had ended; anybody may.

        Raises:
            DeniedError: It is open.
        """
        one, text = self._docket.find(arguments), read_text(arguments)
        if one.open:
            raise DeniedError("this incident is open", rule="incident.open")
        receipt = self._docket.step(one, "reopen", {"text": text}, {"state": REOPENED})
        return {"entry": receipt.index, **_shown(one)}

    def publish(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Publish the report that people completed, by its hash."""
        one, desk = self._docket.find(arguments), self._desk
        sha = str(arguments.get("sha256", ""))
        if len(sha) != 64 or set(sha) - set("0123456789abcdef"):
            raise InvalidError("a report is named by its SHA-256", rule="incident.report")
        document = Entry(
            kind="document",
            actor="board",
            object=NAME,
            detail={"incident": one.index},
            charter=desk.trust.digest(),
            public={"name": NAME, "sha256": sha, "version": desk.trust.charter().version},
        )
        receipt = self._docket.step(one, "report", {}, {"sha256": sha}, before=[document])
        return {"entry": receipt.index, "sha256": sha, **_shown(one)}

    def _since(self, arguments: dict[str, Any]) -> int:
        given = arguments.get("since_us")
        if given is None:
            return 0
        if type(given) is not int or not 0 <= given <= self._desk.now_us():
            raise InvalidError(
                "a moment that has been, in microseconds", field="since", rule="incident.clock"
            )
        return given // 1000


def _shown(one: Incident) -> dict[str, Any]:
    return {"incident": one.index, "state": one.state, "severity": one.grave}
