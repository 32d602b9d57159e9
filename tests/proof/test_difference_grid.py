"""The whole product of roles, actions, stages, purposes and kinds of data, decided by both policies; and many requests."""

from __future__ import annotations

import json
import random
from itertools import product

import cedarpy
import pytest
from tests import amending
from tests.amendments import AMENDMENTS
from tests.requests_at_random import Draw, covers

from safehold.charter import compile  # noqa: A004
from safehold.charter.difference import compare
from safehold.charter.difference.change import Cell
from safehold.charter.difference.grid import Grid
from safehold.charter.types import NONE, OTHER, kinds
from safehold.charter.vocabulary import ACTIONS, STAGES

pytestmark = pytest.mark.proof


@pytest.mark.parametrize("name", ["screenshots", "two charters"])
def test_no_cell_of_the_whole_product_differs_untold(name):
    old, new = AMENDMENTS[name]
    found = compare(old, new)
    grid = Grid([compile(old), compile(new)])
    roles = sorted({*old.who_may, *new.who_may, OTHER})
    purposes = sorted({*old.purposes, *new.purposes, NONE, "fides:employment"})
    differ = tried = 0
    for role, purpose in product(roles, purposes):
        asked = [
            Cell(role, action, stage, purpose, what)
            for action, stage, what in product(ACTIONS, STAGES, kinds())
        ]
        requests = [grid.request(old, cell) for cell in asked]
        entities = cedarpy.Entities.from_json_str(json.dumps(grid.entities()), schema=grid._types)
        before, after = (
            cedarpy.is_authorized_batch(requests, policy.policies, entities)
            for policy in grid.policies
        )
        data = {one["uid"]["id"]: one["attrs"] for one in grid.entities()}
        tried += len(asked)
        for cell, request, one, two in zip(asked, requests, before, after, strict=True):
            assert not one.diagnostics.errors
            assert not two.diagnostics.errors
            if one.allowed != two.allowed:
                differ += 1
                who = {"kind": request["principal"].partition("::")[0], "role": cell.role}
                used = data[request["resource"].partition("::")[2].strip('"')]
                seen = {"_": (who, cell.action, request["context"], used)}
                speak = found.allowed if two.allowed else found.denied
                assert any(covers(change, seen) for change in speak), cell
    assert differ
    print(f"\n{name}: {tried:,} cells, {differ:,} differ, all told")


def test_of_ten_thousand_requests_none_differs_untold():
    chance = random.Random(15)
    allowed = differ = tried = 0
    while tried < 10_000:
        start = chance.choice((amending.full(), *AMENDMENTS["two charters"]))
        old = amending.amend(chance, start, 1)
        new = amending.amend(chance, old, chance.randint(1, 4))
        found = compare(old, new)
        told = [cell for change in (*found.allowed, *found.denied) for cell in change.cells]
        draw = Draw(compile(old), compile(new), chance, told=told)
        requests = draw.requests(250)
        for request, (before, after) in zip(requests, draw.ask(requests), strict=True):
            tried += 1
            allowed += before or after
            if before != after:
                differ += 1
                speak = found.allowed if after else found.denied
                assert any(covers(change, request) for change in speak), request["_"]
    assert allowed > 2_000
    assert differ > 200
    print(f"\n{tried:,} requests, {allowed:,} allowed by one, {differ:,} differ, all told")
