"""The budget is a fold: never negative, in any order, nothing back."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safehold.errors import BudgetSpentError, InvalidError, TamperedError
from safehold.privacy.budget import Allowed, Charge, fold_charges, remaining, reserve

charges = st.builds(
    Charge,
    purpose=st.sampled_from(["train", "check"]),
    epsilon_micro=st.integers(1, 5_000_000),
    delta_e12=st.integers(0, 10**6),
)
allowances = st.builds(
    Allowed,
    purpose=st.just("train"),
    epsilon_micro=st.integers(0, 20_000_000),
    delta_e12=st.integers(0, 5 * 10**6),
)


@given(st.lists(charges), st.integers())
def test_order_does_not_matter(spent, seed):
    leaves = [charge.public() for charge in spent]
    mixed = leaves[:]
    random.Random(seed).shuffle(mixed)
    assert fold_charges(leaves) == fold_charges(mixed)


@given(allowances, st.lists(charges))
def test_what_is_left_is_never_negative_and_only_falls(allowed, spent):
    leaves, before = [{"charter_version": 1}], remaining(allowed, [])
    for charge in spent:
        leaves.append(charge.public())
        left = remaining(allowed, leaves)
        assert 0 <= left.epsilon_micro <= before.epsilon_micro
        assert 0 <= left.delta_e12 <= before.delta_e12
        before = left


@given(allowances, st.lists(charges))
def test_reserving_never_overspends(allowed, asked):
    leaves = []
    for charge in asked:
        try:
            leaves.append(reserve(allowed, charge, leaves))
        except BudgetSpentError:
            continue
    spent = fold_charges(leaves).get(("train", "person"))
    if spent:
        assert spent.epsilon_micro <= allowed.epsilon_micro
        assert spent.delta_e12 <= allowed.delta_e12
    assert set(fold_charges(leaves)) <= {("train", "person")}


def test_a_spent_budget_says_no_and_exact_spending_is_allowed():
    allowed = Allowed(purpose="train", epsilon_micro=4_000_000, delta_e12=1_000_000)
    charge = Charge(purpose="train", epsilon_micro=4_000_000, delta_e12=1_000_000)
    facts = reserve(allowed, charge, [])
    with pytest.raises(BudgetSpentError) as caught:
        reserve(allowed, charge, [facts])
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    "change",
    [
        {"epsilon_micro": -1},
        {"delta_e12": -1},
        {"epsilon_micro": 0},
        {"unit": "row"},
        {"purpose": ""},
    ],
)
def test_a_refund_in_the_ledger_is_tampering(change):
    leaf = {"purpose": "train", "epsilon_micro": 1, "delta_e12": 1, "unit": "person", **change}
    with pytest.raises(TamperedError):
        fold_charges([leaf])
    with pytest.raises(InvalidError):
        Charge(**leaf)


@pytest.mark.parametrize("missing", ["purpose", "epsilon_micro", "delta_e12", "unit"])
def test_half_a_charge_is_tampering(missing):
    leaf = {"purpose": "train", "epsilon_micro": 1, "delta_e12": 1, "unit": "person"}
    del leaf[missing]
    with pytest.raises(TamperedError):
        fold_charges([leaf])
