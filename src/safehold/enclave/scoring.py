"""How well a model guesses for those who only score: with noise, and exactly where people are made up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from safehold.enclave.model import Examples, Shape, predict
from safehold.enclave.score import (
    Score,
    count_person,
    guess_bigram,
    guess_majority,
    score_exact,
    score_private,
    top1_error,
)
from safehold.enclave.training import Trained
from safehold.privacy.account import calibrate
from safehold.privacy.release import pick_places


class Scoring(Protocol):
    """What of a training's settings scores follow from."""

    @property
    def epsilon_micro(self) -> int:
        """Epsilon of the whole run, in millionths."""
        ...

    @property
    def delta_e12(self) -> int:
        """Delta of the whole run, in 10^-12."""
        ...

    @property
    def min_people(self) -> int:
        """Least people any score may be about."""
        ...

    @property
    def actions_per_person(self) -> int:
        """Examples taken of one person at most."""
        ...


def _cap(held_out: list[Examples], most: int) -> list[tuple[Examples, Any]]:
    lengths = np.array([len(one.target) for one in held_out], dtype=np.int64)
    return list(zip(held_out, pick_places(lengths, most=most), strict=True))


def score_noisy(
    model: Trained, held_out: list[Examples], shape: Shape, settings: Scoring
) -> dict[str, Any]:
    """Return scores over those who only score, with noise; nothing about too few."""
    if len(held_out) < settings.min_people:
        return {"top1": None, "macro_f1": None, "macro_over": None, "top1_error": None}
    noise = calibrate(epsilon_micro=settings.epsilon_micro, delta_e12=settings.delta_e12)
    vectors = [
        count_person(
            one.target[at], predict(model.weights, model.bias, one.slots[at], shape),
            tokens=shape.tokens,
        )
        for one, at in _cap(held_out, settings.actions_per_person)
    ]  # fmt: skip
    score = score_private(np.stack(vectors), multiplier=noise.multiplier)
    error = top1_error(people=len(held_out), multiplier=noise.multiplier)
    return {**_figures(score), "top1_error": round(error, 4)}


def score_plain(
    model: Trained,
    plain: Trained,
    trained_on: list[Examples],
    held_out: list[Examples],
    *,
    shape: Shape,
    settings: Scoring,
) -> dict[str, Any]:
    """Return exact figures of all models on the same examples; the people are made up."""
    if not held_out:
        return {}
    tokens = shape.tokens
    majority = guess_majority(trained_on, tokens=tokens)
    bigram = guess_bigram(trained_on, tokens=tokens)
    guesses: dict[str, Callable[[Examples, Any], Any]] = {
        "private": lambda one, at: predict(model.weights, model.bias, one.slots[at], shape),
        "non_private": lambda one, at: predict(plain.weights, plain.bias, one.slots[at], shape),
        "majority": lambda _, at: np.full(len(at), majority, dtype=np.int32),
        "bigram": lambda one, at: bigram[one.last[at]].astype(np.int32),
    }
    capped = _cap(held_out, settings.actions_per_person)
    return {
        name: _figures(
            score_exact(
                np.stack(
                    [
                        count_person(one.target[at], guess(one, at), tokens=tokens)
                        for one, at in capped
                    ]
                )
            )
        )
        for name, guess in guesses.items()
    }


def _figures(score: Score) -> dict[str, float | int]:
    return {
        "top1": round(score.top1, 4),
        "macro_f1": round(score.macro_f1, 4),
        "macro_over": score.macro_over,
    }
