"""What makes the masks of a silo; it comes from above."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from safehold.keeper.agreement import Agreement
from safehold.signing import SigningKey


class Masks(Protocol):
    """One silo's masks in one run."""

    def hello(self) -> dict[str, str]:
        """Return this silo's key of the run, signed."""
        ...

    def mask(self, vector: Any, *, members: Mapping[str, Mapping[str, Any]], ctx: bytes) -> Any:
        """Return a vector plus this silo's pads."""
        ...


class Masking(Protocol):
    """What makes masks; it comes from above."""

    def masks(
        self, agreement: Agreement, *, name: str, run: str, identity: SigningKey, seed: bytes
    ) -> Masks:
        """Return the masks of one silo in one run."""
        ...

    def context(
        self, agreement: str, run: str, step: int, members: Sequence[str], model: str
    ) -> bytes:
        """Return the hash that names one step."""
        ...
