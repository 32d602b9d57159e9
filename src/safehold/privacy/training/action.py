"""The next UI action, from the last actions and the words of an instruction, under one promise.

``train_next_action`` is the whole of it: it divides the promise, releases how many people use each
word, and trains the linear model over slots with everybody in each round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from safehold.errors import InvalidError
from safehold.privacy.account import calibrate, divide
from safehold.privacy.release import Floats, pick_places
from safehold.privacy.training.course import Clip, Steps
from safehold.privacy.training.descent import train_private
from safehold.privacy.training.learner import Params, People
from safehold.privacy.training.scale import release_counts, weigh_words
from safehold.privacy.training.slots import SlotLearner

SHARE_PPM: Final = 100_000  # of the promise goes to the counts of words
_CROSSED: Final = 1 << 13  # rows for pairs of a word and the last action
_PAIRED: Final = 1 << 12  # rows for pairs of actions
_BIAS, _SAID = 0.5, 1.5
_FARTHER: Final = (1.0, 0.6, 0.3, 0.2)  # weight of an action, by how long ago; then 0.1
_SPREAD: Final = (2_654_435_761, 40_503)  # odd numbers that spread pairs over rows (Knuth)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionTask:
    """The public sizes of a task.

    Args:
        actions: Number of action words.
        words: Number of (hashed) words of instructions.
        depth: Actions looked back at.
        examples: Examples of one person at most.
    """

    actions: int
    words: int = 1_024
    depth: int = 6
    examples: int = 48

    @property
    def rows(self) -> int:
        """The number of rows of weights."""
        return 1 + self.depth * (self.actions + 1) + _PAIRED + self.words + _CROSSED

    def learner(self) -> SlotLearner:
        """Return the model of this task."""
        return SlotLearner(rows=self.rows, classes=self.actions)


@dataclass(frozen=True, slots=True)
class Doings:
    """What one person did.

    Args:
        past: Examples x depth: the last actions, the newest first; ``actions`` where there is none.
        words: Examples x any: words of the instruction; ``words`` of the task where there is none.
        target: The action that came next.
    """

    past: NDArray[np.int32]
    words: NDArray[np.int32]
    target: NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """Settings of a run; chosen once on MiniWoB++ clients, not on anybody's data of a home.

    Args:
        rounds: Noisy sums.
        rate: Step size.
        bound: Largest norm of a person's gradient.
    """

    rounds: int
    rate: float
    bound: float


# by the least epsilon they were chosen for
TUNED: Final = {
    0.0: Tuning(rounds=40, rate=3.0, bound=0.3),
    2.0: Tuning(rounds=40, rate=4.0, bound=0.4),
    4.0: Tuning(rounds=60, rate=4.0, bound=0.3),
    6.0: Tuning(rounds=60, rate=6.0, bound=0.3),
    8.0: Tuning(rounds=60, rate=8.0, bound=0.3),
    13.7: Tuning(rounds=80, rate=8.0, bound=0.3),
    31.1: Tuning(rounds=100, rate=8.0, bound=0.3),
}


@dataclass(frozen=True, slots=True)
class NextAction:
    """A trained model.

    Args:
        task: Its sizes.
        params: Its weights; ``write_weights`` makes a file of them.
        weights: What each word weighs, from released counts.
    """

    task: ActionTask
    params: Params = field(repr=False)
    weights: Floats = field(repr=False)

    def predict(self, doings: Doings) -> NDArray[np.int64]:
        """Return the most likely next action of each example."""
        raw = {
            "past": doings.past[None],
            "words": doings.words[None],
            "target": doings.target[None],
            "weight": np.ones((1, len(doings.target)), np.float32),
        }
        people = make_slots(raw, self.weights, self.task)
        return np.asarray(self.task.learner().scores(self.params, people)[0].argmax(axis=-1))


def train_next_action(
    people: Sequence[Doings],
    task: ActionTask,
    *,
    epsilon_micro: int,
    delta_e12: int,
    tuning: Tuning | None = None,
) -> NextAction:
    """Train the next-action model with one promise about each person.

    Args:
        people: One entry a person; their number is public.
        task: Public sizes.
        epsilon_micro: Epsilon of all of it, in millionths.
        delta_e12: Delta of all of it, in 10^-12.
        tuning: Settings; by default those of ``TUNED`` for this epsilon.

    Raises:
        InvalidError: There is nobody, or a number is outside of the task's sizes.
        SafeholdError: Two accountants do not agree.
    """
    tuning = tuning or TUNED[max(least for least in TUNED if least <= epsilon_micro / 1e6)]
    plan = calibrate(epsilon_micro=epsilon_micro, delta_e12=delta_e12, rounds=tuning.rounds)
    first, rest = divide(plan, first_ppm=SHARE_PPM)
    raw = pad(people, task)
    used = np.zeros((len(people), task.words + 1), np.bool_)
    np.put_along_axis(used, raw["words"].reshape(len(people), -1).astype(np.int64), True, axis=1)  # noqa: FBT003
    counts = release_counts(used[:, : task.words], plan=first)
    weights = weigh_words(counts, people=len(people), plan=first)
    trained = train_private(
        task.learner(),
        make_slots(raw, weights, task),
        plan=rest,
        clip=Clip(bound=tuning.bound),
        steps=Steps(rate=tuning.rate),
    )
    return NextAction(task, trained.params, weights)


def pad(people: Sequence[Doings], task: ActionTask) -> People:
    """Return arrays of public shape; of a person who did more, examples are drawn at random.

    Raises:
        InvalidError: There is nobody, or a number is outside of the task's sizes.
    """
    wide = max((one.words.shape[1] for one in people), default=0)
    shape = (len(people), task.examples)
    found = {
        "past": np.full((*shape, task.depth), task.actions, np.int32),
        "words": np.full((*shape, wide), task.words, np.int32),
        "target": np.zeros(shape, np.int32),
        "weight": np.zeros(shape, np.float32),
    }
    lengths = np.array([len(one.target) for one in people], np.int64)
    for at, places in enumerate(pick_places(lengths, most=task.examples)):
        one, count = people[at], len(places)
        found["past"][at, :count] = one.past[places]
        found["words"][at, :count, : one.words.shape[1]] = one.words[places]
        found["target"][at, :count] = one.target[places]
        found["weight"][at, :count] = 1 / max(1, count)
    limits = {"past": task.actions, "words": task.words, "target": task.actions - 1}
    if not people or any(
        column.size and not 0 <= column.min() <= column.max() <= limits[name]
        for name, column in found.items()
        if name in limits
    ):
        raise InvalidError("an action or a word is outside of the task", rule="train.people")
    return found


def make_slots(raw: People, weights: Floats, task: ActionTask) -> People:
    """Return rows and values: past actions, the last pair, words, words with the last action.

    Args:
        raw: From ``pad``.
        weights: Of words.
        task: Public sizes.
    """
    past, words = raw["past"].astype(np.int64), np.sort(raw["words"], axis=-1).astype(np.int64)
    fresh = words < task.words
    fresh[..., 1:] &= words[..., 1:] != words[..., :-1]
    heard = np.append(weights, 0.0)[words] * fresh
    heard = heard / np.maximum(1e-9, np.sqrt((heard**2).sum(axis=-1, keepdims=True)))
    last, each = past[..., :1], task.actions + 1
    one = np.ones_like(last)
    rows, values, base = [np.zeros_like(last)], [_BIAS * one], 1
    for back in range(task.depth):
        rows.append(past[..., back : back + 1] + base)
        values.append((_FARTHER[back] if back < len(_FARTHER) else 0.1) * one)
        base += each
    rows.append((last * each + past[..., 1:2]) % _PAIRED + base)
    values.append(1.0 * one)
    base += _PAIRED
    rows.append(np.minimum(words, task.words - 1) + base)
    values.append(_SAID * heard)
    base += task.words
    rows.append((words * _SPREAD[0] + last * _SPREAD[1]) % _CROSSED + base)
    values.append(_SAID * heard)
    return {
        "rows": np.concatenate(rows, axis=-1).astype(np.int32),
        "values": np.concatenate(values, axis=-1).astype(np.float32),
        "target": raw["target"],
        "weight": raw["weight"],
    }
