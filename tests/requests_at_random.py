"""Requests at random over the names of two charters, most of them near to what somebody may do."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from typing import Any

import cedarpy

from safehold.charter import Policy
from safehold.charter.difference.change import Cell, Change
from safehold.charter.difference.grid import KINDS, Grid
from safehold.charter.types import kinds
from safehold.charter.vocabulary import ACTIONS, SILOS, STAGES

Request = dict[str, Any]


class Draw:
    """Draws requests for two policies, and asks both.

    Args:
        old: The policy before.
        new: The policy after.
        rng: Where chance comes from.
        told: What half of the requests stay near to.
    """

    def __init__(
        self, old: Policy, new: Policy, rng: random.Random, *, told: Iterable[Cell] = ()
    ) -> None:
        self.grid = Grid([old, new])
        self.rng = rng
        charters = self.grid.charters
        self.purposes = self._names("Purpose")
        self.roles = self._names("Role")
        self.places = self._names("Place")
        self.gates = self._names("Gate")
        self.cells = self.grid.cells()
        self.told = sorted(told)
        self.numbers = sorted(
            {
                near
                for charter in charters
                for bound in (
                    *(line.min_people or 0 for line in charter.red_lines),
                    *(role.grant.approvers for role in charter.who_may.values() if role.grant),
                    1,
                    50,
                )
                for near in (bound - 1, bound, bound + 1)
                if near >= 0
            }
        )
        self.entities: list[dict[str, Any]] = []

    def _names(self, kind: str) -> list[str]:
        line = next(
            one for one in self.grid.schema.splitlines() if one.startswith(f"entity {kind} enum ")
        )
        names: list[str] = json.loads(line[line.index("[") : line.index("]") + 1])
        return names

    def requests(self, count: int) -> list[Request]:
        """Return requests; the entities that they name are kept for ``ask``."""
        return [self._one() for _ in range(count)]

    def _one(self) -> Request:
        rng = self.rng
        kind = rng.random()
        if kind < 0.5 and self.told:
            cell = self._near(rng.choice(self.told))
        elif kind < 0.85:
            cell = rng.choice(self.cells)
        else:
            cell = Cell(
                rng.choice(self.roles),
                rng.choice(ACTIONS),
                rng.choice(STAGES),
                rng.choice(self.purposes),
                rng.choice(kinds()),
            )
        base = self.grid.request(rng.choice(self.grid.charters), cell)
        use = base["context"]
        data = json.loads(
            json.dumps(
                next(
                    one["attrs"]
                    for one in self.grid.entities()
                    if f'Dataset::"{one["uid"]["id"]}"' == base["resource"]
                )
            )
        )
        who: dict[str, Any] = {
            "kind": base["principal"].partition("::")[0],
            "role": cell.role,
            "sub": "me",
            "operator": "me",
        }
        use["grant_what"] = [entity("What", what) for what in kinds()]
        for spoil in rng.sample(SPOILS, rng.choice((0, 0, 1, 1, 1, 2, 3))):
            spoil(self, use, data, who)
        number = len(self.entities)
        attributes = {"role": entity("Role", who["role"]), "sub": who["sub"]}
        if who["kind"] == "Agent":
            attributes["operator"] = who["operator"]
        self.entities += [
            {"uid": {"type": who["kind"], "id": f"p{number}"}, "attrs": attributes, "parents": []},
            {"uid": {"type": "Dataset", "id": f"d{number}"}, "attrs": data, "parents": []},
        ]
        return {
            "principal": f'{who["kind"]}::"p{number}"',
            "action": base["action"],
            "resource": f'Dataset::"d{number}"',
            "context": use,
            "_": (who, cell.action, use, data),
        }

    def _near(self, told: Cell) -> Cell:
        """Return a cell that a sentence tells of; for a condition, one of those that it may hold for."""
        if not told.limit:
            return told
        fitting = [
            cell
            for cell in self.cells
            if not told.role or (cell.role, cell.action) == (told.role, told.action)
        ]
        return self.rng.choice(fitting)._replace(limit=told.limit, value=told.value)

    def ask(self, requests: list[Request], *, size: int = 100) -> list[tuple[bool, bool]]:
        """Return for each request whether the old and the new policy allow it."""
        answers: list[tuple[bool, bool]] = []
        known = {f'{one["uid"]["type"]}::"{one["uid"]["id"]}"': one for one in self.entities}
        types = cedarpy.Schema.from_str(self.grid.schema)
        for start in range(0, len(requests), size):
            part = requests[start : start + size]
            plain = [{key: value for key, value in one.items() if key != "_"} for one in part]
            near = [known[one[slot]] for one in part for slot in ("principal", "resource")]
            entities = cedarpy.Entities.from_json_str(json.dumps(near), schema=types)
            decided = []
            for policy in self.grid.policies:
                results = cedarpy.is_authorized_batch(plain, policy.policies, entities)
                assert not any(result.diagnostics.errors for result in results)
                decided.append([bool(result.allowed) for result in results])
            answers += zip(*decided, strict=True)
        return answers


def covers(change: Change, request: Request) -> bool:
    """Tell whether a sentence speaks about a request on which two policies disagree."""
    who, action, use, data = request["_"]
    purpose, stage = use["purpose"]["__entity"]["id"], use["stage"]["__entity"]["id"]
    whats = {one["__entity"]["id"] for one in data["what"]}
    for cell in change.cells:
        if cell.role and (cell.role, cell.action) != (who["role"], action):
            continue
        if cell.limit:
            if at_edge(cell.limit, cell.value, who, use, data):
                return True
        elif (
            cell.stage == stage
            and cell.purpose in {"", purpose}
            and (not cell.what or cell.what in whats)
        ):
            return True
    return False


def at_edge(limit: str, value: str, who: Any, use: Any, data: Any) -> bool:
    """Tell whether a request stretches a condition as far as a sentence says."""
    match limit:
        case "people":
            return bool(use["people"] <= int(value))
        case "approvals":
            return bool(use["grant_approvals"] <= int(value))
        case "gate":
            return entity("Gate", value) not in use["gates"]
        case "place":
            return entity("Place", value) in data["places"]
        case "silo":
            return entity("Silo", value) in data["silos"]
        case "kind":
            return bool(who["kind"] == value)
        case _:
            where, _, term = value.partition(":")
            named = entity("Purpose", term)
            if where == "sealed":
                return named in data["purposes"]
            return bool(use["purpose" if where == "stated" else "grant_purpose"] == named)


def entity(kind: str, name: str) -> dict[str, dict[str, str]]:
    """Return a name as a value of a request."""
    return {"__entity": {"type": kind, "id": name}}


def _some(rng: random.Random, kind: str, names: list[str]) -> list[Any]:
    return [entity(kind, name) for name in rng.sample(names, rng.randint(0, min(3, len(names))))]


SPOILS = [
    lambda d, use, data, who: use.update(people=d.rng.choice(d.numbers)),
    lambda d, use, data, who: use.update(grant_approvals=d.rng.choice(d.numbers)),
    lambda d, use, data, who: use.update(gates=_some(d.rng, "Gate", d.gates)),
    lambda d, use, data, who: use.update(
        gates=[one for one in use["gates"] if d.rng.random() < 0.8]
    ),
    lambda d, use, data, who: data.update(places=_some(d.rng, "Place", d.places)),
    lambda d, use, data, who: data.update(silos=_some(d.rng, "Silo", list(SILOS))),
    lambda d, use, data, who: data.update(telemetry=False),
    lambda d, use, data, who: data.update(what=_some(d.rng, "What", list(kinds()))),
    lambda d, use, data, who: data.update(
        purposes=[*data["purposes"], entity("Purpose", d.rng.choice(d.purposes))]
    ),
    lambda d, use, data, who: use.update(purpose=entity("Purpose", d.rng.choice(d.purposes))),
    lambda d, use, data, who: use.update(grant_purpose=entity("Purpose", d.rng.choice(d.purposes))),
    lambda d, use, data, who: use.update(stage=entity("Stage", d.rng.choice(STAGES))),
    lambda d, use, data, who: use.update(
        grant_stages=[entity("Stage", one) for one in STAGES],
        stage=entity("Stage", d.rng.choice(STAGES)),
    ),
    lambda d, use, data, who: who.update(kind=d.rng.choice(KINDS)),
    lambda d, use, data, who: who.update(role=d.rng.choice(d.roles)),
    lambda d, use, data, who: (
        who.update(role=(role := d.rng.choice(d.roles))),
        use.update(grant_role=entity("Role", role)),
    ),
    lambda d, use, data, who: use.update(consent=False),
    lambda d, use, data, who: use.update(granted=False),
    lambda d, use, data, who: use.update(assurance=d.rng.randint(0, 4)),
    lambda d, use, data, who: data.update(owner="another"),
    lambda d, use, data, who: use.update(now=2),
]
