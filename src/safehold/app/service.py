"""A keeper that was composed, and what it does by itself from time to time."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from safehold.app.anchors import anchor_now
from safehold.app.watch import require_whole, watch_home
from safehold.assurance.milestone import measure_all
from safehold.errors import UnavailableError
from safehold.incident.responder import Responder
from safehold.incident.verbs import IncidentVerbs
from safehold.keeper.desk import Desk
from safehold.keeper.server import Server
from safehold.keeper.verbs import Verbs

_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class Service:
    """A composed keeper.

    Args:
        desk: What it works with.
        verbs: What it can be asked for.
        responder: Knows how far an incident reaches.
        incidents: How they stand.
        server: Its door, unless it is asked through that of a keeper that stands by.
    """

    desk: Desk
    verbs: Verbs
    responder: Responder
    incidents: IncidentVerbs
    server: Server | None

    @property
    def level(self) -> str:
        """How well it is kept from other users of this machine."""
        return self.verbs.status.level.name

    def serve(self) -> None:
        """Answer callers until ``close``."""
        if self.server is not None:
            self.server.serve()

    def close(self) -> None:
        """Take no more callers."""
        if self.server is not None:
            self.server.close()

    def finish(self) -> None:
        """Publish what is left and let go of everything; the right to lead goes last."""
        self.close()
        try:
            self.responder.index.save()
            self.verbs.watching.watch.close_all()
        finally:
            self._let_go()

    def _let_go(self) -> None:
        try:
            self.desk.ledger.close()
        except UnavailableError as error:  # every entry is durable; the next start publishes them
            _LOG.warning("the newest entries are not cosigned yet: %s", error.rule)
        finally:
            self.desk.workshop.close()
            if self.desk.lead is not None:
                self.desk.lead.close()

    def sweep(self) -> None:
        """End what is past its retention."""
        self.verbs.retention.sweep({}, (), lambda _: None)

    def compact(self) -> None:
        """Join small blocks, for a bounded share of the time."""
        self.verbs.compaction.turn()

    def close_grants(self) -> None:
        """Close the grants that have ended, with the range of their uses."""
        self.verbs.grants.close_ended()

    def compare(self) -> None:
        """Compare what runs with what the board signed; a difference stops recording."""
        self.verbs.drift.check()

    def measure(self) -> None:
        """Measure every promise of the charter, and put what came out in the ledger."""
        if self.desk.trust.digest():
            measure_all(self.verbs)

    def watch(self) -> None:
        """Let the home's own monitor take a turn.

        Raises:
            TamperedError: The published record does not hold.
        """
        require_whole(watch_home(self.desk.home, clock=self.desk.clock))

    def anchor(self) -> None:
        """Have the newest head attested outside, once a day, by every anchor of the home."""
        anchor_now(self.desk.home, clock=self.desk.clock, only_due=True)

    def close_epoch(self) -> None:
        """Close the present epoch of the ledger."""
        self.desk.index.close()

    def keep_up(self) -> None:
        """Read what came since, so that whoever asks how far an incident reaches waits for little."""
        self.responder.keep_up()
        self.verbs.looking.keep_up()

    def close_readings(self) -> None:
        """Write the results of readings of the ledger that are over."""
        self.verbs.watching.watch.close_over()

    def forget_keys(self) -> None:
        """Forget segment keys whose minutes are over, and a minting key whose hour is."""
        self.desk.vault.forget_old()
        self.verbs.grants.minting.retire()

    def expire_leases(self) -> None:
        """Forget the keys of leases whose time is over."""
        self.verbs.leases.expire()


def sweep_first(service: Service) -> None:
    """End what is past its retention before anybody is answered.

    A home that is only ever opened for one command at a time has no schedule; its keys must end all the same.
    """
    try:
        service.sweep()
    except UnavailableError as error:  # a ledger that only reads: nothing is released either
        _LOG.warning("nothing was swept: %s", error.rule)
