"""A request that nothing stands in the way of, in Cedar's own shape; whoever tries a promise spoils one thing in it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from safehold.charter.types import kinds
from safehold.charter.vocabulary import ASSURANCE

PLENTY: Final = 2**53  # people and approvals: more than any charter can write down
Attributes = dict[str, Any]


def member(kind: str, name: str) -> dict[str, dict[str, str]]:
    """Return a member of an enumerated type, as an attribute holds it."""
    return {"__entity": {"type": kind, "id": name}}


def uid(kind: str, name: str) -> str:
    """Return how a request names an entity."""
    return f"{kind}::{json.dumps(name)}"


def entity(kind: str, name: str, attributes: Attributes) -> dict[str, Any]:
    """Return an entity with its attributes; none has parents."""
    return {"uid": {"type": kind, "id": name}, "attrs": attributes, "parents": []}


def principal(kind: str, role: str) -> tuple[str, dict[str, Any]]:
    """Return a principal of a role by name and as an entity: one who owns the data, and an agent's operator."""
    attributes: Attributes = {"role": member("Role", role), "sub": "me"}
    if kind == "Agent":
        attributes["operator"] = "me"
    name = f"{kind}-{role}"
    return uid(kind, name), entity(kind, name, attributes)


def favourable(
    *, role: str, purpose: str, stage: str, what: str, place: str, gates: Iterable[str]
) -> tuple[Attributes, Attributes]:
    """Return the context and the data of a request in which every condition of use holds.

    Args:
        role: Whose grant it is.
        purpose: Stated, granted, and sealed for.
        stage: Asked for, and granted.
        what: The kind of data; the grant covers every kind.
        place: Where the data is from.
        gates: Those that the artifact has passed.
    """
    use: Attributes = {
        "purpose": member("Purpose", purpose),
        "stage": member("Stage", stage),
        "now": 1,
        "people": PLENTY,
        "consent": True,
        "assurance": len(ASSURANCE) - 1,
        "holder": "key",
        "granted": True,
        "grant_purpose": member("Purpose", purpose),
        "grant_stages": [member("Stage", stage)],
        "grant_what": [member("What", one) for one in kinds()],
        "grant_segments": ["segment"],
        "grant_expires": 2,
        "grant_holder": "key",
        "grant_role": member("Role", role),
        "grant_approvals": PLENTY,
        "grant_operator": "me",
        "gates": [member("Gate", gate) for gate in gates],
    }
    data: Attributes = {
        "what": [member("What", what)],
        "purposes": [member("Purpose", purpose)],
        "places": [member("Place", place)],
        "silos": [],
        "telemetry": True,
        "synthetic": False,
        "assurance": 1,
        "expires": 2,
        "segment": "segment",
        "owner": "me",
    }
    return use, data


class Datasets:
    """Resources that requests name, each once, whatever asks for it."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, Any]] = {}

    def name(self, attributes: Attributes) -> str:
        """Return how a request names the resource with these attributes."""
        key = json.dumps(attributes, sort_keys=True)
        if key not in self._known:
            self._known[key] = entity("Dataset", f"d{len(self._known)}", attributes)
        return uid("Dataset", self._known[key]["uid"]["id"])

    def entities(self) -> list[dict[str, Any]]:
        """Return every resource that was named so far."""
        return list(self._known.values())
