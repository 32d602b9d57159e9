"""The reference page of a person's own pages names every page and verb that there is."""

from __future__ import annotations

import re
from pathlib import Path

from safehold.keeper.door import AS_SELF_ACTIONS, BY_PEOPLE, SPOKEN
from safehold.portal.pages import me

TEXT = (Path(__file__).parents[2] / "docs" / "reference" / "my-data.md").read_text("utf-8")
LOOKING = {"people.uses", "people.use", "people.held", "people.journey", "people.receipts"}


def test_every_page_is_named_and_no_other():
    there = {
        route.path for part in vars(me).values() if hasattr(part, "router")
        for route in part.router.routes
    }  # fmt: skip
    assert set(re.findall(r"^\| `(/me[^`]*)` \|", TEXT, re.MULTILINE)) == there


def test_every_verb_is_named_and_is_the_persons_own():
    assert set(re.findall(r"^\| `(people\.[^`]*)` \|", TEXT, re.MULTILINE)) == LOOKING
    for verb in LOOKING:
        assert verb in BY_PEOPLE
        assert SPOKEN[verb] == "proof"
        assert AS_SELF_ACTIONS[verb] == "see_own_trail"
