"""Seals the ledger's side-car: personal details of leaves, under a key for each segment and month.

The ledger keeps commitments for ever; what they commit to lies in a side-car sealed here, so
destroying a month's key ends the details and leaves the proofs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from threading import Lock
from typing import Final, Protocol

from safehold import canonical
from safehold.errors import InvalidError, ShreddedError, TamperedError
from safehold.vault import keys
from safehold.vault.keyring import LEDGER_SEGMENT, SIDECAR, KeyName, check_segment

COMPILED: Final = keys.seal_all is not keys.seal_plainly  # whether many are sealed in one call to C
_VERSION: Final = b"\x02"  # 1 derived a key for each detail
_PAD: Final = 64  # bytes; the length of a detail says little


Seal = Callable[[Sequence[bytes], Sequence[bytes]], list[bytes]]


class KeySource(Protocol):
    """Finds or makes one key."""

    def __call__(self, segment: str, name: KeyName, *, make: bool) -> bytes | None:
        """Return the key, or None if there is none and none is to be made."""
        ...


class Sidecar:
    """The ledger's ``SidecarSealer``, backed by the vault.

    Keys are kept in memory until an erasure or expiry drops them: an append may come from inside a
    transaction on the control database, which must not then wait for itself.

    Args:
        source: Finds or makes keys.
    """

    def __init__(self, source: KeySource) -> None:
        self._source = source
        self._lock = Lock()
        self._held: dict[tuple[str, int], bytes] = {}

    def batch(self, *, segment: str, month: int) -> Seal:
        """Return what seals the details of one commit: (details, what each is bound to).

        Every batch derives a key of its own from the month's; it is for one commit and then dropped.

        Args:
            segment: Segment they belong to; empty for details of no segment.
            month: UTC month as ``year * 100 + month``; for handles of people, the epoch.
        """
        key = self._key(segment, month, make=True)
        if key is None:  # pragma: no cover - making always yields a key
            raise ShreddedError("the month's key is gone", rule="sidecar.key")
        place, series = _place(segment, month), keys.Series(key, front=_VERSION)

        def seal(secrets: Sequence[bytes], bound: Sequence[bytes]) -> list[bytes]:
            return series.seal(secrets, bound, place=place, pad=_PAD)

        return seal

    def open(self, *, segment: str, month: int, sealed: bytes, aad: bytes) -> bytes:
        """Open what a batch sealed.

        Raises:
            ShreddedError: The month's key was destroyed.
            TamperedError: The bytes, the month, the segment or the binding differ.
        """
        key = self._key(segment, month, make=False)
        if key is None:
            raise ShreddedError("the details of this month were destroyed", rule="sidecar.key")
        if sealed[:1] != _VERSION:
            raise TamperedError("a side-car entry has an unknown version", rule="sidecar.version")
        return keys.open_series(key, sealed[1:], aad=_place(segment, month) + aad)

    def forget(self) -> None:
        """Drop every key from memory."""
        with self._lock:
            self._held.clear()

    def _key(self, segment: str, month: int, *, make: bool) -> bytes | None:
        with self._lock:
            held = self._held.get((segment, month))
        if held is not None:
            return held  # what is held was checked when it came
        if not 0 <= month < 2**31:
            raise InvalidError("a month is a small number", rule="sidecar.month")
        name = check_segment(segment) if segment else LEDGER_SEGMENT
        key = self._source(name, KeyName(SIDECAR, period=month), make=make)
        if key is not None:
            with self._lock:
                self._held[segment, month] = key
        return key

    def __repr__(self) -> str:
        return "Sidecar(hidden)"


@lru_cache(256)  # nearly every detail goes to the place of the one before
def _place(segment: str, month: int) -> bytes:
    return canonical.encode(["safehold/sidecar/2", segment, month]) + b"\0"
