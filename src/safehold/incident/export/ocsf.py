"""OCSF 1.4.0: an alert is a Detection Finding (class 2004), an incident an Incident Finding (class 2005).

Source: schema.ocsf.io/1.4.0, category Findings (2). ``type_uid`` is ``class_uid * 100 + activity_id``; times are
milliseconds. Required: activity, category, class, type, time, severity, metadata (product, version); and
``finding_info`` with a uid, or for an incident ``finding_info_list``, a status, and whose it is.
"""

from __future__ import annotations

from typing import Any, Final

from safehold.incident.export.finding import ALERT, CLOSED, NEW, Finding

VERSION: Final = "1.4.0"
DETECTION: Final = 2004
INCIDENT: Final = 2005
CREATE, UPDATE, CLOSE = 1, 2, 3
NEW_STATUS, IN_PROGRESS, RESOLVED, CLOSED_STATUS = 1, 2, 4, 5
SEVERITIES: Final = {
    0: "Unknown",
    1: "Informational",
    2: "Low",
    3: "Medium",
    4: "High",
    5: "Critical",
    6: "Fatal",
}
LEARNT: Final = 4  # an analytic of type Learning: what is usual is learnt


def to_ocsf(finding: Finding, *, product: str) -> dict[str, Any]:
    """Return a finding as an OCSF event.

    Args:
        finding: What leaves.
        product: Version of Safehold.
    """
    alert = finding.kind == ALERT
    kind = DETECTION if alert else INCIDENT
    done = finding.state in (CLOSED, "acked")
    activity = CREATE if finding.state in NEW else CLOSE if done else UPDATE
    status = (
        NEW_STATUS
        if activity == CREATE
        else IN_PROGRESS
        if activity == UPDATE
        else (RESOLVED if alert else CLOSED_STATUS)
    )
    grave = finding.rank if alert else finding.rank + 1  # an incident of severity 0 is Fatal
    info: dict[str, Any] = {
        "uid": finding.uid,
        "title": finding.title,
        "created_time": finding.t_us // 1000,
    }
    if alert:
        info["analytic"] = {"name": finding.signal, "type_id": LEARNT, "type": "Learning (ML/DL)"}
        info["related_events_count"] = finding.events
    event: dict[str, Any] = {
        "activity_id": activity,
        "category_uid": 2,
        "category_name": "Findings",
        "class_uid": kind,
        "class_name": "Detection Finding" if alert else "Incident Finding",
        "type_uid": kind * 100 + activity,
        "time": finding.t_us // 1000,
        "severity_id": grave,
        "severity": SEVERITIES[grave],
        "status_id": status,
        "message": finding.sentence,
        "metadata": {
            "version": VERSION,
            "uid": finding.delivery,
            "product": {"name": "Safehold", "vendor_name": "Safehold", "version": product},
            "log_name": "ledger",
            "sequence": finding.index,
        },
        "unmapped": {
            "safehold": {
                "state": finding.state,
                "severity": finding.severity,
                "entry": finding.index,
            }
        },
    }
    if alert:
        event["finding_info"] = info
        event["is_alert"] = activity == CREATE
        if finding.principal:
            event["evidences"] = [{"actor": {"user": {"uid": finding.principal}}}]
    else:
        event["finding_info_list"] = [info]
        event["assignee_group"] = {"name": "oversight board"}
    return event
