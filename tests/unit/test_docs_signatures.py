"""The page about signatures names every kind and every rule, and the facts that each kind takes."""

import inspect
import re
from pathlib import Path

from safehold.app.signable import KINDS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/reference/signatures.md").read_text("utf-8")


def test_the_page_names_every_kind_with_its_facts():
    rows = {}
    for line in PAGE.splitlines():
        cells = [one.strip() for one in line.split("|")]
        if line.startswith("| `") and len(cells) == 5:
            for kind in re.findall(r"`([a-z-]+)`", cells[1]):
                rows[kind] = set(re.findall(r"`([a-z0-9_]+)`", cells[2]))
    assert set(rows) >= set(KINDS)
    for kind, build in KINDS.items():
        named = {
            one.name
            for one in inspect.signature(build).parameters.values()
            if one.kind is one.KEYWORD_ONLY
        }
        assert named <= rows[kind], kind


def test_the_page_names_every_rule_of_a_passkey():
    source = (ROOT / "src/safehold/passkey.py").read_text("utf-8")
    rules = set(re.findall(r'_refused\("([a-z_]+)"', source)) | {"value"}
    assert {f"passkey.{one}" for one in rules} <= set(re.findall(r"passkey\.[a-z_]+", PAGE))


def test_the_page_about_choices_names_every_choice_and_the_door():
    from safehold.keeper.change import MINE
    from safehold.keeper.door import AS_SELF_ACTIONS

    page = (ROOT / "docs/reference/choices.md").read_text("utf-8")
    assert [one for one in (*MINE, *AS_SELF_ACTIONS) if f"`{one}`" not in page] == []
