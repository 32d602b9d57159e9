"""One concrete request in plain values, and how Cedar decides it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cedarpy

from safehold.charter.prove.refusal import not_proved
from safehold.charter.prove.shape import Shape, Type

Plain = bool | int | str | frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request with a value for each attribute of its types; members of enumerations by name.

    Args:
        action: What is asked for.
        kind: Kind of principal.
        who: Id of the principal.
        data: Id of the resource.
        values: Attributes by path, for example ``context.purpose``.
    """

    action: str
    kind: str
    who: str
    data: str
    values: Mapping[str, Plain]

    def text(self, path: str) -> str:
        """Return a string or a member of an enumeration."""
        value = self.values[path]
        if not isinstance(value, str):
            raise TypeError(path)
        return value

    def number(self, path: str) -> int:
        """Return a whole number."""
        value = self.values[path]
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(path)
        return value

    def truth(self, path: str) -> bool:
        """Return a truth value."""
        value = self.values[path]
        if not isinstance(value, bool):
            raise TypeError(path)
        return value

    def group(self, path: str) -> frozenset[str]:
        """Return a set."""
        value = self.values[path]
        if not isinstance(value, frozenset):
            raise TypeError(path)
        return value

    def question(self, shape: Shape) -> dict[str, Any]:
        """Return what Cedar is asked."""
        return {
            "principal": {"type": self.kind, "id": self.who},
            "action": {"type": "Action", "id": self.action},
            "resource": {"type": shape.resource, "id": self.data},
            "context": self._record("context", shape.context),
        }

    def entities(self, shape: Shape) -> list[dict[str, Any]]:
        """Return the principal and the resource with their attributes."""
        return [
            {
                "uid": {"type": self.kind, "id": self.who},
                "attrs": self._record("principal", shape.principals[self.kind]),
                "parents": [],
            },
            {
                "uid": {"type": shape.resource, "id": self.data},
                "attrs": self._record("resource", shape.data),
                "parents": [],
            },
        ]

    def to_json(self) -> dict[str, Any]:
        """Return it with its attributes by path; sets are sorted."""
        return {
            "action": self.action,
            "principal": self.kind,
            "values": {
                path: sorted(value) if isinstance(value, frozenset) else value
                for path, value in sorted(self.values.items())
            },
        }

    def _record(self, owner: str, fields: Mapping[str, Type]) -> dict[str, Any]:
        return {
            name: _cedar(type_, self.values[f"{owner}.{name}"]) for name, type_ in fields.items()
        }


def _cedar(type_: Type, value: Plain) -> Any:
    if isinstance(value, frozenset):
        return [_one(type_, item) for item in sorted(value)]
    return _one(type_, value)


def _one(type_: Type, value: Any) -> Any:
    return {"__entity": {"type": type_.of, "id": value}} if type_.of else value


@dataclass(frozen=True, slots=True)
class Answer:
    """What Cedar said.

    Args:
        allowed: Whether the request is allowed, without any error on the way.
        rules: Ids of the deciding policies.
    """

    allowed: bool
    rules: tuple[str, ...]


class Judge:
    """Cedar with one text of policies, for many requests."""

    def __init__(self, cedar: str, schema: str, shape: Shape) -> None:
        self.shape = shape
        self._policies = cedarpy.PolicySet.from_str(cedar)
        self._types = cedarpy.Schema.from_str(schema)

    def answer(self, request: Request) -> Answer:
        """Return Cedar's decision; the request is checked against the types.

        Raises:
            NotProvedError: It does not fit them.
        """
        try:
            entities = cedarpy.Entities.from_json_str(
                json.dumps(request.entities(self.shape)), schema=self._types
            )
            result = cedarpy.is_authorized(
                request.question(self.shape), self._policies, entities, self._types
            )
        except (ValueError, RuntimeError, TypeError) as error:
            raise not_proved("Cedar does not take a request that the solver found") from error
        names = result.diagnostics.id_annotations_by_reason
        return Answer(
            allowed=bool(result.allowed) and not result.diagnostics.errors,
            rules=tuple(sorted(str(names.get(one, one)) for one in result.diagnostics.reasons)),
        )
