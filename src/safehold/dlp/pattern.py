"""Patterns as data, compiled once.

RE2 matches in linear time and has no look-around; a border that needs one is checked by the
rule's check.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

import re2

from safehold.dlp.check import CHECKS, Check
from safehold.dlp.classes import CLASSES, NAMES
from safehold.dlp.engine.tier import MEANING
from safehold.dlp.ruleset import RULE_FILES, gate_of, rule_items
from safehold.errors import InvalidError

READ_FILES: Final = ("contexts.json", "engine/chosen.json", "names.txt")
TOPIC_FILES: Final = ("topic/terms.txt", "topic/model.json")
_MEMORY: Final = 64 << 20  # bytes a compiled expression may take; RE2's own 8 MiB is too little


@dataclass(frozen=True, slots=True)
class Rule:
    """One pattern.

    Args:
        id: Name of the rule, as reported with every span.
        number: Place in the file.
        kind: Number of its class in ``classes.NAMES``.
        pattern: Expression in RE2 syntax.
        group: Which group of it is the span; 0 is the whole.
        check: What sets the confidence.
        needs: Lower-case words; the rule finds nothing in a row that holds none of them, in any case.
            Without words it is tried wherever its pattern may match.
        masked: Whether its spans are masked when data comes in, or only reported by a scan.
        compiled: The compiled expression.
    """

    id: str
    number: int
    kind: int
    pattern: str
    group: int
    check: Check
    needs: tuple[str, ...]
    masked: bool
    compiled: Any


def compile_expression(pattern: str, *, capture: bool = True) -> Any:
    """Return the compiled expression.

    Args:
        pattern: In RE2 syntax.
        capture: Whether its groups are wanted; without them a match costs less.

    Raises:
        InvalidError: RE2 does not take it, for example because of look-around.
    """
    options = re2.Options()
    options.max_mem = _MEMORY
    options.log_errors = False
    options.never_capture = not capture
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        raise InvalidError(
            "an expression is not RE2 syntax", rule="dlp.pattern", fix="RE2 has no look-around"
        ) from error


def read_data(name: str) -> bytes:
    """Return one of the data files of this package."""
    return files("safehold.dlp").joinpath(name).read_bytes()


@cache
def load_patterns() -> tuple[Rule, ...]:
    """Return the rules in the order of their file."""
    rules = []
    for number, item in enumerate(rule_items(read_data)):
        if item["class"] not in CLASSES or item["check"] not in CHECKS:
            raise InvalidError("a rule names an unknown class or check", rule="dlp.pattern")
        rules.append(
            Rule(
                id=item["id"],
                number=number,
                kind=NAMES.index(item["class"]),
                pattern=item["pattern"],
                group=item.get("group", 0),
                check=CHECKS[item["check"]],
                needs=tuple(item.get("needs", ())),
                masked=item.get("masked", CLASSES[item["class"]].masked),
                compiled=compile_expression(item["pattern"], capture=item.get("group", 0) > 0),
            )
        )
    return tuple(rules)


@cache
def load_gate() -> str:
    """Return the pattern that every text with a span matches."""
    return gate_of(read_data)


@cache
def data_version() -> str:
    """Return the SHA-256 of what a result was made with.

    That is: patterns, what the gate looks for, contexts, topics, names
    that are common words, classes, what a span is.
    """
    digest = hashlib.sha256(MEANING.encode())
    for name in (*RULE_FILES, *READ_FILES, *TOPIC_FILES):
        digest.update(hashlib.sha256(read_data(name)).digest())
    for each in CLASSES.values():
        digest.update(f"{each.name}\0{each.group}\0{each.rank}\0{each.masked}\0".encode())
    return digest.hexdigest()
