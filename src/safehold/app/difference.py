"""What the command line says about the difference of two charters."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from safehold.app.charters import charter_in_force
from safehold.charter import Charter, load
from safehold.charter.difference import compare
from safehold.charter.difference.words import load as words_of
from safehold.charter.explain import LANGUAGES
from safehold.errors import InvalidError
from safehold.settings import Home

MEANS: Final[Mapping[str, str]] = {
    "same": "nothing but the version may differ",
    "narrow": "less is allowed, and nothing more: one seat of the board may do this",
    "widen": "more is allowed, or less is protected: this takes the widening quorum and its notice",
}


def compare_charters(
    old: Path | None, new: Path, *, home: Path, language: str = "en"
) -> dict[str, Any]:
    """Return what changes from one charter to the next.

    Args:
        old: The charter before; None for the one in force, and where none is, everything is new.
        new: The charter after.
        home: Where the charter in force lies.
        language: Of the sentences: ``en`` or ``de``.

    Raises:
        MissingError: There is no such file, or no such home.
        InvalidError: One of them is no charter, or does not compile; or there are no words of this language.
    """
    if language not in LANGUAGES:
        raise InvalidError(
            "no words of this language",
            rule="charter.language",
            fix=f"one of {', '.join(LANGUAGES)}",
        )
    before: Charter | None
    if old is not None:
        before = load(old)
    else:
        place = Home.open(home)
        before = charter_in_force(place) if place.charter_file.exists() else None
    return compare(before, load(new)).to_json(words_of(language))


def in_lines(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the same for people: each change on a line, its clause before its sentence."""
    old, new = found["old"], found["new"]
    before = "no charter" if old is None else f"version {old['version']}"
    if found["direction"] == "same":
        alike = old["digest"] == new["digest"]
        said = "these are the same charter" if alike else "only the version differs"
    else:
        said = MEANS[found["direction"]]
    return {
        "direction": f"{found['direction']} ({said})",
        "compared": f"{before} with version {new['version']}",
        "becomes possible, or is protected less": _lines(found["allowed"]),
        "ends, or is protected more": _lines(found["denied"]),
    }


def _lines(changes: list[dict[str, Any]]) -> list[str]:
    return [f"{change['clause']}: {change['sentence']}" for change in changes]


__all__ = ["compare_charters", "in_lines"]
