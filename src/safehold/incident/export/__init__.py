"""What leaves about alerts and incidents, in forms others read: no data, and no name unless a target may have it."""

from __future__ import annotations

from safehold.incident.export.finding import Finding, from_alert, from_incident
from safehold.incident.export.target import Target, read_targets

__all__ = ["Finding", "Target", "from_alert", "from_incident", "read_targets"]
