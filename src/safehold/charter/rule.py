"""Cedar as text: one rule, and names as entities."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

RED_LINE: Final = "red_line"
GUARD: Final = "guard"
PERMIT: Final = "permit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One Cedar policy and what it is for.

    Args:
        id: ``red_line.<id>``, ``guard.<id>`` or ``permit.<n>``.
        kind: ``red_line``, ``guard`` or ``permit``.
        plain: What it says, for people.
        head: The scope, up to the closing bracket.
        terms: Conditions, all of which must hold for the rule to apply.
    """

    id: str
    kind: str
    plain: str
    head: str
    terms: tuple[str, ...] = ()

    def text(self) -> str:
        """Return the policy in Cedar."""
        body = (
            f" when {{ {' && '.join(f'({term})' for term in self.terms)} }}" if self.terms else ""
        )
        return f"@id({quote(self.id)})\n{self.head}{body};"


def enum(kind: str, names: Iterable[str]) -> str:
    """Return an enumerated entity type."""
    return f"entity {kind} enum [{', '.join(quote(name) for name in dict.fromkeys(names))}];"


def among(actions: Sequence[str]) -> str:
    """Return the scope of some actions."""
    return f" in [{', '.join(f'Action::{quote(action)}' for action in actions)}]"


def refs(kind: str, names: Iterable[str]) -> str:
    """Return a set of entities."""
    return f"[{', '.join(ref(kind, name) for name in names)}]"


def ref(kind: str, name: str) -> str:
    """Return an entity."""
    return f"{kind}::{quote(name)}"


def quote(text: str) -> str:
    """Return a Cedar string; names are plain words, so the escapes of JSON are those of Cedar."""
    return json.dumps(text)
