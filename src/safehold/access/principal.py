"""Who asks: a person, a workload, or an agent that acts for a person; the type says which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from safehold.errors import InvalidError


@dataclass(frozen=True, slots=True, kw_only=True)
class Human:
    """A person.

    Args:
        id: Their id.
        role: The one role they act in now.
    """

    id: str
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A program with its own identity.

    Args:
        id: Its id.
        role: The one role it acts in.
    """

    id: str
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """A program that decides for itself, on behalf of one person.

    Args:
        id: Its id.
        operator: Id of the person it acts for.
        role: Always ``agent``.
    """

    id: str
    operator: str
    role: str = "agent"


Principal = Human | Workload | Agent


def kind_of(principal: Principal) -> str:
    """Return ``human``, ``workload`` or ``agent``."""
    return type(principal).__name__.lower()


def operator_of(principal: Principal) -> str:
    """Return the person an agent acts for; nothing for anybody else."""
    return principal.operator if isinstance(principal, Agent) else ""


def to_json(principal: Principal) -> dict[str, str]:
    """Return a principal as JSON."""
    return {
        "kind": kind_of(principal),
        "id": principal.id,
        "role": principal.role,
        "operator": operator_of(principal),
    }


def from_json(tree: Any) -> Principal:
    """Read what ``to_json`` made.

    Raises:
        InvalidError: It is no principal.
    """
    match tree:
        case {"kind": "human", "id": str(name), "role": str(role), "operator": ""}:
            return Human(id=name, role=role)
        case {"kind": "workload", "id": str(name), "role": str(role), "operator": ""}:
            return Workload(id=name, role=role)
        case {"kind": "agent", "id": str(name), "role": "agent", "operator": str(operator)} if (
            operator
        ):
            return Agent(id=name, operator=operator)
        case _:
            raise InvalidError("not a principal", rule="principal.shape")
