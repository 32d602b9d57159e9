"""The prover: what is proved, the five sabotages, and what it says of each."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests import boardroom
from tests.command_line import World
from tests.conftest import SHARED

from safehold import charter as charters
from safehold.charter.prove import NotProvedError, ReachableError, prove, prove_text
from safehold.charter.prove.reference import judge
from safehold.errors import InvalidError, RedLineError

SHARED_EXAMPLE = SHARED / "examples" / "charter.yaml"
NAMES = ("example", "demo", "shared")


def policy(name: str) -> charters.Policy:
    if name != "shared":
        return boardroom.policy(name)
    if not SHARED_EXAMPLE.is_file():
        pytest.skip("the shared example is not on this machine")
    return charters.compile(charters.load(SHARED_EXAMPLE))


def sabotage(made: charters.Policy, old: str, new: str) -> str:
    assert made.cedar.count(old) >= 1
    return made.cedar.replace(old, new)


def reach(made: charters.Policy, cedar: str) -> ReachableError:
    """Return the counterexample for a sabotaged text."""
    with pytest.raises(ReachableError) as caught:
        prove_text(made.charter, cedar)
    error = caught.value
    assert isinstance(error, RedLineError)
    assert error.exit_code == 1
    assert error.message.startswith(error.counterexample.sentence)
    return error


@pytest.mark.parametrize("name", NAMES)
def test_every_promise_of_the_charters_is_proved(name):
    made = policy(name)
    proof = prove(made, thorough=True)
    ids = [one.id for one in proof.held]
    assert {f"red_line.{line.id}" for line in made.charter.red_lines} <= set(ids)
    assert ids[-2:] == ["closed_world", "who_may"]
    assert all(one.cpu_ms is not None for one in proof.held)
    # each guard that is compiled is promised on its own account
    guards = {rule.id for rule in made.rules if rule.kind == "guard"}
    assert guards == {one for one in ids if one.startswith("guard.")}
    assert proof.dead == ()
    assert proof.environments == 3 * 14
    assert proof.to_json()["proved"] == len(ids)


@pytest.mark.parametrize("name", NAMES)
def test_a_catch_all_permit_is_found(name):
    made = policy(name)
    error = reach(made, f'{made.cedar}\n@id("all") permit(principal, action, resource);')
    assert error.rule == "charter.closed_world"
    assert error.message.startswith("A data scientist could run an approved recipe in ")
    assert error.message.endswith(", although nothing in who_may allows it")
    assert f'for "{error.counterexample.request.text("context.purpose")}"' in error.message
    assert not error.counterexample.careless
    assert not judge(made.charter, error.counterexample.request).named


@pytest.mark.parametrize("name", NAMES)
def test_break_glass_on_a_red_line_is_found(name):
    made = policy(name)
    line = made.rule("red_line.no-performance-use").text()
    text = f"{line.removesuffix(';')} unless {{ context.grant_approvals >= 6 }};"
    error = reach(made, sabotage(made, line, text))
    assert error.rule == "charter.red_line.no-performance-use"
    assert "A data scientist could run an approved recipe in training on keys" in error.message
    assert "although red line no-performance-use forbids it" in error.message
    assert error.counterexample.request.number("context.grant_approvals") >= 6


@pytest.mark.parametrize("name", NAMES)
def test_a_dropped_term_is_found(name):
    made = policy(name)
    line = made.rule("red_line.no-performance-use").text()
    text = line.replace('Purpose::"dpv:PersonnelTerminationManagement", ', "")
    assert text != line
    error = reach(made, sabotage(made, line, text))
    assert error.rule == "charter.red_line.no-performance-use"
    assert '"PersonnelTerminationManagement"' in error.message
    assert not error.complaint


@pytest.mark.parametrize("name", NAMES)
def test_a_misspelt_purpose_is_found_and_named(name):
    made = policy(name)
    line = made.rule("red_line.no-performance-use").text()
    text = line.replace("PersonnelTerminationManagement", "PersonelTerminationManagement")
    error = reach(made, sabotage(made, line, text))
    assert error.rule == "charter.red_line.no-performance-use"
    assert 'for "PersonnelTerminationManagement"' in error.counterexample.sentence
    assert "dpv:PersonelTerminationManagement" in error.complaint
    assert error.complaint in error.message


@pytest.mark.parametrize("name", NAMES)
def test_a_purpose_that_is_misspelt_where_it_only_narrows_is_found_too(name):
    made = policy(name)
    cedar = sabotage(
        made,
        'context.purpose == Purpose::"train_ui_agent"',
        'context.purpose == Purpose::"trainui"',
    )
    error = reach(made, cedar)
    assert error.rule == "charter.who_may"
    assert 'could not run an approved recipe in training on keys for "train_ui_agent"' in (
        error.message
    )
    assert "trainui" in error.complaint


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("everywhere", [True, False])
def test_a_removed_expiry_is_found(name, everywhere):
    made = policy(name)
    cedar = sabotage(made, made.rule("guard.grant-expired").text(), "")
    if everywhere:
        cedar = cedar.replace(" && (context.now < context.grant_expires)", "")
    error = reach(made, cedar)
    assert error.rule == "charter.guard.grant-expired"
    assert "after the grant has ended" in error.message
    # while the permits still ask for it, it takes a further permit, and the sentence says so
    assert error.counterexample.careless is not everywhere
    assert error.message.startswith("As soon as anybody adds") is not everywhere


def lose_each(made: charters.Policy, *, step: int) -> None:
    idle = set(prove(made, thorough=True).idle)
    lost = [rule for rule in made.rules if rule.kind != "permit" and rule.id not in idle]
    for rule in lost[::step]:
        error = reach(made, sabotage(made, rule.text(), ""))
        assert error.rule == f"charter.{rule.id.partition('/')[0]}"


def test_some_forbids_are_missed_where_they_are_lost():
    lose_each(boardroom.policy("example"), step=6)


@pytest.mark.proof
@pytest.mark.parametrize("name", NAMES)
def test_each_forbid_that_matters_is_missed_where_it_is_lost(name):
    lose_each(policy(name), step=1)


def test_a_policy_that_may_err_is_not_proved():
    made = boardroom.policy()
    with pytest.raises(NotProvedError) as caught:
        prove_text(
            made.charter, f"{made.cedar}\nforbid(principal, action, resource) when {{ context.x }};"
        )
    assert caught.value.exit_code == 1


def test_text_that_does_not_parse_is_refused():
    with pytest.raises(InvalidError):
        prove_text(boardroom.charter(), "permit(principal")


def test_the_proof_is_remembered_for_the_same_policy_only():
    made = boardroom.policy()
    assert prove(made) is prove(made)
    again = prove_text(made.charter, f"{made.cedar}\n")
    assert again is not prove(made)


def test_the_command_line_proves_and_refutes(tmp_path: Path):
    world = World(tmp_path)
    file = str(charters.shipped("demo"))
    good = world.run("charter", "prove", file, "--json")
    assert good.code == 0
    assert good.json["promises"][0]["id"] == "red_line.no-performance-use"
    cedar = tmp_path / "bad.cedar"
    cedar.write_text(f"{boardroom.policy().cedar}\npermit(principal, action, resource);")
    bad = world.try_run("charter", "prove", file, "--policy", str(cedar))
    assert bad.code == 1
    assert "although nothing in who_may allows it" in bad.err
