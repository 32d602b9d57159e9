"""Training: sensitivity, noise, sampling, refusals, and that it learns."""

import dataclasses
import functools
import hashlib
import inspect

import numpy as np
import pyarrow as pa
import pytest

from safehold.enclave import score, train, training
from safehold.enclave.action import Actions
from safehold.enclave.artifact import Model
from safehold.enclave.egress import Allowance, Gate, Metrics, Progress
from safehold.enclave.feature import write_actions
from safehold.enclave.model import DEPTH, Shape, make_examples, predict
from safehold.enclave.vocabulary import Vocabulary
from safehold.errors import DeniedError, InvalidError, TamperedError
from safehold.privacy.account import Plan, calibrate, seats_for
from safehold.privacy.audit import probe
from safehold.privacy.release import SLACK, draw_gaussian
from safehold.privacy.training import descent
from safehold.privacy.training.slots import SlotLearner
from safehold.sandbox.channel import pack_parts

WORDS = Vocabulary.from_spec({"vocabulary": list("ABCDEF"), "apps": ["x", "y"]})
SHAPE = Shape(tokens=7, apps=4)
# two tasks that share their middle: what follows C depends on what came before it
TASKS = ([1, 3, 4], [2, 3, 5], [6, 3, 4, 3])


def walk(rng, count):
    token, app = [], []
    while len(token) < count:
        task = rng.integers(3)
        token += TASKS[task]
        app += [2 + task % 2] * len(TASKS[task])
    start = np.zeros(count, bool)
    start[0] = True
    return Actions(np.array(token[:count]), np.array(app[:count]), start)


def people(count, *, seed=1, length=40):
    rng = np.random.default_rng(seed)
    return [walk(rng, length) for _ in range(count)]


def gathered(count, **more):
    examples = [make_examples(one, SHAPE) for one in people(count, **more)]
    return training.gather_people(examples, SHAPE, most=16)


def gradient(data, present, clip=0.1, weights=0.1):
    learner = training.learner_of(SHAPE)
    params = {"weights": np.full((SHAPE.rows + 1, 7), weights)}
    params["weights"][-1] = 0
    people = learner.prepare(data)
    total, _ = learner.sum_clipped(params, people, present > 0, {"": clip})
    return total["weights"].ravel()


def test_one_person_moves_the_sum_by_the_clip_at_most():
    data = gathered(32)
    whole = gradient(data, np.ones(32))
    for at in range(0, 32, 4):
        present = np.ones(32)
        present[at] = 0
        moved = np.linalg.norm(whole - gradient(data, present))
        assert 0.09 < moved <= 0.1 * SLACK  # clipped, and not to nothing


def test_clipping_is_per_person_and_not_per_row():
    data = gathered(32)
    only = np.zeros(32)
    only[0] = 1
    one = np.linalg.norm(gradient(data, only))
    # sixteen rows clipped one by one would reach up to sixteen times the bound
    assert one <= 0.1 * SLACK
    more_rows = training.gather_people(
        [make_examples(one, SHAPE) for one in people(32, length=400)], SHAPE, most=256
    )
    assert np.linalg.norm(gradient(more_rows, only)) <= 0.1 * SLACK


def test_a_person_who_is_not_in_a_round_moves_nothing():
    data = gathered(32)
    assert not gradient(data, np.zeros(32)).any()


def test_shapes_do_not_depend_on_how_much_people_did():
    few, many = gathered(20, length=3), gathered(20, length=300)
    for name, column in few.items():
        assert column.shape == many[name].shape
    assert few["rows"].shape == (20, 16, DEPTH + 3)  # the last of them is the bias
    assert np.allclose(many["weight"].sum(axis=1), 1.0)


PLAN = Plan(epsilon_micro=1, delta_e12=1, rounds=3, sampling_ppm=1_000_000, multiplier=7.0)


@functools.cache
def data_of_32():
    """Examples drawn once: the cap draws at random, and two runs on one draw differ by noise alone."""
    return gathered(32)


def run(noise, plan=PLAN, **more):
    return training.train(data_of_32(), SHAPE, plan=plan, clip=0.1, rate=1.0, noise=noise, **more)


def test_each_round_asks_for_the_noise_of_the_plan():
    asked = []

    def record(shape, deviation):
        asked.append((shape, deviation))
        return np.zeros(shape)

    run(record)
    assert asked == [(((SHAPE.rows + 1) * 7,), 7.0 * 0.1 * SLACK)] * 3


def test_the_noise_is_in_the_model():
    silent = run(lambda shape, deviation: np.zeros(shape))
    again = run(lambda shape, deviation: np.zeros(shape))
    assert (silent.weights == again.weights).all()
    noisy = run(draw_gaussian)
    # never-used rows hold noise alone: mean over the later iterates of a momentum walk
    unused = unused_rows(silent)
    noise = noisy.weights[unused].ravel()
    # three rounds, momentum .9, the last two iterates averaged
    walk = np.linalg.norm([(1.9 + 2.71) / 2, (1.0 + 1.9) / 2, 1.0 / 2])
    expected = walk * 7.0 * 0.1 * SLACK / 32  # after the division by people
    assert abs(noise.std() / expected - 1) < tolerance(noise.size)


def test_the_noise_of_one_round_has_the_deviation_of_the_plan():
    plan = dataclasses.replace(PLAN, rounds=1)
    silent = run(lambda shape, deviation: np.zeros(shape), plan=plan)
    unused = unused_rows(silent)
    noise = np.concatenate(
        [run(draw_gaussian, plan=plan).weights[unused].ravel() for _ in range(20)]
    )
    assert tolerance(noise.size) < 0.2
    assert abs(noise.std() / (7.0 * 0.1 * SLACK / 32) - 1) < tolerance(noise.size)


def unused_rows(silent):
    unused = np.abs(silent.weights).sum(axis=1) == 0
    assert unused.sum() > 5
    return unused


def tolerance(draws):
    """Six deviations of a sample's spread: an honest one falls outside once in 10^7 runs."""
    return 6 / np.sqrt(2 * draws)


def test_sampling_takes_the_plan_and_not_a_batch_size(monkeypatch):
    asked = []

    def record(count, *, ppm):
        asked.append((count, ppm))
        return np.zeros(count, bool)

    monkeypatch.setattr(descent, "sample_people", record)
    plan = Plan(epsilon_micro=1, delta_e12=1, rounds=3, sampling_ppm=250_000, multiplier=1.0)
    run(lambda shape, deviation: np.zeros(shape), plan=plan)
    assert asked == [(32, 250_000)] * 3


# a crowd of which few are in a round, so that a round has far fewer seats than there are people
FEW = Plan(
    epsilon_micro=4_000_000, delta_e12=1_000_000, rounds=2, sampling_ppm=20_000, multiplier=1.0
)


def crowd(count):
    """A few people's examples, over and over."""
    at = np.arange(count) % 32
    return {name: column[at] for name, column in gathered(32).items()}


def silence(shape, deviation):
    return np.zeros(shape)


def learn(data, plan=FEW, **more):
    return training.train(data, SHAPE, plan=plan, clip=0.1, rate=1.0, noise=silence, **more)


def watch_rounds(monkeypatch):
    """Note who sits in each round, and what it adds up."""
    seen = []
    real = SlotLearner.sum_clipped

    def watched(self, params, people, present, bounds):
        seen.append((people, present, real(self, params, people, present, bounds)))
        return seen[-1][-1]

    monkeypatch.setattr(SlotLearner, "sum_clipped", watched)
    return seen


def test_a_round_works_on_seats_and_not_on_everybody(monkeypatch):
    seen = watch_rounds(monkeypatch)
    data = crowd(4_000)
    seats = seats_for(FEW, 4_000)
    assert 80 < seats < 400
    drawn = [np.zeros(4_000, bool), np.zeros(4_000, bool)]
    drawn[0][[7, 123, 3_999]] = True  # few of them, and as many as there are seats
    drawn[1][:seats] = True
    monkeypatch.setattr(descent, "sample_people", lambda count, *, ppm: drawn[len(seen) % 2])
    learn(data)
    for (people, present, (total, _)), there in zip(seen, drawn, strict=True):
        # always the same shape: no running time tells how many were drawn
        assert {len(column) for column in people.values()} == {seats} == {len(present)}
        assert present.sum() == there.sum()
        assert np.array_equal(people["target"][present], data["target"][there])
        assert total["weights"].any()
    # the first round starts from nothing: what it adds up is what those three give, and nobody else
    some = {name: column[:128] for name, column in data.items()}
    present = np.zeros(128)
    present[[7, 123, 3_999 % 32]] = True  # the crowd repeats 32 people
    alone = gradient(some, present, weights=0.0)
    assert np.allclose(seen[0][2][0]["weights"].ravel(), alone, atol=1e-6)


def test_a_round_that_draws_more_than_it_seats_takes_nobody(monkeypatch):
    drawn = np.zeros(4_000, bool)
    drawn[: seats_for(FEW, 4_000) + 1] = True
    monkeypatch.setattr(descent, "sample_people", lambda count, *, ppm: drawn)
    model = learn(crowd(4_000))
    assert not model.weights.any()
    assert not model.bias.any()


def test_with_everybody_in_each_round_everybody_has_a_seat(monkeypatch):
    seen = watch_rounds(monkeypatch)
    data = gathered(33)
    learn(data, plan=dataclasses.replace(FEW, sampling_ppm=1_000_000))
    for people, present, _ in seen:
        assert present.all()
        assert np.array_equal(people["target"], data["target"])


def test_the_recipe_trains_with_the_loop_that_is_audited():
    assert training.train_private is descent.train_private is probe.train_private


def test_examples_look_back_within_the_session():
    actions = Actions(
        np.array([1, 2, 3, 4]), np.array([2, 2, 3, 3]), np.array([True, False, True, False])
    )
    examples = make_examples(actions, SHAPE)
    assert examples.target.tolist() == [2, 4]
    assert examples.slots[:, :DEPTH].tolist() == [[1, 7, 7, 7, 7], [3, 7, 7, 7, 7]]
    assert examples.slots[:, DEPTH].tolist() == [2, 3]
    assert examples.slots.max(axis=0).tolist() < list(SHAPE.slots)


def parts(count, **more):
    for at, actions in enumerate(people(count, **more)):
        yield {"person": f"r{at}"}, pa.ipc.open_stream(write_actions(actions, WORDS)).read_all()


SPEC = {
    "epsilon_micro": 8_000_000, "delta_e12": 1_000_000, "min_people": 30, "synthetic": True,
    "rounds": 15, "actions_per_person": 32, **WORDS.to_spec(),
}  # fmt: skip


def recipe(count, **more):
    frames = []
    fd = pack_parts(parts(count))
    train.main({**SPEC, **more}, [fd], lambda h, b=b"": frames.append((h, b)))
    return frames


def test_the_recipe_learns_under_the_promise_and_passes_the_gate():
    frames = recipe(200)
    gate = Gate(
        Allowance(
            recipe="train", vocabulary=WORDS, people=frozenset(f"r{i}" for i in range(200)),
            epsilon_micro=8_000_000, delta_e12=1_000_000, min_people=30, synthetic=True,
        )
    )  # fmt: skip
    messages = [gate.admit(header, body) for header, body in frames]
    gate.close()
    assert {type(one) for one in messages} == {Progress, Metrics, Model}
    plain = next(one.values["plain"] for one in messages if isinstance(one, Metrics))
    # of what the noise does, these bounds are 16, 35 and 9 deviations off (46 runs)
    assert plain["private"]["top1"] > plain["bigram"]["top1"] + 0.02
    assert plain["private"]["top1"] > plain["majority"]["top1"] + 0.1
    model = messages[-1]
    assert frames[-1][0]["sha256"] == hashlib.sha256(model.body).hexdigest()
    example = make_examples(people(1)[0], SHAPE)
    guess = predict(model.tensors["weights"], model.tensors["bias"], example.slots, SHAPE)
    assert (guess == example.target).mean() > 0.4


def test_the_baseline_is_neither_clipped_nor_rounded():
    data = gathered(60)
    plan = dataclasses.replace(PLAN, rounds=30)
    plain = training.train_without_privacy(data, SHAPE, plan=plan, rate=1.0)
    free = training.train(data, SHAPE, plan=plan, clip=1e3, rate=1.0, noise=silence)
    assert np.allclose(plain.weights, free.weights, atol=1e-2)
    right = [
        predict(plain.weights, plain.bias, one.slots, SHAPE) == one.target
        for one in (make_examples(each, SHAPE) for each in people(60))
    ]
    assert np.concatenate(right).mean() > 0.7


def test_a_trainer_that_breaks_its_promise_trains_nothing(monkeypatch):
    real = descent.add_noise
    monkeypatch.setattr(
        descent,
        "add_noise",
        lambda total, *, deviation, noise: real(total, deviation=0.9 * deviation, noise=noise),
    )
    with pytest.raises(TamperedError) as caught:
        recipe(200)
    assert caught.value.rule == "enclave.train.audit"


def test_a_trainer_that_draws_otherwise_trains_nothing(monkeypatch):
    """Whoever draws who takes part is looked at for that too; a shard, which draws nobody, is not."""

    def first(count, *, ppm):
        return np.arange(count) < count * ppm // 1_000_000

    monkeypatch.setattr(descent, "sample_people", first)
    with pytest.raises(TamperedError) as caught:
        train.require_audited()
    assert caught.value.rule == "enclave.train.audit"
    train.require_audited(draws=False)


def test_exact_figures_need_made_up_people():
    metrics = next(h for h, _ in recipe(70, synthetic=False, rounds=2) if h["type"] == "metrics")
    assert "plain" not in metrics
    assert metrics["top1"] is not None


def test_too_few_people_are_refused_and_no_score_is_about_too_few():
    with pytest.raises(DeniedError) as caught:
        recipe(29)
    assert caught.value.rule == "charter.min_people"
    metrics = next(h for h, _ in recipe(40, synthetic=False, rounds=1) if h["type"] == "metrics")
    assert (metrics["held_out"], metrics["top1"], metrics["macro_f1"]) == (0, None, None)
    assert "plain" not in metrics


def test_made_up_people_are_scored_exactly_even_if_they_are_few():
    metrics = next(h for h, _ in recipe(40, rounds=1) if h["type"] == "metrics")
    assert (metrics["held_out"], metrics["top1"], metrics["macro_f1"]) == (8, None, None)
    assert set(metrics["plain"]) == {"private", "non_private", "bigram", "majority"}
    assert metrics["trained"] == 32


@pytest.mark.parametrize("name", ["seed", "noise_seed", "Seed", "prng_seed"])
def test_a_seed_is_refused(name):
    with pytest.raises(InvalidError) as caught:
        train.Settings.from_spec({**SPEC, name: 1})
    assert caught.value.rule == "privacy.no_seed"


@pytest.mark.parametrize(
    "more",
    [{"noise": 0}, {"noise_multiplier": 0}, {"rounds": 0}, {"clip_micro": 0}, {"min_people": 1},
     {"epsilon_micro": 51_000_000}, {"synthetic": 1}, {"rounds": 2.0}, {"unit": "row"}],
)  # fmt: skip
def test_nothing_else_is_taken(more):
    with pytest.raises(InvalidError):
        train.Settings.from_spec({**SPEC, **more})


def test_no_spec_key_reaches_the_noise_source():
    assert "noise" in inspect.signature(training.train).parameters
    assert "noise=" not in inspect.getsource(train).replace("noise=noise.", "")
    assert not any("noise" in name for name in train.Settings.__slots__)


def test_private_scores_come_near_exact_ones_with_many_people():
    rng = np.random.default_rng(3)
    vectors = []
    for _ in range(4000):
        target = rng.integers(0, 5, 30)
        guess = np.where(rng.random(30) < 0.7, target, 0)
        vectors.append(score.count_person(target, guess, tokens=5))
    exact = score.score_exact(np.stack(vectors))
    multiplier = calibrate(epsilon_micro=4_000_000, delta_e12=1_000_000).multiplier
    private = score.score_private(np.stack(vectors), multiplier=multiplier)
    error = score.top1_error(people=4000, multiplier=multiplier)
    assert abs(private.top1 - exact.top1) < 6 * error
    assert abs(private.macro_f1 - exact.macro_f1) < 0.05  # some sixty deviations of the noise
    assert private.macro_over == exact.macro_over == 5


@pytest.mark.parametrize(("deviations", "over"), [(2.9, 5), (3.1, 7), (-3.1, 5)])
def test_an_action_that_stands_out_of_the_noise_counts(deviations, over):
    """Three deviations: noise alone makes one count in 1 of 740 cases, so the noise is given here."""
    target = np.arange(300) % 5
    vectors = np.stack([score.count_person(target, target, tokens=7)] * 400)
    private = score.score_private(
        vectors,
        multiplier=2.0,
        noise=lambda shape, deviation: np.full(shape, deviations * deviation),
    )
    assert private.macro_over == over


def test_one_person_moves_a_score_by_its_bound():
    vector = score.count_person(np.zeros(9, int), np.zeros(9, int), tokens=7)
    assert np.linalg.norm(vector) > score.BOUND  # so that the clip is what bounds it
    seen = []
    score.score_private(
        np.stack([vector]), multiplier=2.0,
        noise=lambda shape, deviation: (seen.append(deviation), np.zeros(shape))[1],
    )  # fmt: skip
    assert seen == [2.0 * score.BOUND * SLACK]


def test_whoever_starts_a_run_may_say_who_only_scores_and_nobody_else_does():
    examples = [make_examples(one, SHAPE) for one in people(6, length=5)]
    names = [f"p{at}" for at in range(6)]
    settings = train.Settings.from_spec({**SPEC, "min_people": 2, "held_out": ["p1", "p4", "no"]})
    trains, scores = train._split(examples, settings, names)
    assert [id(one) for one in trains] == [id(examples[at]) for at in (0, 2, 3, 5)]
    assert [id(one) for one in scores] == [id(examples[at]) for at in (1, 4)]
    few = train.Settings.from_spec({**SPEC, "min_people": 5, "held_out": ["p1", "p4"]})
    with pytest.raises(DeniedError):
        train._split(examples, few, names)
    for wrong in ("p1", [1], {"p1": 1}):
        with pytest.raises(InvalidError):
            train.Settings.from_spec({**SPEC, "held_out": wrong})
