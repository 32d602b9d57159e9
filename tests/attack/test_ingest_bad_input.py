"""Every kind of bad input is refused with file, row and rule, and without its value."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.ingest_job import (
    DAY_US,
    NOW_US,
    Frames,
    as_csv,
    as_jsonl,
    as_parquet,
    chat_row,
    key_rows,
    pointer_rows,
    run_bytes,
    wire_table,
)

from safehold.errors import InvalidError

CANARY = "Zx9-canary-must-not-show"


def refuse(data: bytes, name: str, tmp_path: Path, **more: Any) -> InvalidError:
    with pytest.raises(InvalidError) as caught:
        run_bytes(data, name, tmp_path, **more)
    error = caught.value
    assert name in error.message
    assert CANARY not in str(error.payload())
    assert error.exit_code == 2
    return error


def parquet(stream: str, rows: list[dict[str, Any]]) -> bytes:
    return as_parquet(wire_table(stream, rows))


def test_truncated_parquet(tmp_path: Path) -> None:
    data = parquet("key", key_rows("hello"))
    for length in (5, 12, len(data) // 2, len(data) - 1):
        assert refuse(data[:length], "a.parquet", tmp_path).rule == "source.parquet"


def test_parquet_with_damaged_pages(tmp_path: Path) -> None:
    data = bytearray(parquet("key", key_rows("hello world " * 200)))
    for at in range(30, 400):
        data[at] = 0xFF
    error = refuse(bytes(data), "a.parquet", tmp_path)
    assert error.rule in {"source.parquet", "source.row_count"}


def test_not_parquet(tmp_path: Path) -> None:
    assert refuse(CANARY.encode() * 9, "a.parquet", tmp_path).rule == "source.parquet"


def test_unknown_format(tmp_path: Path) -> None:
    assert refuse(b"\x7fELF" * 9, "a.bin", tmp_path).rule == "source.format"


@pytest.mark.parametrize("name", ["a.parquet", "a.jsonl", "a.csv", "a"])
def test_empty_file(tmp_path: Path, name: str) -> None:
    assert refuse(b"", name, tmp_path).rule == "source.empty"


def test_wrong_column_type(tmp_path: Path) -> None:
    table = wire_table("key", key_rows("ab"))
    index = table.schema.get_field_index("seq")
    table = table.set_column(index, "seq", pa.array([1.5] * len(table)))
    error = refuse(as_parquet(table), "a.parquet", tmp_path)
    assert error.rule == "source.type"
    assert "seq" in error.message


def test_wrong_type_in_a_line(tmp_path: Path) -> None:
    rows = key_rows("ab")
    rows[2]["seq"] = CANARY
    error = refuse(as_jsonl(rows), "a.jsonl", tmp_path)
    assert error.rule == "source.type"
    assert "row 2" in error.message


def test_wrong_type_in_a_cell(tmp_path: Path) -> None:
    rows = key_rows("ab")
    data = as_csv(rows).replace(b"\n", b"\n", 1).split(b"\n")
    data[2] = data[2].replace(b",1,", f",{CANARY},".encode(), 1)
    error = refuse(b"\n".join(data), "a.csv", tmp_path)
    assert error.rule == "source.type"
    assert "row 1" in error.message


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("t", NOW_US + 301_000_000, "time.future"),
        ("t", -1, "time.before_1970"),
        ("mono", -5, "time.negative"),
        ("kind", 9, "wire.vocabulary"),
        ("field_kind", CANARY, "wire.vocabulary"),
        ("person", "", "wire.missing"),
        ("person", None, "wire.missing"),
        ("seq", None, "wire.missing"),
        ("t", None, "wire.missing"),
        ("seq", 2**32, "wire.range"),
        ("mods", 256, "wire.range"),
        ("key", "k" * 600, "wire.word_size"),
        ("key", "a\0b", "source.nul"),
    ],
)
def test_bad_value_names_row_field_and_rule(
    tmp_path: Path, field: str, value: Any, rule: str
) -> None:
    rows = key_rows("abcdef")
    rows[3][field] = value
    error = refuse(as_jsonl(rows), "a.jsonl", tmp_path)
    assert error.rule == rule
    assert f"row 3, field {field}" in error.message


def test_a_time_just_inside_the_skew_is_taken(tmp_path: Path) -> None:
    rows = key_rows("a")
    for row in rows:
        row["t"] = NOW_US + 299_000_000
    assert run_bytes(as_jsonl(rows), "a.jsonl", tmp_path).of("done")


def test_duplicate_sequence_number(tmp_path: Path) -> None:
    rows = key_rows("abc")
    rows[4]["seq"] = 3
    error = refuse(parquet("key", rows), "a.parquet", tmp_path)
    assert error.rule == "seq.duplicate"
    assert "row 4, field seq" in error.message


def test_decreasing_sequence_number(tmp_path: Path) -> None:
    rows = [row for row in key_rows("abc") if row["seq"] != 1]
    rows[4]["seq"] = 1
    assert refuse(parquet("key", rows), "a.parquet", tmp_path).rule == "seq.decreasing"


def test_duplicate_across_chunks(tmp_path: Path) -> None:
    rows = pointer_rows(50)
    rows[40]["seq"] = 7
    error = refuse(parquet("pointer", rows), "a.parquet", tmp_path, limits={"chunk_rows": 10})
    assert error.rule in {"seq.duplicate", "seq.decreasing"}
    assert "row 40" in error.message


def test_monotonic_time_that_falls(tmp_path: Path) -> None:
    rows = pointer_rows(9)
    rows[5]["mono"] = 1
    assert refuse(parquet("pointer", rows), "a.parquet", tmp_path).rule == "time.backwards"


def test_unknown_stream(tmp_path: Path) -> None:
    rows = [{"stream": "key", **row} for row in key_rows("ab")]
    rows[2]["stream"] = CANARY
    error = refuse(as_jsonl(rows), "a.jsonl", tmp_path)
    assert error.rule == "source.unknown_stream"
    assert "row 2, field stream" in error.message


def test_unknown_stream_in_a_mapping(tmp_path: Path) -> None:
    mapping = {"mapping": "safehold.mapping/v1", "name": "x", "stream": "brain", "fields": "wire"}
    with pytest.raises(InvalidError) as caught:
        run_bytes(as_jsonl(key_rows("a")), "a.jsonl", tmp_path, mapping=mapping)
    assert caught.value.rule == "mapping.unknown_stream"


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "csv"])
def test_unknown_column(tmp_path: Path, kind: str) -> None:
    rows = [{**row, CANARY: 1} for row in key_rows("ab")]
    table = wire_table("key", rows).append_column(CANARY, pa.array([1] * 4))
    data = {"parquet": as_parquet(table), "jsonl": as_jsonl(rows), "csv": as_csv(rows)}[kind]
    mapping = {"mapping": "safehold.mapping/v1", "name": "x", "stream": "key", "fields": "wire"}
    error = refuse(data, f"a.{kind}", tmp_path, mapping=mapping)
    assert error.rule == "source.unknown_column"


def test_unknown_column_in_a_later_line(tmp_path: Path) -> None:
    rows = key_rows("abc")
    rows[3][CANARY] = 1
    error = refuse(as_jsonl(rows), "a.jsonl", tmp_path)
    assert error.rule == "source.unknown_column"
    assert "row 3" in error.message


def test_unknown_stream_in_a_row_that_is_refused_for_something_else(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"stream": "key", **row} for row in key_rows("abc")]
    rows[3]["stream"] = CANARY
    del rows[3]["device"]
    error = refuse(as_jsonl(rows), "a.jsonl", tmp_path)
    assert error.rule == "wire.missing"
    assert "row 3" in error.message


def test_field_of_another_stream(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"stream": "key", **row} for row in key_rows("ab")]
    rows[1]["title"] = "a window"
    error = refuse(as_jsonl(rows), "a.jsonl", tmp_path)
    assert error.rule == "wire.foreign_field"
    assert "row 1, field title" in error.message


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_text_that_is_not_utf8(tmp_path: Path, kind: str) -> None:
    rows = [chat_row(number, text="plain") for number in range(4)]
    rows[2]["text"] = "@@bad@@"
    if kind == "parquet":
        table = wire_table("chat", rows)
        raw = pa.array([b"plain", b"plain", b"\xff\xfe", b"plain"], pa.large_binary())
        index = table.schema.get_field_index("text")
        data = as_parquet(table.set_column(index, "text", raw.view(pa.large_string())))
    else:
        whole = as_jsonl(rows) if kind == "jsonl" else as_csv(rows)
        data = whole.replace(b"@@bad@@", b"\xff\xfe")
    error = refuse(data, f"a.{kind}", tmp_path)
    assert error.rule == "source.utf8"
    assert "row 2" in error.message


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_nul_in_a_text(tmp_path: Path, kind: str) -> None:
    rows = [chat_row(number) for number in range(4)]
    rows[1]["text"] = "a\0b"
    data = {
        "jsonl": as_jsonl(rows), "csv": as_csv(rows), "parquet": parquet("chat", rows)
    }[kind]  # fmt: skip
    error = refuse(data, f"a.{kind}", tmp_path)
    assert error.rule == "source.nul"
    assert "row 1, field text" in error.message


def test_ragged_csv(tmp_path: Path) -> None:
    lines = as_csv(key_rows("abc")).split(b"\n")
    lines[3] += b",1"
    lines[5] = b"1,2"
    error = refuse(b"\n".join(lines), "a.csv", tmp_path)
    assert error.rule == "source.ragged"
    assert "row 2" in error.message
    frames = run_bytes(b"\n".join(lines), "a.csv", tmp_path, tolerate=0.5)
    assert [item["row"] for item in frames.of("refused")] == [2, 4]
    tally = frames.tally()
    assert tally["taken"]["key"] + sum(tally["dropped"].values()) == 4


def test_rows_after_a_ragged_one_keep_their_numbers(tmp_path: Path) -> None:
    rows = key_rows("abc")
    rows[5]["kind"] = 7
    lines = as_csv(rows).split(b"\n")
    lines[2] += b",1"
    frames = run_bytes(b"\n".join(lines), "a.csv", tmp_path, tolerate=0.9)
    assert sorted(item["row"] for item in frames.of("refused")) == [1, 5]


def test_open_quote(tmp_path: Path) -> None:
    data = as_csv(key_rows("abc")) + b'"ann,never closed\n' + b"x" * 5_000_000
    assert refuse(data, "a.csv", tmp_path).rule in {"source.csv", "source.ragged"}


def test_million_columns(tmp_path: Path) -> None:
    names = ",".join(f"c{number}" for number in range(1_000_000)).encode()
    assert refuse(names[:3_000_000] + b"\n1", "a.csv", tmp_path).rule == "source.columns"
    line = b"{" + b",".join(b'"c%d":1' % number for number in range(5_000)) + b"}\n"
    assert refuse(line, "a.jsonl", tmp_path).rule == "source.columns"
    wide = pa.table({f"c{number}": [1] for number in range(300)})
    assert refuse(as_parquet(wide), "a.parquet", tmp_path).rule == "source.columns"


def test_huge_footer(tmp_path: Path) -> None:
    data = b"PAR1" + b"\0" * (17 << 20) + struct.pack("<I", 17 << 20) + b"PAR1"
    assert refuse(data, "a.parquet", tmp_path).rule == "source.footer"


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_deep_nesting(tmp_path: Path, opening: bytes) -> None:
    rows = as_jsonl(key_rows("ab"))
    deep = b'{"person":' + opening * 100_000 + b"\n"
    error = refuse(rows + deep, "a.jsonl", tmp_path)
    assert error.rule in {"source.json", "source.type"}
    assert "row 4" in error.message


def test_two_objects_on_a_line(tmp_path: Path) -> None:
    lines = as_jsonl(key_rows("ab")).split(b"\n")
    error = refuse(lines[0] + lines[1] + b"\n" + lines[2] + b"\n", "a.jsonl", tmp_path)
    assert error.rule == "source.json"


def test_long_line(tmp_path: Path) -> None:
    data = as_jsonl(key_rows("a")) + b'{"key":"' + b"x" * (5 << 20) + b'"}\n'
    assert refuse(data, "a.jsonl", tmp_path).rule == "source.line"


def test_long_cell(tmp_path: Path) -> None:
    rows = [chat_row(number) for number in range(3)]
    rows[1]["text"] = "y" * (2 << 20)
    for name, data in (("a.jsonl", as_jsonl(rows)), ("a.parquet", parquet("chat", rows))):
        error = refuse(data, name, tmp_path)
        assert error.rule == "source.cell_size"
        assert "row 1, field text" in error.message


def test_huge_dictionary_and_packed_column_stay_small(tmp_path: Path) -> None:
    """One value of a mebibyte, a million times: 1 TiB when spread, a few KiB on disk."""
    big = pa.DictionaryArray.from_arrays(
        pa.array([0] * 200_000, pa.int32()), pa.array(["z" * (2 << 20)])
    )
    sink = io.BytesIO()
    pq.write_table(pa.table({"person": big}), sink, compression="zstd")
    mapping = {"mapping": "safehold.mapping/v1", "name": "x", "stream": "key", "fields": "wire"}
    with pytest.raises(InvalidError):
        run_bytes(sink.getvalue(), "a.parquet", tmp_path, mapping=mapping)


def test_row_group_that_unpacks_to_too_much(tmp_path: Path) -> None:
    rows = [chat_row(number, text="z" * 3_000) for number in range(400)]
    data = as_parquet(wire_table("chat", rows), compression="zstd", use_dictionary=False)
    error = refuse(data, "a.parquet", tmp_path, limits={"page_bytes": 1 << 20})
    assert error.rule == "source.size"


def test_row_count_lies(tmp_path: Path) -> None:
    table = wire_table("pointer", pointer_rows(1000))
    data = bytearray(as_parquet(table))
    meta = pq.read_metadata(io.BytesIO(bytes(data)))
    assert meta.num_rows == 1000
    wanted, found = b"\xd0\x0f", 0  # 1000 as a zig-zag varint
    footer = len(data) - 8 - struct.unpack("<I", bytes(data[-8:-4]))[0]
    first = bytes(data).find(wanted, footer)
    data[first : first + 2] = b"\xd2\x0f"
    found = pq.read_metadata(io.BytesIO(bytes(data))).num_rows
    assert found == 1001, "the test no longer changes the row count"
    assert refuse(bytes(data), "a.parquet", tmp_path).rule in {"source.row_count", "source.parquet"}


def test_one_row_of_a_gigabyte(tmp_path: Path) -> None:
    """A sparse file: one line that never ends."""
    path = tmp_path / "bomb.jsonl"
    with path.open("wb") as file:
        file.write(b'{"person":"')
        file.truncate(1 << 30)
    code = (
        "import sys\n"
        "from tests.ingest_job import run_path\n"
        "from pathlib import Path\n"
        "from safehold.errors import InvalidError\n"
        "try:\n    run_path(Path(sys.argv[1]))\n"
        "except InvalidError as error:\n    print(error.rule)\n"
        # not getrusage: that peak is inherited from the process that forked this one
        "print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    rule, peak = done.stdout.split()
    assert rule == "source.line"
    assert int(peak) < 400 * 1024


def test_too_many_sessions(tmp_path: Path) -> None:
    rows = [row for number in range(20) for row in key_rows("a", session=f"s{number}")]
    error = refuse(parquet("key", rows), "a.parquet", tmp_path, limits={"sessions": 10})
    assert error.rule == "ingest.sessions"


def test_refusals_are_listed_a_hundred_times_and_then_counted(tmp_path: Path) -> None:
    rows = pointer_rows(400)
    for row in rows[:150]:
        row["kind"] = 77
    frames = run_bytes(parquet("pointer", rows), "a.parquet", tmp_path, tolerate=0.5)
    assert len(frames.of("refused")) == 100
    assert frames.tally()["refused"] == {"wire.vocabulary": 150}
    assert frames.of("done")[0]["refused"] == 150


def test_tolerance_is_a_border(tmp_path: Path) -> None:
    rows = pointer_rows(100)
    for row in rows[:3]:
        row["kind"] = 77
    data = parquet("pointer", rows)
    assert run_bytes(data, "a.parquet", tmp_path, tolerate=0.03).of("done")
    assert "3 of 100 rows" in refuse(data, "a.parquet", tmp_path, tolerate=0.029).message


def test_no_frame_and_no_message_holds_a_refused_value(tmp_path: Path) -> None:
    rows = [chat_row(number) for number in range(3)]
    rows[1]["channel_kind"] = CANARY
    frames: Frames = run_bytes(as_jsonl(rows), "a.jsonl", tmp_path, tolerate=0.9)
    assert frames.of("refused") == [
        {
            "type": "refused",
            "chunk": 0,
            "row": 1,
            "field": "channel_kind",
            "rule": "wire.vocabulary",
        }
    ]
    assert all(CANARY.encode() not in body for _, body in frames.all)
    assert CANARY not in str([header for header, _ in frames.all])


def test_dictionary_of_eight_bits_takes_127_words_and_refuses_the_rest(tmp_path: Path) -> None:
    rows = [chat_row(number, platform=f"p{number}") for number in range(140)]
    frames = run_bytes(as_jsonl(rows), "a.jsonl", tmp_path, tolerate=0.5)
    assert frames.tally()["refused"] == {"wire.dictionary_full": 13}
    assert frames.tally()["taken"]["chat"] == 127


def test_past_retention_is_dropped_not_kept(tmp_path: Path) -> None:
    rows = pointer_rows(4)
    for row in rows:
        row["t"] -= 40 * DAY_US
    rows += pointer_rows(4, session="s2")
    frames = run_bytes(parquet("pointer", rows), "a.parquet", tmp_path, keep_days={"pointer": 30})
    assert frames.tally()["dropped"]["past_retention"] == 4
    assert frames.tally()["taken"]["pointer"] == 4
