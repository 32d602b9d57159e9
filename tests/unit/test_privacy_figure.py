"""A figure over groups: one person moves it by what the noise is for, and the noise is what was promised."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from safehold.errors import InvalidError
from safehold.privacy.figure import GRID, draw_laplace, release_mean, split_people

BOUNDS = {"least": 0.0, "most": 8.0, "epsilon_micro": 500_000}


def exact(figures, **more):
    """Return the release without its noise, and the scale that noise was asked with."""
    asked = []

    def draw(numerator, denominator):
        asked.append(Fraction(numerator, denominator))
        return 0

    return release_mean(figures, draw=draw, **BOUNDS | more), asked[0]


def test_it_is_the_mean_of_what_the_groups_hand_in():
    found, scale = exact([1.0, 3.0] * 10)
    assert found.value == pytest.approx(2.0)
    assert found.groups == 20
    assert scale == Fraction(GRID * 1_000_000, 500_000)
    assert found.error == pytest.approx(8.0 * math.sqrt(2) / 0.5 / 20)


def test_whatever_one_group_hands_in_moves_the_sum_by_no_more_than_the_noise_is_for():
    """One person is in one group; the sum may move by GRID, and the scale of the noise is GRID / epsilon."""
    rest = [4.0] * 19
    wild = [0.0, 8.0, -1e300, 1e300, math.inf, -math.inf, math.nan, None, 8.0000001]
    sums = [exact([one, *rest])[0].value / 8.0 * GRID * 20 for one in wild]
    assert max(sums) - min(sums) <= GRID * (1 + 1e-9)


@pytest.mark.parametrize("nothing", [None, math.nan, math.inf])
def test_a_group_that_hands_in_nothing_counts_as_the_middle(nothing):
    assert exact([nothing] * 10)[0].value == pytest.approx(4.0)


@pytest.mark.parametrize(
    "wrong", [{"least": 8.0}, {"epsilon_micro": 0}, {"most": math.nan}, {"groups": 9}]
)
def test_without_bounds_epsilon_and_groups_there_is_no_figure(wrong):
    groups = wrong.pop("groups", 10)
    with pytest.raises(InvalidError) as caught:
        release_mean([1.0] * groups, **BOUNDS | wrong)
    assert caught.value.rule == "privacy.figure"


def test_the_noise_is_a_discrete_laplace():
    """Mean, mean size and the share of zeros of 4,000 draws, each within six standard errors."""
    scale, count = 3.0, 4_000
    drawn = [draw_laplace(3, 1) for _ in range(count)]
    ratio = math.exp(-1 / scale)
    variance = 2 * ratio / (1 - ratio) ** 2
    assert abs(sum(drawn) / count) < 6 * math.sqrt(variance / count)
    size = 2 * ratio / (1 - ratio**2)
    assert abs(sum(map(abs, drawn)) / count - size) < 6 * math.sqrt((variance - size**2) / count)
    zero = (1 - ratio) / (1 + ratio)
    spread = math.sqrt(zero * (1 - zero) / count)
    assert abs(sum(one == 0 for one in drawn) / count - zero) < 6 * spread


def test_a_scale_of_many_digits_is_drawn_as_well():
    numerator, denominator = GRID * 1_000_000, 333_333
    drawn = [abs(draw_laplace(numerator, denominator)) for _ in range(400)]
    scale = numerator / denominator
    # the size is close to exponential: its mean is the scale, its standard error scale / 20
    assert abs(sum(drawn) / len(drawn) - scale) < 6 * scale / math.sqrt(len(drawn))


def test_everybody_is_in_one_group_and_the_groups_are_drawn():
    people = [f"p{number:03}" for number in range(97)]
    groups = split_people(people, 20)
    assert sorted(one for group in groups for one in group) == people
    assert {len(group) for group in groups} == {4, 5}
    assert (
        split_people(people, 20) != groups
    )  # 97! orders: by chance the same is out of the question
    assert len(split_people(people[:5], 20)) == 5
