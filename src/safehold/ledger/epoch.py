"""Epochs, counted in the log itself, so that no clock decides where one ends.

Epoch 0 begins at leaf 0. A leaf ``index.epoch`` with ``{"state":"begin","epoch":E}`` begins epoch
E; it and all leaves up to the next such leaf belong to E. A second leaf closes an epoch that is
over: ``{"state":"root","epoch":E,"first":a,"stop":b,"root":...}`` with ``ref`` = b, the leaf that
began the next one. Ranges are contiguous, so nothing can fall between two epochs.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence

import orjson

from safehold.errors import ConflictError, TamperedError

EPOCH_KIND = "index.epoch"
_MARK = b'"k":"index.epoch"'


class Epochs:
    """What the leaves say about epochs; fed with every leaf in order."""

    def __init__(self) -> None:
        self._begins = [0]
        self._roots: dict[int, int] = {}

    @property
    def current(self) -> int:
        """Number of the epoch that the next leaf will belong to."""
        return len(self._begins) - 1

    @property
    def open(self) -> list[int]:
        """Epochs that are over and have no root yet; more than one only after a crash."""
        return [epoch for epoch in range(self.current) if epoch not in self._roots]

    def span(self, epoch: int) -> tuple[int, int]:
        """Return (first, stop) of an epoch that is over."""
        return self._begins[epoch], self._begins[epoch + 1]

    def begin(self, epoch: int) -> int:
        """Return the index of the leaf that an epoch begins with."""
        return self._begins[epoch]

    def of(self, index: int) -> int:
        """Return the epoch that an entry belongs to."""
        return bisect_right(self._begins, index) - 1

    def root(self, epoch: int) -> int | None:
        """Return the index of the leaf that closes an epoch, if it is closed."""
        return self._roots.get(epoch)

    def closed(self) -> int:
        """Return how many epochs are closed, from epoch 0 on without a gap."""
        return next((one for one in range(self.current) if one not in self._roots), self.current)

    def see(self, first: int, leaves: Sequence[bytes]) -> None:
        """Take notice of stored leaves, in order.

        Raises:
            TamperedError: The story of the epochs does not hold.
        """
        for index, leaf in enumerate(leaves, first):
            if _MARK in leaf:
                try:
                    said = orjson.loads(leaf)
                    self.note(index, said.get("pub", {}), said.get("ref"))
                except (ConflictError, ValueError, AttributeError) as error:
                    raise TamperedError(
                        f"leaf {index} does not follow the epochs before it", rule="ledger.epoch"
                    ) from error

    def note(self, index: int, facts: Mapping[str, int | str], ref: int | None) -> None:
        """Take notice of one leaf about an epoch.

        Raises:
            ConflictError: It does not follow the epochs before it.
        """
        match facts:
            case {"state": "begin", "epoch": int(epoch)} if epoch == self.current + 1:
                self._begins.append(index)
            case {
                "state": "root", "epoch": int(epoch), "first": int(first), "stop": int(stop),
                "root": str(),
            } if (
                epoch < self.current
                and epoch not in self._roots
                and (first, stop) == self.span(epoch)
                and ref == stop
            ):  # fmt: skip
                self._roots[epoch] = index
            case _:
                raise ConflictError("epochs follow one another", rule="ledger.epoch")

    def copy(self) -> Epochs:
        """Return the same story, to be told further."""
        other = Epochs()
        other.become(self)
        return other

    def become(self, other: Epochs) -> None:
        """Take over another story."""
        self._begins, self._roots = list(other._begins), dict(other._roots)
