"""What is sealed to one person's own key, so that whoever carries it cannot read it.

HPKE base mode (RFC 9180: X25519, HKDF-SHA-256, AES-256-GCM). It says nothing of who sealed it: the ledger does, by
the hash of what was handed out.
"""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from safehold.errors import InvalidError

COPY: Final = "safehold.copy/1"
_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def opening_key(raw: bytes) -> X25519PublicKey:
    """Return a person's opening key, 32 bytes of X25519.

    Raises:
        InvalidError: It is no such key, or one that anybody could open with.
    """
    try:
        key = X25519PublicKey.from_public_bytes(raw)
        _SUITE.encrypt(b"", key, COPY.encode())  # a point of small order is refused here
    except ValueError as error:
        raise InvalidError("not an opening key", rule="export.key") from error
    return key


def seal_letter(data: bytes, raw: bytes) -> bytes:
    """Seal bytes to a person's opening key."""
    return bytes(_SUITE.encrypt(data, opening_key(raw), COPY.encode()))
