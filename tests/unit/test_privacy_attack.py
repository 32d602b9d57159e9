"""The bound decides, a gate that could not have failed has not passed, and each result says its power."""

from __future__ import annotations

import math

import pytest

from safehold.charter.value import Threshold
from safehold.errors import InvalidError
from safehold.privacy.attack import (
    CANARY,
    FAILED,
    MEMBERSHIP,
    PASSED,
    UNMEASURED,
    AttackResult,
    canary_result,
    judge,
    membership_result,
)


def at_most(micro: int, op: str = "<=") -> Threshold:
    return Threshold(op=op, micro=micro)


def looked(hits: int, bound: int, *, members: int = 200, others: int = 50, false: int = 2, **more):
    must_be = at_most(bound)
    even = more.get("even", (members // 2, others // 2))
    result = membership_result(
        members=members, others=others, hits=hits, false=false, even=even, must_be=must_be
    )
    return result, judge(result, must_be, measure=MEMBERSHIP)


def test_a_guess_passes_and_an_advantage_does_not():
    result, state = looked(8, 100_000)
    assert state == PASSED
    assert result.point == 0
    assert 0 < result.upper <= 100_000
    assert looked(60, 100_000)[1] == FAILED
    assert looked(200, 100_000)[0].lower > 600_000


def test_the_upper_bound_decides_and_not_the_estimate():
    result, state = looked(20, 100_000)
    assert result.point < 100_000 < result.upper
    assert state == FAILED


def test_with_too_few_people_not_even_a_guess_passes():
    result, state = looked(1, 100_000, members=20, others=20, false=1)
    assert (state, result.detectable) == (UNMEASURED, None)
    assert "too few for this bound" in result.power
    # but an advantage that shows all the same fails
    assert looked(19, 100_000, members=20, others=20, false=1)[1] == FAILED


def test_a_bound_that_nothing_can_break_is_not_passed():
    result, state = looked(8, 1_000_000)
    assert (state, result.detectable) == (UNMEASURED, None)
    assert "could have failed" in result.power


def test_the_power_is_the_smallest_advantage_that_fails_in_nineteen_of_twenty():
    result, _ = looked(8, 100_000)
    share = result.detectable / 1e6 + 2 / 50
    fails = next(hits for hits in range(201) if looked(hits, 100_000)[0].upper > 100_000)
    missed = sum(math.comb(200, k) * share**k * (1 - share) ** (200 - k) for k in range(fails))
    assert missed == pytest.approx(0.05, abs=1e-4)


def test_a_leak_at_the_second_threshold_fails_as_well():
    result, state = looked(8, 100_000, even=(190, 25))
    assert result.upper <= 100_000
    assert state == FAILED


def test_no_canary_may_be_exposed_and_the_power_is_said():
    def search(exposed: int, must_be: Threshold):
        result = canary_result(
            planted=12, candidates=16_383, exposed=exposed, deepest=5_000, mean=1_500,
            must_be=must_be,
        )  # fmt: skip
        return result, judge(result, must_be, measure=CANARY)

    result, state = search(0, at_most(0, "=="))
    assert state == PASSED
    assert result.detectable == math.ceil((1 - 0.05 ** (1 / 12)) * 1e6)
    assert search(1, at_most(0, "=="))[1] == FAILED
    assert search(0, at_most(100_000))[1] == UNMEASURED  # 12 say no more than 22 %
    assert search(0, at_most(300_000))[1] == PASSED
    assert search(2, at_most(300_000))[1] == FAILED
    assert search(12, at_most(1_000_000))[1] == UNMEASURED
    assert search(0, at_most(1_000, ">="))[1] == UNMEASURED


def test_a_gate_on_another_measure_is_not_judged():
    result, _ = looked(8, 100_000)
    assert judge(result, at_most(100_000), measure="membership.auc") == UNMEASURED


def test_a_result_has_one_form_and_no_other():
    result, _ = looked(8, 100_000)
    assert AttackResult.from_record(result.to_record()) == result
    for change in (
        {"lower": result.upper + 1}, {"point": 0.5}, {"attack": "Membership!"}, {"more": 1},
        {"upper": -1},
    ):  # fmt: skip
        with pytest.raises(InvalidError):
            AttackResult.from_record(result.to_record() | change)
    with pytest.raises(InvalidError):
        looked(201, 100_000)
