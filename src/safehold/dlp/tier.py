"""The tiers of detection, and which of them are installed.

``default`` finds what has a form, by rule; ``fast`` the same with another machine. ``ner`` adds names of
people, places and organisations found by the project's tagger. Every tier is a function from texts to
findings per text; a tier that is not installed is refused by name and never silently replaced by another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

import pyarrow as pa

from safehold.dlp.classes import NAMES
from safehold.dlp.pattern import load_patterns
from safehold.dlp.scan import find_spans
from safehold.dlp.settle import Finding, settle
from safehold.errors import InvalidError, UnavailableError


@dataclass(frozen=True, slots=True)
class Tier:
    """One way to find spans.

    Args:
        name: What ``--tier`` calls it.
        about: What it adds.
        modules: What has to be installed.
        extra: The extra that installs it.
        find: Returns the findings of each text; they may overlap.
    """

    name: str
    about: str
    modules: tuple[str, ...]
    extra: str
    find: Callable[[Sequence[str]], list[list[Finding]]]

    @property
    def installed(self) -> int:
        """1 when everything it needs is installed, else 0."""
        return int(all(_is_there(name) for name in self.modules))


def by_rule(texts: Sequence[str]) -> list[list[Finding]]:
    """Return what the rules find in each text."""
    spans = find_spans(pa.array(texts, pa.large_string()), report=True)
    rules = load_patterns()
    found: list[list[Finding]] = [[] for _ in texts]
    for row, start, end, kind, confidence, rule in zip(
        spans.row.tolist(), spans.start.tolist(), spans.end.tolist(), spans.kind.tolist(),
        spans.confidence.tolist(), spans.rule.tolist(), strict=True,
    ):  # fmt: skip
        found[row].append((start, end, NAMES[kind], confidence, rules[rule].id))
    return found


def by_fast_rule(texts: Sequence[str]) -> list[list[Finding]]:
    """Return the same as ``by_rule``, found by the faster machine."""
    machine: Any = import_module(_MACHINE)
    with machine.using_tier("fast"):
        return by_rule(texts)


def by_rule_and_tagger(texts: Sequence[str]) -> list[list[Finding]]:
    """Return what the rules find and the names the tagger finds."""
    tagger: Any = import_module(_TAGGER)
    found = by_rule(texts)
    names = tagger.tag_names(pa.array(texts, pa.large_string()))
    for row, start, end, kind, confidence in zip(
        names.row.tolist(), names.start.tolist(), names.end.tolist(), names.kind.tolist(),
        names.confidence.tolist(), strict=True,
    ):  # fmt: skip
        found[row].append((start, end, NAMES[kind], confidence, "ner.tagger"))
    return found


def _is_there(module: str) -> int:
    try:
        return int(find_spec(module) is not None)
    except ModuleNotFoundError:  # not even the package above it
        return 0


_MACHINE: Final = "safehold.dlp.engine.tier"
_TAGGER: Final = "safehold.dlp.tagger"
# the best one comes last
TIERS: Final = {
    tier.name: tier
    for tier in (
        Tier("default", "everything that has a form, by rule", (), "", by_rule),
        Tier("fast", "the same, found faster", (_MACHINE, "hyperscan"), "fast", by_fast_rule),
        Tier(
            "ner",
            "also names of people, places and organisations",
            (_TAGGER,),
            "ner",
            by_rule_and_tagger,
        ),
    )
}


def tier_of(name: str | None = None) -> Tier:
    """Return a tier by name, or the best one that is installed.

    Raises:
        InvalidError: There is no such tier.
        UnavailableError: It is not installed.
    """
    if name is None:
        return [tier for tier in TIERS.values() if tier.installed][-1]
    if name not in TIERS:
        raise InvalidError(
            "there is no such tier", rule="dlp.tier", fix=f"one of {', '.join(TIERS)}"
        )
    if not TIERS[name].installed:
        raise UnavailableError(
            f"the tier {name} is not installed",
            rule="dlp.tier",
            fix=f"pip install 'safehold[{TIERS[name].extra}]'",
        )
    return TIERS[name]


def find_settled(texts: Sequence[str], tier: Tier) -> list[list[Finding]]:
    """Return the findings of each text, each character in one class at most."""
    return [settle(text, one) for text, one in zip(texts, tier.find(texts), strict=True)]
