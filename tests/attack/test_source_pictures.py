"""Pictures of screens are refused at every door: as a file, as bytes in a column, as text in any cell, in an archive."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests import foreign
from tests.collector_desk import World
from tests.foreign import NOW_US, PNG
from tests.ingest_job import Frames, as_jsonl, as_parquet, chat_row, job, rules_spec, run_bytes

from safehold.dlp.picture import pictured_events
from safehold.errors import InvalidError
from safehold.ingest import recipe
from safehold.ingest.source.image import holds_image
from safehold.sandbox.channel import pack_parts

JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0" + bytes(range(64))
RAW_JPEG = b"\xff\xd8\xff\xdb\0\x43\0" + bytes(range(64))
GIF = b"GIF89a" + bytes(range(64))
WEBP = b"RIFF\x24\0\0\0WEBPVP8 " + bytes(range(64))
HEIC = b"\0\0\0\x18ftypheic" + bytes(64)
TIFF = b"II*\0" + bytes(64)
IMAGES = {
    "png": PNG,
    "jpeg": JPEG,
    "raw": RAW_JPEG,
    "gif": GIF,
    "webp": WEBP,
    "heic": HEIC,
    "tiff": TIFF,
}
TEXTS = {
    **{name: base64.b64encode(data).decode() for name, data in IMAGES.items() if name in ("png", "jpeg", "raw", "gif", "webp")},
    "url": "look data:image/png;base64,AAAA",
    "svg": "DATA: image/svg+xml,<svg/>",
    "urlsafe": base64.urlsafe_b64encode(JPEG).decode(),
    "hex": PNG.hex(),
    "hex jpeg": JPEG.hex().upper(),
    "inside": f'{{"screenshot": "{base64.b64encode(PNG).decode()}"}}',
    "lines": base64.encodebytes(PNG).decode(),
}  # fmt: skip
INNOCENT = (
    "see /9j/ for the path", "iVBOR is no word", "data: image of success", "GIF89a is a format",
    "ffd8ff is the beginning of one", "UklGR", "the rifle WEBP", "R0lGOD", "/9j/4 and so on",
)  # fmt: skip


@pytest.mark.parametrize("name", IMAGES)
def test_a_file_that_is_a_picture_is_refused_whatever_its_name(tmp_path: Path, name: str) -> None:
    for file in ("a.csv", "a.jsonl", "a.png", "a.zip", "a.vtt", "a"):
        with pytest.raises(InvalidError) as caught:
            run_bytes(IMAGES[name], file, tmp_path)
        assert caught.value.rule == "source.image"


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize(
    ("stream", "column"),
    [("chat", "text"), ("chat", "platform"), ("ai", "tool"), ("metric", "name")],
)
def test_an_event_that_carries_a_picture_is_dropped_and_counted(
    tmp_path: Path, kind: str, stream: str, column: str
) -> None:
    base = {
        key: value
        for key, value in chat_row().items()
        if key in ("person", "device", "session", "seq", "t", "mono")
    }
    rows: dict[str, dict[str, Any]] = {
        "chat": chat_row(),
        "ai": {**base, "conversation": "c", "turn": 1, "role": "user", "text": "hello"},
        "metric": {**base, "name": "n", "value": 1.0},
    }
    good = rows[stream]
    bad = {**good, "seq": 1, "mono": 1, column: TEXTS[kind]}
    if stream == "chat":
        bad["msg"] = "m1"
    frames = run_bytes(
        as_jsonl([good, bad]), "a.jsonl", tmp_path, rules={stream: rules_spec(stream)},
        people={one: {"streams": [stream]} for one in ("ann", "bob")}, limits={"word_bytes": 4096},
        mapping={"mapping": "safehold.mapping/v1", "name": "x", "stream": stream, "fields": "wire"},
    )  # fmt: skip
    assert frames.tally()["dropped"] == {"screen_image": 1}
    assert frames.tally()["taken"] == {stream: 1}


def test_titles_and_keys_are_doors_as_well(tmp_path: Path) -> None:
    text = TEXTS["png"]
    base = {"person": "ann", "device": "d", "session": "s", "t": NOW_US - 1, "mono": 0}
    rows = [
        {"stream": "focus", **base, "seq": 0, "kind": 0, "title": text},
        {"stream": "key", **base, "seq": 0, "kind": 2, "commit": text, "field_kind": "text"},
        {"stream": "key", **base, "seq": 1, "kind": 1, "key": text, "field_kind": "text"},
    ]
    frames = run_bytes(
        as_jsonl(rows), "a.jsonl", tmp_path, now_us=NOW_US, limits={"word_bytes": 4096}
    )
    assert frames.tally()["dropped"]["screen_image"] == 3
    assert not frames.of("batch")


@pytest.mark.parametrize("text", INNOCENT)
def test_words_that_only_look_alike_stay(text: str) -> None:
    assert not pictured_events(pa.table({"text": pa.array([text], pa.large_string())})).any()


def test_a_column_of_bytes_is_refused_row_by_row(tmp_path: Path) -> None:
    rows = 4
    table = pa.table(
        {
            "who": ["ann"] * rows,
            "when": pa.array(range(rows), pa.int64()),
            "what": pa.array([b"hello", PNG, JPEG, b"there"], pa.binary()),
        }
    )
    mapping = {
        "mapping": "safehold.mapping/v1", "name": "x", "stream": "ai",
        "columns": {"who": "text", "when": "integer", "what": "text"},
        "person": {"from": "who"}, "device": {"constant": "d"}, "session": {"constant": "s"},
        "time": {"from": "when", "unit": "s", "rebase": "import"},
        "fields": {"ai": {"text": {"from": "what"}, "conversation": {"constant": "c"}, "turn": {"constant": 1},
                          "role": {"constant": "user"}}},
    }  # fmt: skip
    with pytest.raises(InvalidError) as caught:
        run_bytes(as_parquet(table), "a.parquet", tmp_path, mapping=mapping)
    assert caught.value.rule == "source.image"
    frames = run_bytes(as_parquet(table), "a.parquet", tmp_path, mapping=mapping, tolerate=0.5)
    assert frames.tally()["refused"] == {"source.image": 2}
    assert frames.tally()["taken"] == {"ai": 2}
    unnamed = table.rename_columns(["who", "when", "png_data"])
    with pytest.raises(InvalidError) as caught:
        run_bytes(as_parquet(unnamed), "a.parquet", tmp_path, mapping=mapping)
    assert caught.value.rule == "source.unknown_column"


def test_a_mapping_that_asks_for_the_screenshots_of_a_database_gets_none(tmp_path: Path) -> None:
    path = foreign.openadapt(tmp_path / "recording.db")
    mapping = {
        "mapping": "safehold.mapping/v1", "name": "greedy", "format": "sqlite", "files": "screenshot", "stream": "ai",
        "columns": {"png_data": "text", "timestamp": "number"},
        "person": {"constant": "ann"}, "device": {"constant": "d"}, "session": {"constant": "s"},
        "time": {"from": "timestamp", "unit": "s"},
        "fields": {"ai": {"text": {"from": "png_data"}, "conversation": {"constant": "c"}, "turn": {"constant": 1},
                          "role": {"constant": "user"}}},
    }  # fmt: skip
    with pytest.raises(InvalidError) as caught:
        run_bytes(path.read_bytes(), "recording.db", tmp_path, mapping=mapping, now_us=NOW_US)
    assert caught.value.rule in {"source.image", "source.sqlite"}


def test_pictures_in_an_archive_are_counted_and_not_read(tmp_path: Path) -> None:
    files = {**foreign.slack_files(), "general/screen.png": PNG, "D1/shot.JPG": JPEG}
    people = {one: {"streams": ["chat"]} for one in foreign.ADDRESS.values()}
    frames = run_bytes(foreign.zipped(files), "a.zip", tmp_path, people=people, now_us=NOW_US)
    assert frames.tally()["dropped"]["screen_image"] == 2
    disguised = {**foreign.slack_files(), "general/2024-10-05.json": PNG}
    with pytest.raises(InvalidError) as caught:
        run_bytes(foreign.zipped(disguised), "a.zip", tmp_path, people=people, now_us=NOW_US)
    assert caught.value.rule == "source.image"


def test_a_collector_that_seals_a_picture_is_refused() -> None:
    world = World()
    world.type("hello")
    world.collector.flush()
    table = pa.ipc.open_stream(world.received[0][2]).read_all()
    index = table.schema.get_field_index(
        "target_role" if "target_role" in table.schema.names else "app"
    )
    spoiled = table.set_column(
        index,
        table.schema.field(index),
        pa.array([TEXTS["png"]] * len(table), table.schema.field(index).type),
    )
    frames = Frames()
    parts = pack_parts([({"person": "ann", "stream": "key"}, spoiled)])
    with pytest.raises(InvalidError) as caught:
        recipe.main(job({"kind": "leased"}), [parts], frames)
    assert caught.value.rule == "leased.image"


def test_the_first_bytes_tell() -> None:
    assert all(holds_image(data) for data in IMAGES.values())
    assert not any(
        map(holds_image, (b"", b"hello", b"RIFF....WAVE", b"\x89PN", b"\xff\xd8", b"PK\3\4"))
    )
