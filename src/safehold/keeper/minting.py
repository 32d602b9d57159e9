"""The key that capabilities are minted with: a sealed seed, and for an hour the one before it.

A capability lives an hour at most, so whoever holds one when the key is changed can use it to its end.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any, Final, TypeVar

from safehold import canonical
from safehold.access.capability import LONGEST_S
from safehold.canonical import b64, unb64
from safehold.clock import SECOND_US, Clock
from safehold.errors import MissingError, SignInError
from safehold.ids import random_bytes
from safehold.signing import SigningKey, VerifyKey
from safehold.vault import Vault

T = TypeVar("T")
NAME: Final = "capability-mint"
SEED: Final = 32  # bytes


class Minting:
    """Holds the minting key and the one before it. Thread-safe.

    Args:
        vault: Where the seeds are sealed.
        clock: Time, for the end of the former key.
    """

    def __init__(self, vault: Vault, clock: Clock) -> None:
        self._vault = vault
        self._clock = clock
        self._lock = Lock()
        self._read()

    @property
    def seed(self) -> bytes:
        """The seed that mints now."""
        return self._seeds[0]

    @property
    def public(self) -> VerifyKey:
        """The key that verifies what is minted now."""
        return SigningKey(self._seeds[0]).public

    def verify(self, check: Callable[[VerifyKey], T]) -> T:
        """Return what a check of a capability returns under the key that minted it.

        Raises:
            SignInError: Neither the key nor, while its hour lasts, the former one minted it.
        """
        seeds = self._seeds
        try:
            return check(SigningKey(seeds[0]).public)
        except SignInError as error:
            if (
                len(seeds) == 1
                or error.rule != "capability.signature"
                or self._clock.now_us() >= self._ends_us
            ):
                raise
            return check(SigningKey(seeds[1]).public)

    def rotate(self) -> None:
        """Mint with a fresh key from now on; the former one verifies for an hour."""
        with self._lock:
            ends_us = self._clock.now_us() + LONGEST_S * SECOND_US
            seeds = [b64(random_bytes(SEED)), b64(self._seeds[0])]
            self._vault.seal_secret(NAME, canonical.encode({"seeds": seeds, "ends_us": ends_us}))
            self._read()

    def retire(self) -> None:
        """Forget the former key once its hour is over."""
        with self._lock:
            if len(self._seeds) > 1 and self._clock.now_us() >= self._ends_us:
                record = {"seeds": [b64(self._seeds[0])], "ends_us": 0}
                self._vault.seal_secret(NAME, canonical.encode(record))
                self._read()

    def _read(self) -> None:
        try:
            record: dict[str, Any] = canonical.decode(self._vault.open_secret(NAME))
        except MissingError:  # never changed: it is derived
            record = {"seeds": [b64(self._vault.derive(NAME))], "ends_us": 0}
        self._ends_us = int(record["ends_us"])
        self._seeds = tuple(unb64(one) for one in record["seeds"])

    def __repr__(self) -> str:
        return "Minting(hidden)"
