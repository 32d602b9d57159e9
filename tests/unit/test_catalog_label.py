"""Derived data inherits the narrowest label of its parents."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safehold.catalog import DatasetLabel, derive
from safehold.errors import DeniedError

names = st.frozensets(st.sampled_from("abcd"), min_size=1)
labels = st.builds(
    DatasetLabel,
    people=st.integers(0, 9),
    streams=names,
    purposes=names,
    jurisdictions=names,
    expires=st.integers(0, 99),
)


@given(st.lists(labels, min_size=1, max_size=4))
def test_purposes_shrink_people_and_streams_grow_and_the_earliest_end_wins(parents):
    shared = frozenset.intersection(*(one.purposes for one in parents))
    if not shared:
        with pytest.raises(DeniedError, match="no purpose"):
            derive(parents, people=3)
        return
    made = derive(parents, people=3)
    assert made.purposes == shared
    assert made.expires == min(one.expires for one in parents)
    assert all(one.streams <= made.streams for one in parents)
    assert DatasetLabel.from_record(made.to_record()) == made


def test_nothing_is_derived_from_nothing():
    with pytest.raises(DeniedError):
        derive([], people=0)
