"""``safehold demo``, small: the truth beside the home, the numbers, the report, and nothing planted left."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.command_line import World

from safehold.workforce import Spec, roster

ASKED = ("person", "stream", "class", "value", "erased", "decoy", "first_seq", "last_seq")
PEOPLE = 60
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"}


class Page(HTMLParser):
    """Check that every element that was opened is closed in order, and gather what the page loads."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.loads += [value or "" for name, value in attrs if name in {"src", "href"}]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> does not close what is open"


def test_the_demo_keeps_its_promises_and_its_numbers_add_up(tmp_path: Path) -> None:
    world = World(tmp_path, passphrase="")
    truth = tmp_path / "beside" / "truth.parquet"
    words = ("demo", "--people", str(PEOPLE), "--days", "1", "--seed", "7")
    result = world.ask(*words, "--home", world.home, "--truth", truth, timeout=400)

    table = pq.read_table(truth)
    check_truth(table)
    assert result["truth"] == str(truth)
    check_numbers(result)
    check_report(Path(result["report"]), world, table)
    check_search(result["search"], table)

    # what a demo home says afterwards needs no passphrase from anybody: its own lies beside it
    assert world.ask("ledger", "verify")["size"] >= result["verification"]["size"]
    status = world.ask("status")
    assert status["counts"]["blocks"] == result["status"]["counts"]["blocks"]
    assert status["synthetic"] is True

    # and the home is taken
    before = world.counts()
    error = world.refuse(*words, "--home", world.home, "--truth", truth, code=1)
    assert error["rule"] == "home.empty"
    assert world.counts() == before


def check_truth(table: pa.Table) -> None:
    assert tuple(table.column_names) == ASKED
    assert table.num_rows > 100
    kinds = {name: table.schema.field(name).type for name in ASKED}
    for name in ("erased", "decoy"):
        assert pa.types.is_boolean(kinds[name])
    for name in ("first_seq", "last_seq"):
        assert pa.types.is_integer(kinds[name])
        assert table[name].null_count == 0
    for row in table.to_pylist():
        assert row["first_seq"] <= row["last_seq"]
        assert row["value"]
        assert row["stream"] in {"key", "chat", "ai", "pointer", "focus"}
    assert {True, False} <= set(table["decoy"].to_pylist())
    assert {True, False} <= set(table["erased"].to_pylist())


def check_numbers(result: dict[str, Any]) -> None:
    people = result["people"]
    assert people["enrolled"] == PEOPLE
    assert 0 < people["participating"] < PEOPLE
    assert people["withdrawn"] > 0
    (source,) = result["sources"]
    for group in ("taken", "masked", "dropped", "refused"):
        assert source["totals"].get(group, 0) == sum(source[group].values())
    assert source["totals"]["taken"] > source["totals"]["masked"] > 0
    assert source["totals"]["refused"] == 0
    assert result["status"]["counts"]["rows"] == source["totals"]["taken"]
    assert result["status"]["counts"]["people"] <= PEOPLE
    trained = result["training"]
    assert trained["people"] <= people["participating"]
    assert trained["epsilon"] <= 4.0
    assert {row["name"] for row in trained["models"]} == {
        "private", "not private", "bigram", "majority"
    }  # fmt: skip
    for row in trained["models"]:
        assert 0 <= row["top1"] <= 1
        assert 0 <= row["macro_f1"] <= 1
    assert result["verification"]["verified"] is True
    assert result["verification"]["size"] == result["status"]["ledger"]["size"]


def check_report(report: Path, world: World, truth: pa.Table) -> None:
    assert report == world.home / "report.html"
    text = report.read_text("utf-8")
    page = Page()
    page.feed(text)
    page.close()
    assert page.open == []
    assert {"html", "head", "title", "body"} <= page.seen
    assert text.lstrip().lower().startswith("<!doctype html>")
    assert "script" not in page.seen
    assert not [one for one in page.loads if "//" in one], "the page loads nothing from elsewhere"
    for value in planted(truth):
        assert value not in text
    spec = Spec(people=PEOPLE, days=1, seed=7, start_day=0)
    assert not [one.id for one in roster(spec) if one.id in text], "the report names nobody"


def check_search(search: dict[str, Any], truth: pa.Table) -> None:
    assert search["found"] == 0
    assert search["looked_for"] == len({value for value in planted(truth) if len(value) >= 6})
    assert search["files"] > 10


def planted(truth: pa.Table) -> list[str]:
    """Return what was planted and is no decoy, if it is long enough not to stand anywhere by chance."""
    return [
        row["value"] for row in truth.to_pylist() if not row["decoy"] and len(row["value"]) >= 6
    ]


@pytest.mark.parametrize("place", ["inside", "link"])
def test_the_truth_stays_outside_the_home(tmp_path: Path, place: str) -> None:
    world = World(tmp_path, passphrase="")
    truth = world.home / "deep" / "truth.parquet"
    if place == "link":
        (tmp_path / "elsewhere").symlink_to(world.home)
        truth = tmp_path / "elsewhere" / "truth.parquet"
    words = ("demo", "--people", "60", "--home", world.home, "--truth", truth)
    assert world.refuse(*words, code=2)["rule"] == "demo.truth"
    assert not world.home.exists()
    assert not truth.exists()


def test_a_folder_with_anything_in_it_is_no_home_for_a_demo(tmp_path: Path) -> None:
    world = World(tmp_path, passphrase="")
    world.home.mkdir()
    (world.home / "notes.txt").write_text("mine", "utf-8")
    truth = tmp_path / "truth.parquet"
    error = world.refuse("demo", "--people", "60", "--truth", truth, code=1)
    assert error["rule"] == "home.empty"
    assert [file.name for file in world.home.iterdir()] == ["notes.txt"]
    assert not truth.exists()
    assert not [file for file in tmp_path.iterdir() if "seats" in file.name]
