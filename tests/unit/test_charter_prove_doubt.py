"""In doubt nothing is proved: the solver gives up, or Cedar, the reference and the prover disagree."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests import boardroom

from safehold.charter.prove import NotProvedError, ReachableError, proof, prove_text
from safehold.charter.prove.proof import Prover
from safehold.charter.prove.reference import Judgement, judge
from safehold.charter.prove.request import Answer, Judge
from safehold.charter.types import schema


def prove_anew(cedar: str | None = None, *, thorough: bool = False):
    """Prove without what is remembered."""
    made = boardroom.policy()
    return Prover(made.charter, cedar or made.cedar, made.schema).run(thorough=thorough)


def open_() -> str:
    return f"{boardroom.policy().cedar}\npermit(principal, action, resource);"


def test_a_solver_that_gives_up_proves_nothing(monkeypatch):
    monkeypatch.setattr(proof, "STEPS", 1)
    with pytest.raises(NotProvedError, match="gave up"):
        prove_anew()


def test_a_counterexample_that_cedar_denies_is_an_error_of_the_prover(monkeypatch):
    with pytest.raises(ReachableError):
        prove_anew(open_())
    monkeypatch.setattr(Judge, "answer", lambda *_: Answer(allowed=False, rules=()))
    with pytest.raises(NotProvedError, match="Cedar denies"):
        prove_anew(open_())


def test_a_counterexample_that_the_reference_accepts_is_one_too(monkeypatch):
    monkeypatch.setattr(proof, "judge", lambda *_: Judgement(broken=frozenset(), named=True))
    with pytest.raises(NotProvedError, match="the reference finds a way"):
        prove_anew(open_())
    made = boardroom.policy()
    with pytest.raises(NotProvedError, match=r"against guard\.consent"):
        prove_anew(made.cedar.replace(made.rule("guard.consent").text(), ""))


def test_a_lost_permit_is_confirmed_by_both(monkeypatch):
    made = boardroom.policy()
    lost = made.cedar.replace(made.rule("permit.1").text(), "")
    with pytest.raises(ReachableError, match="could not"):
        prove_anew(lost)
    monkeypatch.setattr(Judge, "answer", lambda *_: Answer(allowed=True, rules=()))
    with pytest.raises(NotProvedError, match="Cedar allows"):
        prove_anew(lost)
    monkeypatch.undo()
    monkeypatch.setattr(proof, "judge", lambda *_: Judgement(broken=frozenset({"x"}), named=True))
    with pytest.raises(NotProvedError, match="the reference refuses"):
        prove_anew(lost)


def test_a_name_that_no_request_can_state_allows_nothing():
    """It is the policy that is not valid, then; there is no request to show."""
    made = boardroom.policy()
    odd = 'permit(principal, action, resource) when { context.purpose == Purpose::"nowhere" };'
    with pytest.raises(NotProvedError, match="nowhere") as caught:
        prove_text(made.charter, f'{made.cedar}\n@id("odd") {odd}')
    assert caught.value.rule == "charter.cedar.strict"
    assert "odd" in caught.value.message


def test_types_that_lack_an_action_or_a_forbidden_purpose_prove_nothing():
    made = boardroom.policy()
    for line in ('action "object"',):
        lacking = "\n".join(one for one in made.schema.splitlines() if not one.startswith(line))
        with pytest.raises(NotProvedError, match="lack an action"):
            Prover(made.charter, made.cedar, lacking)
    lacking = made.schema.replace('"sh:infer_emotion", ', "")
    assert lacking != made.schema
    rest = made.cedar.replace(made.rule("red_line.no-emotion-inference").text(), "")
    with pytest.raises(NotProvedError, match="sh:infer_emotion"):
        Prover(made.charter, rest, lacking).run(thorough=False)


def test_a_purpose_that_touches_a_red_line_is_found_though_the_review_let_it_pass():
    """The promise looks at a purpose's own uses, in every vocabulary, and not only at what is stated."""
    old = boardroom.charter()
    purpose = old.purposes["train_ui_agent"]
    uses = replace(purpose.uses, dpv="dpv:PersonnelPerformanceEvaluation")
    bad = replace(old, purposes={**old.purposes, "train_ui_agent": replace(purpose, uses=uses)})
    with pytest.raises(ReachableError) as caught:
        Prover(bad, boardroom.policy().cedar, schema(bad)).run(thorough=False)
    assert caught.value.rule == "charter.red_line.no-performance-use"
    assert 'for "train_ui_agent"' in caught.value.message
    assert "red_line.no-performance-use" in judge(bad, caught.value.counterexample.request).broken


def test_a_permit_that_can_never_fire_is_a_warning_and_an_idle_forbid_a_remark():
    made = boardroom.policy()
    contradictions = (
        "context.people < 0 && context.people > 0",
        'context.grant_segments.isEmpty() && context.grant_segments.contains("bo")',
        'resource.segment == "bo" && context.grant_segments.contains(resource.segment)'
        ' && !context.grant_segments.contains("bo")',
        'resource.silos.isEmpty() && resource.silos.contains(Silo::"hr")',
        'context.stage == Stage::"query" && [Stage::"audit", Stage::"self"].contains(context.stage)',
    )
    dead = "\n".join(
        f'@id("dead{place}") permit(principal, action, resource) when {{ {one} }};'
        for place, one in enumerate(contradictions)
    )
    idle = '@id("idle") forbid(principal, action, resource) when { context.consent && !context.consent };'
    found = prove_text(made.charter, f"{made.cedar}\n{dead}\n{idle}", thorough=True)
    assert found.dead == ("dead0", "dead1", "dead2", "dead3", "dead4")
    assert "idle" in found.idle
    assert "guard.consent" not in found.idle
