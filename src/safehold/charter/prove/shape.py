"""The types of a policy, read from the Cedar schema with a closed grammar.

Enumerated entities, three kinds of principal, one kind of resource, one context; attributes are
truth values, whole numbers, strings, members of an enumeration and sets of the last two. Parents,
tags, optional attributes, namespaces and anything else are refused, because the proof relies on
their absence: without parents ``x in y`` is ``x == y``, and without optional attributes nothing
can be missing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Final

from safehold.charter.prove.refusal import unsupported

_STRING: Final = r'"(?:[^"\\]|\\.)*"'
_ENUM: Final = re.compile(rf"entity (\w+) enum \[({_STRING}(?:, {_STRING})*)\];")
_ENTITY: Final = re.compile(r"entity (\w+) \{ ([^{}]*) \};")
_TYPE: Final = re.compile(r"type (\w+) = \{ ([^{}]*) \};")
_ACTION: Final = re.compile(
    r'action ("\w+") appliesTo \{ principal: \[(\w+(?:, \w+)*)\], resource: \[(\w+)\],'
    r" context: (\w+) \};"
)
_FIELD: Final = re.compile(r"(\w+): (?:(Bool|Long|String|\w+)|Set<(\w+)>)")


@dataclass(frozen=True, slots=True)
class Type:
    """The type of a value.

    Args:
        kind: ``bool``, ``long``, ``string``, ``member``, ``set`` (of members) or ``strings``.
        of: The enumeration of a member or of a set; empty otherwise.
    """

    kind: str
    of: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a well-formed request is.

    Args:
        enums: Members of each enumerated entity type, in the order of the schema.
        principals: Attributes of each kind of principal.
        resource: Name of the kind of resource.
        data: Attributes of the resource.
        context: Attributes of the context.
        actions: Every action, in the order of the schema.
    """

    enums: Mapping[str, tuple[str, ...]]
    principals: Mapping[str, Mapping[str, Type]]
    resource: str
    data: Mapping[str, Type]
    context: Mapping[str, Type]
    actions: tuple[str, ...]

    def environments(self) -> tuple[tuple[str, str], ...]:
        """Return every pair of action and kind of principal."""
        return tuple((action, kind) for action in self.actions for kind in self.principals)


def read(text: str) -> Shape:
    """Return the types that a schema declares.

    Raises:
        InvalidError: It declares something that the prover does not model.
    """
    enums: dict[str, tuple[str, ...]] = {}
    bodies: dict[str, str] = {}
    aliases: dict[str, str] = {}
    actions: dict[str, tuple[str, str, str]] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        if match := _ENUM.fullmatch(line):
            _once({*enums, *bodies}, match[1])
            enums[match[1]] = tuple(json.loads(f"[{match[2]}]"))
        elif match := _ENTITY.fullmatch(line):
            _once({*enums, *bodies}, match[1])
            bodies[match[1]] = match[2]
        elif match := _TYPE.fullmatch(line):
            _once(aliases, match[1])
            aliases[match[1]] = match[2]
        elif match := _ACTION.fullmatch(line):
            name = json.loads(match[1])
            _once(actions, name)
            actions[name] = (match[2], match[3], match[4])
        else:
            raise unsupported("a line of the schema that is not of the charter's own types")
    if len(set(actions.values())) != 1:
        raise unsupported("a schema without actions, or actions of different types")
    ((kinds, resource, context),) = set(actions.values())
    wanted = [*kinds.split(", "), resource]
    if sorted(wanted) != sorted(bodies) or list(aliases) != [context]:
        raise unsupported("types of entities that no action applies to")
    fields = {name: _fields(bodies[name], enums) for name in wanted}
    return Shape(
        enums=enums,
        principals={name: fields[name] for name in kinds.split(", ")},
        resource=resource,
        data=fields[resource],
        context=_fields(aliases[context], enums),
        actions=tuple(actions),
    )


def _once(known: Container[str], name: str) -> None:
    if name in known:
        raise unsupported("a type or an action that is declared twice")


def _fields(body: str, enums: Mapping[str, tuple[str, ...]]) -> dict[str, Type]:
    found: dict[str, Type] = {}
    for part in body.split(", "):
        match = _FIELD.fullmatch(part)
        if match is None:
            raise unsupported("an optional attribute, or one of another type")
        _once(found, match[1])
        found[match[1]] = _type(match[2], match[3], enums)
    return found


def _type(plain: str | None, of: str | None, enums: Mapping[str, tuple[str, ...]]) -> Type:
    if plain in _PLAIN:
        return Type(_PLAIN[plain])
    if plain is not None and plain in enums:
        return Type("member", plain)
    if of is not None and of in enums:
        return Type("set", of)
    if of == "String":
        return Type("strings")
    raise unsupported("an attribute of another type")


_PLAIN: Final = {"Bool": "bool", "Long": "long", "String": "string"}
