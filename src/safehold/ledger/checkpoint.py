"""The head of a log as text that is signed (C2SP tlog-checkpoint)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from safehold.canonical import b64, unb64
from safehold.errors import InvalidError

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a log: origin, number of leaves, root hash."""

    origin: str
    size: int
    root: bytes

    def text(self) -> bytes:
        """Return the body that is signed."""
        return f"{self.origin}\n{self.size}\n{b64(self.root)}\n".encode()

    @classmethod
    def parse(cls, text: bytes) -> Checkpoint:
        """Read a checkpoint body; extension lines are allowed and never decide anything.

        Raises:
            InvalidError: The syntax is wrong or the root is not 32 bytes.
        """
        try:
            lines = text.decode().split("\n")
        except UnicodeDecodeError as error:
            raise InvalidError("a checkpoint is not text", rule="ledger.checkpoint") from error
        if len(lines) < 4 or lines[-1] or not all(lines[:-1]):
            raise InvalidError("a checkpoint has three lines", rule="ledger.checkpoint")
        root = unb64(lines[2])
        if len(root) != 32:
            raise InvalidError("a root hash has 32 bytes", rule="ledger.checkpoint.root")
        return cls(lines[0], parse_decimal(lines[1]), root)


def parse_decimal(text: str) -> int:
    """Read a size or an index: no sign, no leading zero, below 2^63.

    Raises:
        InvalidError: It is written differently.
    """
    if not _DECIMAL.fullmatch(text) or (value := int(text)) >= 2**63:
        raise InvalidError("not a decimal number below 2^63", rule="ledger.decimal")
    return value
