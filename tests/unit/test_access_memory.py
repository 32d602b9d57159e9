"""A decision that is recalled is the one that would be made."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from tests.boardroom import HOUR, NOW, charter, claims, policy, request

from safehold.access import AccessRequest, Decision
from safehold.access.memory import Memory, bounds
from safehold.access.policy import _decide, _translate, authorise
from safehold.charter.compile import build
from safehold.errors import ConsentError, DeniedError, RedLineError


def outcome(act) -> tuple[object, ...]:
    try:
        found: Decision = act()
    except DeniedError as error:
        return type(error), error.message, error.rule, error.fix
    return found.rules, found.plain


def drawn(rng: random.Random) -> AccessRequest:
    """Return a request of which every part has few values, so that many come again."""
    return request(
        now_us=rng.choice([NOW + 4, NOW + HOUR, NOW + 3 * HOUR, NOW + 5 * HOUR, NOW + 101 * HOUR]),
        expires_us=rng.choice([NOW + 2 * HOUR, NOW + 100 * HOUR]),
        stage=rng.choice(["training", "feature", "embedding"]),
        people=rng.choice([49, 50, 70]),
        consent=rng.random() < 0.8,
        claims=rng.choice([claims(), claims(), None]),
        streams=rng.choice([("feature",), ("key",), ("metric",)]),
        purposes=rng.choice([("train_ui_agent",), ()]),
    )


def both(memory: Memory, asked: AccessRequest) -> tuple[object, object]:
    """Return what is recalled, and what is decided anew."""
    question, entities = _translate(policy(), asked)

    def fresh() -> Decision:
        return _decide(policy(), asked, question, entities)

    return outcome(lambda: memory.recall(policy(), question, entities, fresh)), outcome(fresh)


def test_what_is_recalled_is_what_would_be_decided() -> None:
    rng, memory, kinds = random.Random(7), Memory(), set()
    for _ in range(250):
        asked = drawn(rng)
        told, fresh = both(memory, asked)
        assert told == fresh
        kinds.add(told[0] if isinstance(told[0], type) else "allowed")
    assert {"allowed", DeniedError, ConsentError, RedLineError} <= kinds
    assert 0 < len(memory._known) < 250  # some came again


def test_a_refusal_that_is_recalled_is_a_new_error() -> None:
    made, asked = policy(), request(consent=False)
    errors = []
    for _ in range(2):
        with pytest.raises(ConsentError) as caught:
            authorise(made, asked)
        errors.append(caught.value)
    errors[0].entry = 7
    assert errors[1].entry is None


def test_the_end_of_grant_and_data_is_seen_however_often_it_was_allowed() -> None:
    made, asked = policy(), request()
    for _ in range(3):
        assert authorise(made, asked)
    for late in (claims().expires_us, claims().grant_expires_us + 1):
        with pytest.raises(DeniedError) as caught:
            authorise(made, replace(asked, now_us=late))
        assert caught.value.rule == "charter.guard.grant-expired"
    with pytest.raises(DeniedError) as caught:
        authorise(made, replace(asked, expires_us=asked.now_us))
    assert caught.value.rule == "charter.guard.retention"


def test_another_policy_of_the_same_charter_is_asked_itself() -> None:
    made, asked = policy(), request()
    assert authorise(made, asked)
    closed = build(charter(), [rule for rule in made.rules if rule.kind != "permit"])
    with pytest.raises(DeniedError):
        authorise(closed, asked)
    assert authorise(made, asked)


def test_a_policy_that_asks_more_of_the_moment_is_never_remembered() -> None:
    made = policy()
    assert bounds(made.cedar) == (50,)
    for more in (
        "now < 5",
        "now > resource.expires",
        "people > 3",
        "people < 3 + 1, context.people",
    ):
        assert (
            bounds(f"{made.cedar} forbid(principal, action, resource) when {{ context.{more} }};")
            is None
        )
    asked, memory, calls = request(), Memory(), []
    question, entities = _translate(made, asked)
    odd = replace(made, cedar=made.cedar + " // context.now > 1")
    for _ in range(2):
        memory.recall(odd, question, entities, lambda: calls.append(1))
    assert len(calls) == 2


def test_no_more_is_kept_than_there_is_room_for() -> None:
    made, memory = policy(), Memory(most=3)
    for number in range(10):
        question, entities = _translate(made, request(segment=f"team-{number}"))
        memory.recall(made, question, entities, lambda: "allowed")
    assert len(memory._known) == 3
