"""The reference page of the drill lists the scenarios, limits, options and measures that there are."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from safehold.app.drill.nightly import NIGHT
from safehold.app.drill.run import find_case
from safehold.assurance.drill.scenario import BY_ID, SCENARIOS

DOCS = Path(__file__).resolve().parents[2] / "docs"


def generator():
    spec = importlib.util.spec_from_file_location("generate_drill", DOCS / "generate_drill.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_is_what_the_code_has() -> None:
    page = (DOCS / "reference" / "drill.md").read_text("utf-8")
    assert generator().with_table(page) == page, "python docs/generate_drill.py"
    for measure in (
        "replay.any_employee_records",
        "replay.max_segments_exposed",
        "replay.people_exposed",
    ):
        assert measure in page


def test_every_scenario_has_its_attack_its_lake_and_its_control() -> None:
    for one in SCENARIOS:
        case = find_case(one)
        assert case is not None, one.id
        for name in ("attempt", "lake", "control", *(["at_level"] if one.levels else [])):
            assert callable(getattr(case, name)), f"{one.id} has no {name}"
        assert (case.__doc__ or "").startswith(one.id), "its row of the note is its docstring"


def test_what_runs_every_night_is_there() -> None:
    assert set(NIGHT) <= set(BY_ID)
