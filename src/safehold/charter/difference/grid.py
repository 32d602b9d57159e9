"""What two policies allow over a finite grid, decided by Cedar with types that know the names of both.

1. A *cell* is a role that does an action in a stage for a purpose on one kind of data. It is allowed if the
   policy allows it with everything else as favourable as that policy lets it be.
2. A *limit* is one of those other things at its edge: one approval fewer, one person fewer, one gate not
   passed. They depend on role and action alone, gates on the stage too (training), and bans on nothing, so each
   is tried once.
3. Every cell that either charter could allow is on the grid. Nothing else is allowed by either: a permit of
   the compiler names role, action, purpose, stages and kinds of its charter.

The second and third are properties of the compiler. They are tried on random requests in the tests.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import cedarpy

from safehold.charter.compile import Policy
from safehold.charter.difference.change import Cell
from safehold.charter.favourable import Datasets, favourable, member, principal, uid
from safehold.charter.model import Charter
from safehold.charter.redline import forms
from safehold.charter.types import NONE, OTHER, banned_terms, gates, kinds
from safehold.charter.vocabulary import SELF, SILOS, STAGES
from safehold.errors import InvalidError

RIGHTS: Final = frozenset(
    {*SELF, "verify"}
)  # what people may do for themselves, and those who check
KINDS: Final = ("Human", "Workload", "Agent")
_ENUM: Final = re.compile(r"entity (\w+) enum (\[.*\]);")


def unite(schemas: Sequence[str]) -> str:
    """Return one schema with every name of several.

    Raises:
        InvalidError: They differ in more than names, so no request could be asked of both.
    """
    names: dict[str, dict[str, None]] = {}
    others: set[tuple[str, ...]] = set()
    for schema in schemas:
        rest = []
        for line in schema.splitlines():
            if match := _ENUM.fullmatch(line):
                names.setdefault(match[1], {}).update(dict.fromkeys(json.loads(match[2])))
            else:
                rest.append(line)
        others.add(tuple(rest))
    if len(others) != 1:
        raise InvalidError("these charters have different types", rule="charter.difference.types")
    enums = [f"entity {kind} enum {json.dumps(list(known))};" for kind, known in names.items()]
    return "\n".join((*enums, *next(iter(others))))


class Grid:
    """Requests over the names of several charters, and what each of their policies says to them.

    Args:
        policies: The compiled charters.

    Raises:
        InvalidError: One does not pass strict validation against the names of all.
    """

    def __init__(self, policies: Sequence[Policy]) -> None:
        self.policies = tuple(policies)
        self.charters = tuple(policy.charter for policy in policies)
        self.schema = unite([policy.schema for policy in policies])
        self._types = cedarpy.Schema.from_str(self.schema)
        self._principals: dict[str, dict[str, Any]] = {}
        self._data = Datasets()
        for policy in policies:
            if not cedarpy.validate_policies(policy.cedar, self.schema).validation_passed:
                raise InvalidError(
                    "a policy does not fit the names of both charters",
                    rule="charter.difference.types",
                )

    def cells(self) -> tuple[Cell, ...]:
        """Return every cell that one of the charters could allow, sorted."""
        return tuple(sorted({cell for charter in self.charters for cell in _cells(charter)}))

    def allowed(self, policy: Policy, cells: Iterable[Cell]) -> frozenset[Cell]:
        """Return which cells a policy allows.

        Raises:
            InvalidError: A policy could not be evaluated on one of them.
        """
        asked = list(cells)
        if not asked:
            return frozenset()
        requests = [self.request(policy.charter, cell) for cell in asked]
        named = json.dumps(self.entities())
        try:
            entities = cedarpy.Entities.from_json_str(named, schema=self._types)
            results = cedarpy.is_authorized_batch(requests, policy.policies, entities)
        except (ValueError, RuntimeError, TypeError) as error:
            raise _not_compared() from error
        if any(result.diagnostics.errors for result in results):
            raise _not_compared()
        return frozenset(
            cell for cell, result in zip(asked, results, strict=True) if result.allowed
        )

    def entities(self) -> list[dict[str, Any]]:
        """Return everybody and everything that a request so far names."""
        return [*self._principals.values(), *self._data.entities()]

    def limits(self, cells: Iterable[Cell]) -> Iterator[tuple[Cell, Cell]]:
        """Yield what is tried at the edge of each condition, beside the cell that tells of it.

        Args:
            cells: What is allowed with everything else favourable.
        """
        cells = sorted(cells, reverse=True)
        by_role = {(cell.role, cell.action): cell for cell in cells}
        learning = {(cell.role, cell.action): cell for cell in cells if cell.stage == "training"}
        for (role, action), cell in sorted(by_role.items()):
            for limit, values in self._edges(role).items():
                at = learning.get((role, action), cell) if limit == "gate" else cell
                for value in values:
                    yield (
                        _edge(at, limit, value),
                        Cell(role, action, "", limit=limit, value=value),
                    )
        by_right = {cell.action in RIGHTS: cell for cell in by_role.values()}
        for limit, values in self._bans().items():
            for value in values:
                # a ban on a use or a silo stands for every role and action
                for cell in by_right.values():
                    yield _edge(cell, limit, value), Cell("", "", "", limit=limit, value=value)

    def _edges(self, role: str) -> Mapping[str, Sequence[str]]:
        charters = self.charters
        lines = [forms(line) for charter in charters for line in charter.red_lines]
        grants = [
            one.least_approvals(role)
            for one in charters
            if role in one.who_may and one.who_may[role].grant is not None
        ]
        return {
            "people": _around(line.min_people for line in lines if line.min_people is not None),
            "approvals": _around(grants),
            "gate": sorted({gate for charter in charters for gate in gates(charter)}),
            "place": sorted({OTHER}.union(*(charter.jurisdictions for charter in charters))),
            "kind": KINDS,
        }

    def _bans(self) -> Mapping[str, Sequence[str]]:
        terms = [
            frozenset(term for line in charter.red_lines for term in banned_terms(forms(line)))
            for charter in self.charters
        ]
        moved = sorted(frozenset.union(*terms) - frozenset.intersection(*terms))
        return {"silo": SILOS, "term": [f"{where}:{term}" for term in moved for where in _TERM]}

    def request(self, charter: Charter, cell: Cell) -> dict[str, Any]:
        """Return a cell as a request that nothing else stands in the way of, as far as a charter can help."""
        use, data = favourable(
            role=cell.role,
            purpose=cell.purpose or NONE,
            stage=cell.stage,
            what=cell.what or kinds()[0],
            place=charter.jurisdictions[0],
            gates=[gate for one in self.charters for gate in gates(one)],
        )
        kind = "Agent" if cell.role == "agent" else "Human"
        value = cell.value
        match cell.limit:
            case "people":
                use["people"] = int(value)
            case "approvals":
                use["grant_approvals"] = int(value)
            case "gate":
                use["gates"] = [one for one in use["gates"] if one != member("Gate", value)]
            case "place":
                data["places"] = [member("Place", value)]
            case "silo":
                data["silos"] = [member("Silo", value)]
            case "kind":
                kind = value
            case "term":
                where, _, term = value.partition(":")
                _TERM[where](use, data, member("Purpose", term))
            case _:
                pass
        return {
            "principal": self._principal(kind, cell.role),
            "action": uid("Action", cell.action),
            "resource": self._data.name(data),
            "context": use,
        }

    def _principal(self, kind: str, role: str) -> str:
        name, known = principal(kind, role)
        self._principals[name] = known
        return name


def _cells(charter: Charter) -> Iterator[Cell]:
    for name, role in charter.who_may.items():
        for action in role.do:
            if action in RIGHTS:
                yield from (Cell(name, action, stage) for stage in STAGES)
                continue
            for title, purpose in charter.purposes.items():
                for stage in set(role.stages) & set(purpose.stages):
                    for what in purpose.covers():
                        yield Cell(name, action, stage, title, what)


def _not_compared() -> InvalidError:
    return InvalidError(
        "a policy could not be evaluated, so it cannot be compared",
        rule="charter.difference.grid",
    )


def _edge(cell: Cell, limit: str, value: str) -> Cell:
    return cell._replace(limit=limit, value=value)


def _around(bounds: Iterable[int]) -> list[str]:
    return [
        str(n) for n in sorted({near for bound in bounds for near in (bound - 1, bound)}) if n >= 0
    ]


# where a forbidden use can stand in a request
def _stated(use: dict[str, Any], data: dict[str, Any], term: Any) -> None:
    use["purpose"] = use["grant_purpose"] = term
    data["purposes"] = [term]


def _granted(use: dict[str, Any], _: dict[str, Any], term: Any) -> None:
    use["grant_purpose"] = term


def _sealed(_: dict[str, Any], data: dict[str, Any], term: Any) -> None:
    data["purposes"] = [*data["purposes"], term]


_TERM: Final = {"stated": _stated, "granted": _granted, "sealed": _sealed}
