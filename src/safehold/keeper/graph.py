"""What exists and what it was made from, as somebody may see it: no names, and no small numbers of people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from safehold.catalog.lineage import SOURCE, Node
from safehold.charter.types import least_people
from safehold.errors import MissingError
from safehold.keeper.models import Models
from safehold.keeper.pooled import Pool
from safehold.keeper.server import Report

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

LIVE, EXPIRED, ENDED, REPLACED, BROKEN = "live", "expired", "ended", "replaced", "broken"
ROUND = 10  # of real people a count is told in tens, so that two of them do not tell who left


class Graph:
    """The verbs.

    Args:
        desk: What the keeper works with.
        models: Knows which models still open.
        pool: Knows which tables of several people still open.
    """

    def __init__(self, desk: Desk, models: Models, pool: Pool) -> None:
        self._desk = desk
        self._models = models
        self._pool = pool

    def listing(
        self, _arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """List every dataset with its label and parents."""
        return {"datasets": self._desk.lineage.show()}

    def lineage(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Show a dataset, what it was made from, and what was made from it; without a name all there is.

        Raises:
            MissingError: There is no such dataset, or the beginning of its name fits several.
        """
        nodes, broken = self._desk.lineage.look()
        shown = {
            **{name: self._shown(node) for name, node in nodes.items()},
            **{
                name: {"id": name, "kind": kind, "parents": [], "status": BROKEN}
                for name, kind in broken.items()
            },
        }
        start = arguments.get("dataset")
        if start is None:
            return {"lineage": list(shown.values()), "below": []}
        names = [name for name in shown if name.startswith(str(start))]
        if str(start) in shown:
            names = [str(start)]
        if not start or len(names) != 1:
            raise MissingError("no such dataset, or more than one", rule="catalog.dataset")
        above = _above(shown, names[0])
        return {
            "lineage": [shown[name] for name in above],
            "below": [shown[name] for name in _below(shown, names[0]) if name not in above],
        }

    def _shown(self, node: Node) -> dict[str, Any]:
        label = node.label.to_record()
        del label["digest"]
        return {
            "id": node.id,
            "kind": node.kind,
            "label": {**label, **count_people(self._desk, node.label.people)},
            "parents": list(node.parents),
            "created_us": node.created_us,
            "mode": str(node.facts.get("mode", "")),
            "purpose": str(node.facts.get("purpose", "")),
            "run": int(node.facts.get("intent", -1)),
            "release": None if node.release is None else dict(node.release),
            "status": self.status(node),
        }

    def counted(self, people: int) -> dict[str, Any]:
        """Return a number of people as it may be told: of made-up people exactly, of real ones in tens, or not."""
        return count_people(self._desk, people)

    def status(self, node: Node) -> str:
        """Return whether something still opens, or why it does not."""
        today = self._desk.today()
        if node.kind == "model":
            return LIVE if self._models.lives(node.id) else EXPIRED
        if node.kind == "aggregate":
            return LIVE  # it is out, and nothing takes it back
        if self._pool.there(node) if node.pooled else self._lives(node):
            return LIVE
        if node.label.expires <= today:
            return EXPIRED
        return ENDED if node.pooled or node.kind == SOURCE else REPLACED

    def _lives(self, node: Node) -> bool:
        return self._desk.catalog.lives(node.id, after_day=self._desk.today())


def count_people(desk: Desk, people: int) -> dict[str, Any]:
    """Return a number of people as it may be told: of made-up people exactly, of real ones in tens, or not."""
    if desk.home.synthetic:
        return {"people": people}
    least = least_people(desk.trust.charter()) if desk.trust.digest() else people + 1
    if people < least:
        return {"people": None, "fewer_than": least}
    return {"people": max(people // ROUND * ROUND, least)}


def _above(shown: Mapping[str, Mapping[str, Any]], start: str) -> list[str]:
    """Return a dataset and what it was made from, nearest first."""
    found: dict[str, None] = {}
    waiting: list[str] = [start]
    while waiting:
        name = waiting.pop(0)
        if name in shown and name not in found:
            found[name] = None
            waiting += shown[name]["parents"]
    return list(found)


def _below(shown: Mapping[str, Mapping[str, Any]], start: str) -> Iterable[str]:
    """Return what was made from a dataset, however often in between, oldest first."""
    found = {start}
    for name, node in shown.items():
        if not found.isdisjoint(node["parents"]):
            found.add(name)
    return [name for name in shown if name in found and name != start]
