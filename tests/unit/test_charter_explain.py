"""The charter in plain words: every clause is in it, in each language, and the words are easy."""

from __future__ import annotations

import json
import string
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from importlib import resources
from typing import Any

import pytest

from safehold.charter import Charter, load, shipped
from safehold.charter.clauses import clauses
from safehold.charter.explain import LANGUAGES, explain, reading_ease
from safehold.charter.explain.readability import count_syllables
from safehold.charter.record import hints, key_of, optional
from safehold.errors import InvalidError

EASY = {"en": 65.0, "de": 55.0}


@pytest.fixture(scope="module", params=["demo", "example"])
def charter(request: pytest.FixtureRequest) -> Charter:
    return load(shipped(request.param))


WORDS = tuple[str, ...]


def other(value: Any, declared: Any) -> Any:
    """Return another value of the same kind."""
    kind = optional(declared)
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case "<=" | ">=" | "==":
            return "<"
        case str():
            return value + "x"
        case tuple():
            return (*value, "else")
        case None if is_dataclass(kind):
            made = {
                one.name: {int: 1, str: "x", WORDS: ("security",)}[hints(kind)[one.name]]
                for one in fields(kind)
                if hints(kind)[one.name] in (int, str, WORDS)
            }
            return kind(**made)
        case None:
            return {int: 9, bool: True}.get(kind, "else") if isinstance(kind, type) else ("else",)
        case _:
            raise AssertionError(type(value))


def changed(item: Any, path: list[str]) -> Any:
    """Return a record in which one clause has another value."""
    if isinstance(item, Mapping):
        return {**item, path[0]: changed(item[path[0]], path[1:])}
    if isinstance(item, tuple):
        return tuple(
            changed(entry, path[1:])
            if path[0] == (getattr(entry, "what", None) or entry.id)
            else entry
            for entry in item
        )
    (field,) = [one for one in fields(item) if key_of(one) == path[0]]
    value = getattr(item, field.name)
    if len(path) == 1 and not is_dataclass(value):
        return replace(item, **{field.name: other(value, hints(type(item))[field.name])})
    return replace(item, **{field.name: changed(value, path[1:])})


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_clause_is_told(charter: Charter, language: str) -> None:
    before = explain(charter, language).text()
    silent = [
        clause
        for clause, value in clauses(charter).items()
        if (clause, value) != ("gates", [])  # a list of records, told where there are some
        and explain(changed(charter, clause.split(".")), language).text() == before
    ]
    assert not silent


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_words_are_easy(charter: Charter, language: str) -> None:
    told = explain(charter, language).sentences()
    assert reading_ease(told, language) >= EASY[language]
    assert max(len(one.split()) for one in told) <= 45


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_of_the_program_shows(charter: Charter, language: str) -> None:
    text = explain(charter, language).text()
    assert "{" not in text
    assert "None" not in text
    assert ".." not in text.replace("...", "")
    assert "  " not in text


def catalogues() -> dict[str, Any]:
    folder = resources.files("safehold.charter.explain")
    return {
        language: json.loads(folder.joinpath(f"sentences_{language}.json").read_text("utf-8"))
        for language in LANGUAGES
    }


def slots(template: str) -> set[str | None]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}


def test_the_languages_say_the_same() -> None:
    first, *rest = catalogues().values()
    for catalogue in rest:
        assert catalogue["sentences"].keys() == first["sentences"].keys()
        for message, template in catalogue["sentences"].items():
            assert slots(template) == slots(first["sentences"][message]), message
        assert catalogue["words"].keys() == first["words"].keys()
        for kind, words in catalogue["words"].items():
            assert words.keys() == first["words"][kind].keys(), kind


def test_what_is_masked_and_heard_where_the_charter_says_nothing_is_told_as_it_is_done(
    charter: Charter,
) -> None:
    item = replace(
        charter.collect[0],
        minimise=replace(charter.collect[0].minimise, dlp=(), channels=None),
    )
    text = explain(replace(charter, collect=(item,))).text()
    assert "health, money and legal matters" in text
    assert "channels of this kind: public" in text


def test_an_unknown_language_is_refused(charter: Charter) -> None:
    with pytest.raises(InvalidError):
        explain(charter, "xx")


@pytest.mark.parametrize(
    ("word", "language", "count"),
    [
        ("cat", "en", 1), ("people", "en", 2), ("make", "en", 1), ("recorded", "en", 3),
        ("masked", "en", 1), ("table", "en", 2), ("nobody", "en", 3), ("rhythm", "en", 1),
        ("uses", "en", 2), ("the", "en", 1), ("Haus", "de", 1), ("Schlüssel", "de", 2),
        ("Daten", "de", 2), ("niemand", "de", 2), ("Vertreterin", "de", 4), ("See", "de", 1),
    ],
)  # fmt: skip
def test_syllables(word: str, language: str, count: int) -> None:
    assert count_syllables(word, language) == count


def test_harder_words_are_harder() -> None:
    easy = ["You can stop. We tell you why."]
    hard = [
        "Notwithstanding organisational considerations, participation necessitates authorisation."
    ]
    assert reading_ease(easy, "en") > 90
    assert reading_ease(hard, "en") < 0
    assert reading_ease([], "en") == 0


@pytest.mark.parametrize(("language", "none"), [("en", "no channel"), ("de", "keine")])
def test_where_no_channel_is_recorded_none_is_told(
    charter: Charter, language: str, none: str
) -> None:
    def told(channels: tuple[str, ...] | None) -> str:
        less = replace(charter.collect[0].minimise, channels=channels)
        return explain(
            replace(charter, collect=(replace(charter.collect[0], minimise=less),)), language
        ).text()

    lines = set(told(()).split(". ")) - set(told(None).split(". "))
    assert len(lines) == 1
    assert none in lines.pop()
