"""Focus, speech, metrics and the metadata of screens: from a file to a sealed block, as far as charter and person allow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from tests import foreign
from tests.foreign import EVE, NOW_US
from tests.ingest_job import as_jsonl, as_parquet, rules_spec, run_bytes, wire_table
from tests.keeper_desk import found_bench
from tests.source_desk import Desk
from tests.world import PURPOSE

from safehold.dlp import Rules
from safehold.errors import InvalidError, SafeholdError
from safehold.keeper.terms import label_of
from safehold.telemetry.stream import STREAMS, Level

CARD = "4111 1111 1111 1111"
HOUR = 3_600_000_000
PEOPLE = {"ann": {"streams": list(STREAMS)}}
BLOB = sha256(b"a sealed picture").digest()


def row(number: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "person": "ann", "device": "d1", "session": "s1", "seq": number,
        "t": foreign.START_S * 1_000_000 + number * 1_000_000, "mono": number * 1_000_000, **more,
    }  # fmt: skip


def focus(number: int = 0, **more: Any) -> dict[str, Any]:
    return row(number, **{"kind": 0, "app_name": "Writer", "title": "Plan - Docs", "left": -1920, "top": 0, "width": 800,
                          "height": 600, "dur": 5_000_000, **more})  # fmt: skip


def speech(number: int = 0, **more: Any) -> dict[str, Any]:
    return row(
        number,
        **{"meeting": "m", "speaker": "ann", "start": 1234, "end": 5678, "text": "hello", **more},
    )


def metric(number: int = 0, **more: Any) -> dict[str, Any]:
    return row(
        number,
        **{
            "name": "tickets",
            "value": 4.5,
            "unit": "points",
            "period": 86_400,
            "source": "hr",
            **more,
        },
    )


def screen(number: int = 0, **more: Any) -> dict[str, Any]:
    return row(number, **{"blob": BLOB, "width": 1920, "height": 1080, "bytes": 4096, "ocr_regions": 7,
                          "redacted": 2, "trigger": "focus", **more})  # fmt: skip


MAKERS = {"focus": focus, "speech": speech, "metric": metric, "screen": screen}


def table_of(stream: str, rows: list[dict[str, Any]]) -> bytes:
    return as_parquet(wire_table(stream, rows))


def run(stream: str, rows: list[dict[str, Any]], tmp_path: Path, **more: Any) -> Any:
    rules = {
        stream: Rules(
            stream=stream, level=Level(more.pop("level", 3)), **more.pop("rules", {})
        ).to_spec()
    }
    more = {"people": PEOPLE, "now_us": NOW_US, **more}
    return run_bytes(table_of(stream, rows), "a.parquet", tmp_path, rules=rules, **more)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    made = Desk(tmp_path_factory.mktemp("desk"))
    yield made
    made.stop()


@pytest.mark.parametrize("stream", MAKERS)
def test_a_stream_goes_from_a_file_to_a_block_and_back(
    desk: Desk, tmp_path: Path, stream: str
) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(
        table_of(stream, [MAKERS[stream](number, session=stream) for number in range(3)])
    )
    answer = desk.take(path)
    assert answer["tally"]["taken"] == {stream: 3}
    (table,) = [table for found, table in desk.opened() if found == stream]
    first = table.to_pylist()[0]
    kept = {
        "focus": {"app_name": "Writer", "title": "document", "left": None, "dur": None},
        "speech": {"text": "hello", "lang": None},
        "metric": {"name": "tickets", "value": 4.5, "unit": "points", "source": "hr", "period": timedelta(days=1)},
        "screen": {"blob": BLOB, "width": 1920, "height": 1080, "bytes": 4096, "ocr_regions": 7, "redacted": 2,
                   "trigger": "focus"},
    }  # fmt: skip
    assert {name: first[name] for name in kept[stream]} == kept[stream]
    assert first["minim"] == 3
    if stream == "speech":
        assert first["meeting"] != first["speaker"]
        assert not first["speaker"].startswith(b"ann")


def test_metrics_are_sealed_for_their_own_purpose_alone(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "hr.csv"
    path.write_bytes(foreign.hr())
    desk.take(path, "ibm-hr")
    blocks = desk.bench.desk.catalog.blocks(kind="telemetry", streams=["metric"], after_day=0)
    assert blocks
    assert {block.label.purposes for block in blocks} == {("check_fairness",)}
    others = desk.bench.desk.catalog.blocks(kind="telemetry", streams=["focus"], after_day=0)
    assert all(PURPOSE in block.label.purposes for block in others)


def test_metrics_are_not_taken_where_the_charter_does_not_record_them(tmp_path: Path) -> None:
    frames = run_bytes(
        foreign.hr(), "hr.csv", tmp_path, mapping="ibm-hr", now_us=NOW_US,
        rules={"focus": rules_spec("focus")}, people={"employee-1": {"streams": list(STREAMS)}},
    )  # fmt: skip
    assert frames.tally()["dropped"] == {"not_collected": 20}
    assert not frames.of("batch")


def test_metrics_of_somebody_who_agreed_to_all_else_are_not_taken(tmp_path: Path) -> None:
    streams = [stream for stream in STREAMS if stream != "metric"]
    frames = run("metric", [metric()], tmp_path, people={"ann": {"streams": streams}})
    assert frames.tally()["dropped"] == {"not_participating": 1}


def test_a_charter_with_no_purpose_for_a_stream_gives_it_no_label(tmp_path: Path) -> None:
    bench = found_bench(tmp_path).start()
    try:
        with pytest.raises(SafeholdError):
            label_of(bench.charter(), "metric", jurisdiction="US-CA", window=bench.today)
    finally:
        bench.stop()


@pytest.mark.parametrize("stream", MAKERS)
def test_retention_and_pauses_hold_for_a_stream(tmp_path: Path, stream: str) -> None:
    old = MAKERS[stream](0)
    old["t"] -= 40 * 24 * HOUR
    paused = MAKERS[stream](1)
    rows = [old, paused, {**MAKERS[stream](2), "t": paused["t"] + HOUR}]
    people = {"ann": {"streams": [stream], "pauses": [[paused["t"], paused["t"] + 1]]}}
    frames = run(stream, rows, tmp_path, keep_days={stream: 30}, people=people)
    assert frames.tally()["dropped"] == {"past_retention": 1, "paused": 1}
    assert frames.tally()["taken"] == {stream: 1}


@pytest.mark.parametrize(
    ("level", "start", "dur"), [(1, 1200, 5_000_000), (2, 1000, 5_000_000), (3, 0, None)]
)
def test_levels_take_the_times_of_speech_and_focus(
    tmp_path: Path, level: int, start: int, dur: int | None
) -> None:
    (table,) = run("speech", [speech()], tmp_path, level=level).tables("speech")
    assert table.column("start").to_pylist()[0].total_seconds() * 1000 == start
    (table,) = run("focus", [focus()], tmp_path, level=level).tables("focus")
    value = table.column("dur").to_pylist()[0]
    assert (value and value.total_seconds() * 1e6) == dur
    assert table.column("left").to_pylist() == [None]


@pytest.mark.parametrize("stream", MAKERS)
def test_at_the_last_level_nothing_is_left(tmp_path: Path, stream: str) -> None:
    frames = run(stream, [MAKERS[stream]()], tmp_path, level=4)
    if stream == "focus":
        assert frames.tally()["dropped"]["aggregate_only"] == 1
    assert not frames.of("batch")


@pytest.mark.parametrize(
    ("stream", "column", "value"),
    [
        ("focus", "title", f"{CARD} - Notes"),
        ("focus", "app_name", f"card {CARD}.exe"),
        ("focus", "url_host", "eve.jones@acme.example"),
        ("speech", "text", f"my card is {CARD}"),
        ("speech", "lang", CARD),
        ("metric", "name", f"rating of card_{CARD.replace(' ', '_')}"),
        ("metric", "unit", "eve.jones@acme.example"),
        ("metric", "source", f"export_{CARD.replace(' ', '')}"),
        ("metric", "scale", "eve.jones@acme.example"),
        ("screen", "trigger", f"shot of {CARD}"),
        ("screen", "app", "eve.jones@acme.example"),
    ],
)
def test_a_name_or_a_text_that_tells_something_is_masked(
    tmp_path: Path, stream: str, column: str, value: str
) -> None:
    frames = run(stream, [MAKERS[stream](**{column: value})], tmp_path)
    (table,) = frames.tables(stream)
    (cell,) = table.column(column).to_pylist()
    assert cell != value
    assert table.column("sens").to_pylist()[0] > 0
    assert not [body for _, body in frames.all if b"4111" in body or b"jones" in body]


def test_a_segment_of_a_speaker_who_did_not_opt_in_is_dropped(tmp_path: Path) -> None:
    rows = [speech(0), speech(1, speaker="eve", text=EVE), speech(2, text="again")]
    frames = run("speech", rows, tmp_path)
    assert frames.tally()["dropped"] == {"counterpart": 1}
    assert not [body for _, body in frames.all if EVE.encode() in body]


def test_a_charter_may_refuse_screens_whole(tmp_path: Path) -> None:
    frames = run("screen", [screen()], tmp_path, rules={"drop": frozenset({"screen"})})
    assert frames.tally()["dropped"] == {"screen": 1}


def test_a_digest_of_a_screen_may_be_written_in_hexadecimal(tmp_path: Path) -> None:
    rows = [{**screen(n), "blob": BLOB.hex()} for n in range(2)]
    rows[1]["blob"] = "no digest"
    frames = run_bytes(
        as_jsonl(rows), "a.jsonl", tmp_path, people=PEOPLE, now_us=NOW_US, tolerate=0.5,
        rules={"screen": rules_spec("screen")},
    )  # fmt: skip
    assert frames.tables("screen")[0].column("blob").to_pylist() == [BLOB]
    assert [item["rule"] for item in frames.of("refused")] == ["source.hex"]


def test_negative_places_of_other_monitors_are_clamped_and_counted(tmp_path: Path) -> None:
    rows = [
        focus(0),
        {**focus(1), "left": -70_000, "width": 70_000},
        {**focus(2), "top": 2**31 - 1},
    ]
    frames = run("focus", rows, tmp_path, level=0)
    (table,) = frames.tables("focus")
    assert table.column("left").to_pylist() == [-1920, -32_768, -1920]
    assert frames.tally()["clamped"] == {"focus.left": 1, "focus.top": 1, "focus.width": 1}


@pytest.mark.parametrize(
    ("stream", "column"),
    [
        ("metric", "unit"),
        ("metric", "source"),
        ("speech", "lang"),
        ("screen", "trigger"),
        ("metric", "scale"),
    ],
)
def test_one_word_too_many_for_a_dictionary_sinks_its_row_and_nothing_else(
    tmp_path: Path, stream: str, column: str
) -> None:
    words = [chr(97 + n // 26) + chr(97 + n % 26) for n in range(130)]
    rows = [MAKERS[stream](n, **{column: word}) for n, word in enumerate(words)]
    frames = run(stream, rows, tmp_path, tolerate=0.1)
    assert frames.tally()["refused"] == {"wire.dictionary_full": 3}
    assert frames.tally()["taken"] == {stream: 127}
    with pytest.raises(InvalidError) as caught:
        run(stream, rows, tmp_path)
    assert caught.value.rule == "wire.dictionary_full"


def test_nothing_of_a_metric_is_told_by_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidError) as caught:
        run("metric", [metric(0), metric(0, name=EVE)], tmp_path)
    assert EVE not in json.dumps(caught.value.payload())
