"""Tables that were made from several people: each sealed under a key of its own, and open only while all of them agree.

What lies in blocks of one person ends with that person's key. A table that counts, averages or scales over people
cannot: nobody can take one of them out of it. So it is opened as a whole or not at all, everybody in it must be one
who would be opened for this use, and when one of them is erased its key is destroyed and it is made anew.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from safehold.catalog import DatasetLabel
from safehold.catalog.lineage import Node
from safehold.errors import ConsentError, DeniedError, MissingError, ShreddedError, TamperedError
from safehold.ids import PersonId
from safehold.keeper.ask import Ask
from safehold.keeper.inheritance import made_key
from safehold.keeper.terms import opted_in
from safehold.ledger.subjects import epoch_key, item_of
from safehold.subjects.case import Span
from safehold.telemetry.stream import segment_name
from safehold.vault import Label, SealedArtifact, SealedBlock

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

STREAM = "feature"  # of everything derived, for grants and segments
SEGMENT = "derived"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooled:
    """A table of several people that a use opens.

    Args:
        node: Its place in the lineage.
        people: Everybody in it.
    """

    node: Node
    people: frozenset[PersonId]

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return int(self.node.facts["rows"])

    def shown(self) -> list[SealedBlock]:
        """Return it as blocks that policy can judge: one for each place of its people."""
        sealed = sealed_of(self.node)
        return [
            SealedBlock(
                block_id=bytes(16),
                person="",
                stream=STREAM,
                segment=segment_name(place, STREAM),
                window=self.node.label.last_day,
                label=Label(
                    purposes=tuple(sorted(self.node.label.purposes)),
                    jurisdiction=place,
                    expires=self.node.label.expires,
                    charter=sealed.label.charter,
                ),
                object=sealed.object,
                offset=0,
                length=sealed.length,
                rows=self.rows,
                generation=1,
                sequence=0,
                sha256=sealed.sha256,
            )
            for place in sorted(self.node.label.jurisdictions)
        ]


class Pool:
    """Finds out who is in such tables, seals them and opens them.

    Args:
        desk: What the keeper works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def admit(self, ask: Ask, node: Node) -> Pooled:
        """Return a table with its people, if each of them may be opened for a use.

        Raises:
            DeniedError: Somebody in it may not, or is no longer there.
        """
        desk = self._desk
        refused = DeniedError(
            "somebody in this table takes no part in this use",
            rule="lineage.people",
            fix="make it again from those who do",
        )
        people = self.people(node)
        if len(people) != node.label.people:
            raise refused  # somebody was erased, or the row counts others than the leaf
        charter, now, label = desk.trust.charter(), desk.now_us(), node.label
        if sealed_of(node).label.charter != charter.digest():
            raise DeniedError(
                "it was made under another charter", rule="label.charter", fix="make it again"
            )
        for person in people:
            standing = desk.people.standing(person)
            try:
                allowed = standing.allowed(at_us=now)
            except ConsentError as error:
                raise refused from error
            if not (
                opted_in(charter, standing)
                and label.streams <= allowed
                and standing.jurisdiction in charter.jurisdictions
                and ask.people.chooses(person, standing.jurisdiction)
                and standing.bar(ask.purpose) is None
                and not any(_overlaps(span, label) for span in standing.contested)
                and node.created_us >= (standing.anew_us or 0)  # from before they had withdrawn
            ):
                raise refused
        return Pooled(node=node, people=people)

    def people(self, node: Node) -> frozenset[PersonId]:
        """Return everybody of the register who is in a table, as its leaf commits to them.

        Raises:
            DeniedError: The leaf is not there, or cannot be read.
        """
        desk = self._desk
        receipt = desk.ledger.find(made_key(node.id))
        unknown = DeniedError(
            "the ledger does not tell who is in this table",
            rule="lineage.label",
            fix="make it again",
        )
        if receipt is None:
            raise unknown
        try:
            held = desk.ledger.opening(receipt.index).people
        except (ShreddedError, MissingError) as error:
            raise unknown from error
        epoch, items = desk.ledger.epochs.of(receipt.index), set(held.items)
        everybody = sorted(desk.people.everybody().keys() - desk.gone)
        keys = desk.vault.subjects.keys([str(person) for person in everybody])
        return frozenset(
            person
            for person, key in zip(everybody, keys, strict=True)
            if item_of(epoch_key(key, epoch), held.nonce) in items
        )

    def seal(self, name: str, table: pa.Table, *, label: Label) -> dict[str, Any]:
        """Seal a table under a new key of its own, and return where it rests."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        body = memoryview(sink.getvalue()).cast("B")
        sealed = self._desk.vault.artifacts.seal(name, body, label=label, segment=SEGMENT)
        return sealed.to_record()

    def open(self, pooled: Pooled) -> pa.Table:
        """Return a table, after every check of the vault."""
        body = self._desk.vault.artifacts.read(sealed_of(pooled.node))
        return pa.ipc.open_stream(pa.py_buffer(body)).read_all()

    def there(self, node: Node) -> bool:
        """Return whether a key of a table is there that opens, and its time is not over."""
        try:
            return node.sealed is not None and self._desk.vault.artifacts.keeps(sealed_of(node))
        except TamperedError:  # a row that was put back from before an erasure
            return False

    def objects(self) -> set[str]:
        """Return the objects of tables that still open."""
        nodes, _ = self._desk.lineage.look()
        return {
            str(one.sealed["object"]) for one in nodes.values() if one.sealed and self.there(one)
        }

    def end(self, nodes: Iterable[Node]) -> None:
        """Destroy the keys of tables, and remove what they opened."""
        for node in nodes:
            if self.there(node):
                sealed = sealed_of(node)
                self._desk.vault.shred(artifact=sealed.name)
                self._desk.vault.remove([sealed.object])


def below(nodes: Mapping[str, Node], starts: Collection[str]) -> list[Node]:
    """Return nodes and everything that was made from them up to a release, in the order in which they were made."""
    found = set(starts)
    for node in nodes.values():  # oldest first: a parent comes before its child
        if any(
            parent in found and (parent in starts or nodes[parent].release is None)
            for parent in node.parents
        ):
            found.add(node.id)
    return [node for node in nodes.values() if node.id in found]


def sealed_of(node: Node) -> SealedArtifact:
    """Return where a table of several people rests.

    Raises:
        DeniedError: It says nowhere.
    """
    record = node.sealed
    if record is None:
        raise DeniedError("it rests nowhere", rule="lineage.label", fix="make it again")
    return SealedArtifact.from_record(record)


def _overlaps(span: Span, label: DatasetLabel) -> bool:
    return (
        span.stream in label.streams
        and span.first_day <= label.last_day
        and label.first_day <= span.last_day
    )
