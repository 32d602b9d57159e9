"""CloudEvents 1.0: one JSON object (structured), or the attributes as HTTP headers (binary).

Source: github.com/cloudevents/spec, 1.0.2: ``id``, ``source``, ``specversion`` and ``type`` are required; in HTTP
binary mode an attribute is the header ``ce-`` and its name, and what is not printable ASCII, a space, ``"`` or ``%`` is
percent-encoded (HTTP protocol binding 3.1.3.2).
"""

from __future__ import annotations

from typing import Any, Final

from safehold.incident.export.finding import Finding

STRUCTURED: Final = "application/cloudevents+json; charset=utf-8"
PLAIN: Final = "application/json"


def to_cloudevent(finding: Finding, data: Any, *, source: str) -> dict[str, Any]:
    """Return a finding as a structured event.

    Args:
        finding: What leaves.
        data: What it says, as JSON.
        source: A URI of this home.
    """
    return {**_attributes(finding, source), "datacontenttype": PLAIN, "data": data}


def to_headers(finding: Finding, *, source: str) -> dict[str, str]:
    """Return the headers of the same event in binary mode; its body is the data alone."""
    told = {f"ce-{name}": _encoded(value) for name, value in _attributes(finding, source).items()}
    return {**told, "Content-Type": PLAIN}


def _attributes(finding: Finding, source: str) -> dict[str, str]:
    return {
        "specversion": "1.0",
        "id": finding.delivery,
        "source": source,
        "type": f"org.safehold.{finding.kind}.{finding.state or 'raised'}",
        "time": finding.moment,
        "subject": finding.uid,
    }


def _encoded(text: str) -> str:
    return "".join(
        chr(byte) if 0x21 <= byte <= 0x7E and byte not in b'"%' else f"%{byte:02X}"
        for byte in text.encode()
    )
