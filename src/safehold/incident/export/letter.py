"""A finding as an e-mail, and what a webhook's body is signed with."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from hashlib import sha256
from typing import Final

from safehold.errors import InvalidError
from safehold.incident.export.finding import Finding

TIMESTAMP: Final = "Safehold-Timestamp"
SIGNATURE: Final = "Safehold-Signature"
DELIVERY: Final = "Safehold-Delivery"


def to_mail(finding: Finding, *, sender: str, to: Sequence[str], home: str) -> EmailMessage:
    """Return a finding as a plain message; the same finding has the same Message-ID.

    Raises:
        InvalidError: An address holds what no header may.
    """
    letter = EmailMessage()
    name = sha256(f"{home}\0{finding.delivery}".encode()).hexdigest()[:32]
    lines = [
        finding.sentence,
        "",
        f"what:       {finding.title}",
        f"when:       {finding.moment}",
        f"severity:   {finding.severity}" + (" of 0-4" if finding.signal else " of 5-0"),
        f"state:      {finding.state}",
        f"about:      {finding.principal or '-'}",
        f"entry:      {finding.index} of the ledger of {home}",
        "",
        "No data of anybody is in this message.",
    ]
    try:
        letter["From"] = sender
        letter["To"] = ", ".join(to)
        letter["Subject"] = f"[{finding.kind} {finding.severity}] {finding.title}"
        letter["Date"] = format_datetime(datetime.fromtimestamp(finding.t_us / 1e6, UTC))
        letter["Message-ID"] = f"<{name}@safehold.invalid>"
    except ValueError as error:
        raise InvalidError("not an address of a mailbox", rule="export.mail") from error
    letter["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday answers it
    letter.set_content("\n".join(lines) + "\n")
    return letter


def sign(secret: bytes, body: bytes, *, at_s: int) -> dict[str, str]:
    """Return the headers that a receiver checks: when, and HMAC-SHA256 of ``<when>.<body>``.

    A receiver refuses a time that is far from its own, so that nobody can send an old body again.
    """
    mark = hmac.digest(secret, str(at_s).encode() + b"." + body, "sha256").hex()
    return {TIMESTAMP: str(at_s), SIGNATURE: f"v1={mark}"}
