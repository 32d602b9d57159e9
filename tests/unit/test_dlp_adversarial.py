# ruff: noqa: RUF001 - look-alike signs are the point
"""Typing and writing that no generator makes up: each case passed the first minimisation once."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from safehold.dlp import Rules, mask_text, minimise
from safehold.dlp.scan import find_spans
from safehold.ingest.rest import pack
from safehold.telemetry.schema import WIRE

CARD = "4111 1111 1111 1111"
SESSION = {"person": "p", "device": "d", "session": "s"}


def wire(stream: str, rows: list[dict[str, Any]]) -> pa.Table:
    arrays = []
    for item in WIRE[stream]:
        plain = pa.int64() if pa.types.is_temporal(item.type) else item.type
        arrays.append(pa.array([row.get(item.name) for row in rows], plain).cast(item.type))
    return pa.Table.from_arrays(arrays, schema=WIRE[stream])


def keys(pressed: Any, **more: Any) -> pa.Table:
    rows = []
    for at, key in enumerate(pressed):
        row = SESSION | {"seq": at, "t": at * 100_000, "mono": at * 100_000, "kind": 1, "mods": 0}
        rows.append(row | {"key": key} | {name: value[at] for name, value in more.items()})
    return wire("key", rows)


def clicks(*moments: int) -> pa.Table:
    rows = [SESSION | {"seq": at, "t": at, "mono": mono, "kind": 3}
            for at, mono in enumerate(moments)]  # fmt: skip
    return wire("pointer", rows)


def hidden(table: pa.Table, **more: Any) -> set[int]:
    out = minimise("key", table, Rules(stream="key"), **more).table
    pairs = zip(out["seq"].to_pylist(), out["key"].to_pylist(), strict=True)
    return {seq for seq, key in pairs if key.startswith("<")}


@pytest.mark.parametrize(
    "secret",
    [
        "４１１１ １１１１ １１１１ １１１１", "٤١١١ ١١١١ ١١١١ ١١١١", "4111\u00a01111\u00a01111\u00a01111",
        "4111–1111–1111–1111", "4111\u200b1111\u200b1111\u200b1111", "4\ufe0f\u20e3111111111111111",
        "4111.1111.1111.1111", "4111/1111/1111/1111", "4111  1111  1111  1111", "4111_1111_1111_1111",
        "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "41111 11111 11111 1", "4111 1111\n1111 1111",
        "123.45.6789", "１２３－４５－６７８９", "123 - 45 - 6789", "123–45–6789",
        "ann＠mail.example", "ann @ mail.example", "ann (at) mail (dot) example", "änn@mäil.example",
        "ann@münchen.example", "anne\u0301@mail.example", "akia2osfodnn7example", "AKIAPZJKAAEYLCQBRVSY", "nf-1234567",
        ("ghp_" + "aB3d" * 9).upper(), "DE89.3704.0044.0532.0130.00",
        "https://x.example/reset/8f14e45fceea167a5a36dedd4bea2543",
        "four one one one, one one one one, one one one one, one one one one",
    ],
)  # fmt: skip
def test_a_secret_in_another_spelling_leaves_nothing(secret: str) -> None:
    for around in ("{}", "take {} then", "é {} é", "x\u200b {} y"):
        text = around.format(secret)
        spans = find_spans(pa.array([None, text, "ok"], pa.large_string()))
        assert set(spans.row.tolist()) == {1}
        covered = set()
        for start, end, low, high in zip(
            spans.start.tolist(), spans.end.tolist(), spans.byte_start.tolist(),
            spans.byte_end.tolist(), strict=True,
        ):  # fmt: skip
            covered |= set(range(start, end))
            assert text.encode()[low:high].decode() == text[start:end]
        first = text.index(secret)
        assert {at for at in range(first, first + len(secret)) if text[at].isalnum()} <= covered
        left = mask_text(pa.array([text])).text[0].as_py()
        assert left.startswith(around.partition("{")[0])
        assert left.endswith(around.partition("}")[2])


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("passwort: Sommer2024", "Sommer2024"), ("mot de passe : Soleil2024!", "Soleil2024"),
        ("contraseña: Verano2024", "Verano2024"), ("the password for the vpn is Sommer2024", "Sommer2024"),
        ("card4111111111111111x", "4111111111111111"),
    ],
)  # fmt: skip
def test_a_secret_told_in_other_words_is_masked(text: str, secret: str) -> None:
    assert secret not in mask_text(pa.array([text])).text[0].as_py()


@pytest.mark.parametrize(
    "text",
    [
        "one two three go", "look at (at) it", "fixed in 5.123.4567", "ids 12 34 56 78",
        "the password page is in room A", "a1b2c3d44111111111111112e5f6", "2006 and 2007 - 2008",
        "meet @ noon. ok", "naïve café – très bien", "日本語のテキスト", "see https://x.example/a/reset", "asiapacificregion",
    ],
)  # fmt: skip
def test_what_only_looks_alike_is_left(text: str) -> None:
    assert mask_text(pa.array([text])).text[0].as_py() == text


def test_a_click_that_only_moves_the_caret_hides_nothing() -> None:
    table = keys(CARD)
    assert hidden(table, pointer=clicks(850_000)) == set(range(19))
    assert hidden(table, pointer=clicks(250_000, 850_000, 1_450_000)) == set(range(19))
    typo = [*"4111 1112", "Backspace", *"1 1111 1111"]
    assert hidden(keys(typo), pointer=clicks(1_250_000)) == set(range(len(typo)))
    long = ["x"] * 400 + [" "] + list(CARD)
    assert hidden(keys(long), pointer=clicks(40_950_000)) == set(range(401, 420))


def test_a_click_in_another_window_joins_nothing() -> None:
    apps = ["a"] * 9 + ["b"] * 10
    assert not hidden(keys(CARD, app=apps), pointer=clicks(850_000))


def test_a_cue_that_is_dropped_itself_still_tells_the_secret() -> None:
    text = "log in as dkmret_7698"
    focus = wire("focus", [
        SESSION | {"seq": 0, "t": 0, "mono": 0, "kind": 0, "app": "keepassxc"},
        SESSION | {"seq": 1, "t": 0, "mono": 0, "kind": 0, "app": "assistant"},
    ])  # fmt: skip
    table = keys(text, app=["assistant"] * len(text))
    rules = Rules(stream="key", after_s=1)
    out = minimise("key", table, rules, focus=focus)
    assert out.dropped == {"denied_context": 11}  # "log in as d", within a second
    assert out.table["key"].to_pylist() == ["<USERNAME>"] * 10
    assert out.masked == {"USERNAME": 10}


@pytest.mark.parametrize("stream", ["chat", "speech", "metric", "key", "pointer", "focus", "ai"])
def test_no_column_that_is_kept_as_it_is_holds_a_secret(stream: str) -> None:
    """Every column of text, also those that nobody would look for a secret in."""
    secret = "ann.lee@mail.example"
    closed = {"person", "device", "session", "channel", "msg", "reply_to", "edit_of", "conversation",
              "meeting", "speaker", "channel_kind", "role", "field_kind"}  # fmt: skip
    row: dict[str, Any] = dict.fromkeys(closed, "p") | {
        "seq": 1, "t": 0, "mono": 0, "kind": 3 if stream == "pointer" else 1, "turn": 1, "value": 1.0,
        "channel_kind": "channel", "field_kind": "text", "start": 0, "end": 0,
    }  # fmt: skip
    for item in WIRE[stream]:
        if pa.types.is_string(item.type) or pa.types.is_large_string(item.type):
            row.setdefault(item.name, f"x {secret}")
    for level in (1, 2, 3):
        rules = Rules.from_spec({"stream": stream, "level": level})
        out = minimise(stream, wire(stream, [row]), rules, consented=frozenset("p")).table
        assert out.num_rows == 1
        assert secret.encode() not in bytes(pack(out))


@pytest.mark.parametrize("kind", ["password", "Password", "PASSWORD", "pin", "secret", "", "text "])
def test_a_field_of_an_unknown_kind_is_a_password_field(kind: str) -> None:
    out = minimise("key", keys("abc", field_kind=[kind] * 3), Rules(stream="key"))
    assert out.table.num_rows == 0
    assert out.dropped == {"password_field": 3}


@pytest.mark.parametrize("kind", ["text", "search", "code", None])
def test_a_field_that_is_known_to_be_open_is_recorded(kind: str | None) -> None:
    assert (
        minimise("key", keys("abc", field_kind=[kind] * 3), Rules(stream="key")).table.num_rows == 3
    )
