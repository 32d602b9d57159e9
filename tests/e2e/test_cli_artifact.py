"""``safehold artifact scan``: what a user sees, and that no value is shown."""

from __future__ import annotations

import json
import pickle
import struct
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
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


@pytest.mark.parametrize("planted", [WORD, SECRET, "4111 1111 1111 1111"])
def test_a_canary_is_found_in_every_place_the_charter_of_a_project_has(
    tmp_path: Path, planted: str
) -> None:
    """Chat, a window title, a folder name, a notebook, a tokenizer, metadata of a model."""
    place = tmp_path / "export"
    folder = place / f"notes {planted}"
    folder.mkdir(parents=True)
    (folder / "readme.txt").write_text("nothing here")
    chat = [{"text": "morning"}, {"text": f"use {planted} for it"}]
    (place / "chat.jsonl").write_text("".join(json.dumps(row) + "\n" for row in chat))
    titles = pa.table({"app_name": ["editor"], "title": [f"{planted} - editor"]})
    pq.write_table(titles, place / "focus.parquet")
    cell = {"cell_type": "code", "source": [f"key = '{planted}'\n"], "outputs": [], "metadata": {}}
    (place / "work.ipynb").write_text(json.dumps({"nbformat": 4, "metadata": {}, "cells": [cell]}))
    words = {"model": {"vocab": {"a": 0, planted.replace(" ", "\u0120"): 1}}}
    (place / "tokenizer.json").write_text(json.dumps(words))
    weights(place / "model.safetensors", note=planted)
    words_file = tmp_path / "words"
    words_file.write_text(WORD)
    done = run(tmp_path, place, "--canaries", words_file, "--json")
    assert done.code == 3
    assert planted not in done.out.replace(str(folder), "")
    files = done.json["files"]
    assert len(files) == 6
    assert [item["file"] for item in files if not item["findings"]] == []


def test_a_missing_file_and_a_short_canary_are_told(tmp_path: Path) -> None:
    assert run(tmp_path, tmp_path / "none").code == 1
    (tmp_path / "words").write_text("abc\n")
    done = run(tmp_path, tmp_path, "--canaries", tmp_path / "words")
    assert done.code == 2
    assert "fix:" in done.err
