"""What is worked out a shorter way is what the long way gives, whatever the input."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import given, settings
from hypothesis import strategies as st

from safehold.dlp import counterpart, keystroke, picture
from safehold.dlp.classes import NAMES
from safehold.dlp.context import words_of
from safehold.dlp.engine.gate import numbered_rows
from safehold.dlp.engine.rows import constant_of
from safehold.dlp.keymap import Op
from safehold.dlp.level import take_rows
from safehold.dlp.mask import Marks
from safehold.dlp.topic.lexicon import find_terms, load_lexicon, rows_to_judge

quick = settings(max_examples=60, deadline=None)
OPS = st.sampled_from([Op.INS, Op.INS, Op.INS, Op.BKSP, Op.BKSP, Op.SEG, Op.NOP, Op.LEFT])
STROKE = st.tuples(
    OPS, st.sampled_from(["a", "b", "\n", "é", "xyz"]), st.integers(1, 5), st.booleans()
)


def as_pieces(pieces):
    return [(*piece[:2], [int(row) for row in piece.origins], *piece[3:]) for piece in pieces]


@quick
@given(st.lists(STROKE, max_size=60))
def test_erasures_at_the_end_are_replayed_as_by_the_editor(strokes):
    ops = np.array([int(op) for op, *_ in strokes], np.int64)
    texts = [char if op == Op.INS else "" for op, char, *_ in strokes]
    counts = np.array([count for _, _, count, _ in strokes], np.int64)
    segments = np.cumsum(np.array([new for *_, new in strokes], np.int64))
    found = as_pieces(keystroke.replay(ops, texts, segments, counts=counts))
    live = np.flatnonzero(ops != Op.NOP)
    held = np.array([*texts, ""], object)[:-1]
    work = keystroke._Work(ops[live], segments[live], held[live], live, counts[live])
    by_editor = [
        piece
        for at, number in enumerate(work.segments[work.bounds[:-1]].tolist() if len(live) else [])
        for piece in keystroke._edit(work, at, number)
    ]
    plain = {
        number for number in set(segments[live].tolist())
        if (ops[live][segments[live] == number] == Op.INS).all()
    }  # fmt: skip
    # where nothing was edited at all, the order of typing is the text: it is not told twice
    wanted = [p for p in as_pieces(by_editor) if not (p[0] == "raw" and p[3] in plain)]
    assert found == wanted


def test_a_run_longer_than_a_segment_is_left_to_the_editor():
    count = keystroke.LONGEST + 10
    ops = np.array([int(Op.INS)] * count + [int(Op.BKSP)], np.int64)
    pieces = list(keystroke.replay(ops, ["a"] * count + [""], np.zeros(count + 1, np.int64)))
    assert max(len(piece.text) for piece in pieces) <= count
    assert len(pieces) > 3  # cut, as a text without an end has to be


@quick
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, len(NAMES) - 1)), max_size=30))
def test_marks_put_together_are_those_put_one_by_one(pairs):
    one, all_ = Marks.clean(10), Marks.clean(10)
    half = len(pairs) // 2
    for row, kind in pairs:
        one.put(np.array([row]), kind)
    for part in (pairs[:half], pairs[half:]):
        rows, kinds = np.array(part, np.int64).reshape(len(part), 2).T
        all_.put_each(rows, kinds)
    assert one.kind.tolist() == all_.kind.tolist()
    assert one.sens.tolist() == all_.sens.tolist()


QUOTES = st.sampled_from(
    ["> a", "&gt;b", "»", "\uff1e c", "On Mon, Ann WROTE:", "-- Original Message", "---forwarded MESSAGE", "From: ann\nSent: ", "\n",
     " ", "-", "&", "text", "é", "\u212a", "\u017f"]
)  # fmt: skip
PICTURES = st.sampled_from(
    ["data:", "DATA: image/", "image/", "iVBORw0KGgo", "A" * 24, "/9j/4", "_9j_2", "AAQSkZJRg", "R0lGODdh", "UklGRabcdefXRUJQ", "ff",
     "FFD8FFe", "d8ff", "89504E470D0A1A0A", "0" * 24, "9j", "\0", " ", "é"]
)  # fmt: skip


def texts_of(parts):
    return st.lists(st.none() | st.lists(parts, max_size=5).map("".join), min_size=1, max_size=6)


@quick
@given(texts_of(QUOTES))
def test_quotes_are_taken_where_the_expressions_alone_take_them(texts):
    before = pa.array(texts, pa.string())
    table = pa.table({"text": before, "msg": pa.array(["m"] * len(texts))})
    after = before
    for pattern in counterpart._QUOTED:
        after = pc.replace_substring_regex(after, pattern, counterpart._QUOTE)
    assert counterpart.without_quotes(table, table.slice(0, 0))[0].to_pylist() == after.to_pylist()


@quick
@given(texts_of(PICTURES), st.booleans())
def test_pictures_are_seen_where_the_expression_alone_sees_them(texts, alike):
    texts = [texts[0] or ""] * 3 if alike else texts
    for kind in (pa.string(), pa.large_string()):
        column = pa.array(["", *texts], kind).slice(1)
        seen = picture.pictured_events(pa.table({"text": column}))
        hits = pc.fill_null(pc.match_substring_regex(column, picture._PICTURE), fill_value=False)
        assert seen.tolist() == hits.to_pylist()


@quick
@given(texts_of(st.sampled_from(["1", "\u0663", "a", "é", " ", "\u00bd"])))
def test_rows_with_a_number_are_among_those_looked_at(texts):
    array = pa.array(texts, pa.large_string())
    hits = pc.fill_null(pc.match_substring_regex(array, r"\pN"), fill_value=False).to_numpy(
        zero_copy_only=False
    )
    assert set(np.flatnonzero(hits).tolist()) <= set(numbered_rows(array).tolist())


WORDS = st.sampled_from(
    [*load_lexicon().terms[::7], "the", ",", "  ", "\0", "\n", "€", "“", "É", ".", "x", "$"]
)


@quick
@given(st.lists(st.none() | st.lists(WORDS, max_size=6).map(" ".join), min_size=1, max_size=6))
def test_every_row_with_a_term_that_may_carry_a_topic_is_judged(texts):
    lexicon = load_lexicon()
    array = pa.array(texts, pa.large_string())
    rows = rows_to_judge(array, lexicon)
    # each alone, and none for what stands in another
    alone = [
        at for at, text in enumerate(texts)
        if len(rows_to_judge(pa.array([text], pa.large_string()), lexicon))
    ]  # fmt: skip
    assert rows.tolist() == alone
    hits = find_terms(array, lexicon)
    carry = lexicon.carries[lexicon.group[hits.term]]
    money = np.array([lexicon.terms[term] == "$" for term in hits.term.tolist()], bool)
    assert set(hits.row[carry & ~money].tolist()) <= set(rows.tolist())


@quick
@given(
    st.lists(st.none() | st.sampled_from(["", "a", "aa", "é"]), max_size=4), st.integers(0, 2),
    st.booleans(),
)  # fmt: skip
def test_a_column_of_one_value_is_numbered_and_taken_as_any_other(values, cut, alike):
    values = values[:1] * 4 if alike else values
    for kind in (pa.string(), pa.large_string()):
        column = pa.array(values, kind).slice(min(cut, len(values)))
        listed = column.to_pylist()
        one = constant_of(column)
        assert one is None or {one.decode()} == set(listed)
        index, words = words_of(column)
        assert [words[at] for at in index.tolist()] == listed
        rows = np.arange(len(listed))[::-1][: max(0, len(listed) - 1)].copy()
        table = take_rows(pa.table({"x": column}), rows)
        assert table["x"].to_pylist() == [listed[at] for at in rows.tolist()]
