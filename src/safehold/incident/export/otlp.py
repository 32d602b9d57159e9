"""OpenTelemetry: log records and spans in the JSON encoding of OTLP/HTTP, without an SDK.

Source: opentelemetry.io/docs/specs/otlp, JSON Protobuf encoding: names in lowerCamelCase, 64-bit integers as decimal
strings, enumerations as numbers, trace and span ids in hexadecimal (not base64).
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

from safehold.incident.export.finding import CLOSED, INCIDENT, Finding

SCOPE: Final = "safehold.findings"
# how grave it is to severity numbers of the log data model: INFO, INFO2, WARN, ERROR, ERROR3, FATAL
NUMBERS: Final = {
    0: (9, "INFO"),
    1: (10, "INFO2"),
    2: (13, "WARN"),
    3: (17, "ERROR"),
    4: (19, "ERROR3"),
    5: (21, "FATAL"),
}
INTERNAL: Final = 1  # kind of a span


def to_logs(finding: Finding, *, product: str, now_us: int) -> dict[str, Any]:
    """Return a finding as the body of ``/v1/logs``."""
    number, text = NUMBERS[finding.rank]
    record = {
        "timeUnixNano": str(finding.t_us * 1000),
        "observedTimeUnixNano": str(now_us * 1000),
        "severityNumber": number,
        "severityText": text,
        "eventName": f"safehold.{finding.kind}",
        "body": {"stringValue": finding.sentence},
        "attributes": _attributes(finding),
        "traceId": _trace(finding),
        "spanId": _span(finding),
    }
    scope = {"scope": {"name": SCOPE, "version": product}, "logRecords": [record]}
    return {"resourceLogs": [{"resource": _resource(product), "scopeLogs": [scope]}]}


def to_traces(finding: Finding, *, product: str, opened_us: int | None = None) -> dict[str, Any]:
    """Return a finding as the body of ``/v1/traces``: a span a state, all states of one thing in one trace.

    Args:
        finding: What leaves.
        product: Version of Safehold.
        opened_us: When it began, if that is known; else the span has no length.
    """
    begins = finding.t_us if opened_us is None else min(opened_us, finding.t_us)
    ended = finding.kind == INCIDENT and finding.state == CLOSED
    span = {
        "traceId": _trace(finding),
        "spanId": _span(finding),
        "name": f"safehold.{finding.kind} {finding.signal or finding.state}".strip(),
        "kind": INTERNAL,
        "startTimeUnixNano": str(begins * 1000),
        "endTimeUnixNano": str(finding.t_us * 1000),
        "attributes": _attributes(finding),
        "status": {"code": 1} if ended else {},
    }
    scope = {"scope": {"name": SCOPE, "version": product}, "spans": [span]}
    return {"resourceSpans": [{"resource": _resource(product), "scopeSpans": [scope]}]}


def _resource(product: str) -> dict[str, Any]:
    return {
        "attributes": [_text("service.name", "safehold"), _text("service.version", product)],
    }


def _attributes(finding: Finding) -> list[dict[str, Any]]:
    told = {
        "safehold.uid": finding.uid,
        "safehold.signal": finding.signal,
        "safehold.state": finding.state,
        "safehold.principal": finding.principal,
        "safehold.delivery": finding.delivery,
    }
    numbers = {
        "safehold.entry": finding.index,
        "safehold.severity": finding.severity,
        "safehold.events": finding.events,
    }
    return [_text(name, value) for name, value in told.items() if value] + [
        {"key": name, "value": {"intValue": str(value)}} for name, value in numbers.items()
    ]


def _text(name: str, value: str) -> dict[str, Any]:
    return {"key": name, "value": {"stringValue": value}}


def _trace(finding: Finding) -> str:
    return hashlib.sha256(b"safehold.trace\0" + finding.uid.encode()).hexdigest()[:32]


def _span(finding: Finding) -> str:
    return hashlib.sha256(b"safehold.span\0" + finding.delivery.encode()).hexdigest()[:16]
