"""Around one keeper: somebody who works on incidents, and seats that sign what they decide."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.access_desk import Office
from tests.containing import contain
from tests.world import raised

from safehold.canonical import unb64
from safehold.incident.statement import Statement
from safehold.ledger import Entry
from safehold.signing import SigningKey
from safehold_verify.person import Person, unpack

ALL_NOTICES = ("authority", "people", "board", "regulator", "attorney")


class Response(Office):
    """Who works on incidents."""

    def open(self, **changes: Any) -> int:
        given = {"text": "somebody saw something", "severity": 2} | changes
        return int(self.call("incident.open", **given)["incident"])

    def show(self, incident: int) -> dict[str, Any]:
        return self.call("incident.show", incident=incident)

    def clocks(self, incident: int) -> dict[str, dict[str, Any]]:
        told = self.call("incident.clock", incident=incident)["clocks"]
        return {one["clock"]: one for one in told}

    def statement(
        self, incident: int, what: str, seat: str, facts: Mapping[str, Any], **changes: Any
    ) -> dict[str, Any]:
        key = changes.pop("key", None) or self.bench.seats[seat]
        made = {
            "home": self.bench.home.id,
            "incident": incident,
            "what": what,
            "facts": facts,
            "basis": self.show(incident)["basis"],
            "seat": seat,
            "at_us": self.bench.clock.now_us(),
        } | changes
        return Statement(**made).sign(key).to_json()

    def sign(
        self, incident: int, what: str, seat: str, facts: Mapping[str, Any], **changes: Any
    ) -> dict[str, Any]:
        said = self.statement(incident, what, seat, facts, **changes)
        return self.call(f"incident.{what}", incident=incident, statement=said)

    def close(self, incident: int, seat: str, keeps: tuple[int, ...] = ()) -> dict[str, Any]:
        return self.sign(incident, "close", seat, {"keeps": list(keeps), "why": "it is over"})

    def decide(self, incident: int, notice: str, seat: str = "privacy") -> dict[str, Any]:
        said = {"notice": notice, "decision": "not_needed", "why": "nobody was reached"}
        return self.sign(incident, "notice", seat, said)

    def move(self, incident: int, state: str) -> dict[str, Any]:
        return self.call("incident.move", incident=incident, state=state, text="so it is")

    def uncontained(self, incident: int) -> None:
        self.call("incident.uncontained", incident=incident, text="there is nothing to contain")

    def cause(self, incident: int, text: str = "a door was left open") -> str:
        return str(self.call("incident.cause", incident=incident, text=text)["sha256"])

    def ready(self, incident: int) -> int:
        """Bring an incident to where only two people are missing."""
        self.call("incident.severity", incident=incident, severity=2, text="it was read")
        self.uncontained(incident)
        for state in ("triaged", "contained", "eradicated", "recovering"):
            if state in self.show(incident)["next"]:
                self.move(incident, state)
        self.cause(incident)
        for clock in self.clocks(incident).values():
            if clock["notice"] and clock["notice"] not in self.show(incident)["notices"]:
                self.decide(incident, clock["notice"])
        return incident

    def ended(self, incident: int) -> int:
        """End an incident."""
        self.close(self.ready(incident), "security")
        self.close(incident, "ml_lead")
        return incident

    def alert(self, principal: str = "ana", signal: str = "bulk", severity: int = 3) -> int:
        """Put an alert into the ledger, as the sentinel does."""
        desk = self.bench.desk
        (receipt,) = desk.log(
            Entry(
                kind="alert",
                actor="sentinel",
                object=principal,
                detail={"principal": principal, "sentence": "more than usual", "events": [1]},
                charter=desk.trust.digest(),
                public={"signal": signal, "severity": severity, "state": "raised"},
            )
        )
        return receipt.index

    def contain(self, incident: int, target: str = "us-ca.key") -> int:
        """Contain a segment for an incident, by the order of a seat."""
        return int(contain(self.bench, "segment", target, "security", of=incident)["entry"])

    def letters(self, incident: int, path: Path, *seats: str) -> dict[str, Any]:
        """Have the list drawn up, signed by some seats, and sealed to the privacy seat's own key."""
        file = path / "seat.key"
        if not file.exists():
            self.bench.seats["privacy"].write(file)
        asked = Person.read(file).ask(home="h", person="privacy", at_us=0)
        facts = {"open_to": json.loads(json.loads(asked)["request"])["open_to"]}
        signed = [
            self.statement(incident, "letters", seat, facts)
            for seat in seats or ("privacy", "legal")
        ]
        return self.call("incident.letters", incident=incident, statements=signed)

    def listed(self, incident: int, path: Path, *, key: SigningKey | None = None) -> dict[str, Any]:
        """Draw up the list, and open it with the privacy seat's key or another."""
        answer = self.letters(incident, path)
        file = path / "seat.key"
        sealed = unb64(answer["sealed"])
        assert hashlib.sha256(sealed).hexdigest() == answer["sha256"]
        if key is not None:
            file = path / "other.key"
            key.write(file)
        folder = path / f"list-{answer['entry']}"
        unpack(Person.read(file).open(sealed), folder)
        rows = (folder / "people.csv").read_text().splitlines()[1:]
        return {**answer, "people_named": {row.split(",")[0] for row in rows}, "folder": folder}


def refused(act: Callable[[], Any], rule: str) -> None:
    error = raised(act)
    assert error.rule == rule, f"{error.rule}: {error.message}"


def write(office: Response, incident: int, **facts: Any) -> int:
    """Write a step as whoever has got hold of the ledger's pen would."""
    desk = office.bench.desk
    (receipt,) = desk.log(
        Entry(
            kind="incident",
            actor="thief",
            object="incident",
            detail={},
            charter=desk.trust.digest(),
            public={"state": "closed"} | facts,
            ref=incident,
        )
    )
    return receipt.index
