"""The next-action task as one call: what it costs, what it refuses, and that it learns from words."""

import numpy as np
import pytest

from safehold.errors import InvalidError
from safehold.privacy.training import action
from safehold.privacy.training.action import (
    TUNED,
    ActionTask,
    Doings,
    Tuning,
    pad,
    train_next_action,
)

TASK = ActionTask(actions=4, words=32, depth=3, examples=8)


def people(count, *, seed=1):
    """People whose instruction says which action comes after the one before."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        past = rng.integers(0, 5, (10, 3)).astype(np.int32)
        words = rng.integers(0, 33, (10, 5)).astype(np.int32)
        words[:, 0] = rng.integers(0, 2, 10)
        found.append(Doings(past, words, ((past[:, 0] + words[:, 0]) % 4).astype(np.int32)))
    return found


def test_it_learns_what_depends_on_a_word_and_an_action_together():
    model = train_next_action(
        people(300), TASK, epsilon_micro=16_000_000, delta_e12=10**6,
        tuning=Tuning(rounds=20, rate=8.0, bound=0.5),
    )  # fmt: skip
    other = people(60, seed=2)
    hits = np.concatenate([model.predict(one) == one.target for one in other])
    assert hits.mean() > 0.5  # a quarter by chance


def test_the_promise_is_divided_and_nothing_else_looks_at_people(monkeypatch):
    plans = {}
    real = {"counts": action.release_counts, "train": action.train_private}
    monkeypatch.setattr(
        action, "release_counts", lambda used, *, plan: plans.update(first=plan) or real["counts"](used, plan=plan)
    )  # fmt: skip
    monkeypatch.setattr(
        action, "train_private", lambda *a, plan, **k: plans.update(rest=plan) or real["train"](*a, plan=plan, **k)
    )  # fmt: skip
    train_next_action(people(40), TASK, epsilon_micro=4_000_000, delta_e12=10**6)
    assert plans["rest"].rounds == TUNED[4.0].rounds
    whole = action.calibrate(epsilon_micro=4_000_000, delta_e12=10**6)
    together = (
        plans["first"].multiplier ** -2 + plans["rest"].rounds * plans["rest"].multiplier ** -2
    )
    assert together == pytest.approx(whole.multiplier**-2, rel=1e-6)


def test_shapes_are_public_and_weights_of_a_person_add_up_to_one():
    raw = pad([*people(3), Doings(*(np.zeros((0, *s), np.int32) for s in ((3,), (5,), ())))], TASK)
    assert raw["past"].shape == (4, 8, 3)
    assert np.allclose(raw["weight"].sum(axis=1), [1, 1, 1, 0])


@pytest.mark.parametrize(
    ("column", "value"), [("past", 5), ("words", 33), ("target", 4), ("past", -1)]
)
def test_what_is_outside_of_the_task_is_refused(column, value):
    broken = people(2)
    getattr(broken[1], column)[:] = value
    with pytest.raises(InvalidError):
        train_next_action(broken, TASK, epsilon_micro=10**6, delta_e12=10**6)
    with pytest.raises(InvalidError):
        train_next_action([], TASK, epsilon_micro=10**6, delta_e12=10**6)
