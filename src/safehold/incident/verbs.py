"""All verbs about incidents, in one table."""

from __future__ import annotations

from safehold.incident.decisions import Decisions
from safehold.incident.docket import Docket
from safehold.incident.papers import Papers
from safehold.incident.reach import Finder
from safehold.incident.responder import Responder
from safehold.incident.steps import Steps
from safehold.keeper.server import Verb
from safehold.keeper.verbs import Verbs


class IncidentVerbs:
    """The verbs.

    Args:
        verbs: The keeper's.
        responder: Knows how far a target reaches.
    """

    def __init__(self, verbs: Verbs, responder: Responder) -> None:
        self.docket = Docket(verbs.desk, responder.require_known)
        counted = verbs.graph.counted
        finder = Finder(verbs.desk, responder)
        self.papers = Papers(self.docket, finder, counted)
        self._parts = (
            Steps(self.docket),
            Decisions(self.docket, finder, counted),
            self.papers,
        )

    def verbs(self) -> dict[str, Verb]:
        """Return the verbs by name."""
        return {name: verb for part in self._parts for name, verb in part.verbs().items()}
