"""The attackers recognise whom they should, the figure is bounded honestly, and a gate is passed only on its bound."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from safehold.app.attack import reidentify
from safehold.assurance.reidentify.attackers import Arms, attack, read_trail
from safehold.assurance.reidentify.encoder import Schooling, match_encoder
from safehold.assurance.reidentify.fuse import fuse, inner_trial, learn_weights
from safehold.assurance.reidentify.picture import draw
from safehold.assurance.reidentify.protect import protect
from safehold.assurance.reidentify.score import (
    Figure,
    equal_error,
    judge_scores,
    standard_error,
)
from safehold.assurance.reidentify.trail import Trail, place_in, split_runs
from safehold.assurance.reidentify.trial import Trial, limit, outcome, run_trial
from safehold.assurance.reidentify.utility import area, measure_utility
from safehold.assurance.reidentify.verdict import gate_of, judge_gate
from safehold.charter.oversight import Gate
from safehold.charter.value import MICRO, Threshold
from safehold.errors import InvalidError
from safehold.privacy.recognition import fewest_people, upper_bound
from safehold.telemetry.stream import Level
from safehold.workforce import Spec, person_day

PEOPLE = 30


def gate(bound: float, *, op: str = "<=", level: str = "L3", attack_: str = "reidentify") -> Gate:
    return Gate(
        id="g",
        attack=attack_,
        level=level,
        measure="reidentify.top1",
        must_be=Threshold(op=op, micro=round(bound * MICRO)),
    )


def figure(hits: int, people: int) -> Figure:
    return Figure(attacker="x", hits=hits, among_ten=hits, people=people, eer=0.1)


@pytest.fixture(scope="module")
def tables() -> dict[str, pa.Table]:
    spec = Spec(people=PEOPLE, days=2, start_day=20_780, seed=3, pace=2_000)
    days = [person_day(spec, who, day) for who in range(PEOPLE) for day in (0, 1)]
    return {name: pa.concat_tables([one[name] for one in days]) for name in ("key", "pointer")}


@pytest.fixture(scope="module")
def raw(tables: dict[str, pa.Table]) -> Trail:
    return read_trail("key", protect("key", tables["key"], Level.L0))


@pytest.mark.parametrize(
    ("hits", "people", "bound"),
    [(0, 100, 0.0295), (3, 100, 0.0757), (7, 400, 0.0327), (53, 400, 0.1637), (5, 5, 1.0)],
)
def test_the_bound_is_that_of_clopper_and_pearson(hits: int, people: int, bound: float) -> None:
    assert upper_bound(hits, people) == pytest.approx(bound, abs=2e-4)
    assert standard_error(hits, people) > 0


def test_so_few_hits_are_just_as_unlikely_at_the_bound_as_it_says() -> None:
    share = upper_bound(2, 60)
    chance = sum(math.comb(60, k) * share**k * (1 - share) ** (60 - k) for k in range(3))
    assert chance == pytest.approx(0.05, abs=1e-6)


def test_a_gate_is_judged_on_the_bound_and_not_on_the_figure() -> None:
    assert judge_gate(gate(0.03), [figure(6, 400)]).state == "passed"
    assert judge_gate(gate(0.03), [figure(7, 400)]).state == "failed"  # 1.75 %, at most 3.3 %
    assert judge_gate(gate(0.15), [figure(0, 400), figure(53, 400)]).state == "failed"


def test_too_few_people_never_pass_and_many_hits_among_them_fail() -> None:
    assert fewest_people(30_000) == 99
    assert fewest_people(150_000) == 50
    assert judge_gate(gate(0.03), [figure(0, 98)]).state == "too few people"
    assert judge_gate(gate(0.03), [figure(0, 99)]).state == "passed"
    assert judge_gate(gate(0.15), [figure(0, 49)]).state == "too few people"
    assert judge_gate(gate(0.03), [figure(10, 40)]).state == "failed"


def test_a_gate_that_no_number_of_people_can_pass_is_refused() -> None:
    with pytest.raises(InvalidError):
        judge_gate(gate(0.0), [figure(0, 400)])
    with pytest.raises(InvalidError):
        judge_gate(gate(0.03, op=">="), [figure(0, 400)])
    with pytest.raises(InvalidError):
        judge_gate(gate(0.03, attack_="membership"), [figure(0, 400)])


def test_the_strictest_gate_of_a_level_counts() -> None:
    gates = (gate(0.1), gate(0.03), gate(0.01, level="L2"), gate(0.001, attack_="membership"))
    found = gate_of(gates, Level.L3)
    assert found is not None
    assert found.must_be.micro == 30_000
    assert gate_of(gates, Level.L1) is None


def test_ranks_ties_and_equal_error() -> None:
    assert judge_scores("x", np.eye(20)).hits == 20
    assert equal_error(np.eye(20)) == 0.0
    assert judge_scores("x", np.zeros((21, 21))).hits == 0  # nothing told is nothing recognised
    wrong = 1.0 - np.eye(20)
    assert judge_scores("x", wrong).among_ten == 0


def test_the_later_half_of_the_sittings_is_to_be_recognised() -> None:
    person = np.array([0] * 4 + [1] * 5 + [2] * 4)
    run = np.array([0, 1, 2, 3, 4, 4, 4, 5, 5, 6, 6, 6, 6])
    probe = split_runs(person, run)
    assert probe[:4].tolist() == [False, False, True, True]
    assert probe[4:9].tolist() == [False] * 3 + [True] * 2  # of two the longer is enrolled
    assert probe[9:].tolist() == [False, False, True, True]  # one sitting is cut in the middle


def test_a_cap_cuts_the_probe_alone(raw: Trail) -> None:
    cut = limit(raw, cap=50, enrol=None)
    assert np.bincount(cut.person[cut.probe]).max() == 50
    assert (~cut.probe).sum() == (~raw.probe).sum()
    assert place_in(np.array([3, 1, 3, 3, 1])).tolist() == [0, 0, 1, 2, 1]


def test_what_a_level_took_the_attacker_does_not_see(tables: dict[str, pa.Table]) -> None:
    for level, told in ((Level.L1, True), (Level.L2, True), (Level.L3, False)):
        trail = read_trail("key", protect("key", tables["key"], level))
        assert trail.has("gap") is told
        assert trail.has("hold") is (level is Level.L1)
    pointer = read_trail("pointer", protect("pointer", tables["pointer"], Level.L3))
    assert not any(pointer.has(name) for name in pointer.names)
    assert {word.split()[0] for word in pointer.views["act"][1]} <= {"CLICK", "SCROLL", "DRAG"}


def test_what_is_masked_has_no_times(raw: Trail) -> None:
    label, words = raw.views["code"]
    masked = np.array([word.startswith("<") for word in words])[label]
    assert masked.any()
    assert np.isnan(raw.number("hold")[masked]).all()


def test_people_are_recognised_raw_and_hardly_without_timing(
    raw: Trail, tables: dict[str, pa.Table]
) -> None:
    arms = Arms(kinds=("profile", "discriminant", "forest", "fused"), seed=1)
    found = {one.attacker: one for one in attack("key", raw, arms)}
    assert max(found["profile code"].rank1, found["discriminant"].rank1) > 0.7
    assert found["fused"].rank1 > 0.7
    trail = read_trail("key", protect("key", tables["key"], Level.L3))
    order = attack("key", trail, Arms(kinds=("profile", "discriminant")))
    assert max(one.rank1 for one in order) < 0.5


def test_the_same_seed_measures_the_same(raw: Trail) -> None:
    arms = Arms(kinds=("forest",), seed=4)
    assert attack("key", raw, arms) == attack("key", raw, arms)


def test_the_encoder_learns(raw: Trail) -> None:
    untrained = match_encoder(raw, seed=1, schooling=Schooling(steps=0, pieces=4))
    trained = match_encoder(raw, seed=1, schooling=Schooling(steps=120, pieces=4))
    assert judge_scores("x", trained).rank1 > judge_scores("x", untrained).rank1 + 0.2
    assert equal_error(trained) < equal_error(untrained)


def test_the_weights_are_learned_inside_what_was_enrolled(raw: Trail) -> None:
    inner = inner_trial(raw)
    assert len(inner) <= (~raw.probe).sum()
    rng = np.random.Generator(np.random.PCG64(1))
    good, noise = np.eye(40) + 0.3 * rng.random((40, 40)), rng.random((40, 40))
    weights = learn_weights([good, noise])
    assert weights[0] > 3 * weights[1]
    fused = fuse({"a": good, "b": noise, "c": noise}, {"a": good, "b": noise})
    assert judge_scores("x", fused).rank1 == 1.0


def test_utility_is_an_area_with_ties_counted_half() -> None:
    told, truth = np.array([0.1, 0.4, 0.4, 0.9]), np.array([0, 0, 1, 1])
    assert area(told, truth, np.ones(4)) == pytest.approx(3.5 / 4)
    assert area(told, truth, np.array([1.0, 0, 1, 1])) == 1.0


def test_a_stream_without_corrections_or_actions_has_no_utility(raw: Trail) -> None:
    label, words = raw.views["class"]
    silent = raw.take(label != words.index("backspace"))
    assert measure_utility("key", silent, seed=1) is None


def test_a_trial_reports_levels_gates_and_a_picture(tables: dict[str, pa.Table]) -> None:
    trial = Trial(
        levels=(Level.L2, Level.L3, Level.L4),
        arms=Arms(kinds=("profile", "discriminant")),
        cap=60,
        gates=(gate(0.15, level="L2"), gate(0.03)),
    )
    steps: list[dict[str, object]] = []
    found = run_trial(tables, trial, steps.append)
    assert [one.level for one in found] == [Level.L2, Level.L3, Level.L4] * 2
    assert {one.stream for one in found} == {"key", "pointer"}
    assert steps[-1] == {"done": 6, "of": 6}
    assert all(one.probe <= 60 for one in found)
    assert outcome(found) in {"failed", "too few people"}  # 30 people prove nothing
    assert found[2].people == 0
    assert found[2].verdict is None
    picture = draw(found, title="a < b")
    assert picture.startswith("<svg")
    assert "a &lt; b" in picture
    assert "script" not in picture


def test_nothing_to_attack_is_said(tables: dict[str, pa.Table]) -> None:
    trial = Trial(levels=(Level.L3,), arms=Arms(kinds=("profile",)))
    with pytest.raises(InvalidError, match="neither keys nor pointer"):
        run_trial({"chat": tables["key"]}, trial)
    one = tables["key"].filter(pa.compute.equal(tables["key"]["person"], "emp-00001"))
    with pytest.raises(InvalidError, match="fewer than two people"):
        run_trial({"key": one}, trial)


def test_an_unknown_level_or_attacker_is_refused() -> None:
    with pytest.raises(InvalidError, match="attackers are not known"):
        reidentify([], attackers=["magic"])
    with pytest.raises(InvalidError, match="a level is one of"):
        reidentify([], made_up=5, levels=["L9"])
    with pytest.raises(InvalidError, match="no file to attack"):
        reidentify([])


def test_outcome_needs_every_gate(tables: dict[str, pa.Table]) -> None:
    trial = Trial(levels=(Level.L3,), arms=Arms(kinds=("profile",)), gates=(gate(0.99),))
    (found,) = run_trial({"key": tables["key"]}, trial)
    assert found.verdict is not None
    passed = replace(found, verdict=replace(found.verdict, state="passed"))
    few = replace(found, verdict=replace(found.verdict, state="too few people"))
    failed = replace(found, verdict=replace(found.verdict, state="failed"))
    assert outcome([passed, passed]) == "passed"
    assert outcome([passed, few]) == "too few people"
    assert outcome([few, failed]) == "failed"
    assert outcome([replace(found, verdict=None)]) == "no gate"
