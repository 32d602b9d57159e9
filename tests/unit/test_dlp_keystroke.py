"""From keys to text: every line of the mapping, and the two holes."""

import numpy as np
import pyarrow as pa
import pytest
from tests.timing import least, linear

from safehold.dlp import Rules, minimise
from safehold.dlp.keymap import OPAQUE, Op, operate, resolve
from safehold.dlp.keys import read_keys
from safehold.dlp.keystroke import replay
from safehold.telemetry.schema import WIRE
from safehold.telemetry.stream import KeyKind
from safehold.workforce.guise import widen

CTRL = 2


def events(keys, **more):
    rows = len(keys)
    columns = {
        "person": ["p"] * rows, "device": ["d"] * rows, "session": ["s"] * rows, "seq": range(1, rows + 1),
        "t": [1_700_000_000_000_000 + at * 100_000 for at in range(rows)],
        "mono": [at * 100_000 for at in range(rows)], "kind": [1] * rows, "key": list(keys), "mods": [0] * rows,
    } | more  # fmt: skip
    schema = WIRE["key"]
    arrays = [
        pa.array(list(columns[f.name]), pa.int64() if pa.types.is_temporal(f.type) else f.type).cast(f.type)
        if f.name in columns else pa.nulls(rows, f.type)
        for f in schema
    ]  # fmt: skip
    return pa.Table.from_arrays(arrays, schema=schema)


def pieces(table, kind="final", **more):
    typed = read_keys(table, **more)
    return [
        p
        for p in replay(typed.ops, typed.texts, typed.segments, counts=typed.counts)
        if p.kind == kind
    ]


def final(table, **more):
    return [p.text for p in pieces(table, **more)]


def masked(table, **more):
    out = minimise("key", table, Rules(stream="key"), **more).table
    return {
        s
        for s, k in zip(out["seq"].to_pylist(), out["key"].to_pylist(), strict=True)
        if k.startswith("<")
    }


def with_mods(pairs):
    return events([k for k, _ in pairs], mods=[m for _, m in pairs])


def chars(text):
    return [(c, 0) for c in text]


@pytest.mark.parametrize(
    ("key", "code", "shift", "said"),
    [
        ("é", None, 0, "é"), ("", "32", 0, " "), ("", "65", 0, "a"), ("", "90", 1, "Z"), ("", "48", 0, "0"),
        ("", "188", 0, ","), ("", "190", 0, "."), ("", "222", 0, "'"), ("", "189", 0, "-"), ("", "191", 0, "/"),
        ("", "186", 0, ";"), (None, "KeyQ", 1, "Q"), (None, "Digit7", 0, "7"), ("Unidentified", "Space", 0, " "),
        ("BKSP", None, 0, "Backspace"), ("\b", None, 0, "Backspace"), ("ARw_DOWN", None, 0, "ArrowDown"),
        ("", "8", 0, "Backspace"), ("", "", 0, ""), (None, None, 0, ""), (None, "Weird", 0, "Weird"),
    ],
)  # fmt: skip
def test_a_key_without_a_name_is_read_from_its_code(key, code, shift, said):
    assert resolve(key, code, shift=shift) == said


@pytest.mark.parametrize(
    ("name", "mods", "op"),
    [
        ("Backspace", 0, Op.BKSP), ("Backspace", 2, Op.WBKSP), ("Backspace", 8, Op.LBKSP), ("Delete", 0, Op.DEL),
        ("Delete", 2, Op.WDEL), ("a", 2, Op.SELALL), ("v", 2, Op.PASTE), ("x", 2, Op.CUT), ("c", 2, Op.NOP),
        ("z", 2, Op.UNDO), ("k", 2, Op.NOP), ("a", 8, Op.SELALL), ("@", 6, Op.INS), ("ArrowLeft", 0, Op.LEFT),
        ("ArrowLeft", 1, Op.SLEFT), ("ArrowRight", 1, Op.SRIGHT), ("Home", 1, Op.SHOME), ("End", 1, Op.SEND),
        ("ArrowLeft", 2, Op.WLEFT), ("ArrowRight", 3, Op.SWRIGHT), ("Home", 0, Op.HOME), ("End", 0, Op.END),
        ("Enter", 0, Op.SEG), ("Enter", 1, Op.INS), ("Tab", 0, Op.SEG), ("F5", 0, Op.NOP), ("e\u0301", 0, Op.INS),
        ("Dead", 0, Op.NOP), ("Process", 0, Op.NOP),
    ],
)  # fmt: skip
def test_a_key_with_modifiers_is_an_operation(name, mods, op):
    assert operate(name, mods)[0] == op


def test_a_letter_under_control_is_never_inserted():
    assert all(
        operate(letter, CTRL)[0] != Op.INS for letter in "abcdefghijklmnopqrstuvwxyz0123456789"
    )


def test_modifiers_are_read_from_their_own_presses_where_none_are_told():
    table = events(
        ["Shift", "", "Shift", ""],
        kind=[1, 1, 0, 1],
        code=["16", "65", "16", "66"],
        mods=[None] * 4,
    )
    assert final(table) == ["Ab"]
    table = events(["Control", "Backspace", "Control", "x"], kind=[1, 1, 0, 1], mods=[None] * 4)
    assert read_keys(table).ops.tolist()[1] == Op.WBKSP


def test_a_modifier_held_in_one_session_is_not_held_in_the_next():
    table = events(["Control", "a"], mods=[None, None], session=["s1", "s2"])
    assert final(table) == ["a"]


@pytest.mark.parametrize(
    ("strokes", "text"),
    [
        ([*chars("abc"), ("Backspace", 0)], "ab"),
        ([*chars("abc"), ("Home", 0), ("Delete", 0)], "bc"),
        ([*chars("one two"), ("Backspace", CTRL)], "one "),
        ([*chars("one two"), ("Home", 0), ("Delete", CTRL)], " two"),
        ([*chars("one two"), ("ArrowLeft", CTRL), *chars("x")], "one xtwo"),
        ([*chars("one two"), ("Home", 0), ("ArrowRight", CTRL), *chars("x")], "onex two"),
        ([*chars("abc"), ("a", CTRL), *chars("z")], "z"),
        ([*chars("abc"), ("ArrowLeft", 1), ("ArrowLeft", 1), *chars("z")], "az"),
        ([*chars("abc"), ("Home", 0), ("ArrowRight", 1), ("Delete", 0)], "bc"),
        ([*chars("abc"), ("Home", 1), ("x", CTRL), *chars("q")], "q"),
        ([*chars("abc"), ("Home", 0), ("End", 1), ("Backspace", 0), *chars("q")], "q"),
        ([*chars("abc"), ("a", CTRL), ("ArrowRight", 0), *chars("d")], "abcd"),
        ([*chars("ab"), ("v", CTRL), *chars("c")], f"ab{OPAQUE}c"),
        ([*chars("ab"), ("c", CTRL), ("z", CTRL), *chars("c")], "abc"),
        ([*chars("one two"), ("ArrowLeft", 3), ("Backspace", 0)], "one "),
    ],
)
def test_editing_leaves_the_text_an_editor_would_leave(strokes, text):
    assert final(with_mods(strokes)) == [text]


def test_undo_and_paste_lower_the_confidence():
    assert pieces(with_mods([*chars("ab"), ("z", CTRL)]))[0].confidence == 50
    assert pieces(with_mods([*chars("ab"), ("v", CTRL)]))[0].confidence == 80
    assert pieces(with_mods(chars("ab")))[0].confidence == 100


def test_held_backspace_repeats_when_the_recorder_does_not_say_so():
    keys = [*"abcdefghij", "Backspace", "Backspace"]
    kind = [1] * 11 + [0]
    mono = [at * 1000 for at in range(11)] + [10_000 + 500_000 + 3 * 33_000]
    assert final(events(keys, kind=kind, mono=mono)) == ["abcde"]
    repeat = [False] * 10 + [True, False]
    assert final(events(keys, kind=kind, mono=mono, repeat=repeat)) == ["abcdefghi"]


def test_enter_tab_window_field_and_click_end_a_segment():
    assert final(events([*"ab", "Enter", *"cd", "Tab", "e"])) == ["ab", "cd", "e"]
    assert final(events("abcd", app=["x", "x", "y", "y"])) == ["ab", "cd"]
    assert final(events("abcd", ctx=[1, 1, 2, 2])) == ["ab", "cd"]
    schema = WIRE["pointer"]
    row = {
        "person": "p",
        "device": "d",
        "session": "s",
        "seq": 1,
        "t": 0,
        "mono": 150_000,
        "kind": 3,
    }
    arrays = [
        pa.array([row[f.name]], pa.int64() if pa.types.is_temporal(f.type) else f.type).cast(f.type)
        if f.name in row else pa.nulls(1, f.type) for f in schema
    ]  # fmt: skip
    clicks = pa.Table.from_arrays(arrays, schema=schema)
    assert final(events("abcd"), clicks=clicks) == ["ab", "cd"]


def test_commits_bring_the_text_of_a_composition():
    table = events(
        [*"ni", None, "x"],
        kind=[1, 1, 2, 1],
        composing=[True, True, False, False],
        commit=[None, None, "你好", None],
    )
    assert final(table) == ["你好x"]


def test_presses_an_input_method_made_a_secret_of_are_masked_with_it():
    typed = [*"see ", *"123456789", "Enter", None, *" ok"]
    composing = [False] * 4 + [True] * 10 + [False] * 4
    table = events(
        typed,
        kind=[1] * 14 + [2] + [1] * 3,
        composing=composing,
        commit=[None] * 14 + [widen("123-45-6789")] + [None] * 3,
    )
    assert masked(table) == set(range(5, 16))  # the digits, what accepts them, and the commit
    plain = table.set_column(
        table.schema.get_field_index("commit"),
        "commit",
        pa.array([None] * 14 + ["会議は午後です"] + [None] * 3, pa.string()),
    )
    assert not masked(plain)


def test_what_was_typed_before_a_composition_is_not_masked_with_its_commit():
    table = events(
        [*"ab", "x", *"12", None],
        kind=[1] * 5 + [2],
        composing=[True, True, False, True, True, False],
        commit=[None] * 5 + ["123-45-6789"],
    )
    assert masked(table) == {4, 5, 6}


def test_editing_and_accepting_under_composition_touch_nothing_else():
    table = events(
        [*"ab", "n", "Backspace", "Backspace", "Enter", None],
        kind=[1] * 6 + [2],
        composing=[False, False, True, True, True, True, False],
        commit=[None] * 6 + ["好"],
    )
    assert final(table) == ["ab好"]


def test_a_reported_paste_is_not_inserted_twice_and_its_text_is_scanned():
    table = events(
        ["a", "v", None], mods=[0, CTRL, 0], kind=[1, 1, 3], commit=[None, None, "123-45-6789"]
    )
    assert final(table) == ["a123-45-6789"] or final(table) == ["a" + "123-45-6789"]
    table = events(["v", None], mods=[CTRL, 0], kind=[1, 3], commit=[None, "123-45-6789"])
    out = minimise("key", table, Rules(stream="key")).table
    assert out["commit"].null_count == out.num_rows
    assert 2 in masked(table)


def test_caps_lock_turns_letters_that_have_no_name():
    table = events(["CapsLock", "", "CapsLock", ""], code=["20", "65", "20", "65"])
    assert final(table) == ["Aa"]


CARD = "4111 1111 1111 1111"


def test_a_long_erase_hides_nothing():
    keys = [*CARD, " ", *("x" * 150)]
    table = events([*keys, *["Backspace"] * len(keys)])
    assert set(range(1, len(CARD) + 1)) <= masked(table)


def test_a_far_edit_hides_nothing():
    keys = [*("y" * 210), " ", *CARD]
    far = [*keys, *["ArrowLeft"] * 225, "Delete", *["ArrowRight"] * 225, *["Backspace"] * len(CARD)]
    assert set(range(212, 212 + len(CARD))) <= masked(events(far))


def test_a_secret_split_by_a_later_insertion_is_found_in_the_raw_run():
    keys = [*CARD, "Home", *["ArrowRight"] * 7, *"no"]
    assert set(range(1, len(CARD) + 1)) <= masked(events(keys))


def test_typed_over_a_selection_is_still_found():
    table = with_mods([*chars(CARD), ("a", CTRL), *chars("never mind")])
    assert set(range(1, len(CARD) + 1)) <= masked(table)


def test_edits_modifiers_and_releases_of_a_masked_run_are_masked():
    keys, kind = [], []
    for key in [*"ok ", "Shift", *"123-45-6789", "Backspace", *"9"]:
        keys += [key, key]
        kind += [1, 0]
    out = minimise(
        "key", events(keys, kind=kind), Rules.from_spec({"stream": "key", "level": 1})
    ).table
    said = out["key"].to_pylist()
    assert said[:6] == ["right_top"] * 2 + ["right_home"] * 2 + ["space"] * 2
    assert set(said[6:]) == {"<SSN>"}
    assert len(set(out["mono"].to_pylist()[6:])) == 1


def test_no_span_joins_two_fields():
    table = events([*"4111 1111", "Enter", *" 1111 1111"])
    assert not masked(table)


def test_origins_point_at_the_press_of_each_character():
    piece = pieces(events([*"abc", "Backspace", "d"]))[0]
    assert (piece.text, list(piece.origins)) == ("abd", [0, 1, 4])


def test_replay_is_linear_in_hostile_input():
    for make in (
        lambda n: ["a", "Backspace"] * (n // 2),
        lambda n: [*"a" * (n // 2), *["Home", "End"] * (n // 4)],
        lambda n: ["a"] * n,
        lambda n: [*"ab" * (n // 4), *["Home", "x"] * (n // 4)],
    ):
        tables = [events(make(size)) for size in (4_000, 32_000)]
        small, large = (
            least(lambda table=table: minimise("key", table, Rules(stream="key")), 3)
            for table in tables
        )
        assert linear(small, large, growth=8)


def test_rows_in_any_order_and_odd_values_do_not_fail():
    table = events(
        [None, "", "\0", "\ud800"[:0] or "x", "NoSuchKey"],
        kind=[1, 0, 1, 9, 7],
        mods=[None, 255, 0, 3, 0],
    )
    shuffled = table.take(pa.array(np.array([4, 0, 3, 1, 2])))
    for level in range(5):
        minimise("key", shuffled, Rules.from_spec({"stream": "key", "level": level}))
        minimise("key", table.slice(0, 0), Rules.from_spec({"stream": "key", "level": level}))
    assert KeyKind.PASTE == 3


def test_a_caret_moved_by_unrecorded_means_is_caught_by_the_order_of_typing():
    # a click back to the end was not recorded, so the rebuilt text is wrong
    table = events([*"4111 1111 1111 11", *["ArrowLeft"] * 9, *"11"])
    assert set(range(1, 18)) | {27, 28} <= masked(table)


def test_edits_after_a_masked_run_are_masked_and_typing_is_not():
    table = events([*"ok 123-45-6789", "ArrowLeft", "Backspace", *" so"])
    assert masked(table) >= set(range(4, 17))
    assert not masked(table) & {1, 2, 18, 19}
