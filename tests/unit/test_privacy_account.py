"""Noise, sampling and accounting."""

import inspect
import math

import dp_accounting
import numpy as np
import pytest
from dp_accounting import pld

from safehold.errors import InvalidError
from safehold.privacy import account, release
from safehold.privacy.account import calibrate, epsilon_pld, epsilon_rdp, gaussian_delta


@pytest.mark.parametrize(("rounds", "ppm"), [(1, 1_000_000), (40, 1_000_000), (30, 200_000)])
def test_both_accountants_keep_the_promise(rounds, ppm):
    plan = calibrate(epsilon_micro=4_000_000, delta_e12=1_000_000, rounds=rounds, sampling_ppm=ppm)
    assert epsilon_pld(plan) <= 4.0
    event = dp_accounting.GaussianDpEvent(plan.multiplier)
    if ppm < 1_000_000:
        event = dp_accounting.PoissonSampledDpEvent(ppm / 1e6, event)
        assert epsilon_rdp(plan) <= 4.0
    independent = pld.PLDAccountant(value_discretization_interval=1e-3)
    independent.compose(event, rounds)
    assert independent.get_epsilon(1e-6) <= 4.0 + 1e-3 * math.sqrt(rounds)


def test_a_tenth_less_noise_breaks_the_promise():
    plan = calibrate(epsilon_micro=4_000_000, delta_e12=1_000_000)
    assert gaussian_delta(plan.multiplier, 4.0) <= 1e-6
    assert gaussian_delta(0.9 * plan.multiplier, 4.0) > 1e-6


def test_an_unconfirmed_plan_is_refused(monkeypatch):
    monkeypatch.setattr(account, "epsilon_pld", lambda plan: 4.1)
    with pytest.raises(account.SafeholdError, match="disagree"):
        calibrate(epsilon_micro=4_000_000, delta_e12=1_000_000)


@pytest.mark.parametrize(
    "wrong", [{"epsilon_micro": 0}, {"delta_e12": 0}, {"rounds": 0}, {"sampling_ppm": 1_000_001},
              {"epsilon_micro": 4.0}, {"rounds": True}],
)  # fmt: skip
def test_numbers_out_of_range_are_refused(wrong):
    with pytest.raises(InvalidError):
        calibrate(**{"epsilon_micro": 4_000_000, "delta_e12": 1_000_000, **wrong})


# These tests draw real entropy. Each bound lies 5.7 standard errors or more from what is expected, so a right
# program fails one of them about once in 10^8 runs; the deviations they are to find lie ten and more beyond.


def test_noise_has_its_deviation_and_is_never_the_same():
    noise = release.draw_gaussian((200_000,), 3.0)
    assert abs(noise.mean()) < 0.04
    assert 2.97 < noise.std() < 3.03
    assert abs((np.abs(noise) < 3.0).mean() - 0.6827) < 0.006
    assert not np.array_equal(noise[:9], release.draw_gaussian((200_000,), 3.0)[:9])


def test_sampling_is_poisson_as_the_accountant_assumes():
    sizes = np.array([release.sample_people(500, ppm=300_000).sum() for _ in range(4000)])
    assert abs(sizes.mean() - 150) < 1.5  # standard error 0.16
    # Binomial: a batch of fixed size would have no variance at all. 105 is expected, with a standard error of 2.35.
    assert 90 < sizes.var() < 120
    both = np.stack([release.sample_people(2, ppm=500_000) for _ in range(4000)])
    assert abs((both[:, 0] & both[:, 1]).mean() - 0.25) < 0.04
    assert release.sample_people(9, ppm=1_000_000).all()
    assert not release.sample_people(9, ppm=0).any()


def test_nothing_that_draws_takes_a_seed():
    for function in (
        release.draw_gaussian, release.sample_people, release.shuffle_people, release.pick_places,
    ):  # fmt: skip
        assert not {"seed", "rng", "key", "random_state"} & set(
            inspect.signature(function).parameters
        )


def test_places_are_within_length_and_cap():
    places = release.pick_places(np.array([3, 50, 0]), most=10)
    assert places[0].tolist() == [0, 1, 2]
    assert len(set(places[1].tolist())) == 10
    assert max(places[1]) < 50
    assert len(places[2]) == 0


def test_one_person_moves_a_sum_by_the_bound_at_most():
    people = np.random.default_rng(5).normal(size=(40, 6)) * 9
    people[3] = np.inf

    def none(shape, deviation):
        return np.zeros(shape)

    for at in range(40):
        fewer = people.copy()
        fewer[at] = 0
        moved = release.release_sum(people, bound=2.0, multiplier=1.0, noise=none)
        moved = moved - release.release_sum(fewer, bound=2.0, multiplier=1.0, noise=none)
        assert np.linalg.norm(moved) <= 2.0 + 1e-4


def test_a_release_has_noise_of_its_plan():
    people = np.zeros((3, 40_000))
    noisy = release.release_sum(people, bound=2.0, multiplier=1.5)
    assert abs(noisy.std() / 3.0 - 1) < 0.03
