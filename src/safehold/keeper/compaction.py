"""Compaction: the small blocks of one person, stream, day and label become larger ones, and small objects one.

Collectors hand in a few minutes at a time, so that an hour of somebody is a block of some KB in an object of its own.
Reading costs by the block. Here it is chosen what is joined; ``packing`` carries it out. Nothing is joined across
people, streams, days, labels or segments, and nothing is touched of whoever lets nobody use it now.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any, Final

from safehold.catalog.rewriting import Candidate, Rewriting
from safehold.catalog.tier import choose, worth_moving
from safehold.errors import (
    ConflictError,
    DeniedError,
    InvalidError,
    MissingError,
    ShreddedError,
    UnavailableError,
)
from safehold.keeper.openable import openable_now
from safehold.keeper.packing import GRACE_US, Batch, Packed, Packing
from safehold.keeper.server import Report, Verb

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

_LOG = logging.getLogger(__name__)
# What is in memory at once. A small block takes 20 kB while it is joined, nearly all of it around a table of few rows,
# and a keeper whose memory is locked keeps the most that it ever needed.
MOST_BYTES: Final = 8 << 20  # sealed bytes that are opened for one object
MOST_BLOCKS: Final = 64
MOST_SMALL: Final = 2_048  # blocks of small objects that are looked at together
# people's days that are looked at before any of them is joined; each look counts them all
MOST_GROUPS: Final = 500
TURN_S: Final = 3.0  # seconds of one turn of periodic work, about
SHARE: Final = 0.05  # of the time that it may take, at most
_PASSED_OVER: Final = (DeniedError, ConflictError, InvalidError, ShreddedError, MissingError)


class Compaction:
    """The verb and the periodic task.

    Args:
        desk: What the keeper works with.
        now: Seconds on a clock that only goes forward.
    """

    def __init__(self, desk: Desk, *, now: Callable[[], float] = time.monotonic) -> None:
        self._desk = desk
        self._now = now
        self._rests_until = now()
        self.rewriting = Rewriting(desk.engine, key=desk.vault.derive("catalog-mac"))
        self.packing = Packing(desk, self.rewriting)
        # where nothing was worth it, by how many there were and on which day that was
        self._settled: dict[tuple[Any, ...], tuple[int, int]] = {}
        self._settlings = 0  # how often that was found
        self._counts: dict[tuple[Any, ...], int] = {}  # of the look that is being worked on
        self._cut_off = False  # it did not look at everybody

    def verbs(self) -> dict[str, Verb]:
        """Return the verbs by name."""
        return {"dataset.compact": self.compact}

    def compact(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], report: Report
    ) -> dict[str, Any]:
        """Join what is worth it now, in one segment or in all; with ``dry_run`` only count."""
        segment = arguments.get("segment")
        dry = arguments.get("dry_run", False)
        if not isinstance(segment, str | None) or not isinstance(dry, bool):
            raise InvalidError(
                "a segment is a word and dry_run true or false", rule="compaction.arguments"
            )
        self._desk.trust.require_running()
        self._settled.clear()
        before = self.rewriting.totals(segment)
        if dry:
            planned = list(self.batches(segment))
            answer = _told(planned)
        else:
            packed, passed_over = self._work(segment, report, most=before["blocks"])
            answer = {**_summed(packed), "passed_over": passed_over, "removed": self.tidy()}
        return {
            "dry_run": dry,
            **answer,
            "before": before,
            "after": before if dry else self.rewriting.totals(segment),
        }

    def turn(self) -> list[Packed]:
        """Work for some seconds, unless it has had its share of the time."""
        began = self._now()
        if began < self._rests_until or not self._desk.trust.digest() or self._desk.trust.stopped:
            return []
        try:
            self.tidy()
            return self._work(None, lambda _: None, until=began + TURN_S)[0]
        finally:
            over = self._now()
            self._rests_until = over + (over - began) * (1 / SHARE - 1)

    def tidy(self, *, alone: bool = False) -> int:
        """Remove objects whose blocks lie elsewhere; those that somebody may still be reading stay.

        Args:
            alone: Nobody is.

        Returns:
            How many were removed.
        """
        before = None if alone else self._desk.now_us() - GRACE_US
        waiting = self.rewriting.retired(before_us=before)
        if not waiting:
            return 0
        # an older register beside this ledger must be told from this one as long as it names what goes now
        self.packing.catch_up()
        left = self._desk.vault.remove(waiting)
        gone = sorted(waiting)[: len(waiting) - left]
        self.rewriting.forget_retired(gone)
        return len(gone)

    def recover(self, newest: int | None) -> None:
        """Remove what the last keeper retired: nobody reads it any more.

        Args:
            newest: Leaf of the newest join that is done, if there is one.
        """
        if newest is not None:
            self.packing.noted = int(self._desk.ledger.detail(newest)["detail"]["compaction"])
        try:
            self.tidy(alone=True)
        except UnavailableError as error:
            _LOG.warning("what was joined is removed later: %s", error.rule)

    def _work(
        self,
        segment: str | None,
        report: Report,
        *,
        until: float | None = None,
        most: int = 0,
    ) -> tuple[list[Packed], int]:
        """Carry out what is worth it, look by look, until nothing is or the time is over."""
        packed: list[Packed] = []
        passed_over, before, settled = 0, -1, self._settlings
        # a look that was cut off and came upon nothing says nothing of the people behind it
        while len(packed) > before or (self._cut_off and self._settlings > settled):
            before, settled = len(packed), self._settlings
            for batch in self.batches(segment, most=MOST_GROUPS):
                for done in self._pack(batch):
                    if done is None:
                        passed_over += 1
                    else:
                        packed.append(done)
                    opened = sum(one.blocks for one in packed)
                    report({"done": opened, "of": max(most, opened)})
                if until is not None and self._now() >= until:
                    return packed, passed_over
            if until is not None and self._now() >= until:
                break
        return packed, passed_over

    def _pack(self, batch: Batch) -> Iterator[Packed | None]:
        """Join a batch, in halves of halves where something in it stands against it; None for what is left alone."""
        waiting = [batch]
        while waiting:
            one = waiting.pop()
            try:
                yield self.packing.pack(one)
            except _PASSED_OVER as error:
                self._desk.trust.require_running()  # a stop ends all of it
                _LOG.info("a join was passed over: %s", error.rule)
                halves = one.halves()
                waiting += halves
                if not halves:
                    self._leave(one)
                    yield None

    def _leave(self, batch: Batch) -> None:
        """Leave alone for today what stood against being joined: it must not keep the rest from its turn."""
        first = batch.inputs[0].sealed
        for key in (
            (first.segment, first.stream, first.window, first.person),
            (batch.segment, batch.expires),
        ):
            if key in self._counts:
                self._settle(key, self._counts[key])

    def batches(self, segment: str | None = None, *, most: int | None = None) -> Iterator[Batch]:
        """Yield what is worth joining, a bounded piece at a time.

        Args:
            segment: Where; everywhere without it.
            most: How many people's days are looked at, at most.
        """
        desk = self._desk
        openable, unnoted, today = openable_now(desk), self.rewriting.unnoted(), desk.today()

        def may(one: Candidate) -> bool:
            return one.source not in unnoted and openable(one)

        joins: dict[tuple[str, int], list[tuple[Candidate, ...]]] = {}
        waiting = list(
            islice(
                (
                    one
                    for one in self.rewriting.groups(segment)
                    if not self._is_settled(one.key, one.count)
                ),
                most,
            )
        )
        self._cut_off = len(waiting) == most
        for mine in self.rewriting.of_groups(waiting):
            found = list(_joins(mine, may, today=today))
            for several in found:
                first = several[0].sealed
                joins.setdefault((first.segment, first.label.expires), []).append(several)
            if not found:
                first = mine[0].sealed
                self._settle((first.segment, first.stream, first.window, first.person), len(mine))
        small = {
            (place, expires): count
            for place, expires, count in self.rewriting.scattered(segment)
            if (place, expires) in joins or not self._is_settled((place, expires), count)
        }
        self._counts = {one.key: one.count for one in waiting} | small
        for place, expires in sorted(joins.keys() | small.keys()):
            outputs = joins.get((place, expires), [])
            taken = {one.sealed.block_id for several in outputs for one in several}
            if (place, expires) in small:
                moved = self._moved(place, expires, taken, may)
                if not moved and not outputs:
                    self._settle((place, expires), small[place, expires])
                outputs = [*outputs, *((one,) for one in moved)]
            yield from _cut(place, expires, outputs)

    def _moved(
        self, segment: str, expires: int, taken: set[bytes], may: Callable[[Candidate], bool]
    ) -> list[Candidate]:
        """Return the blocks of small objects that are worth moving into a larger one."""
        found = self.rewriting.of_small_objects(segment, expires, most=MOST_SMALL)
        whole = {
            item: rest
            for item, held in found.items()
            if all(map(may, held))
            and (rest := [one for one in held if one.sealed.block_id not in taken])
        }
        sizes = [sum(one.sealed.length for one in held) for held in whole.values()]
        objects = list(whole.values())
        return [one for place in worth_moving(sizes) for one in objects[place]]

    def _settle(self, key: tuple[Any, ...], count: int) -> None:
        self._settlings += not self._is_settled(key, count)
        self._settled[key] = (count, self._desk.today())

    def _is_settled(self, key: tuple[Any, ...], count: int) -> bool:
        return self._settled.get(key) == (count, self._desk.today())


def _joins(
    mine: Sequence[Candidate], may: Callable[[Candidate], bool], *, today: int
) -> Iterator[tuple[Candidate, ...]]:
    """Yield neighbours among the blocks of one person, stream and day that are worth joining."""
    for (_, open_), some in groupby(mine, key=lambda one: (one.sealed.label, may(one))):
        run = list(some)
        if open_:
            closed = run[0].sealed.window < today
            for found in choose([one.sealed.length for one in run], closed=closed):
                yield tuple(run[found.start : found.stop])


def _cut(segment: str, expires: int, outputs: Sequence[tuple[Candidate, ...]]) -> Iterator[Batch]:
    """Yield outputs in pieces that are opened at once."""
    piece: list[tuple[Candidate, ...]] = []
    blocks = size = 0
    for several in outputs:
        weight = sum(one.sealed.length for one in several)
        if piece and (size + weight > MOST_BYTES or blocks + len(several) > MOST_BLOCKS):
            yield Batch(segment=segment, expires=expires, outputs=tuple(piece))
            piece, blocks, size = [], 0, 0
        piece.append(several)
        blocks += len(several)
        size += weight
    if piece:
        yield Batch(segment=segment, expires=expires, outputs=tuple(piece))


def _told(batches: Sequence[Batch]) -> dict[str, int]:
    return {
        "runs": len(batches),
        "blocks": sum(len(one.inputs) for one in batches),
        "into": sum(len(one.outputs) for one in batches),
        "bytes": sum(one.size for one in batches),
    }


def _summed(packed: Sequence[Packed]) -> dict[str, int]:
    return {
        "runs": len(packed),
        "blocks": sum(one.blocks for one in packed),
        "into": sum(one.into for one in packed),
        "bytes": sum(one.read for one in packed),
        "written": sum(one.written for one in packed),
        "retired": sum(one.retired for one in packed),
    }
