"""Making again what an erasure ended: tables of several people, without the one who left.

The leaf that begins an erasure names what is *pending*. What is due is a fold over those leaves and over the later
ones, of state ``amended``, that tell what became of it; the control database is not asked. The keeper works it off by
itself. What fails stays due and is tried again, and an erasure with something due is not complete.

A recipe that can run again registers how: a function from what is to be made to the id of what was made. What it
names must be there, newer than the end of the erasure, and of the same name.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from safehold.errors import MissingError, SafeholdError, ShreddedError, TamperedError
from safehold.keeper.contained import things
from safehold.keeper.effects import PENDING, REBUILT, SHREDDED
from safehold.keeper.inheritance import made_key
from safehold.keeper.pooled import Pool, sealed_of
from safehold.ledger import Entry

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

_LOG = logging.getLogger(__name__)
AMENDED = "amended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuild:
    """What is to be made again.

    Args:
        dataset: Id of what ended.
        kind: ``table`` or ``vectors``.
        name: Its name.
        recipe: What had made it.
        purpose: For what.
        parents: What it had been made from; of features there may be a later build.
        remember: What its recipe wanted to know.
    """

    dataset: str
    kind: str
    name: str
    recipe: str
    purpose: str
    parents: tuple[str, ...]
    remember: Mapping[str, Any]


class Rebuilding:
    """Knows what is due, ends what an erasure names, and makes it again.

    Args:
        desk: What the keeper works with.
        pool: Knows tables of several people.
    """

    def __init__(self, desk: Desk, pool: Pool) -> None:
        self._desk = desk
        self._pool = pool
        self.recipes: dict[str, Callable[[Rebuild], str]] = {}  # by the name of the recipe
        self._done: dict[int, int] = {}  # of erasures that are through: the leaf that says so
        self._amended: dict[int, list[int]] = {}

    def can(self, recipe: str) -> bool:
        """Return whether a recipe can run again."""
        return recipe in self.recipes

    def end(self, begun: int) -> None:
        """Destroy the keys of the tables that an erasure names; doing it twice changes nothing."""
        known, _ = self._desk.lineage.look()
        named = [one["id"] for one in self._desk.ledger.detail(begun)["detail"].get("effects", [])]
        self._pool.end(known[name] for name in named if name in known)

    def due(self) -> dict[str, list[int]]:
        """Return what is to be made again, with the leaves of the erasures that wait for it."""
        waiting = self._waiting()
        return {
            name: begun
            for name, begun in waiting.items()
            if all(one in self._done for one in begun)
        }

    def amendments(self, begun: int) -> list[int]:
        """Return the leaves that tell what became of something that an erasure had left pending."""
        self._waiting()
        return self._amended.get(begun, [])

    def work(self) -> dict[str, str]:
        """Make again what is due, and return by what each of it was replaced; what fails stays due."""
        made: dict[str, str] = {}
        for name, begun in self.due().items():
            try:
                status = self._again(name, max(self._done[one] for one in begun))
            except SafeholdError as error:
                _LOG.warning("something is made again later: %s", error.rule)
                continue
            for one in begun:
                self._amend(one, {"id": name, **status})
            made[name] = status.get("by", "")
        return made

    def _again(self, name: str, done: int) -> dict[str, str]:
        """Make one thing again, and return what became of it.

        Raises:
            DeniedError: It, or what it was made from, is contained: under a new id it would open again.
            TamperedError: What its recipe says it made is not there, is older, or has another name.
        """
        desk = self._desk
        receipt = desk.ledger.find(made_key(name))
        if receipt is None:
            raise MissingError("nobody can say how it was made", rule="lineage.label")
        detail = desk.ledger.detail(receipt.index)["detail"]
        facts, label = detail["node"]["facts"], detail["node"]["label"]
        if label["expires"] <= desk.today() or not self.can(facts["recipe"]):
            return {"status": SHREDDED}  # its time is over too, or nothing makes it any more
        desk.trust.contained.require_free(things(datasets=[name, *detail["node"]["parents"]]))
        kind, _, rest = name.partition("/")
        again = Rebuild(
            dataset=name,
            kind=kind,
            name=rest.rpartition(":")[0],
            recipe=facts["recipe"],
            purpose=facts["purpose"],
            parents=tuple(detail["node"]["parents"]),
            remember=detail["remember"],
        )
        made = self.recipes[again.recipe](again)
        leaf = desk.ledger.find(made_key(made))
        node = desk.lineage.node(made)
        if (
            leaf is None
            or leaf.index <= done
            or made.rpartition(":")[0] != name.rpartition(":")[0]
            or (node.pooled and not desk.vault.artifacts.keeps(sealed_of(node)))
        ):
            raise TamperedError("what was made again is not there", rule="lineage.rebuild")
        return {"status": REBUILT, "by": made}

    def _amend(self, begun: int, effect: Mapping[str, str]) -> None:
        desk = self._desk
        desk.log(
            Entry(
                kind="erasure",
                actor="keeper",
                object=desk.ledger.detail(begun)["object"],
                detail={"effects": [dict(effect)], "at_us": desk.now_us()},
                charter=desk.trust.digest(),
                public={"state": AMENDED},
                ref=begun,
                key=f"erasure/{begun}/amended/{effect['id']}",
            )
        )

    def _waiting(self) -> dict[str, list[int]]:
        """Fold the leaves of erasures."""
        ledger = self._desk.ledger
        self._done, self._amended = {}, {}
        waiting: dict[tuple[int, str], None] = {}
        for index, leaf in ledger.leaves():
            if leaf["k"] != "erasure":
                continue
            state = leaf["pub"]["state"]
            if state == "done":
                self._done[leaf["ref"]] = index
                continue
            try:
                effects = ledger.detail(index)["detail"].get("effects", [])
            except (ShreddedError, MissingError):  # then nobody can make it again either
                continue
            if state == "begun":
                waiting |= {(index, one["id"]): None for one in _pending(effects)}
            elif state == AMENDED:
                self._amended.setdefault(leaf["ref"], []).append(index)
                for one in effects:
                    waiting.pop((leaf["ref"], one["id"]), None)
        found: dict[str, list[int]] = {}
        for begun, name in waiting:
            found.setdefault(name, []).append(begun)
        return found


def amend(
    effects: Iterable[Mapping[str, Any]], later: Iterable[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return effects with what later leaves tell of those that were pending."""
    told = {one["id"]: one for one in later}
    return [
        {**one, **told[one["id"]]} if one["status"] == PENDING and one["id"] in told else dict(one)
        for one in effects
    ]


def _pending(effects: Iterable[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    return (one for one in effects if one["status"] == PENDING)
