"""What runs, in the words of the charter: each value is asked of the part that acts on it.

A value that no part of its own acts on is that of the charter the keeper decides by. So every clause has a running
counterpart, and a setting that was changed where it is used is found there and not where it was promised.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from safehold.charter import Charter, Policy
from safehold.charter.clauses import Value, clauses
from safehold.telemetry.stream import STREAM_TO_WHAT, Level

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

LEVELS = frozenset(Level)
PARTS = {  # what a sandbox is told of a stream, and the clause that says it
    "apps": "apps",
    "channels": "channels",
    "drop": "drop",
    "groups": "dlp",
    "titles": "titles",
}


def running_clauses(desk: Desk, orders: Mapping[str, Any]) -> dict[str, Value]:
    """Return what runs, by the key of the clause that promises it.

    Args:
        desk: What the keeper works with.
        orders: What the next sandbox that takes telemetry in would be told: ``rules``, ``keep_days``, ``places``.
    """
    charter = desk.trust.charter()
    found = clauses(charter)
    found |= dict(_collected(orders))
    for name, purpose in charter.purposes.items():
        if purpose.privacy is not None:
            allowed = desk.trust.allowed(name)
            found[f"purposes.{name}.privacy.epsilon"] = allowed.epsilon_micro
            found[f"purposes.{name}.privacy.delta"] = allowed.delta_e12
            found[f"purposes.{name}.privacy.min_people"] = desk.trust.least_people(name)
    return found


def comparable(found: Mapping[str, Value]) -> dict[str, Value]:
    """Return clauses as they are compared: the order within a list says nothing."""
    return {
        clause: sorted(value) if isinstance(value, list) else value
        for clause, value in found.items()
    }


def rules_of(policy: Policy) -> dict[str, str]:
    """Return the SHA-256 of every compiled rule and of the types, by the clause or rule it belongs to."""
    found = {
        clause_of_rule(rule.id): hashlib.sha256(rule.text().encode()).hexdigest()
        for rule in policy.rules
    }
    found["policy.text"] = hashlib.sha256(policy.cedar.encode()).hexdigest()
    found["policy.types"] = hashlib.sha256(policy.schema.encode()).hexdigest()
    return found


def clause_of_rule(rule: str) -> str:
    """Return the clause that a compiled rule enforces; a condition of use belongs to no single clause."""
    kind, _, name = rule.partition(".")
    return f"red_lines.{name}" if kind == "red_line" else f"policy.{rule}"


def _collected(orders: Mapping[str, Any]) -> Iterator[tuple[str, Value]]:
    for stream, rules in orders["rules"].items():
        # a deployment may tell a sandbox what no charter can say; it is named all the same
        clause = f"collect.{STREAM_TO_WHAT.get(stream, stream)}.minimise"
        level = rules["level"]
        yield f"{clause}.level", Level(level).name if level in LEVELS else str(level)
        for part, key in PARTS.items():
            yield f"{clause}.{key}", rules[part]
    for stream, days in orders["keep_days"].items():
        yield f"collect.{STREAM_TO_WHAT.get(stream, stream)}.keep", days
    yield "jurisdictions.collect_in", list(orders["places"])


def differing(promised: Mapping[str, Value], runs: Mapping[str, Value]) -> list[str]:
    """Return the clauses in which two sets of values differ, in the order of their keys."""
    one, other = comparable(promised), comparable(runs)
    return sorted(
        clause
        for clause in one.keys() | other.keys()
        if clause not in one or clause not in other or one[clause] != other[clause]
    )


def clauses_in_file(charter: Charter, tree: Any) -> list[str]:
    """Return the clauses in which a charter file, whatever its signatures, differs from a charter."""
    return differing(clauses(charter), clauses(Charter.from_json(tree)))
