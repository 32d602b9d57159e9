"""A problem: one reason why a charter is refused."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One reason why a charter is refused.

    Args:
        field: Where, as a dotted path of keys.
        message: What is wrong.
        rule: Which rule says so.
        fix: What to do.
    """

    field: str
    message: str
    rule: str
    fix: str | None = None
