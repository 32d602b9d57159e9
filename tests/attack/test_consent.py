"""Consent: who does not agree now is absent from every use, although their blocks are there."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.world import EVIDENCE, PURPOSE, World, raised

from safehold.charter import Charter
from safehold.errors import DeniedError, MissingError, SafeholdError


def _feature(world: World) -> dict[str, Any]:
    return world.call("feature", purpose=PURPOSE)


def _names(world: World) -> set[str]:
    """Return the external ids of those whose derived blocks lie in the catalogue."""
    return set(world.held("derived"))


def _trained(world: World) -> int:
    """Ask for training and return over how many people it would have run."""
    before = len(world.workshop.packed)
    _, holder = world.pass_()
    error = world.train(holder)
    assert error.rule == "test.train", repr(error)
    assert len(world.workshop.packed) == before + 1
    return len(world.workshop.seen)


def test_those_who_never_opted_in_are_nowhere(world: World) -> None:
    everybody = {one.external for one in world.desk.people.everybody().values()}
    outsiders = everybody - set(world.participants())
    assert len(outsiders) >= 5
    assert not outsiders & set(world.held())
    _feature(world)
    assert not outsiders & _names(world)


@pytest.mark.parametrize(
    ("choice", "rule"), [("withdraw", "subjects.withdrawn"), ("pause", "subjects.paused")]
)
def test_rows_are_absent_from_features(world: World, somebody: str, choice: str, rule: str) -> None:
    people = _feature(world)["people"]
    assert len(world.workshop.seen) == people
    blocks = world.held()[somebody]
    world.later(seconds=1)
    world.choose(somebody, choice)
    answer = _feature(world)
    assert world.held()[somebody] == blocks, "the blocks are still there"
    assert answer["left_out"] == {rule: 1}
    assert len(world.workshop.seen) == people - 1 == answer["people"]
    assert somebody not in _names(world)


@pytest.mark.parametrize("choice", ["withdraw", "pause"])
def test_features_made_before_are_not_used_for_training(
    world: World, somebody: str, choice: str
) -> None:
    _feature(world)
    assert somebody in _names(world)
    people = len(_names(world))
    world.choose(somebody, choice)
    assert _trained(world) == people - 1


def test_a_narrower_consent_ends_what_was_derived_from_more(world: World, somebody: str) -> None:
    _feature(world)
    people = len(_names(world))
    world.choose(somebody, "consent", streams=["focus"], evidence=EVIDENCE)
    assert somebody not in _names(world)
    assert _trained(world) == people - 1
    _feature(world)
    headers = [one for one in world.workshop.packed[-1] if one["stream"] != "focus"]
    assert len({one["person"] for one in headers}) == people - 1


def test_a_person_who_moved_away_is_left_out(world: World, somebody: str) -> None:
    _feature(world)
    people = len(_names(world))
    desk = world.desk
    desk.people.change(world.person(somebody), lambda one: replace(one, jurisdiction="DE"))
    assert _trained(world) == people - 1
    answer = _feature(world)
    assert answer["left_out"] == {"charter.place": 1}
    assert len(world.workshop.seen) == people - 1


def test_a_place_that_left_the_charter_is_left_out(world: World) -> None:
    everybody = {one.external: one for one in world.desk.people.everybody().values()}
    there = {name for name in world.held() if everybody[name].jurisdiction == "US-WA"}
    assert there
    old = world.charter().to_json()
    new = json.loads(json.dumps(old).replace('"US-WA"', '"US-OR"'))
    new["version"] = 2
    world.enact(Charter.from_json(new))
    answer = _feature(world)
    assert answer["left_out"] == {"charter.place": len(there)}
    assert not there & _names(world)


def test_a_choice_is_in_the_ledger_before_it_counts(world: World, somebody: str) -> None:
    """Cut the power between the leaf and the register: the keeper finds the choice in the ledger."""

    class PowerCut(Exception):
        pass

    def cut(*_arguments: Any) -> None:
        raise PowerCut

    people = world.desk.people
    before = world.desk.ledger.size
    change, people.change = people.change, cut  # type: ignore[method-assign]
    with pytest.raises(SafeholdError):
        world.choose(somebody, "withdraw")
    people.change = change  # type: ignore[method-assign]
    kinds = [leaf["k"] for _, leaf in world.desk.ledger.leaves(before)]
    assert "choice" in kinds
    world.restart()
    assert world.desk.people.standing(world.person(somebody)).withdrawn_us is not None


def test_enrolment_is_in_the_ledger_before_it_counts(world: World) -> None:
    def cut(*_arguments: Any) -> Any:
        raise OSError("power cut")

    ledger = world.desk.ledger
    append, ledger.append = ledger.append, cut  # type: ignore[method-assign]
    people = [{"person": "late", "jurisdiction": "US-CA", "streams": ["key"]}]
    raised(lambda: world.call("people.enrol", people=people, evidence=EVIDENCE))
    ledger.append = append  # type: ignore[method-assign]
    assert not world.desk.people.knows("late")


def test_an_unknown_or_unfit_purpose_opens_nothing(world: World) -> None:
    size = world.desk.ledger.size
    for purpose in ("rank_employees", "", "train_ui_agent:1", "secure_the_pipeline"):
        error = raised(lambda purpose=purpose: world.call("feature", purpose=purpose))
        assert isinstance(error, DeniedError | MissingError), repr(error)
        assert error.exit_code != 2
    assert not world.workshop.packed
    kinds = {leaf["k"] for _, leaf in world.desk.ledger.leaves(size)}
    assert "access.intent" not in kinds


def test_a_purpose_added_later_does_not_open_older_blocks(world: World) -> None:
    tree = world.charter().to_json()
    tree["version"] = 2
    name = next(iter(tree["purposes"])) if isinstance(tree["purposes"], dict) else None
    if name is None:
        second = json.loads(json.dumps(tree["purposes"][0]))
        pytest.fail(f"purposes are a list: {sorted(second)}")
    tree["purposes"]["train_another"] = json.loads(json.dumps(tree["purposes"][PURPOSE]))
    world.enact(Charter.from_json(tree))
    error = raised(lambda: world.call("feature", purpose="train_another"))
    assert isinstance(error, DeniedError)
    assert not world.workshop.packed
