"""Words with a fixed meaning: uses and categories of data, from three vocabularies.

A selection of fideslang (CC BY 4.0) and of the W3C Data Privacy Vocabulary is shipped as
``terms.json`` with
attribution, beside Safehold's own ``sh:`` terms for what neither vocabulary can say. Terms form a
hierarchy: a
forbidden term forbids all that lies under it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType

from safehold.errors import InvalidError


@dataclass(frozen=True, slots=True)
class Term:
    """One word of a vocabulary.

    Args:
        name: ``vocabulary:key``, for example ``fides:employment``.
        kind: ``use``, ``category``, ``subject``, ``consent`` or ``law``.
        under: Names of the broader terms, nearest first.
    """

    name: str
    kind: str
    under: tuple[str, ...]


@cache
def catalogue() -> MappingProxyType[str, Term]:
    """Return every known term by its name."""
    text = resources.files("safehold.charter").joinpath("terms.json").read_text("utf-8")
    return MappingProxyType(
        {
            entry["term"]: Term(entry["term"], entry["kind"], tuple(entry["under"]))
            for entry in json.loads(text)["terms"]
        }
    )


def find(word: str, *, kind: str, vocabulary: str = "fides") -> Term:
    """Return the term that a word of the charter means.

    Args:
        word: With its vocabulary (``dpv:Marketing``) or, in ``vocabulary`` or in ``sh``, without.
        kind: What the term must be.
        vocabulary: Where a bare word is looked for first.

    Raises:
        InvalidError: No vocabulary has such a term of this kind.
    """
    names = (word,) if ":" in word else (f"{vocabulary}:{word}", f"sh:{word}")
    for name in names:
        term = catalogue().get(name)
        if term is not None and term.kind == kind:
            return term
    raise InvalidError(
        f"no known {kind} has this name",
        rule="charter.term",
        fix="use a term listed in docs/reference/charter.md",
    )


@cache
def ancestors(name: str) -> frozenset[str]:
    """Return every broader term of a term, without itself."""
    found: set[str] = set()
    pending = list(catalogue()[name].under)
    while pending:
        broader = pending.pop()
        if broader not in found:
            found.add(broader)
            pending.extend(catalogue()[broader].under)
    return frozenset(found)


@cache
def within(name: str) -> frozenset[str]:
    """Return a term and everything that lies under it."""
    return frozenset({name}) | {other for other in catalogue() if name in ancestors(other)}


def overlaps(name: str, other: str) -> bool:
    """Tell whether one term is, lies under, or contains the other."""
    return name == other or name in ancestors(other) or other in ancestors(name)
