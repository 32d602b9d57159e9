"""The reference of the blast radius lists what there is."""

from __future__ import annotations

import re
from pathlib import Path

from safehold.incident import index, responder, target
from safehold.incident.blast import SHOWN

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/reference/blast-radius.md").read_text("utf-8")
SOURCES = [
    *sorted((ROOT / "src/safehold/incident").glob("*.py")),
    ROOT / "src/safehold/app/blast.py",
]


def test_every_rule_is_listed_and_no_other() -> None:
    text = "\n".join(one.read_text("utf-8") for one in SOURCES)
    raised = set(re.findall(r'rule="(blast\.[a-z-]+)"', text))
    listed = set(re.findall(r"`(blast\.[a-z-]+)`", PAGE))
    assert raised == listed


def test_every_part_of_a_target_is_listed() -> None:
    for name in target.Target.__dataclass_fields__:
        assert f"`{name}`" in PAGE


def test_what_is_fixed_is_as_it_is_written() -> None:
    assert f"{index.EACH:,} leaves" in PAGE
    assert index._FILE.decode() in PAGE
    assert index._PLACE.decode() in PAGE
    assert f"at most {SHOWN}" in PAGE
    assert responder.DOMAIN in PAGE
    assert responder.VERSION in PAGE
    assert {"incident.blast", "incident.reached"} <= set(re.findall(r"`(incident\.[a-z]+)`", PAGE))
