"""A compiled charter in the languages of others: Rego (v1) and Casbin, made from the JSON form of its Cedar policies.

Names of entities become ``Type::id``, so that what is compared is text; ``principal``, ``resource`` and ``context`` are
objects of plain values. A rule of Rego is a list of conjunctions, as people write it: an *or* becomes several bodies.
"""

from __future__ import annotations

import itertools
import json
from typing import Any

from safehold.charter import Policy

Node = dict[str, Any]
HEAD = """package charter
import rego.v1

default allow := false
allow if { permitted(input); not forbidden(input) }
allowed contains one.number if { some one in input.requests; permitted(one); not forbidden(one) }
meets(a, b) if { some x in a; x in b }
holds_all(a, b) if { every x in b { x in a } }
"""


def policies(policy: Policy) -> list[Node]:
    """Return the policies of a charter, in the JSON form of Cedar."""
    import cedarpy

    told = json.loads(cedarpy.policies_to_json_str(policy.cedar))
    return list(told["staticPolicies"].values())


def to_rego(found: list[Node]) -> str:
    """Return policies as a module of Rego: ``allow`` decides about ``input``, ``allowed`` about many."""
    lines = [HEAD]
    for one in found:
        head = "permitted(q)" if one["effect"] == "permit" else "forbidden(q)"
        for body in _bodies(condition(one)):
            lines.append(f"{head} if {{ {'; '.join(body) or 'true'} }}")
    return "\n".join(lines) + "\n"


def to_casbin(found: list[Node]) -> list[tuple[str, str, str]]:
    """Return policies as lines of Casbin: actions (``*`` for all), a condition, and its effect."""
    lines = []
    for one in found:
        actions = _actions(one["action"])
        rule = _python(condition(one, actions=False))
        lines.append(
            (",".join(actions) or "*", rule, "allow" if one["effect"] == "permit" else "deny")
        )
    return lines


def condition(one: Node, *, actions: bool = True) -> Node:
    """Return everything that a policy asks for as one expression."""
    assert one["resource"] == {"op": "All"}, one["resource"]
    parts: list[Node] = []
    if one["principal"]["op"] == "is":
        parts.append(
            {"is": {"left": {"Var": "principal"}, "entity_type": one["principal"]["entity_type"]}}
        )
    else:
        assert one["principal"] == {"op": "All"}, one["principal"]
    if actions and (names := _actions(one["action"])):
        parts.append(
            {
                "contains": {
                    "left": {"Set": [{"Value": name} for name in names]},
                    "right": {"Var": "action"},
                }
            }
        )
    for clause in one["conditions"]:
        body = clause["body"]
        parts.append(body if clause["kind"] == "when" else {"!": {"arg": body}})
    whole: Node = {"Value": True}
    for part in reversed(parts):
        whole = part if whole == {"Value": True} else {"&&": {"left": part, "right": whole}}
    return whole


def _actions(scope: Node) -> list[str]:
    if scope["op"] == "All":
        return []
    named = scope.get("entities") or [scope["entity"]]
    return [str(one["id"]) for one in named]


def _bodies(node: Node, *, hold: bool = True) -> list[list[str]]:
    """Return an expression as alternatives, each a list of lines that all must hold."""
    ((kind, told),) = node.items()
    if kind == "!":
        return _bodies(told["arg"], hold=not hold)
    if kind in {"&&", "||"}:
        sides = [_bodies(told["left"], hold=hold), _bodies(told["right"], hold=hold)]
        if (kind == "||") == hold:
            return sides[0] + sides[1]
        return [one + two for one, two in itertools.product(*sides)]
    if kind == "Value" and isinstance(told, bool):
        return [[]] if told == hold else []
    return [[_atom(node) if hold else f"not {_atom(node)}"]]


def _atom(node: Node) -> str:
    ((kind, told),) = node.items()
    match kind:
        case "contains":
            return f"{_value(told['right'])} in {_value(told['left'])}"
        case "containsAny":
            return f"meets({_value(told['left'])}, {_value(told['right'])})"
        case "containsAll":
            return f"holds_all({_value(told['left'])}, {_value(told['right'])})"
        case "isEmpty":
            return f"count({_value(told['arg'])}) == 0"
        case "is":
            return f"{_value(told['left'])}.kind == {json.dumps(told['entity_type'])}"
        case "==" | "!=" | "<" | "<=" | ">" | ">=":
            return f"{_value(told['left'])} {kind} {_value(told['right'])}"
        case _:
            return f"{_value(node)} == true"


def _value(node: Node) -> str:
    ((kind, told),) = node.items()
    match kind:
        case "Var":
            return f"q.{told}"
        case ".":
            return f"{_value(told['left'])}.{told['attr']}"
        case "Set":
            # a set: found at once, where a list would be walked
            return "{" + ", ".join(_value(one) for one in told) + "}" if told else "set()"
        case "Value":
            return json.dumps(plain(told))
        case _:
            raise AssertionError(f"no Rego for {kind}")


def _python(node: Node) -> str:
    """Return an expression as Casbin evaluates it."""
    ((kind, told),) = node.items()
    match kind:
        case "!":
            return f"(not {_python(told['arg'])})"
        case "&&" | "||":
            word = "and" if kind == "&&" else "or"
            return f"({_python(told['left'])} {word} {_python(told['right'])})"
        case "contains":
            return f"({_python(told['right'])} in {_python(told['left'])})"
        case "containsAny":
            return f"meets({_python(told['left'])}, {_python(told['right'])})"
        case "containsAll":
            return f"holds_all({_python(told['left'])}, {_python(told['right'])})"
        case "isEmpty":
            return f"(size({_python(told['arg'])}) == 0)"
        case "is":
            return f"({_python(told['left'])}.kind == {told['entity_type']!r})"
        case "==" | "!=" | "<" | "<=" | ">" | ">=":
            return f"({_python(told['left'])} {kind} {_python(told['right'])})"
        case "Var":
            return f"r.{told}"
        case ".":
            return f"{_python(told['left'])}.{told['attr']}"
        case "Set":
            return "(" + "".join(f"{_python(one)}, " for one in told) + ")"
        case "Value":
            return repr(plain(told))
        case _:
            raise AssertionError(f"no Casbin for {kind}")


def plain(value: Any) -> Any:
    """Return a value of a request with every entity as text."""
    if isinstance(value, dict):
        if set(value) == {"__entity"}:
            named = value["__entity"]
            return f"{named['type']}::{named['id']}"
        return {key: plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list) else value
