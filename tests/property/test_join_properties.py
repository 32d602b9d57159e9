"""For all small sets: the sum is that of the intersection, and below the minimum there is none."""

from __future__ import annotations

from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.houses import figures, meet

from safehold.errors import DeniedError
from safehold.federation import psi_sum

NAMES = st.binary(max_size=12)
TIGHT = {"epsilon_count_micro": 30_000_000, "epsilon_sum_micro": 30_000_000}


@settings(max_examples=8, deadline=None)
@given(
    common=st.dictionaries(NAMES, st.integers(0, 100), min_size=1, max_size=12),
    mine=st.sets(NAMES, max_size=8),
    theirs=st.dictionaries(NAMES, st.integers(0, 100), max_size=8),
)
def test_the_sum_is_that_of_the_intersection(
    common: dict[bytes, int], mine: set[bytes], theirs: dict[bytes, int]
) -> None:
    members = sorted(mine | set(common))
    values = theirs | common
    both = set(members) & set(values)
    # noise that is known: it is part of each figure and nothing else is
    with (
        patch.object(psi_sum, "draw_shift", lambda _epsilon, reach: 2 * reach),
        patch.object(psi_sum, "draw_laplace", lambda _epsilon, clamp: -clamp),
    ):
        found = figures(meet(members, values, **TIGHT))
    for one in found:
        assert one.total == sum(values[name] for name in both) - 2 * 100
        assert one.at_least == len(both)  # all noise was there, so the lowest count is the true one


@settings(max_examples=4, deadline=None)
@given(
    mine=st.sets(NAMES, min_size=1, max_size=8),
    theirs=st.dictionaries(NAMES, st.integers(0, 100), min_size=1, max_size=8),
)
def test_below_the_minimum_there_is_no_figure(mine: set[bytes], theirs: dict[bytes, int]) -> None:
    """Whatever the noise is, the largest included."""
    with patch.object(psi_sum, "draw_shift", lambda _epsilon, reach: 2 * reach):
        least = len(mine & set(theirs)) + 1
        found = meet(sorted(mine), theirs, least=least, **TIGHT)
    assert all(isinstance(one, DeniedError) and one.rule == "join.min_people" for one in found)
