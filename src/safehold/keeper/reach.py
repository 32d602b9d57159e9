"""What a containment would reach, looked up without any effect: names of things, and people as a number."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from safehold.access import Grant, operator_of
from safehold.catalog.lineage import SOURCE, Node
from safehold.catalog.register import TELEMETRY
from safehold.errors import MissingError, ShreddedError
from safehold.keeper import contained
from safehold.keeper.grants import Grants
from safehold.keeper.graph import count_people
from safehold.keeper.targets import DERIVED, Target
from safehold.keeper.terms import streams_of
from safehold.telemetry.stream import segment_name
from safehold.vault import SealedBlock

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

MODEL, AGGREGATE = "model", "aggregate"
ABOUT_MODELS: Final = frozenset(
    {"pull", "membership"}
)  # recipes of grants that are about artifacts


class Reach:
    """Looks it up.

    Args:
        desk: What the keeper works with.
        grants: What is known of grants.
    """

    def __init__(self, desk: Desk, grants: Grants) -> None:
        self._desk = desk
        self._grants = grants

    def of(self, target: Target) -> dict[str, Any]:
        """Return what would be reached."""
        desk = self._desk
        thing = (target.what, target.key)
        grants = self._reached(target)
        living = {
            entry: grant
            for entry, grant in grants.items()
            if not (desk.trust.revoked(entry) or desk.trust.closed(entry))
        }
        nodes, _ = desk.lineage.look()
        made = [node for node in nodes.values() if self._made(target, node, nodes, grants)]
        running = [
            int(key)
            for run in list(desk.runs)
            if thing in run.touched
            for what, key in run.touched
            if what == contained.RUN
        ]
        return {
            "running": sorted(set(running)),
            "grants": sorted(grant.id for grant in living.values()),
            "principals": sorted({grant.requester.id for grant in living.values()}),
            "segments": sorted(self._segments(target, living.values(), made)),
            **count_people(desk, self._people(target, living.values(), nodes.get(target.key))),
            "sources": sum(node.kind == SOURCE for node in made),
            "datasets": [node.id for node in made if self._is_there(node)],
            "models": [node.id for node in made if node.kind == MODEL],
        }

    def _is_there(self, node: Node) -> bool:
        """Return whether something is a dataset that could be opened; one that was replaced could not."""
        if node.kind in (SOURCE, MODEL, AGGREGATE):
            return False
        return node.pooled or self._desk.catalog.lives(node.id, after_day=self._desk.today())

    def _reached(self, target: Target) -> dict[int, Grant]:
        """Return the grants that could no longer be used as they can now, also those that have ended."""
        trust = self._desk.trust
        found = {}
        for entry in trust.grants():
            try:
                grant = self._grants.records.stated(entry)
            except (ShreddedError, MissingError):  # long ago
                continue
            if grant is not None and self._holds(target, entry, grant):
                found[entry] = grant
        return found

    def _holds(self, target: Target, entry: int, grant: Grant) -> bool:
        """Return whether a grant is what is contained, stands below it, or is about it."""
        key, trust = target.key, self._desk.trust
        match target.what:
            case contained.GRANT:
                about = key in map(str, (entry, *trust.above(entry)))
            case contained.CAPABILITY:
                about = entry == target.grant
            case contained.PRINCIPAL:
                about = key in (grant.requester.id, operator_of(grant.requester))
            case contained.SEGMENT:
                about = key in grant.segments
            case contained.PURPOSE:
                about = key == grant.purpose
            case contained.RUN:
                about = int(key) in trust.record(entry).intents
            case contained.ARTIFACT:
                models = not ABOUT_MODELS.isdisjoint(grant.recipes)
                about = models and grant.purpose == self._purpose(key)
            case contained.DATASET:
                about = grant.purpose == self._purpose(key)
            case _:
                about = False
        return about

    def _purpose(self, name: str) -> str:
        try:
            return str(self._desk.lineage.node(name).facts.get("purpose", ""))
        except MissingError:
            return ""

    def _made(
        self, target: Target, node: Node, nodes: dict[str, Node], grants: dict[int, Grant]
    ) -> bool:
        """Return whether something is what is contained, or was made from it, or under it."""
        match target.what:
            case contained.SEGMENT:
                reached = target.key in _segments(node)
            case contained.PURPOSE:
                reached = node.facts.get("purpose") == target.key
            case contained.ARTIFACT:
                reached = node.id == target.key
            case contained.DATASET:
                reached = target.key in _lines(node, nodes)
            case contained.RUN:
                reached = str(node.facts.get("intent", "")) == target.key
            case contained.COLLECTION:
                reached = False
            case _:
                trust = self._desk.trust
                intents = {one for entry in grants for one in trust.record(entry).intents}
                reached = node.facts.get("intent") in intents
        return reached

    def _segments(
        self, target: Target, grants: Iterable[Grant], made: Iterable[Node]
    ) -> frozenset[str]:
        if target.what in (contained.SEGMENT, contained.COLLECTION):
            return frozenset(
                name
                for name in self._known()
                if target.key in (contained.ALL, name, name.rpartition(".")[2])
            )
        found = {name for grant in grants for name in grant.segments}
        if target.what == contained.PURPOSE:
            found |= {name for node in made for name in _segments(node)}
        if target.what in (contained.DATASET, contained.ARTIFACT):
            found = {name for node in made if node.id == target.key for name in _segments(node)}
        return frozenset(found)

    def _known(self) -> frozenset[str]:
        charter = self._desk.trust.charter()
        return frozenset(
            segment_name(place, stream)
            for place in charter.jurisdictions
            for stream in (*streams_of(charter), *DERIVED)
        )

    def _people(self, target: Target, grants: Iterable[Grant], node: Node | None) -> int:
        """Return how many people's data is reached; who they are is told to nobody."""
        desk, key = self._desk, target.key
        match target.what:
            case contained.DATASET | contained.ARTIFACT:
                return 0 if node is None else node.label.people
            case contained.SEGMENT:
                return len({block.person for block in self._blocks() if block.segment == key})
            case contained.PURPOSE:
                return len(
                    {block.person for block in self._blocks() if key in block.label.purposes}
                )
            case contained.COLLECTION:
                return sum(
                    any(
                        key in (contained.ALL, stream, segment_name(one.jurisdiction, stream))
                        for stream in one.streams
                    )
                    for one in desk.people.everybody().values()
                )
            case _:
                covered = {(name, grant.purpose) for grant in grants for name in grant.segments}
                return len(
                    {
                        block.person
                        for block in self._blocks()
                        if any((block.segment, one) in covered for one in block.label.purposes)
                    }
                )

    def _blocks(self) -> list[SealedBlock]:
        desk = self._desk
        streams = (*streams_of(desk.trust.charter()), *DERIVED)
        return [
            block
            for kind in (TELEMETRY, "derived")
            for block in desk.catalog.blocks(kind=kind, streams=streams, after_day=desk.today())
        ]


def _segments(node: Node) -> set[str]:
    return {
        segment_name(place, stream)
        for place in node.label.jurisdictions
        for stream in node.label.streams
    }


def _lines(node: Node, nodes: dict[str, Node]) -> set[str]:
    """Return a dataset and everything that it was made from."""
    found: set[str] = set()
    waiting = [node.id]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += nodes[name].parents if name in nodes else ()
    return found
