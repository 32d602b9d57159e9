"""What the compiled policy newly allows or denies is told in sentences, each smallest thing in exactly one."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import cache

import pytest
from tests.amendments import AMENDMENTS, BASE, line, role, scientist, without_screen
from tests.requests_at_random import Draw, covers

from safehold.charter import compile  # noqa: A004
from safehold.charter.difference import Difference, compare
from safehold.charter.difference.change import WIDER
from safehold.charter.difference.grid import RIGHTS, Grid, unite
from safehold.charter.difference.reach import disagreement
from safehold.errors import InvalidError

TEACH = "“Teach a software agent to operate menus, forms and shortcuts”"


@cache
def found_in(name: str, *, back: bool = False) -> Difference:
    return compare(*AMENDMENTS[name][:: -1 if back else 1])


def cells(changes):
    return [cell for change in changes for cell in change.cells]


# every third by default, all of them in the long proofs
NAMES = [
    pytest.param(name, marks=() if place % 3 == 0 else pytest.mark.proof)
    for place, name in enumerate(sorted(AMENDMENTS))
]


@pytest.mark.parametrize("name", NAMES)
def test_each_thing_that_differs_is_in_exactly_one_sentence(name):
    found, back = found_in(name), found_in(name, back=True)
    old, new = AMENDMENTS[name]
    allowed, denied = disagreement(compile(old), compile(new))
    for side, differ in ((found.allowed, allowed), (found.denied, denied)):
        assert len(cells(side)) == len(set(cells(side)))
        assert set(cells(side)) == differ
    assert allowed | denied
    # the other way round, what was allowed is denied
    assert (set(cells(back.denied)), set(cells(back.allowed))) == (allowed, denied)
    for change in (*found.allowed, *found.denied, *back.allowed, *back.denied):
        assert "{" not in change.sentence
        assert "nothing stated" not in change.sentence


@pytest.mark.parametrize("name", sorted(AMENDMENTS))
def test_no_request_is_decided_otherwise_unless_a_sentence_speaks_about_it(name):
    old, new = AMENDMENTS[name]
    found = found_in(name)
    told = cells((*found.allowed, *found.denied))
    draw = Draw(compile(old), compile(new), random.Random(name), told=told)
    requests = draw.requests(300)
    answers = draw.ask(requests)
    differ = 0
    for request, (before, after) in zip(requests, answers, strict=True):
        if before != after:
            differ += 1
            speak = found.allowed if after else found.denied
            assert any(covers(change, request) for change in speak), request["_"]
    assert sum(before or after for before, after in answers) > 60
    assert differ > 5


def test_the_amendment_of_the_notes_reads_as_a_few_plain_sentences():
    found = compare(without_screen(), replace(BASE, version=2))
    assert found.direction == "widen"
    assert [(change.clause, change.sentence) for change in found.allowed] == [
        ("collect.screen", "Safehold may now record screen metadata."),
        ("purposes.train_ui_agent.from", f"The purpose {TEACH} may now draw on screen metadata."),
        (
            "purposes.train_ui_agent.from",
            f"A software agent may now run an approved recipe on screen metadata, in training, for {TEACH}.",
        ),
        (
            "purposes.train_ui_agent.from",
            "A data scientist may now run an approved recipe, put a question to the data and take out a"
            f" finished model on screen metadata, in the making of features, embedding and training, for {TEACH}.",
        ),
        (
            "purposes.train_ui_agent.from",
            "An engineer may now operate the pipeline on screen metadata, in intake, the making of features"
            f" and embedding, for {TEACH}.",
        ),
    ]
    assert found.denied == ()
    assert compare(BASE, without_screen()).direction == "narrow"


def test_a_limit_that_moved_is_told_by_the_sentence_of_its_field():
    (change,) = compare(BASE, scientist(approvers=1)).allowed
    assert change.clause == "who_may.data_scientist.grant.approvers"
    assert (
        change.sentence
        == "A grant for a data scientist needs only 1 approval instead of 2 approvals."
    )
    assert {(cell.limit, cell.value) for cell in change.cells} == {("approvals", "1")}
    (change,) = compare(BASE, line("no-single-person-query", min_people=20)).allowed
    assert {cell.value for cell in change.cells} == {"20", "49"}


def test_a_right_that_is_lost_ends_something_and_counts_as_wider():
    found = compare(BASE, role("employee", do=("see_own_trail", "verify")))
    assert found.direction == "widen"
    assert [change.sentence for change in found.allowed] == [
        "An employee loses a right in self-service: to take their own data along, erase their own data and"
        " object to the use of their own data. That protects people less."
    ]
    ends = "An employee may no longer take their own data along, erase their own data and object to the use"
    assert any(change.sentence.startswith(ends) for change in found.denied)
    auditor = {name: one for name, one in BASE.who_may.items() if name != "auditor"}
    assert compare(BASE, replace(BASE, who_may=auditor)).direction == "widen"


def test_a_ban_on_a_silo_takes_no_right_from_anybody():
    fewer = line("no-cross-join", forbid_beside=())
    assert compare(fewer, BASE).direction == "narrow"
    policy = compile(BASE)
    grid = Grid([policy])
    # each thing that somebody may do for themselves, or to check, on telemetry that lies beside a silo
    rights = [cell for cell in grid.cells() if cell.action in RIGHTS]
    held = grid.allowed(policy, rights)
    beside = [cell._replace(limit="silo", value="hr") for cell in held]
    assert {cell.action for cell in held} == RIGHTS
    assert grid.allowed(policy, beside) == set(beside)
    uses = grid.allowed(policy, {cell for cell in grid.cells() if cell.action not in RIGHTS})
    assert uses
    assert not grid.allowed(policy, [cell._replace(limit="silo", value="hr") for cell in uses])


def test_of_the_first_charter_everything_is_new():
    found = compare(None, BASE)
    assert (found.direction, found.old, found.denied) == ("widen", None, ())
    told = cells(found.allowed)
    assert len(told) == len(set(told)) > 100
    assert set(told) == Grid([compile(BASE)]).allowed(compile(BASE), set(told))
    clauses = {change.clause for change in found.allowed}
    assert {f"collect.{item.what}" for item in BASE.collect} <= clauses
    assert {f"purposes.{name}" for name in BASE.purposes} <= clauses
    assert {f"who_may.{name}" for name in BASE.who_may} <= clauses


def test_purposes_with_the_same_words_are_told_apart():
    copy = replace(BASE.purposes["improve_tools"], sources=("focus",))
    found = compare(BASE, replace(BASE, purposes={**BASE.purposes, "second": copy}))
    told_of = [change.sentence for change in found.allowed if change.cells]
    assert told_of
    assert all("[second]" in sentence for sentence in told_of)


def test_no_author_can_put_words_of_their_own_between_the_sentences():
    plain = "Teach”. Nothing else changes.\n- collect: no change\n“Well"
    purpose = replace(BASE.purposes["improve_tools"], plain=plain)
    found = compare(BASE, replace(BASE, purposes={**BASE.purposes, "improve_tools": purpose}))
    (change,) = [one for one in found.allowed if one.clause == "purposes.improve_tools.plain"]
    assert "\n" not in change.sentence
    assert change.sentence.count("“") == change.sentence.count("”") == 2


def test_policies_of_different_types_are_not_compared():
    with pytest.raises(InvalidError, match="types"):
        unite([compile(BASE).schema, compile(BASE).schema.replace("people: Long", "people: Bool")])


def test_a_policy_that_cannot_be_evaluated_is_not_compared():
    policy = compile(BASE)
    grid = Grid([policy])
    cell = next(iter(grid.cells()))
    with pytest.raises(InvalidError, match="cannot be compared"):
        grid.allowed(
            policy, [cell._replace(limit="people", value="-1"), cell._replace(role="no such role")]
        )


def test_a_charter_that_does_not_compile_is_not_compared():
    with pytest.raises(InvalidError):
        compare(BASE, replace(BASE, red_lines=()))


def test_direction_is_wider_if_anything_is():
    both = replace(
        scientist(approvers=1),
        collect=BASE.collect[1:],
        purposes={
            name: replace(one, sources=tuple(what for what in one.sources if what != "keys"))
            for name, one in BASE.purposes.items()
        },
    )
    there, back = compare(BASE, both), compare(both, BASE)
    assert there.direction == back.direction == "widen"
    assert there.denied
    assert all(change.side == WIDER for change in there.allowed)
