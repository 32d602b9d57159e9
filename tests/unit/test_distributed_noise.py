"""Noise in shares: what each silo must add, what the grid costs, and that the sum of the shares has the noise of one house."""

from __future__ import annotations

import math

import numpy as np
import pytest

from safehold.enclave.share import LARGEST, ShareGate
from safehold.errors import InvalidError, TamperedError
from safehold.keeper.ports import Frame
from safehold.privacy.account import calibrate
from safehold.privacy.distributed import (
    GRID_BITS,
    Shares,
    epsilon_of,
    epsilon_of_grid,
    put_on_grid,
    share_noise,
)
from safehold.privacy.release import SLACK

TERMS = {
    "epsilon_micro": 4_000_000,
    "delta_e12": 1_000_000,
    "steps": 40,
    "sampling_ppm": 1_000_000,
    "size": 100_000,
    "clip_micro": 100_000,
}


def test_the_shares_of_the_honest_silos_come_to_the_noise_of_one_house():
    central = calibrate(epsilon_micro=4_000_000, delta_e12=1_000_000, rounds=40)
    for honest in (1, 2, 3, 10):
        shares = share_noise(**TERMS, honest=honest)
        whole = shares.deviation * math.sqrt(honest) / 2**GRID_BITS
        # no less than one house adds, and within a thousandth of it
        assert central.multiplier * SLACK <= whole <= 1.001 * central.multiplier * SLACK


def test_fewer_honest_silos_than_agreed_cost_more_than_was_promised():
    shares = share_noise(**TERMS, honest=3)
    assert epsilon_of(shares, honest=3) <= 4.0
    assert epsilon_of(shares, honest=2) > 4.4
    assert epsilon_of(shares, honest=1) > 6.0


def test_the_grid_is_paid_for():
    shares = share_noise(**TERMS, honest=2)
    assert 0 < epsilon_of_grid(shares) < 1e-3
    assert shares.plan.epsilon_micro < 4_000_000
    # rounding: a person moves the rounded sum by no more than the widened sensitivity
    generator = np.random.default_rng(3)
    widest = 2**GRID_BITS + math.sqrt(shares.size)
    none = lambda shape, _: np.zeros(shape)  # noqa: E731
    for _ in range(20):
        others = generator.normal(size=shares.size)
        one = generator.normal(size=shares.size)
        one *= shares.clip / np.linalg.norm(one)
        there, gone = (
            put_on_grid(total, grid=shares.grid, deviation=shares.deviation, noise=none)
            for total in (others + one, others)
        )
        assert np.linalg.norm(there - gone) <= widest


def test_chances_of_rounded_and_discrete_noise_are_as_close_as_said():
    """The bound of the module, against both computed number by number, for a grid that is far coarser."""
    for deviation in (8.0, 30.0):
        far = 12 * deviation
        places = np.arange(-math.ceil(far) - 200, math.ceil(far) + 201)
        discrete = np.exp(-(places**2) / (2 * deviation**2))
        discrete /= discrete.sum()
        # erfc keeps its digits in the tail, where a difference of erf has none
        edge = (np.abs(places) - 0.5) / (deviation * math.sqrt(2))
        step = 1 / (deviation * math.sqrt(2))
        rounded = np.array([0.5 * (math.erfc(one) - math.erfc(one + step)) for one in edge])
        inside = np.abs(places) <= far
        gap = np.abs(np.log(rounded[inside]) - np.log(discrete[inside])).max()
        bound = 145 / (24 * deviation**2) + 2 * 12**4 / (1920 * deviation**4)
        assert gap <= bound


def test_the_noise_that_is_added_is_the_noise_that_was_drawn():
    shares = Shares(
        plan=calibrate(epsilon_micro=4_000_000, delta_e12=1_000_000),
        size=50_000,
        clip=0.1,
        honest=1,
    )
    out = put_on_grid(np.zeros(50_000), grid=shares.grid, deviation=shares.deviation)
    # of 50,000 draws the deviation is within 3 % but for a chance of 1e-20
    assert abs(out.std() / shares.deviation - 1) < 0.03


def test_noise_too_small_for_the_grid_is_refused():
    with pytest.raises(InvalidError):
        share_noise(**TERMS, honest=0)
    with pytest.raises(InvalidError):
        put_on_grid([math.nan], grid=1.0, deviation=1.0)


@pytest.mark.parametrize("number", [-(1 << 63), -LARGEST - 1, LARGEST + 1])
def test_a_share_with_a_number_out_of_range_does_not_leave(number):
    frame = Frame(
        {"type": "share", "mode": "step"}, memoryview(np.array([0, number], "<i8").tobytes())
    )
    with pytest.raises(TamperedError) as refused:
        ShareGate(mode="step", parameters=2).admit(frame)
    assert refused.value.rule == "egress.share"
