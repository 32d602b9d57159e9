"""What others enter about a person that is no choice of how their data is used: an invitation, where they work.

Each is a leaf like that of a choice, marked as an operator's, and the person finds it among their receipts.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from safehold import ids
from safehold.clock import day_of
from safehold.errors import DeniedError, InvalidError
from safehold.ids import PersonId
from safehold.keeper.change import read_choice
from safehold.keeper.chosen import take_level
from safehold.keeper.crowd import Crowd
from safehold.keeper.server import Report
from safehold.keeper.terms import recorded_streams
from safehold.keeper.voice import OPERATOR, require_proxy
from safehold.subjects import Standing, digest_code

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

CODE_BYTES: Final = 20  # 160 random bits, 32 letters and digits
LONGEST_PLACE: Final = 16  # characters
OLDEST_DAYS: Final = 4_000  # how far back a place can have been wrong


class Hands:
    """The verbs of operators.

    Args:
        desk: What the keeper works with.
        crowd: Records it.
    """

    def __init__(self, desk: Desk, crowd: Crowd) -> None:
        self._desk = desk
        self._crowd = crowd

    def invite(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return a one-time code for a person, to be handed to them and to nobody else; it is kept nowhere."""
        desk = self._desk
        person = desk.people.find(str(arguments["person"]))
        code = base64.b32encode(ids.random_bytes(CODE_BYTES)).decode()
        record = {
            "choice": "invite",
            "at_us": desk.now_us(),
            "by": OPERATOR,
            "code_digest": digest_code(code),
        }
        answer = self._crowd.carry_out(person, "invite", record, read_choice(record))
        return {
            "code": code,
            "days": 14,
            "replaces_a_key": bool(desk.people.standing(person).voice.key),
            "entry": answer["entry"],
        }

    def move(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Record where somebody works from now on, or found to have worked since a day.

        Recording goes on by the rules of the new place; where the charter collects nothing there, it ends at once.
        """
        desk = self._desk
        person = desk.people.find(str(arguments["person"]))
        standing = desk.people.standing(person)
        place = _place(arguments.get("jurisdiction", standing.jurisdiction))
        level = take_level(arguments.get("level", standing.level))
        charter = desk.trust.charter()
        if (
            place in charter.jurisdictions
            and standing.jurisdiction not in charter.jurisdictions
            and standing.streams
        ):
            self._require_may_widen(standing)
        wrongly = self._wrongly(person, arguments.get("since_day"))
        record = {
            "choice": "move",
            "at_us": desk.now_us(),
            "by": OPERATOR,
            "jurisdiction": place,
            "level": level,
            "days": wrongly,
        }
        answer = self._crowd.carry_out(person, "move", record, read_choice(record))
        collected = place in charter.jurisdictions
        return {
            "entry": answer["entry"],
            "place": place,
            "in_charter": collected,
            "withheld": len(wrongly),
            **({} if collected else {"recording": "stopped: the charter names no such place"}),
        }

    def _require_may_widen(self, standing: Standing) -> None:
        """Pass if an operator may bring somebody who has opted in back to where data is collected."""
        try:
            require_proxy(self._desk, has_key=standing.voice.speaks)
        except DeniedError as error:
            raise DeniedError(
                "an operator cannot bring somebody back to where data is collected",
                rule="subjects.proxy",
                fix="let the person withdraw and opt in again there",
            ) from error

    def _wrongly(self, person: PersonId, since: object) -> list[list[Any]]:
        """Return the days of every stream that were sealed under a place that was wrong already."""
        if since is None:
            return []
        desk, today = self._desk, day_of(self._desk.now_us())
        if type(since) is not int or not today - OLDEST_DAYS <= since <= today:
            raise InvalidError("not a day that is over", field="since_day", rule="subjects.days")
        standing = desk.people.standing(person)
        streams = standing.streams | recorded_streams(desk.trust.charter(), standing)
        return [[stream, since, today, ""] for stream in sorted(streams)]


def _place(given: Any) -> str:
    place = str(given)
    if place != given or not 0 < len(place) <= LONGEST_PLACE or not place.isprintable():
        raise InvalidError("not a place", field="jurisdiction", rule="subjects.text")
    return place
