"""What pages say, in the languages they speak.

English stands where it is used, as ``t("Stop recording")``; the other languages are files beside this one, one a
group of pages, each a map from the English text. Placeholders are ``{name}``. A text without translation is shown in
English; a test finds it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources
from typing import Any, Final

ENGLISH: Final = "en"
Translate = Callable[..., str]


@cache
def texts(language: str) -> Mapping[str, str]:
    """Return every translated text of a language.

    Raises:
        ValueError: Two files translate one text differently.
    """
    found: dict[str, str] = {}
    if language == ENGLISH:
        return found
    folder = resources.files(__name__).joinpath(language)
    for file in sorted(folder.iterdir(), key=lambda one: one.name):
        if not file.name.endswith(".json"):
            continue
        for english, other in json.loads(file.read_text("utf-8")).items():
            if found.setdefault(english, other) != other:
                raise ValueError(f"two translations of one text, the second in {file.name}")
    return found


def translator(language: str) -> Translate:
    """Return what turns English texts into a language."""
    known = texts(language)

    def translate(english: str, **values: Any) -> str:
        text = known.get(english, english)
        return text.format(**values) if values else text

    return translate


def mark(english: str) -> str:
    """Return a text of code as it is; a page translates it later, and a test sees that it can."""
    return english


def choose_language(asked: str | None, accepted: str, spoken: tuple[str, ...]) -> str:
    """Return the language to speak (RFC 9110, section 12.5.4).

    Args:
        asked: What the visitor chose here, if they did.
        accepted: ``Accept-Language``.
        spoken: What the portal speaks, first what it speaks if nothing is asked for.
    """
    if asked in spoken:
        return asked
    best, quality = spoken[0], 0.0
    for part in accepted.split(",")[:20]:
        name, _, parameter = part.strip().partition(";")
        code = name.strip().lower().split("-")[0]
        try:
            weight = float(parameter.strip().removeprefix("q=")) if parameter else 1.0
        except ValueError:
            continue
        if code in spoken and weight > quality:
            best, quality = code, weight
    return best
