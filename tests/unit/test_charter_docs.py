"""Every key and every guard stands in the reference."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import get_args, get_origin

from tests import boardroom

from safehold.charter import record
from safehold.charter.model import Charter
from safehold.charter.vocabulary import ACTIONS, STAGES

DOCS = Path(__file__).resolve().parents[2] / "docs" / "reference"


def keys(kind, path=""):
    for each in fields(kind):
        name = f"{path}.{record.key_of(each)}".lstrip(".")
        declared = record.optional(record.hints(kind)[each.name])
        origin = get_origin(declared)
        suffix = {tuple: "[]", Mapping: ".<name>"}.get(origin, "")
        inner = get_args(declared)[-1 if origin is Mapping else 0] if suffix else declared
        if is_dataclass(inner) and each.metadata.get("read") is None:
            yield from keys(inner, name + suffix)
        else:
            yield name


def test_every_key_is_documented_and_every_documented_key_exists():
    text = (DOCS / "charter.md").read_text("utf-8")
    table = text[text.index("## Keys") : text.index("## Red lines")]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    documented = {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}
    assert documented == set(keys(Charter)) | {"signatures"}


def test_every_guard_action_and_stage_is_documented():
    text = (DOCS / "policy.md").read_text("utf-8")
    for rule in boardroom.policy("example").rules:
        kind, _, name = rule.id.partition(".")
        if kind == "guard":
            name = re.sub(r"^(closed|blind|approvers)-.*", r"\1-<", name)
            assert f"`{name}" in text, rule.id
    assert all(f"`{action}`" in text for action in ACTIONS)
    assert all(f"`{stage}`" in (DOCS / "charter.md").read_text("utf-8") for stage in STAGES)
