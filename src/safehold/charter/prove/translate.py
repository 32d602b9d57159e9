"""Policies as z3 formulas, exact or refused: never wider, never narrower than Cedar.

Only a policy that passes strict validation is ever called proved, so evaluation cannot err, and
``&&``, ``||`` and ``if`` need no third value. As in Cedar, what stands behind a constant is not
looked at, so that an attribute that only an agent has may be read behind ``principal is Agent``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import z3

from safehold.charter.prove import est
from safehold.charter.prove.refusal import unsupported
from safehold.charter.prove.shape import Type
from safehold.charter.prove.symbol import Symbols, Term, Truth, Value

BOOL: Final = Type("bool")


def both(left: Truth, right: Truth) -> Truth:
    """Return ``left && right``; constants stay constants."""
    if left is False or right is False:
        return False
    if left is True:
        return right
    return left if right is True else z3.And(left, right)


def either(left: Truth, right: Truth) -> Truth:
    """Return ``left || right``; constants stay constants."""
    if left is True or right is True:
        return True
    if left is False:
        return right
    return left if right is False else z3.Or(left, right)


def negate(body: Truth) -> Truth:
    """Return ``!body``; constants stay constants."""
    return not body if isinstance(body, bool) else z3.Not(body)


def every(parts: Sequence[Truth]) -> Truth:
    """Return the conjunction."""
    if any(part is False for part in parts):
        return False
    open_ = [part for part in parts if part is not True]
    return True if not open_ else open_[0] if len(open_) == 1 else z3.And(open_)


def some(parts: Sequence[Truth]) -> Truth:
    """Return the disjunction."""
    if any(part is True for part in parts):
        return True
    open_ = [part for part in parts if part is not False]
    return False if not open_ else open_[0] if len(open_) == 1 else z3.Or(open_)


def words(statements: Sequence[est.Statement]) -> tuple[set[tuple[str, str]], set[str]]:
    """Return every entity (type and id) and every string that stands in policies."""
    names: set[tuple[str, str]] = set()
    strings: set[str] = set()
    for one in statements:
        for slot in (one.principal, one.resource):
            strings |= {name.id for name in slot.among or ()}
        for condition in one.conditions:
            for node in _nodes(condition.body):
                match node:
                    case est.Name(kind, name):
                        names.add((kind, name))
                        strings.add(name)  # it may be the principal or the resource
                    case est.Constant(str(text)):
                        strings.add(text)
                    case _:
                        pass
    return names, strings


def _nodes(node: est.Expression) -> Iterator[est.Expression]:
    yield node
    match node:
        case est.Many(items):
            parts: tuple[est.Expression, ...] = items
        case est.Not(body) | est.Empty(body):
            parts = (body,)
        case est.Binary(_, left, right):
            parts = (left, right)
        case est.Choice(test, then, other):
            parts = (test, then, other)
        case _:
            parts = ()
    for part in parts:
        yield from _nodes(part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Formula:
    """One policy in one environment.

    Args:
        id: Of the policy.
        permit: Whether it permits.
        holds: When it applies.
    """

    id: str
    permit: bool
    holds: Truth


class Translator:
    """Turns statements into formulas over one set of symbols."""

    def __init__(self, symbols: Symbols, statements: Sequence[est.Statement]) -> None:
        self.symbols = symbols
        self.statements = statements
        self._bodies: dict[tuple[str, str], Truth] = {}

    def formulas(self, action: str, principal: str) -> tuple[Formula, ...]:
        """Return what each policy says in one environment; those that never apply are left out."""
        found = []
        for one in self.statements:
            head = self._head(one, action, principal)
            if head is False:
                continue
            holds = both(head, self._body(one, principal, action))
            if holds is not False:
                found.append(Formula(id=one.id, permit=one.permit, holds=holds))
        return tuple(found)

    def _head(self, one: est.Statement, action: str, principal: str) -> Truth:
        if one.action.among is not None and est.Name("Action", action) not in one.action.among:
            return False
        return both(
            self._slot(one.principal, "principal", principal),
            self._slot(one.resource, "resource", self.symbols.shape.resource),
        )

    def _slot(self, slot: est.Slot, variable: str, kind: str) -> Truth:
        if slot.type is not None and slot.type != kind:
            return False
        if slot.among is None:
            return True
        return some([self._is(variable, kind, name) for name in slot.among])

    def _is(self, variable: str, kind: str, name: est.Name) -> Truth:
        if name.type != kind:
            return False
        return self.symbols.uid[variable] == self.symbols.code(name.id)

    def _body(self, one: est.Statement, principal: str, action: str) -> Truth:
        # the conditions look at the action only where they name it
        key = (one.id, principal)
        if key in self._bodies:
            return self._bodies[key]
        scope = _Scope(self.symbols, principal, action)
        result: Truth = True
        for condition in one.conditions:
            if result is False:
                break
            truth = scope.truth(condition.body)
            result = both(result, negate(truth) if condition.unless else truth)
        if not scope.by_action:
            self._bodies[key] = result
        return result


class _Scope:
    """Evaluates expressions in one environment."""

    def __init__(self, symbols: Symbols, principal: str, action: str) -> None:
        self.symbols = symbols
        self.kinds = {"principal": principal, "resource": symbols.shape.resource}
        self.action = action
        self.by_action = False

    def truth(self, node: est.Expression) -> Truth:
        value = self.value(node)
        if value.type != BOOL:
            raise unsupported("a condition that is no truth value")
        return value.term

    def value(self, node: est.Expression) -> Value:  # noqa: PLR0911, PLR0912 - one branch a node
        match node:
            case est.Constant(constant):
                return self._constant(constant)
            case est.Name(kind, name):
                if kind not in self.symbols.shape.enums:
                    raise unsupported("an entity that is of no enumeration, as a value")
                return Value(Type("member", kind), self.symbols.member(kind, name))
            case est.Attribute(of, name):
                found = self._attribute(of, name)
                if found is None:
                    raise unsupported("an attribute that is not declared")
                return found
            case est.Has(of, name):
                return Value(BOOL, self._attribute(of, name) is not None)
            case est.Is(of, kind):
                return Value(BOOL, self.kinds[of] == kind)
            case est.Not(body):
                return Value(BOOL, negate(self.truth(body)))
            case est.Empty(body):
                return Value(BOOL, self._empty(body))
            case est.Choice(test, then, other):
                return self._choice(test, then, other)
            case est.Binary(op, left, right):
                return Value(BOOL, self._binary(op, left, right))
            case est.Many():
                return self._set(node)
            case est.Variable():
                raise unsupported("a principal, action or resource as a value")

    def _constant(self, constant: bool | int | str) -> Value:  # noqa: FBT001
        if isinstance(constant, bool):
            return Value(BOOL, constant)
        if isinstance(constant, int):
            return Value(Type("long"), self.symbols.long(constant))
        return Value(Type("string"), self.symbols.code(constant))

    def _attribute(self, of: str, name: str) -> Value | None:
        return self.symbols.of(of, name, principal=self.kinds["principal"])

    def _choice(self, test: est.Expression, then: est.Expression, other: est.Expression) -> Value:
        truth = self.truth(test)
        if isinstance(truth, bool):
            return self.value(then if truth else other)
        one, two = self.value(then), self.value(other)
        if one.type != two.type or one.type.kind == "strings":
            raise unsupported("if with branches of different types, or of sets of strings")
        if one.type == BOOL:
            return Value(BOOL, either(both(truth, one.term), both(negate(truth), two.term)))
        return Value(one.type, z3.If(truth, one.term, two.term))

    def _binary(  # noqa: PLR0911 - one branch an operator
        self, op: str, left: est.Expression, right: est.Expression
    ) -> Truth:
        match op:
            case "&&":
                first = self.truth(left)
                return False if first is False else both(first, self.truth(right))
            case "||":
                first = self.truth(left)
                return True if first is True else either(first, self.truth(right))
            case "==":
                return self._equal(left, right)
            case "!=":
                return negate(self._equal(left, right))
            case "<" | "<=" | ">" | ">=":
                return self._compare(op, left, right)
            case "in":
                return self._within(left, right)
            case "contains":
                return self._contains(left, right)
            case "containsAll" | "containsAny":
                return self._contains_many(op, left, right)
            case _:
                raise unsupported(f"the operator {op}")

    def _equal(self, left: est.Expression, right: est.Expression) -> Truth:
        for one, two in ((left, right), (right, left)):
            if isinstance(one, est.Variable):
                if not isinstance(two, est.Name):
                    raise unsupported("a comparison with a principal, action or resource")
                return self._named(one, two)
        first, second = self.value(left), self.value(right)
        if first.type != second.type or first.type.kind == "strings":
            raise unsupported("a comparison of different types, or of sets of strings")
        if first.type == BOOL:
            one, two = first.term, second.term
            return either(both(one, two), both(negate(one), negate(two)))
        return first.term == second.term

    def _named(self, variable: est.Variable, name: est.Name) -> Truth:
        if variable.name == "action":
            self.by_action = True
            return name == est.Name("Action", self.action)
        kind = self.kinds[variable.name]
        if name.type != kind:
            return False
        return self.symbols.uid[variable.name] == self.symbols.code(name.id)

    def _compare(self, op: str, left: est.Expression, right: est.Expression) -> Truth:
        first, second = self.value(left), self.value(right)
        if {first.type, second.type} != {Type("long")}:
            raise unsupported("an order of something else than whole numbers")
        # bit-vectors compare with their sign
        match op:
            case "<":
                return first.term < second.term
            case "<=":
                return first.term <= second.term
            case ">":
                return first.term > second.term
            case _:
                return first.term >= second.term

    def _within(self, left: est.Expression, right: est.Expression) -> Truth:
        if not isinstance(left, est.Variable):
            raise unsupported("in on something else than principal, action, resource")
        items = right.items if isinstance(right, est.Many) else (right,)
        found: list[Truth] = []
        for item in items:
            if not isinstance(item, est.Name):
                raise unsupported("in with something else than entities written out")
            found.append(self._named(left, item))
        return some(found)

    def _empty(self, body: est.Expression) -> Truth:
        if isinstance(body, est.Many):
            return False
        value = self.value(body)
        if value.type.kind == "set":
            return value.term == 0
        if value.type.kind == "strings":
            return self.symbols.vacant(value.term)
        raise unsupported("isEmpty of something else than a set")

    def _contains(self, left: est.Expression, right: est.Expression) -> Truth:
        item = self.value(right)
        if isinstance(left, est.Many) and item.type.kind in ("string", "long"):
            return some([self._same(self.value(one), item) for one in left.items])
        group = self.value(left)
        if group.type.kind == "set" and item.type == Type("member", group.type.of):
            return (group.term & item.term) != 0
        if group.type.kind == "strings" and item.type.kind == "string":
            return self.symbols.holds(group.term, item.term)
        raise unsupported("contains on this kind of set")

    def _same(self, one: Value, two: Value) -> Truth:
        if one.type != two.type:
            raise unsupported("a set of different types")
        return one.term == two.term

    def _contains_many(self, op: str, left: est.Expression, right: est.Expression) -> Truth:
        if self._strings(left) and isinstance(right, est.Many):
            held = [self._contains(left, one) for one in right.items]
            return every(held) if op == "containsAll" else some(held)
        if self._strings(right) and isinstance(left, est.Many) and op == "containsAny":
            return some([self._contains(right, one) for one in left.items])
        first, second = self.value(left), self.value(right)
        if first.type.kind != "set" or first.type != second.type:
            raise unsupported(f"{op} on this kind of set")
        if op == "containsAll":
            return (second.term & ~first.term) == 0
        return (first.term & second.term) != 0

    def _strings(self, node: est.Expression) -> bool:
        if not isinstance(node, est.Attribute):
            return False
        found = self._attribute(node.of, node.name)
        return found is not None and found.type.kind == "strings"

    def _set(self, node: est.Many) -> Value:
        kinds = {one.type if isinstance(one, est.Name) else "" for one in node.items}
        if len(kinds) == 1 and (kind_ := kinds.pop()) in self.symbols.shape.enums:
            names = [one.id for one in node.items if isinstance(one, est.Name)]
            return Value(Type("set", kind_), self.symbols.mask(kind_, names))
        items = [self.value(one) for one in node.items]
        kind = items[0].type
        if kind.kind != "member" or any(one.type != kind for one in items):
            raise unsupported("a set of something else than members of one enumeration")
        total: Term = items[0].term
        for one in items[1:]:
            total = total | one.term
        return Value(Type("set", kind.of), total)


__all__ = [
    "BOOL",
    "Formula",
    "Translator",
    "both",
    "either",
    "every",
    "negate",
    "some",
    "words",
]
