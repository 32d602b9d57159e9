"""Audits: a correct trainer passes, every broken one is caught, and the bound is that of the paper."""

import dataclasses
import time

import numpy as np
import pytest
import typer
from jax_privacy.auditing import CanaryScoreAuditor, Explicit
from scipy.stats import binom
from tests.broken import GROSS, SUBTLE

from safehold.cli.audit import audit
from safehold.errors import InvalidError
from safehold.privacy.account import calibrate, epsilon_pld, epsilon_rdp
from safehold.privacy.audit.judge import ALARM, judge_noise
from safehold.privacy.audit.one_run import doubt, epsilon_at_least
from safehold.privacy.audit.probe import CLAIM, Setting, canaries, train_probe, train_slots
from safehold.privacy.audit.trial import audit_algorithm, audit_training
from safehold.privacy.release import draw_gaussian
from safehold.privacy.training.matrix import calibrate_matrix
from safehold.privacy.training.slots import SlotLearner

# smaller than the default, and still far beyond any chance: the default suite runs it once for each
SHORT = Setting(silent=500)
PLAN = SHORT.plan()
QUIET = dataclasses.replace(SHORT, crowd=0)  # where sampling is not what is broken


@pytest.mark.parametrize("name", ["recipe", "dp-sgd", "bandmf"])
def test_what_is_shipped_passes(name):
    record = audit_algorithm(name, setting=SHORT)
    assert record["state"] == "passed"
    assert record["false_alarms_below"] < 1e-6
    assert {one["test"] for one in record["tests"]} >= {"noise", "canaries"}
    assert any("Who takes part" in line for line in record["limits"]) == (name == "bandmf")
    assert ("sampling_varies" in {one["test"] for one in record["tests"]}) == (name != "bandmf")


def test_the_usual_claim_is_the_least_noise_that_both_accountants_confirm():
    found = calibrate(
        epsilon_micro=CLAIM.epsilon_micro, delta_e12=CLAIM.delta_e12, rounds=CLAIM.rounds,
        sampling_ppm=CLAIM.sampling_ppm,
    )  # fmt: skip
    assert found.multiplier / 1.0002 <= CLAIM.multiplier <= found.multiplier * 1.0002
    assert epsilon_rdp(CLAIM) <= CLAIM.epsilon_micro / 1e6
    assert epsilon_pld(CLAIM) <= CLAIM.epsilon_micro / 1e6
    assert PLAN == Setting().plan() == Setting(crowd=0).plan() == CLAIM
    other = Setting(epsilon_micro=2_000_000).plan()
    assert other.multiplier < CLAIM.multiplier


# which test has to see it; a break may show in others too
SEEN = {
    "no noise": "noise", "noise / 10": "noise", "noise x 0.9": "noise",
    "noise once for all rounds": "noise_between_rounds",
    "no clip": "canaries", "clip per row": "canaries", "clip per batch": "canaries",
    "everybody in each round": "sampling_varies", "batches of fixed size": "sampling_varies",
    "batches in turn": "sampling_varies", "half of the people twice as often": "sampling_chance",
}  # fmt: skip


@pytest.mark.parametrize("name", [*GROSS, *SUBTLE])
def test_a_broken_trainer_is_caught(name):
    setting = SHORT if SEEN[name].startswith("sampling") else QUIET
    record = audit_training({**GROSS, **SUBTLE}[name], setting=setting, plan=PLAN)
    failed = {one["test"] for one in record["tests"] if one["state"] == "failed"}
    assert record["state"] == "failed"
    assert SEEN[name] in failed


class _Unclipped(SlotLearner):
    def sum_clipped(self, params, people, present, bounds):
        return super().sum_clipped(params, people, present, dict.fromkeys(bounds, 1e9))


class _RowClipped(SlotLearner):
    """Clips a person by the norm of one of their examples, whose gradients all point one way."""

    def prepare(self, people):
        people = super().prepare(people)
        return {**people, "kernel": people["kernel"] / people["kernel"].shape[1] ** 2}


@pytest.mark.parametrize(
    ("more", "seen"),
    [
        ({"learner": _Unclipped}, "canaries"),
        ({"learner": _RowClipped}, "canaries"),
        ({"noise": lambda shape, deviation: 0.9 * draw_gaussian(shape, deviation)}, "noise"),
    ],
    ids=["no clip", "norm of a row", "noise x 0.9"],
)
def test_a_broken_recipe_is_caught(more, seen):
    def subject(probe):
        made = {
            name: one(rows=probe.size, classes=2) if name == "learner" else one
            for name, one in more.items()
        }
        return train_slots(probe, **made)

    record = audit_training(subject, setting=QUIET, plan=PLAN)
    assert seen in {one["test"] for one in record["tests"] if one["state"] == "failed"}


@pytest.mark.proof
def test_twenty_of_twenty_are_caught_and_none_of_twenty_is_a_false_alarm():
    for name, subject in {**GROSS, **SUBTLE}.items():
        setting = SHORT if SEEN[name].startswith("sampling") else QUIET
        caught = [
            audit_training(subject, setting=setting, plan=PLAN)["state"] == "failed"
            for _ in range(20)
        ]
        print(f"{name}: caught {sum(caught)} of 20", flush=True)
        assert all(caught)
    for name in ("recipe", "dp-sgd"):
        began = time.process_time()
        passed = [audit_algorithm(name)["state"] == "passed" for _ in range(20)]
        each = (time.process_time() - began) / 20
        print(
            f"{name}: false alarms {20 - sum(passed)} of 20; {each:.1f} CPU-s an audit", flush=True
        )
        assert all(passed)
        assert each < 60


def test_correlated_noise_that_is_too_small_is_caught():
    plan = calibrate_matrix(epsilon_micro=1_000_000, delta_e12=10, rounds=10, groups=5)
    probe, _ = canaries(SHORT, plan)
    sums = train_probe(probe, noise=lambda shape, dev: 0.9 * draw_gaussian(shape, dev))
    states = [
        one["state"] for one in judge_noise(sums[:, SHORT.canaries :], plan=plan, clip=probe.clip)
    ]
    assert states[0] == "failed"


def test_the_bound_is_that_of_the_paper():
    rng = np.random.default_rng(5)
    inside, outside = rng.normal(1.5, 1, 500), rng.normal(0, 1, 500)
    loud = [int((scores > 1.5).sum()) for scores in (inside, outside)]
    theirs = CanaryScoreAuditor(inside, outside).epsilon_one_run(
        significance=0.05, delta=1e-5, threshold_strategy=Explicit(1.5)
    )
    ours = epsilon_at_least(canaries=1_000, guesses=sum(loud), right=loud[0], delta=1e-5)
    assert theirs > 0.5
    assert ours == pytest.approx(theirs, abs=2e-3)


def test_doubt_is_a_binomial_tail_and_grows_with_delta():
    # 10 of 10 right at epsilon 0: 2^-10
    assert doubt(canaries=10, guesses=10, right=10, epsilon=0.0, delta=0.0) == pytest.approx(2**-10)
    assert doubt(canaries=10, guesses=10, right=10, epsilon=0.0, delta=1e-3) > 2**-10
    assert doubt(canaries=10, guesses=10, right=5, epsilon=5.0, delta=0.0) > 0.99
    with pytest.raises(InvalidError):
        doubt(canaries=10, guesses=10, right=11, epsilon=1.0, delta=0.0)


@pytest.mark.parametrize("chance", [0.5, 0.731, 1.0])
@pytest.mark.parametrize("right", [0, 1, 60, 99, 100])
def test_doubt_is_the_tail_of_scipys_binomial(right, chance):
    epsilon = 64.0 if chance == 1.0 else np.log(chance / (1 - chance))
    found = doubt(canaries=200, guesses=100, right=right, epsilon=epsilon, delta=0.0)
    assert found == pytest.approx(binom.sf(right - 1, 100, 1 / (1 + np.exp(-epsilon))), rel=1e-9)


def test_noise_is_tested_down_to_its_claim():
    rng = np.random.default_rng(3)
    # right on the claim: none of a hundred is anywhere near the alarm
    for _ in range(100):
        sums = PLAN.multiplier * rng.normal(size=(20, 400))
        assert all(one["chance"] > 100 * ALARM for one in judge_noise(sums, plan=PLAN, clip=1.0))


def test_a_subject_that_returns_something_else_is_refused():
    with pytest.raises(InvalidError):
        audit_training(lambda probe: np.zeros((1, 2)), setting=SHORT, plan=PLAN)
    with pytest.raises(InvalidError):
        audit_algorithm("sgd", setting=SHORT)


def test_the_command_ends_with_1_when_a_promise_is_refuted(monkeypatch, capsys):
    # the record of a trainer that failed, through the command's own eyes
    broken = audit_training(GROSS["no noise"], setting=QUIET, plan=PLAN)
    monkeypatch.setattr("safehold.privacy.audit.trial.audit_training", lambda **_: broken)
    with pytest.raises(typer.Exit) as caught:
        audit(algorithm=["dp-sgd"], as_json=False)
    assert caught.value.exit_code == 1
    assert "the noise is smaller than claimed" in capsys.readouterr().out
