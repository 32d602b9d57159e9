"""All that the sentinel and whoever answers alerts may ask the keeper for, as one part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safehold.keeper.answers import Answers
from safehold.keeper.principals import Principals
from safehold.keeper.server import Verb
from safehold.keeper.watch import Watch
from safehold.keeper.watch_alerts import Alerts
from safehold.keeper.watch_answers import Answering, Contain
from safehold.keeper.watch_state import WatchState

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk


class Watching:
    """The verbs ``sentinel.*`` and ``alert.*``.

    Args:
        desk: What the keeper works with.
        principals: The register.
        answers: Writes results of intents.
        contain: Contains something.
    """

    def __init__(
        self, desk: Desk, principals: Principals, answers: Answers, *, contain: Contain
    ) -> None:
        self.watch = Watch(desk, principals, answers)
        self.alerts = Alerts(
            desk, principals, Answering(desk, principals, self.watch.look, contain)
        )
        self._state = WatchState(desk)

    def verbs(self) -> dict[str, Verb]:
        """Return them by name."""
        return {**self.watch.verbs(), **self._state.verbs(), **self.alerts.verbs()}

    def status(self) -> dict[str, Any]:
        """Return whether the sentinel is alive, how far behind it is, and how many alerts wait for a person."""
        return {"sentinel": {**self.watch.status(), "alerts": self.alerts.status()}}
