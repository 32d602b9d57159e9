"""Cedar's own syntax tree, read from its JSON form with a closed list of operators.

1. Each slot of a policy's head (principal, action, resource) has its own list of operators, and
   so has each place in an expression. Everything else raises: what is read wrongly or left out
   would make a false proof.
2. Errors are raised and never returned, so that no caller can take one for a condition.
3. A node whose JSON has a key too many is refused too: a later Cedar may say something there.

EST: https://docs.cedarpolicy.com/policies/json-format.html
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import cedarpy

from safehold.charter.prove.refusal import NotProvedError, unsupported
from safehold.errors import InvalidError

VARIABLES: Final = ("principal", "action", "resource")


@dataclass(frozen=True, slots=True)
class Name:
    """An entity written out: ``Purpose::"none"``."""

    type: str
    id: str


@dataclass(frozen=True, slots=True)
class Constant:
    """A truth value, a whole number or a string written out."""

    value: bool | int | str


@dataclass(frozen=True, slots=True)
class Variable:
    """``principal``, ``action`` or ``resource`` itself."""

    name: str


@dataclass(frozen=True, slots=True)
class Attribute:
    """``principal.x``, ``resource.x`` or ``context.x``."""

    of: str
    name: str


@dataclass(frozen=True, slots=True)
class Has:
    """``principal has x``, of a resource or of the context too."""

    of: str
    name: str


@dataclass(frozen=True, slots=True)
class Many:
    """A set written out, never empty."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """Negation."""

    body: Expression


@dataclass(frozen=True, slots=True)
class Binary:
    """An operator with a left and a right side; ``op`` is Cedar's spelling."""

    op: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Empty:
    """``x.isEmpty()``."""

    body: Expression


@dataclass(frozen=True, slots=True)
class Is:
    """``principal is Agent``."""

    of: str
    type: str


@dataclass(frozen=True, slots=True)
class Choice:
    """``if a then b else c``."""

    test: Expression
    then: Expression
    other: Expression


Expression = (
    Name | Constant | Variable | Attribute | Has | Many | Not | Binary | Empty | Is | Choice
)


@dataclass(frozen=True, slots=True)
class Slot:
    """What a head says of one variable; all that is given must hold.

    Args:
        type: The variable is of this type; None leaves it open.
        among: The variable is one of these; None leaves it open.
    """

    type: str | None = None
    among: tuple[Name, ...] | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """One ``when`` or ``unless``."""

    unless: bool
    body: Expression


@dataclass(frozen=True, slots=True)
class Statement:
    """One policy.

    Args:
        id: Its ``@id``, or Cedar's own number.
        permit: Whether it permits; otherwise it forbids.
        principal: Head, first slot.
        action: Head, second slot.
        resource: Head, third slot.
        conditions: All of them must hold.
    """

    id: str
    permit: bool
    principal: Slot
    action: Slot
    resource: Slot
    conditions: tuple[Condition, ...]


def read(cedar: str) -> tuple[Statement, ...]:
    """Return the policies of a text, in its order.

    Raises:
        InvalidError: The text does not parse, or holds something that is not modelled.
    """
    try:
        tree = json.loads(cedarpy.policies_to_json_str(cedar))
    except (ValueError, RuntimeError, TypeError) as error:
        raise InvalidError("the policy does not parse", rule="charter.cedar.parse") from error
    match tree:
        case {
            "templates": dict(templates),
            "staticPolicies": dict(policies),
            "templateLinks": list(links),
        } if len(tree) == 3:
            if templates or links:
                raise unsupported("a template")
            statements = tuple(_statement(number, one) for number, one in policies.items())
        case _:
            raise unsupported("an unknown form of the syntax tree")
    names = [one.id for one in statements]
    if len(set(names)) < len(names):
        raise unsupported("two policies of one id")
    return statements


def _statement(number: str, tree: Any) -> Statement:
    name = number
    try:
        match tree:
            case {
                "effect": "permit" | "forbid" as effect,
                "principal": principal,
                "action": action,
                "resource": resource,
                "conditions": list(conditions),
            } if set(tree) <= {*_PARTS, "annotations"}:
                name = str(tree.get("annotations", {}).get("id", number))
                return Statement(
                    id=name,
                    permit=effect == "permit",
                    principal=_who(principal),
                    action=_action(action),
                    resource=_who(resource),
                    conditions=tuple(map(_condition, conditions)),
                )
            case _:
                raise unsupported("an unknown form of policy")
    except NotProvedError as error:
        raise NotProvedError(
            f"{error.message} (policy {name})", rule=error.rule, fix=error.fix
        ) from None


_PARTS: Final = ("effect", "principal", "action", "resource", "conditions")


def _who(tree: Any) -> Slot:
    """Read the slot of a principal or of a resource: any, ``==``, ``in``, ``is``, ``is ... in``."""
    match tree:
        case {"op": "All"} if len(tree) == 1:
            return Slot()
        case {"op": "==" | "in", "entity": entity} if len(tree) == 2:
            # no type of a charter has parents, so that `in` is `==`; the schema's reader sees to it
            return Slot(among=(_name(entity),))
        case {"op": "is", "entity_type": str(kind)} if len(tree) == 2:
            return Slot(type=kind)
        case {"op": "is", "entity_type": str(kind), "in": {"entity": entity}} if (
            len(tree) == 3 and len(tree["in"]) == 1
        ):
            return Slot(type=kind, among=(_name(entity),))
        case _:
            raise unsupported(f"a head of the kind {_spelling(tree)}")


def _action(tree: Any) -> Slot:
    """Read the slot of an action: any, ``==``, ``in`` one, ``in`` several."""
    match tree:
        case {"op": "All"} if len(tree) == 1:
            return Slot()
        case {"op": "==" | "in", "entity": entity} if len(tree) == 2:
            return Slot(among=(_name(entity),))
        case {"op": "in", "entities": list(entities)} if len(tree) == 2:
            return Slot(among=tuple(map(_name, entities)))
        case _:
            raise unsupported(f"a head of the kind {_spelling(tree)}")


def _condition(tree: Any) -> Condition:
    match tree:
        case {"kind": "when" | "unless" as kind, "body": body} if len(tree) == 2:
            return Condition(unless=kind == "unless", body=_expression(body))
        case _:
            raise unsupported("an unknown kind of condition")


def _expression(tree: Any) -> Expression:
    if not isinstance(tree, Mapping) or len(tree) != 1:
        raise unsupported("an unknown form of expression")
    ((op, body),) = tree.items()
    if op not in _OPERATORS:
        raise unsupported(f"the operator {_spelling(op)}")
    return _OPERATORS[op](op, body)


def _value(_op: str, body: Any) -> Expression:
    match body:
        case bool(truth):
            return Constant(truth)
        case int(number) if -(2**63) <= number < 2**63:
            return Constant(number)
        case str(text):
            return Constant(text)
        case {"__entity": entity} if len(body) == 1:
            return _name(entity)
        case _:
            raise unsupported("a value of another kind")


def _variable(_op: str, body: Any) -> Expression:
    if body not in VARIABLES:
        raise unsupported("the whole context as a value")
    return Variable(str(body))


def _sides(op: str, body: Any) -> Expression:
    match body:
        case {"left": left, "right": right} if len(body) == 2:
            return Binary(op, _expression(left), _expression(right))
        case _:
            raise unsupported(f"an unknown form of {op}")


def _attribute(_op: str, body: Any) -> Expression:
    of, name = _part(body)
    return Attribute(of, name)


def _has(_op: str, body: Any) -> Expression:
    of, name = _part(body)
    return Has(of, name)


def _part(body: Any) -> tuple[str, str]:
    match body:
        case {
            "left": {"Var": "principal" | "resource" | "context" as of},
            "attr": str(name),
        } if len(body) == 2 and len(body["left"]) == 1:
            return of, name
        case _:
            # an entity written out may be the principal by another name
            raise unsupported("an attribute of something else than principal, resource, context")


def _many(_op: str, body: Any) -> Expression:
    match body:
        case [_, *_]:
            return Many(tuple(map(_expression, body)))
        case _:
            raise unsupported("an empty set")


def _not(_op: str, body: Any) -> Expression:
    match body:
        case {"arg": inner} if len(body) == 1:
            return Not(_expression(inner))
        case _:
            raise unsupported("an unknown form of !")


def _empty(_op: str, body: Any) -> Expression:
    match body:
        case {"arg": inner} if len(body) == 1:
            return Empty(_expression(inner))
        case _:
            raise unsupported("an unknown form of isEmpty")


def _is(_op: str, body: Any) -> Expression:
    match body:
        case {"left": {"Var": "principal" | "resource" as of}, "entity_type": str(kind)} if len(
            body["left"]
        ) == 1 and len(body) in (2, 3):
            if len(body) == 2:
                return Is(of, kind)
            # `is T in x` is `is T && in x`
            return Binary("&&", Is(of, kind), Binary("in", Variable(of), _expression(body["in"])))
        case _:
            raise unsupported("is on something else than principal and resource")


def _choice(_op: str, body: Any) -> Expression:
    match body:
        case {"if": test, "then": then, "else": other} if len(body) == 3:
            return Choice(_expression(test), _expression(then), _expression(other))
        case _:
            raise unsupported("an unknown form of if")


_OPERATORS: Final[Mapping[str, Callable[[str, Any], Expression]]] = {
    "Value": _value,
    "Var": _variable,
    "Set": _many,
    ".": _attribute,
    "has": _has,
    "is": _is,
    "!": _not,
    "isEmpty": _empty,
    "if-then-else": _choice,
    **dict.fromkeys(
        ("&&", "||", "==", "!=", "<", "<=", ">", ">=", "in"),
        _sides,
    ),
    **dict.fromkeys(("contains", "containsAll", "containsAny"), _sides),
}
OPERATORS: Final = tuple(_OPERATORS)


def _name(tree: Any) -> Name:
    match tree:
        case {"type": str(kind), "id": str(name)} if len(tree) == 2:
            return Name(kind, name)
        case _:
            raise unsupported("an entity that is not written out")


def _spelling(tree: Any) -> str:
    op = tree.get("op", "?") if isinstance(tree, Mapping) else tree
    return str(op)[:40]
