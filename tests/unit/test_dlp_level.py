"""What each level leaves, and what is dropped before."""

import pyarrow as pa
import pytest

from safehold.clock import DAY_US
from safehold.dlp import Rules, minimise
from safehold.dlp.context import title_class
from safehold.dlp.keymap import ZONES
from safehold.errors import InvalidError
from safehold.telemetry.schema import WIRE
from safehold.telemetry.stream import STREAMS

T0 = 20_000 * DAY_US + 5_000_000


def make(stream, rows, **columns):
    base = {
        "person": ["p"] * rows, "device": ["d"] * rows, "session": ["s"] * rows, "seq": range(1, rows + 1),
        "t": [T0 + at * 400_000 for at in range(rows)], "mono": [at * 400_000 for at in range(rows)],
        "kind": [1] * rows, "channel": ["c"] * rows, "channel_kind": ["channel"] * rows, "msg": ["m"] * rows,
        "conversation": ["c"] * rows, "turn": [1] * rows, "role": ["user"] * rows, "meeting": ["m"] * rows,
        "speaker": ["p"] * rows, "start": [1234] * rows, "end": [2345] * rows, "name": ["n"] * rows,
        "value": [1.0] * rows, "blob": [bytes(32)] * rows,
    } | columns  # fmt: skip
    arrays = []
    for f in WIRE[stream]:
        if f.name not in base:
            arrays.append(pa.nulls(rows, f.type))
        else:
            kind = pa.int64() if pa.types.is_temporal(f.type) else f.type
            arrays.append(pa.array(list(base[f.name]), kind).cast(f.type))
    return pa.Table.from_arrays(arrays, schema=WIRE[stream])


def run(stream, table, level=3, **more):
    extra = {k: more.pop(k) for k in ("focus", "consented", "pointer") if k in more}
    return minimise(
        stream, table, Rules.from_spec({"stream": stream, "level": level} | more), **extra
    )


def ints(table, name):
    return table[name].cast(pa.int64()).to_pylist()


KEYS = make(
    "key",
    6,
    key=["s", "s", "E", "Backspace", "7", "?"],
    code=["KeyS"] * 6,
    kind=[1, 0, 1, 1, 1, 1],
    mods=[0] * 6,
)


def test_keys_at_l3_are_classes_in_order_without_time():
    out = run("key", KEYS).table
    assert out["key"].to_pylist() == ["letter", "letter", "backspace", "digit", "punct"]
    assert set(out["kind"].to_pylist()) == {1}
    for name in ("code", "commit", "mods", "repeat"):
        assert out[name].null_count == 5
    assert set(ints(out, "t")) == {20_000 * DAY_US}
    assert set(ints(out, "mono")) == {0}
    assert set(out["minim"].to_pylist()) == {3}


def test_keys_at_l2_keep_four_buckets_of_gaps():
    table = make("key", 5, key=list("abcde"), mono=[0, 200_000, 1_100_000, 3_000_000, 9_000_000])
    out = run("key", table, 2).table
    assert ints(out, "mono") == [0, 125_000, 750_000, 2_750_000, 7_750_000]
    assert set(ints(out, "t")) == {20_000 * DAY_US}
    assert set(out["key"].to_pylist()) == {"letter"}


def test_keys_at_l1_are_zones_to_a_tenth_of_a_second():
    out = run("key", make("key", 2, key=["a", "K"], mono=[123_456, 987_654], mods=[0, 1]), 1).table
    assert out["key"].to_pylist() == ["left_home", "right_home"]
    assert ints(out, "mono") == [100_000, 900_000]
    assert out["code"].null_count == 2
    assert out["mods"].null_count == 2
    assert len(ZONES) == 10


def test_keys_at_l0_are_raw_but_masked_and_at_l4_gone():
    table = make("key", 12, key=list("123-45-6789x"), mods=[0] * 12)
    assert "<SSN>" not in run("key", make("key", 2, key=list("ab")), 0).table["key"].to_pylist()
    got = (
        run("key", make("key", 12, key=[*list("a123-45-6789"[1:]), "Enter"]), 0)
        .table["key"]
        .to_pylist()
    )
    assert got == ["<SSN>"] * 11 + ["Enter"]
    gone = run("key", table, 4)
    assert gone.table.num_rows == 0
    assert gone.dropped == {"aggregate_only": 12}


POINTER = make(
    "pointer", 8, kind=[0, 0, 1, 2, 3, 4, 4, 0], x=[-70, 65, 130, 130, 130, 5, 5, 7], y=[1] * 8,
    target_role=["t", "t", "t", "t", "button|ok", "t", "t", "t"], button=[0] * 8, buttons=[1] * 8,
    mono=[0, 100, 200, 300, 400, 2_500_000, 2_600_000, 5_000_000],
)  # fmt: skip


def test_pointer_at_l2_is_clicks_and_the_end_of_each_second_on_a_grid():
    out = run("pointer", POINTER, 2).table
    assert out["kind"].to_pylist() == [0, 3, 4, 0]
    assert out["x"].to_pylist() == [64, 128, 0, 0]
    assert ints(out, "mono") == [0, 0, 2_000_000, 5_000_000]
    assert out["target_role"].to_pylist() == [None, "button|ok", None, None]
    left = run("pointer", POINTER.slice(0, 1), 2).table
    assert left["x"].to_pylist() == [-128]  # rounded down, not towards zero


def test_pointer_at_l3_is_actions_without_place_or_time():
    out = run("pointer", POINTER, 3).table
    assert out["kind"].to_pylist() == [3, 4]
    assert out["target_role"].to_pylist() == ["button|ok", None]
    for name in ("x", "y", "display", "button", "buttons", "wheel_dx", "wheel_dy"):
        assert out[name].null_count == 2
    assert set(ints(out, "mono")) == {0}


def test_presses_stand_for_clicks_where_none_are_reported():
    table = make("pointer", 6, kind=[1, 2, 1, 5, 5, 2], x=[1] * 6, y=[1] * 6)
    assert run("pointer", table, 3).table["kind"].to_pylist() == [3, 5]


def test_password_fields_are_dropped_whatever_the_rules_say():
    table = make("key", 3, key=list("abc"), field_kind=["password", "text", None])
    result = run("key", table)
    assert result.dropped["password_field"] == 1
    assert 1 not in result.table["seq"].to_pylist()


def test_pastes_are_dropped_when_the_charter_says_clipboard():
    result = run(
        "key", make("key", 2, kind=[3, 1], key=[None, "a"], commit=["x", None]), drop=["clipboard"]
    )
    assert result.dropped == {"clipboard": 1}


def test_only_listed_applications_are_recorded():
    table = make("key", 3, key=list("abc"), app=["Editor", "games", None])
    assert run("key", table, apps=["editor"]).table["seq"].to_pylist() == [1]


@pytest.mark.parametrize(
    "window",
    [
        {"app": ["KeePassXC.exe"]}, {"app_name": ["1Password"]}, {"url_host": ["online-banking.example"]},
        {"url_host": ["www.paypal.com"]}, {"title": ["Patient portal - Clinic"]}, {"title": ["Works council election"]},
        {"title": ["Inbox - Gmail"]}, {"title": ["New tab - InPrivate"]}, {"title": ["Reset password - Acme"]},
    ],
)  # fmt: skip
def test_nothing_is_recorded_in_a_denied_window_and_some_seconds_after(window):
    column, value = next(iter(window.items()))
    more = {column: [value[0], "notes"], "kind": [0, 0], "mono": [1_000_000, 3_000_000]}
    focus = make("focus", 2, **more)
    table = make(
        "key", 5, key=list("abcde"), mono=[500_000, 1_500_000, 2_900_000, 7_000_000, 8_500_000]
    )
    result = run("key", table, focus=focus, after_s=5)
    assert result.table["seq"].to_pylist() == [1, 5]
    assert result.dropped["denied_context"] == 3
    other = make("key", 5, key=list("abcde"), session=["x"] * 5, mono=[1_500_000] * 5)
    assert run("key", other, focus=focus).table.num_rows == 5
    kept = run("focus", focus, after_s=1).table
    assert kept["seq"].to_pylist() == [2]


def test_a_denied_application_named_by_the_event_itself_is_enough():
    table = make(
        "pointer",
        3,
        kind=[3] * 3,
        app=["bitwarden", "editor", "editor"],
        mono=[0, 4_000_000, 9_000_000],
    )
    assert run("pointer", table).table["seq"].to_pylist() == [3]


def test_the_context_number_denies_as_well_as_the_time():
    focus = make("focus", 1, kind=[0], ctx=[7], title=["Online banking"], mono=[90_000_000])
    table = make("key", 2, key=list("ab"), ctx=[7, 8])
    assert run("key", table, focus=focus).table["ctx"].to_pylist() == [8]


def test_similar_hosts_and_titles_are_not_denied():
    focus = make(
        "focus",
        2,
        kind=[0, 0],
        url_host=["riverbank.example", "unionize.example"],
        title=["River bank report", "Mailbox"],
    )
    assert run("key", make("key", 2, key=list("ab")), focus=focus).table.num_rows == 2


PEOPLE = frozenset({"p", "q"})


def test_a_turn_needs_the_consent_of_everybody_in_it():
    table = make("chat", 4, text=["a"] * 4, participants=[["p"], ["p", "q"], ["p", "z"], []])
    result = run("chat", table, consented=PEOPLE)
    assert result.table["seq"].to_pylist() == [1, 2, 4]
    assert result.dropped == {"counterpart": 1}
    assert run("chat", table, consented=frozenset({"q"})).table.num_rows == 0


def test_direct_and_private_channels_are_dropped_unless_listed():
    table = make(
        "chat",
        4,
        text=["a"] * 4,
        channel_kind=["dm", "private", "channel", "odd"],
        participants=[["p"]] * 4,
    )
    assert run("chat", table, consented=PEOPLE).table["seq"].to_pylist() == [3]
    assert run("chat", table, consented=PEOPLE, channels=["direct", "public"]).table[
        "seq"
    ].to_pylist() == [1, 3]
    assert run("chat", table, consented=PEOPLE, channels=[]).table.num_rows == 0


def test_an_unknown_list_of_people_hides_nobody_in_a_private_channel():
    table = make("chat", 2, text=["a"] * 2, channel_kind=["dm", "channel"])
    result = run("chat", table, consented=PEOPLE, channels=["dm", "public"])
    assert result.table["seq"].to_pylist() == [2]
    assert result.dropped == {"participants_unknown": 1}


def test_prompts_are_masked_and_lose_their_time():
    out = run("ai", make("ai", 2, text=["mail ann@example.org", None])).table
    assert out["text"].to_pylist() == ["mail [EMAIL]", None]
    assert out["sens"].to_pylist() == [1, 0]
    assert set(ints(out, "t")) == {20_000 * DAY_US}


def test_a_title_becomes_its_class():
    out = run(
        "focus",
        make(
            "focus", 1, kind=[0], title=["Budget 4111 1111 1111 1111 - Excel"], app_name=["Excel"]
        ),
    )
    assert out.table["title"].to_pylist() == ["spreadsheet"]
    assert out.masked == {"CARD": 1}
    gone = run("focus", make("focus", 1, kind=[0], title=["x"]), titles="dropped").table
    assert gone["title"].null_count == 1
    assert title_class("Ticket 12 - Ticketing") == "ticketing"
    assert title_class(None) == "other"


def test_names_that_carry_a_secret_are_masked():
    table = make(
        "pointer",
        1,
        kind=[3],
        target_role=["button|send to ann@example.org"],
        app=["notes_ann@example.org"],
    )
    result = run("pointer", table)
    assert "ann" not in str(result.table.to_pylist())
    assert result.masked == {"NAME": 2}
    assert result.table["sens"].to_pylist() == [1]


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("level", range(5))
def test_every_stream_at_every_level_keeps_its_schema(stream, level):
    for rows in (0, 3):
        result = run(stream, make(stream, rows), level, consented=PEOPLE)
        assert result.table.schema.names == [*WIRE[stream].names, "sens", "minim"]
        assert [f.type for f in result.table.schema][:-2] == [f.type for f in WIRE[stream]]
        assert result.table.num_rows + sum(result.dropped.values()) == rows


def test_rules_survive_json_and_name_their_version():
    rules = Rules.from_spec(
        {"stream": "key", "level": "L2", "apps": ["Editor"], "drop": ["clipboard"], "groups": []}
    )
    assert Rules.from_spec(rules.to_spec()) == rules
    assert len(rules.version) == 64
    assert rules.version != Rules(stream="key").version
    for bad in (
        {"version": "0" * 64},
        {"levle": 3},
        {"level": 9},
        {"groups": ["x"]},
        {"stream": "y"},
        {"after_s": -1},
    ):
        with pytest.raises(InvalidError):
            Rules.from_spec(rules.to_spec() | bad)


def test_rules_of_another_stream_and_foreign_tables_are_refused():
    with pytest.raises(InvalidError):
        minimise("key", KEYS, Rules(stream="chat"))
    with pytest.raises(InvalidError):
        minimise("key", POINTER, Rules(stream="key"))
