"""The enumeration: what it tries, and that each promise it names falls without its forbid."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests import boardroom
from tests.unit.test_charter_compile import breaches

from safehold import charter as charters
from safehold.charter.compile import build
from safehold.charter.grid import Grid
from safehold.charter.prove import ReachableError, prove
from safehold.charter.vocabulary import ACTIONS, DATA, ROWS

SEEING = [f"guard.closed-{action}" for action in (*ROWS, "query")]
SEEING += ["red_line.no-raw-to-people", "red_line.no-cross-join"]
CASES = {
    "guard.blind-engineer": [*SEEING, "guard.blind-engineer"],
    "guard.blind-auditor": [*SEEING, "guard.blind-auditor"],
    "guard.agent-operator": ["guard.agent-operator"],
    "guard.agent-role": ["guard.agent-role"],
    "guard.agent-kind": ["guard.agent-kind"],
    "guard.purpose": ["guard.purpose"],
    "guard.gates": ["guard.gates"],
}


def without(policy: charters.Policy, names: list[str]) -> charters.Policy:
    kept = [rule for rule in policy.rules if rule.id.partition("/")[0] not in names]
    assert len(kept) == len(policy.rules) - len({r.id for r in policy.rules} - {r.id for r in kept})
    return build(policy.charter, kept)


@pytest.mark.parametrize("promise", CASES)
def test_a_promise_of_roles_falls_without_its_forbid_and_the_prover_agrees(promise):
    policy = boardroom.policy("example")
    assert breaches(policy, promise) == 0
    lesser = without(policy, CASES[promise])
    assert breaches(lesser, promise) > 0
    with pytest.raises(ReachableError):
        prove(lesser)


def test_a_grant_for_each_other_purpose_is_tried():
    policy = boardroom.policy("example")
    assert breaches(policy, "guard.grant-purpose") == 0
    # a guard that knows only the missing purpose: it held as long as no other was ever tried
    narrow = 'context.grant_purpose == Purpose::"none"'
    rules = [
        replace(rule, terms=(narrow,)) if rule.id == "guard.grant-purpose" else rule
        for rule in policy.rules
    ]
    lesser = build(policy.charter, rules)
    assert breaches(lesser, "guard.grant-purpose") > 0
    with pytest.raises(ReachableError) as caught:
        prove(lesser)
    assert caught.value.rule == "charter.guard.grant-purpose"


def test_every_action_and_every_guard_of_the_policy_is_tried():
    policy = boardroom.policy("example")
    grid = Grid(policy.charter, ACTIONS)
    tried = {name: list(requests) for name, _, requests in grid.promises()}
    assert {rule.id for rule in policy.rules if rule.kind == "guard"} <= set(tried)
    asked = {one["action"] for requests in tried.values() for one in requests}
    assert asked == {f'Action::"{action}"' for action in ACTIONS}
    assert set(DATA) < set(ACTIONS)


def test_a_request_that_all_else_favours_has_as_many_people_as_any_charter_demands():
    """Else a red line for two million people would refuse each trial by itself, and every promise would seem to hold."""
    base = boardroom.charter("example")
    most = 10**15 - 1  # what fifteen digits can say
    lines = tuple(
        replace(line, min_people=most) if line.id == "no-single-person-query" else line
        for line in base.red_lines
    )
    policy = charters.compile(replace(base, red_lines=lines))
    assert breaches(policy, "guard.gates") == 0
    assert breaches(without(policy, ["guard.gates"]), "guard.gates") > 0
