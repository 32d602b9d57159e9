"""Certificates by which houses know each other's end of a line: each signs its own, and hands it to the others.

X.509 v3 (RFC 5280), P-256 with SHA-256, one DNS name. Who owns an authority uses that instead.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from safehold.errors import InvalidError

LONGEST_DAYS: Final = 825
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?")


def certify_self(name: str, *, days: int, now_us: int) -> tuple[str, str]:
    """Return a certificate for a name and its key, PEM both.

    Args:
        name: DNS name of the house, lower case.
        days: How long it holds.
        now_us: From when.

    Raises:
        InvalidError: The name is none, or it is to hold for ever.
    """
    if _NAME.fullmatch(name) is None:
        raise InvalidError("a house has a DNS name in lower case", field="name", rule="join.name")
    if not 1 <= days <= LONGEST_DAYS:
        raise InvalidError(f"1 to {LONGEST_DAYS} days", field="days", rule="join.days")
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start = dt.datetime.fromtimestamp(now_us / 1e6, dt.UTC) - dt.timedelta(minutes=5)
    signed = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False
        )
        .add_extension(
            x509.ExtendedKeyUsage(
                [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            ),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    return (
        signed.public_bytes(serialization.Encoding.PEM).decode(),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode(),
    )
