"""`safehold charter diff`: what it prints for people and for programs, and that its page names every rule."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from safehold import canonical, charter
from safehold.app.difference import compare_charters, in_lines
from safehold.charter.difference.field import ORDERS
from safehold.cli import build
from safehold.errors import InvalidError, MissingError
from safehold.settings import Home

TEXT = charter.shipped("example").read_text("utf-8")
PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "difference.md"


@pytest.fixture
def files(tmp_path):
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text(TEXT)
    new.write_text(TEXT.replace("version: 1", "version: 2").replace("keep: 7d", "keep: 8d"))
    return old, new


def run(*words):
    return CliRunner().invoke(build(), ["charter", "diff", *map(str, words)])


def test_it_prints_the_direction_and_each_change_with_its_clause(files):
    done = run(*files)
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0].startswith("direction: widen (")
    assert lines[1] == "compared: version 1 with version 2"
    assert (
        "  - collect.speech.keep: Meeting transcripts may now be kept for 8 days instead of 7 days."
        in lines
    )
    assert lines[-1] == "ends, or is protected more: -"
    done = run(*reversed(files), "--json")
    found = json.loads(done.stdout)
    assert (done.exit_code, found["direction"], found["allowed"]) == (0, "narrow", [])
    assert [change["clause"] for change in found["denied"]] == [
        "collect.speech.keep",
        "collect.screen.keep",
    ]
    assert found["old"]["version"] == 2


def test_it_says_when_only_the_version_differs(files, tmp_path):
    third = tmp_path / "third.yaml"
    third.write_text(TEXT.replace("version: 1", "version: 3"))
    assert run(files[0], third).stdout.startswith("direction: same (only the version differs)\n")
    assert run(files[0], files[0]).stdout.startswith(
        "direction: same (these are the same charter)\n"
    )


def test_with_one_file_it_compares_with_the_charter_in_force(files, tmp_path):
    home = tmp_path / "home"
    with pytest.raises(MissingError):
        compare_charters(None, files[1], home=home)
    place = Home.create(home)
    first = compare_charters(None, files[1], home=home)
    assert (first["old"], first["direction"]) == (None, "widen")
    assert in_lines(first)["compared"] == "no charter with version 2"
    place.charter_file.write_bytes(canonical.encode({"charter": charter.load(files[0]).to_json()}))
    found = compare_charters(None, files[1], home=home)
    assert (found["old"]["version"], found["direction"]) == (1, "widen")
    assert len(found["allowed"]) == 2


def test_what_is_no_charter_is_refused(files, tmp_path):
    broken = tmp_path / "broken.yaml"
    broken.write_text(TEXT + "\nextra: 1\n")
    with pytest.raises(InvalidError):
        compare_charters(files[0], broken, home=tmp_path)
    assert run(files[0], tmp_path / "none.yaml").exit_code != 0


def test_the_page_names_every_field_that_has_a_rank():
    text = PAGE.read_text("utf-8")
    table = text[text.index("## Every other field") : text.index("Whatever else changes")]
    # words have no rank: whatever becomes of them counts as wider
    ranked = {
        pattern
        for pattern, order in ORDERS.items()
        if not order.judge.__qualname__.startswith("words.")
    }
    assert len(ranked) > 50
    missing = {pattern for pattern in ranked if f"`{pattern}`" not in table}
    assert not missing
