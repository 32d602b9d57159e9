"""The reference pages of evidence say what the code has: rows, controls, probes, files and states."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from safehold.app.evidence.bundle import WHOLE
from safehold.app.evidence.chain import MOST_HEADS
from safehold.assurance.control import STATES, shipped
from safehold.assurance.evidence.oscal import FILES, OSCAL, OWN
from safehold.assurance.probe import PROBES

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_catalogue_page_is_what_the_catalogue_says() -> None:
    spec = importlib.util.spec_from_file_location("controls", DOCS / "generate_controls.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    page = (DOCS / "reference" / "controls.md").read_text("utf-8")
    assert page == module.write(shipped()), "python docs/generate_controls.py"
    assert "No counsel has checked it" in page
    for name in (*PROBES, *shipped().controls, *(row.id for row in shipped().rows)):
        assert name in page
    assert all(f"| `{name}` | |" not in page for name in PROBES), "every probe says what it judges"


def test_the_evidence_page_names_files_states_and_limits() -> None:
    page = (DOCS / "reference" / "evidence.md").read_text("utf-8")
    for state in STATES:
        assert f"`{state}`" in page
    for name in FILES:
        assert name in page
    for line in shipped().limits:
        assert line in page
    assert OSCAL in page
    assert OWN in page
    assert f"{WHOLE:,} entries" in page or f"at most {WHOLE:,}" in page
    assert f"at most {MOST_HEADS}" in page
