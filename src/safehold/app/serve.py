"""``safehold serve``: the keeper as a service, with its periodic work; one that leads, or one that stands by."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

from safehold.app.account import become
from safehold.app.candidate import Candidate
from safehold.app.custody import unlock
from safehold.app.hardening import clear_environment, harden
from safehold.app.keeper import Service, compose
from safehold.app.schedule import Schedule, Task
from safehold.clock import DAY_US, SECOND_US, Clock, SystemClock
from safehold.errors import InvalidError
from safehold.keeper.server import Server
from safehold.settings import Home


def run(
    home: Home,
    secret: dict[str, Any],
    *,
    name: str = "",
    account: str | None = None,
    callers: Sequence[str] = (),
) -> None:
    """Serve callers until a signal asks to finish.

    Args:
        home: The home.
        secret: What opens its root.
        name: Of a keeper that stands by beside the first one.
        account: The keeper's own, if root starts it; None keeps the caller's.
        callers: Accounts that may speak to it then, besides root.

    Raises:
        ConflictError: A keeper of this name runs already.
    """
    if callers and account is None:
        raise InvalidError("callers go with an account of the keeper's own", rule="keeper.account")
    clock = SystemClock()
    allowed = None if account is None else become(home, account, callers=callers)
    kept = harden()
    clear_environment("SAFEHOLD_PASSPHRASE")
    root = unlock(home, secret)
    secret.clear()  # what it held is no longer needed by anybody
    candidate = Candidate(
        home,
        lambda lead: compose(home, root, clock=clock, callers=allowed, lead=lead),
        name=name,
    )

    def accompany(service: Service) -> Callable[[], None]:
        service.verbs.memory = kept.payload
        return work_by_itself(service, clock)

    candidate.accompany = accompany
    door = Server(home.socket_of(name), candidate, allowed=allowed or frozenset())

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
        root.close()


def work_by_itself(service: Service, clock: Clock) -> Callable[[], None]:
    """Do the periodic work of a keeper that leads; what is returned ends it."""
    schedule = Schedule(
        clock,
        [
            Task("publish", SECOND_US, service.desk.ledger.publish),
            Task("retention", 600 * SECOND_US, service.sweep),
            Task("grants", 60 * SECOND_US, service.close_grants),
            Task("drift", 60 * SECOND_US, service.compare),
            Task("keys", 60 * SECOND_US, service.forget_keys),
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
