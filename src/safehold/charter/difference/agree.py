"""Nothing was missed: outside what the sentences tell, two policies decide every request alike.

The grid is finite. Here the two compiled policies are formulas over one set of symbols (the prover's own
translation), and the solver looks for a request that one allows, the other denies, and no sentence speaks
about. ``unsat`` in every environment is a proof for all requests that fit the types, on the grid or off it.
Anything else is not agreement: a request that was found, an unsupported construct, a solver that gave up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from safehold.charter.compile import Policy
from safehold.charter.difference.change import NARROWER, WIDER, Cell, Change
from safehold.charter.difference.grid import unite
from safehold.charter.prove.pair import Pair
from safehold.charter.prove.symbol import Term, Truth
from safehold.charter.prove.translate import both, every, negate, some
from safehold.errors import InvalidError

# a condition -> what of a request it looks at
_BOUNDS: Final = {"people": "context.people", "approvals": "context.grant_approvals"}
_SETS: Final = {
    "gate": ("context.gates", "Gate"),
    "place": ("resource.places", "Place"),
    "silo": ("resource.silos", "Silo"),
}


def untold(
    old: Policy | None, new: Policy, allowed: Iterable[Cell], denied: Iterable[Cell]
) -> tuple[Change, ...]:
    """Return a change for each side on which something differs that no cell tells, or may differ.

    Args:
        old: The policy before; none before the first charter, when nothing was allowed.
        new: The policy after.
        allowed: Cells that are newly allowed.
        denied: Cells that are newly denied.
    """
    try:
        policies = [policy for policy in (old, new) if policy is not None]
        agreement = Agreement(old, new, unite([policy.schema for policy in policies]))
        more, less = agreement.missed(allowed, denied)
    except InvalidError:  # a construct that is not modelled: nothing is shown either way
        return (Change(clause="who_may", side=WIDER, message="policy.unshown.wider"),)
    sides = ((WIDER, more), (NARROWER, less))
    return tuple(
        Change(clause="who_may", side=side, message=f"policy.untold.{side}")
        for side, missed in sides
        if missed
    )


class Agreement:
    """Two policies over one set of symbols, and what sentences tell of them.

    Args:
        old: The policy before, or none.
        new: The policy after.
        schema: Types with the names of both.

    Raises:
        InvalidError: A policy, or its types, holds something that the prover does not model.
    """

    def __init__(self, old: Policy | None, new: Policy, schema: str) -> None:
        self._pair = Pair("" if old is None else old.cedar, new.cedar, schema)
        self._symbols = self._pair.symbols

    def missed(self, allowed: Iterable[Cell], denied: Iterable[Cell]) -> tuple[bool, bool]:
        """Return whether something is newly allowed, or newly denied, of which no sentence tells.

        Args:
            allowed: What the sentences tell to be newly allowed.
            denied: What they tell to be newly denied.
        """
        more = less = False
        told_more, told_less = tuple(allowed), tuple(denied)
        for action, kind in self._pair.environments():
            wider, narrower = self._pair.differ(action, kind)
            more = more or self._open(wider, self._told(told_more, action, kind))
            less = less or self._open(narrower, self._told(told_less, action, kind))
        return more, less

    def _open(self, differs: Truth, told: Truth) -> bool:
        return not self._pair.never(both(differs, negate(told)))

    def _told(self, cells: Iterable[Cell], action: str, kind: str) -> Truth:
        """Return which requests of one environment some cells speak about."""
        whats: dict[tuple[str, str, str], set[str]] = defaultdict(set)
        parts: list[Truth] = []
        for cell in cells:
            if cell.role and cell.action != action:
                continue
            if cell.limit:
                parts.append(both(self._is_role(cell.role, kind), self._at_edge(cell, kind)))
            else:
                whats[cell.role, cell.stage, cell.purpose].add(cell.what)
        for (role, stage, purpose), kinds in whats.items():
            core = [self._is_role(role, kind), self._is("context.stage", "Stage", stage)]
            if purpose:
                core.append(self._is("context.purpose", "Purpose", purpose))
                core.append(self._meets("resource.what", "What", kinds))
            parts.append(every(core))
        return some(parts)

    def _at_edge(self, cell: Cell, kind: str) -> Truth:
        limit, value = cell.limit, cell.value
        if limit in _BOUNDS:
            return self._term(_BOUNDS[limit]) <= self._symbols.long(int(value))
        if limit in _SETS:
            meets = self._meets(*_SETS[limit], {value})
            return negate(meets) if limit == "gate" else meets
        if limit == "kind":
            return kind == value
        where, _, term = value.partition(":")
        if where == "sealed":
            return self._meets("resource.purposes", "Purpose", {term})
        field = "context.purpose" if where == "stated" else "context.grant_purpose"
        return self._is(field, "Purpose", term)

    def _is_role(self, role: str, kind: str) -> Truth:
        if not role:
            return True
        held = self._symbols.of("principal", "role", principal=kind)
        return False if held is None else held.term == self._symbols.member("Role", role)

    def _is(self, path: str, kind: str, name: str) -> Truth:
        return self._term(path) == self._symbols.member(kind, name)

    def _meets(self, path: str, kind: str, names: set[str]) -> Truth:
        return (self._term(path) & self._symbols.mask(kind, names)) != 0

    def _term(self, path: str) -> Term:
        return self._symbols.get(path).term
