"""Filters, prices, terms of review, and what is called a difference."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from tests import boardroom
from tests.boardroom import charter, grant, price

from safehold.access import EVERYBODY, Grant, PeopleFilter, Price, check_people
from safehold.access.review import Review, due_us, review
from safehold.errors import DeniedError, InvalidError
from safehold.keeper.sessions import differences
from safehold.keeper.uses import HOUR_MS, Caps, Uses

ONE, TWO = "psn_" + "0" * 26, "psn_" + "1" * 26
CAPS = Caps(runs=3, rows=100, out_bytes=50, per_hour=2, epsilon_micro=1000)


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000_000)


def test_a_filter_has_one_form_and_means_what_it_says() -> None:
    people = PeopleFilter(jurisdictions=("US-CA",), people=(ONE, TWO))
    assert PeopleFilter.from_json(people.to_json()) == people
    assert people.chooses(ONE, "US-CA")
    assert not people.chooses(ONE, "US-WA")
    assert not people.chooses("psn_" + "2" * 26, "US-CA")
    assert EVERYBODY.chooses("anybody", "anywhere")
    assert (EVERYBODY.digest(), PeopleFilter.from_json(None)) == ("", EVERYBODY)
    for wrong in ((TWO, ONE), (ONE, ONE), ("ana",), [ONE]):
        with pytest.raises(InvalidError):
            PeopleFilter(people=wrong)
    for tree in ({}, people.to_json() | {"more": 1}, people.to_json() | {"v": "2"}):
        with pytest.raises(InvalidError):
            PeopleFilter.from_json(tree)
    empty = {"v": "safehold-people/1", "jurisdictions": [], "people": []}
    with pytest.raises(InvalidError):
        PeopleFilter.from_json(empty)


def test_a_filter_is_the_grant_s_and_no_wider_than_the_charter() -> None:
    some = PeopleFilter(jurisdictions=("US-CA",))
    check_people(some, digest=some.digest(), charter=charter(), least=50)
    for people, digest, rule in (
        (some, "", "grant.people"),
        (EVERYBODY, some.digest(), "grant.people"),
        (PeopleFilter(jurisdictions=("DE",)), None, "grant.people"),
        (PeopleFilter(people=(ONE,)), None, "grant.people_few"),
    ):
        with pytest.raises(DeniedError) as caught:
            check_people(
                people,
                digest=people.digest() if digest is None else digest,
                charter=charter(),
                least=50,
            )
        assert caught.value.rule == rule


def test_a_grant_of_an_older_version_is_refused_clearly() -> None:
    with pytest.raises(InvalidError) as caught:
        Grant.from_json(grant().to_json() | {"v": "safehold-grant/1"})
    assert caught.value.rule == "grant.version"


def test_a_price_is_read_back_and_compared_by_one_number() -> None:
    asked = price(grant(), models=("art_1",))
    assert Price.from_json(asked.to_json()) == asked
    assert asked.reach == 70 * 2 * 11 * 2
    for tree in ({}, asked.to_json() | {"people": "3"}, asked.to_json() | {"models": [1]}):
        with pytest.raises(InvalidError):
            Price.from_json(tree)


@pytest.mark.parametrize(
    ("ended", "due"),
    [
        ("2026-11-23T10:00", "2026-11-27T00:00"),  # Monday: Thursday's end
        ("2026-11-26T23:59", "2026-12-02T00:00"),  # Thursday: over the weekend
        ("2026-11-28T10:00", "2026-12-03T00:00"),  # Saturday
    ],
)
def test_a_review_is_due_after_three_working_days(ended: str, due: str) -> None:
    assert due_us(at(ended)) == at(due)


def test_a_review_is_read_back_and_nothing_else_is() -> None:
    given = review(
        "grt_1", b"r" * 32, "privacy", boardroom.KEYS["privacy"], outcome="differs", now_us=5
    )
    assert Review.from_json(given.to_json()) == given
    for tree in ({}, given.to_json() | {"outcome": "fine"}, given.to_json() | {"record": "zz"}):
        with pytest.raises(InvalidError):
            Review.from_json(tree)
    with pytest.raises(InvalidError):
        review("g", b"", "s", boardroom.KEYS["privacy"], outcome="fine", now_us=5)


def fold(*leaves: dict) -> Uses:
    uses = Uses()
    for index, leaf in enumerate(leaves):
        uses.note(index, {"t": index * 1000} | leaf)
    return uses


def rule_of(uses: Uses, **more: int) -> str | None:
    asked = {"rows": 1, "epsilon_micro": 0, "now_ms": 10_000} | more
    try:
        uses.look(0).check(CAPS, **asked)
    except DeniedError as error:
        return error.rule
    return None


def test_caps_are_totals_over_the_leaves() -> None:
    intent = {"k": "access.intent", "ref": 0, "pub": {"rows": 60, "epsilon_micro": 600}}
    result = {"k": "access.result", "ref": 1, "pub": {"outcome": "ok", "bytes": 30}}
    uses = fold({"k": "grant"}, intent, result)
    assert rule_of(uses) is None
    assert rule_of(uses, rows=41) == "grant.rows"
    assert rule_of(uses, epsilon_micro=401) == "grant.epsilon"
    with pytest.raises(DeniedError):
        uses.look(0).check_sent(CAPS, more=21)
    twice = fold({"k": "grant"}, intent | {"pub": {}}, intent | {"pub": {}})
    assert rule_of(twice) == "grant.rate"
    assert rule_of(twice, now_ms=HOUR_MS + 2_000) is None
    thrice = fold({"k": "grant"}, *[intent | {"pub": {}}] * 3)
    assert rule_of(thrice, now_ms=2 * HOUR_MS) == "grant.runs"


def test_a_run_whose_result_nobody_wrote_counts_as_all_it_could_have_sent() -> None:
    lost = {"k": "access.result", "ref": 1, "pub": {"outcome": "lost"}}
    uses = fold({"k": "grant"}, {"k": "access.intent", "ref": 0, "pub": {}}, lost)
    assert rule_of(uses) == "grant.bytes"


def test_bytes_are_counted_before_they_are_sent() -> None:
    uses = fold({"k": "grant"}, {"k": "access.intent", "ref": 0, "pub": {}})
    assert uses.send(1, 50, CAPS) == 50
    with pytest.raises(DeniedError) as caught:
        uses.send(1, 1, CAPS)
    assert caught.value.rule == "grant.bytes"
    assert uses.sent(1) == 50


def test_differences_are_named_worst_first() -> None:
    stated = {
        "runs": 2, "rows": 10, "bytes": 10, "epsilon_micro": 0, "people": 5, "segments": ["a"], "columns": ["x", "y"],
        "days": [1, 9],
    }  # fmt: skip
    use = {"days": [0, 4], "outcome": "failed", "intent": 3}
    done = {
        "runs": 1, "rows": 11, "bytes": -1, "epsilon_micro": 0, "people": 6, "segments": ["a", "b"], "columns": ["x"],
        "refused": 2,
    }  # fmt: skip
    found = differences(stated, done, [use])
    assert [(one["kind"], one["what"]) for one in found] == [
        ("more", "rows"), ("more", "bytes"), ("more", "people"), ("more", "segments"), ("more", "days"),
        ("refused", "attempts"), ("failed", "run 3"), ("less", "runs"), ("less", "columns"),
    ]  # fmt: skip
    same = done | {"runs": 2, "rows": 1, "bytes": 0, "people": 5, "segments": ["a"], "refused": 0}
    fine = use | {"days": [1, 9], "outcome": "ok"}
    assert differences(stated, same | {"columns": ["x", "y"]}, [fine]) == []
