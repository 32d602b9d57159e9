"""``safehold serve``: the keeper as a service, with its periodic work; one that leads, or one that stands by."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from safehold.app.candidate import Candidate
from safehold.app.keeper import Service, compose, harden, unlock
from safehold.app.schedule import Schedule, Task
from safehold.clock import DAY_US, SECOND_US, Clock, SystemClock
from safehold.keeper.server import Server
from safehold.settings import Home


def run(home: Home, secret: dict[str, Any], *, name: str = "") -> None:
    """Serve callers until a signal asks to finish.

    Args:
        home: The home.
        secret: Opens its root.
        name: Of a keeper that stands by beside the first one.

    Raises:
        ConflictError: A keeper of this name runs already.
    """
    clock = SystemClock()
    harden()
    root = unlock(home, secret)
    candidate = Candidate(home, lambda lead: compose(home, root, clock=clock, lead=lead), name=name)
    candidate.accompany = lambda service: work_by_itself(service, clock)
    door = Server(home.socket_of(name), candidate)

    def finish(_signal: int, _frame: FrameType | None) -> None:
        door.close()

    try:
        candidate.start()
        for sign in (signal.SIGINT, signal.SIGTERM):
            signal.signal(sign, finish)
        service = candidate.service
        said = "stands by" if service is None else f"is ready, level {service.level}"
        who = f"keeper {name} of" if name else "keeper of"
        sys.stderr.write(f"{who} {home.path.name} {said}\n")
        door.serve()
    finally:
        door.close()
        candidate.close()


def work_by_itself(service: Service, clock: Clock) -> Callable[[], None]:
    """Do the periodic work of a keeper that leads; what is returned ends it."""
    schedule = Schedule(
        clock,
        [
            Task("publish", SECOND_US, service.desk.ledger.publish),
            Task("retention", 600 * SECOND_US, service.sweep),
            Task("grants", 60 * SECOND_US, service.close_grants),
            Task("drift", 60 * SECOND_US, service.compare),
            Task("leases", 30 * SECOND_US, service.expire_leases),
            Task("monitor", 60 * SECOND_US, service.watch),
            Task("anchor", 3600 * SECOND_US, service.anchor),
            Task("index", DAY_US, service.close_epoch),
            Task("milestones", DAY_US, service.measure),
            Task("health", 60 * SECOND_US, service.desk.ledger.check_health),
        ],
    )
    service.verbs.periodic = schedule.status
    schedule.start()
    return schedule.close
