"""SPIFFE authorities and workloads of tests, with real certificates."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from joserfc import jwt
from joserfc.jwk import ECKey

from safehold.access.identity.proof import DOMAIN


@dataclass
class Svid:
    """A workload's certificate and key."""

    pem: str
    key: ec.EllipticCurvePrivateKey

    def sign(self, message: bytes) -> bytes:
        return self.key.sign(DOMAIN.encode() + b"\0" + message, ec.ECDSA(hashes.SHA256()))


class Authority:
    """One trust domain."""

    def __init__(self, domain: str, now: datetime) -> None:
        self.domain, self.now = domain, now
        self.key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, domain)])
        self.root = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage(ca=True), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([x509.UniformResourceIdentifier(f"spiffe://{domain}")]),
                critical=False,
            )
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False
            )
            .sign(self.key, hashes.SHA256())
        )
        self.jwt_key = ECKey.generate_key("P-256", {"kid": f"jwt-{domain}"})

    def bundle(self) -> dict[str, Any]:
        der = self.root.public_bytes(serialization.Encoding.DER)
        return {
            "keys": [
                {"use": "x509-svid", "kty": "EC", "x5c": [base64.b64encode(der).decode()]},
                {"use": "jwt-svid", **self.jwt_key.as_dict(private=False)},
            ]
        }

    def svid(
        self,
        *ids: str,
        ends: timedelta = timedelta(hours=1),
        ca: bool = False,
        signs: bool = True,
        begins: timedelta = timedelta(hours=-1),
    ) -> Svid:
        key = ec.generate_private_key(ec.SECP256R1())
        made = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "workload")]))
            .issuer_name(self.root.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.now + begins)
            .not_valid_after(self.now + ends)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(_usage(ca=ca, signs=signs), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage(
                    [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
                ),
                critical=False,
            )
            .add_extension(
                x509.SubjectAlternativeName([x509.UniformResourceIdentifier(one) for one in ids]),
                critical=False,
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                critical=False,
            )
            .sign(self.key, hashes.SHA256())
        )
        return Svid(made.public_bytes(serialization.Encoding.PEM).decode(), key)

    def jwt_svid(self, name: str, audience: str, *, ends_s: int = 300, **changes: Any) -> str:
        now = int(self.now.timestamp())
        claims = {"sub": name, "aud": [audience], "exp": now + ends_s, "iat": now} | changes
        return jwt.encode(
            {"alg": "ES256", "kid": self.jwt_key.kid}, claims, self.jwt_key, algorithms=["ES256"]
        )


def at(now_us: int) -> datetime:
    return datetime.fromtimestamp(now_us // 1_000_000, tz=UTC)


def _usage(*, ca: bool, signs: bool = True) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=not signs,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )
