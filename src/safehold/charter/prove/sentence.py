"""A counterexample as one plain sentence: who could do what, where, on what, for what, against what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from safehold.charter.prove.request import Request
from safehold.charter.types import NONE, OTHER
from safehold.charter.vocabulary import DATA

ACTIONS: Final[Mapping[str, str]] = {
    "run_approved_recipe": "run an approved recipe",
    "query": "run a query",
    "pull_artifact": "pull a model",
    "read_raw": "read raw events",
    "read_rows": "read rows",
    "export_vectors": "export vectors",
    "bulk_export": "export in bulk",
    "join_external": "join with data from outside",
    "operate": "operate the pipeline",
    "verify": "verify the ledger",
    "see_own_trail": "see a trail by self-service",
    "export_own": "export data by self-service",
    "erase_own": "erase data by self-service",
    "object": "object by self-service",
}


def words(
    asked: Request, *, against: str, how: str = "", careless: bool = False, could: str = "could"
) -> str:
    """Return the sentence.

    Args:
        asked: The request.
        against: Which promise it breaks, as the end of a sentence.
        how: What is wrong with it, as a phrase; may be empty.
        careless: Whether it takes a further, careless permit.
        could: ``could``, or ``could not`` where it is refused.
    """
    parts = [ACTIONS.get(asked.action, asked.action.replace("_", " "))]
    if (stage := asked.text("context.stage")) != "self" or asked.action in DATA:
        parts.append(f"in {stage.replace('_', ' ')}")
    if asked.action in DATA:
        parts.append(f"on {_data(asked)}")
    stated = asked.text("context.purpose")
    # what touches nobody else's data needs no purpose, but may state a forbidden one
    if asked.action in DATA or ":" in stated:
        parts.append("without a purpose" if stated == NONE else f'for "{bare(stated)}"')
    if how:
        parts.append(how)
    start = "As soon as anybody adds one careless permit, " if careless else ""
    said = f"{start}{_who(asked)} {could} {' '.join(parts)}, although {against}"
    return said[0].upper() + said[1:]


def bare(purpose: str) -> str:
    """Return a purpose without its vocabulary."""
    return purpose.rpartition(":")[2]


def listed(names: Sequence[str]) -> str:
    """Return names joined with commas and an ``and``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _who(asked: Request) -> str:
    role = asked.text("principal.role")
    named = role.replace("_", " ")
    if role == OTHER:
        kinds = {"Human": "somebody", "Workload": "a workload", "Agent": "an agent"}
        return f"{kinds.get(asked.kind, 'somebody')} whom the charter does not name"
    if asked.kind == "Human":
        return _article(named)
    if asked.kind == "Agent" and role == "agent":
        return "an agent"
    return f"{_article(asked.kind.lower())} in the role of {named}"


def _article(word: str) -> str:
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def _data(asked: Request) -> str:
    kinds = sorted(asked.group("resource.what"))
    return listed([kind.replace("_", " ") for kind in kinds]) if kinds else "data without a kind"
