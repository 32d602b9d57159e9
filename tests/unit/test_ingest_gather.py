"""A measurement reads a source as ingestion would: nested forms, folders, and nothing that is no file."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tests import foreign

from safehold.errors import InvalidError, SafeholdError
from safehold.ingest.gather import gather
from safehold.telemetry.schema import WIRE

NOW_US = 1_900_000_000_000_000


def put(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_a_folder_of_nested_messages_is_gathered_like_its_archive(tmp_path: Path) -> None:
    archive = put(tmp_path / "export.zip", foreign.slack())
    folder = tmp_path / "export"
    for name, content in foreign.slack_files().items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(content), "utf-8")
    packed = gather(archive, "slack", now_us=NOW_US)
    spread = gather(folder, "slack", now_us=NOW_US)
    assert set(packed) == {"chat"}
    assert packed["chat"].num_rows > 3
    assert spread["chat"].equals(packed["chat"])


def test_what_is_gathered_has_the_wire_form_of_its_stream(tmp_path: Path) -> None:
    for name, data, mapping in (
        ("talk.vtt", foreign.webvtt(), "webvtt"),
        ("inbox.mbox", foreign.mbox(), "mbox"),
    ):
        for stream, table in gather(put(tmp_path / name, data), mapping, now_us=NOW_US).items():
            assert table.num_rows, name
            assert set(table.column_names) == set(WIRE[stream].names), name


def test_what_is_no_file_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    with pytest.raises(InvalidError) as caught:
        gather(pipe, None, now_us=NOW_US)
    assert caught.value.rule == "ingest.source"
    with pytest.raises(SafeholdError):
        gather(tmp_path / "nothing.csv", None, now_us=NOW_US)
