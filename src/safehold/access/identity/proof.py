"""Signing in: an identity is bound to a key of this session and to a question that the keeper has just put.

Whatever proves an identity covers ``SHA-256(question, session key)``: as the ``nonce`` of an ID token, as the
audience of a JWT-SVID, or signed by the identity's own key. So what was proved once, seen or stolen, proves nothing
with another key or a second time.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from safehold.access.identity.jose import b64url
from safehold.errors import SignInError, TamperedError
from safehold.signing import SpeakingKey, VerifyKey

METHODS: Final = ("key", "oidc", "x509-svid", "jwt-svid")
DOMAIN: Final = "safehold.sign-in.v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """An identity that was proved just now.

    Args:
        method: One of ``METHODS``.
        name: What was proved: ``key:...``, ``oidc:ISSUER#SUBJECT`` or ``spiffe://...``.
        until_us: When what proved it ends, microseconds.
    """

    method: str
    name: str
    until_us: int


def sign_in_nonce(question: bytes, key: VerifyKey) -> str:
    """Return what an identity provider is asked to put into its token: question and session key, hashed."""
    return b64url(hashlib.sha256(sign_in_message(question, key)).digest())


def sign_in_message(question: bytes, key: VerifyKey) -> bytes:
    """Return what the key of an identity signs to open a session."""
    return DOMAIN.encode() + b"\0" + hashlib.sha256(question).digest() + key.raw


def check_key(
    identity: SpeakingKey, question: bytes, key: VerifyKey, proof: bytes, *, until_us: int
) -> Proved:
    """Return the identity of a key's owner.

    Args:
        identity: The key that is known of them.
        question: From ``Nonces.spend``: put here, not answered before.
        key: The key of the session.
        proof: Their signature over both.
        until_us: When a session under it ends at the latest.

    Raises:
        SignInError: The signature is not theirs, or answers another question.
    """
    try:
        identity.verify(DOMAIN, sign_in_message(question, key), proof)
    except TamperedError as error:
        raise SignInError("this key has not proved itself", rule="identity.key") from error
    return Proved(method="key", name=f"key:{identity.text()}", until_us=until_us)
