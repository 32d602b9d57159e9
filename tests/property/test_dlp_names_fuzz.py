"""Whatever the text, names are found without a crash, in order, within it, and without overlap."""

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from safehold.dlp.roster import Roster
from safehold.dlp.tagger import tag_names

SIGNS = st.characters(exclude_categories=["Cs"])
ODD = st.sampled_from(
    ["\u0130", "\u00df", "\ufb01", "e\u0301", "\U0001f468\u200d\U0001f469", "\u201c", "\u00a0", "\r\n", "\t", "\0", "'s",
     "@", "\u0e01\u0e33", "\u0627\u0644", "\u4eba", "Jörg", "Will", "MAY ", "O\u2019Neil", "\u2028", "\u00ad"]
)  # fmt: skip
TEXT = st.lists(st.one_of(st.text(SIGNS, max_size=12), ODD), max_size=14).map("".join)
ROSTER = Roster(
    [{"given": "Jörg", "family": "O'Neil", "also": ["\u4eba", "x"]}, {"name": "Will May"}]
)


def check(spans, texts):
    last = (-1, 0)
    columns = (spans.row, spans.start, spans.end, spans.byte_start, spans.byte_end)
    for row, start, end, low, high in zip(*(each.tolist() for each in columns), strict=True):
        assert (row, start) >= last
        assert 0 <= start < end <= len(texts[row])
        assert texts[row].encode()[low:high].decode() == texts[row][start:end]
        last = (row, end)
    assert ((spans.confidence >= 1) & (spans.confidence <= 99)).all()


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(st.none(), TEXT), max_size=6), st.integers(0, 3))
def test_spans_fit_the_text(texts, skip):
    array = pa.array(texts, pa.string()).slice(skip)
    rest = texts[skip:]
    check(tag_names(array, likely=0.02), rest)
    check(ROSTER.find(array), rest)


@settings(max_examples=40, deadline=None)
@given(st.text(SIGNS, max_size=30).filter(lambda name: len(name.encode()) < 90))
def test_any_name_is_a_roster(name):
    roster = Roster([{"name": name}])
    text = f"x {name} y"
    check(roster.find(pa.array([text])), [text])
