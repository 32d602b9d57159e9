"""The solver finds nothing that the sentences miss, and finds what is taken away from them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests import boardroom
from tests.amendments import AMENDMENTS, BASE

from safehold.charter import compile  # noqa: A004
from safehold.charter.compile import build
from safehold.charter.difference import compare, grid, reach
from safehold.charter.difference.agree import Agreement, untold
from safehold.charter.difference.reach import disagreement


def agreement(name: str):
    old, new = (compile(one) for one in AMENDMENTS[name])
    return Agreement(old, new, grid.unite([old.schema, new.schema])), disagreement(old, new)


@pytest.mark.parametrize("name", sorted(AMENDMENTS))
def test_nothing_is_missed_and_whatever_is_left_out_is(name):
    solver, (allowed, denied) = agreement(name)
    assert solver.missed(allowed, denied) == (False, False)
    nothing = frozenset()
    assert solver.missed(nothing, nothing) == (bool(allowed), bool(denied))
    for cells, place in ((allowed, 0), (denied, 1)):
        things = sorted(cell for cell in cells if not cell.limit)
        limits = {cell.limit for cell in cells}
        for cell in things[:2]:
            left = cells - {cell}
            assert solver.missed(*((left, denied), (allowed, left))[place])[place], cell
        for limit in sorted(limits - {""}):
            left = frozenset(cell for cell in cells if cell.limit != limit)
            assert solver.missed(*((left, denied), (allowed, left))[place])[place], limit


def test_a_grid_that_forgets_a_condition_is_found_out(monkeypatch):
    old, new = AMENDMENTS["no gates"]
    assert compare(old, new).direction == "widen"
    known = grid.Grid._edges
    monkeypatch.setattr(
        grid.Grid,
        "_edges",
        lambda self, role: {name: one for name, one in known(self, role).items() if name != "gate"},
    )
    assert any(change.message == "policy.untold.wider" for change in compare(old, new).allowed)
    assert any(change.message == "policy.untold.narrower" for change in compare(new, old).denied)


def test_sentences_that_lose_a_cell_are_found_out(monkeypatch):
    old, new = AMENDMENTS["screenshots"]
    known = reach._things
    monkeypatch.setattr(reach, "_things", lambda *words: list(known(*words))[1:])
    (change,) = [
        one for one in compare(old, new).allowed if one.message.startswith("policy.untold")
    ]
    assert change.sentence.startswith("Something else becomes possible")
    (change,) = [
        one for one in compare(None, new).allowed if one.message.startswith("policy.untold")
    ]


def test_what_the_prover_does_not_model_counts_as_wider():
    policy = boardroom.policy("example")
    rule = policy.rules[-1]
    odd = build(
        BASE, (*policy.rules[:-1], replace(rule, terms=(*rule.terms, 'context.holder like "a*"')))
    )
    (change,) = untold(policy, odd, (), ())
    assert (change.side, change.message) == ("wider", "policy.unshown.wider")


def test_of_the_first_charter_nothing_is_missed():
    for name in ("example", "demo"):
        found = compare(None, boardroom.charter(name))
        assert not any(change.message.startswith("policy.un") for change in found.allowed)
