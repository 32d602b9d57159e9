"""``safehold serve``: the keeper as a service, with its periodic work; one that leads, or one that stands by."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any, Final

from safehold.app.account import become
from safehold.app.candidate import Candidate
from safehold.app.companion import Companion
from safehold.app.custody import unlock
from safehold.app.drill.nightly import FIRST_US, Nightly
from safehold.app.feed import EVERY_US, Feed
from safehold.app.hardening import (
    clear_environment,
    harden,
    settle_objects,
    unsettle_objects,
)
from safehold.app.keeper import compose
from safehold.app.schedule import Schedule, Task
from safehold.app.service import Service
from safehold.clock import DAY_US, SECOND_US, Clock, SystemClock
from safehold.errors import InvalidError
from safehold.keeper.server import Server
from safehold.settings import Home

_SENDING_S: Final = (
    2.0  # for what is being sent when it ends; what is not through by then is sent again
)


def run(
    home: Home,
    secret: dict[str, Any],
    *,
    name: str = "",
    account: str | None = None,
    callers: Sequence[str] = (),
    drill: str = "weekly",
    sentinel: bool = True,
    ray: str = "",
) -> None:
    """Serve callers until a signal asks to finish.

    Args:
        home: The home.
        secret: What opens its root.
        name: Of a keeper that stands by beside the first one.
        account: The keeper's own, if root starts it; None keeps the caller's.
        callers: Accounts that may speak to it then, besides root.
        drill: How it drills; see ``app.drill.nightly``.
        sentinel: Let a process beside it watch who reads.
        ray: Where sandboxes run, instead of what the home says; see ``app.workers``.

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
        lambda lead: compose(home, root, clock=clock, callers=allowed, lead=lead, ray=ray),
        name=name,
    )

    def accompany(service: Service) -> Callable[[], None]:
        service.verbs.status.memory = kept.payload
        end = work_by_itself(service, clock, drill=drill)
        if not sentinel:
            return end
        companion = Companion(home, name, service.verbs.door.admit_sentinel)
        companion.start()

        def leave() -> None:
            companion.close()
            end()

        return leave

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


def work_by_itself(service: Service, clock: Clock, *, drill: str = "off") -> Callable[[], None]:
    """Do the periodic work of a keeper that leads; what is returned ends it."""
    settle_objects()
    nightly = Nightly(service.desk, clock, how=drill)
    schedule = Schedule(
        clock,
        [
            Task("publish", SECOND_US, service.desk.ledger.publish),
            Task("retention", 600 * SECOND_US, service.sweep),
            Task("grants", 60 * SECOND_US, service.close_grants),
            Task("drift", 60 * SECOND_US, service.compare),
            Task("reach", 60 * SECOND_US, service.keep_up),
            Task("keys", 60 * SECOND_US, service.forget_keys),
            Task("readings", 60 * SECOND_US, service.close_readings),
            Task("leases", 30 * SECOND_US, service.expire_leases),
            Task("monitor", 60 * SECOND_US, service.watch),
            Task("anchor", 3600 * SECOND_US, service.anchor),
            Task("index", DAY_US, service.close_epoch),
            Task("milestones", DAY_US, service.measure),
            Task("drill", DAY_US, nightly.start, due_us=clock.now_us() + FIRST_US),
            Task("health", 60 * SECOND_US, service.desk.ledger.check_health),
        ],
    )
    # a thread of its own: a receiver that is down holds up nothing but what is sent to it
    # so has what is never urgent: it opens blocks for seconds at a time
    slow = Schedule(clock, [Task("compaction", 60 * SECOND_US, service.compact)])
    outward = Schedule(clock, [Task("exports", EVERY_US, Feed(service, clock).turn)])
    service.verbs.status.periodic = lambda: [*schedule.status(), *slow.status(), *outward.status()]
    schedule.start()
    slow.start()
    outward.start()

    def close() -> None:
        slow.close()
        outward.close(patience_s=_SENDING_S)
        schedule.close()
        nightly.close()
        unsettle_objects()

    return close
