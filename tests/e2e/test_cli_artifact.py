"""``safehold artifact scan``: what a user sees, and that no value is shown."""

from __future__ import annotations

import json
import pickle
import struct
from pathlib import Path

import pytest
from tests.command_line import Done, World

SECRET = "ghp_1234567890abcdefABCDEF1234567890abcd"
WORD = "zebra-otter-quartz-91"


def run(folder: Path, *words: str | Path) -> Done:
    return World(folder).try_run("artifact", "scan", *words)


def weights(path: Path, **metadata: str) -> Path:
    head = json.dumps(
        {"__metadata__": metadata, "w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
    ).encode()
    path.write_bytes(struct.pack("<Q", len(head)) + head + bytes(4))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "models"
    place.mkdir()
    weights(place / "clean.safetensors", architecture="next-action/v1")
    weights(place / "dirty.safetensors", note=f"token {SECRET}", author=WORD)
    (place / "old.bin").write_bytes(pickle.dumps({"w": 1}))
    (place / "empty.log").write_bytes(b"")
    return place


def test_clean_files_are_admitted(folder: Path) -> None:
    done = run(folder, folder / "clean.safetensors", folder / "empty.log")
    assert done.code == 0, done.err
    assert done.out.count("admitted  ") == 2


def test_places_are_told_and_values_are_not(folder: Path) -> None:
    words = folder.parent / "words.txt"
    words.write_text(WORD + "\n")
    for extra in ((), ("--json",)):
        done = run(folder, folder, "--canaries", words, *extra)
        assert done.code == 3
        assert SECRET not in done.out + done.err
        assert WORD not in done.out + done.err
        assert "__metadata__" in done.out
        assert "SECRET" in done.out
        assert "CANARY" in done.out
        assert "pickle" in done.out
    told = {Path(item["file"]).name: item for item in json.loads(done.out)["files"]}
    assert [name for name, item in told.items() if item["admitted"]] == [
        "clean.safetensors",
        "empty.log",
    ]
    assert told["old.bin"]["refusal"]["rule"] == "artifact.pickle"


def test_the_state_of_an_optimizer_may_be_stored_and_not_released(tmp_path: Path) -> None:
    head = json.dumps(
        {"w.exp_avg": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
    ).encode()
    path = tmp_path / "state.safetensors"
    path.write_bytes(struct.pack("<Q", len(head)) + head + bytes(4))
    assert run(tmp_path, path).code == 0
    done = run(tmp_path, "--release", path)
    assert done.code == 3
    assert "optimizer" in done.out


def test_a_missing_file_and_a_short_canary_are_told(tmp_path: Path) -> None:
    assert run(tmp_path, tmp_path / "none").code == 1
    (tmp_path / "words").write_text("abc\n")
    done = run(tmp_path, tmp_path, "--canaries", tmp_path / "words")
    assert done.code == 2
    assert "fix:" in done.err
