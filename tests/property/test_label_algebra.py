"""Labels are a bounded join-semilattice, and nothing that is made of something is bound by less."""

from __future__ import annotations

from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safehold.catalog.algebra import BOTTOM, TOP, Inherited, crossing, join
from safehold.catalog.label import DatasetLabel, derive, write_label
from safehold.errors import DeniedError

NAMES = st.frozensets(st.sampled_from("abcdef"), max_size=4)
DAYS = st.integers(0, 40)
LABELS = st.one_of(
    st.just(BOTTOM),
    st.just(TOP),
    st.builds(
        Inherited,
        people=NAMES,
        streams=NAMES,
        categories=NAMES,
        silos=NAMES,
        tells=NAMES,
        masks=NAMES,
        gates=NAMES,
        jurisdictions=NAMES,
        purposes=st.none() | NAMES,
        expires=DAYS,
        first_day=DAYS,
        last_day=DAYS,
        sensitivity=st.integers(0, 4),
    ),
)


@given(LABELS, LABELS, LABELS)
def test_the_join_is_that_of_a_semilattice(a: Inherited, b: Inherited, c: Inherited) -> None:
    assert (a | b) | c == a | (b | c)
    assert a | b == b | a
    assert a | a == a
    assert a | BOTTOM == a
    assert a | TOP == TOP


@given(LABELS, LABELS, LABELS)
def test_the_order_is_that_of_the_join(a: Inherited, b: Inherited, c: Inherited) -> None:
    assert BOTTOM <= a <= a | b
    assert a <= TOP
    if a <= b:
        assert a | c <= b | c
        if b <= a:
            assert a == b
        if b <= c:
            assert a <= c
    both = a | b
    assert not (a <= c and b <= c) or both <= c, "the join is the least that is above both"


@given(st.lists(LABELS, max_size=6))
def test_many_are_joined_as_two_by_two(labels: list[Inherited]) -> None:
    assert join(labels) == reduce(Inherited.__or__, labels, BOTTOM)


@given(LABELS, LABELS, st.sampled_from("abcdef"))
def test_nothing_is_allowed_that_one_of_the_parents_does_not_allow(
    a: Inherited, b: Inherited, purpose: str
) -> None:
    made = a | b
    assert not made.serves(purpose) or (a.serves(purpose) and b.serves(purpose))
    assert made.expires <= min(a.expires, b.expires)
    if not made.closed:
        assert made.people == a.people | b.people
        assert made.jurisdictions == a.jurisdictions | b.jurisdictions
        assert made.sensitivity == max(a.sensitivity, b.sensitivity)


@given(st.lists(LABELS, max_size=4), LABELS)
def test_more_beside_it_crosses_no_less(labels: list[Inherited], more: Inherited) -> None:
    """What crosses a line still does beside something that crosses none by itself."""
    if not more.masks & more.tells:
        assert crossing(labels) <= crossing([*labels, more])


def test_each_alone_crosses_nothing() -> None:
    keys, rated = Inherited(masks=frozenset("w")), Inherited(tells=frozenset("w"))
    assert not crossing([keys])
    assert not crossing([rated])
    assert crossing([keys, rated]) == {"w"}


@given(LABELS)
def test_what_is_written_is_read_back(a: Inherited) -> None:
    if a.closed or not a.purposes:
        with pytest.raises(DeniedError):
            write_label(a)
        return
    written = write_label(a, digest="00")
    assert DatasetLabel.from_record(written.to_record()) == written
    assert written.people == len(a.people)
    assert written.inherited(a.people) == a
    assert not set(written.to_record()) & {"closed"}
    if a != BOTTOM:
        assert derive([written, written], people=written.people).inherited(a.people) == a
