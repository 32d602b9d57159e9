"""How incidents are measured for a charter: how long until one is contained, and which clocks ran out."""

from __future__ import annotations

from typing import Final

from safehold.assurance.measured import Measured
from safehold.charter.value import MICRO
from safehold.incident.clocks import late
from safehold.keeper.incident import GATE
from safehold.keeper.incidents import Incidents
from safehold.keeper.verbs import Verbs

HOUR_MS: Final = 3_600_000


def time_containment(verbs: Verbs) -> Measured:
    """Measure ``incident.p100_hours_to_contain``: millionths of an hour, and what was looked at.

    The longest time from when anybody knew of an incident to when it was contained; one that is not contained counts
    until now. Of those that are graver than severity 2 or of it: what was tried and refused is nothing to contain.
    """
    desk = verbs.desk
    now_ms = desk.now_us() // 1000
    found = [one for one in Incidents().follow(desk.ledger).all() if one.grave <= GATE]
    if not found:
        return Measured(micro=None, sentence=f"there was no incident of severity {GATE} or graver")
    open_ones = sum(one.open and not one.contained_ms for one in found)
    longest = max((one.contained_ms or one.closed_ms or now_ms) - one.aware_ms for one in found)
    return Measured(
        micro=max(longest, 0) * MICRO // HOUR_MS,
        sentence=(
            f"of {len(found)} incidents of severity {GATE} or graver, the longest took this long;"
            f" {open_ones} are not contained yet"
        ),
    )


def count_late(verbs: Verbs) -> Measured:
    """Measure ``incident.open_past_clock``: clocks that ran out with nothing decided, in millionths."""
    desk = verbs.desk
    charter, now = desk.trust.charter(), desk.now_us()
    found = Incidents().follow(desk.ledger).all()
    count = sum(len(late(one, charter, now_us=now)) for one in found)
    return Measured(
        micro=count * MICRO,
        sentence=f"every clock of {len(found)} incidents was read; {count} ran out undecided",
    )
