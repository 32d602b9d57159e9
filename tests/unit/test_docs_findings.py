"""Every finding that a monitor can make is described, and no other."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = (
    *(ROOT / "src/safehold/ledger").glob("monitor*.py"),
    ROOT / "src/safehold_verify/course.py",
)


def test_findings_and_their_page_agree() -> None:
    made = {
        rule
        for file in SOURCES
        for rule in re.findall(
            r'(?:Finding\(\s*|rule, wrong = )"([a-z.]+)"', file.read_text("utf-8")
        )
    }
    page = (ROOT / "docs/reference/findings.md").read_text("utf-8")
    described = re.findall(r"^\| `([a-z.]+)` \|", page, re.MULTILINE)
    assert sorted(described) == sorted(made)
