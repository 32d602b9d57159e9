"""How independent audits are measured for a charter: how long ago the last was, and how many findings are open."""

from __future__ import annotations

from safehold.assurance.measured import Measured
from safehold.charter.value import MICRO
from safehold.keeper.tightening import DAY_MS
from safehold.keeper.verbs import Verbs


def count_days_since(verbs: Verbs) -> Measured:
    """Measure ``audit.days_since``: days since an audit was held, or since the first telemetry if none ever was."""
    trust = verbs.desk.trust
    audits, held = trust.audited(), trust.tightness()
    begun = held.held_ms or audits.begun_ms
    if not begun:
        return Measured(
            micro=None, sentence="nothing was taken in yet, so there is nothing to audit"
        )
    told = (
        "the last audit that was held"
        if held.held_ms
        else "the first telemetry; no audit was ever held"
    )
    return Measured(
        micro=max(trust.now_ms() - begun, 0) * MICRO // DAY_MS, sentence=f"counted from {told}"
    )


def count_open_findings(verbs: Verbs) -> Measured:
    """Measure ``audit.open_findings``: findings of auditors that no auditor has closed."""
    audits = verbs.desk.trust.audited()
    if not audits.all():
        return Measured(micro=None, sentence="no auditor was ever engaged")
    found = audits.findings()
    open_ones = sum(one.open for one in found)
    return Measured(
        micro=open_ones * MICRO, sentence=f"of {len(found)} findings, {open_ones} are not closed"
    )
