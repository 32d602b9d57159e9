"""The one error of the verifier."""

from __future__ import annotations


class VerificationError(Exception):
    """Something does not hold.

    Args:
        message: What, without any data value.
        where: File, and within it bytes, line, entry or signature.
    """

    def __init__(self, message: str, *, where: str = "") -> None:
        super().__init__(f"{where}: {message}" if where else message)
        self.message = message
        self.where = where
