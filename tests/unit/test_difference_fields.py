"""Every field of a charter has a declared order, and no change of a field counts for nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests import amending, boardroom

from safehold.charter import RedLine
from safehold.charter.difference import compare, walk
from safehold.charter.difference.change import NARROWER, WIDER
from safehold.charter.difference.field import IGNORED, LISTS, ORDERS
from safehold.charter.difference.walk import changes
from safehold.charter.difference.words import ENGLISH
from safehold.charter.model import GrantRule
from safehold.charter.redline import WORDS

FULL = amending.full()
LEAVES = [leaf for leaf in amending.leaves(FULL) if leaf.pattern not in IGNORED]
# said here once more, and not read from the table under test: what allows more
MORE = [
    "jurisdictions.collect_in",
    "data_subjects.include",
    "collect[].keep",
    "collect[].minimise.apps",
    "collect[].minimise.channels",
    "purposes.<name>.from",
    "purposes.<name>.stages",
    "purposes.<name>.privacy.epsilon",
    "purposes.<name>.privacy.delta",
    "purposes.<name>.releases",
    "purposes.<name>.derived_keep",
    "who_may.<name>.do",
    "who_may.<name>.stages",
    "who_may.<name>.grant.max",
    "who_may.<name>.grant.token",
    "who_may.<name>.grant.budget.rows",
    "who_may.<name>.grant.budget.bytes_out",
    "who_may.<name>.grant.budget.runs",
    "oversight.break_glass.seats",
    "oversight.break_glass.max",
    "set_aside.keep",
    "set_aside.a_day",
    "oversight.narrow.approve",
    "oversight.narrow.must_include",
    "oversight.narrow.notice",
    "oversight.stop.approve",
    "oversight.stop.effect",
    "participation.withdraw.effect",
    "audit.independent",
    "promises[].must_be",
    "gates[].must_be",
]
FEWER = [
    "regimes",
    "data_subjects.exclude",
    "participation.applies_equally_to",
    "collect[].minimise.drop",
    "collect[].minimise.dlp",
    "collect[].sensitivity",
    "never_collect",
    "purposes.<name>.privacy.min_people",
    "red_lines[].forbid_terms",
    "red_lines[].forbid_actions",
    "red_lines[].forbid_beside",
    "red_lines[].min_people",
    "who_may.<name>.grant.approvers",
    "oversight.widen.approve",
    "oversight.widen.must_include",
    "oversight.widen.notice",
    "oversight.restart_after_stop.approve",
    "oversight.restart_after_stop.needs",
    "oversight.break_glass.approvers",
    "oversight.break_glass.reviews",
    "audit.witnesses.min",
]
COVERED = {  # a term under one that stands there already bans nothing new
    ("never_collect", "user.authorization.credentials"),
    ("red_lines.no-onward-transfer.forbid_terms", "dpv:DirectMarketing"),
    ("red_lines.every-form.forbid_terms", "dpv:DirectMarketing"),
    ("red_lines.every-form.forbid_terms", "sales"),
}
RUNGS = {  # from narrow to wide
    "participation.withdraw.any_time": [True, False],
    "collect[].minimise.level": ["L4", "L3", "L2", "L1"],
    "collect[].minimise.titles": ["dropped", "class_only"],
    "who_may.<name>.sees_data": [False, None, True],
    "who_may.<name>.may_delegate": [False, None, True],
    **{f"assurance.sensitivity_{n}": ["E4", "E3", "E2", "E1"] for n in range(1, 5)},
}


def side(leaf, value):
    """Return the direction of one field set to another value, by its own changes alone."""
    found = [
        change for change in changes(FULL, leaf.put(value)) if change.clause.startswith(leaf.clause)
    ]
    return {change.side for change in found}


def leaves(pattern):
    found = [leaf for leaf in LEAVES if leaf.pattern == pattern and leaf.value is not None]
    assert found, pattern
    return found


def test_every_field_of_the_model_has_a_declared_order_and_every_order_a_field():
    assert {leaf.pattern for leaf in LEAVES} | {"who_may.<name>.grant"} == set(ORDERS)
    assert set(LISTS) == {"collect", "purposes", "who_may", "red_lines", "promises", "gates"}


@pytest.mark.parametrize("pattern", sorted({leaf.pattern for leaf in LEAVES}))
def test_every_change_of_a_field_is_told_with_its_clause_in_words_of_its_own(pattern):
    for leaf in (leaf for leaf in LEAVES if leaf.pattern == pattern):
        tried = amending.others(leaf)
        assert tried, leaf.clause
        for value in tried:
            found = list(changes(FULL, leaf.put(value)))
            assert found, (leaf.clause, value)
            for change in found:
                assert change.message in ENGLISH.sentences or change.message.endswith(".order")
                assert "{" not in change.sentence
                assert change.sentence.endswith(".")
                assert "\n" not in change.sentence
            names = [change.clause for change in found]
            assert (
                any(leaf.clause.startswith(name) or name.startswith(leaf.clause) for name in names)
                or (
                    leaf.pattern.startswith(
                        "red_lines[]"
                    )  # uses are compared together, under one key
                    and any(name.startswith(leaf.clause.rpartition(".")[0]) for name in names)
                )
                or leaf.pattern.endswith(("].id", "].what"))
            ), (leaf.clause, names)


def test_a_field_that_nobody_gave_an_order_counts_as_wider(monkeypatch):
    bare = {pattern: order for pattern, order in ORDERS.items() if pattern != "collect[].keep"}
    monkeypatch.setattr(walk, "ORDERS", bare)
    for leaf in leaves("collect[].keep"):
        assert side(leaf, leaf.value - 1) == {WIDER}


@pytest.mark.parametrize("pattern", [*MORE, *FEWER])
def test_numbers_and_lists_have_the_right_side(pattern):
    up, down = ({WIDER}, {NARROWER}) if pattern in MORE else ({NARROWER}, {WIDER})
    for leaf in leaves(pattern):
        match leaf.value:
            case int():
                assert side(leaf, leaf.value + 1) == up
                if leaf.value:
                    assert side(leaf, leaf.value - 1) == down
            case tuple():
                fresh = [one for one in amending.POOLS[pattern] if one not in leaf.value]
                for one in fresh:
                    if (leaf.clause, one) in COVERED:
                        continue
                    assert side(leaf, (*leaf.value, one)) == up, (leaf.clause, one)
                for one in leaf.value:
                    assert side(leaf, tuple(rest for rest in leaf.value if rest != one)) == down
            case _ if hasattr(leaf.value, "within_s"):
                assert side(leaf, replace(leaf.value, within_s=leaf.value.within_s + 1)) == up
                assert side(leaf, replace(leaf.value, within_s=leaf.value.within_s - 1)) == down
                assert side(leaf, replace(leaf.value, name="another")) == {WIDER}
            case bound:
                assert side(leaf, replace(bound, op="<=", micro=bound.micro + 1)) == up
                assert side(leaf, replace(bound, op=">", micro=bound.micro)) == {WIDER}


@pytest.mark.parametrize("pattern", sorted(RUNGS))
def test_rungs_have_the_right_side(pattern):
    rungs = RUNGS[pattern]
    for leaf in (
        leaves(pattern) if None not in rungs else [one for one in LEAVES if one.pattern == pattern]
    ):
        for value in rungs:
            if value != leaf.value:
                up = rungs.index(value) > rungs.index(leaf.value)
                assert side(leaf, value) == ({WIDER} if up else {NARROWER}), (leaf.clause, value)


def test_everything_else_counts_as_wider_whatever_becomes_of_it():
    ranked = {
        *MORE,
        *FEWER,
        *RUNGS,
        "purposes.<name>.uses.dpv",
        "red_lines[].forbid",
        "red_lines[].dpv",
    }
    ranked |= {"who_may.<name>.grant.reason"}
    optional = {
        "who_may.<name>.grant",
        "who_may.<name>.grant.budget",
        "oversight.break_glass",
        "set_aside",
    }
    for leaf in LEAVES:
        if leaf.pattern not in ranked | optional and not leaf.pattern.endswith(("].id", "].what")):
            for value in amending.others(leaf):
                assert WIDER in side(leaf, value), (leaf.clause, value)


def test_what_may_be_missing_is_widest_where_it_limits_and_narrowest_where_it_permits():
    for leaf in LEAVES:
        if leaf.pattern in {
            "who_may.<name>.grant.reason",
            "who_may.<name>.grant.budget",
        }:
            if leaf.value is None:
                assert side(leaf, amending.others(leaf)[0]) == {NARROWER}
            else:
                assert side(leaf, None) == {WIDER}
        if leaf.pattern == "who_may.<name>.grant":
            if leaf.value is None:
                assert side(leaf, amending.sample(GrantRule)) == {WIDER}
            else:
                assert side(leaf, None) == {NARROWER}


@pytest.mark.parametrize("name", sorted(amending.entries(FULL)))
def test_an_entry_that_comes_or_goes_is_told(name):
    made = amending.entries(FULL)[name]()
    where, sign, _ = name.split(" ", 2)
    found = [one for one in changes(FULL, made) if one.clause.startswith(f"{where}.")]
    (change,) = found
    assert change.side == (WIDER if LISTS[where] == (sign == "+") else NARROWER)
    assert change.sentence in {one.sentence for one in changes(FULL, made)}


def test_a_red_line_that_gets_a_form_of_its_own_loses_the_one_it_had_by_its_name():
    """``no-raw-to-people`` as prose forbids four actions; with a number of people it forbids none of them."""
    base = boardroom.charter("example")
    prose = RedLine(id="no-raw-to-people", rule=WORDS["no-raw-to-people"])
    old = replace(base, red_lines=(*(one for one in base.red_lines if one.id != prose.id), prose))
    less = replace(prose, rule="no human ever receives raw data", min_people=60)
    new = replace(old, red_lines=(*old.red_lines[:-1], less))
    found = compare(old, new)
    assert found.direction == "widen"
    assert any(
        change.clause == "red_lines.no-raw-to-people.forbid_actions" for change in found.allowed
    )


def test_a_red_line_that_says_the_same_in_another_spelling_is_told_and_counts_as_wider():
    base = boardroom.charter("example")
    for made in (
        RedLine(id="line", plain="x", forbid=("dpv:PersonnelPerformancePrediction",)),
        RedLine(id="line", plain="x", dpv=("PersonnelPerformancePrediction",)),
    ):
        old = replace(
            base,
            red_lines=(
                *base.red_lines,
                RedLine(id="line", plain="x", forbid_terms=("dpv:PersonnelPerformancePrediction",)),
            ),
        )
        new = replace(base, red_lines=(*base.red_lines, made))
        found = compare(old, new)
        assert found.direction == "widen"
        assert [change.clause for change in found.allowed] == [
            f"red_lines.line.{'forbid' if made.forbid else 'dpv'}"
        ]


def test_a_broader_term_in_a_ban_is_narrower_and_a_narrower_one_is_wider():
    base = boardroom.charter("example")
    broad = replace(base, never_collect=(*base.never_collect[1:], "user.authorization"))
    narrow = replace(base, never_collect=(*base.never_collect[1:], "user.authorization.password"))
    assert compare(base, broad).direction == "narrow"
    assert compare(broad, base).direction == "widen"
    assert compare(base, narrow).direction == "widen"
    under = replace(base, never_collect=(*base.never_collect, "user.financial.bank_account"))
    assert (
        compare(base, under).direction == "widen"
    )  # it bans nothing new, and nobody can say why it is there
