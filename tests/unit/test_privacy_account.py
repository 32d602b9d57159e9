"""Noise, sampling and accounting."""

import inspect
import itertools
import math

import dp_accounting
import numpy as np
import pytest
from dp_accounting import pld

from safehold.errors import InvalidError
from safehold.privacy import account, release
from safehold.privacy.account import (
    calibrate,
    epsilon_pld,
    epsilon_rdp,
    gaussian_delta,
    log_chance_of_more,
    seats_for,
)


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


COSTS = {
    "straight": (lambda z: 3.0 / z, 2.0),
    "bent": (lambda z: 4.0 / z + 9.0 / z**3, 0.01),
    "cliff": (lambda z: 1.0 if z > 37.5 else math.inf, 1.0),
    "step": (lambda z: 0.5 if z > 0.3 else 7.0, 1.0),
    "no number": (lambda z: math.nan if z < 5.0 else 0.0, 1.0),
    "gaussian": (lambda z: gaussian_delta(z, 0.01), 1e-12),
}


@pytest.mark.parametrize("name", COSTS)
def test_the_least_noise_is_found_from_above_in_a_few_looks(name):
    cost, goal = COSTS[name]
    looked = []

    def look(noise):
        looked.append(noise)
        return cost(noise)

    found = account._search(look, goal)
    assert cost(found) <= goal
    assert not cost(found / 1.0001) <= goal
    assert len(looked) <= 3 * 17 + 20
    if name in {"straight", "bent"}:
        assert len(looked) <= 16


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


def exact_chance_of_more(seats, count, share):
    """The chance that more than ``seats`` of ``count`` are drawn, term by term from the largest."""
    at = np.arange(seats + 1, count + 1, dtype=float)
    terms = [
        math.lgamma(count + 1) - math.lgamma(k + 1) - math.lgamma(count - k + 1)
        + k * math.log(share) + (count - k) * math.log1p(-share)
        for k in at
    ]  # fmt: skip
    return math.fsum(math.exp(term) for term in terms)


@pytest.mark.parametrize(
    ("count", "ppm", "epsilon_micro"),
    [(19_200, 41_667, 4_000_000), (1_000, 900_000, 1_000_000), (64_000, 12_500, 20_000_000)],
)
def test_rounds_without_seats_are_rare_and_paid_for(count, ppm, epsilon_micro):
    plan = calibrate(
        epsilon_micro=epsilon_micro, delta_e12=1_000_000, rounds=40, sampling_ppm=ppm
    )  # fmt: skip
    seats = seats_for(plan, count)
    any_round = plan.rounds * exact_chance_of_more(seats, count, ppm / 1e6)
    assert any_round < 1e-12
    # what the noise uses of delta, and what such rounds could cost at worst, are the promise together
    epsilon = epsilon_micro / 1e6
    assert plan.delta_of_noise + (1 + math.exp(epsilon)) * any_round <= plan.delta
    assert plan.delta_of_noise < plan.delta
    assert epsilon_pld(plan) <= epsilon
    # and there are not many more seats than that takes
    spread = math.sqrt(count * ppm / 1e6 * (1 - ppm / 1e6))
    assert seats < count * ppm / 1e6 + 12 * spread


@pytest.mark.parametrize("count", [1, 40, 51])
def test_few_people_all_have_a_seat(count):
    plan = account.Plan(
        epsilon_micro=50_000_000, delta_e12=1, rounds=100_000, sampling_ppm=500_000, multiplier=1.0
    )
    assert seats_for(plan, count) == count


def test_the_bound_on_a_full_round_is_one():
    for count, share in ((1_000, 0.3), (50, 0.02), (20_000, 0.05)):
        for seats in range(int(count * share), count + 1, max(1, count // 40)):
            bound = math.exp(log_chance_of_more(seats, count=count, share=share))
            assert exact_chance_of_more(seats, count, share) <= bound * (1 + 1e-9)


def test_seats_hold_all_that_were_drawn_or_nobody():
    drawn = np.zeros(20, bool)
    drawn[[2, 3, 17]] = True
    assert release.seat_people(drawn, seats=5).tolist() == [2, 3, 17, -1, -1]
    assert release.seat_people(drawn, seats=3).tolist() == [2, 3, 17]
    # one too many: no choice is made among them
    assert release.seat_people(drawn, seats=2).tolist() == [-1, -1]


@pytest.mark.parametrize("seats", [1, 2, 3])
@pytest.mark.parametrize("others", [(1.0, 1.0, 1.0), (-1.0, 0.5, 1.0), (-1.0, -1.0, -1.0)])
def test_rounds_without_seats_cost_no_more_than_poisson_sampling(seats, others):
    """Four people on three seats or fewer, the mechanism written out: no test tells one of them better."""
    share, noise = 0.4, 0.8
    grid = np.linspace(-14, 14, 28_001)
    step = grid[1] - grid[0]

    def bell(mean):
        return np.exp(-(((grid - mean) / noise) ** 2) / 2) / (noise * math.sqrt(2 * math.pi))

    def output(values):
        total = np.zeros_like(grid)
        for drawn in itertools.product((False, True), repeat=4):
            chance = math.prod(share if one else 1 - share for one in drawn)
            seated = release.seat_people(np.array(drawn), seats=seats)
            total += chance * bell(sum(values[at] for at in seated if at >= 0))
        return total

    def apart(one, other, epsilon):
        return np.maximum(one - math.exp(epsilon) * other, 0).sum() * step

    there, gone = output((1.0, *others)), output((0.0, *others))
    whole, none = (1 - share) * bell(0) + share * bell(1.0), bell(0)
    for epsilon in (0.1, 0.5, 1.0, 2.0):
        poisson = max(apart(whole, none, epsilon), apart(none, whole, epsilon))
        assert apart(there, gone, epsilon) <= poisson + 1e-9
        assert apart(gone, there, epsilon) <= poisson + 1e-9
        assert poisson > 1e-6


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
