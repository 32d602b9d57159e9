"""One chunk of a source, from rows in memory to sealed blocks that the catalogue knows.

Order, so that a crash at any point loses and doubles nothing: seal the objects, append the chunk's leaf, then
one transaction that makes the chunk known. Whoever made another choice while their rows were being sealed is
left out, and what was sealed for the chunk is sealed anew. Where the database did not say whether the transaction
counts, the objects stay until a sweep has asked the register.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from safehold.catalog import Extent
from safehold.charter import Charter
from safehold.errors import ConflictError, InvalidError
from safehold.keeper.arrival import Arrival, Tally
from safehold.keeper.desk import ENGINEER
from safehold.keeper.offer import with_subject
from safehold.keeper.resting import come_to_rest
from safehold.keeper.terms import label_of, recorded_streams
from safehold.ledger import Entry
from safehold.subjects import Standing
from safehold.telemetry.stream import segment_name
from safehold.vault import Label, PlainBlock, SealedObject

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

MOST_LABELS = 4_096  # kept in memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """The part of a source that is committed at once.

    Args:
        source: Id of the source.
        charter: The charter it was begun under.
        digest: Its digest.
        rules: Version of the minimisation rules it came in by.
        number: Which chunk of the source.
        tally: What the sandbox counted in it.
        arrivals: The rows, by person, stream and day.
        moved: When somebody had moved last, by name, as it was when the source was begun.
        parts: Of a source that is live at once, what was counted in each part of it, by name.
    """

    source: str
    charter: Charter
    digest: bytes
    rules: str
    number: int
    tally: Tally
    arrivals: tuple[Arrival, ...]
    moved: Mapping[str, int]
    parts: Mapping[str, Tally] = field(default_factory=dict)


class Chunks:
    """Brings chunks to rest.

    Args:
        desk: What the keeper works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._labels: dict[tuple[bytes, str, str, int], Label] = {}

    def commit(self, chunk: Chunk) -> Tally:
        """Seal what came, log it and make it known; return what was counted in the end.

        Raises:
            ConflictError: The charter has changed since the source was begun.
            InvalidError: Some of its events came before.
            DeniedError: Everything is stopped.
        """
        desk = self._desk
        while True:
            standings = {
                name: desk.people.standing(desk.people.find(name))
                for name in {arrival.person for arrival in chunk.arrivals}
                if desk.people.knows(name)  # who does not was erased since
            }
            staying: list[Arrival] = []
            leaving: list[Arrival] = []  # somebody may have left since the source was begun
            for one in chunk.arrivals:
                (staying if self._stays(chunk, one, standings) else leaving).append(one)
            counted = _without(chunk.tally, leaving)
            by_segment = self._plain(chunk, staying, standings)
            objects = []
            try:
                for segment, blocks in by_segment.items():
                    objects.append(desk.vault.seal(blocks, segment=segment))
            except ConflictError:
                desk.vault.remove(item.name for item in objects)
                if all(map(desk.people.knows, standings)):
                    raise
                continue  # somebody was erased while their rows were being sealed
            names = [item.name for item in objects]
            with come_to_rest(desk.vault, names, refused=(ConflictError,)) as resting, desk.lock:
                desk.trust.contained.require_collected(
                    (segment_name(standings[one.person].jurisdiction, one.stream), one.stream)
                    for one in staying
                )
                if self._same(standings):
                    extents = self._log(chunk, staying, objects)
                    resting.begin()
                    self._register(chunk, counted, objects, extents)
                    return counted
            # a choice came while the rows were being sealed: once more, without who left
            desk.vault.remove(names)

    @staticmethod
    def _stays(chunk: Chunk, arrival: Arrival, standings: Mapping[str, Standing]) -> bool:
        """Whether rows may still be sealed: of whoever moved, none is, for it may be from before that."""
        standing = standings.get(arrival.person)
        return (
            standing is not None
            and standing.moved_us == chunk.moved.get(arrival.person, 0)
            and arrival.stream in recorded_streams(chunk.charter, standing)
        )

    def _plain(
        self, chunk: Chunk, arrivals: Sequence[Arrival], standings: Mapping[str, Standing]
    ) -> dict[str, list[PlainBlock]]:
        by_segment: dict[str, list[PlainBlock]] = {}
        for one in arrivals:
            person = self._desk.people.find(one.person)
            place = standings[one.person].jurisdiction
            segment = segment_name(place, one.stream)
            by_segment.setdefault(segment, []).append(
                PlainBlock(
                    person=person,
                    stream=one.stream,
                    window=one.window,
                    label=self._label(chunk, one.stream, place, one.window),
                    table=with_subject(one.table, self._pseudonym(segment, person)),
                )
            )
        return by_segment

    def _same(self, standings: Mapping[str, Standing]) -> bool:
        people = self._desk.people
        return all(
            people.knows(name) and people.standing(people.find(name)) == held
            for name, held in standings.items()
        )

    def _log(
        self, chunk: Chunk, arrivals: Sequence[Arrival], objects: Sequence[SealedObject]
    ) -> list[Extent]:
        """Write that a chunk comes to rest, if it may; return the numbers that are in it."""
        desk = self._desk
        if desk.trust.digest() != chunk.digest:
            raise ConflictError(
                "the charter has changed while a source was taken in",
                rule="charter.changed",
                fix="take the source in again; what is done is kept",
            )
        extents = [extent for one in arrivals for extent in one.extents]
        if (twice := desk.catalog.extents.overlap(chunk.source, extents)) is not None:
            raise InvalidError(
                f"sequence numbers {twice.first} to {twice.last} of a session came before",
                rule="sequence.duplicate",
                fix="send each event once; nothing of this source was kept",
            )
        if objects:
            people = sorted({desk.people.find(one.person) for one in arrivals})
            desk.trust.log_running(
                Entry(
                    kind="ingest",
                    actor=ENGINEER,
                    object=chunk.source,
                    detail={
                        "step": "chunk",
                        "chunk": chunk.number,
                        "objects": [[item.name, item.root.hex()] for item in objects],
                        "rules": chunk.rules,
                    },
                    charter=chunk.digest,
                    subjects=desk.subjects([str(person) for person in people]),
                    public={"objects": len(objects)},
                    key=f"ingest/{objects[0].name}",
                )
            )
        desk.trust.require_running()
        return extents

    def _register(
        self,
        chunk: Chunk,
        tally: Tally,
        objects: Sequence[SealedObject],
        extents: Sequence[Extent],
    ) -> None:
        desk = self._desk
        if chunk.parts:
            desk.catalog.parts.commit(
                chunk.source, chunk.parts, tally=tally, objects=objects, extents=extents,
                now_us=desk.now_us(),
            )  # fmt: skip
            return
        desk.catalog.commit_chunk(
            chunk.source, chunk.number, tally=tally, objects=objects, extents=extents
        )

    def _label(self, chunk: Chunk, stream: str, jurisdiction: str, window: int) -> Label:
        """Return a label, kept because every block of a day has the same one."""
        place = (chunk.digest, stream, jurisdiction, window)
        held = self._labels.get(place)
        if held is None:
            held = label_of(chunk.charter, stream, jurisdiction=jurisdiction, window=window)
            if len(self._labels) >= MOST_LABELS:
                self._labels.clear()
            self._labels[place] = held
        return held

    def _pseudonym(self, segment: str, person: str) -> bytes:
        key = self._desk.vault.derive(f"pseudonym/{segment}")
        return hmac.digest(key, person.encode(), "sha256")[:16]


def _without(tally: Tally, left: Sequence[Arrival]) -> Tally:
    """Return a tally in which the rows of those who left since count as dropped."""
    if not left:
        return tally
    counted = {group: dict(counts) for group, counts in tally.items()}
    taken, dropped = counted.setdefault("taken", {}), counted.setdefault("dropped", {})
    for one in left:
        taken[one.stream] = max(taken.get(one.stream, 0) - one.table.num_rows, 0)
        dropped["choice_changed"] = dropped.get("choice_changed", 0) + one.table.num_rows
    return counted
