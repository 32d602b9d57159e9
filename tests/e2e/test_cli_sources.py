"""Foreign sources over the command line: looked at without a value, and taken in through the real sandbox."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests import foreign
from tests.command_line import CHARTERS, EVIDENCE, World

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "telemetry"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = World(tmp_path_factory.mktemp("world")).init(CHARTERS / "demo.yaml")
    people = made.root / "people.csv"
    rows = [f"{one},US-CA,focus chat pointer key" for one in ("ann", *foreign.ADDRESS.values())[:3]]
    people.write_text("person,jurisdiction,streams\n" + "\n".join(rows) + "\n")
    made.run("people", "enrol", "--file", people, "--evidence", EVIDENCE)
    return made


def test_a_preview_shows_counts_and_no_value(world: World) -> None:
    path = world.root / "aw.json"
    path.write_bytes(foreign.activitywatch())
    shown = world.ask("source", "preview", path, "--mapping", "activitywatch", "--person", "ann")
    assert shown["rows_read"] == 10
    assert shown["streams"]["focus"]["events"] == 9
    assert shown["streams"]["focus"]["people"] == 1
    assert shown["streams"]["focus"]["fields"]["title"]["distinct"] >= 4
    assert shown["dropped"] == {"not_mapped": 1}
    text = json.dumps(shown)
    for word in (foreign.HUSH, "Firefox", "wiki.acme", "4111", "laptop"):
        assert word not in text


def test_a_preview_of_a_bad_file_names_row_and_rule(world: World) -> None:
    path = world.root / "bad.zip"
    path.write_bytes(foreign.slack()[:-5])
    assert world.refuse("source", "preview", path, code=2)["rule"] == "source.zip"
    error = world.refuse("source", "preview", world.root / "aw.json", code=2)
    assert error["rule"] == "mapping.person"


def test_sources_come_in_through_the_sandbox(world: World) -> None:
    path, archive = world.root / "aw.json", world.root / "export.zip"
    path.write_bytes(foreign.activitywatch())
    archive.write_bytes(foreign.slack())
    (taken,) = world.ask("run", "--source", path, "--mapping", "activitywatch", "--person", "ann")[
        "sources"
    ]
    assert taken["taken"] == {"focus": 5}
    (taken,) = world.ask("run", "--source", archive)["sources"]
    assert taken["taken"] == {"chat": 5}  # the demo's charter lists public channels only
    assert taken["dropped"]["channel"] == 5


@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared/data")
def test_real_files_can_be_looked_at(world: World) -> None:
    hr = world.ask("source", "preview", SHARED / "ibm_hr_attrition.csv", "--mapping", "ibm-hr")
    assert hr["streams"]["metric"]["people"] == hr["rows_read"] == 1_470
    assert hr["refused"] == {}
    mapping = world.root / "sample.yaml"
    shipped = (CHARTERS.parent / "ingest" / "mappings" / "opencua.yaml").read_text()
    mapping.write_text(
        shipped.replace("format: jsonl\n", "").replace("time_stamp", "t_s").replace("name: text\n", "key: text\n")
        .replace("key: {from: name}", "key: {from: key}").replace("  pynput_key: text\n", "")
    )  # fmt: skip
    cua = world.ask(
        "source",
        "preview",
        SHARED / "opencua_events_sample.parquet",
        "--mapping",
        mapping,
        "--person",
        "ann",
    )
    assert cua["rows_read"] == 4_099
    assert cua["refused"] == {}
    assert set(cua["streams"]) == {"pointer", "key"}
