"""Counts with noise: the sampler draws the distribution it says, and small groups are not shown."""

from __future__ import annotations

import math
from collections import Counter
from fractions import Fraction

import pytest

from safehold.errors import InvalidError
from safehold.privacy import counting
from safehold.privacy.counting import draw_laplace, merge_groups, release_counts

DRAWS = 20_000


@pytest.mark.parametrize("epsilon_micro", [500_000, 1_000_000])
def test_the_noise_is_the_discrete_laplace_distribution(epsilon_micro: int) -> None:
    """Chi-square over eleven cells; the bound lets a right sampler fail once in ten million runs."""
    epsilon = epsilon_micro / 1e6
    drawn = Counter(max(-5, min(5, draw_laplace(epsilon_micro))) for _ in range(DRAWS))
    ratio = math.exp(-epsilon)
    zero = (1 - ratio) / (1 + ratio)
    chances = {x: zero * ratio ** abs(x) for x in range(-4, 5)}
    tail = (1 - sum(chances.values())) / 2
    chances |= {-5: tail, 5: tail}
    assert (
        sum((drawn[x] - DRAWS * p) ** 2 / (DRAWS * p) for x, p in chances.items()) < 53.0
    )  # 10 degrees of freedom


def test_a_small_epsilon_drawn_as_a_fraction_stays_whole_numbers() -> None:
    assert all(type(draw_laplace(333_333)) is int for _ in range(20))
    assert counting._flip_exp(Fraction(0))


def test_without_an_epsilon_nothing_is_drawn() -> None:
    with pytest.raises(InvalidError, match="above zero"):
        draw_laplace(0)


def test_counts_come_with_noise_of_their_own_and_are_not_negative() -> None:
    noise = iter([3, -9])
    released = release_counts({"a": 4, "b": 4}, epsilon_micro=1, noise=lambda _: next(noise))
    assert released == {"a": 7, "b": 0}


@pytest.mark.parametrize(
    ("sizes", "groups"),
    [
        ({"e": 60, "m": 70, "s": 80}, [["e"], ["m"], ["s"]]),
        ({"e": 3, "m": 70, "s": 80}, [["e", "m"], ["s"]]),
        ({"e": 3, "m": 4, "s": 80}, [["e", "m", "s"]]),
        ({"e": 60, "m": 4, "s": 5}, [["e", "m", "s"]]),
        ({"e": 60, "m": 70, "s": 5}, [["e"], ["m", "s"]]),
        ({"e": 60}, [["e"]]),
        ({"e": 20, "m": 20, "s": 9}, []),
        ({}, []),
    ],
)
def test_a_small_group_joins_the_next(sizes: dict[str, int], groups: list[list[str]]) -> None:
    assert merge_groups(sizes, ("e", "m", "s"), least=50) == groups
