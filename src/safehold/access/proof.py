"""Proof of possession: the holder of a capability, or a device, signs a nonce just issued by the verifier."""

from __future__ import annotations

import hashlib
import threading
from typing import Final

from safehold import ids
from safehold.clock import SECOND_US
from safehold.errors import SignInError, TamperedError
from safehold.signing import SigningKey, VerifyKey

POP_DOMAIN: Final = "safehold.pop.v1"
DEVICE_DOMAIN: Final = "safehold.device.v1"
NONCE_LIFE_US: Final = 60 * SECOND_US
PATIENT_US: Final = 900 * SECOND_US  # of a question that a person reads before they sign
MAX_NONCES: Final = 10_000


class Nonces:
    """Nonces that were issued and not yet used; each counts once, for a minute.

    Args:
        life_us: How long instead, microseconds.
    """

    def __init__(self, *, life_us: int = NONCE_LIFE_US) -> None:
        self._life_us = life_us
        self._open: dict[bytes, int] = {}
        self._lock = threading.Lock()

    def issue(self, now_us: int, *, patient: bool = False) -> bytes:
        """Return a fresh nonce of 32 bytes; it waits a quarter of an hour if somebody reads first what they sign."""
        nonce = ids.random_bytes(32)
        with self._lock:
            # the oldest stand first, and all live equally long
            while self._open and (
                len(self._open) >= MAX_NONCES or next(iter(self._open.values())) <= now_us
            ):
                del self._open[next(iter(self._open))]
            self._open[nonce] = now_us + (PATIENT_US if patient else self._life_us)
        return nonce

    def spend(self, nonce: bytes, now_us: int) -> bytes:
        """Return the nonce, once.

        Raises:
            SignInError: It was never issued here, was used before, or is too old.
        """
        with self._lock:
            end = self._open.pop(nonce, None)
        if end is None or end <= now_us:
            raise SignInError(
                "this proof does not answer an open question",
                rule="capability.nonce",
                fix="ask for a new nonce and sign again",
            )
        return nonce


class Holder:
    """The owner of a capability: a token and the key it is bound to.

    Args:
        token: The capability.
        key: The holder's key.
    """

    def __init__(self, token: str, key: SigningKey) -> None:
        self.token = token
        self._key = key

    def prove(self, nonce: bytes, message: bytes) -> bytes:
        """Return a signature over nonce, token and message, 64 bytes."""
        return self._key.sign(POP_DOMAIN, proof_message(self.token, nonce, message))


def proof_message(token: str, nonce: bytes, message: bytes) -> bytes:
    """Return what a holder signs: the hashes of token, nonce and message."""
    return (
        hashlib.sha256(token.encode("utf-8")).digest()
        + hashlib.sha256(nonce).digest()
        + hashlib.sha256(message).digest()
    )


def prove_device(key: SigningKey, nonce: bytes, message: bytes) -> bytes:
    """Return a device's signature over nonce and message, 64 bytes."""
    return key.sign(DEVICE_DOMAIN, _device_message(nonce, message))


def check_device(device: VerifyKey, nonce: bytes, message: bytes, proof: bytes) -> None:
    """Pass if the caller holds a device's key.

    Args:
        device: The device.
        nonce: From ``Nonces.spend``: issued here, not used before.
        message: What the device signed beside the nonce.
        proof: From ``prove_device``.

    Raises:
        SignInError: The proof is not the device's, or answers another question.
    """
    try:
        device.verify(DEVICE_DOMAIN, _device_message(nonce, message), proof)
    except TamperedError as error:
        raise SignInError("the device has not proved itself", rule="device.proof") from error


def _device_message(nonce: bytes, message: bytes) -> bytes:
    return hashlib.sha256(nonce).digest() + hashlib.sha256(message).digest()
