"""How audits are shown: engagements, findings, and how tight access is held. Pure: for status, doctor and pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from safehold.clock import DAY_US, day_of
from safehold.keeper.audits import Audits, Engagement, Finding
from safehold.keeper.tightening import (
    EXTRA,
    FRACTION,
    GRACE_DAYS,
    IN_TIME,
    LATE,
    Tightness,
)


def describe_finding(one: Finding, *, today: int) -> dict[str, Any]:
    """Return a finding as people are shown it; no text."""
    return {
        "finding": one.index,
        "engagement": one.engagement,
        "number": one.number,
        "severity": one.severity,
        "control": one.control,
        "owner": one.owner,
        "due_us": one.due * DAY_US,
        "answers": list(one.answers),
        "state": state_of(one),
        "overdue": is_overdue(one, today=today),
        "closed": one.closed if not one.open else None,
        "how": one.how,
    }


def state_of(one: Finding) -> str:
    """Return how a finding stands: ``open``, ``answered`` or ``closed``."""
    if not one.open:
        return "closed"
    return "answered" if one.answers else "open"


def is_overdue(one: Finding, *, today: int) -> bool:
    """Tell whether a finding is open past the day by which it was to be closed."""
    return one.open and today > one.due


def describe_engagement(one: Engagement, *, today: int) -> dict[str, Any]:
    """Return an engagement as people are shown it; no names."""
    return {
        "engagement": one.index,
        "state": standing_of(one, today=today),
        "seat": one.seat,
        "order": one.sha256,
        "scope": {"first": one.first, "last": one.last},
        "starts_us": one.starts * DAY_US,
        "ends_us": (one.ends + 1) * DAY_US,
        "opinion": None if one.opinion is None else one.opinion.word,
        "opinion_entry": None if one.opinion is None else one.opinion.index,
        "over": None if one.opinion is None else one.opinion.size,
        "findings": [describe_finding(each, today=today) for each in one.findings.values()],
    }


def standing_of(one: Engagement, *, today: int) -> str:
    """Return in a word where an engagement stands."""
    if one.ended >= 0:
        return "ended"
    if one.opinion is not None:
        return "opinion"
    if today > one.ends:
        return "lapsed"
    return "begun" if one.begun >= 0 else "engaged"


def tell_due(held: Tightness, *, now_us: int) -> list[str]:
    """Return in sentences when the next audit is due, and what is tightened meanwhile."""
    if not held.due_ms and not held.adverse:
        return ["nothing was taken in yet, so no audit is due"]
    told = []
    if held.due_ms:
        left = day_of(held.due_ms * 1000) - day_of(now_us)
        since = "the last audit was held" if held.held_ms else "the first telemetry came in"
        when = f"in {left} days" if left >= 0 else f"since {-left} days"
        told.append(f"an audit is due {when}, counted from when {since}")
    if held.step == IN_TIME:
        return told
    told.append(f"{held.why()}; access is held tight since day {day_of(held.since_ms * 1000)}")
    if held.step == LATE:
        told.append(
            f"a new grant lasts a {FRACTION}th of what its role may have, and takes {EXTRA} more approval"
        )
        told.append(f"{GRACE_DAYS} days after that, no new grant is given and nothing is widened")
    else:
        told.append("no new grant is given and the charter is not widened")
    told.append("what people ask for about themselves is answered as always")
    return told


def summarise(audits: Audits, held: Tightness, *, now_us: int) -> dict[str, Any]:
    """Return the few lines about audits that stand in the status of a keeper."""
    today, findings = day_of(now_us), audits.findings()
    newest = audits.newest
    return {
        **held.to_json(),
        "engagement": None if newest is None else newest.index,
        "stands": "none" if newest is None else standing_of(newest, today=today),
        "open_findings": sum(one.open for one in findings),
        "overdue_findings": len(overdue(findings, today=today)),
        "told": tell_due(held, now_us=now_us),
    }


def overdue(findings: Sequence[Finding], *, today: int) -> list[Finding]:
    """Return the findings that are open past their day."""
    return [one for one in findings if is_overdue(one, today=today)]
