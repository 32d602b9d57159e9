"""The words of a difference in every language: the same sentences, the same places to fill, easy to read."""

from __future__ import annotations

import json
import string
from dataclasses import replace
from importlib import resources
from typing import Any

import pytest

from safehold.charter import load, shipped
from safehold.charter.difference import compare
from safehold.charter.difference.words import load as words_of
from safehold.charter.explain import LANGUAGES, reading_ease


def catalogue(language: str) -> dict[str, Any]:
    file = resources.files("safehold.charter.difference").joinpath(f"words_{language}.json")
    return dict(json.loads(file.read_text("utf-8")))


def slots(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_says_the_same(language: str) -> None:
    first, other = catalogue("en"), catalogue(language)
    assert other["sentences"].keys() == first["sentences"].keys()
    for message, template in other["sentences"].items():
        assert slots(template) == slots(first["sentences"][message]), message
    assert other["units"].keys() == first["units"].keys()
    for kind, words in first["words"].items():
        assert words.keys() <= other["words"][kind].keys(), kind


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_difference_reads_in_every_language(language: str) -> None:
    old = load(shipped("example"))
    item = replace(old.collect[0], keep_days=old.collect[0].keep_days + 7)
    new = replace(old, version=2, collect=(item, *old.collect[1:]), red_lines=old.red_lines[:-1])
    told = [one.words(words_of(language)) for one in compare(old, new).allowed]
    assert any("21" in one for one in told)
    assert not [one for one in told if "{" in one or "None" in one]
    if language != "en":
        assert not set(told) & {one.sentence for one in compare(old, new).allowed}


def test_german_sentences_are_easy() -> None:
    templates = [
        template.replace("{", "").replace("}", "")
        for template in catalogue("de")["sentences"].values()
    ]
    assert reading_ease(templates, "de") >= 55
