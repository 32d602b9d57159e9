"""The mapping language, and the rules of the shipped mappings on small made-up files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.ingest_job import DAY_US, NOW_US, as_csv, run_bytes

from safehold.errors import InvalidError
from safehold.ingest.convert import Converted, convert
from safehold.ingest.keycode import code_name, key_name
from safehold.ingest.mapping import parse_mapping
from safehold.ingest.session import Sessions
from safehold.ingest.shelf import (
    SHIPPED,
    describe,
    guess_mapping,
    load_mapping,
    wire_mapping,
)
from safehold.telemetry.schema import WIRE
from safehold.telemetry.stream import KeyKind, PointerKind

import numpy as np  # isort: skip

OWN = """\
mapping: safehold.mapping/v1
name: own
stream: pointer
columns: {who: text, when: integer, what: text, px: integer, py: integer, note: text}
ignore: [note]
person: {from: who, prefix: "own-"}
device: {constant: mouse}
session: {from: who}
seq: count
time: {from: when, unit: ms}
fields:
  pointer:
    kind: {from: what, translate: {down: PRESS, up: RELEASE, click: CLICK}}
    x: {from: px}
    y: {from: py, scale: 2}
    target_role: {from: [what, who], with: "|", case: lower}
"""


def apply(name: str, columns: dict[str, Any]) -> Converted:
    mapping = parse_mapping(load_mapping(name))
    kinds = {"integer": pa.int64(), "text": pa.large_string()}
    table = pa.table(
        {
            key: pa.array(columns[key], kinds[kind])
            for key, kind in mapping.columns.items()
            if key in columns
        }
    )
    return convert(
        mapping,
        table,
        np.arange(len(table)),
        sessions=Sessions(most=100, name="x"),
        now_us=NOW_US,
        name="x",
    )


def aalto(*keys: tuple[int, int, str, int]) -> Converted:
    """Rows of one sentence: press, release, key, keycode."""
    return apply(
        "aalto",
        {
            "participant": [5] * len(keys),
            "section": [7] * len(keys),
            "press_ms": [item[0] for item in keys],
            "release_ms": [item[1] for item in keys],
            "key": [item[2] for item in keys],
            "keycode": [item[3] for item in keys],
        },
    )


def downs(result: Converted) -> list[tuple[str, str, int]]:
    return [
        (row["key"], row["code"], row["mods"])
        for row in result.streams["key"].table.to_pylist()
        if row["kind"] == KeyKind.DOWN
    ]


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_mappings_parse_and_describe_themselves(name: str) -> None:
    said = describe(load_mapping(name))
    assert said["name"] == name
    assert said["streams"]
    assert said["about"] or name == "canonical"


def test_aalto_press_and_release_become_ordered_events() -> None:
    result = aalto((0, 90, "h", 72), (60, 150, "i", 73))
    table = result.streams["key"].table
    assert table.column("kind").to_pylist() == [1, 1, 0, 0]
    assert table.column("key").to_pylist() == ["h", "i", "h", "i"]
    assert table.column("seq").to_pylist() == [0, 1, 2, 3]
    assert table.column("mono").cast(pa.int64()).to_pylist() == [0, 60_000, 90_000, 150_000]
    assert set(table.column("person").to_pylist()) == {"aalto-5"}
    assert set(table.column("session").to_pylist()) == {"sentence-5/7"}


def test_aalto_times_are_anchored_at_the_day_of_the_import() -> None:
    table = aalto((0, 90, "h", 72)).streams["key"].table
    day = NOW_US - NOW_US % DAY_US
    assert table.column("t").cast(pa.int64()).to_pylist() == [day, day + 90_000]


def test_aalto_empty_key_is_rebuilt_from_keycode_and_shift() -> None:
    result = aalto(
        (0, 300, "SHIFT", 16),
        (50, 120, "", 84),  # Shift is held
        (310, 380, "", 84),  # Shift is up
        (400, 460, "", 32),
        (480, 520, "", 190),
        (540, 580, "", 49),
        (600, 640, "", 8),
        (660, 700, "x", 88),
        (720, 750, "", 0),
    )
    assert [item[0] for item in downs(result)] == [
        "Shift", "T", "t", " ", ".", "1", "Backspace", "x", "Unidentified",
    ]  # fmt: skip
    assert [item[2] for item in downs(result)][:3] == [0, 1, 0]
    assert downs(result)[1][1] == "KeyT"


def test_aalto_named_keys_and_control() -> None:
    result = aalto((0, 300, "CTRL", 17), (50, 120, "a", 65), (400, 460, "BKSP", 8))
    assert downs(result) == [
        ("Control", "ControlLeft", 0), ("a", "KeyA", 2), ("Backspace", "Backspace", 0),
    ]  # fmt: skip


def test_aalto_a_key_that_comes_up_before_it_went_down_is_refused() -> None:
    result = aalto((0, 90, "h", 72), (100, 50, "i", 73))
    (refusal,) = result.refusals
    assert (refusal.row, refusal.rule) == (1, "time.release_before_press")
    assert len(result.streams["key"].table) == 2


def test_shift_of_another_session_does_not_count() -> None:
    result = apply(
        "aalto",
        {
            "participant": [5, 6], "section": [1, 1], "press_ms": [0, 50],
            "release_ms": [900, 90], "key": ["SHIFT", ""], "keycode": [16, 84],
        },
    )  # fmt: skip
    assert downs(result)[1][0] == "t"


def test_balabit_buttons_wheel_and_disorder() -> None:
    result = apply(
        "balabit",
        {
            "user": [7] * 5,
            "session": ["1"] * 5,
            "t_ms": [0, 50, 40, 60, 70],
            "button": ["NoButton", "Left", "Right", "Scroll", "Scroll"],
            "state": ["Move", "Pressed", "Released", "Down", "Up"],
            "x": [1, 2, 3, 4, 5],
            "y": [1, 2, 3, 4, 5],
        },
    )
    table = result.streams["pointer"].table
    assert table.column("kind").to_pylist() == [0, 1, 2, 4, 4]
    assert table.column("button").to_pylist() == [None, 0, 2, None, None]
    assert table.column("wheel_dy").to_pylist() == [None, None, None, 1, -1]
    assert table.column("mono").cast(pa.int64()).to_pylist() == [0, 50_000, 50_000, 60_000, 70_000]


def test_an_unknown_word_is_refused() -> None:
    result = apply(
        "sapimouse",
        {
            "user": [7], "session": [1], "t_ms": [0], "button": ["Left"], "state": ["Teleport"],
            "x": [1], "y": [1],
        },
    )  # fmt: skip
    (refusal,) = result.refusals
    assert (refusal.field, refusal.rule) == ("kind", "mapping.translate")
    assert not result.streams


def test_miniwob_makes_two_streams_and_leaves_keypress_out() -> None:
    result = apply(
        "miniwob",
        {
            "demo": [3] * 4,
            "seq": [0, 1, 2, 3],
            "t_ms": [1, 2, 3, 4],
            "type": ["click", "keydown", "keypress", "keyup"],
            "x": [70, None, None, None],
            "y": [62, None, None, None],
            "key_code": [None, 65, 97, 65],
            "tag": ["INPUT_text", "INPUT_password", "BODY", "BODY"],
            "cls": ["hasDatepicker wide", "", "", ""],
        },
    )
    pointer, key = result.streams["pointer"].table, result.streams["key"].table
    assert pointer.column("kind").to_pylist() == [PointerKind.CLICK]
    assert pointer.column("target_role").to_pylist() == ["input_text|hasdatepicker"]
    assert key.column("code").to_pylist() == ["KeyA", "KeyA"]
    assert key.column("field_kind").to_pylist() == ["password", "text"]
    assert key.column("seq").to_pylist() == [1, 3]
    assert result.dropped == {"not_mapped": 1}


def test_irc_is_a_public_channel() -> None:
    result = apply(
        "irc",
        {"file": ["f"], "line": [4], "minute_of_day": [554], "nick": ["x"], "text": ["hello"]},
    )
    (row,) = result.streams["chat"].table.to_pylist()
    assert (row["person"], row["channel_kind"], row["msg"], row["text"]) == (
        "irc-x", "channel", "f/4", "hello",
    )  # fmt: skip


def test_a_user_brings_a_format_without_code(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(OWN)
    start = (NOW_US - 3_600_000_000) // 1000
    rows = [
        {"who": "Ann", "when": start + n, "what": what, "px": n, "py": 5, "note": "z"}
        for n, what in enumerate(["down", "up", "click"])
    ]
    cohorts = [{"prefix": "own-", "streams": ["pointer"]}]
    frames = run_bytes(as_csv(rows), "a.csv", tmp_path, mapping=load_mapping(path), cohorts=cohorts)
    assert frames.of("done")[0]["mapping"] == "own"
    assert {item["person"] for item in frames.of("batch")} == {"own-Ann"}


@pytest.mark.parametrize(
    ("old", "new", "rule", "line"),
    [
        ("seq: count", "seq: count\nsqe: count", "mapping.unknown_key", 10),
        ("stream: pointer", "stream: brain", "mapping.unknown_stream", 3),
        ("    x: {from: px}", "    z: {from: px}", "mapping.unknown_field", 14),
        ("    x: {from: px}", "    x: {from: pxx}", "mapping.columns", 14),
        ("    x: {from: px}", "    x: {form: px}", "mapping.unknown_key", 14),
        ("    x: {from: px}", "    x: px", "mapping.expression", 14),
        ("    x: {from: px}", "    x: {from: px, constant: 1}", "mapping.expression", 14),
        ("    x: {from: px}", "    x: {from: px, table: morse}", "mapping.table", 14),
        ("px: integer", "px: whole", "mapping.kind", 0),
        ("unit: ms", "unit: fortnight", "mapping.time", 10),
        ("time: {from: when, unit: ms}", "time: {unit: ms}", "mapping.time", 10),
        ("name: own", "name: own\ntolerate: 1.5", "mapping.tolerate", 3),
        ("mapping: safehold.mapping/v1", "mapping: safehold.mapping/v9", "mapping.version", 1),
        ("name: own", "name: own\nname: twice", "mapping.yaml", 0),
        ("name: own", "name: [own", "mapping.yaml", 0),
    ],
)
def test_a_wrong_mapping_is_refused_with_its_line(
    tmp_path: Path, old: str, new: str, rule: str, line: int
) -> None:
    path = tmp_path / "own.yaml"
    assert old in OWN
    path.write_text(OWN.replace(old, new, 1))
    with pytest.raises(InvalidError) as caught:
        load_mapping(path)
    assert caught.value.rule == rule
    assert "own.yaml" in caught.value.message
    if line:
        assert f"line {line}" in caught.value.message


def test_yaml_one_point_two_reads_no_as_a_word(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(OWN.replace("click: CLICK", "no: CLICK"))
    raw = load_mapping(path)
    assert raw["fields"]["pointer"]["kind"]["translate"]["no"] == "CLICK"


def test_a_mapping_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidError):
        load_mapping(tmp_path / "none.yaml")


def test_a_mapping_that_is_not_utf8_or_too_large(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidError):
        load_mapping(path)
    path.write_bytes(b"#" * 300_000)
    with pytest.raises(InvalidError) as caught:
        load_mapping(path)
    assert caught.value.rule == "mapping.size"


@pytest.mark.parametrize("stream", list(WIRE))
def test_the_wire_form_of_each_stream_is_recognised(stream: str) -> None:
    assert guess_mapping(WIRE[stream])["stream"] == stream
    assert parse_mapping(wire_mapping(stream)).wire


def test_files_with_equal_columns_are_told_apart() -> None:
    names = ["user", "session", "t_ms", "button", "state", "x", "y"]
    text, whole = pa.string(), pa.int16()
    typed = [whole, text, pa.int32(), text, text, whole, whole]
    assert guess_mapping(pa.schema(zip(names, typed, strict=True)))["name"] == "balabit"
    typed[1] = whole
    assert guess_mapping(pa.schema(zip(names, typed, strict=True)))["name"] == "sapimouse"
    plain = pa.schema([(name, pa.binary()) for name in names])
    assert guess_mapping(plain, name="data/balabit_mouse.csv")["name"] == "balabit"
    with pytest.raises(InvalidError) as caught:
        guess_mapping(plain, name="mouse.csv")
    assert caught.value.rule == "mapping.guess"


def test_a_file_nobody_knows() -> None:
    with pytest.raises(InvalidError) as caught:
        guess_mapping(pa.schema([("a", pa.int64())]), name="x.parquet")
    assert caught.value.rule == "mapping.guess"
    assert "x.parquet" in caught.value.message


@pytest.mark.parametrize(
    ("number", "shift", "key", "code"),
    [
        (65, False, "a", "KeyA"),
        (65, True, "A", "KeyA"),
        (49, True, "!", "Digit1"),
        (188, False, ",", "Comma"),
        (188, True, "<", "Comma"),
        (97, False, "1", "Numpad1"),
        (112, False, "F1", "F1"),
        (8, True, "Backspace", "Backspace"),
        (255, False, "Unidentified", ""),
    ],
)
def test_key_codes(number: int, shift: bool, key: str, code: str) -> None:
    assert (key_name(number, shift=shift), code_name(number)) == (key, code)
