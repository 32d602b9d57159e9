"""What the ledger says of the register of principals: its newest version, and the digest it must have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Enrolments:
    """The fold.

    Args:
        version: How many changes there were.
        digest: Blinded digest of the register after the last, hex.
        index: The leaf of the last.
    """

    version: int = 0
    digest: str = ""
    index: int = -1

    def note(self, index: int, public: Mapping[str, Any]) -> None:
        """Take the next leaf of a change."""
        self.version, self.digest, self.index = public["version"], public["digest"], index
