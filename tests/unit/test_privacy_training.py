"""Training under a person-level promise: sensitivity, sampling, noise, steps, and that it learns."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax_privacy.clipping import clipped_grad
from jax_privacy.matrix_factorization import toeplitz

from safehold.errors import InvalidError, SafeholdError
from safehold.privacy import account
from safehold.privacy.account import Plan, calibrate, divide, epsilon_pld, epsilon_rdp
from safehold.privacy.release import SLACK, draw_gaussian
from safehold.privacy.training import descent, matrix
from safehold.privacy.training.course import Adaptive, Clip, Steps
from safehold.privacy.training.descent import train_private
from safehold.privacy.training.graph import JaxLearner
from safehold.privacy.training.matrix import (
    CorrelatedNoise,
    calibrate_matrix,
    sensitivity,
    strategy,
)
from safehold.privacy.training.scale import release_counts, weigh_words
from safehold.privacy.training.slots import SlotLearner
from safehold.privacy.training.text import next_word_learner, next_words

pytestmark = pytest.mark.filterwarnings("ignore:optax.global_norm:DeprecationWarning")

ROWS, CLASSES, EXAMPLES, SLOTS = 12, 3, 4, 5
PLAN = Plan(
    epsilon_micro=1_000_000, delta_e12=1_000_000, rounds=4, sampling_ppm=1_000_000, multiplier=2.0
)


def people(count, *, seed=1):
    """People whose class follows the first row of an example."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, ROWS, (count, EXAMPLES, SLOTS)).astype(np.int32)
    return {
        "rows": rows,
        "values": rng.uniform(0.2, 1, rows.shape).astype(np.float32),
        "target": (rows[:, :, 0] % CLASSES).astype(np.int32),
        "weight": np.full((count, EXAMPLES), 1 / EXAMPLES, np.float32),
    }


def loss(params, one):
    """The loss of a slot model, as JAX writes it."""
    scores = (one["values"][..., None] * params["weights"][one["rows"]]).sum(axis=1)
    chances = jax.nn.log_softmax(scores)
    hit = jnp.take_along_axis(chances, one["target"][:, None], axis=1)[:, 0]
    return -(one["weight"] * hit).sum()


def zeros():
    return {"weights": np.zeros((ROWS, CLASSES))}


LEARNERS = {
    "slots": lambda: SlotLearner(rows=ROWS, classes=CLASSES),
    "graph": lambda: JaxLearner(loss, zeros()),
    "graph in chunks": lambda: JaxLearner(loss, zeros(), chunk=4),
}


def clipped(learner, data, present, bound=0.1, seed=2):
    params = {"weights": np.random.default_rng(seed).normal(0, 1, (ROWS, CLASSES))}
    data = learner.prepare(data)
    total, within = learner.sum_clipped(params, data, np.asarray(present, bool), {"": bound})
    return total["weights"], within, params


@pytest.mark.parametrize("name", LEARNERS)
def test_the_sum_is_that_of_gradients_clipped_person_by_person(name):
    data, present = people(16), np.ones(16)
    slope = jax.jit(jax.vmap(jax.grad(loss), in_axes=(None, 0)))
    for bound in (0.1, 0.45):
        total, within, params = clipped(LEARNERS[name](), data, present, bound)
        theirs = clipped_grad(
            lambda p, r, v, t, w: loss(
                p, {"rows": r, "values": v, "target": t, "weight": w}
            ),
            l2_clip_norm=bound, batch_argnums=(1, 2, 3, 4), keep_batch_dim=False,
        )  # fmt: skip
        small = {"weights": jnp.asarray(params["weights"], jnp.float32)}
        expected = theirs(small, *(data[x] for x in ("rows", "values", "target", "weight")))
        assert np.allclose(total, expected["weights"], atol=1e-5)
        norms = np.linalg.norm(slope(small, data)["weights"].reshape(16, -1), axis=1)
        assert within == (norms <= bound).sum()


@pytest.mark.parametrize("name", LEARNERS)
def test_one_person_moves_the_sum_by_the_bound_at_most(name):
    data, learner = people(16), LEARNERS[name]()
    whole = clipped(learner, data, np.ones(16))[0]
    for at in range(0, 16, 3):
        present = np.ones(16)
        present[at] = 0
        moved = np.linalg.norm(whole - clipped(learner, data, present)[0])
        assert 0.09 < moved <= 0.1 * SLACK  # clipped, and not to nothing
    assert not clipped(learner, data, np.zeros(16))[0].any()


@pytest.mark.parametrize("name", LEARNERS)
def test_a_gradient_that_is_not_finite_counts_nothing(name):
    data = people(4)
    data["values"][2] = np.inf
    learner = LEARNERS[name]()
    with np.errstate(invalid="ignore"):
        total = clipped(learner, data, np.ones(4))[0]
    assert np.isfinite(total).all()
    assert np.allclose(total, clipped(learner, data, [1, 1, 0, 1])[0], atol=1e-6)


def test_each_layer_has_its_share_of_the_bound():
    def two(params, one):
        return (
            loss({"weights": params["weights"]}, one) + (params["other"] * one["values"][0]).sum()
        )

    learner = JaxLearner(two, {**zeros(), "other": np.zeros(SLOTS)})
    shares = Clip(bound=0.1, per_layer=True).shares(["weights", "other"], 0.1)
    assert sum(share**2 for share in shares.values()) == pytest.approx(0.01)
    one = {name: column[:1] for name, column in people(1).items()}
    total, _ = learner.sum_clipped(learner.start(), one, np.ones(1, bool), shares)
    for name, share in shares.items():
        assert np.linalg.norm(total[name]) == pytest.approx(share, rel=1e-4)


def record_noise(asked):
    def noise(shape, deviation):
        asked.append((shape, deviation))
        return np.zeros(shape)

    return noise


def run(plan=PLAN, *, noise=None, clip=None, steps=None, data=None, **more):
    asked = []
    found = train_private(
        SlotLearner(rows=ROWS, classes=CLASSES), data or people(32), plan=plan,
        clip=clip or Clip(bound=0.1), steps=steps or Steps(rate=1.0),
        noise=noise or record_noise(asked), **more,
    )  # fmt: skip
    return found, asked


def test_noise_is_drawn_once_a_round_over_everything():
    _, asked = run()
    assert asked == [((ROWS * CLASSES,), 2.0 * 0.1 * SLACK)] * 4


def test_what_is_watched_is_what_is_released():
    seen = []
    run(noise=draw_gaussian, watch=seen.append)
    silent = []
    run(watch=silent.append)
    noise = seen[0]["weights"] - silent[0]["weights"]
    assert len(seen) == 4
    assert 0.05 < noise.std() < 0.5  # 0.2 from 36 draws


@pytest.mark.parametrize("size", [1e2, 1e4, 1e6])
def test_somebody_whose_gradients_cancel_is_clipped_too(size):
    """In single precision their squared norm is rounding alone: it must not pass for zero."""
    rng = np.random.default_rng(7)
    rows = np.broadcast_to(np.arange(2, dtype=np.int32), (20, 33, 2)).copy()
    values = np.stack([np.full((20, 33), size), rng.uniform(-1, 1, (20, 33))], axis=-1)
    data = {
        "rows": rows,
        "values": (values * rng.uniform(0.9, 1.1, (20, 1, 1))).astype(np.float32),
        "target": np.broadcast_to(np.arange(33, dtype=np.int32) % CLASSES, (20, 33)).copy(),
        "weight": np.full((20, 33), 1 / 33, np.float32),
    }
    learner = SlotLearner(rows=ROWS, classes=CLASSES)
    data = learner.prepare(data)
    for at in range(20):
        there = np.arange(20) == at
        total, _ = learner.sum_clipped(zeros(), data, there, {"": 1e-3})
        assert np.linalg.norm(total["weights"]) <= 1e-3 * SLACK


def test_the_count_of_a_bound_that_adapts_pays_for_somebody_who_is_replaced_by_nothing():
    adaptive = Adaptive(quantile=0.5, rate=1.0, deviation=3.0)
    once = dataclasses.replace(PLAN, rounds=1)

    def count(data):
        """Return the count that a round released without noise, from what became of the bound."""
        found, _ = run(once, clip=Clip(bound=1e-3, adaptive=adaptive), data=data)
        return -np.log(found.bound / 1e-3) * 32

    loud = people(32)
    nothing = {**loud, "weight": loud["weight"].copy()}
    nothing["weight"][0] = 0
    moved = abs(count(loud) - count(nothing))
    assert moved > 0.9
    cost = adaptive.multiplier(2.0) ** -2 + (moved / adaptive.deviation) ** 2
    assert cost <= 2.0**-2 * (1 + 1e-9)


def test_the_bound_that_adapts_pays_for_its_count():
    adaptive = Adaptive(quantile=0.5, rate=0.5, deviation=3.0)
    found, asked = run(clip=Clip(bound=0.01, adaptive=adaptive))
    sums, counts = asked[::2], asked[1::2]
    together = (2.0**-2 - 3.0**-2) ** -0.5
    assert sums[0][1] == pytest.approx(together * 0.01 * SLACK)
    assert counts == [((1,), 3.0)] * 4
    # nobody is within so small a bound: it grows by e^(rate * quantile) each round
    assert found.bound == pytest.approx(0.01 * np.exp(0.5 * 0.5 * 4))
    deviations = [deviation for _, deviation in sums]
    assert deviations == sorted(deviations)
    with pytest.raises(InvalidError):
        run(clip=Clip(bound=0.1, adaptive=Adaptive(deviation=0.9)))


@pytest.mark.parametrize("changed", [{"groups": 2}, {"groups": 1}, {"rounds": 24}])
def test_a_matrix_plan_is_not_run_with_other_turns_than_it_was_made_for(changed):
    plan = matrix.calibrate_matrix(
        epsilon_micro=1_000_000, delta_e12=1_000_000, rounds=12, groups=4, bands=2
    )
    run(plan)
    with pytest.raises(InvalidError):
        run(dataclasses.replace(plan, **changed))


def test_sum_and_count_cost_what_the_plan_says():
    # as one Gaussian: the two sensitivities side by side, scaled by their noise
    adaptive = Adaptive(deviation=3.0)
    joint = (adaptive.multiplier(2.0) ** -2 + (1 / 3.0) ** 2) ** -0.5
    assert joint == pytest.approx(2.0)


def test_who_takes_part_is_drawn_as_the_plan_says(monkeypatch):
    asked = []
    monkeypatch.setattr(
        descent, "sample_people",
        lambda count, *, ppm: asked.append((count, ppm)) or np.zeros(count, bool),
    )  # fmt: skip
    found, _ = run(dataclasses.replace(PLAN, sampling_ppm=250_000))
    assert asked == [(32, 250_000)] * 4
    assert not found.params["weights"].any()


class Watched(SlotLearner):
    """Notes who is on the seats."""

    def __init__(self):
        super().__init__(rows=ROWS, classes=CLASSES)
        self.seen = []

    def sum_clipped(self, params, people, present, bounds):
        self.seen.append((people["who"].copy(), present.copy()))
        return super().sum_clipped(params, people, present, bounds)


def test_turns_are_fixed_and_everybody_has_one_in_each():
    plan = calibrate_matrix(epsilon_micro=1_000_000, delta_e12=1_000_000, rounds=7, groups=3)
    learner, data = Watched(), {**people(32), "who": np.arange(32)}
    train_private(
        learner, data, plan=plan, clip=Clip(bound=0.1), steps=Steps(rate=1.0),
        noise=record_noise([]),
    )  # fmt: skip
    turns = [set(who[present]) for who, present in learner.seen]
    assert {len(who) for who, _ in learner.seen} == {11}  # one shape in every round
    for at in range(4):
        assert turns[at] == turns[at + 3]
    assert turns[0] | turns[1] | turns[2] == set(range(32))
    assert sum(len(turn) for turn in turns[:3]) == 32


def test_the_sensitivity_of_turns_is_that_of_the_paper_and_of_its_authors_code():
    for rounds, groups, bands in ((12, 4, 4), (13, 4, 3), (9, 3, 1), (30, 10, 10)):
        values = strategy(bands)
        ours = sensitivity(values, rounds=rounds, groups=groups)
        theirs = toeplitz.minsep_sensitivity_squared(jnp.asarray(values), groups, n=rounds)
        assert ours**2 == pytest.approx(float(theirs), rel=1e-5)
        # and by brute force: the worst person is in the first group, with every sign
        whole = np.zeros((rounds, rounds))
        for at, value in enumerate(values):
            whole += value * np.eye(rounds, k=-at)
        worst = max(np.sqrt((whole[:, first::groups] ** 2).sum()) for first in range(groups))
        assert ours == pytest.approx(worst)
    with pytest.raises(InvalidError):
        sensitivity(strategy(5), rounds=20, groups=4)
    with pytest.raises(InvalidError):
        sensitivity((0.2, 0.9), rounds=20, groups=4)
    for groups, bands in ((0, None), (9, None), (3, 4)):
        with pytest.raises(InvalidError):
            calibrate_matrix(
                epsilon_micro=10**6, delta_e12=10**6, rounds=8, groups=groups, bands=bands
            )


@pytest.mark.proof
def test_the_strategy_is_near_the_best_there_is():
    best = toeplitz.optimize_banded_toeplitz(40, 8, max_optimizer_steps=50)
    ours, theirs = (
        float(toeplitz.per_query_error(strategy_coef=one, n=40).mean())
        for one in (jnp.asarray(strategy(8)), best)
    )
    plain = float(toeplitz.per_query_error(strategy_coef=jnp.ones(1), n=40).mean())
    assert theirs <= ours <= 1.3 * theirs < plain


def test_correlated_noise_is_that_of_the_factorisation():
    values, drawn = strategy(3), []
    rng = np.random.default_rng(4)

    def noise(shape, deviation):
        drawn.append(rng.normal(0, deviation, shape))
        return drawn[-1]

    source = CorrelatedNoise(values, noise)
    made = np.stack([source((5,), 2.0) for _ in range(8)])
    whole = sum(value * np.eye(8, k=-at) for at, value in enumerate(values))
    assert np.allclose(whole @ made, np.stack(drawn))


def test_a_matrix_plan_costs_one_gaussian_and_takes_no_moving_bound():
    plan = calibrate_matrix(epsilon_micro=2_000_000, delta_e12=1_000_000, rounds=12, groups=4)
    size = sensitivity(plan.coefficients, rounds=12, groups=4)
    assert plan.multiplier / size == pytest.approx(plan.gaussian.multiplier)
    assert epsilon_pld(plan.gaussian) <= 2.0
    with pytest.raises(InvalidError):
        run(plan, clip=Clip(bound=0.1, adaptive=Adaptive()))


def test_a_divided_promise_is_the_whole_one():
    plan = calibrate(epsilon_micro=2_000_000, delta_e12=1_000_000, rounds=30)
    first, rest = divide(plan, first_ppm=100_000)
    together = first.multiplier**-2 + 30 * rest.multiplier**-2
    assert together == pytest.approx(30 * plan.multiplier**-2)
    assert first.rounds == 1
    assert first.multiplier**-2 == pytest.approx(0.1 * together)
    assert epsilon_rdp(plan) == pytest.approx(epsilon_pld(plan), rel=0.2)
    for broken, share in ((plan, 0), (plan, 10**6), (dataclasses.replace(plan, sampling_ppm=9), 9)):
        with pytest.raises(InvalidError):
            divide(broken, first_ppm=share)


def test_a_divided_promise_that_an_accountant_does_not_confirm_is_refused(monkeypatch):
    monkeypatch.setattr(account, "epsilon_pld", lambda plan: 9.0)
    with pytest.raises(SafeholdError) as caught:
        divide(PLAN, first_ppm=100_000)
    assert caught.value.rule == "privacy.account.confirm"


def test_counts_of_words_are_released_with_the_noise_of_their_plan():
    used = np.zeros((50, 6), bool)
    used[:, 0] = True
    used[:5, 1] = True
    asked = []
    counts = release_counts(used, plan=PLAN, noise=record_noise(asked))
    assert asked == [((6,), 2.0 * SLACK)]
    assert counts[0] == pytest.approx(45 + 5 / 2**0.5, abs=1e-3)
    weights = weigh_words(counts, people=50, plan=PLAN)
    assert weights[0] < weights[1] == weights[2]  # below the floor counts are all alike


def test_iterates_are_averaged_or_followed():
    last = run(steps=Steps(rate=1.0, average=0.0))[0].params["weights"]
    late = run(steps=Steps(rate=1.0, average=0.5))[0].params["weights"]
    moving = run(steps=Steps(rate=1.0, ema=0.5))[0].params["weights"]
    steps = []
    run(steps=Steps(rate=1.0), watch=lambda total: steps.append(total["weights"] / 32))
    # momentum by hand, on gradients that hardly move at so small a bound
    at, speed, path = np.zeros((ROWS, CLASSES)), 0.0, []
    for slope in steps:
        speed = 0.9 * speed + slope
        at = at - speed
        path.append(at)
    assert np.allclose(last, path[3])
    assert np.allclose(late, (path[2] + path[3]) / 2)
    assert np.allclose(moving, sum(p * 0.5 ** (4 - i) for i, p in enumerate(path)) / (1 - 0.5**4))
    adam = run(steps=Steps(rate=0.1, method="adam", average=0.0))[0].params["weights"]
    assert np.abs(adam).max() == pytest.approx(0.4, rel=0.2)


@pytest.mark.parametrize("kind", ["dp-sgd", "bandmf", "adaptive", "adam"])
def test_it_learns_under_a_promise(kind):
    data = people(400)
    clip, steps = Clip(bound=0.5), Steps(rate=4.0)
    if kind == "bandmf":
        plan = calibrate_matrix(epsilon_micro=8_000_000, delta_e12=10**6, rounds=24, groups=4)
        steps = Steps(rate=2.0)
    else:
        plan = calibrate(epsilon_micro=8_000_000, delta_e12=10**6, rounds=20)
    if kind == "adaptive":
        clip = Clip(bound=0.05, adaptive=Adaptive())
    if kind == "adam":
        steps = Steps(rate=0.3, method="adam")
    learner = SlotLearner(rows=ROWS, classes=CLASSES)
    found = train_private(learner, data, plan=plan, clip=clip, steps=steps)
    other = people(200, seed=9)
    guess = learner.scores(found.params, other).argmax(axis=-1)
    # a third by chance; without noise nine in ten
    assert (guess == other["target"]).mean() > 0.5


def test_people_are_counted_once():
    for data in ({}, {**people(3), "weight": np.ones((2, EXAMPLES))}):
        with pytest.raises(InvalidError):
            train_private(
                SlotLearner(rows=ROWS, classes=CLASSES), data, plan=PLAN, clip=Clip(bound=1.0),
                steps=Steps(rate=1.0),
            )  # fmt: skip


def test_no_product_path_takes_a_seed():
    import inspect

    for function in (
        train_private,
        calibrate_matrix,
        release_counts,
        CorrelatedNoise.__init__,
        matrix.strategy,
    ):
        assert "seed" not in inspect.signature(function).parameters


def test_the_next_word_is_one_of_a_public_list_and_nothing_written_is_a_name():
    words = ("the", "cat", ".")
    texts = [["The cat sat. The zebra", "cat"], [], ["the " * 50]]
    data = next_words(texts, words, most=8)
    assert data["rows"].shape == (3, 8, 4)
    # the cat sat . the zebra | cat: words outside of the list are class 0
    assert data["target"][0, :7].tolist() == [1, 2, 0, 3, 1, 0, 2]
    assert np.allclose(data["weight"].sum(axis=1), [1, 0, 1])
    assert (data["weight"][2] > 0).sum() == 8
    learner = next_word_learner(words)
    assert data["rows"].max() < learner.rows
    # a message starts anew: its first word is looked at from the start
    assert (data["rows"][0, 6] == data["rows"][0, 0]).all()
    for broken in ((), ("a", "a")):
        with pytest.raises(InvalidError):
            next_words(texts, broken, most=8)


def test_text_is_learned_under_a_promise():
    rng = np.random.default_rng(3)
    words = ("one", "two", "three", "four")

    def write():
        at = int(rng.integers(4))
        return " ".join(words[(at + i) % 4] for i in range(6))

    texts = [[write() for _ in range(4)] for _ in range(300)]
    learner = next_word_learner(words)
    plan = calibrate(epsilon_micro=4_000_000, delta_e12=10**6, rounds=10)
    found = train_private(
        learner, next_words(texts[:200], words, most=16), plan=plan, clip=Clip(bound=0.5),
        steps=Steps(rate=4.0),
    )  # fmt: skip
    other = next_words(texts[200:], words, most=16)
    guess = learner.scores(found.params, other).argmax(axis=-1)
    assert (guess == other["target"])[other["weight"] > 0].mean() > 0.6  # a quarter by chance
