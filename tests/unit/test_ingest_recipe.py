"""The recipe: determinism, skipping, ranks, clamping, consent, pseudonyms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.ingest_job import (
    NOW_US,
    STREAMS,
    Frames,
    as_jsonl,
    as_parquet,
    chat_row,
    job,
    key_rows,
    pointer_rows,
    rules_spec,
    run_bytes,
    wire_table,
)

from safehold.errors import InvalidError
from safehold.ingest import recipe
from safehold.ingest.rest import pseudonym
from safehold.telemetry.schema import REST

LEVEL_2 = {"rules": {stream: rules_spec(stream, 2) for stream in STREAMS}}


def sessions(count: int) -> bytes:
    rows = [row for n in range(count) for row in pointer_rows(30, session=f"s{n}")]
    return as_parquet(wire_table("pointer", rows))


def test_two_readings_give_the_same_frames(tmp_path: Path) -> None:
    limits = {"chunk_rows": 100}
    first = run_bytes(sessions(10), "a.parquet", tmp_path, limits=limits)
    second = run_bytes(sessions(10), "a.parquet", tmp_path, limits=limits)
    assert first.all == second.all
    assert [item["chunk"] for item in first.of("chunk")] == [0, 1, 2, 3]
    assert [item["rows_read"] for item in first.of("chunk")] == [90, 90, 90, 30]


def test_chunks_are_cut_where_a_session_ends(tmp_path: Path) -> None:
    frames = run_bytes(sessions(10), "a.parquet", tmp_path, limits={"chunk_rows": 100})
    seen: dict[str, int] = {}
    for header in frames.of("batch"):
        for _, session, _, _ in header["extents"]:
            assert seen.setdefault(session, header["chunk"]) == header["chunk"]
    assert len(seen) == 10


@pytest.mark.parametrize("done", [[0], [1], [0, 1, 2], [3]])
def test_committed_chunks_are_skipped_and_the_others_come_out_the_same(
    tmp_path: Path, done: list[int]
) -> None:
    rows = pointer_rows(95) + pointer_rows(95, session="s2")
    data = as_parquet(wire_table("pointer", rows))
    limits = {"chunk_rows": 50}
    whole = run_bytes(data, "a.parquet", tmp_path, limits=limits)
    rest = run_bytes(data, "a.parquet", tmp_path, limits=limits, done=done)
    wanted = [item for item in whole.all if item[0].get("chunk") not in done]
    assert rest.all == wanted
    assert rest.of("done")[0]["rows_read"] == 190


def test_made_up_workforce_skips_and_repeats() -> None:
    source = {
        "kind": "synthetic",
        "spec": {"people": 9, "days": 1, "start_day": 19_990, "seed": 3, "pace": 300},
    }
    more: dict[str, Any] = {"cohorts": [{"prefix": "emp-", "streams": list(STREAMS)}]}
    whole, rest = Frames(), Frames()
    recipe.main(job(source, **more), [], whole)
    recipe.main(job(source, done=[0], **more), [], rest)
    assert [item["chunk"] for item in whole.of("chunk")] == [0, 1]
    assert [item for item in whole.all if item[0].get("chunk") == 1] == rest.all[:-1]
    assert not whole.tally()["refused"]
    assert set(whole.tally()["taken"]) == set(STREAMS)


def test_every_batch_has_the_rest_schema_and_nobody_elses_words(tmp_path: Path) -> None:
    rows = key_rows("abc", person="ann") + key_rows("xyz", person="bob", session="s9")
    frames = run_bytes(as_jsonl(rows), "a.jsonl", tmp_path)
    tables = frames.tables("key")
    assert [table.schema for table in tables] == [REST["key"]] * 2
    for table in tables:
        assert set(table.column("subject").to_pylist()) == {bytes(16)}
        assert set(table.column("policy").to_pylist()) == {b"\x22" * 8}
        for name in ("key", "app", "field_kind"):
            words = table.column(name).combine_chunks().dictionary.to_pylist()
            assert set(words) == {v for v in table.column(name).to_pylist() if v is not None}


def test_rank_counts_over_all_streams_of_a_session(tmp_path: Path) -> None:
    rows = [
        {"stream": "key", **row}
        for row in key_rows("ab")  # mono 0, 40, 100, 140 ms
    ] + [{"stream": "pointer", **row} for row in pointer_rows(4)]  # 0, 50, 100, 150 ms
    rows.sort(key=lambda row: (row["mono"], row["stream"]))
    frames = run_bytes(as_jsonl(rows), "a.jsonl", tmp_path)
    ranks = []
    for stream in ("key", "pointer"):
        (table,) = frames.tables(stream)
        ranks += table.column("mono").cast(pa.int64()).to_pylist()
    assert sorted(ranks) == list(range(1, len(ranks) + 1))
    (pointer,) = frames.tables("pointer")
    moved = pointer.column("mono").cast(pa.int64()).to_pylist()
    assert moved == sorted(moved)
    assert moved[0] > 1  # the first key event came before it


def test_rank_goes_on_when_a_session_is_cut(tmp_path: Path) -> None:
    data = as_parquet(wire_table("pointer", pointer_rows(100)))
    frames = run_bytes(data, "a.parquet", tmp_path, limits={"chunk_rows": 40})
    ranks = [
        rank
        for table in frames.tables("pointer")
        for rank in table.column("mono").cast(pa.int64()).to_pylist()
    ]
    assert len(frames.of("chunk")) >= 3
    assert ranks == list(range(1, 101))


def test_no_time_is_left_at_level_three(tmp_path: Path) -> None:
    frames = run_bytes(as_jsonl(key_rows("hello")), "a.jsonl", tmp_path)
    (table,) = frames.tables("key")
    assert set(table.column("minim").to_pylist()) == {3}
    day = NOW_US - NOW_US % 86_400_000_000
    assert set(table.column("t").cast(pa.int64()).to_pylist()) == {day}


def test_coordinates_are_clamped_and_counted_never_wrapped(tmp_path: Path) -> None:
    rows = pointer_rows(4)
    rows[0]["x"], rows[1]["x"], rows[2]["y"] = 40_000, -40_000, 2**31 - 1
    frames = run_bytes(as_jsonl(rows), "a.jsonl", tmp_path, **LEVEL_2)
    assert frames.tally()["clamped"] == {"pointer.x": 2, "pointer.y": 1}
    assert frames.tally()["taken"]["pointer"] == 4
    (table,) = frames.tables("pointer")
    xs = [x for x in table.column("x").to_pylist() if x is not None]
    assert all(-(2**15) <= x < 2**15 for x in xs)
    assert not xs or (max(xs) >= 0 and (min(xs) < 0) == (-32768 in xs or min(xs) < 0))


def test_clamp_is_exact() -> None:
    from collections import Counter

    from safehold.ingest.validate import _clamp

    rows = pointer_rows(3)
    rows[0]["x"], rows[1]["x"], rows[2]["x"] = 32_768, -32_769, 32_767
    clamped: Counter[str] = Counter()
    table = _clamp("pointer", wire_table("pointer", rows), clamped)
    assert table.column("x").to_pylist() == [32_767, -32_768, 32_767]
    assert clamped == {"pointer.x": 2}


def test_who_has_not_agreed_is_dropped_and_counted(tmp_path: Path) -> None:
    rows = pointer_rows(5) + pointer_rows(7, person="eve", session="s2")
    frames = run_bytes(as_jsonl(rows), "a.jsonl", tmp_path)
    assert frames.tally()["dropped"]["not_participating"] == 7
    assert {item["person"] for item in frames.of("batch")} == {"ann"}


def test_words_of_whoever_does_not_take_part_do_not_come_back_in_an_answer(tmp_path: Path) -> None:
    """Eve is nobody here, and bob had paused: their messages go before the rules see them, their words go after them."""
    theirs = "the figures of the northern plant"
    rows = [
        chat_row(0, person="eve", participants=["eve"], session="s8", text=theirs),
        chat_row(1, person="bob", participants=["bob"], session="s9", text=f"{theirs}, again"),
        chat_row(2, participants=["ann"], reply_to="m0", text=f"{theirs} are what I meant"),
        chat_row(3, participants=["ann"], reply_to="m1", text=f"I read: {theirs}, again"),
    ]
    people = {
        "ann": {"streams": list(STREAMS)},
        "bob": {"streams": list(STREAMS), "pauses": [[rows[1]["t"], rows[1]["t"] + 1]]},
    }
    frames = run_bytes(as_jsonl(rows), "a.jsonl", tmp_path, people=people)
    (table,) = frames.tables("chat")
    assert table.column("text").to_pylist() == ["[QUOTE] are what I meant", "I read: [QUOTE]"]
    assert frames.tally()["dropped"] == {"not_participating": 1, "paused": 1}


def test_consent_is_per_stream(tmp_path: Path) -> None:
    people = {"ann": {"streams": ["key"]}}
    frames = run_bytes(as_jsonl(pointer_rows(5)), "a.jsonl", tmp_path, people=people)
    assert frames.tally()["dropped"] == {"not_participating": 5}
    assert not frames.of("batch")


def test_what_happened_in_a_pause_is_dropped(tmp_path: Path) -> None:
    rows = pointer_rows(10)
    pause = [rows[3]["t"], rows[6]["t"]]
    people = {"ann": {"streams": list(STREAMS), "pauses": [pause]}}
    frames = run_bytes(as_jsonl(rows), "a.jsonl", tmp_path, people=people)
    assert frames.tally()["dropped"]["paused"] == 3
    assert frames.tally()["taken"]["pointer"] == 7


def test_a_stream_without_rules_is_not_collected(tmp_path: Path) -> None:
    frames = run_bytes(as_jsonl(pointer_rows(5)), "a.jsonl", tmp_path, rules={})
    assert frames.tally()["dropped"] == {"not_collected": 5}


def test_an_empty_roll_takes_nobody(tmp_path: Path) -> None:
    frames = run_bytes(as_jsonl(pointer_rows(5)), "a.jsonl", tmp_path, people={})
    assert not frames.of("batch")


def test_a_cohort_of_everybody_is_refused(tmp_path: Path) -> None:
    cohorts = [{"prefix": "", "streams": ["pointer"]}]
    with pytest.raises(InvalidError) as caught:
        run_bytes(as_jsonl(pointer_rows(5)), "a.jsonl", tmp_path, cohorts=cohorts)
    assert caught.value.rule == "ingest.spec"


@pytest.mark.parametrize(
    "change",
    [
        {"pseudonym_key": "11"},
        {"policy": "22"},
        {"now_us": 0},
        {"now_us": "soon"},
        {"rules": {"brain": {}}},
        {"limits": {"chunk_rows": 0}},
        {"limits": {"towels": 1}},
        {"tolerate": 1},
        {"source": {"kind": "rumour"}},
    ],
)
def test_a_job_that_does_not_fit_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidError):
        recipe.main({**job({"kind": "file", "name": "a"}), **change}, [0], Frames())


def test_pseudonyms_depend_on_key_and_person(tmp_path: Path) -> None:
    rows = pointer_rows(3) + pointer_rows(3, person="bob", session="s1")
    one = run_bytes(as_jsonl(rows), "a.jsonl", tmp_path)
    two = run_bytes(as_jsonl(rows), "a.jsonl", tmp_path, pseudonym_key="33" * 32)
    ids = [header["extents"][0][:2] for frames in (one, two) for header in frames.of("batch")]
    assert len({device for device, _ in ids}) == 4
    assert len({session for _, session in ids}) == 4
    for frames in (one, two):
        for header, table in zip(frames.of("batch"), frames.tables("pointer"), strict=True):
            device, session, first, last = header["extents"][0]
            assert {value.hex() for value in table.column("device").to_pylist()} == {device}
            assert {value.hex() for value in table.column("session").to_pylist()} == {session}
            assert (first, last) == (0, 2)


def test_names_in_chat_become_pseudonyms_that_still_join(tmp_path: Path) -> None:
    rows = [chat_row(0), chat_row(1, reply_to="m0")]
    frames = run_bytes(as_jsonl(rows), "a.jsonl", tmp_path)
    (table,) = frames.tables("chat")
    key = b"\x11" * 32
    assert table.column("msg").to_pylist()[0] == pseudonym(key, "msg", "m0", 16)
    assert table.column("reply_to").to_pylist() == [None, pseudonym(key, "msg", "m0", 16)]
    people = [pseudonym(key, "person", name, 16) for name in ("ann", "bob")]
    assert table.column("participants").to_pylist() == [people, people]
    data = b"".join(body for _, body in frames.all)
    for name in (b"general", b"bob"):
        assert name not in data


def test_event_ids_are_version_seven_unique_and_repeatable(tmp_path: Path) -> None:
    rows = [chat_row(number) for number in range(20)]
    ids = []
    for _ in range(2):
        (table,) = run_bytes(as_jsonl(rows), "a.jsonl", tmp_path).tables("chat")
        ids.append(table.column("event_id").to_pylist())
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 20
    assert all(value[6] >> 4 == 7 and value[8] >> 6 == 2 for value in ids[0])


def test_windows_are_utc_days(tmp_path: Path) -> None:
    rows = pointer_rows(4)
    for number, row in enumerate(rows):
        row["t"] = NOW_US - (3 - number) * 86_400_000_000
    frames = run_bytes(as_jsonl(rows), "a.jsonl", tmp_path)
    assert [item["window"] for item in frames.of("batch")] == [19_997, 19_998, 19_999, 20_000]


def test_sessions_that_alternate_are_kept_apart(tmp_path: Path) -> None:
    rows = [
        row
        for pair in zip(pointer_rows(30), pointer_rows(30, person="bob", session="x"), strict=True)
        for row in pair
    ]
    data = as_parquet(wire_table("pointer", rows))
    frames = run_bytes(data, "a.parquet", tmp_path, limits={"chunk_rows": 16})
    assert frames.tally()["taken"]["pointer"] == 60
    seqs: dict[str, list[int]] = {"ann": [], "bob": []}
    for header, table in zip(frames.of("batch"), frames.tables("pointer"), strict=True):
        seqs[header["person"]] += table.column("seq").to_pylist()
    assert seqs == {"ann": list(range(30)), "bob": list(range(30))}


def test_running_max_restarts_at_each_segment() -> None:
    from safehold.ingest.timing import running_max

    values = np.array([3, 1, 4, 2, 9, 1])
    segment = np.array([0, 0, 0, 1, 1, 1])
    assert running_max(values, segment, np.zeros(6, int)).tolist() == [3, 3, 4, 2, 9, 9]
    wide = np.array([2**61, 1, 5, 2])
    assert running_max(wide, np.array([0, 0, 1, 1]), np.zeros(4, int)).tolist() == [
        2**61, 2**61, 5, 5,
    ]  # fmt: skip
