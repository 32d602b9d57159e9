"""What became of one person's data: from streams to features, to trainings, to models and figures.

Holds: a thing is on it if the entry that commits to its people is about the person; so it is theirs, and nothing else
is on it. What was made of the same things without them is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from safehold.catalog.lineage import SOURCE, Node
from safehold.ids import PersonId
from safehold.keeper.disclosure import Disclosures
from safehold.keeper.effects import Effects
from safehold.keeper.graph import Graph
from safehold.keeper.own import Columns, Own
from safehold.keeper.server import Report
from safehold.keeper.voice import require_person

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

MOST: Final = 400  # things that are told; newest first


class Journey:
    """The verb, and what was made by which use.

    Args:
        desk: What the keeper works with.
        own: Finds the entries of a person.
        graph: Knows how a dataset stands.
        effects: Knows by which entry something commits to its people.
        disclosures: What somebody is told otherwise than by the rule.
    """

    def __init__(
        self, desk: Desk, own: Own, graph: Graph, effects: Effects, disclosures: Disclosures
    ) -> None:
        self._desk = desk
        self._own = own
        self._graph = graph
        self._effects = effects
        self._disclosures = disclosures
        self._entries: dict[str, tuple[int, int]] = {}  # by dataset: what commits, and its use

    def made_of(self, person: PersonId, every: Columns) -> dict[int, list[str]]:
        """Return by the entry of a use of somebody's what it made of them.

        Args:
            person: Who.
            every: The entries about them.
        """
        found: dict[int, list[str]] = {}
        for node, use in self._mine(person, every):
            found.setdefault(use, []).append(node.id)
        return found

    def show(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return what was made of a person's data: each thing, from what, by which use, and whether it still opens."""
        person = require_person(self._desk, arguments, "people.journey", keyless=False)
        every = self._own.of(person)
        mine = list(self._mine(person, every))
        shown = mine[-MOST:]
        names = {node.id for node, _ in shown}
        made = [
            {
                "id": node.id,
                "kind": node.kind,
                "purpose": str(node.facts.get("purpose", "")),
                "created_us": node.created_us,
                "use": use,
                "from": sorted(names.intersection(node.parents)),
                "streams": sorted(node.label.streams),
                "status": self._graph.status(node),
                "epsilon_micro": _epsilon(node),
                "ends_day": node.label.expires,
            }
            for node, use in shown
        ]
        return {"made": made, "all": len(mine)}

    def _mine(self, person: PersonId, every: Columns) -> Iterable[tuple[Node, int]]:
        """Yield what was made of somebody, with its use; what the board has them told later is not among it yet."""
        told = self._disclosures.told(person)
        withheld = {entry for entry, fields in told.items() if not fields}
        for node, entry, use in self._derived():
            if use not in withheld and _within(every, entry):
                yield node, use

    def _derived(self) -> Iterable[tuple[Node, int, int]]:
        """Yield what was made, oldest first, with the entry that commits to its people and the use that made it."""
        nodes, _ = self._desk.lineage.look()
        for node in nodes.values():
            if node.kind == SOURCE:
                continue
            known = self._entries.get(node.id)
            if known is None:
                entry = self._effects.entry_of(node)
                use = int(node.facts.get("intent", -1))
                known = self._entries[node.id] = (entry, use if use >= 0 else entry)
            yield node, *known


def _within(every: Columns, entry: int) -> bool:
    at = int(np.searchsorted(every.index, entry))
    return at < len(every) and int(every.index[at]) == entry


def _epsilon(node: Node) -> int | None:
    """Return what bounds a release, millionths; nothing if it states none."""
    stated: Mapping[str, Any] = node.release or {}
    return int(stated["epsilon_micro"]) if "epsilon_micro" in stated else None


__all__: Sequence[str] = ("Journey",)
