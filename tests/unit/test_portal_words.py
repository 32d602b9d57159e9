"""Every text of the pages is there in every language, once, with the same placeholders."""

from __future__ import annotations

import ast
import json
import re
from importlib import resources
from pathlib import Path

import jinja2
import pytest

from safehold.portal.words import choose_language, texts, translator

PORTAL = Path(str(resources.files("safehold.portal")))
LANGUAGES = [
    one.name for one in (PORTAL / "words").iterdir() if one.is_dir() and len(one.name) == 2
]


def test_there_is_another_language():
    assert LANGUAGES == ["de"]


def said_in_templates() -> set[str]:
    """Return the text of each ``t("...")``, and what else stands there to be translated."""
    found = set()
    environment = jinja2.Environment(autoescape=True)
    for file in (PORTAL / "templates").rglob("*.html"):
        tree = environment.parse(file.read_text("utf-8"))
        for call in tree.find_all(jinja2.nodes.Call):
            if isinstance(call.node, jinja2.nodes.Name) and call.node.name == "t":
                first = call.args[0]
                if isinstance(first, jinja2.nodes.Const):
                    found.add(first.value)
        if file.name == "done.html":
            for table in tree.find_all(jinja2.nodes.Dict):
                found |= {pair.value.value for pair in table.items}
    return found


def said_in_code() -> set[str]:
    """Return texts of code: ``t("...")``, ``mark("...")``, menus, titles of errors."""
    found = set()
    for file in PORTAL.rglob("*.py"):
        tree = ast.parse(file.read_text("utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and node.args:
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                first = node.args[0]
                if name in {"t", "mark"} and isinstance(first, ast.Constant):
                    found.add(first.value)
    from safehold.portal.pages import GROUPS
    from safehold.portal.problem import TITLES

    found |= set(TITLES.values())
    for group in GROUPS:
        found |= {text for _, text, _ in group.MENU}
    return {one for one in found if isinstance(one, str)}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_translated_and_none_is_left_over(language):
    known, said = texts(language), said_in_templates() | said_in_code()
    assert said - set(known) == set()
    assert set(known) - said == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_placeholders_are_the_same(language):
    for english, other in texts(language).items():
        assert sorted(re.findall(r"{\w+}", english)) == sorted(re.findall(r"{\w+}", other)), english


def test_no_file_says_a_text_twice():
    for file in (PORTAL / "words").rglob("*.json"):
        pairs = json.loads(file.read_text("utf-8"), object_pairs_hook=list)
        assert len({key for key, _ in pairs}) == len(pairs), file.name


def test_the_language_is_the_one_asked_for():
    assert choose_language("de", "en", ("en", "de")) == "de"
    assert choose_language(None, "fr, de;q=0.8, en;q=0.5", ("en", "de")) == "de"
    assert choose_language("xx", "de;q=oops", ("en", "de")) == "en"
    assert translator("de")("With {name}", name="x") == "Mit x"
    assert translator("en")("no such text") == "no such text"
