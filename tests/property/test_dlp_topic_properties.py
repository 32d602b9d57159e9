"""Each message is judged alone, whatever stands before or after it, and any text is judged without failing."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from safehold.dlp.classes import GROUPS
from safehold.dlp.message import message_units
from safehold.dlp.topic import find_units, replace_units
from safehold.dlp.topic.lexicon import load_lexicon

ALL = frozenset(GROUPS)
WORDS = st.sampled_from(
    [*load_lexicon().terms[::9], "my", "the", "was", "$95k", "\u20ac 4,000", "x"]
)
TEXT = st.lists(WORDS, max_size=14).map(" ".join) | st.text(max_size=40)
MARKS = st.sampled_from([". ", "! ", "\n", "  ", "\u2019s "])
MESSAGE = st.none() | st.tuples(TEXT, MARKS, TEXT).map("".join)


@given(st.lists(MESSAGE, min_size=1, max_size=8))
@settings(max_examples=40)
def test_a_message_is_judged_alone(texts: list[str | None]) -> None:
    together = message_units([text or "" for text in texts])
    assert together == [message_units([text or ""])[0] for text in texts]


@given(st.lists(MESSAGE, min_size=2, max_size=8), st.integers(0, 3))
@settings(max_examples=25)
def test_slices_chunks_and_nulls_change_nothing(texts: list[str | None], cut: int) -> None:
    whole = pa.array(["my cancer is back", *texts, "z"], pa.string())
    part = whole.slice(1, len(texts))
    plain = find_units(pa.array(texts, pa.string()), groups=ALL)
    for given_as in (
        part,
        pa.chunked_array([part.slice(0, cut), part.slice(cut)]),
        part.dictionary_encode(),
    ):
        found = find_units(given_as, groups=ALL)
        assert found.row.tolist() == plain.row.tolist()
        assert found.kind.tolist() == plain.kind.tolist()


@given(st.lists(TEXT, min_size=1, max_size=5), st.integers(0, 30))
@settings(max_examples=25)
def test_units_lie_in_their_texts_and_are_replaced_whole(texts: list[str], lines: int) -> None:
    long = ["\n".join([text, "word " * 30] * lines) + text for text in texts]
    units = find_units(pa.array(long, pa.large_string()), groups=ALL)
    at = (-1, 0)
    for row, start, end in zip(
        units.row.tolist(), units.start.tolist(), units.end.tolist(), strict=True
    ):
        assert (row, start) >= at
        assert 0 <= start < end <= len(long[row])
        at = (row, end)
    left = replace_units(pa.array(long, pa.large_string()), units).to_pylist()
    assert sum(a != b for a, b in zip(long, left, strict=True)) == len(set(units.row.tolist()))
