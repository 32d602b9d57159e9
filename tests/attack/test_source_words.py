"""No word of somebody who did not opt in and no password comes to rest, whichever recorder wrote it down.

Each source is taken in by a keeper; then every cell at rest is opened and every file of the home is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests import foreign
from tests.foreign import EVE, HUSH
from tests.ingest_job import run_path
from tests.source_desk import Desk

from safehold.errors import InvalidError
from safehold.ingest.folder import open_path

CARD = "4111 1111 1111 1111"
Maker = Callable[[Path], Path]


def file_of(name: str, data: Callable[[], bytes]) -> Maker:
    def make(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(data())
        return path

    return make


def slack_folder(folder: Path) -> Path:
    for name, value in foreign.slack_files().items():
        path = folder / "export" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(foreign.json.dumps(value))
    return folder / "export"


SOURCES: dict[str, tuple[Maker, str, str | None, dict[str, int], dict[str, int]]] = {
    "activitywatch": (
        file_of("aw.json", foreign.activitywatch), "activitywatch", "ann", {"focus": 5},
        {"denied_context": 4, "not_mapped": 1},
    ),
    "opencua": (
        file_of("events.jsonl", foreign.opencua), "opencua", "ann", {"pointer": 2, "key": 0},
        {"password_field": 2 * len(HUSH), "reduced": 21},
    ),
    "openadapt": (
        lambda folder: foreign.openadapt(folder / "recording.db"), "openadapt", "ann",
        {"focus": 2, "key": 5, "pointer": 1},
        {"denied_context": 1, "password_field": 2 * len(HUSH), "reduced": 1, "screen_image": 2},
    ),
    "slack": (
        file_of("export.zip", foreign.slack), "slack", None, {"chat": 7},
        {"counterpart": 2, "not_mapped": 3, "not_participating": 1, "participants_unknown": 1},
    ),
    "slack folder": (
        slack_folder, "slack", None, {"chat": 7},
        {"counterpart": 2, "not_mapped": 3, "not_participating": 1, "participants_unknown": 1},
    ),
    "mbox": (
        file_of("mail.mbox", foreign.mbox), "mbox", None, {"chat": 7},
        {"counterpart": 2, "not_participating": 2},
    ),
    "webvtt": (
        file_of("meeting.vtt", foreign.webvtt), "webvtt", None, {"speech": 5},
        {"not_mapped": 2, "not_participating": 3},
    ),
    "hr": (file_of("hr.csv", foreign.hr), "ibm-hr", None, {"metric": 14}, {"not_participating": 6}),
}  # fmt: skip


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    made = Desk(tmp_path_factory.mktemp("desk"))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def taken(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    answers = {}
    for name, (make, mapping, person, _, _) in SOURCES.items():
        if name == "slack folder":
            continue  # its messages came in with the archive
        path = make(tmp_path_factory.mktemp("source"))
        answers[name] = desk.take(path, mapping, person)
        path.unlink()
    return answers


@pytest.mark.parametrize("name", [name for name in SOURCES if name != "slack folder"])
def test_a_source_is_counted_to_the_last_event(taken: dict[str, Any], name: str) -> None:
    _, _, _, events, dropped = SOURCES[name]
    tally = taken[name]["tally"]
    assert tally["taken"] == events
    assert tally["dropped"] == dropped
    assert tally.get("refused", {}) == {}


def test_no_cell_at_rest_holds_a_word_of_others_or_a_password(
    desk: Desk, taken: dict[str, Any]
) -> None:
    assert taken
    cells = desk.cells()
    texts = [cell for cell in cells if isinstance(cell, str)]
    assert len(texts) > 50
    assert "between us two" in texts  # the search is sharp
    for word in (
        EVE,
        HUSH,
        CARD,
        CARD.replace(" ", ""),
        "eve@acme",
        "stranger",
        "Eve Outside",
        "U3",
    ):
        assert not [text for text in texts if word.lower() in text.lower()], word
        assert not [cell for cell in cells if isinstance(cell, bytes) and word.encode() in cell]


def test_no_typed_secret_is_left_letter_by_letter(desk: Desk, taken: dict[str, Any]) -> None:
    assert taken
    keys = [table for stream, table in desk.opened() if stream == "key"]
    rows = [row for table in keys for row in table.to_pylist()]
    assert [row["key"] for row in rows] == ["letter"] * len("hello")
    assert {row["field_kind"] for row in rows} == {"text"}


def test_no_file_of_the_home_holds_a_word_that_came_in(desk: Desk, taken: dict[str, Any]) -> None:
    assert taken
    words = (EVE, HUSH, "between us two", "the build is green", "first half of it", "KeePassXC")
    found = [
        (path.name, word) for path, data in desk.files() for word in words if word.encode() in data
    ]
    assert found == []


def test_every_source_left_something_in_every_stream_it_has(
    desk: Desk, taken: dict[str, Any]
) -> None:
    assert taken
    assert {stream for stream, table in desk.opened() if len(table)} == {
        "focus", "pointer", "key", "chat", "speech", "metric"
    }  # fmt: skip


def test_times_titles_and_places_are_those_of_the_charters_levels(
    desk: Desk, taken: dict[str, Any]
) -> None:
    assert taken
    for stream, table in desk.opened():
        assert set(table.column("minim").to_pylist()) <= {3}
        day = 86_400_000_000
        assert all(int(t.timestamp() * 1e6) % day == 0 for t in table.column("t").to_pylist())
        if stream == "focus":
            assert set(table.column("title").to_pylist()) <= {
                "browser",
                "other",
                "document",
                "code",
            }
            for name in ("left", "top", "dur", "pid"):
                assert table.column(name).null_count == len(table)
        if stream == "speech":
            assert {one.total_seconds() for one in table.column("start").to_pylist()} == {0}


def test_a_folder_is_the_archive_it_was_unpacked_from(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(foreign.slack())
    packed = open_path(slack_folder(tmp_path))
    people = {one: {"streams": ["chat"]} for one in foreign.ADDRESS.values()}
    more = {"people": people, "now_us": foreign.NOW_US, "mapping": "slack"}
    folder = run_path(Path(f"/proc/self/fd/{packed}"), "export", **more)
    archive = run_path(tmp_path / "a.zip", "a.zip", **more)
    assert folder.tally()["taken"]["chat"] >= 5
    assert [body for _, body in folder.all] == [body for _, body in archive.all]


@pytest.mark.parametrize("mapping", ["activitywatch", "opencua", "openadapt"])
def test_a_source_that_names_nobody_is_not_taken_for_anybody(tmp_path: Path, mapping: str) -> None:
    make = SOURCES[mapping][0]
    with pytest.raises(InvalidError) as caught:
        run_path(make(tmp_path), mapping=mapping)
    assert caught.value.rule == "mapping.person"
