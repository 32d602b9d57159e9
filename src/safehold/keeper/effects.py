"""What was made from one person, and what becomes of it when they are erased.

Whether somebody was in a build or a model is asked of the set of people that its intent committed to, with the
person's own ledger key, while there is one. So a receipt names what they were in, neither more nor less, and nobody
can make such a list later.

| status | meaning |
|---|---|
| shredded | it was sealed under their keys, or its own key is gone: it opens nowhere |
| rebuilt | it was shredded, and a later one of the same purpose was made without them |
| bounded | it stays; what it can tell of any one person is bounded by epsilon and delta |
| unsupported | it stays, and nothing bounds what it tells of them |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from safehold.errors import MissingError, ShreddedError
from safehold.ids import PersonId
from safehold.keeper.desk import Desk
from safehold.keeper.gates import Gates, is_embedding
from safehold.keeper.models import Models
from safehold.ledger.subjects import epoch_key, item_of

SHREDDED, REBUILT, BOUNDED, UNSUPPORTED = "shredded", "rebuilt", "bounded", "unsupported"
SOURCE, FEATURE, MODEL, FIGURES = "source", "feature", "model", "figures"
EMBEDDING = "embedding"
BUILDS = (FEATURE, EMBEDDING)  # of tables that are sealed under each person's own keys


class Effects:
    """Finds what one person is in.

    Args:
        desk: What the keeper works with.
        models: The artifacts.
        gates: The figures that attacks on datasets have published.
    """

    def __init__(self, desk: Desk, models: Models, gates: Gates) -> None:
        self._desk = desk
        self._gates = gates
        self._models = models

    def of(self, person: PersonId) -> list[dict[str, Any]]:
        """Return everything that lineage knows to hold something of a person, with what becomes of it; oldest first.

        Raises:
            MissingError: They have no ledger key any more.
        """
        desk = self._desk
        (subject,) = desk.subjects([person])
        known = desk.lineage.show()
        mine = self._sources(person)
        found: list[dict[str, Any]] = []
        built: dict[
            str, list[tuple[str, bool]]
        ] = {}  # purpose -> builds, and whether they are in it
        for one in known:
            if one["kind"] in BUILDS:
                purpose, _, intent = one["id"].rpartition(":")
                within = self._within(subject.key, int(intent))
                built.setdefault(purpose, []).append((one["id"], within))
        for one in known:
            if one["kind"] in BUILDS:
                found += self._build(str(one["kind"]), one["id"], built)
            elif one["id"] in mine:
                found.append({"kind": SOURCE, "id": one["id"], "status": SHREDDED})
        # what is still being taken in or built is in no lineage yet
        for name in sorted(mine - {one["id"] for one in known}):
            kind = (EMBEDDING if is_embedding(name) else FEATURE) if ":" in name else SOURCE
            found.append({"kind": kind, "id": name, "status": SHREDDED})
        trained = list(self._trained(subject.key))
        models = [_told(item) for item in trained if item["in"]]
        _rebuild(models, trained)
        found += models
        return [*found, *self._figures(subject.key)]

    def _sources(self, person: PersonId) -> set[str]:
        blocks = self._desk.catalog.blocks_of(person)
        return set(self._desk.catalog.sources_of([block.block_id for block in blocks]))

    def _build(
        self, kind: str, name: str, built: Mapping[str, list[tuple[str, bool]]]
    ) -> Iterator[dict[str, Any]]:
        """Yield a build that the person is in: each person's table in it is sealed under a key of theirs."""
        purpose = name.rpartition(":")[0]
        builds = built[purpose]
        names = [one for one, _ in builds]
        if not builds[names.index(name)][1]:
            return
        later = [one for one, within in builds[names.index(name) + 1 :] if not within]
        yield {
            "kind": kind,
            "id": name,
            "purpose": purpose.removesuffix(f"/{EMBEDDING}"),
            "status": REBUILT if later else SHREDDED,
            **({"by": later[-1]} if later else {}),
        }

    def _trained(self, key: bytes) -> Iterator[dict[str, Any]]:
        for name, purpose, intent in self._models.made():
            facts = self._facts(intent)
            yield {
                "id": name,
                "purpose": purpose,
                "in": self._within(key, intent),
                "lives": self._models.lives(name),
                "epsilon_micro": int(facts.get("epsilon_micro", 0)),
                "delta_e12": int(facts.get("delta_e12", 0)),
                "unit": facts.get("unit", ""),
            }

    def _figures(self, key: bytes) -> Iterator[dict[str, Any]]:
        """Yield the datasets about which figures were published that count the person among others."""
        for dataset, intents in sorted(self._gates.attacked().items()):
            if any(self._within(key, intent) for intent in intents):
                yield {"kind": FIGURES, "id": dataset, "status": UNSUPPORTED}

    def _within(self, key: bytes, intent: int) -> bool:
        """Return whether the set of people of an intent holds the person; if nobody can tell any more, yes."""
        ledger = self._desk.ledger
        if intent < 0:
            return True
        try:
            people = ledger.opening(intent).people
        except (ShreddedError, MissingError):
            return True
        return item_of(epoch_key(key, ledger.epochs.of(intent)), people.nonce) in people.items

    def _facts(self, intent: int) -> Mapping[str, Any]:
        for _, leaf in self._desk.ledger.leaves(intent, intent + 1):
            facts: Mapping[str, Any] = leaf.get("pub", {})
            return facts
        return {}


def _told(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return what becomes of a model that a person is in."""
    said = {"kind": MODEL, "id": item["id"], "purpose": item["purpose"]}
    if not item["lives"]:
        return {**said, "status": SHREDDED}
    if item["epsilon_micro"] > 0 and item["unit"] == "person":
        bound = {name: item[name] for name in ("epsilon_micro", "delta_e12")}
        return {**said, "status": BOUNDED, **bound}
    return {**said, "status": UNSUPPORTED}


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
