"""What the compiled policy newly allows or denies, collapsed into few sentences.

Every cell of the grid on which two policies disagree is in exactly one sentence.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from safehold.charter.compile import Policy
from safehold.charter.difference.change import NARROWER, WIDER, Cell, Change
from safehold.charter.difference.grid import RIGHTS, Grid
from safehold.charter.difference.words import Said
from safehold.charter.model import Charter, RedLine
from safehold.charter.redline import forms
from safehold.charter.types import banned_terms
from safehold.charter.vocabulary import ACTIONS, STAGES

_Cells = frozenset[Cell]
_NO: Final[_Cells] = frozenset()


def disagreement(old: Policy | None, new: Policy) -> tuple[_Cells, _Cells]:
    """Return the cells that are newly allowed, and those that are newly denied.

    Raises:
        InvalidError: The policies have no common types.
    """
    if old is not None and old.cedar == new.cedar:
        return _NO, _NO  # the same rules decide the same, whatever the names
    grid = Grid([policy for policy in (old, new) if policy is not None])
    cells = grid.cells()
    after = grid.allowed(new, cells)
    if old is None:
        return after, _NO
    before = grid.allowed(old, cells)
    limits = tuple(grid.limits(before & after))
    asked = frozenset(edge for edge, _ in limits)
    edges_before, edges_after = grid.allowed(old, asked), grid.allowed(new, asked)
    return (
        (after - before) | {told for edge, told in limits if edge in edges_after - edges_before},
        (before - after) | {told for edge, told in limits if edge in edges_before - edges_after},
    )


def tell(
    changes: Sequence[Change], old: Charter | None, new: Charter, differ: tuple[_Cells, _Cells]
) -> list[Change]:
    """Return the changes of the fields with those of the policy.

    A limit that moved because a field changed is told by the sentence of that field; all else gets a sentence
    of its own.

    Args:
        changes: What the fields say.
        old: The charter before.
        new: The charter after.
        differ: Cells that are newly allowed, and newly denied.
    """
    told = list(changes)
    lines = [forms(line) for one in (old, new) if one is not None for line in one.red_lines]
    for side, cells in zip((WIDER, NARROWER), differ, strict=True):
        before, after = (old, new) if side == WIDER else (new, old)
        told += _things(side, frozenset(cell for cell in cells if not cell.limit), before, after)
        for limit, value, edges in _moved(cells):
            _attach(told, *_limit(side, limit, value, edges, lines))
    told += _lost_rights(differ[1])
    return told


def _lost_rights(denied: _Cells) -> Iterator[Change]:
    """Yield what employees and auditors lose: it ends something, and it protects less, so it is wider."""
    lost: dict[tuple[str, str], set[str]] = defaultdict(set)
    for cell in denied:
        if cell.action in RIGHTS and not cell.limit:
            lost[cell.role, cell.stage].add(cell.action)
    for (role, stage), actions in sorted(lost.items()):
        yield Change(
            clause=f"who_may.{role}",
            side=WIDER,
            message="rights.wider",
            said=(
                ("role", Said("role", (role,))),
                ("actions", Said("action", _in_order(actions, ACTIONS))),
                ("stages", Said("stage", (stage,))),
            ),
        )


def _things(
    side: str, cells: _Cells, before: Charter | None, after: Charter | None
) -> Iterator[Change]:
    """Yield a sentence for each block of actions, stages and kinds that a role has for a purpose."""
    whats: dict[tuple[str, str, str, str], set[str]] = defaultdict(set)
    for cell in cells:
        whats[cell.role, cell.purpose, cell.action, cell.stage].add(cell.what)
    stages: dict[tuple[str, str, str, frozenset[str]], set[str]] = defaultdict(set)
    for (role, purpose, action, stage), kinds in whats.items():
        stages[role, purpose, action, frozenset(kinds)].add(stage)
    actions: dict[tuple[str, str, frozenset[str], frozenset[str]], set[str]] = defaultdict(set)
    for (role, purpose, action, kinds_), where in stages.items():
        actions[role, purpose, kinds_, frozenset(where)].add(action)
    for (role, purpose, kinds_, where_), acts in sorted(
        actions.items(),
        key=lambda item: (item[0][:2], sorted(item[1]), sorted(item[0][3]), sorted(item[0][2])),
    ):
        block = frozenset(
            Cell(role, act, stage, purpose, what)
            for act in acts
            for stage in where_
            for what in kinds_
        )
        yield Change(
            clause=_cause(min(block), before),
            side=side,
            message=f"policy.{side}" if purpose else f"policy.own.{side}",
            said=(
                ("role", Said("role", (role,))),
                ("actions", Said("action", _in_order(acts, ACTIONS))),
                ("what", Said("what", tuple(sorted(kinds_)))),
                ("stages", Said("stage", _in_order(where_, STAGES))),
                ("purpose", Said("purpose", (_plain(purpose, after, before),))),
            ),
            cells=block,
        )


def _plain(name: str, *charters: Charter | None) -> str:
    """Return the words of a purpose; with its name where another purpose has the same words."""
    known = [one.purposes for one in charters if one is not None]
    words = next((purposes[name].plain for purposes in known if name in purposes), "")
    alike = {key for purposes in known for key, one in purposes.items() if one.plain == words}
    return f"{words} [{name}]" if len(alike) > 1 else words


def _cause(cell: Cell, without: Charter | None) -> str:
    """Return the clause that keeps a charter from allowing a cell that the other one allows."""
    who, why = f"who_may.{cell.role}", f"purposes.{cell.purpose}"
    if without is None or (role := without.who_may.get(cell.role)) is None:
        return who
    purpose = without.purposes.get(cell.purpose)
    missing = (
        (cell.action not in role.do, f"{who}.do"),
        (cell.stage not in role.stages, f"{who}.stages"),
        (bool(cell.purpose) and purpose is None, why),
        (purpose is not None and cell.stage not in purpose.stages, f"{why}.stages"),
        (purpose is not None and cell.what not in purpose.covers(), f"{why}.from"),
        (role.sees_data is False, f"{who}.sees_data"),
    )
    return next((clause for lacks, clause in missing if lacks), "red_lines")


def _moved(cells: _Cells) -> list[tuple[str, str, _Cells]]:
    """Return the limits that moved: people and approvals by their nearest value, others each by itself."""
    groups: dict[tuple[str, str], set[Cell]] = defaultdict(set)
    for cell in cells:
        match cell.limit:
            case "":
                continue
            case "people":
                groups["people", ""].add(cell)
            case "approvals" | "kind":
                groups[cell.limit, cell.role].add(cell)
            case "term":
                groups["term", cell.value.partition(":")[2]].add(cell)
            case _:
                groups[cell.limit, cell.value].add(cell)
    return [(limit, name, frozenset(group)) for (limit, name), group in sorted(groups.items())]


def _attach(told: list[Change], change: Change, homes: Sequence[str]) -> None:
    """Let the sentence of the field that moved a limit speak for it, or add the limit's own sentence."""
    for place, known in enumerate(told):
        if known.side == change.side and any(
            known.clause == home or known.clause.startswith(f"{home}.") for home in homes
        ):
            told[place] = known.about(change.cells)
            return
    told.append(change)


def _limit(
    side: str, limit: str, name: str, edges: _Cells, lines: Sequence[RedLine]
) -> tuple[Change, list[str]]:
    """Return the sentence of a limit that moved, and the clauses whose own sentence may say it instead."""
    values = sorted({edge.value for edge in edges})
    said: tuple[tuple[str, Said], ...] = ((limit, Said(limit, (name,))),)
    match limit:
        case "people":
            homes = _ids(line for line in lines if line.min_people is not None)
            said = (("people", _nearest(side, "people", values)),)
        case "silo":
            homes = _ids(line for line in lines if name in line.forbid_beside)
        case "term":
            homes = _ids(line for line in lines if name in banned_terms(line))
        case "place":
            homes = ["jurisdictions.collect_in"]
        case "gate":
            homes = [f"gates.{name}"]
        case "approvals":
            homes = [f"who_may.{name}.grant"]
            said = (("role", Said("role", (name,))), ("approvals", _nearest(side, limit, values)))
        case _:
            homes = ["who_may.agent"]
            said = (("role", Said("role", (name,))), ("kinds", Said("kind", tuple(values))))
    clause = homes[0] if homes else "red_lines"
    message = f"policy.{limit}.{side}"
    return Change(clause=clause, side=side, message=message, said=said, cells=edges), homes


def _nearest(side: str, kind: str, values: Iterable[str]) -> Said:
    numbers = sorted(map(int, values))
    return Said(kind, (numbers[0] if side == WIDER else numbers[-1],))


def _ids(lines: Iterable[RedLine]) -> list[str]:
    return sorted({f"red_lines.{line.id}" for line in lines})


def _in_order(names: Iterable[str], order: Sequence[str]) -> tuple[str, ...]:
    chosen = set(names)
    return tuple(name for name in order if name in chosen)
