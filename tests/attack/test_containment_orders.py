"""Orders to contain and to lift: only what seats signed, once, of this home and time, and lifted by as many as it takes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.containing import (
    OTHER,
    SEGMENT,
    WIDE,
    contain,
    found_held,
    lift,
    narrow,
    ordered,
    refuses,
)
from tests.identities import human
from tests.keeper_desk import PURPOSE, Bench, copy_bench, script_training
from tests.world import outside

from safehold.clock import DAY_US, SECOND_US
from safehold.errors import QuorumError
from safehold.keeper.containing import domain_of
from safehold.keeper.order import ORDER_LIFE_US, RESUME_LIFE_US
from safehold.signing import SigningKey


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return found_held(tmp_path_factory.mktemp("held"))


@pytest.fixture
def bench(made: Bench, tmp_path: Path) -> Iterator[Bench]:
    with outside(tmp_path):
        copy = copy_bench(made, tmp_path).start()
        script_training(copy)
        yield copy
        copy.stop()


@pytest.fixture(scope="module")
def shared(made: Bench, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One keeper for all attempts that change nothing."""
    path = tmp_path_factory.mktemp("attempts")
    with outside(path):
        copy = copy_bench(made, path).start()
        yield copy
        copy.stop()


def test_an_order_that_no_seat_signed_contains_nothing(shared: Bench) -> None:
    stranger = dict.fromkeys(shared.seats, SigningKey.generate())
    for order in (
        ordered(shared, "contain", **narrow()),
        ordered(shared, "contain", "hr", keys=stranger, **narrow()),
        ordered(shared, "contain", "hr", domain="safehold.stop.v1", **narrow()),
        ordered(shared, "contain", "hr", domain=domain_of("lift"), **narrow()),
    ):
        assert isinstance(refuses(shared, "containment.contain", "contain", **order), QuorumError)


def test_an_order_of_another_home_or_time_contains_nothing(shared: Bench) -> None:
    now = shared.clock.now_us()
    for order in (
        ordered(shared, "contain", "hr", home="home_of_others", **narrow()),
        ordered(shared, "contain", "hr", at_us=now - ORDER_LIFE_US - 1, **narrow()),
        ordered(shared, "contain", "hr", at_us=now + 10 * SECOND_US, **narrow()),
        ordered(shared, "lift", "hr", entry=3, reason="a test"),
        ordered(shared, "contain", "hr", **narrow()) | {"order": "{}"},
    ):
        error = refuses(shared, "containment.order", "contain", **order)
        assert error.exit_code in (2, 3)


def test_an_order_is_no_more_than_what_was_signed(shared: Bench) -> None:
    order = ordered(shared, "contain", "hr", **narrow())
    other = order | {"order": order["order"].replace(OTHER, SEGMENT)}
    refuses(shared, "containment.contain", "contain", **other)
    # what stands beside an order counts for nothing
    made = shared.call("contain", **order, what="segment", target=SEGMENT, reason="x")
    assert made["target"] == OTHER
    lift(shared, made["entry"])


def test_an_order_to_contain_counts_once(bench: Bench) -> None:
    order = ordered(bench, "contain", "hr", **narrow())
    made = bench.call("contain", **order)
    assert bench.call("contain", **order) == made | {"already": True}
    lift(bench, made["entry"])
    refuses(bench, "containment.order", "contain", **order)


@pytest.mark.parametrize(
    ("what", "target"), [("segment", OTHER), ("purpose", PURPOSE), ("collection", "key")]
)
def test_what_is_wide_is_lifted_by_as_many_as_widen(bench: Bench, what: str, target: str) -> None:
    entry = contain(bench, what, target)["entry"]
    for seats in ((), ("privacy",), ("privacy", "security"), WIDE[:4], ("security", *WIDE[1:])):
        order = ordered(bench, "lift", *seats, entry=entry, reason="over")
        refuses(bench, "containment.lift", "containment.lift", **order)
    lift(bench, entry, *WIDE)
    assert bench.call("containment.list") == {"containments": []}


def test_what_is_narrow_is_lifted_by_two_of_whom_one_watches(bench: Bench) -> None:
    human(bench.call, "bo")
    entry = contain(bench, "principal", "bo")["entry"]
    for seats in (("privacy",), ("security",), ("legal", "hr"), ("hr", "ml_lead", "legal")):
        order = ordered(bench, "lift", *seats, entry=entry, reason="over")
        refuses(bench, "containment.lift", "containment.lift", **order)
    lift(bench, entry, "security", "hr")


def test_an_order_to_lift_counts_once_and_for_one_containment(bench: Bench) -> None:
    first = contain(bench, "segment", OTHER)["entry"]
    order = ordered(bench, "lift", *WIDE, entry=first, reason="over")
    bench.call("containment.lift", **order)
    second = contain(bench, "segment", OTHER)["entry"]
    assert second > first
    refuses(bench, "containment.order", "containment.lift", **order)
    for spoilt, rule in (
        (
            ordered(bench, "lift", *WIDE, entry=second, reason="x", target=SEGMENT),
            "containment.order",
        ),
        (
            ordered(bench, "lift", *WIDE, entry=second, reason="x", what="purpose"),
            "containment.order",
        ),
        (ordered(bench, "lift", *WIDE, entry=second, reason="x", of=3), "containment.order"),
        (ordered(bench, "lift", *WIDE, entry=first, reason="again"), "containment.missing"),
        (ordered(bench, "lift", *WIDE, entry=10**6, reason="x"), "containment.missing"),
        (ordered(bench, "lift", *WIDE, entry=second, reason="x", home="other"), "containment.order"),
        (
            ordered(
                bench, "lift", *WIDE, entry=second, reason="x",
                at_us=bench.clock.now_us() - RESUME_LIFE_US - 1,
            ),
            "containment.order",
        ),
        (
            ordered(
                bench, "lift", *WIDE, entry=second, reason="x", domain="safehold.resume.v1",
            ),
            "containment.lift",
        ),
        (ordered(bench, "contain", *WIDE, **narrow()), "containment.order"),
    ):  # fmt: skip
        refuses(bench, rule, "containment.lift", **spoilt)


def test_signatures_without_end_keep_nobody_waiting(bench: Bench) -> None:
    """Each takes its time to verify, and those of a lifting are counted while all else waits."""
    entry = contain(bench, "segment", OTHER)["entry"]
    order = ordered(bench, "lift", *WIDE, entry=entry, reason="over")
    wrong = order["signatures"][0] | {"seat": "hr"}
    refuses(
        bench,
        "quorum.signatures",
        "containment.lift",
        **order | {"signatures": [wrong] * 65 + order["signatures"]},
    )
    assert bench.call("containment.lift", **order)["lifted"] == entry


def test_whoever_is_contained_counts_for_nothing_when_it_is_lifted(bench: Bench) -> None:
    human(bench.call, "privacy")  # the person who holds that seat
    entry = contain(bench, "principal", "privacy")["entry"]
    other = contain(bench, "segment", OTHER)["entry"]
    for mine, seats in ((entry, ("privacy", "hr")), (other, WIDE)):
        order = ordered(bench, "lift", *seats, entry=mine, reason="over")
        refuses(bench, "containment.lift", "containment.lift", **order)
    # they still narrow
    assert contain(bench, "purpose", PURPOSE, "privacy")["already"] is False
    lift(bench, entry, "security", "hr")
    lift(bench, other)


def test_whoever_operates_takes_no_vote_of_the_board(bench: Bench) -> None:
    """Else one caller could contain all of it, and nobody would ever lift anything again."""
    for seat in ("privacy", "security", "legal"):
        human(bench.call, seat)
    own = bench.call("contain", **narrow("principal", "privacy"))["entry"]
    for seat in ("security", "legal"):
        bench.call("contain", **narrow("principal", seat))
    other = contain(bench, "segment", OTHER)["entry"]
    order = ordered(bench, "lift", "privacy", "hr", entry=own, reason="over")
    refuses(bench, "containment.lift", "containment.lift", **order)  # nobody for themselves
    lift(bench, other)
    lift(bench, own, "security", "hr")


def test_a_containment_by_whoever_operates_is_no_shield_from_a_seats(bench: Bench) -> None:
    human(bench.call, "privacy")
    first = bench.call("contain", **narrow("principal", "privacy"))["entry"]
    second = contain(bench, "principal", "privacy")
    assert second["already"] is False
    assert contain(bench, "principal", "privacy")["already"] is True
    assert bench.call("contain", **narrow("principal", "privacy"))["entry"] == second["entry"]
    other = contain(bench, "segment", OTHER)["entry"]
    bench.restart()
    for entry, seats in ((first, ("privacy", "hr")), (other, WIDE)):
        order = ordered(bench, "lift", *seats, entry=entry, reason="over")
        refuses(bench, "containment.lift", "containment.lift", **order)
    lift(bench, second["entry"], "security", "hr")
    assert bench.desk.trust.contained.find(("principal", "privacy")), "the other one holds still"
    lift(bench, other)
    lift(bench, first, "security", "hr")
    assert bench.desk.trust.contained.find(("principal", "privacy")) is None


def test_an_expired_board_contains_and_lifts_nothing(bench: Bench) -> None:
    bench.clock.advance(366 * DAY_US)
    entry = contain(bench, "segment", OTHER)["entry"]
    order = ordered(bench, "lift", *WIDE, entry=entry, reason="over")
    refuses(bench, "roster.expired", "containment.lift", **order)
