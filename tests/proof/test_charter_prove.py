"""The prover at length: many random policies, and the whole finite space of the compiled charters.

Enumeration and prover are each other's second opinion; a disagreement fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from random import Random

import pytest
from tests import boardroom
from tests.policy_maker import RequestMaker, decide
from tests.property.test_charter_prove_differential import (
    SHARE,
    compare_random_policies,
    compare_the_compiled,
    compare_the_promises,
)
from tests.unit.test_charter_compile import breaches
from tests.unit.test_charter_prove import NAMES, policy

from safehold import charter as charters
from safehold.charter.compile import build
from safehold.charter.prove import ReachableError, prove
from safehold.charter.prove import shape as shapes
from safehold.charter.prove.reference import judge
from safehold.charter.prove.request import Request
from safehold.charter.vocabulary import STAGES
from safehold.errors import RedLineError

pytestmark = pytest.mark.proof


@pytest.mark.parametrize("seed", range(4))
def test_the_translator_agrees_with_cedar_on_random_policies(seed):
    made = boardroom.policy(("example", "demo")[seed % 2])
    count, allowed = compare_random_policies(made, texts=300, each=100, seed=seed)
    print(f"\n{count:,} requests over 300 random sets of policies, {allowed / count:.0%} allowed")
    assert allowed >= SHARE * count


@pytest.mark.parametrize("name", NAMES)
def test_cedar_the_formulas_and_the_reference_agree_on_the_compiled_charters(name):
    allowed = compare_the_compiled(policy(name), count=20_000, seed=len(name))
    assert allowed >= SHARE * 20_000
    assert len(compare_the_promises(policy(name), count=2_000, seed=len(name))) > 30


def space(made: charters.Policy) -> Iterator[Request]:
    """Yield every kind of principal, role, action, stage, purpose, grant purpose, kind of data and few people."""
    shape = shapes.read(made.schema)
    base = RequestMaker(made.charter, shape, Random(0)).allowed()
    ordinary = dict(base.values) | {
        "context.grant_stages": frozenset(STAGES),
        "principal.operator": "bo",
    }
    purposes = (*sorted(made.charter.purposes), "none", "sh:infer_emotion")
    for kind, role, action, stage, purpose, granted, what, people, own in product(
        shape.principals, shape.enums["Role"], shape.actions, STAGES, purposes, purposes,
        ("keys", "performance_metrics", "access_log", "feature"), (49, 50), ("ana", "bo"),
    ):  # fmt: skip
        values = dict(ordinary)
        if kind != "Agent":
            del values["principal.operator"]
        values |= {
            "principal.role": role,
            "context.stage": stage,
            "context.purpose": purpose,
            "context.grant_purpose": granted,
            "context.grant_role": role,
            "context.grant_what": frozenset({what}),
            "context.people": people,
            "resource.what": frozenset({what}),
            "resource.purposes": frozenset({purpose}),
            "resource.owner": own,
        }
        yield replace(base, kind=kind, action=action, values=values)


def test_the_finite_space_of_the_example_is_decided_as_the_charter_says():
    made = boardroom.policy("example")
    prove(made)  # the prover's word: Cedar allows exactly what the charter says, for every request
    shape = shapes.read(made.schema)
    count = allowed = 0
    asked: list[Request] = []
    chance = Random(5)
    for one in space(made):
        if judge(made.charter, one).allowed or chance.random() < 0.02:
            asked.append(one)
        count += 1
    for one, said in zip(asked, decide(made.cedar, made.schema, shape, asked), strict=True):
        assert judge(made.charter, one).allowed is said, one
        allowed += said
    print(f"\n{count:,} requests, {len(asked):,} of them decided by Cedar too, {allowed:,} allowed")
    assert allowed > 100


FORBIDS = [rule.id for rule in boardroom.policy("example").rules if rule.kind != "permit"]


@pytest.mark.parametrize("lost", FORBIDS)
def test_enumeration_and_prover_agree_on_a_policy_that_lost_a_forbid(lost):
    made = boardroom.policy("example")
    lesser = build(made.charter, [rule for rule in made.rules if rule.id != lost])
    promise = lost.partition("/")[0]
    found = breaches(lesser, promise)
    try:
        prove(lesser)
    except ReachableError as error:
        assert error.rule == f"charter.{promise}"
        assert found > 0, "the prover found a way that the enumeration never tries"
    else:
        assert found == 0, "the enumeration found a way and the prover did not"


@pytest.mark.parametrize("name", ["example", "demo"])
def test_the_whole_grid_and_the_prover_agree(name):
    made = boardroom.policy(name)
    prove(made)
    try:
        charters.examine(made, exhaustive=True)
    except RedLineError as error:
        pytest.fail(f"a release blocker: proved, and yet {error.message}")
