"""What a charter says about emergencies is read, kept, told and shown in the schema; never is a word, not a gap."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests import amending

from safehold import charter as charters
from safehold.charter import Charter
from safehold.charter.explain import LANGUAGES, explain, reading_ease
from safehold.charter.jsonschema import schema
from safehold.charter.oversight import BreakGlass
from safehold.charter.parse import parse
from safehold.errors import InvalidError

TEXT = charters.shipped("demo").read_text("utf-8")
NEVER = "break_glass: never"
SAID = "break_glass: {approvers: 1, seats: [security, privacy], max: 15m, reviews: 2}"
GLASS = BreakGlass(approvers=1, seats=("security", "privacy"), max_s=900, reviews=2)


def test_what_is_said_is_read_and_kept() -> None:
    never, glass = parse(TEXT), parse(TEXT.replace(NEVER, SAID))
    assert never.oversight.break_glass is None
    assert glass.oversight.break_glass == GLASS
    assert never.to_json()["oversight"]["break_glass"] == "never"  # as it was ever signed
    for one in (never, glass):
        assert Charter.from_json(one.to_json()) == one
    assert parse(TEXT.replace(NEVER, "")).digest() == never.digest()  # unsaid is never


@pytest.mark.parametrize(
    ("said", "rule"),
    [
        ("break_glass: sometimes", "charter.choice"),
        ("break_glass: null", "charter.empty_value"),
        ("break_glass: []", "charter.shape"),
        ("break_glass: {}", "charter.missing_key"),
        (SAID.replace("15m", "16m"), "charter.break_glass.length"),
        (SAID.replace("reviews: 2", "reviews: 1"), "charter.break_glass.reviews"),
        (SAID.replace(", reviews: 2", ""), "charter.missing_key"),
        (SAID.replace("privacy]", "king]"), "charter.choice"),
        (SAID.replace("}", ", red_lines: none}"), "charter.unknown_key"),
    ],
)
def test_anything_else_is_refused_with_its_line(said: str, rule: str) -> None:
    with pytest.raises(InvalidError) as caught:
        parse(TEXT.replace(NEVER, said))
    assert caught.value.rule == rule
    line = TEXT[: TEXT.index(NEVER)].count("\n") + 1
    assert f"row {line}" in str(caught.value)


@pytest.mark.parametrize("stored", [None, "sometimes", {}, []])
def test_a_tree_says_never_in_one_way(stored: object) -> None:
    tree = parse(TEXT).to_json()
    tree["oversight"]["break_glass"] = stored
    with pytest.raises(InvalidError):
        Charter.from_json(tree)


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_emergency_is_told_in_easy_words(language: str) -> None:
    def told(glass: BreakGlass | None) -> list[str]:
        board = replace(base.oversight, break_glass=glass)
        return explain(replace(base, oversight=board), language).sentences()

    base = amending.full()
    said = told(GLASS)
    fresh = [one for one in said if one not in told(None)]
    assert len(fresh) == 2
    assert not [one for one in fresh if "{" in one or "None" in one]
    assert max(len(one.split()) for one in fresh) <= 45
    assert reading_ease(fresh, language) >= 50
    for changed in ({"approvers": 2}, {"seats": ("legal",)}, {"max_s": 60}, {"reviews": 3}):
        assert told(replace(GLASS, **changed)) != said


def test_an_editor_offers_the_word_and_the_keys() -> None:
    word, keys = schema()["properties"]["oversight"]["properties"]["break_glass"]["oneOf"]
    assert word == {"enum": ["never"]}
    assert set(keys["properties"]) == {"approvers", "seats", "max", "reviews"}
    assert sorted(keys["required"]) == sorted(keys["properties"])
