"""An overfit model is caught, a planted sequence is found in it, and a model with noise enough passes both.

Every draw is seeded, so that nothing here depends on chance; the noise of the private model too.
"""

from __future__ import annotations

import functools

import numpy as np
import pytest

from safehold.assurance.canary.exposure import expose
from safehold.assurance.canary.plant import (
    count_for,
    draw_candidates,
    draw_planted,
    examples_of,
)
from safehold.assurance.likelihood import chances_of, confidence_of
from safehold.assurance.membership.score import halve_people, score_people, tally
from safehold.assurance.membership.shadow import fit, row_people
from safehold.charter.value import Threshold
from safehold.enclave import training
from safehold.enclave.action import Actions
from safehold.enclave.model import Shape, make_examples, predict
from safehold.errors import InvalidError
from safehold.privacy.account import calibrate
from safehold.privacy.attack import FAILED, MEMBERSHIP, PASSED, judge, membership_result

pytestmark = pytest.mark.filterwarnings("ignore:optax.global_norm:DeprecationWarning")

SHAPE = Shape(tokens=20, apps=3)
PEOPLE, OTHERS = 150, 40
KEY = bytes(range(32))
CANDIDATES = 1_023


@functools.cache
def crowd():
    """Return everybody's examples: common habits, and a habit of their own; the last are not trained on."""
    rng = np.random.default_rng(11)
    base = rng.dirichlet(np.full(20, 0.1), size=20)
    found = []
    for _ in range(PEOPLE):
        habits = 0.7 * base + 0.3 * rng.dirichlet(np.full(20, 0.1), size=20)
        token = [int(rng.integers(20))]
        for _ in range(48):
            token.append(int(rng.choice(20, p=habits[token[-1]] / habits[token[-1]].sum())))
        start = np.zeros(49, bool)
        start[0] = True
        found.append(make_examples(Actions(np.array(token), rng.integers(0, 3, 49), start), SHAPE))
    return found


@functools.cache
def planted():
    count = count_for(PEOPLE - OTHERS)
    return [examples_of(one, SHAPE) for one in draw_planted(KEY, count, tokens=20, apps=3)]


@functools.cache
def candidates():
    drawn = draw_candidates(KEY, CANDIDATES, tokens=20, apps=3)
    return [examples_of(one, SHAPE) for one in drawn]


@functools.cache
def overfit():
    data = row_people([*crowd(), *planted()], SHAPE, most=64)
    inside = np.array([True] * (PEOPLE - OTHERS) + [False] * OTHERS + [True] * len(planted()))
    return fit(data, inside, SHAPE, rounds=40, rate=4.0)


@functools.cache
def private():
    rng = np.random.default_rng(3)
    people = training.gather_people([*crowd()[: PEOPLE - OTHERS], *planted()], SHAPE, most=64)
    plan = calibrate(epsilon_micro=1_000_000, delta_e12=1_000_000, rounds=10)
    made = training.train(
        people, SHAPE, plan=plan, clip=0.1, rate=4.0,
        noise=lambda shape, deviation: rng.normal(0, deviation, shape),
    )  # fmt: skip
    return made.weights, made.bias


@functools.cache
def shadows():
    draw = np.random.default_rng(5).integers(0, 2**63, (2, PEOPLE)).astype(np.uint64)
    inside = halve_people(PEOPLE, shadows=4, draw=draw)
    data = row_people(crowd(), SHAPE, most=64)
    said = [figures(fit(data, one, SHAPE, rounds=40, rate=4.0)) for one in inside]
    return np.array(said), inside


def figures(model) -> list[float]:
    return [confidence_of(*model, one, SHAPE) for one in crowd()]


def attacked(model):
    member = np.arange(PEOPLE) < PEOPLE - OTHERS
    return tally(score_people(np.array(figures(model)), *shadows()), member)


def searched(model):
    def likely(sequences):
        return np.array(
            [chances_of(*model, one.slots, one.target, SHAPE).mean() for one in sequences]
        )

    return expose(likely(planted()), likely(candidates()))


def test_an_overfit_model_tells_members_from_others():
    found = attacked(overfit())
    assert (found.members, found.others, found.false) == (110, 40, 2)
    assert found.hits >= 105


def test_a_private_model_does_not():
    assert judged(private()) == PASSED
    assert judged(overfit()) == FAILED


def judged(model) -> str:
    found, must_be = attacked(model), Threshold(op="<=", micro=200_000)
    result = membership_result(
        members=found.members, others=found.others, hits=found.hits, false=found.false,
        even=(found.even_hits, found.even_false), must_be=must_be,
    )  # fmt: skip
    assert result.detectable is not None  # it could have failed
    return judge(result, must_be, measure=MEMBERSHIP)


def test_a_planted_sequence_is_exposed_in_an_overfit_model_and_not_in_a_private_one():
    loud, quiet = searched(overfit()), searched(private())
    assert (loud.planted, loud.exposed, loud.deepest) == (8, 8, 10_000)
    assert (quiet.planted, quiet.exposed) == (8, 0)
    assert quiet.mean < 3_000


def test_sequences_that_were_not_planted_have_even_ranks():
    """A search of 1,023 for others of the same kind finds none of them, in the model that gives the planted away."""
    drawn = draw_planted(b"\1" * 32, 200, tokens=20, apps=3)
    said = [chances_of(*overfit(), one.slots, one.target, SHAPE).mean()
            for one in (examples_of(each, SHAPE) for each in drawn)]  # fmt: skip
    order = [chances_of(*overfit(), one.slots, one.target, SHAPE).mean() for one in candidates()]
    found = expose(np.array(said), np.array(order))
    assert 1_200 < found.mean < 1_700  # 1,443 in the long run; the draw is fixed


def test_a_shadow_learns_what_the_model_learns():
    weights, bias = overfit()
    right = [(predict(weights, bias, one.slots, SHAPE) == one.target).mean() for one in crowd()]
    assert np.mean(right[: PEOPLE - OTHERS]) > np.mean(right[PEOPLE - OTHERS :]) > 0.2


def test_half_of_the_people_are_in_each_shadow_and_everybody_in_half_of_them():
    inside = shadows()[1]
    assert (inside.sum(axis=0) == 2).all()
    assert (inside.sum(axis=1) == PEOPLE // 2).all()


def test_what_moves_everybody_alike_changes_nothing():
    target = np.array(figures(overfit()))
    one, other = score_people(target, *shadows()), score_people(target - 3.0, *shadows())
    assert np.allclose(one, other)


def test_few_people_or_shadows_that_leave_nobody_out_are_refused():
    said, inside = shadows()
    with pytest.raises(InvalidError):
        score_people(said[0], said, np.ones_like(inside))
    with pytest.raises(InvalidError):
        tally(np.zeros(30), np.arange(30) < 25)
    with pytest.raises(InvalidError):
        expose(np.zeros(0), np.zeros(3))


def test_a_tie_counts_against_the_canary():
    found = expose(np.zeros(1), np.zeros(7))
    assert (found.exposed, found.deepest) == (0, 0)
    assert expose(np.ones(1), np.zeros(7)).deepest == 3_000


def test_whoever_has_the_key_draws_the_same_and_nobody_else_does():
    one, same, other = (draw_planted(key, 3, tokens=20, apps=3) for key in (KEY, KEY, b"\1" * 32))
    assert all((a.token == b.token).all() for a, b in zip(one, same, strict=True))
    assert not any((a.token == b.token).all() for a, b in zip(one, other, strict=True))
    drawn = draw_candidates(KEY, 3, tokens=20, apps=3)
    assert not any((a.token == b.token).all() for a, b in zip(one, drawn, strict=True))
    with pytest.raises(InvalidError):
        draw_planted(b"short", 1, tokens=20, apps=3)
