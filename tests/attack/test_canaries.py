"""Unique words in every free-text field: after runs none of them can be read anywhere that lasts."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import orjson
import pytest
from tests.ingest_job import key_rows
from tests.world import EVIDENCE, REASON, World, planted

from safehold.app.search import search
from safehold.clock import DAY_US
from safehold.keeper.intake import Intake

CANARIES = {
    field: f"canary{number}-{field}-7f3a91"
    for number, field in enumerate(
        ("chat", "ai", "title", "app", "file", "person", "url", "channel", "typed")
    )
}


def _source(folder: Path, person: str, now_us: int) -> Path:
    at = now_us - DAY_US // 2
    rows = []
    for number, row in enumerate(key_rows(CANARIES["typed"], person=person)):
        row |= {"t": at + number * 40_000, "app": CANARIES["app"], "stream": "key"}
        rows.append(row)
    path = folder / f"{CANARIES['file']}.jsonl"
    path.write_bytes(b"\n".join(orjson.dumps(row) for row in rows) + b"\n")
    return path


def _fresh_temporary(since: float, mine: Path) -> list[Path]:
    found = []
    for folder in {Path(tempfile.gettempdir()), Path("/dev/shm")}:
        for file in folder.iterdir() if folder.is_dir() else ():
            try:  # other tests make and remove files here
                fresh = file.is_file() and file.stat().st_mtime >= since
            except OSError:
                continue
            if fresh and not mine.is_relative_to(file):
                found.append(file)
    return found


def test_no_canary_and_no_name_can_be_read(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = time.time()
    # that a made-up home takes no file has its own test; here the words of one are to come in
    monkeypatch.setattr(Intake, "check_home", lambda *_: None)
    names = {one.external for one in world.desk.people.everybody().values()}
    # a person whose very name is a canary, and choices with words in them
    world.call(
        "people.enrol",
        people=[
            {"person": CANARIES["person"], "jurisdiction": "US-CA", "streams": ["key", "chat"]}
        ],
        evidence=EVIDENCE,
    )
    world.choose(world.participants()[0], "consent", streams=["key"], evidence=EVIDENCE)
    _, holder = world.pass_()
    world.call("feature", purpose="train_ui_agent")
    world.train(holder)
    source = _source(tmp_path, CANARIES["person"], world.clock.now_us())
    handle = os.open(source, os.O_RDONLY)
    try:
        from safehold.ingest.preview import file_source

        given = file_source(source, "canonical")
        taken = world.client.call("ingest", descriptors=[handle], source=given)
        assert sum(taken["tally"]["taken"].values()) > 0
    finally:
        os.close(handle)
    world.call("stop", **world.order("stop", "security"))
    world.stop()
    source.unlink()
    looked_for = {*CANARIES.values(), *names, EVIDENCE, REASON} | planted(world.clock.now_us())
    assert len(looked_for) > 100
    with tempfile.TemporaryDirectory(dir=tmp_path) as copies:
        for number, file in enumerate(_fresh_temporary(began, tmp_path)):
            try:
                (Path(copies) / str(number)).write_bytes(file.read_bytes())
            except OSError:
                continue
        found, files = search([world.home.path, world.path / "outside", Path(copies)], looked_for)
    assert files > 10
    assert not found, f"{len(found)} of {len(looked_for)} can be read: {sorted(found)[:5]}"


def test_the_search_finds_what_is_there(world: World, tmp_path: Path) -> None:
    """The search itself is sharp: raw, UTF-16, base64, zstd and gzip."""
    import base64
    import gzip

    import zstandard

    word = CANARIES["chat"]
    for number, data in enumerate(
        (
            word.encode(),
            word.encode("utf-16-le"),
            base64.b64encode(b"xx" + word.encode() + b"yyy"),
            zstandard.compress(word.encode() * 3),
            b"head" + zstandard.compress(word.encode() * 3),
            gzip.compress(word.encode()),
        )
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "file").write_bytes(data)
        assert search([folder], {word})[0] == {word}, number


@pytest.mark.proof
def test_a_demo_over_the_command_line_leaves_nothing(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    began = time.time()
    home, truth = tmp_path / "home", tmp_path / "truth.parquet"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "safehold", "demo", "--people", "60", "--seed", "424243"),
            *("--home", str(home), "--truth", str(truth), "--json"),
        ],
        env={**os.environ, "SAFEHOLD_OUTSIDE": str(tmp_path / "outside")},
        capture_output=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-1000:]
    table = pq.read_table(truth)
    values = {
        value
        for value, decoy in zip(table["value"].to_pylist(), table["decoy"].to_pylist(), strict=True)
        if not decoy and len(value) >= 6
    }
    with tempfile.TemporaryDirectory(dir=tmp_path) as copies:
        for number, file in enumerate(_fresh_temporary(began, tmp_path)):
            with contextlib.suppress(OSError):
                (Path(copies) / str(number)).write_bytes(file.read_bytes())
        found, _ = search([home, tmp_path / "outside", Path(copies)], values)
    assert not found
    assert not [one for one in values if one in done.stdout.decode()]
