"""The compiled policy: strict, closed, and every promise with a forbid of its own."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import cedarpy
import pytest
from tests import boardroom

from safehold import charter as charters
from safehold.charter.check import CARELESS, Grid, _allowed
from safehold.charter.compile import build
from safehold.charter.rule import GUARD, RED_LINE, Rule
from safehold.charter.types import banned_terms, schema
from safehold.charter.vocabulary import ACTIONS
from safehold.errors import InvalidError, MissingError, RedLineError

TEXT = charters.shipped("demo").read_text("utf-8")


def without(*names: str) -> charters.Policy:
    policy = boardroom.policy()
    kept = [rule for rule in policy.rules if rule.id.partition("/")[0] not in names]
    assert len(kept) < len(policy.rules)
    return build(policy.charter, kept)


@pytest.mark.parametrize("name", ["example", "demo"])
def test_the_shipped_charters_hold_every_promise(name):
    findings = charters.check(boardroom.charter(name))
    promise = boardroom.charter(name)
    assert set(findings.actions) == set(ACTIONS)
    assert {f"red_line.{line.id}" for line in promise.red_lines} <= {
        f.id for f in findings.promises
    }
    assert findings.requests > 1000
    assert findings.to_json()["digest"] == promise.digest().hex()
    assert all(finding.requests for finding in findings.promises)


def breaches(policy: charters.Policy, promise: str) -> int:
    """Count the requests against one promise that a policy with a careless permit allows."""
    grid = Grid(policy.charter, ACTIONS)
    tried = next(list(requests) for id_, _, requests in grid.promises() if id_ == promise)
    open_ = cedarpy.PolicySet.from_str(f"{policy.cedar}\n{CARELESS}")
    entities = cedarpy.Entities.from_json_str(json.dumps(grid.entities), schema=policy.types)
    return len(_allowed(tried, open_, entities))


RAW = [f"guard.closed-{a}" for a in ("read_raw", "read_rows", "export_vectors", "bulk_export")]
RAW += ["guard.blind-engineer", "guard.blind-auditor"]
CASES = [
    *(
        [f"red_line.{line.id}", *(RAW if line.id == "no-raw-to-people" else [])]
        for line in boardroom.charter().red_lines
    ),
    *(
        [f"guard.{name}"]
        for name in (
            "consent", "jurisdiction", "retention", "assurance", "grant", "grant-purpose", "grant-stage",
            "grant-what", "grant-segment", "grant-expired", "grant-holder", "grant-role", "own-data", "label",
            "unlabelled", "closed-operate", "closed-verify", "closed-erase_own", "closed-object",
            "approvers-data_scientist",
        )
    ),
]  # fmt: skip


@pytest.mark.parametrize("dropped", CASES, ids=lambda names: names[0])
def test_without_its_forbid_a_promise_falls_to_a_careless_permit(dropped):
    assert breaches(boardroom.policy(), dropped[0]) == 0
    assert breaches(without(*dropped), dropped[0]) > 0


def test_the_check_names_the_promise_that_falls():
    with pytest.raises(RedLineError) as caught:
        charters.examine(without("red_line.no-emotion-inference"))
    assert caught.value.rule == "charter.red_line.no-emotion-inference"


def test_every_red_line_is_a_forbid_with_an_id():
    policy = boardroom.policy("example")
    for line in policy.charter.red_lines:
        rule = policy.rule(f"red_line.{line.id}")
        assert rule.kind == RED_LINE
        assert rule.text().startswith(f'@id("red_line.{line.id}")\nforbid(')
    with pytest.raises(MissingError):
        policy.rule("red_line.none")


def test_blind_roles_have_a_forbid_and_verify_is_for_those_named():
    policy = boardroom.policy()
    assert policy.rule("guard.blind-engineer").kind == GUARD
    closed = policy.rule("guard.closed-verify").text()
    assert 'Role::"auditor"' in closed
    assert 'Role::"employee"' in closed
    assert 'Role::"engineer"' not in closed
    text = TEXT.replace("verify], stages: [self]", "object], stages: [self]").replace(
        ", object, object]", ", object]"
    )
    narrower = charters.compile(charters.parse(text))
    assert 'Role::"employee"' not in narrower.rule("guard.closed-verify").text()


@pytest.mark.parametrize(
    "term",
    [
        'context.purpos == Purpose::"train_ui_agent"',
        'context.purpose == Purpose::"train_ui_agnt"',
        'principal.role == Role::"king"',
        'context.people < "50"',
        'resource.note == "x"',
        'principal.operator == "x"',  # only an agent has one: an unguarded read would err for the others
    ],
)
def test_a_forbid_that_could_err_is_refused_before_it_is_loaded(term):
    bad = Rule(
        id="red_line.x",
        kind=RED_LINE,
        plain="x",
        head="forbid(principal, action, resource)",
        terms=(term,),
    )
    with pytest.raises(InvalidError) as caught:
        build(boardroom.charter(), [bad])
    assert caught.value.rule == "charter.cedar.strict"


def test_a_schema_that_lacks_an_action_fails_the_check():
    policy = boardroom.policy()
    lacking = re.sub(r'^action "object".*\n?', "", policy.schema, flags=re.MULTILINE)
    with pytest.raises(InvalidError) as caught:
        charters.examine(replace(policy, schema=lacking))
    assert caught.value.rule == "charter.check.actions"


def test_a_misspelt_purpose_is_a_type_error():
    policy = boardroom.policy()
    grid = Grid(policy.charter, ACTIONS)
    asked = grid.request("operate", grid.principals[0], purpose="train_ui_agnet")
    result = cedarpy.is_authorized(asked, policy.policies, [], policy.types)
    assert result.decision is cedarpy.Decision.NoDecision
    assert not result.allowed


def test_forbidden_terms_are_purposes_of_the_schema():
    promise = boardroom.charter()
    text = schema(promise)
    for line in promise.red_lines:
        for term in banned_terms(line):
            assert f'"{term}"' in text


def test_the_policy_is_the_same_text_each_time():
    assert charters.compile(boardroom.charter()).cedar == boardroom.policy().cedar


@pytest.mark.proof
@pytest.mark.parametrize("name", ["example", "demo"])
def test_the_whole_product_holds(name):
    assert charters.check(boardroom.charter(name), exhaustive=True).requests > 50_000
