"""Why nothing allowed a request: the permit that came nearest, and what it still wanted.

Every condition of every permit is tried on its own, in one call. A condition on its own may lack
what stood before
it and err; that counts as not met. These split policies never decide anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cedarpy

from safehold.charter import Policy, Rule
from safehold.charter.rule import PERMIT


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """The nearest permit and the conditions of it that do not hold.

    Args:
        rule: Its id; empty if no permit is for this action and principal.
        plain: What it allows, in words.
        terms: Conditions that do not hold.
    """

    rule: str
    plain: str
    terms: tuple[str, ...]

    def words(self) -> str:
        """Return the explanation as the end of a sentence."""
        if not self.rule:
            return "; no rule is for this action"
        count = len(self.terms)
        return f"; nearest is '{self.plain}', which needs {count} more: {'; '.join(self.terms)}"


def missing_terms(policy: Policy, question: Any, entities: Any, *, action: str) -> Missing:
    """Return the permit nearest to allowing a request, and what it lacks."""
    permits, split = _split(policy.cedar, _permits(policy, action))
    if not permits:
        return Missing(rule="", plain="", terms=())
    result = cedarpy.is_authorized(question, split, entities, policy.types)
    held = set(result.diagnostics.id_annotations_by_reason.values())
    near: list[tuple[int, Missing]] = []
    for rule in permits:
        if f"{rule.id}#head" not in held:
            continue
        lacking = tuple(
            term for place, term in enumerate(rule.terms) if f"{rule.id}#{place}" not in held
        )
        near.append((len(lacking), Missing(rule=rule.id, plain=rule.plain, terms=lacking)))
    return min(near, key=lambda item: item[0])[1] if near else Missing(rule="", plain="", terms=())


def _permits(policy: Policy, action: str) -> tuple[Rule, ...]:
    mark = f'Action::"{action}"'
    return tuple(rule for rule in policy.rules if rule.kind == PERMIT and mark in rule.head)


@lru_cache(maxsize=64)
def _split(cedar: str, permits: tuple[Rule, ...]) -> tuple[tuple[Rule, ...], Any]:
    del cedar  # part of the key: the same rules of another policy are parsed again
    text = "\n".join(
        f'@id("{rule.id}#{part}")\n{rule.head}{body};'
        for rule in permits
        for part, body in (
            ("head", ""),
            *((place, f" when {{ {term} }}") for place, term in enumerate(rule.terms)),
        )
    )
    return permits, cedarpy.PolicySet.from_str(text)
