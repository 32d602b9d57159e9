"""One decision: what is allowed, and which rule refuses the rest."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests import boardroom
from tests.boardroom import HOUR, NOW, request

from safehold.access import Agent, Human, Workload, authorise
from safehold.charter.compile import build
from safehold.charter.rule import RED_LINE, Rule
from safehold.errors import ConsentError, DeniedError, RedLineError


def refuse(**changes) -> DeniedError:
    with pytest.raises(DeniedError) as caught:
        authorise(boardroom.policy(), request(**changes))
    return caught.value


def test_a_valid_use_is_allowed_and_says_why():
    decision = authorise(boardroom.policy(), request())
    assert decision.plain == ("data_scientist may run approved recipe for train_ui_agent",)
    assert decision.charter == boardroom.charter().digest().hex()


def test_the_pipeline_may_operate_without_a_grant():
    who = Workload(id="pipeline", role="engineer")
    ok = request(
        principal=who, action="operate", stage="ingest", streams=("key",), claims=None, holder=""
    )
    assert authorise(boardroom.policy(), ok).rules


@pytest.mark.parametrize(
    ("changes", "kind", "rule"),
    [
        ({"people": 49}, RedLineError, "charter.red_line.no-single-person-query"),
        ({"action": "read_raw"}, RedLineError, "charter.red_line.no-raw-to-people"),
        ({"action": "bulk_export"}, RedLineError, "charter.red_line.no-raw-to-people"),
        ({"action": "join_external"}, RedLineError, "charter.red_line.no-cross-join"),
        ({"silos": ("hr",)}, RedLineError, "charter.red_line.no-cross-join"),
        ({"purpose": "fides:employment"}, RedLineError, "charter.red_line.no-performance-use"),
        ({"purpose": "sh:infer_emotion"}, RedLineError, "charter.red_line.no-emotion-inference"),
        ({"purposes": ("train_ui_agent", "fides:marketing")}, RedLineError, "charter.red_line.no-onward-transfer"),
        ({"consent": False}, ConsentError, "charter.guard.consent"),
        ({"jurisdictions": ("US-CA", "DE")}, DeniedError, "charter.guard.jurisdiction"),
        ({"jurisdictions": ()}, DeniedError, "charter.guard.unlabelled"),
        ({"streams": ()}, DeniedError, "charter.guard.unlabelled"),
        ({"purposes": ()}, DeniedError, "charter.guard.label"),
        ({"expires_us": NOW}, DeniedError, "charter.guard.retention"),
        ({"assurance": "E2"}, DeniedError, "charter.guard.assurance"),
        ({"assurance": "strong"}, DeniedError, "charter.guard.assurance"),
        ({"purpose": "secure_the_pipeline"}, DeniedError, "charter.guard.label"),
        ({"purpose": "secure_the_pipeline", "purposes": ("secure_the_pipeline",)}, DeniedError, "charter.guard.grant-purpose"),
        ({"purpose": "hr_layof"}, DeniedError, "policy.error"),
        ({"purpose": ""}, DeniedError, "charter.guard.purpose"),
        ({"claims": None}, DeniedError, "charter.guard.grant"),
        ({"stage": "ingest"}, DeniedError, "charter.guard.grant-stage"),
        ({"stage": "nowhere"}, DeniedError, "policy.action"),
        ({"action": "peek"}, DeniedError, "policy.action"),
        ({"streams": ("chat",)}, DeniedError, "charter.guard.grant-what"),
        ({"segment": "team-2"}, DeniedError, "charter.guard.grant-segment"),
        ({"now_us": NOW + 2 * HOUR}, DeniedError, "charter.guard.grant-expired"),
        ({"holder": "someone else"}, DeniedError, "charter.guard.grant-holder"),
        ({"holder": ""}, DeniedError, "charter.guard.grant-holder"),
        ({"principal": Human(id="eve", role="engineer")}, DeniedError, "charter.guard.grant-role"),
        ({"principal": Human(id="eve", role="king")}, DeniedError, "charter.guard.grant-role"),
        ({"principal": Agent(id="bot", operator="ana")}, DeniedError, "charter.guard.grant-role"),
        ({"action": "operate"}, DeniedError, "charter.guard.closed-operate"),
    ],
)  # fmt: skip
def test_one_wrong_thing_is_refused_by_name(changes, kind, rule):
    error = refuse(**changes)
    assert error.rule == rule
    assert type(error) is kind


def test_red_lines_hold_against_every_approval():
    everything = replace(boardroom.claims(), approvals=6)
    assert refuse(claims=everything, people=1).rule == "charter.red_line.no-single-person-query"


def test_approvals_and_charter_of_the_grant_count():
    few = replace(boardroom.claims(), approvals=1)
    assert refuse(claims=few).rule == "charter.guard.approvers-data_scientist"
    old = replace(boardroom.claims(), charter="0" * 64)
    assert refuse(claims=old).rule == "charter.guard.grant"


def test_synthetic_data_may_run_in_a_weak_sandbox():
    assert authorise(boardroom.policy(), request(synthetic=True, assurance="E0")).rules


def test_own_data_only():
    me = Human(id="ana", role="employee")
    mine = request(
        principal=me, action="export_own", stage="self", purpose="", owner="ana", claims=None
    )
    assert authorise(boardroom.policy(), mine).rules
    for owner in ("bob", ""):
        assert (
            refuse(
                **{
                    f: getattr(mine, f)
                    for f in ("principal", "action", "stage", "purpose", "claims")
                },
                owner=owner,
            ).rule
            == "charter.guard.own-data"
        )


def test_verify_is_for_those_the_charter_names():
    who = Human(id="a", role="auditor")
    ok = request(principal=who, action="verify", stage="audit", purpose="", claims=None)
    assert authorise(boardroom.policy(), ok).rules
    assert (
        refuse(principal=Human(id="a", role="engineer"), action="verify", stage="audit").rule
        == "charter.guard.closed-verify"
    )


def test_an_agent_of_another_operator_is_refused():
    policy = boardroom.policy("example")
    bot = Agent(id="bot", operator="ana")
    held = replace(
        boardroom.claims(), principal=Agent(id="bot", operator="bob"), charter=policy.digest
    )
    with pytest.raises(DeniedError) as caught:
        authorise(policy, request(principal=bot, claims=held))
    assert caught.value.rule == "charter.guard.agent-operator"
    mine = replace(held, principal=bot)
    gates = ("reidentify-l2", "reidentify-l3")  # of the dataset: else nothing is trained on it
    assert authorise(policy, request(principal=bot, claims=mine, gates=gates)).rules


def test_nothing_is_trained_on_data_before_it_has_passed_its_own_gates():
    policy = boardroom.policy("example")
    held = replace(boardroom.claims(), charter=policy.digest)
    for gates in ((), ("reidentify-l3", "membership", "canary", "inversion")):
        with pytest.raises(DeniedError) as caught:
            authorise(policy, request(claims=held, gates=gates))
        assert caught.value.rule == "charter.guard.data-gates"
    assert authorise(policy, request(claims=held, gates=("reidentify-l2", "reidentify-l3"))).rules


def test_a_model_leaves_only_after_every_gate():
    policy = boardroom.policy("example")
    held = replace(boardroom.claims(), charter=policy.digest)
    ask = request(action="pull_artifact", claims=held, gates=("canary", "membership"))
    with pytest.raises(DeniedError) as caught:
        authorise(policy, ask)
    assert caught.value.rule == "charter.guard.gates"
    every = tuple(gate.id for gate in policy.charter.gates)
    assert authorise(policy, replace(ask, gates=every)).rules


def test_default_deny_names_the_nearest_rule_and_what_it_needs():
    error = refuse(
        principal=Human(id="e", role="engineer"),
        action="operate",
        stage="training",
        streams=("key",),
        claims=None,
    )
    assert error.rule == "charter.default_deny"
    assert "engineer may operate for train_ui_agent" in error.message
    assert "context.stage" in error.message


def test_a_forbid_that_errs_denies_although_cedar_would_allow():
    policy = boardroom.policy()
    bad = Rule(
        id="red_line.x",
        kind=RED_LINE,
        plain="x",
        head="forbid(principal, action, resource)",
        terms=("context.nothing",),
    )
    import cedarpy

    text = f"{policy.cedar}\n{bad.text()}"
    broken = replace(policy, policies=cedarpy.PolicySet.from_str(text))
    with pytest.raises(DeniedError) as caught:
        authorise(broken, request())
    assert caught.value.rule == "policy.error"


def test_adding_the_careless_permit_lifts_no_refusal_by_name():
    policy = boardroom.policy()
    careless = Rule(
        id="permit.all", kind="permit", plain="all", head="permit(principal, action, resource)"
    )
    open_ = build(policy.charter, [*policy.rules, careless])
    for changes in (
        {"people": 49},
        {"consent": False},
        {"claims": None},
        {"silos": ("hr",)},
        {"action": "read_raw"},
    ):
        with pytest.raises(DeniedError):
            authorise(open_, request(**changes))


def test_errors_carry_no_names_from_the_request():
    error = refuse(purpose="ssn-078-05-1120")
    assert "078" not in str(error.payload())
