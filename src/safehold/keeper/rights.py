"""What people asked for and are owed an answer to, and the answers.

A request counts at once; the answer says whether it stays. Rules:
1. Whoever runs the keeper sees that a request waits and until when, never whose it is or what it says.
2. A seat of the board reads it, with its signature, and the person finds in their receipts who read it.
3. An answer for the person is given by one seat, or by an operator. One against them (an objection or a correction
   refused, a restriction lifted) takes every seat that a widening takes: privacy and the employee representative.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from safehold import canonical
from safehold.canonical import unb64
from safehold.charter import Signature
from safehold.errors import DeniedError, InvalidError, MissingError, QuorumError
from safehold.ids import PersonId
from safehold.keeper.change import fields_of, read_choice
from safehold.keeper.choices import records_of
from safehold.keeper.crowd import Crowd
from safehold.keeper.messages import ANSWER_DOMAIN, READ_DOMAIN
from safehold.keeper.server import Report
from safehold.subjects import Case
from safehold.subjects.case import OUTCOMES

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

LONGEST_ANSWER: Final = 500  # characters


class Rights:
    """The verbs about requests.

    Args:
        desk: What the keeper works with.
        crowd: Records choices.
    """

    def __init__(self, desk: Desk, crowd: Crowd) -> None:
        self._desk = desk
        self._crowd = crowd

    def listing(
        self, _arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """List what waits for an answer, the most urgent first; not whose it is."""
        now = self._desk.now_us()
        waiting = sorted((case for _, case in self._open()), key=lambda one: (one.due_us, one.id))
        return {
            "requests": [
                {
                    "case": case.id,
                    "right": case.right,
                    "asked_us": case.at_us,
                    "due_us": case.due_us,
                    "overdue": case.overdue(now),
                }
                for case in waiting
            ]
        }

    def clock(self) -> dict[str, Any]:
        """Return how many requests wait, how many are late, and when the next is due."""
        now, waiting = self._desk.now_us(), [case for _, case in self._open()]
        return {
            "open": len(waiting),
            "overdue": sum(case.overdue(now) for case in waiting),
            "next_due_us": min((case.due_us for case in waiting), default=None),
        }

    def read(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Show a request to a seat of the board; that it did is recorded first, and the person sees it."""
        desk = self._desk
        person, case = self._find(arguments["case"])
        nonce = desk.nonces.spend(unb64(str(arguments["nonce"])), desk.now_us())
        text = canonical.encode([desk.home.id, case.id, canonical.b64(nonce)])
        seats = self._seats(READ_DOMAIN, text, arguments["signatures"])
        record = {"choice": "read", "at_us": desk.now_us(), "by": _named(seats), "case": case.id}
        self._crowd.carry_out(person, "read", record, read_choice(record))
        said: dict[str, Any] = {}
        for _, one in records_of(desk, person):
            if one.get("case") == case.id and one["choice"] == case.right:
                said = dict(fields_of(one))
        return {
            "case": case.id,
            "right": case.right,
            "person": desk.people.standing(person).external,
            "about": list(case.about),
            "days": said.get("days", []),
            "text": said.get("text", ""),
            "asked_us": case.at_us,
            "due_us": case.due_us,
        }

    def answer(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Answer a request."""
        desk = self._desk
        text = str(arguments["answer"]).encode()
        said = _parse(text, home=desk.home.id)
        person, case = self._find(said["case"])
        against = OUTCOMES[case.right].get(said["outcome"])
        if against is None:
            raise InvalidError(
                "no such answer to this request",
                field="outcome",
                rule="rights.outcome",
                fix=", ".join(OUTCOMES[case.right]),
            )
        given = arguments.get("signatures") or []
        seats = self._seats(ANSWER_DOMAIN, text, given) if given else []
        if against:
            self._require_veto(seats)
        record = {
            "choice": "answer",
            "at_us": desk.now_us(),
            "by": _named(seats) or "operator",
            "case": case.id,
            "outcome": said["outcome"],
            "text": said["text"],
        }
        with desk.lock:
            self._find(case.id)  # somebody else may have answered it, or the person taken it back
            answer = self._crowd.carry_out(person, "answer", record, read_choice(record))
        return {"case": case.id, "outcome": said["outcome"], "entry": answer["entry"]}

    def _require_veto(self, seats: Sequence[str]) -> None:
        needed = self._desk.trust.charter().oversight.widen.must_include
        if not set(needed) <= set(seats):
            raise QuorumError(
                "an answer against a person takes the seats that every widening takes",
                rule="rights.against",
                fix=f"let them sign: {', '.join(needed)}",
            )

    def _seats(self, domain: str, text: bytes, given: Any) -> list[str]:
        """Return the names of the seats that signed.

        Raises:
            DeniedError: None did.
        """
        if not isinstance(given, list):
            raise InvalidError("not a list of signatures", rule="rights.signatures")
        roster = self._desk.trust.roster
        seats, bad = roster.count(domain, text, [Signature.from_json(one) for one in given])
        if bad or not seats:
            raise DeniedError(
                "no seat of the board signed this", rule="rights.seat", fix="safehold board show"
            )
        return sorted(seat.name for seat in seats)

    def _open(self) -> Iterator[tuple[PersonId, Case]]:
        for person, standing in self._desk.people.everybody().items():
            for case in standing.cases:
                if case.open:
                    yield person, case

    def _find(self, name: object) -> tuple[PersonId, Case]:
        for person, case in self._open():
            if case.id == name:
                return person, case
        raise MissingError(
            "no such request is open", rule="rights.case", fix="safehold rights list"
        )


def _named(seats: Sequence[str]) -> str:
    return " ".join(f"seat:{one}" for one in seats)


def _parse(text: bytes, *, home: str) -> dict[str, Any]:
    match canonical.decode(text):
        case {"v": "safehold.answer/1", "home": str(named), "case": str(), "outcome": str(),
              "text": str(words)} as said if len(said) == 5 and named == home:  # fmt: skip
            if len(words) > LONGEST_ANSWER or not words.isprintable():
                raise InvalidError("not a printable text", field="text", rule="rights.text")
            return dict(said)
        case _:
            raise InvalidError("not an answer for this home", rule="rights.answer")
