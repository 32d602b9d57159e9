"""For any two charters: what is called narrower allows nothing more, in the policy or in any other clause."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests import amending, boardroom, judging
from tests.requests_at_random import Draw, covers

from safehold.charter import compile  # noqa: A004
from safehold.charter.difference import compare
from safehold.charter.difference.change import NARROWER
from safehold.charter.difference.walk import changes
from safehold.charter.review import review

CHANCE = st.integers(0, 2**32 - 1).map(random.Random)
STARTS = (amending.full(), boardroom.charter("example"), boardroom.charter("demo"))
FEW = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
MANY = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
QUESTIONS = 400


def pair(chance):
    old = amending.amend(chance, chance.choice(STARTS), chance.randint(0, 2))
    return old, amending.amend(chance, old, chance.randint(1, 4))


def narrowed(chance, charter, steps):
    """Return a charter that is some narrowing amendments away, as the fields have it."""
    made = charter
    for _ in range(steps):
        for _ in range(200):
            leaf = chance.choice([one for one in amending.leaves(made) if one.pattern != "version"])
            if not (choices := amending.others(leaf)):
                continue
            new = leaf.put(chance.choice(choices))
            sides = {change.side for change in changes(made, new)}
            if sides == {NARROWER} and not list(review(new)):
                made = new
                break
    return made


@FEW
@given(CHANCE)
def test_no_request_is_decided_otherwise_unless_a_sentence_speaks_about_it(chance):
    old, new = pair(chance)
    found = compare(old, new)
    changes_ = (*found.allowed, *found.denied)
    # what the solver would find, and what requests at random do find
    assert not any(change.message.startswith("policy.un") for change in changes_)
    told = [cell for change in changes_ for cell in change.cells]
    draw = Draw(compile(old), compile(new), chance, told=told)
    requests = draw.requests(120)
    for request, (before, after) in zip(requests, draw.ask(requests), strict=True):
        if before != after:
            speak = found.allowed if after else found.denied
            assert any(covers(change, request) for change in speak), request["_"]
            assert not (after and found.direction == "narrow")


@FEW
@given(CHANCE)
def test_what_is_narrower_allows_no_request_more_and_nothing_else_more(chance):
    old = amending.amend(chance, chance.choice(STARTS), 1)
    new = narrowed(chance, old, chance.randint(1, 5))
    found = compare(old, new)
    if found.direction != "narrow":
        return  # what employees lose counts as wider, and is tried elsewhere
    told = [cell for change in found.denied for cell in change.cells]
    draw = Draw(compile(old), compile(new), chance, told=told)
    requests = draw.requests(120)
    assert not any(after and not before for before, after in draw.ask(requests))
    for question in judging.questions(chance, (old, new), QUESTIONS):
        assert not (judging.passes(new, question) and not judging.passes(old, question)), question


@MANY
@given(CHANCE)
def test_the_orders_of_the_fields_agree_with_a_judge_who_never_saw_them(chance):
    old = amending.amend(chance, chance.choice(STARTS), 1)
    new = narrowed(chance, old, chance.randint(1, 5))
    if not (found := list(changes(old, new))) or any(one.side != NARROWER for one in found):
        return
    for question in judging.questions(chance, (old, new), QUESTIONS):
        assert not (judging.passes(new, question) and not judging.passes(old, question)), question


@MANY
@given(CHANCE)
def test_a_judge_who_finds_more_finds_it_called_wider(chance):
    old, new = pair(chance)
    wider = any(one.side != NARROWER for one in changes(old, new))
    for question in judging.questions(chance, (old, new), QUESTIONS):
        if judging.passes(new, question) and not judging.passes(old, question):
            assert wider, question


@MANY
@given(CHANCE)
def test_nothing_changes_without_being_told(chance):
    old, new = pair(chance)
    same = replace(old, version=new.version).digest() == new.digest()
    assert bool(list(changes(old, new))) != same


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(CHANCE)
def test_narrower_there_is_wider_back_and_narrower_twice_is_narrower(chance):
    first = chance.choice(STARTS)
    second = narrowed(chance, first, chance.randint(1, 3))
    third = narrowed(chance, second, chance.randint(1, 3))
    steps = [compare(one, two).direction for one, two in ((first, second), (second, third))]
    for (one, two), step in zip(((first, second), (second, third)), steps, strict=True):
        if step == "narrow":
            assert compare(two, one).direction == "widen"
        if step == "same":
            assert compare(two, one).direction == "same"
    if steps == ["narrow", "narrow"]:
        assert compare(first, third).direction == "narrow"


@pytest.mark.parametrize("start", range(len(STARTS)))
def test_the_judge_sees_every_kind_of_question_pass_and_fail(start):
    chance = random.Random(start)
    charter = STARTS[start]
    seen = {}
    for question in judging.questions(chance, (charter, STARTS[0]), 6000):
        seen.setdefault(type(question).__name__, set()).add(judging.passes(charter, question))
    assert seen == {name: {True, False} for name in judging.KINDS}
