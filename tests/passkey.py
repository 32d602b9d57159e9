"""A passkey in software: answers a challenge as a browser and its authenticator do, and can spoil any part of it."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import (
    encode_dss_signature,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from safehold.passkey import ORDER, Assertion, Passkey, challenge_of

RP = "safehold.example"
ORIGIN = f"https://{RP}"


@dataclass(kw_only=True)
class SoftPasskey:
    """One credential.

    Args:
        rp_id: What it was made for.
        key: P-256, or Ed25519.
        origin: The page that asks.
    """

    rp_id: str = RP
    key: ec.EllipticCurvePrivateKey | Ed25519PrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    origin: str = ORIGIN

    @property
    def raw(self) -> bytes:
        if isinstance(self.key, Ed25519PrivateKey):
            return self.key.public_key().public_bytes_raw()
        return self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    @property
    def public(self) -> Passkey:
        return Passkey(self.rp_id, self.raw)

    def sign(self, domain: str, message: bytes, **spoilt: Any) -> bytes:
        """Return the value that stands where a key of ours has a signature."""
        return self.answer(challenge_of(domain, message), **spoilt).pack()

    def answer(
        self,
        challenge: bytes,
        /,
        *,
        flags: int = 0x05,
        rp_id: str | None = None,
        more: bytes = b"",
        client: bytes | None = None,
        high: bool = False,
        **said: Any,
    ) -> Assertion:
        """Answer a challenge.

        Args:
            challenge: What is asked.
            flags: Of the authenticator data: present and verified.
            rp_id: Whose hash stands in the authenticator data.
            more: Bytes behind the counter.
            client: Client data instead of what a browser writes.
            high: Give the signature its other spelling.
            said: Members of the client data; what is None is left out.
        """
        told: dict[str, Any] = {
            "type": "webauthn.get",
            "challenge": base64.urlsafe_b64encode(challenge).rstrip(b"=").decode(),
            "origin": self.origin,
            "crossOrigin": False,
        } | said
        written = (
            client
            or json.dumps(
                {name: one for name, one in told.items() if one is not None}, separators=(",", ":")
            ).encode()
        )
        data = b"".join(
            (
                hashlib.sha256((rp_id or self.rp_id).encode()).digest(),
                bytes([flags]),
                bytes(4),
                more,
            )
        )
        signed = data + hashlib.sha256(written).digest()
        if isinstance(self.key, Ed25519PrivateKey):
            return Assertion.of_browser(data=data, client=written, signature=self.key.sign(signed))
        made = Assertion.of_browser(
            data=data, client=written, signature=self.key.sign(signed, ec.ECDSA(hashes.SHA256()))
        )
        return other_spelling(made) if high else made


def other_spelling(made: Assertion) -> Assertion:
    """Return an assertion with the other of the two signatures that verify, which ``of_browser`` never makes."""
    s = int.from_bytes(made.signature[32:], "big")
    return Assertion(
        data=made.data,
        client=made.client,
        signature=made.signature[:32] + (ORDER - s).to_bytes(32, "big"),
    )


def der_of(made: Assertion) -> bytes:
    """Return the signature as a browser hands it out."""
    half = (int.from_bytes(one, "big") for one in (made.signature[:32], made.signature[32:]))
    return encode_dss_signature(*half)


__all__ = ["ORIGIN", "RP", "SoftPasskey", "der_of", "other_spelling"]
