"""Shortcuts of numbering rows give what the plain way gives."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from safehold.dlp.context import distinct, sessions_of, words_of
from safehold.dlp.keys import _order

NUMBERS = st.lists(
    st.integers(0, 12) | st.integers(0, 2**40) | st.integers(-3, 3), max_size=60
).map(lambda values: np.array(values, np.int64))
WORDS = st.lists(st.sampled_from(["a", "b", "", "ß", None]), max_size=40)


@given(NUMBERS)
def test_distinct_is_unique_with_its_inverse(code):
    values, inverse = np.unique(code, return_inverse=True)
    found, back = distinct(code)
    assert found.tolist() == values.tolist()
    assert back.tolist() == inverse.tolist()


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), max_size=50), st.booleans())
def test_rows_in_order_already_are_left_as_a_stable_sort_leaves_them(rows, in_order):
    rows = sorted(rows) if in_order else rows
    session = np.array([one for one, _ in rows], np.int64)
    seq = np.array([two for _, two in rows], np.int64)
    assert _order(session, seq).tolist() == np.lexsort((seq, session)).tolist()


@given(WORDS, st.booleans())
def test_a_number_stands_for_its_word(words, encoded):
    array = pa.array(words, pa.string())
    index, values = words_of(array.dictionary_encode() if encoded else array)
    assert index.dtype == np.int64
    assert [values[at] for at in index.tolist()] == words


@given(
    st.lists(st.tuples(*[st.sampled_from(["a", "b", None])] * 3), max_size=40), st.integers(0, 40)
)
def test_sessions_are_numbered_alike_over_tables(rows, cut):
    names = ("person", "device", "session")
    table = pa.table(
        {name: pa.array([row[at] for row in rows], pa.string()) for at, name in enumerate(names)}
    )
    numbers = np.concatenate(sessions_of(table.slice(0, cut), table.slice(cut))).tolist()
    seen = dict(zip(rows, numbers, strict=True))
    assert [seen[row] for row in rows] == numbers
    assert len(set(numbers)) == len(seen)
    assert sorted(set(numbers)) == list(range(len(seen)))
