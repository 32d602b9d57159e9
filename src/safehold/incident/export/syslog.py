"""Syslog: one message (RFC 5424), framed by its length for TLS (RFC 5425, 4.3)."""

from __future__ import annotations

from typing import Final

from safehold.incident.export.finding import Finding

FACILITY: Final = 13  # log audit
SEVERITIES: Final = {
    0: 6,
    1: 5,
    2: 4,
    3: 3,
    4: 2,
    5: 1,
}  # from how grave it is to informational ... alert
NAME: Final = "safehold"
EXAMPLE: Final = (
    32473  # the enterprise number kept for examples (RFC 5612): Safehold has none of its own
)
LONGEST: Final = 8192  # octets that a receiver over TLS should take (RFC 5425, 4.3.1)
MUST: Final = 2048  # and that it must


def to_syslog(finding: Finding, text: str, *, host: str, enterprise: int = EXAMPLE) -> bytes:
    """Return a finding as one message; a text that is too long is cut at a character.

    Args:
        finding: What leaves.
        text: What is said: the finding in one of the other forms, or its sentence.
        host: What this machine is called.
        enterprise: Number under which the names of the structured data stand.
    """
    number = FACILITY * 8 + SEVERITIES[finding.rank]
    told = {
        "uid": finding.uid,
        "signal": finding.signal,
        "state": finding.state,
        "severity": str(finding.severity),
        "principal": finding.principal,
        "entry": str(finding.index),
    }
    data = "".join(f' {name}="{_escaped(value)}"' for name, value in told.items() if value)
    head = (
        f"<{number}>1 {finding.moment} {_word(host, 255)} {NAME} - {_word(finding.kind, 32)} "
        f"[{NAME}@{enterprise}{data}] "
    ).encode()
    body = b"\xef\xbb\xbf" + text.encode()
    return head + body[: LONGEST - len(head)].decode(errors="ignore").encode()


def framed(message: bytes) -> bytes:
    """Return a message with its length in front, as it goes over TLS."""
    return b"%d %s" % (len(message), message)


def _escaped(value: str) -> str:
    text = value.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")
    return "".join(one if one.isprintable() else "?" for one in text)


def _word(text: str, most: int) -> str:
    return "".join(one for one in text if 33 <= ord(one) <= 126)[:most] or "-"
