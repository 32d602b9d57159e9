"""Certificates of one site: an authority, servers that prove who they are, and a client that is let in by its own."""

from __future__ import annotations

import datetime as dt
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAYS = dt.timedelta(days=2)


class Authority:
    """A certificate authority for a test.

    Args:
        folder: Where the files lie.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("an authority of the tests")
        self.file = folder / "ca.pem"
        self.file.write_bytes(
            _base(self._name, self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256())
            .public_bytes(serialization.Encoding.PEM)
        )

    def issue(self, name: str, *, address: str | None = None) -> tuple[Path, Path]:
        """Return certificate and key of a server at an address, or of a client."""
        key = ec.generate_private_key(ec.SECP256R1())
        base = _base(_name(name), self._name, key)
        if address is not None:
            there = x509.IPAddress(ipaddress.ip_address(address))
            base = base.add_extension(x509.SubjectAlternativeName([there]), critical=False)
        base = base.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        paper, secret = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        paper.write_bytes(
            base.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        )
        secret.touch(0o600)
        secret.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return paper, secret


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _base(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + DAYS)
    )
