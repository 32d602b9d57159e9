"""What was made from one person, and what becomes of it when they are erased.

Whether somebody was in a build, a table or a model is asked of the set of people that its leaf committed to, with the
person's own ledger key, while there is one. So a receipt names what they were in, neither more nor less, and nobody
can make such a list later. What there is at all is asked of the ledger, not of the lineage alone: of what the ledger
tells and the lineage lacks, or has changed, nobody can say what it was made from, and the receipt says so.

| status | meaning |
|---|---|
| shredded | it was sealed under their keys, or its own key is gone: it opens nowhere |
| rebuilt | it was shredded, and a later one of the same purpose was made without them |
| pending | it is shredded, and one without them is due; a later leaf tells when it is there |
| bounded | it stays; what it can tell of any one person is bounded by epsilon and delta |
| unsupported | it stays, and nothing bounds what it tells of them, or nobody can say |

An erasure is complete when nothing of it is unsupported or pending. Nothing says so before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from safehold.catalog.lineage import Node
from safehold.errors import MissingError, ShreddedError
from safehold.ids import PersonId
from safehold.keeper.gates import Gates
from safehold.keeper.inheritance import made_key
from safehold.keeper.models import Models
from safehold.keeper.pooled import Pool
from safehold.ledger.subjects import epoch_key, item_of

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

SHREDDED, REBUILT, PENDING, BOUNDED, UNSUPPORTED = (
    "shredded",
    "rebuilt",
    "pending",
    "bounded",
    "unsupported",
)
SOURCE, FEATURE, MODEL, FIGURES, AGGREGATE, LOST = (
    "source",
    "feature",
    "model",
    "figures",
    "aggregate",
    "lost",
)
BUILDS = (FEATURE, "embedding")  # each person's table lies under their own keys
SETS = ("table", "vectors")
OWN_COPY = "right-of-access"  # the purpose of a copy that a person was given


def conclude(effects: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return how much has no bound and how much is still due; only if neither is there it is called complete."""
    found = list(effects)
    outstanding = {
        status: sum(one["status"] == status for one in found) for status in (UNSUPPORTED, PENDING)
    }
    done = all(one["status"] in {SHREDDED, REBUILT, BOUNDED} for one in found)
    return {"outstanding": outstanding, **({"complete": True} if done else {})}


class Effects:
    """Finds what one person is in.

    Args:
        desk: What the keeper works with.
        models: The artifacts.
        gates: The figures that attacks on datasets have published.
        pool: Knows tables of several people.
        again: Tells whether a recipe can be run again without somebody.
    """

    def __init__(
        self,
        desk: Desk,
        models: Models,
        gates: Gates,
        *,
        pool: Pool,
        again: Callable[[str], bool],
    ) -> None:
        self._desk = desk
        self._gates = gates
        self._models = models
        self._pool = pool
        self._again = again
        # what the ledger says was made, by id the leaf that commits to its people; and how far it was read
        self._made: dict[str, int] = {}
        self._answered: dict[int, tuple[str, int]] = {}  # by intent its recipe, and bytes that left
        self._read = 0

    def of(self, person: PersonId) -> list[dict[str, Any]]:
        """Return everything that was made from a person, with what becomes of it; oldest first.

        Raises:
            MissingError: They have no ledger key any more.
        """
        desk = self._desk
        (subject,) = desk.subjects([person])
        known, broken = desk.lineage.look()
        mine = self._sources(person)
        found: list[dict[str, Any]] = []
        within = {
            name: self._within(subject.key, self.entry_of(node))
            for name, node in known.items()
            if node.kind != SOURCE
        }
        for name, node in known.items():
            if node.kind == SOURCE:
                if name in mine:
                    found.append({"kind": SOURCE, "id": name, "status": SHREDDED})
            elif within[name] and node.kind != MODEL:
                found.append(self._become(node, known, within))
        # what is still being taken in or built is in no lineage yet
        for name in sorted(mine - known.keys() - broken.keys()):
            kind = next((one for one in BUILDS if f"/{one}:" in name), FEATURE)
            kind = kind if ":" in name else SOURCE
            found.append({"kind": kind, "id": name, "status": SHREDDED})
        trained = list(self._trained(subject.key))
        models = [self._told(item, known) for item in trained if item["in"]]
        _rebuild(models, trained)
        found += models
        found += self._published(subject.key, known, {item["intent"] for item in trained})
        told = {one["id"] for one in found} | known.keys() | {item["id"] for item in trained}
        found += self._lost(subject.key, told, broken)
        return [*found, *self._figures(subject.key)]

    def _sources(self, person: PersonId) -> set[str]:
        blocks = self._desk.catalog.blocks_of(person)
        return set(self._desk.catalog.sources_of([block.block_id for block in blocks]))

    def entry_of(self, node: Node) -> int:
        """Return the leaf that commits to who is in something: its own if it has one, or that of its run."""
        own = self._desk.ledger.find(made_key(node.id))
        if own is not None:
            return own.index
        if node.kind in BUILDS:
            return int(node.id.rpartition(":")[2])
        return int(node.facts.get("intent", -1))

    def _become(
        self, node: Node, known: Mapping[str, Node], within: Mapping[str, bool]
    ) -> dict[str, Any]:
        """Return what becomes of something that a person is in."""
        told: dict[str, Any] = {"kind": node.kind, "id": node.id}
        if purpose := node.facts.get("purpose"):
            told["purpose"] = purpose
        if node.kind == AGGREGATE:
            return told | _bound(node.release, self._facts(self.entry_of(node)))
        if node.kind not in (*BUILDS, *SETS):
            return told | {"status": UNSUPPORTED}
        names = list(known)
        series = node.id.rpartition(":")[0]
        later = [
            name
            for name in names[names.index(node.id) + 1 :]
            if name.rpartition(":")[0] == series and not within[name]
        ]
        if later:
            return told | {"status": REBUILT, "by": later[-1]}
        if node.pooled and self._pool.there(node) and self._again(str(node.facts["recipe"])):
            return told | {"status": PENDING}
        return told | {"status": SHREDDED}

    def _trained(self, key: bytes) -> Iterator[dict[str, Any]]:
        for name, purpose, intent in self._models.made():
            facts = self._facts(intent)
            yield {
                "id": name,
                "purpose": purpose,
                "intent": intent,
                "in": self._within(key, intent),
                "lives": self._models.lives(name),
                "epsilon_micro": int(facts.get("epsilon_micro", 0)),
                "delta_e12": int(facts.get("delta_e12", 0)),
                "unit": facts.get("unit", ""),
            }

    def _told(self, item: Mapping[str, Any], known: Mapping[str, Node]) -> dict[str, Any]:
        """Return what becomes of a model that a person is in."""
        said = {"kind": MODEL, "id": item["id"], "purpose": item["purpose"]}
        if not item["lives"]:
            return {**said, "status": SHREDDED}
        if item["id"] not in known:  # nobody can say what it was made from
            return {**said, "status": UNSUPPORTED}
        return said | _bound(None, item)

    def _published(
        self, key: bytes, known: Mapping[str, Node], trained: set[int]
    ) -> Iterator[dict[str, Any]]:
        """Yield what left of runs that made nothing that is kept: answers to queries and scripts, and counts.

        What was charged to the budget is bounded by what it was charged; what was not is bounded by nothing.
        """
        self._fold()
        kept = trained | set(self._made.values()) | {self.entry_of(one) for one in known.values()}
        kept |= {intent for intents in self._gates.attacked().values() for intent in intents}
        for intent, (recipe, sent) in sorted(self._answered.items()):
            facts = self._facts(intent)
            charged = int(facts.get("epsilon_micro", 0)) > 0
            if intent in kept or facts.get("purpose") == OWN_COPY or not (charged or sent):
                continue
            if self._within(key, intent):
                told = {"kind": AGGREGATE, "id": f"{recipe}:{intent}"}
                yield {**told, "purpose": str(facts.get("purpose", "")), **_bound(None, facts)}

    def _lost(
        self, key: bytes, told: Iterable[str], broken: Mapping[str, str]
    ) -> Iterator[dict[str, Any]]:
        """Yield what the ledger tells of and the lineage lacks, and what was changed in the lineage."""
        self._fold()
        told = set(told)
        for name, leaf in self._made.items():
            if name not in told and self._within(key, leaf):
                yield {"kind": LOST, "id": name, "status": UNSUPPORTED}
                told.add(name)
        for name in sorted(broken.keys() - told - self._made.keys()):
            yield {"kind": LOST, "id": name, "status": UNSUPPORTED}

    def _fold(self) -> None:
        """Read what was made since the last time out of the leaves of results and of derived datasets."""
        ledger = self._desk.ledger
        size = ledger.size
        for index, leaf in ledger.leaves(self._read, size):
            if leaf["k"] not in {"derived", "access.result", "join"}:
                continue
            if leaf["pub"].get("outcome", "ok") != "ok":
                continue
            try:
                said = ledger.detail(index)
            except (ShreddedError, MissingError):
                continue
            if leaf["k"] == "derived":
                self._made[said["object"]] = index
                continue
            if (
                leaf["k"] == "join"
            ):  # from here another house may know the figure, however the run ends
                self._answered.setdefault(int(leaf["ref"]), (said["object"], 0))
                continue
            self._answered[int(leaf["ref"])] = (said["object"], int(leaf["pub"].get("bytes", 0)))
            for name in ("dataset", "artifact"):
                if name in said["detail"]:
                    self._made.setdefault(str(said["detail"][name]), int(leaf["ref"]))
        self._read = size

    def _figures(self, key: bytes) -> Iterator[dict[str, Any]]:
        """Yield the datasets about which figures were published that count the person among others."""
        for dataset, intents in sorted(self._gates.attacked().items()):
            if any(self._within(key, intent) for intent in intents):
                yield {"kind": FIGURES, "id": dataset, "status": UNSUPPORTED}

    def _within(self, key: bytes, leaf: int) -> bool:
        """Return whether the set of people of a leaf holds the person; if nobody can tell any more, yes."""
        ledger = self._desk.ledger
        if leaf < 0:
            return True
        try:
            people = ledger.opening(leaf).people
        except (ShreddedError, MissingError):
            return True
        return item_of(epoch_key(key, ledger.epochs.of(leaf)), people.nonce) in people.items

    def _facts(self, intent: int) -> Mapping[str, Any]:
        for _, leaf in self._desk.ledger.leaves(intent, intent + 1):
            facts: Mapping[str, Any] = leaf.get("pub", {})
            return facts
        return {}


def _bound(release: Mapping[str, Any] | None, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what bounds something: what it was charged by the ledger, and no less than its release states."""
    stated = release or {}
    epsilon = max(int(facts.get("epsilon_micro", 0)), int(stated.get("epsilon_micro", 0)))
    delta = max(int(facts.get("delta_e12", 0)), int(stated.get("delta_e12", 0)))
    charged = int(facts.get("epsilon_micro", 0)) > 0 and facts.get("unit") == "person"
    if not charged:
        return {"status": UNSUPPORTED}
    return {"status": BOUNDED, "epsilon_micro": epsilon, "delta_e12": delta}


def _rebuild(found: list[dict[str, Any]], trained: list[dict[str, Any]]) -> None:
    """Say of models that are gone which later one was trained without the person."""
    for item in found:
        if item["status"] == SHREDDED:
            at = next(place for place, one in enumerate(trained) if one["id"] == item["id"])
            later = [
                one["id"]
                for one in trained[at + 1 :]
                if one["purpose"] == item["purpose"] and not one["in"]
            ]
            if later:
                item |= {"status": REBUILT, "by": later[-1]}
