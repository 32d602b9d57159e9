"""What a promise about persons costs over plain training: at the size of the next-UI-action task, in one run.

The same people, the same model, the same steps; plain is one gradient of the mean over everybody and one step. With
the promise: a gradient for each person, clipped, added up, noise over every parameter, one step.
"""

from __future__ import annotations

import statistics
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.bench.board import Board, sized
from tests.bench.miniwob import DEPTH, HASHED, MOST_EXAMPLES, MOST_WORDS
from tests.bench.training_curve import _loss, perceptron, task_of

from safehold.privacy.account import Plan
from safehold.privacy.training.action import make_slots
from safehold.privacy.training.course import Clip, Steps
from safehold.privacy.training.descent import train_private

pytestmark = pytest.mark.bench
PEOPLE, TOKENS, TURNS, ROUNDS = sized(1_236, 20), 58, sized(3, 1), sized(3, 2)


def crowd():
    rng = np.random.default_rng(1)
    return {
        "past": rng.integers(0, TOKENS + 1, (PEOPLE, MOST_EXAMPLES, DEPTH)).astype(np.int32),
        "words": rng.integers(0, HASHED, (PEOPLE, MOST_EXAMPLES, MOST_WORDS)).astype(np.int32),
        "target": rng.integers(0, TOKENS, (PEOPLE, MOST_EXAMPLES)).astype(np.int32),
        "weight": np.full((PEOPLE, MOST_EXAMPLES), 1 / MOST_EXAMPLES, np.float32),
    }


PLAN = Plan(epsilon_micro=1, delta_e12=1, rounds=ROUNDS, sampling_ppm=1_000_000, multiplier=1.0)


def private(learner, people):
    """Return the CPU time of a round with the promise; what is prepared once is not a round's."""
    marks = []
    train_private(
        learner, people, plan=PLAN, clip=Clip(bound=0.3), steps=Steps(rate=1.0),
        progress=lambda _: marks.append(time.process_time()),
    )  # fmt: skip
    return (marks[-1] - marks[0]) / (ROUNDS - 1)


def plain_perceptron(people):
    """Return the CPU time of a plain round of the perceptron."""
    every = {name: column.reshape(-1, *column.shape[2:]) for name, column in people.items()}
    slope = jax.jit(jax.grad(lambda p, e: _loss(p, e, jax)))
    params = {n: jnp.asarray(v, jnp.float32) for n, v in perceptron(TOKENS).start().items()}
    speed = {name: jnp.zeros_like(value) for name, value in params.items()}
    marks = []
    for _ in range(ROUNDS):
        found = jax.block_until_ready(slope(params, every))
        speed = {name: 0.9 * speed[name] + found[name] / PEOPLE for name in params}
        params = {name: params[name] - speed[name] for name in params}
        jax.block_until_ready(params)
        marks.append(time.process_time())
    return (marks[-1] - marks[0]) / (ROUNDS - 1)


def plain_slots(people):
    """Return the CPU time of a plain round of the slot model: the same sparse products, once."""
    learner = task_of(TOKENS).learner()
    matrix = learner.matrix(people)
    target, weight = people["target"].reshape(-1), people["weight"].reshape(-1, 1)
    state = np.zeros((learner.rows, TOKENS), np.float32)
    speed, average = np.zeros_like(state), np.zeros_like(state)
    marks = []
    for _ in range(ROUNDS):
        scores = matrix @ state
        scores -= scores.max(axis=1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=1, keepdims=True)
        scores[np.arange(len(scores)), target] -= 1
        scores *= weight
        speed = np.float32(0.9) * speed + (matrix.T @ scores) / np.float32(PEOPLE)
        state = state - speed
        average += state
        marks.append(time.process_time())
    return (marks[-1] - marks[0]) / (ROUNDS - 1)


def test_a_promise_about_persons_costs_at_most_twice_plain_training(board: Board):
    raw = crowd()
    slots = make_slots(raw, np.ones(HASHED), task_of(TOKENS))
    kinds = {
        "slots": (lambda: private(task_of(TOKENS).learner(), slots), lambda: plain_slots(slots)),
        "perceptron": (lambda: private(perceptron(TOKENS), raw), lambda: plain_perceptron(raw)),
    }
    for name, (with_promise, plain) in kinds.items():
        pairs = [(with_promise(), plain()) for _ in range(TURNS)]
        ratio = statistics.median(a / b for a, b in pairs)
        ours, bare = (statistics.median(one) for one in zip(*pairs, strict=True))
        board.add(
            f"training, {PEOPLE:,} persons of {MOST_EXAMPLES} examples, {name}",
            ours=f"{ours:.3f} CPU-s a round",
            peer=f"the same without a promise: {bare:.3f}",
            ratio=ratio,
            goal="<= 2 x",
            met=ratio <= 2,
            most=2.5,
        )
