"""What the same protected stream is still good for: how well a model of people it never saw predicts them.

Keys: whether the next press begins a correction, as the area under the curve (AUC) over people held out.
Pointer: at L3, the next action, as the share guessed right by the four actions before it; finer levels hold the same
actions, not told apart, and get no figure. The interval is a bootstrap over people.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from safehold.assurance.reidentify.trail import Floats, Ints, Trail

BEFORE: Final = 6  # presses a model sees
ACTS: Final = 4  # actions a model sees
ROUNDS: Final = 200  # of the bootstrap
TRAINED: Final = 0.7  # share of the people
FEWEST: Final = 10  # corrections or actions; fewer give no figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Utility:
    """How useful a level is.

    Args:
        task: What is predicted.
        value: The figure.
        low: Lower end of the 95 % interval.
        high: Upper end.
        cases: Events that were predicted.
    """

    task: str
    value: float
    low: float
    high: float
    cases: int

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "task": self.task,
            "value": round(self.value, 4),
            "interval": [round(self.low, 4), round(self.high, 4)],
            "cases": self.cases,
        }


def measure_utility(stream: str, trail: Trail, *, seed: int) -> Utility | None:
    """Return the figure of a stream, or None where too little happens in it."""
    return _corrections(trail, seed) if stream == "key" else _actions(trail, seed)


def _corrections(trail: Trail, seed: int) -> Utility | None:
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415 - an extra

    index, words = trail.views["class"]
    if "backspace" not in words:
        return None
    erase = words.index("backspace")
    part = trail.run
    rows = np.arange(BEFORE, len(index))
    rows = rows[(part[rows] == part[rows - BEFORE]) & (index[rows - 1] != erase)]
    truth = (index[rows] == erase).astype(np.int64)
    columns = [
        (index[rows - back][:, None] == np.arange(len(words))) for back in range(1, BEFORE + 1)
    ]
    for name in trail.names:
        if trail.has(name):
            value = trail.number(name)
            columns += [value[rows - back][:, None] for back in range(1, BEFORE + 1)]
    table = np.concatenate(columns, axis=1).astype(np.float32)
    person = trail.person[rows]
    learn = _learners(trail, seed)[person]
    if min(truth[learn].sum(), truth[~learn].sum()) < FEWEST:
        return None
    model = HistGradientBoostingClassifier(
        max_iter=80, learning_rate=0.1, max_leaf_nodes=15, random_state=seed
    )
    model.fit(table[learn], truth[learn])
    told = model.predict_proba(table[~learn])[:, 1]
    return _bootstrap(
        "next press begins a correction, AUC", told, truth[~learn], person[~learn], seed
    )


def _learners(trail: Trail, seed: int) -> Any:
    people = len(trail.people)
    order = np.random.Generator(np.random.PCG64(seed)).permutation(people)
    learners = np.zeros(people, bool)
    learners[order[: int(people * TRAINED)]] = True
    return learners


def area(told: Floats, truth: Ints, weight: Floats) -> float:
    """Return the area under the curve with a weight for each case; ties count half."""
    _, place = np.unique(told, return_inverse=True)
    yes = np.bincount(place, weights=weight * (truth == 1))
    no = np.bincount(place, weights=weight * (truth == 0))
    below = np.cumsum(no) - no
    total = yes.sum() * no.sum()
    return float((yes * (below + no / 2)).sum() / total) if total > 0 else 0.5


def _bootstrap(task: str, told: Floats, truth: Ints, person: Ints, seed: int) -> Utility:
    rng = np.random.Generator(np.random.PCG64(seed + 1))
    names, who = np.unique(person, return_inverse=True)
    drawn = []
    for _ in range(ROUNDS):
        often = np.bincount(rng.integers(len(names), size=len(names)), minlength=len(names))
        drawn.append(area(told, truth, often[who].astype(float)))
    low, high = np.quantile(drawn, [0.025, 0.975])
    value = area(told, truth, np.ones(len(told)))
    return Utility(task=task, value=value, low=float(low), high=float(high), cases=int(truth.sum()))


def _actions(trail: Trail, seed: int) -> Utility | None:
    index, words = trail.views["act"]
    if any(word.startswith(("MOVE", "PRESS", "RELEASE")) for word in words):
        return None  # only L3 tells actions as such; a drag is many events before
    person, run = trail.person, trail.run
    if len(index) < FEWEST * ACTS:
        return None
    learn = _learners(trail, seed)[person]
    seen: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
    right: list[int] = []
    whose: list[int] = []
    for training in (True, False):
        past: list[int] = []
        last = -1
        for place in np.flatnonzero(learn == training).tolist():
            if run[place] != last:
                past, last = [], int(run[place])
            now = int(index[place])
            if training:
                for length in range(len(past) + 1):
                    seen[tuple(past[len(past) - length :])][now] += 1
            else:
                right.append(int(_guess(seen, past) == now))
                whose.append(int(person[place]))
            past = [*past, now][-ACTS:]
    if len(right) < FEWEST:
        return None
    return _share_right(np.array(right), np.array(whose), seed)


def _guess(seen: dict[tuple[int, ...], Counter[int]], past: list[int]) -> int:
    """Return the likeliest next action after the longest past that was seen often enough."""
    for length in range(len(past), -1, -1):
        found = seen.get(tuple(past[len(past) - length :]))
        if found is not None and (found.total() >= FEWEST or length == 0):
            return found.most_common(1)[0][0]
    return -1


def _share_right(right: Ints, person: Ints, seed: int) -> Utility:
    rng = np.random.Generator(np.random.PCG64(seed + 1))
    names, who = np.unique(person, return_inverse=True)
    hits, cases = np.bincount(who, weights=right), np.bincount(who)
    drawn = []
    for _ in range(ROUNDS):
        often = np.bincount(rng.integers(len(names), size=len(names)), minlength=len(names))
        drawn.append(float((often * hits).sum() / (often * cases).sum()))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Utility(
        task="next action, share guessed right", value=float(right.mean()),
        low=float(low), high=float(high), cases=len(right),
    )  # fmt: skip
