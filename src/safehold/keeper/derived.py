"""Sealed derived datasets: registered whole or not at all, with the label that the keeper computed.

Order, each durable before the next:

1. the table of each person is sealed under their key, or the one table of several people under a key of its own;
   nothing knows these objects yet, and a sweep removes them
2. rows of the blocks, *staged*: nobody opens those
3. a leaf of kind ``derived`` that refers to the intent, commits to the set of people, and holds the whole node:
   label, parents, where it rests
4. one transaction turns the rows live and writes the lineage

What a crash leaves after 3 is carried on at the next start, what it leaves before is dropped. An older control
database lacks what the leaf names, and a keeper does not start on it.

What becomes of tables of several people when one of them is erased is in ``rebuilding``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from safehold import canonical
from safehold.catalog import DatasetLabel
from safehold.catalog.lineage import Node, inherit_from
from safehold.catalog.register import TELEMETRY
from safehold.dlp.feature import Feature, admit_columns, admit_features
from safehold.errors import DeniedError, InvalidError, MissingError, ShreddedError
from safehold.ids import PersonId, new_id
from safehold.keeper.ask import Ask
from safehold.keeper.bounds import Opening
from safehold.keeper.inheritance import label_source, made_key, told_by
from safehold.keeper.pooled import STREAM, Pool
from safehold.keeper.terms import end_of
from safehold.ledger import Entry
from safehold.telemetry.stream import STREAM_TO_WHAT, segment_name
from safehold.vault import Label, PlainBlock, SealedBlock, SealedObject

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

KINDS: Final = ("table", "vectors")
# recipes whose code works on one person at a time, so that nothing of others is in what it makes of one
APART: Final = frozenset({"feature", "embed"})
POOLED: Final = "pooled"
KIND: Final = "derived"  # of its leaf
_NAME = re.compile(r"[a-z0-9-]{1,24}")
LARGEST_MEMORY: Final = 16_384  # bytes of what a rebuild needs to know


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A table to be sealed.

    Args:
        table: Its rows.
        person: Whose it is; None for one table of several people.
    """

    table: pa.Table = field(repr=False)
    person: PersonId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """What was registered.

    Args:
        dataset: Its id.
        people: How many people are in it.
        rows: How many rows.
        entry: Index of its leaf.
        expires: First UTC day on which nothing of it opens.
    """

    dataset: str
    people: int
    rows: int
    entry: int
    expires: int


class Derived:
    """Registers what runs have made.

    Args:
        desk: What the keeper works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.pool = Pool(desk)

    def register(
        self,
        opening: Opening,
        *,
        ask: Ask,
        actor: str,
        kind: str,
        name: str,
        parts: Sequence[Part],
        recipe: str,
        features: Iterable[Feature] | None = None,
        remember: Mapping[str, Any] | None = None,
    ) -> Registered:
        """Seal what a run made, and make it known with its label, in the ledger first.

        Args:
            opening: What the run was given.
            ask: What was asked for.
            actor: On whose behalf.
            kind: ``table`` or ``vectors``.
            name: Its name, ``[a-z0-9-]{1,24}``; the id becomes ``kind/name:intent``.
            parts: A table for each person, or one for all of them together.
            recipe: What made it, by which it can be made again.
            features: What its columns were made from; None if nobody can say, and then it tells all that the
                opened columns tell.
            remember: What making it again needs, small; it is sealed.

        Raises:
            InvalidError: Not a kind, a name, or parts of one of the two forms.
            DeniedError: It tells what the charter masks, it may serve nothing, a recipe that works on several
                people at once made tables of each of them, or somebody was erased meanwhile.
        """
        desk = self._desk
        dataset = f"{kind}/{name}:{opening.intent.index}"
        _check_form(kind, name, parts, remember)
        held = self._label(ask, opening, parts, features)
        pooled = parts[0].person is None
        if not pooled and (recipe not in APART or self._from_pooled(opening)):
            raise DeniedError(
                "this was made from several people at once, so it is one table of all of them",
                rule="lineage.apart",
                fix="register one table",
            )
        with desk.lock:  # an erasure finds it, or it finds the erasure
            desk.trust.contained.require_free(opening.touched)
            people = self._people(opening, parts)
            held = replace(held, people=len(people), digest=desk.lineage.digest(people))
            rows = sum(part.table.num_rows for part in parts)
            node = Node(
                id=dataset,
                kind=kind,
                label=held,
                parents=opening.datasets,
                created_us=desk.now_us(),
                facts={
                    "intent": opening.intent.index,
                    "purpose": ask.purpose,
                    "recipe": recipe,
                    "rows": rows,
                    "mode": POOLED if pooled else "apart",
                },
            )
            node = inherit_from(node, desk.lineage.above(opening.datasets).values())
            objects: list[SealedObject] = []
            if pooled:
                node = self._pour(node, parts[0].table)
            else:
                objects = self._seal(opening, parts, people)
                desk.catalog.builds.add(dataset, objects, kind=kind)
            blocks = sum(len(one.blocks) for one in objects)
            (receipt,) = desk.log(
                Entry(
                    kind=KIND,
                    actor=actor,
                    object=dataset,
                    detail={
                        "node": node.to_record(),
                        "blocks": blocks,
                        "remember": dict(remember or {}),
                    },
                    charter=desk.trust.digest(),
                    subjects=desk.subjects(people),
                    public={"state": "made", "rows": rows},
                    ref=opening.intent.index,
                    key=made_key(dataset),
                )
            )
            self._turn_live(node)
        return Registered(
            dataset=dataset,
            people=len(people),
            rows=rows,
            entry=receipt.index,
            expires=node.label.expires,
        )

    def recover(self) -> None:
        """Turn live what a crash left between its leaf and its rows.

        Rows of sources that an older version wrote get their code, with the label of the blocks that are there.
        """
        desk = self._desk
        for name, said in desk.lineage.old_sources().items():
            label = desk.catalog.label_of(name) or said
            if desk.trust.digest():
                label = label_source(desk.trust.charter(), label)
            desk.lineage.renew_source(name, label)
        known = desk.lineage.show()
        there = {one["id"] for one in known}
        for index, leaf in desk.ledger.leaves():
            if leaf["k"] != KIND or leaf["pub"]["state"] != "made":
                continue
            detail = _detail(desk, index)
            if detail is None or detail["node"]["id"] in there:
                continue
            node = Node.from_record(detail["node"])
            if self._staged(node, detail["blocks"]):
                self._turn_live(node)

    def _staged(self, node: Node, blocks: int) -> bool:
        """Return whether all is there that the leaf of something names."""
        if node.pooled:
            return self.pool.there(node)
        return blocks > 0 and self._desk.catalog.count_of(node.id) == blocks

    def _turn_live(self, node: Node) -> None:
        with self._desk.engine.begin() as connection:
            self._desk.lineage.insert(connection, node)
            self._desk.catalog.builds.turn_live(connection, node.id)

    def _label(
        self,
        ask: Ask,
        opening: Opening,
        parts: Sequence[Part],
        features: Iterable[Feature] | None,
    ) -> DatasetLabel:
        """Return the label of a table: that of what was opened, and what its columns tell.

        What is derived was judged when it was made, and what it tells beside others when it was opened.

        Raises:
            DeniedError: It tells what the charter masks in what it was made from.
        """
        charter, held = self._desk.trust.charter(), opening.label
        if features is None:
            if ask.kind == TELEMETRY and (told := sorted(held.tells & held.masks)):
                raise DeniedError(
                    f"nobody says what its columns were made from, and what was opened tells"
                    f" {', '.join(told)}, which the charter masks",
                    rule="lineage.tells",
                    fix="declare the sources of each column, or read fewer columns",
                )
            return held
        declared = list(features)
        rules = [charter.rules(item.what) for item in charter.collect]
        admit_features(
            declared,
            forbidden={rule.stream: rule.dlp for rule in rules},
            levels={rule.stream: rule.level for rule in rules},
        )
        for part in parts:
            admit_columns(part.table.schema, declared)
        known = {source.partition(".")[0] for one in declared for source in one.sources}
        if not known <= held.streams:
            raise DeniedError("a column says another source than was opened", rule="lineage.tells")
        said = told_by(declared, charter)
        # of what is derived nobody can say which of its columns told what: all that it told goes on
        return replace(held, tells=said if ask.kind == TELEMETRY else said | held.tells)

    def _from_pooled(self, opening: Opening) -> bool:
        return any(node.pooled for node in self._desk.lineage.above(opening.datasets).values())

    def _people(self, opening: Opening, parts: Sequence[Part]) -> list[str]:
        """Return who is in it: nobody who left while it was made.

        Raises:
            DeniedError: Somebody of one table of several people left, or a part is of somebody who was not opened.
        """
        desk = self._desk
        now = desk.people.everybody()
        stay = {one for one in opening.blocks if now.get(one) == opening.standings[one]} - desk.gone
        if parts[0].person is None:
            if stay != set(opening.blocks):
                raise DeniedError(
                    "somebody whose data is in this table left while it was made",
                    rule="subjects.erased",
                    fix="ask again: it goes on without them",
                )
            return sorted(map(str, stay))
        named = {part.person for part in parts if part.person is not None}
        if not named <= set(opening.blocks):
            raise DeniedError("a table of somebody who was not opened", rule="lineage.people")
        found = sorted(str(one) for one in named & stay)
        if not found:
            raise DeniedError("nobody is left in it", rule="purpose.min_people")
        return found

    def _pour(self, node: Node, table: pa.Table) -> Node:
        label = Label(
            purposes=tuple(sorted(node.label.purposes)),
            jurisdiction="any",
            expires=node.label.expires,
            charter=self._desk.trust.digest(),
        )
        return replace(node, sealed=self.pool.seal(new_id("set"), table, label=label))

    def _seal(
        self, opening: Opening, parts: Sequence[Part], people: Sequence[str]
    ) -> list[SealedObject]:
        desk, stay = self._desk, set(people)
        by_segment: dict[str, list[PlainBlock]] = {}
        for part in parts:
            if part.person is None or str(part.person) not in stay:
                continue
            label = self._inherit(opening.blocks[part.person])
            by_segment.setdefault(segment_name(label.jurisdiction, STREAM), []).append(
                PlainBlock(
                    person=str(part.person),
                    stream=STREAM,
                    window=desk.today(),
                    label=label,
                    table=part.table,
                )
            )
        return [desk.vault.seal(blocks, segment=name) for name, blocks in by_segment.items()]

    def _inherit(self, blocks: Sequence[SealedBlock]) -> Label:
        """Return the label of what is made from one person's blocks: shared purposes, earliest end."""
        charter = self._desk.trust.charter()
        shared = frozenset.intersection(*(frozenset(block.label.purposes) for block in blocks))
        return Label(
            purposes=tuple(sorted(shared)),
            jurisdiction=blocks[0].label.jurisdiction,
            expires=min(
                end_of(charter, block) if block.stream in STREAM_TO_WHAT else block.label.expires
                for block in blocks
            ),
            charter=charter.digest(),
        )


def _detail(desk: Desk, index: int) -> dict[str, Any] | None:
    try:
        detail: dict[str, Any] = desk.ledger.detail(index)["detail"]
    except (ShreddedError, MissingError):
        return None
    return detail


def _check_form(
    kind: str, name: str, parts: Sequence[Part], remember: Mapping[str, Any] | None
) -> None:
    if kind not in KINDS:
        raise InvalidError("not a kind of derived dataset", field="kind", rule="lineage.kind")
    if not _NAME.fullmatch(name):
        raise InvalidError(
            "a name has 1 to 24 small letters, digits and hyphens",
            field="name",
            rule="lineage.name",
        )
    apart = [part for part in parts if part.person is not None]
    if not parts or (apart and len(apart) != len(parts)) or (not apart and len(parts) != 1):
        raise InvalidError(
            "tables of each person, or one table of all of them",
            field="parts",
            rule="lineage.parts",
        )
    if remember and len(canonical.encode(dict(remember))) > LARGEST_MEMORY:
        raise InvalidError("too much to remember", field="remember", rule="lineage.remember")
