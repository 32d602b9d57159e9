"""Attacks on noisy counts, with the gate's own code: differencing, averaging, reconstruction."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from safehold.errors import BudgetSpentError
from safehold.privacy.aggregate import release_aggregate
from safehold.privacy.bound import Share
from safehold.privacy.budget import Allowed, Charge, reserve
from safehold.privacy.mechanism import OpenDP
from safehold.privacy.template import Template

PURPOSE = "improve_tools"


class Gate:
    """What stands between an attacker and the data: a charge that is folded, then noise.

    Args:
        epsilon: What the purpose allows, or None for a gate without a budget.
    """

    def __init__(self, epsilon: float | None) -> None:
        self._allowed = None
        if epsilon is not None:
            micro = round(epsilon * 1e6)
            self._allowed = Allowed(purpose=PURPOSE, epsilon_micro=micro, delta_e12=0)
        self._leaves: list[dict[str, int | str]] = []
        self._mechanism = OpenDP()
        self.refused = ""

    def count(self, people: Sequence[bool], *, epsilon: float) -> float:
        """Return how many of the people there are, for a price.

        Raises:
            BudgetSpentError: It is spent.
        """
        template = Template.of({"release": "people", "epsilon": epsilon})
        if self._allowed is not None:
            charge = Charge(purpose=PURPOSE, epsilon_micro=template.epsilon_micro, delta_e12=0)
            try:
                self._leaves.append(reserve(self._allowed, charge, self._leaves))
            except BudgetSpentError as error:
                self.refused = error.rule or ""
                raise
        shares = [Share({"": (0,)}) if one else Share({}) for one in people]
        answer = release_aggregate(template, shares, least=-(10**9), mechanism=self._mechanism)
        found = answer.figures[0].people  # not cut at zero, so the attacker has all that was drawn
        assert found is not None
        return found


def average(gate: Gate, people: Sequence[bool], *, epsilon: float, most: int) -> list[float]:
    """Return the answers to one question, asked again until the gate says no."""
    found: list[float] = []
    while len(found) < most:
        try:
            found.append(gate.count(people, epsilon=epsilon))
        except BudgetSpentError:
            break
    return found


def difference(
    gate: Gate, people: Sequence[bool], target: int, *, epsilon: float, most: int
) -> bool:
    """Return a guess at one person's bit: everybody less everybody but them, again and again."""
    others = [one and at != target for at, one in enumerate(people)]
    gaps: list[float] = []
    while len(gaps) < most:
        try:
            gaps.append(gate.count(people, epsilon=epsilon) - gate.count(others, epsilon=epsilon))
        except BudgetSpentError:
            break
    return bool(gaps) and sum(gaps) / len(gaps) > 0.5


def reconstruct(
    gate: Gate,
    people: Sequence[bool],
    *,
    epsilon: float,
    most: int,
    choose: Callable[[int], np.ndarray],
) -> tuple[np.ndarray, int]:
    """Return everybody's bit as random subsets tell it (Dinur and Nissim 2003), and how many were answered.

    Args:
        gate: What answers.
        people: Their bits; only the gate reads them.
        epsilon: What the attacker offers for each question.
        most: Questions at most.
        choose: Returns a random subset.
    """
    asked, answers = [], []
    bits = np.asarray(people)
    for at in range(most):
        subset = choose(at)
        try:
            answers.append(gate.count((bits & subset).tolist(), epsilon=epsilon))
        except BudgetSpentError:
            break
        asked.append(subset)
    if not asked:
        return np.zeros(len(bits), dtype=bool), 0
    found, *_ = np.linalg.lstsq(np.array(asked, dtype=float), np.array(answers), rcond=None)
    return found > 0.5, len(asked)


def advantage(epsilon: float) -> float:
    """Return the most that anybody guesses a bit right: e^epsilon / (1 + e^epsilon)."""
    return math.exp(epsilon) / (1 + math.exp(epsilon))
