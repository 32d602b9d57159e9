"""The clause by which malformed messages are set aside: off unless stated, bounded, told, and no purpose beside it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.aside_desk import setting_aside

from safehold import charter as charters
from safehold.charter import Charter
from safehold.charter.difference.walk import changes
from safehold.charter.explain import LANGUAGES, explain
from safehold.charter.jsonschema import schema
from safehold.charter.legal.page import kept
from safehold.charter.model import SetAside
from safehold.charter.prove import ReachableError, prove, prove_text
from safehold.charter.review import review

DEMO = charters.load(charters.shipped("demo"))
WITH = setting_aside(DEMO)
CLAUSE = SetAside(purpose="repair", keep_days=3, a_day=2)


def test_it_is_off_unless_stated_and_older_charters_keep_their_bytes() -> None:
    assert DEMO.set_aside is None
    assert "set_aside" not in DEMO.to_json()
    assert WITH.set_aside == CLAUSE
    assert Charter.from_json(WITH.to_json()) == WITH
    assert list(review(WITH)) == []
    assert "set_aside" not in schema()["required"]


def test_what_is_recorded_does_not_serve_its_purpose() -> None:
    assert "repair" not in WITH.purposes_of("keys")
    without = replace(WITH, set_aside=None)  # then it is a purpose like any other
    assert "repair" in without.purposes_of("keys")


def test_a_purpose_that_could_do_more_than_take_in_again_is_refused() -> None:
    repair = WITH.purposes["repair"]
    for wrong in (
        replace(repair, stages=("ingest", "feature")),
        replace(repair, stages=("query",)),
        replace(repair, releases=("dp_aggregate",)),
        replace(repair, derived_keep_days=1),
        replace(repair, sources=("keys", "access_log")),
    ):
        charter = replace(WITH, purposes={**WITH.purposes, "repair": wrong})
        assert "charter.set_aside.only" in {one.rule for one in review(charter)}
    left = {name: one for name, one in WITH.purposes.items() if name != "repair"}
    rules = {one.rule for one in review(replace(WITH, purposes=left))}
    assert "charter.set_aside.purpose" in rules


@pytest.mark.parametrize(
    ("clause", "rule"),
    [
        (replace(CLAUSE, keep_days=15), "charter.set_aside.keep"),
        (replace(CLAUSE, keep_days=0), "charter.set_aside.keep"),
        (replace(CLAUSE, a_day=65), "charter.set_aside.a_day"),
        (replace(CLAUSE, a_day=0), "charter.set_aside.a_day"),
    ],
)
def test_it_is_bounded(clause: SetAside, rule: str) -> None:
    assert {one.rule for one in review(replace(WITH, set_aside=clause))} == {rule}


def test_each_of_its_fields_is_compared_by_its_order() -> None:
    def told(old: SetAside | None, new: SetAside | None) -> list[tuple[str, str]]:
        two = (replace(WITH, set_aside=old), replace(WITH, set_aside=new))
        return [(one.clause, one.side) for one in changes(*two)]

    assert told(None, CLAUSE) == [("set_aside", "wider")]
    assert told(CLAUSE, None) == [("set_aside", "narrower")]
    assert told(CLAUSE, replace(CLAUSE, keep_days=4)) == [("set_aside.keep", "wider")]
    assert told(CLAUSE, replace(CLAUSE, keep_days=2)) == [("set_aside.keep", "narrower")]
    assert told(CLAUSE, replace(CLAUSE, a_day=3)) == [("set_aside.a_day", "wider")]
    assert told(CLAUSE, replace(CLAUSE, a_day=1)) == [("set_aside.a_day", "narrower")]


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_is_told_in_plain_words(language: str) -> None:
    without, with_it = (set(explain(one, language).sentences()) for one in (DEMO, WITH))
    told = " ".join(sorted(with_it - without))
    assert "repair" in told
    assert "3 " in told
    assert " 2" in told


def test_how_long_it_is_kept_stands_in_the_notice() -> None:
    assert [days for what, days in kept(WITH) if what.startswith("broken")] == ["3 days"]
    assert not any(what.startswith("broken") for what, _ in kept(DEMO))


def test_nobody_operates_for_it_without_a_grant_and_that_is_proved() -> None:
    """A repair is no run of a recipe; that it takes a grant is a promise of the charter all the same."""
    made = charters.compile(WITH)
    proof = prove(made, thorough=True)
    assert "guard.grant" in {one.id for one in proof.held}
    charters.check(WITH)
    for name in ("grant", "grant-stage", "grant-segment", "approvers-engineer"):
        rule = made.rule(f"guard.{name}/2").text()
        with pytest.raises(ReachableError) as caught:
            prove_text(WITH, made.cedar.replace(rule, ""))
        assert caught.value.rule == f"charter.guard.{name}"
        assert caught.value.counterexample.request.action == "operate"


def test_without_the_clause_operating_takes_no_grant() -> None:
    assert not [rule for rule in charters.compile(DEMO).rules if rule.id == "guard.grant/2"]
