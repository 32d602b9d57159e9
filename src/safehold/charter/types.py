"""The types of a charter: each name that it fixes is an enumerated Cedar entity."""

from __future__ import annotations

from typing import Final

from safehold.charter import terms
from safehold.charter.model import Charter, RedLine
from safehold.charter.oversight import Gate
from safehold.charter.redline import forms
from safehold.charter.rule import enum, quote
from safehold.charter.vocabulary import ACTIONS, DERIVED, INTERNAL, SILOS, STAGES
from safehold.telemetry.stream import WHAT_TO_STREAM

NONE: Final = "none"  # the purpose of a request without a grant; no permit names it
OTHER: Final = "other"  # a role or a place that the charter does not name

_DATASET: Final = (
    "what: Set<What>",
    "purposes: Set<Purpose>",
    "places: Set<Place>",
    "silos: Set<Silo>",
    "telemetry: Bool",
    "synthetic: Bool",
    "assurance: Long",
    "expires: Long",
    "segment: String",
    "owner: String",
)
_USE: Final = (
    "purpose: Purpose",
    "stage: Stage",
    "now: Long",
    "people: Long",
    "consent: Bool",
    "assurance: Long",
    "holder: String",
    "granted: Bool",
    "grant_purpose: Purpose",
    "grant_stages: Set<Stage>",
    "grant_what: Set<What>",
    "grant_segments: Set<String>",
    "grant_expires: Long",
    "grant_holder: String",
    "grant_role: Role",
    "grant_approvals: Long",
    "grant_operator: String",
    "gates: Set<Gate>",
)


def purposes(charter: Charter) -> tuple[str, ...]:
    """Return every purpose of the schema: the declared ones, the forbidden uses, and none."""
    banned = {term for line in charter.red_lines for term in banned_terms(forms(line))}
    return (*sorted(charter.purposes), *sorted(banned), NONE)


def banned_terms(line: RedLine) -> tuple[str, ...]:
    """Return the uses a red line forbids, with everything under them, sorted."""
    found: set[str] = set()
    for word in line.terms():
        found |= terms.within(terms.find(word, kind="use").name)
    return tuple(sorted(found))


def least_people(charter: Charter) -> int:
    """Return the largest number of people that a red line demands; 1 without one."""
    return max((forms(line).min_people or 1 for line in charter.red_lines), default=1)


def kinds() -> tuple[str, ...]:
    """Return every kind of data of the language; naming one that is not collected is denied."""
    return (*sorted(WHAT_TO_STREAM), *INTERNAL, DERIVED)


def roles(charter: Charter) -> tuple[str, ...]:
    """Return every role of the schema; ``other`` is anybody the charter does not name."""
    return (*sorted(charter.who_may), OTHER)


def gates(charter: Charter) -> tuple[str, ...]:
    """Return the ids of the release gates."""
    return tuple(sorted(gate.id for gate in charter.gates))


def dataset_gates(charter: Charter) -> tuple[Gate, ...]:
    """Return the gates that are about a dataset and not about a model: nothing is trained on it before they pass."""
    return tuple(gate for gate in charter.gates if gate.attack == "reidentify")


def schema(charter: Charter) -> str:
    """Return the Cedar schema of a charter."""
    places = (*sorted(set(charter.jurisdictions)), OTHER)
    applies = (
        "appliesTo { principal: [Human, Workload, Agent], resource: [Dataset], context: Use };"
    )
    lines = [
        enum("Purpose", purposes(charter)),
        enum("Stage", STAGES),
        enum("Role", roles(charter)),
        enum("What", kinds()),
        enum("Place", places),
        enum("Silo", SILOS),
        enum("Gate", (*gates(charter), NONE)),
        "entity Human { role: Role, sub: String };",
        "entity Workload { role: Role, sub: String };",
        "entity Agent { role: Role, sub: String, operator: String };",
        f"entity Dataset {{ {', '.join(_DATASET)} }};",
        f"type Use = {{ {', '.join(_USE)} }};",
        *(f"action {quote(action)} {applies}" for action in ACTIONS),
    ]
    return "\n".join(lines)
