"""What each red line enforces, and what a charter leaves unsaid."""

from __future__ import annotations

from pathlib import Path

import pytest

from safehold.charter import load, parse, shipped
from safehold.charter.gaps import gaps, machine_forms


def test_the_example_of_the_outside_has_a_form_for_each_line_and_its_gaps_are_named(
    shared_data: Path,
) -> None:
    charter = load(shared_data.parent / "examples" / "charter.yaml")
    forms = machine_forms(charter)
    assert set(forms) == {line.id for line in charter.red_lines}
    assert all(forms.values())
    assert forms["no-single-person-query"] == {"min_people": 50}
    assert forms["no-cross-join"]["beside"] == ["hr", "badge", "payroll", "medical"]
    said = gaps(charter)
    for words in ("sh:reidentify", "without these attacks", "stage query", "speech, screen"):
        assert [line for line in said if words in line], words


def test_our_own_copy_has_none_of_its_gaps() -> None:
    charter = load(shipped("example"))
    assert all(machine_forms(charter).values())
    assert gaps(charter) == []


@pytest.mark.parametrize(
    ("cut", "words"),
    [
        ("sh:reidentify", "sh:reidentify"),
        ("attack: canary", "canary (gates)"),
        ("stages: [query]", "stage query"),
    ],
)
def test_each_gap_shows_when_its_statement_goes(cut: str, words: str) -> None:
    text = shipped("example").read_text("utf-8")
    assert cut in text
    change = {
        "sh:reidentify": "sh:infer_emotion",
        "attack: canary": "attack: invert",
        "stages: [query]": "stages: [private_join]",
    }
    said = gaps(parse(text.replace(cut, change[cut])))
    assert [line for line in said if words in line], said


def test_promises_that_nothing_measures_and_a_restart_that_cannot_come_are_named() -> None:
    text = shipped("example").read_text("utf-8")
    other = text.replace("measure: stop.p100_seconds", "measure: stop.seconds")
    assert [line for line in gaps(parse(other)) if "so none is kept: stop" in line]
    lines = [line for line in text.splitlines() if "measure: replay." not in line]
    assert [line for line in gaps(parse("\n".join(lines))) if "stays stopped" in line]
