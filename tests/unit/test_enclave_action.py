"""Events become actions."""

import numpy as np
import pyarrow as pa
import pytest

from safehold.enclave import feature
from safehold.enclave.action import SCHEMA, order_actions, read_events
from safehold.enclave.vocabulary import MINIWOB, OTHER, WORKFORCE, Vocabulary
from safehold.errors import InvalidError
from safehold.sandbox.channel import pack_parts
from safehold.workforce.grammar import TASKS

D16 = pa.dictionary(pa.int16(), pa.string())
D32 = pa.dictionary(pa.int32(), pa.string())


def rows(ranks, *, app="editor", session=1, **columns):
    count = len(ranks)
    return pa.table(
        {
            "device": pa.array([b"d" * 8] * count, pa.binary(8)),
            "session": pa.array([session.to_bytes(8, "big")] * count, pa.binary(8)),
            "mono": pa.array(ranks, pa.duration("us")),
            "app": pa.array([app] * count, pa.string()).cast(D16),
            **columns,
        }
    )


def keys(ranks, names, kind=None, **more):
    kinds = pa.array(kind or [1] * len(ranks), pa.uint8())
    return rows(ranks, kind=kinds, key=pa.array(names, pa.string()).cast(D32), **more)


def clicks(ranks, roles, kind=3, **more):
    kinds = pa.array([kind] * len(ranks), pa.uint8())
    return rows(ranks, kind=kinds, target_role=pa.array(roles, pa.string()).cast(D16), **more)


def words(parts, *, fold=True, most=100):
    events = [read_events(s, t, WORKFORCE, window=w) for s, t, w in parts]
    actions = order_actions(events, fold=fold, most=most)
    return [WORKFORCE.tokens[code] for code in actions.token], actions


def test_streams_of_a_session_merge_by_rank():
    found, actions = words(
        [
            ("key", keys([2, 3, 5], ["letter", "space", "enter"]), 1),
            ("pointer", clicks([1, 4], ["menu|file", "button|save"]), 1),
            ("chat", rows([6], platform=pa.array(["chat"])), 1),
            ("ai", rows([7, 8], role=pa.array(["user", "assistant"])), 1),
        ]
    )
    assert found == [
        "CLICK|menu|file", "TYPE", "CLICK|button|save", "KEY|ENTER", "SEND|chat", "ASK|ai",
    ]  # fmt: skip
    assert actions.start.tolist() == [True, False, False, False, False, False]


def test_a_correction_belongs_to_the_typing_around_it():
    table = keys(
        range(1, 8), ["letter", "backspace", "arrow", "digit", "tab", "backspace", "backspace"]
    )
    assert words([("key", table, 1)])[0] == ["TYPE", "KEY|TAB", "KEY|BKSP"]
    kept = ["TYPE", "KEY|BKSP", "KEY|OTHER", "TYPE", "KEY|TAB", "KEY|BKSP"]
    assert words([("key", table, 1)], fold=False)[0] == kept


def test_typing_does_not_run_across_a_click_a_session_or_an_application():
    parts = [
        ("key", keys([1, 3], ["letter", "letter"]), 1),
        ("pointer", clicks([2], ["button|ok"]), 1),
        ("key", keys([4], ["letter"], app="mail"), 1),
        ("key", keys([1], ["letter"], session=2), 1),
    ]
    found, actions = words(parts)
    assert found == ["TYPE", "CLICK|button|ok", "TYPE", "TYPE", "TYPE"]
    assert actions.start.tolist() == [True, False, False, False, True]


def test_masked_pasted_and_released_keys():
    table = keys([1, 2, 3, 4], ["<CARD>", "letter", None, "shift"], kind=[1, 0, 3, 1])
    assert words([("key", table, 1)])[0] == ["TYPE"]


def test_releases_are_clicks_only_where_there_are_no_clicks():
    assert words([("pointer", clicks([1, 2], ["button|ok", None], kind=2), 1)])[0] == [
        "CLICK|button|ok", OTHER,
    ]  # fmt: skip
    both = pa.concat_tables([clicks([1], ["button|ok"], kind=2), clicks([2], ["button|ok"])])
    assert words([("pointer", both, 1)])[0] == ["CLICK|button|ok"]


def test_scrolling_counts_once_and_moves_never():
    table = pa.concat_tables([clicks([1, 2], [None] * 2, kind=4), clicks([3], [None], kind=0)])
    assert words([("pointer", table, 1)])[0] == ["SCROLL"]


def test_a_session_over_midnight_stays_whole():
    found, actions = words(
        [("key", keys([2], ["tab"]), 6), ("key", keys([1], ["enter"]), 5),
         ("key", keys([1], ["enter"], session=2), 6)]
    )  # fmt: skip
    assert found == ["KEY|ENTER", "KEY|TAB", "KEY|ENTER"]
    assert actions.start.tolist() == [True, False, True]


def test_words_outside_the_public_list_are_other():
    assert MINIWOB.tokens[MINIWOB.token("CLICK|button|maria-lopez")] == "CLICK|button"
    assert WORKFORCE.tokens[WORKFORCE.token("CLICK|maria")] == OTHER
    assert WORKFORCE.apps[WORKFORCE.app("maria.exe")] == OTHER


def test_the_shipped_list_covers_the_workforce():
    used = {f"CLICK|{s.name}" for t in TASKS.values() for s in t.steps if s.what == "click"}
    assert used <= set(WORKFORCE.tokens)
    assert {task.app for task in TASKS.values()} <= set(WORKFORCE.apps)


@pytest.mark.parametrize(
    "raw",
    [
        {"apps": ["a"]},
        {"vocabulary": [], "apps": ["a"]},
        {"vocabulary": ["A", "A"], "apps": ["a"]},
        {"vocabulary": ["x" * 65], "apps": ["a"]},
        {"vocabulary": ["\u00e9"], "apps": ["a"]},
        {"vocabulary": [f"T{i}" for i in range(1025)], "apps": ["a"]},
        {"vocabulary": "TYPE", "apps": ["a"]},
    ],
)
def test_a_list_that_is_no_public_vocabulary_is_refused(raw):
    with pytest.raises(InvalidError) as caught:
        Vocabulary.from_spec(raw)
    assert caught.value.rule == "enclave.vocabulary"


def run_feature(parts, **more):
    frames = []
    fd = pack_parts(parts)
    feature.main({**WORKFORCE.to_spec(), **more}, [fd], lambda h, b=b"": frames.append((h, b)))
    return frames


def test_the_recipe_sends_one_table_per_person():
    frames = run_feature(
        [
            ({"person": "b", "stream": "key", "window": 1}, keys([1, 2], ["letter", "tab"])),
            ({"person": "a", "stream": "pointer", "window": 1}, clicks([1], ["button|ok"])),
            ({"person": "b", "stream": "pointer", "window": 2}, clicks([3], ["secret-name"])),
            ({"person": "c", "stream": "key", "window": 1}, keys([1], ["shift"])),
        ]
    )
    assert [header for header, _ in frames] == [
        {"type": "derived", "person": "a", "rows": 1},
        {"type": "derived", "person": "b", "rows": 3},
    ]
    table = pa.ipc.open_stream(frames[1][1]).read_all()
    assert table.schema.equals(SCHEMA)
    assert table["token"].to_pylist() == ["TYPE", "KEY|TAB", OTHER]
    assert b"secret-name" not in frames[1][1]
    assert table["token"].chunk(0).dictionary.to_pylist() == list(WORKFORCE.tokens)


@pytest.mark.parametrize("more", [{"seed": 1}, {"max_actions": 0}, {"corrections": "x"}])
def test_the_recipe_refuses_what_it_does_not_know(more):
    with pytest.raises(InvalidError):
        run_feature([], **more)


def test_the_recipe_refuses_a_foreign_stream():
    part = ({"person": "a", "stream": "screen", "window": 1}, keys([1], ["tab"]))
    with pytest.raises(InvalidError):
        run_feature([part])


def test_numbers_of_sliced_columns_are_right():
    table = pa.concat_tables([keys([1], ["tab"], session=7), keys([2], ["tab"], session=8)])
    events = read_events("key", table.slice(1), WORKFORCE, window=1)
    assert events.session.tolist() == np.frombuffer((8).to_bytes(8, "big"), np.uint64).tolist()
