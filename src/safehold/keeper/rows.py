"""Rows of blocks for a use that was decided before they are read: of the sources that it is about, or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from safehold.catalog.register import TELEMETRY
from safehold.catalog.row import Part
from safehold.errors import ConflictError, MissingError
from safehold.keeper.ask import Ask
from safehold.vault import SealedBlock

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk


@dataclass(frozen=True, slots=True, kw_only=True)
class Only:
    """Which rows of blocks are meant.

    Args:
        sources: Those of these sources.
        parts: Of which sources the rows of each block were, in order, when it was decided.
    """

    sources: frozenset[str]
    parts: Mapping[bytes, Sequence[Part]]


def only_of(desk: Desk, ask: Ask, blocks: Sequence[SealedBlock]) -> Only | None:
    """Return which rows of blocks a use is about, with the lock held since they were chosen; None for all."""
    if ask.kind != TELEMETRY or ask.within is None:
        return None
    return Only(
        sources=ask.within, parts=desk.catalog.parts_of([block.block_id for block in blocks])
    )


def read_chosen(
    desk: Desk, blocks: Sequence[SealedBlock], only: Only | None
) -> Iterator[tuple[SealedBlock, pa.RecordBatch]]:
    """Return the rows of blocks that were chosen.

    Args:
        desk: What the keeper works with.
        blocks: What was chosen.
        only: Which of their rows are meant; None for all.

    Raises:
        ConflictError: A block was joined with others since, and what it lay in is gone.
    """
    try:
        for block, batch in desk.vault.read_batches(blocks):
            if only is None:
                yield block, batch
            else:
                yield block, _of(batch, only.parts[block.block_id], only.sources)
    except MissingError as error:
        names = {block.block_id for block in blocks}
        if desk.catalog.parts_of(sorted(names)).keys() == names:
            raise  # all are where the register says, so an object was lost
        raise ConflictError(
            "blocks were joined since this was decided",
            rule="release.rewritten",
            fix="ask again: the rows are the same",
        ) from error


def _of(batch: pa.RecordBatch, parts: Sequence[Part], sources: frozenset[str]) -> pa.RecordBatch:
    """Return the rows that are of some sources."""
    if all(source in sources for source, _ in parts):
        return batch
    kept, at = [], 0
    for source, count in parts:
        if source in sources:
            kept.append(batch.slice(at, count))
        at += count
    return pa.concat_batches(kept) if kept else batch.slice(0, 0)
