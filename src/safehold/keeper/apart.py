"""Tables of one person each, sealed under that person's own keys: features, vectors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from safehold.charter import Charter
from safehold.ids import PersonId
from safehold.keeper.bounds import Opening
from safehold.keeper.release import Release
from safehold.keeper.terms import end_of
from safehold.telemetry.stream import segment_name
from safehold.vault import Label, PlainBlock, SealedBlock

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk


def seal_apart(
    desk: Desk,
    release: Release,
    opening: Opening,
    *,
    group: Sequence[PersonId],
    tables: Iterable[tuple[PersonId, pa.Table]],
    stream: str,
    build: str,
) -> list[PlainBlock]:
    """Seal what was made of each person, and return it; nothing of somebody who left while it was made.

    Args:
        desk: What the keeper works with.
        release: Knows who is still there.
        opening: Whom it was made from.
        group: The people of this run.
        tables: Whose each table is.
        stream: What it is.
        build: The dataset that it becomes part of.
    """
    by_segment: dict[str, list[PlainBlock]] = {}
    for person, table in tables:
        label = inherit(opening.blocks[person], charter=desk.trust.charter())
        by_segment.setdefault(segment_name(label.jurisdiction, stream), []).append(
            PlainBlock(person=person, stream=stream, window=desk.today(), label=label, table=table)
        )
    with desk.lock:
        desk.trust.contained.require_free(opening.touched)
        stay = set(release.still(opening, group))
        kept = {
            name: [block for block in blocks if block.person in stay]
            for name, blocks in by_segment.items()
        }
        objects = [desk.vault.seal(blocks, segment=name) for name, blocks in kept.items() if blocks]
        desk.catalog.builds.add(build, objects)
    return [block for blocks in kept.values() for block in blocks]


def inherit(blocks: Sequence[SealedBlock], *, charter: Charter) -> Label:
    """Return the label of what is derived from one person's blocks: shared purposes, earliest expiry.

    The charter in force may have shortened what their labels say.
    """
    purposes = frozenset.intersection(*(frozenset(block.label.purposes) for block in blocks))
    return Label(
        purposes=tuple(sorted(purposes)),
        jurisdiction=blocks[0].label.jurisdiction,
        expires=min(end_of(charter, block) for block in blocks),
        charter=charter.digest(),
    )
