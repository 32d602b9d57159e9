"""Words with a fixed meaning: uses and categories of data, from three vocabularies.

A selection of fideslang (CC BY 4.0) and of the W3C Data Privacy Vocabulary is shipped as ``terms.json`` with
attribution, beside Safehold's own ``sh:`` terms for what neither vocabulary can say. Terms form a hierarchy: a
forbidden term forbids all that lies under it.

The vocabularies know nothing of each other, so ``terms.json`` also links their terms: ``same``, or ``under``. A
link makes a ban reach into the other vocabularies. It never makes a change of a charter narrower: what is
narrower is decided by each vocabulary's own hierarchy too.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any, Final

from safehold.errors import InvalidError

SAME: Final = "same"
UNDER: Final = "under"
# which vocabularies a slot of the charter takes
SLOTS: Final = MappingProxyType({"fides": ("fides",), "dpv": ("dpv", "pd"), "sh": ("sh",)})


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


@dataclass(frozen=True, slots=True)
class Link:
    """What one term means in the words of another.

    Args:
        term: A term.
        relation: ``same`` or ``under``.
        other: A term of the same kind, mostly of another vocabulary.
        because: Why, in words.
    """

    term: str
    relation: str
    other: str
    because: str


@cache
def catalogue() -> MappingProxyType[str, Term]:
    """Return every known term by its name."""
    return MappingProxyType(
        {
            entry["term"]: Term(entry["term"], entry["kind"], tuple(entry["under"]))
            for entry in _shipped()["terms"]
        }
    )


@cache
def links() -> tuple[Link, ...]:
    """Return what terms mean in the words of others."""
    return tuple(
        Link(entry["term"], entry["is"], entry["other"], entry["because"])
        for entry in _shipped()["links"]
    )


@cache
def _shipped() -> dict[str, Any]:
    text = resources.files("safehold.charter").joinpath("terms.json").read_text("utf-8")
    shipped: dict[str, Any] = json.loads(text)
    return shipped


def vocabulary_of(name: str) -> str:
    """Return the vocabulary of a term."""
    return name.partition(":")[0]


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
        fix="use a term listed in docs/reference/terms.md",
    )


def find_in(word: str, *, kind: str, slot: str) -> Term:
    """Return the term that a word means in the slot of one vocabulary, which takes terms of no other.

    Raises:
        InvalidError: No vocabulary has such a term of this kind, or another one does.
    """
    term = find(word, kind=kind, vocabulary=slot)
    if vocabulary_of(term.name) not in SLOTS[slot]:
        raise InvalidError(
            "this is a term of another vocabulary",
            rule="charter.term.vocabulary",
            fix=f"write a term that begins with {' or '.join(f'{one}:' for one in SLOTS[slot])}",
        )
    return term


@cache
def ancestors(name: str) -> frozenset[str]:
    """Return every broader term of a term in its own vocabulary, without itself."""
    found: set[str] = set()
    pending = list(catalogue()[name].under)
    while pending:
        broader = pending.pop()
        if broader not in found:
            found.add(broader)
            pending.extend(catalogue()[broader].under)
    return frozenset(found)


@cache
def below(name: str) -> frozenset[str]:
    """Return a term and everything that lies under it in its own vocabulary."""
    return frozenset({name}) | {other for other in catalogue() if name in ancestors(other)}


@cache
def within(name: str) -> frozenset[str]:
    """Return a term and everything that lies under it or means the same, in every vocabulary."""
    found, pending = {name}, [name]
    while pending:
        for narrower in _narrower()[pending.pop()] - found:
            found.add(narrower)
            pending.append(narrower)
    return frozenset(found)


@cache
def _narrower() -> MappingProxyType[str, frozenset[str]]:
    """Return the next narrower terms of each term, by hierarchy and by link."""
    found: dict[str, set[str]] = {name: set() for name in catalogue()}
    for name, term in catalogue().items():
        for broader in term.under:
            found[broader].add(name)
    for link in links():
        found[link.other].add(link.term)
        if link.relation == SAME:
            found[link.term].add(link.other)
    return MappingProxyType({name: frozenset(under) for name, under in found.items()})


def overlaps(name: str, other: str) -> bool:
    """Tell whether something is both: the terms are the same, or share a term that lies under both."""
    return not within(name).isdisjoint(within(other))


@cache
def touched(name: str) -> frozenset[str]:
    """Return every term that overlaps one."""
    return frozenset(other for other in catalogue() if overlaps(name, other))


def counterparts(name: str) -> frozenset[str]:
    """Return every term that overlaps one, but for those that overlap whatever there is."""
    alike = {other for other, term in catalogue().items() if term.kind == catalogue()[name].kind}
    return frozenset(other for other in touched(name) if not alike <= touched(other))
