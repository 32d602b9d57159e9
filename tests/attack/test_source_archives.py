"""Archives, folders and databases made to hurt: each is refused with a rule and without a value, in bounded memory and linear time."""

from __future__ import annotations

import io
import json
import os
import sqlite3
import stat
import struct
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest
from tests import foreign
from tests.foreign import NOW_US, START_S
from tests.ingest_job import run_bytes

from safehold.errors import InvalidError
from safehold.ingest.folder import open_path
from safehold.ingest.shelf import load_mapping

CANARY = "Zx9-canary-must-not-show"
PEOPLE = {
    one: {"streams": ["chat", "focus", "speech", "pointer", "key", "ai"]}
    for one in ("ann", *foreign.ADDRESS.values())
}


def given(name: str) -> dict[str, Any]:
    mapping = load_mapping(name)
    if mapping["person"] == "given":
        mapping["person"] = {"constant": "ann"}
    return mapping


def take(data: bytes, name: str, tmp_path: Path, mapping: str, **more: Any) -> Any:
    more = {"people": PEOPLE, "now_us": NOW_US, **more}
    return run_bytes(data, name, tmp_path, mapping=given(mapping), **more)


def refuse(data: bytes, name: str, tmp_path: Path, mapping: str, **more: Any) -> InvalidError:
    with pytest.raises(InvalidError) as caught:
        take(data, name, tmp_path, mapping, **more)
    assert CANARY not in str(caught.value.payload())
    return caught.value


def archive(
    *members: tuple[str | zipfile.ZipInfo, bytes], packed: int = zipfile.ZIP_DEFLATED
) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", packed) as made:
        for name, data in members:
            made.writestr(name, data)
    return sink.getvalue()


def info(name: str, mode: int = 0o100644, **more: Any) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo(name)
    made.external_attr = mode << 16
    for key, value in more.items():
        setattr(made, key, value)
    return made


@pytest.mark.parametrize(
    "name",
    [
        f"../{CANARY}.json",
        f"/etc/{CANARY}.json",
        f"a/../../{CANARY}",
        f"a\\..\\{CANARY}",
        f"C:/{CANARY}",
        "a//b",
        f"{CANARY}/..",
    ],
)
def test_a_name_that_leads_outside_is_refused(tmp_path: Path, name: str) -> None:
    error = refuse(archive((name, b"[]")), "a.zip", tmp_path, "slack")
    assert error.rule == "source.path"


def test_a_link_in_an_archive_is_refused(tmp_path: Path) -> None:
    data = archive((info("users.json", stat.S_IFLNK | 0o777), b"/etc/passwd"))
    assert refuse(data, "a.zip", tmp_path, "slack").rule == "source.link"


def test_a_link_in_a_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "export"
    (folder / "general").mkdir(parents=True)
    (folder / "general" / "a.json").symlink_to("/etc/passwd")
    with pytest.raises(InvalidError) as caught:
        open_path(folder)
    assert caught.value.rule == "source.link"


def test_a_pipe_and_a_device_are_no_sources(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(InvalidError) as caught:
            open_path(path)
        assert caught.value.rule == "ingest.source"


def test_a_bomb_of_one_member_is_stopped_while_it_unpacks(tmp_path: Path) -> None:
    data = archive(("general/a.json", b"[" + b" " * (80 << 20) + b"]"))
    assert len(data) < 1 << 20
    tracemalloc.start()
    error = refuse(data, "a.zip", tmp_path, "slack", limits={"document_bytes": 8 << 20})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert error.rule == "source.bomb"
    assert peak < 64 << 20


def test_a_bomb_of_many_members_is_stopped_by_their_sum(tmp_path: Path) -> None:
    big = b"[" + b" " * (4 << 20) + b"]"
    data = archive(*((f"general/{n}.json", big) for n in range(40)))
    assert refuse(data, "a.zip", tmp_path, "slack").rule == "source.bomb"


def test_members_that_share_their_bytes_are_counted_each_time(tmp_path: Path) -> None:
    """Entries of the directory that all point to one member: small on disk, large when read."""
    data = bytearray(archive(("general/aa.json", b"[" + b" " * (1 << 20) + b"]")))
    at = data.find(b"PK\x01\x02")
    end = data.find(b"PK\x05\x06")
    entry = bytes(data[at:end])
    entries = b"".join(entry.replace(b"general/aa", b"general/%02d" % n) for n in range(90))
    tail = bytearray(data[end:])
    struct.pack_into("<HHLL", tail, 8, 90, 90, len(entries), at)
    error = refuse(bytes(data[:at]) + entries + bytes(tail), "a.zip", tmp_path, "slack")
    assert error.rule in {"source.bomb", "source.zip"}


def test_a_size_that_lies_is_not_believed(tmp_path: Path) -> None:
    data = bytearray(archive(("general/a.json", json.dumps([1] * 1000).encode())))
    at = data.find(b"PK\x01\x02")
    struct.pack_into("<L", data, at + 24, 5)
    assert refuse(bytes(data), "a.zip", tmp_path, "slack").rule in {"source.zip", "source.json"}


def test_an_encrypted_member_and_another_packing_are_refused(tmp_path: Path) -> None:
    data = bytearray(archive(("general/a.json", b"[]")))
    at = data.find(b"PK\x01\x02")
    data[at + 8] |= 1
    assert refuse(bytes(data), "a.zip", tmp_path, "slack").rule == "source.zip"
    lzma = archive(("general/a.json", b"[]"), packed=zipfile.ZIP_LZMA)
    assert refuse(lzma, "a.zip", tmp_path, "slack").rule == "source.zip"


def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        data = archive(("general/a.json", b"[]"), ("general/a.json", b"[1]"))
    assert refuse(data, "a.zip", tmp_path, "slack").rule == "source.duplicate"


def test_a_directory_that_is_too_long_is_not_read(tmp_path: Path) -> None:
    data = bytearray(archive(("a.json", b"[]")))
    end = data.find(b"PK\x05\x06")
    struct.pack_into("<L", data, end + 12, 100 << 20)
    assert refuse(bytes(data), "a.zip", tmp_path, "slack").rule == "source.footer"
    error = refuse(
        archive(*((f"{n}/a.json", b"[]") for n in range(20))),
        "a.zip",
        tmp_path,
        "slack",
        limits={"members": 10},
    )
    assert error.rule == "source.size"


@pytest.mark.parametrize("cut", [1, 10, 40, 200])
def test_an_archive_cut_short_is_refused(tmp_path: Path, cut: int) -> None:
    assert refuse(foreign.slack()[:-cut], "a.zip", tmp_path, "slack").rule in {
        "source.zip",
        "source.footer",
    }


# --- databases


def database(script: str) -> bytes:
    base = sqlite3.connect(":memory:")
    base.executescript(script)
    base.commit()
    return base.serialize()


WINDOWS = "CREATE TABLE window_event (id INTEGER PRIMARY KEY, recording_id INTEGER, timestamp NUMERIC, title VARCHAR);"


def test_a_view_in_place_of_a_table_is_not_read(tmp_path: Path) -> None:
    endless = (
        "CREATE VIEW window_event AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)"
        " SELECT x AS recording_id, x AS timestamp, hex(zeroblob(1000)) AS title FROM n;"
    )
    frames = take(database("CREATE TABLE t (x);" + endless), "a.db", tmp_path, "openadapt")
    assert frames.of("done")[0]["rows_read"] == 0


def test_a_computed_column_is_not_read(tmp_path: Path) -> None:
    script = "CREATE TABLE window_event (recording_id INTEGER, timestamp NUMERIC, title VARCHAR AS (hex(zeroblob(100000000))) VIRTUAL);"
    script += f"INSERT INTO window_event (recording_id, timestamp) VALUES (1, {START_S});"  # noqa: S608
    frames = take(database(script), "a.db", tmp_path, "openadapt")
    assert frames.tally()["taken"] == {"focus": 1}


def test_a_damaged_database_is_refused(tmp_path: Path) -> None:
    data = bytearray(
        database(
            WINDOWS
            + "".join(
                f"INSERT INTO window_event (timestamp, title) VALUES ({n}, '{'t' * 400}');"  # noqa: S608
                for n in range(200)
            )
        )
    )
    for at in range(4096, len(data), 97):
        data[at] ^= 0xFF
    assert refuse(bytes(data), "a.db", tmp_path, "openadapt").rule == "source.sqlite"
    assert refuse(bytes(data[:200]), "a.db", tmp_path, "openadapt").rule == "source.sqlite"
    with pytest.raises(InvalidError) as caught:
        take(bytes(data), "a.db", tmp_path, "openadapt", limits={"database_bytes": 4096})
    assert caught.value.rule == "source.size"


def test_a_database_of_another_recorder_gives_nothing(tmp_path: Path) -> None:
    frames = take(
        database("CREATE TABLE other (x); INSERT INTO other VALUES (1);"),
        "a.db",
        tmp_path,
        "openadapt",
    )
    assert frames.of("done")[0]["rows_read"] == 0


def test_types_that_sqlite_lets_through_refuse_their_rows(tmp_path: Path) -> None:
    script = WINDOWS + f"INSERT INTO window_event VALUES (1, 1, {START_S}, x'00ff');"  # noqa: S608
    script += f"INSERT INTO window_event VALUES (2, 1, 'later', 'x'); INSERT INTO window_event VALUES (3, 1, {START_S}, cast(x'ff' AS TEXT));"  # noqa: S608
    script += f"INSERT INTO window_event VALUES (4, 1, {START_S}, 'good');"  # noqa: S608
    frames = take(database(script), "a.db", tmp_path, "openadapt", tolerate=0.9)
    assert frames.tally()["taken"] == {"focus": 1}
    assert set(frames.tally()["refused"]) == {"source.type", "source.utf8"}


@pytest.mark.parametrize("moment", [1e308, -1e308, 9e999])
def test_a_time_that_no_clock_holds_refuses_its_row(tmp_path: Path, moment: float) -> None:
    base = sqlite3.connect(":memory:")
    base.executescript(WINDOWS)
    base.execute("INSERT INTO window_event VALUES (1, 1, ?, 'x')", (moment,))
    base.commit()
    error = refuse(base.serialize(), "a.db", tmp_path, "openadapt")
    assert error.rule in {"wire.range", "source.range"}
