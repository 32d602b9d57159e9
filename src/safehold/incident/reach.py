"""Whom an incident reached: the exact people, from what the leaves of its uses commit to.

Every use names its people by their own keys before it happens, so the list is made from the record and from nobody's
memory: nobody who was opened is left out, and nobody else is on it. Of keys that somebody may have it is whoever could
have been opened with them. Somebody who was erased since has no key any more: they are counted, and told by nobody.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from safehold.clock import date_of
from safehold.errors import MissingError
from safehold.ids import PersonId
from safehold.incident.blast import Part
from safehold.incident.count import Counted
from safehold.incident.responder import Responder
from safehold.incident.scope import Scope, scope_of, targets_of
from safehold.incident.timeline import walk
from safehold.keeper.incident import Incident

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

USES: Final = frozenset({"access.intent", "embed.export"})
# what a person was given of their own, and who was told after an incident, is nobody's misuse
OWN: Final = frozenset({"right-of-access", "incident-response"})


@dataclass(slots=True)
class Reach:
    """Whom and what an incident reached.

    Args:
        people: Whose data was opened, by id.
        could: Whose data could have been opened with a key that somebody may have, and was not.
        erased: Fewest and most people among them who were erased since and can be named by nobody.
        untold: Uses of which nobody can say any more whom they were about.
        uses: Leaves of the uses.
        finished: Leaves of the results that ended well: something was read.
        refused: Leaves of what was refused.
        segments: Which segments the uses opened.
        days: Days of what was opened.
        made: Ids of what was made from it.
    """

    people: set[PersonId] = field(default_factory=set)
    could: set[PersonId] = field(default_factory=set)
    erased: tuple[int, int] = (0, 0)
    untold: int = 0
    uses: list[int] = field(default_factory=list)
    finished: list[int] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    segments: set[str] = field(default_factory=set)
    days: set[int] = field(default_factory=set)
    made: set[str] = field(default_factory=set)

    @property
    def told(self) -> set[PersonId]:
        """Who is on the list."""
        return self.people | self.could

    def counts(self, counted: Counted) -> dict[str, Any]:
        """Return what may be told: numbers as they may be told, segments and days; nobody's name."""
        return {
            "people": dict(counted(len(self.people))),
            "could": dict(counted(len(self.could))) if self.could else {"people": 0},
            "erased": dict(counted(self.erased[1])) if self.erased[1] else {"people": 0},
            "uses": len(self.uses),
            "uses_finished": len(self.finished),
            "uses_untold": self.untold,
            "refused": len(self.refused),
            "segments": sorted(self.segments),
            "days": [date_of(min(self.days)), date_of(max(self.days))] if self.days else [],
            "made": len(self.made),
        }


class Finder:
    """Finds whom incidents reached.

    Args:
        desk: What the keeper works with.
        responder: Knows how far a target reaches.
    """

    def __init__(self, desk: Desk, responder: Responder) -> None:
        self._desk = desk
        self._responder = responder

    def find(self, one: Incident) -> Reach:
        """Return whom and what an incident reached, up to now."""
        found, scope = Reach(), scope_of(one, self._desk.ledger)
        self._ask(scope, found)
        ours: set[int] = set()
        for index, leaf, told in walk(
            one, self._desk.ledger, now_ms=self._desk.now_us() // 1000
        ).leaves():
            kind, facts = leaf["k"], leaf.get("pub", {})
            if kind == "refusal":
                found.refused.append(index)
            elif kind == "access.result" and leaf.get("ref") in ours:
                if facts.get("outcome") == "ok":
                    found.finished.append(index)
            elif kind in USES and facts.get("purpose") not in OWN:
                ours.add(index)
                found.uses.append(index)
                detail = told.get("detail", {}) if told else {}
                found.segments |= {str(name) for name in detail.get("segments", ())}
        return found

    def _ask(self, scope: Scope, found: Reach) -> None:
        opened, keys = targets_of(scope, self._desk.ledger)
        for target in opened:
            with suppress(MissingError):  # a principal who did nothing, an artifact that is gone
                _take(self._responder.measure(target)[0], found)
        for target in keys:
            with suppress(MissingError):
                # what was opened inside was not opened with it; who was in it then may have left since
                for part in self._responder.measure(target):
                    found.could |= {PersonId(name) for name in part.people}
                    found.days |= set(part.days)
        found.could -= found.people


def _take(part: Part, found: Reach) -> None:
    found.people |= {PersonId(name) for name in part.people}
    found.days |= set(part.days)
    found.made |= {*part.derived, *part.models}
    found.untold = max(found.untold, part.untold)
    # the same person may be behind several targets: as few as one answer says, as many as all do
    found.erased = (max(found.erased[0], part.erased[0]), found.erased[1] + part.erased[1])
