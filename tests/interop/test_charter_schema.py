"""The schema that editors use, judged by a validator of others."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from safehold.charter import parse, shipped
from safehold.charter.jsonschema import schema
from safehold.errors import InvalidError

SCHEMA = schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def tree_of(text: str) -> Any:
    yaml = YAML(typ="safe", pure=True)
    yaml.version = (1, 2)
    return yaml.load(text)


def text_of(tree: Any, path: Path) -> str:
    yaml = YAML()
    yaml.version = (1, 2)
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(tree, file)
    return path.read_text("utf-8")


@pytest.fixture(params=["demo", "example"])
def tree(request: pytest.FixtureRequest) -> Any:
    return tree_of(shipped(request.param).read_text("utf-8"))


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_shipped_charters_fit(tree: Any) -> None:
    assert not [error.message for error in VALIDATOR.iter_errors(tree)]


BROKEN: dict[str, Any] = {
    "an unknown key": lambda tree: tree.update(extra=1),
    "an unknown key deep inside": lambda tree: tree["collect"][0]["minimise"].update(extra=1),
    "a key that is missing": lambda tree: tree.pop("red_lines"),
    "an unknown term": lambda tree: tree["never_collect"].append("user.nothing"),
    "a term of another vocabulary": lambda tree: tree["collect"][0]["category"].update(
        fides="Interaction"
    ),
    "an unknown action": lambda tree: tree["who_may"]["engineer"]["do"].append("look"),
    "days without a unit": lambda tree: tree["collect"][0].update(keep=14),
    "hours where days are meant": lambda tree: tree["collect"][0].update(keep="14h"),
    "a bound without an operator": lambda tree: tree["promises"][0].update(must_be=1),
    "signatures in the text": lambda tree: tree["signatures"].append("me"),
    "a negative number": lambda tree: tree.update(version=-1),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_the_language_refuses_is_marked(tree: Any, case: str, tmp_path: Path) -> None:
    other = copy.deepcopy(tree)
    BROKEN[case](other)
    assert list(VALIDATOR.iter_errors(other)), "the editor marks it"
    with pytest.raises(InvalidError):
        parse(text_of(other, tmp_path / "charter.yaml"))


def test_every_word_of_a_closed_list_is_offered(tree: Any) -> None:
    roles = SCHEMA["properties"]["who_may"]["additionalProperties"]["properties"]
    for action in roles["do"]["items"]["enum"]:
        tree["who_may"]["engineer"]["do"] = [action]
        assert not list(VALIDATOR.iter_errors(tree))
    assert "query" in roles["do"]["items"]["enum"]
