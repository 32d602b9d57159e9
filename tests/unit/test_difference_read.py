"""Changes of which one field does not tell the side: read in two ways, of several fields together, or of the board's own rules."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests import amending, boardroom

from safehold.charter import compile  # noqa: A004
from safehold.charter.difference import compare
from safehold.charter.difference.change import WIDER
from safehold.charter.difference.field import IGNORED
from safehold.charter.difference.walk import changes
from safehold.charter.difference.watch import WATCH
from safehold.charter.explain import reading_ease
from safehold.charter.model import Caps, GrantRule, Role
from safehold.charter.review import review
from safehold.charter.vocabulary import DLP_GROUPS

FULL = amending.full()
LEAVES = [leaf for leaf in amending.leaves(FULL) if leaf.pattern not in IGNORED]


@pytest.mark.parametrize(
    ("field", "old", "new", "direction"),
    [
        # an empty list of groups masks every group where it is carried out, and none where it is read
        ("dlp", (), ("identifiers",), "widen"),
        ("dlp", (), DLP_GROUPS, "narrow"),
        ("dlp", DLP_GROUPS, (), "widen"),
        # no channels: "no limit" where it is read, public ones alone where it is carried out
        ("channels", None, ("public",), "narrow"),
        ("channels", None, ("public", "private"), "widen"),
        ("channels", ("public",), None, "widen"),
        ("apps", None, ("editor",), "narrow"),
        ("apps", ("editor",), None, "widen"),
        ("apps", ("editor",), ("crm",), "widen"),
        # data in a silo is no telemetry to the red line that keeps telemetry apart from silos
        ("silo", None, "badge", "widen"),
        ("silo", "badge", None, "widen"),
        ("drop", ("clipboard", "screen"), ("screen", "clipboard"), "widen"),
        ("drop", ("screen",), ("screen", "screen"), "widen"),
    ],
)
def test_what_can_be_read_in_two_ways_is_narrower_only_if_it_is_in_both(field, old, new, direction):
    base = boardroom.charter("example")
    one, two = (
        replace(
            base,
            collect=(
                replace(
                    base.collect[0], minimise=replace(base.collect[0].minimise, **{field: value})
                ),
                *base.collect[1:],
            ),
        )
        for value in (old, new)
    )
    assert compare(one, two).direction == direction


def test_what_is_derived_without_a_term_ends_with_its_sources_which_may_be_sooner_or_later():
    base = boardroom.charter("example")
    purpose = base.purposes["train_ui_agent"]
    without = replace(
        base, purposes={**base.purposes, "train_ui_agent": replace(purpose, derived_keep_days=None)}
    )
    assert compare(base, without).direction == compare(without, base).direction == "widen"


def test_to_stop_collecting_what_is_most_sensitive_loosens_the_sandbox_of_what_was_made_of_it():
    base = boardroom.charter("example")
    low = replace(
        base,
        collect=tuple(
            replace(one, sensitivity=4 if one.what == "chat" else 1) for one in base.collect
        ),
        purposes={
            name: replace(one, sources=tuple(what for what in one.sources if what != "chat"))
            for name, one in base.purposes.items()
        },
    )
    new = replace(low, collect=tuple(one for one in low.collect if one.what != "chat"))
    found = compare(low, new)
    assert found.direction == "widen"
    assert [change.sentence for change in found.allowed] == [
        "Features made from it may now be used in a weaker sandbox: E1 instead of E3."
    ]


def test_more_sensitive_is_not_narrower_where_the_charter_gives_it_a_weaker_sandbox():
    base = boardroom.charter("example")
    odd = replace(base, assurance=replace(base.assurance, level_2="E4"))  # focus has sensitivity 2
    new = replace(odd, collect=tuple(replace(one, sensitivity=4) for one in odd.collect))
    assert "collect.focus.sensitivity" in {change.clause for change in compare(odd, new).allowed}


def test_two_kinds_of_data_together_may_get_a_weaker_sandbox_though_neither_does_alone():
    base = boardroom.charter("example")
    odd = replace(
        base,
        assurance=replace(base.assurance, level_2="E4"),
        collect=tuple(
            replace(one, sensitivity=1 if one.what == "pointer" else 2) for one in base.collect[:5]
        ),
        purposes={name: base.purposes[name] for name in ("improve_tools", "secure_the_pipeline")},
    )
    new = replace(
        odd,
        collect=tuple(
            replace(one, sensitivity=3) if one.what == "pointer" else one for one in odd.collect
        ),
    )
    found = compare(odd, new)
    assert found.direction == "widen"
    told = "Keystrokes and pointer movement may now be used in a weaker sandbox: E3 instead of E4."
    assert told in {change.sentence for change in found.allowed}


def test_no_seat_alone_makes_the_rules_of_the_board_stricter():
    base = boardroom.charter("example")
    board = base.oversight
    for stricter in (
        replace(board, widen=replace(board.widen, approve=6)),
        replace(board, widen=replace(board.widen, notice_s=board.widen.notice_s * 100)),
        replace(board, widen=replace(board.widen, must_include=(*board.widen.must_include, "hr"))),
        replace(
            board,
            restart_after_stop=replace(
                board.restart_after_stop, needs=("more", *board.restart_after_stop.needs)
            ),
        ),
    ):
        found = compare(base, replace(base, oversight=stricter))
        assert found.direction == "widen"
        assert [(change.clause, change.message) for change in found.allowed] == [
            ("oversight", "oversight.wider")
        ]
        assert found.denied


def test_entries_that_nothing_tells_apart_are_not_paired():
    base = boardroom.charter("example")
    twice = replace(
        base, promises=(*base.promises, replace(base.promises[0], says="Something else"))
    )
    other = replace(
        base, promises=(*base.promises, replace(base.promises[0], says="Something new"))
    )
    # no such charter compiles, so only the fields are compared
    assert WIDER in {change.side for change in changes(twice, other)}
    assert not [*changes(twice, replace(twice, version=9))]
    for charter in (twice, other):
        assert "charter.promises.id" in {problem.rule for problem in review(charter)}


def test_another_order_of_the_entries_is_told():
    base = boardroom.charter("example")
    for name in ("collect", "red_lines", "promises", "gates"):
        turned = replace(base, **{name: getattr(base, name)[::-1]})
        found = compare(base, turned)
        assert found.direction == "widen", name
        assert name in {change.clause for change in found.allowed}


def test_nothing_but_the_version_differs():
    base = boardroom.charter("example")
    found = compare(base, replace(base, version=base.version + 1))
    assert (found.direction, found.allowed, found.denied) == ("same", (), ())
    assert found.old[1] != found.new[1]


def test_the_charters_of_these_tests_are_ones_that_a_board_could_sign():
    assert not list(review(FULL))
    compile(FULL)


def test_the_sentences_are_easy_to_read():
    said = {}
    for leaf in LEAVES:
        for value in amending.others(leaf):
            said.update({one.message: one.sentence for one in changes(FULL, leaf.put(value))})
    assert len(said) > 150
    assert reading_ease(list(said.values()), "en") >= 65


def test_the_difference_itself_says_that_the_pipeline_is_watched_in_another_way():
    base = boardroom.charter("example")
    purposes = {name: one for name, one in base.purposes.items() if name != WATCH}
    found = compare(base, replace(base, purposes=purposes))
    assert found.direction == "widen"
    assert [change.clause for change in found.allowed] == [f"purposes.{WATCH}"]
    assert "blind" in found.allowed[0].sentence
    # what watched nothing before can be blinded by nothing
    back = compare(replace(base, purposes=purposes), base)
    assert not any("blind" in change.sentence for change in back.allowed)


def test_one_seat_cannot_blind_those_who_watch_by_what_is_asked_of_them():
    base = boardroom.charter("example")
    grant = GrantRule(max_s=3600, token_s=3600, approvers=2)
    watcher = Role(do=("query",), stages=("audit",), grant=grant)

    def watched(**asked):
        changed = replace(watcher, grant=replace(grant, **asked))
        return replace(base, who_may={**base.who_may, "watcher": changed})

    few = replace(
        watched(),
        red_lines=tuple(
            replace(line, min_people=10**12) if line.min_people else line for line in base.red_lines
        ),
    )
    harder = [
        watched(approvers=10**12),
        watched(max_s=1, token_s=1),
        watched(budget=Caps(rows=0, bytes_out=0, runs=0)),
        few,
    ]
    for one in harder:
        found = compare(watched(), one)
        assert [change.clause for change in found.allowed] == [f"purposes.{WATCH}"]
    # of everybody else one seat asks more, as ever; and of all, where nobody watches by a grant
    scientist = base.who_may["data_scientist"]
    stricter = replace(scientist, grant=replace(scientist.grant, approvers=3))
    new = replace(watched(), who_may={**watched().who_may, "data_scientist": stricter})
    assert compare(watched(), new).direction == "narrow"
    assert compare(base, replace(few, who_may=base.who_may)).direction == "narrow"


def test_an_emergency_is_wider_to_allow_and_narrower_to_end_even_by_one_seat():
    never = boardroom.charter("example")
    glass = replace(never, oversight=replace(never.oversight, break_glass=amending.GLASS))
    assert compare(never, glass).direction == "widen"
    assert compare(glass, never).direction == "narrow"
    for changed, direction in (
        ({"max_s": 601}, "widen"),
        ({"max_s": 599}, "narrow"),
        ({"reviews": 2}, "widen"),
        ({"reviews": 4}, "narrow"),
        ({"approvers": 2}, "narrow"),
        ({"seats": ("security", "privacy", "legal", "hr")}, "widen"),
        ({"seats": ("security", "privacy")}, "narrow"),
    ):
        other = replace(amending.GLASS, **changed)
        new = replace(glass, oversight=replace(glass.oversight, break_glass=other))
        assert compare(glass, new).direction == direction, changed
    faster = replace(
        glass,
        oversight=replace(glass.oversight, break_glass=replace(amending.GLASS, approvers=2)),
    )
    assert compare(faster, glass).direction == "widen"
