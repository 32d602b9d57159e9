"""Words for people: sentences with named placeholders, and how each kind of value is said.

Every sentence of a difference is a template of a catalogue. What fills it is kept as it stands in the charter
(``Said``), so another language needs another catalogue and nothing else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final

Item = str | int


@dataclass(frozen=True, slots=True)
class Said:
    """Values of one kind, not yet in words.

    Args:
        kind: ``role``, ``action``, ``days``, ``people`` ...; tells the catalogue how to say it.
        items: The values; several are said as a list.
        missing: The charter states nothing here.
    """

    kind: str
    items: tuple[Item, ...] = ()
    missing: bool = False

    @classmethod
    def of(cls, kind: str, value: Any) -> Said:
        """Return a value of a record as what is said of it."""
        if value is None:
            return cls(kind, missing=True)
        return cls(kind, tuple(value) if isinstance(value, tuple | list | frozenset) else (value,))


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The words of one language.

    Args:
        sentences: Template by message.
        words: By kind, the word for each value; ``*`` stands for a value without a word of its own, ``-`` for
            a missing one, ``0`` for an empty list.
        both: How a list of two is joined, with ``{}`` twice.
        units: By kind, the unit of one and of several, or a name of a number format.
    """

    sentences: Mapping[str, str]
    words: Mapping[str, Mapping[str, str]]
    both: str
    units: Mapping[str, tuple[str, str]]

    def sentence(self, message: str, said: Mapping[str, Said], *, clause: str) -> str:
        """Return a sentence; one that this catalogue lacks is said in general words with its clause."""
        if message not in self.sentences:
            message = f"any.{message.rpartition('.')[2]}"
        template = self.sentences.get(message, self.sentences["any.changed"])
        filled = template.format_map(
            _Slots({name: self.say(one) for name, one in said.items()}, clause)
        )
        return filled[:1].upper() + filled[1:]

    def say(self, said: Said) -> str:
        """Return values in words."""
        words = self.words.get(said.kind, {})
        if said.missing:
            return words.get("-", self.words["*"]["-"])
        if not said.items:
            return words.get("0", self.words["*"]["0"])
        if said.kind in PAIRS:
            return PAIRS[said.kind](self, said.items)
        return self.joined(self._one(said.kind, item) for item in said.items)

    def joined(self, names: Iterable[str]) -> str:
        """Return names as a list in words."""
        *most, last = names
        return self.both.format(", ".join(most), last) if most else last

    def _one(self, kind: str, item: Item) -> str:
        words = self.words.get(kind, {})
        if (key := str(item).lower() if isinstance(item, bool) else str(item)) in words:
            return words[key]
        if kind == "seconds":
            return self._span(int(item))
        if kind in NUMBERS and isinstance(item, int):
            return NUMBERS[kind](item)
        if kind in self.units and isinstance(item, int):
            return f"{item:,} {self.units[kind][item != 1]}"
        return words.get("*", "{}").format(SPELT.get(kind, _spaced)(str(item)))

    def _span(self, seconds: int) -> str:
        for kind, size in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
            if seconds and seconds % size == 0 and seconds > size - 1:
                return f"{seconds // size:,} {self.units[kind][seconds // size != 1]}"
        return f"{seconds:,} {self.units['second'][seconds != 1]}"


class _Slots(dict[str, str]):
    """Placeholders of a template; one that nothing fills names the clause, so no sentence is lost."""

    def __init__(self, said: Mapping[str, str], clause: str) -> None:
        super().__init__(said)
        self["clause"] = clause

    def __missing__(self, key: str) -> str:
        return self["clause"]


def _quoted(text: str) -> str:
    """Return prose on one line, with no mark in it that could end its own quotation."""
    line = " ".join(text.split()).rstrip(".")
    return line.replace("\N{LEFT DOUBLE QUOTATION MARK}", '"').replace(
        "\N{RIGHT DOUBLE QUOTATION MARK}", '"'
    )


def _spaced(name: str) -> str:
    return name.replace("_", " ")


def _term(term: str) -> str:
    """Return a term of a vocabulary in words, and as it is written."""
    vocabulary, _, name = term.rpartition(":")
    if vocabulary not in {"", "fides", "dpv", "pd", "sh"}:
        return term  # an article of a law
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.rpartition(".")[2])
    words = apart.replace("_", " ").lower()
    return words if words == term else f"{words} ({term})"


def _decimal(value: int, digits: int) -> str:
    whole, part = divmod(value, 10**digits)
    return f"{whole}.{part:0{digits}d}".rstrip("0").rstrip(".")


def _bound(catalogue: Catalogue, items: tuple[Item, ...]) -> str:
    op, micro = items
    return f"{catalogue.words['op'][str(op)]} {_decimal(int(micro), 6)}"


def _effect(catalogue: Catalogue, items: tuple[Item, ...]) -> str:
    name, seconds = items
    plain = str(name).replace("_", " ")
    if not seconds:
        return plain
    return catalogue.words["effect"]["within"].format(
        plain, catalogue.say(Said("seconds", (seconds,)))
    )


PAIRS: Final[Mapping[str, Callable[[Catalogue, tuple[Item, ...]], str]]] = {
    "bound": _bound,
    "effect": _effect,
}
NUMBERS: Final[Mapping[str, Callable[[int], str]]] = {
    "epsilon": lambda value: _decimal(value, 6),
    "delta": lambda value: _decimal(value, 12),
    "number": lambda value: f"{value:,}",
}
SPELT: Final[Mapping[str, Callable[[str], str]]] = {
    "text": _quoted,
    "quote": _quoted,
    "purpose": _quoted,
    "term": _term,
    "name": str,
    "place": str,
}


@cache
def load(language: str) -> Catalogue:
    """Return the catalogue of a language that is shipped."""
    file = resources.files("safehold.charter.difference").joinpath(f"words_{language}.json")
    tree = json.loads(file.read_text("utf-8"))
    return Catalogue(
        sentences=tree["sentences"],
        words=tree["words"],
        both=tree["both"],
        units={kind: (one, many) for kind, (one, many) in tree["units"].items()},
    )


ENGLISH: Final = load("en")
