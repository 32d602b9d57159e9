"""Very many requests of a wrong shape are one leaf, so that whoever watches the ledger is not blind to them."""

from __future__ import annotations

import pytest
from tests.keeper_desk import Bench, found_bench

from safehold.errors import InvalidError
from safehold.keeper.misshapen import CALLERS, EACH_US, MANY, RULE, WHILE_US, Misshapen

SECRET = "what-nobody-may-read"


def test_many_within_a_while_are_told_once_and_a_slip_is_not() -> None:
    seen = Misshapen()
    assert all(seen.count("ana", "train", now_us=at) is None for at in range(MANY - 1))
    assert seen.count("bo", "train", now_us=MANY) is None, "each caller is counted apart"
    assert seen.count("ana", "query", now_us=MANY) == {"train": MANY - 1, "query": 1}
    # at most one leaf a minute, and none of them is forgotten
    for at in range(5 * MANY):
        assert seen.count("ana", "train", now_us=MANY + 1 + at) is None
    assert seen.count("ana", "train", now_us=MANY + EACH_US) == {"train": 5 * MANY + 1}


def test_slips_that_lie_far_apart_never_come_together() -> None:
    seen = Misshapen()
    for at in range(3 * MANY):
        assert seen.count("ana", "train", now_us=at * (WHILE_US // (MANY - 1) + 1)) is None


def test_whoever_comes_under_very_many_names_does_not_fill_the_memory() -> None:
    seen = Misshapen()
    for at in range(CALLERS + 50):
        seen.count(f"caller-{at}", "train", now_us=at)
    assert len(seen._seen) == CALLERS


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory):
    made = found_bench(tmp_path_factory.mktemp("misshapen")).start()
    yield made
    made.stop()


def test_the_leaf_says_how_many_and_nothing_of_what_was_in_them(bench: Bench) -> None:
    before = bench.desk.ledger.size
    for _ in range(MANY - 1):
        with pytest.raises(InvalidError):
            bench.call("alert.list", limit=SECRET)
    assert bench.desk.ledger.size == before
    with pytest.raises(KeyError):  # as the verb says it; the server makes one sentence of it
        bench.call("people.show", persn=SECRET)
    ((index, leaf),) = list(bench.desk.ledger.leaves(before))
    told = bench.desk.ledger.detail(index)
    assert leaf["k"] == "refusal"
    assert told["detail"] == {
        "rule": RULE,
        "count": MANY,
        "verbs": {"alert.list": MANY - 1, "people.show": 1},
    }
    assert SECRET not in str(told) + str(leaf)
