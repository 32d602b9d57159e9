"""The live feed: what alerts and incidents newly say goes to whoever the home's outside names.

Holds: without a file of targets nothing is read and nothing is done. What was not told to a target is told after a
restart too: how far each has got is read from its own outbox. A target that is full, busy or down holds up no other.
What it reads are facts of the record, as the lists of alerts and incidents show them, and it appends nothing.
"""

from __future__ import annotations

from typing import Any, Final

from safehold.app import exports
from safehold.app.outbox import Outbox
from safehold.app.service import Service
from safehold.clock import SECOND_US, Clock
from safehold.errors import InvalidError
from safehold.incident.export.finding import ALERT, INCIDENT

EVERY_US: Final = 3 * SECOND_US
PATIENCE_S: Final = 5.0  # for one target in one turn
MOST: Final = 1_000  # records of one kind that one target is told of in one turn

Records = list[tuple[str, dict[str, Any]]]


class Feed:
    """Passes on what is new, turn by turn.

    Args:
        service: The keeper that leads.
        clock: Time.
    """

    def __init__(self, service: Service, clock: Clock) -> None:
        self._service = service
        self._clock = clock
        self._reached: dict[str, int] = {}  # by target the leaf from which on it was told nothing
        self._wrong = 0  # when the file of targets was written that cannot be used

    def turn(self) -> None:
        """Pass on what is new, and try again what failed.

        Raises:
            InvalidError: ``targets.toml`` cannot be used; said once for each time it is written.
        """
        home = self._service.desk.home
        try:
            written = home.targets_file.stat().st_mtime_ns
        except FileNotFoundError:
            return
        if written == self._wrong:
            return
        try:
            targets = exports.targets_of(home)
        except InvalidError:
            self._wrong = written
            raise
        # what comes from here on waits for the next turn: whoever had the newer one would pass the older over
        stop = self._service.desk.ledger.size
        names = [one.id for one in self._service.verbs.principals.everybody()]
        for name in targets:
            since = self._reached.get(name)
            if since is None:
                since = Outbox(home.exports / name).state()["taken"] + 1
            records, until = self._new(since, stop)
            (said,) = exports.pass_on(
                home, records, principals=names, clock=self._clock, only=name, patience_s=PATIENCE_S
            )
            if said["kept"]:
                self._reached[name] = until

    def _new(self, since: int, stop: int) -> tuple[Records, int]:
        """Return what was told from a leaf on, and the leaf up to which that is all."""
        if since >= stop:
            return [], since
        alerts = self._service.verbs.watching.alerts.told(since, stop, most=MOST)
        incidents = self._service.incidents.papers.told(since, stop, most=MOST)
        # of a list that was cut, what comes after its last one is not known yet
        until = min(
            [int(one[-1]["entry"]) + 1 for one in (alerts, incidents) if len(one) == MOST],
            default=stop,
        )
        told = [(ALERT, one) for one in alerts] + [(INCIDENT, one) for one in incidents]
        return [one for one in told if one[1]["entry"] < until], until
