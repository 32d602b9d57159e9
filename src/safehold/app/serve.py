"""``safehold serve``: the keeper as a service, with its periodic work."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Any

from safehold.app.account import become
from safehold.app.custody import unlock
from safehold.app.hardening import clear_environment, harden
from safehold.app.keeper import compose
from safehold.app.schedule import Schedule, Task
from safehold.clock import DAY_US, SECOND_US, SystemClock
from safehold.errors import InvalidError
from safehold.settings import Home


def run(
    home: Home,
    secret: dict[str, Any],
    *,
    account: str | None = None,
    callers: Sequence[str] = (),
) -> None:
    """Serve callers until a signal asks to finish.

    Args:
        home: The home.
        secret: What opens its root.
        account: The keeper's own, if root starts it; None keeps the caller's.
        callers: Accounts that may speak to it then, besides root.
    """
    if callers and account is None:
        raise InvalidError("callers go with an account of the keeper's own", rule="keeper.account")
    clock = SystemClock()
    allowed = None if account is None else become(home, account, callers=callers)
    kept = harden()
    clear_environment("SAFEHOLD_PASSPHRASE")
    root = unlock(home, secret)
    secret.clear()  # what it held is no longer needed by anybody
    service = compose(home, root, clock=clock, callers=allowed)
    service.verbs.memory = kept.payload
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

    def finish(_signal: int, _frame: FrameType | None) -> None:
        service.close()

    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, finish)
    schedule.start()
    sys.stderr.write(f"keeper of {home.path.name} is ready, level {service.level}\n")
    try:
        service.serve()
    finally:
        schedule.close()
        service.finish()
        service.desk.vault.close()
