"""Epochs of a log: they begin in turn, and each is closed at most once and over its own range.

Without this an operator could close one epoch twice and show each person the index that suits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from safehold_verify.errors import VerificationError

KIND = "index.epoch"
MARK = b'"k":"index.epoch"'


class Epochs:
    """What the leaves about epochs say, read in order.

    Attributes:
        closed: First leaf, leaf after the last, and root (base64) of each closed epoch.
    """

    def __init__(self) -> None:
        self._begins = [0]
        self.closed: dict[int, tuple[int, int, str]] = {}

    @property
    def current(self) -> int:
        """The epoch that the leaf read last belongs to."""
        return len(self._begins) - 1

    def note(self, index: int, leaf: Mapping[str, Any]) -> None:
        """Read one leaf of that kind.

        Raises:
            VerificationError: An epoch begins or is closed twice, out of turn, or with another
                range.
        """
        where = f"leaf {index}"
        match leaf.get("pub"):
            case {"state": "begin", "epoch": int(epoch), **rest} if not rest:
                if epoch != len(self._begins):
                    raise VerificationError("an epoch begins out of turn", where=where)
                self._begins.append(index)
            case {"state": "root", "epoch": int(epoch), "first": int(first), "stop": int(stop),
                  "root": str(root), **rest} if not rest:  # fmt: skip
                if epoch in self.closed or epoch + 1 >= len(self._begins):
                    raise VerificationError("an epoch is closed out of turn", where=where)
                span = self._begins[epoch : epoch + 2]
                if [first, stop, leaf.get("ref")] != [*span, stop]:
                    raise VerificationError("an epoch is closed with another range", where=where)
                self.closed[epoch] = (first, stop, root)
            case _:
                raise VerificationError("not a leaf about an epoch", where=where)
