"""Random Cedar policies over a charter's types, random requests, and the prover's formulas evaluated on them.

Policies are made type by type from every operator the prover reads, so that they mostly pass strict validation.
Requests start from one that a charter allows and lose their way in a few attributes, so that a healthy share is
allowed.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import cedarpy
import z3

from safehold.charter.model import Charter
from safehold.charter.prove.request import Plain, Request
from safehold.charter.prove.shape import Shape, Type
from safehold.charter.prove.symbol import CODE_BITS, Symbols, Truth
from safehold.charter.rule import quote
from safehold.charter.vocabulary import ASSURANCE, SELF

STRINGS = ("", "ana", "bo", "key", "segment", "other")
NUMBERS = (-(2**63), -1, 0, 1, 2, 3, 49, 50, 1000, 2**63 - 1)


class PolicyMaker:
    """Makes policies.

    Args:
        shape: The types.
        chance: Randomness, seeded.
    """

    def __init__(self, shape: Shape, chance: random.Random) -> None:
        self.shape = shape
        self.chance = chance

    def texts(self, schema: str, count: int) -> Iterator[str]:
        """Yield sets of policies that pass strict validation."""
        made = 0
        while made < count:
            sort = self.chance.choice
            effects = [
                "permit",
                *(
                    sort(("permit", "permit", "permit", "forbid"))
                    for _ in range(self.chance.randrange(1, 5))
                ),
            ]
            text = "\n".join(self.policy(effect, place) for place, effect in enumerate(effects))
            if cedarpy.validate_policies(text, schema).validation_passed:
                made += 1
                yield text

    def policy(self, effect: str, place: int) -> str:
        kinds = list(self.shape.principals)
        kind = self.chance.choice(kinds)
        who, only = self.chance.choice(
            [
                ("principal", None),
                ("principal", None),
                (f"principal is {kind}", kind),
                (f'principal == {kind}::"ana"', kind),
                (f'principal in {kind}::"bo"', kind),
                (f'principal is {kind} in {kind}::"ana"', kind),
            ]
        )
        names = [f'Action::"{self.chance.choice(self.shape.actions)}"' for _ in range(3)]
        action = self.chance.choice(
            [
                "action",
                "action",
                f"action == {names[0]}",
                f"action in {names[0]}",
                f"action in [{', '.join(names)}]",
            ]
        )
        resource = self.chance.choice(
            ["resource", "resource", "resource is Dataset", 'resource == Dataset::"d"', 'resource in Dataset::"d"',
             'resource is Dataset in Dataset::"d"']
        )  # fmt: skip
        conditions = "".join(
            f" {self.chance.choice(('when', 'when', 'unless'))} {{ {self.truth(3, only)} }}"
            for _ in range(self.chance.choice((0, 0, 1, 1, 2)))
        )
        return f'@id("p{place}") {effect}({who}, {action}, {resource}){conditions};'

    def truth(self, depth: int, kind: str | None) -> str:
        """Return a condition."""
        forms = [self.equal, self.order, self.member, self.groups, self.named, self.flag]
        if depth:
            forms += [self.joined, self.joined, self.denied, self.chosen, self.guarded]
        return self.chance.choice(forms)(depth - 1, kind)

    def joined(self, depth: int, kind: str | None) -> str:
        op = self.chance.choice(("&&", "||"))
        return f"({self.truth(depth, kind)} {op} {self.truth(depth, kind)})"

    def denied(self, depth: int, kind: str | None) -> str:
        return f"!({self.truth(depth, kind)})"

    def chosen(self, depth: int, kind: str | None) -> str:
        test, then, other = (self.truth(depth, kind) for _ in range(3))
        if self.chance.random() < 0.3:
            one, two = self.long(kind), self.long(kind)
            return f"((if {test} then {one} else {two}) < {self.long(kind)})"
        return f"(if {test} then {then} else {other})"

    def guarded(self, depth: int, kind: str | None) -> str:
        guard = self.chance.choice(("principal is Agent", "principal has operator"))
        return f"({guard} && {self.truth(depth, 'Agent')})"

    def equal(self, _depth: int, kind: str | None) -> str:
        op = self.chance.choice(("==", "!="))
        type_ = self.chance.choice(
            (Type("string"), Type("long"), self.enum(), Type("bool"), Type("set", self.enum().of))
        )
        return f"({self.value(type_, kind)} {op} {self.value(type_, kind)})"

    def order(self, _depth: int, kind: str | None) -> str:
        op = self.chance.choice(("<", "<=", ">", ">="))
        return f"({self.long(kind)} {op} {self.long(kind)})"

    def flag(self, _depth: int, kind: str | None) -> str:
        return self.value(Type("bool"), kind)

    def member(self, _depth: int, kind: str | None) -> str:
        choice = self.chance.randrange(4)
        if choice == 0:
            type_ = self.chance.choice((Type("string"), Type("long")))
            items = ", ".join(self.value(type_, kind) for _ in range(self.chance.randrange(1, 4)))
            return f"[{items}].contains({self.value(type_, kind)})"
        if choice == 1:
            return (
                f"{self.field(Type('strings'), kind)}.contains({self.value(Type('string'), kind)})"
            )
        of = self.enum().of
        return (
            f"{self.value(Type('set', of), kind)}.contains({self.value(Type('member', of), kind)})"
        )

    def groups(self, _depth: int, kind: str | None) -> str:
        choice = self.chance.randrange(6)
        of = self.enum().of
        one, two = (self.value(Type("set", of), kind) for _ in range(2))
        if choice < 3:
            return f"{one}.{self.chance.choice(('containsAll', 'containsAny'))}({two})"
        if choice == 3:
            return f"{one}.isEmpty()"
        strings = self.field(Type("strings"), kind)
        written = f"[{', '.join(self.value(Type('string'), kind) for _ in range(2))}]"
        if choice == 4:
            return self.chance.choice(
                (
                    f"{strings}.containsAll({written})",
                    f"{strings}.containsAny({written})",
                    f"{written}.containsAny({strings})",
                )
            )
        return f"{strings}.isEmpty()"

    def named(self, _depth: int, kind: str | None) -> str:
        one = self.chance.choice(list(self.shape.principals))
        actions = [f'Action::"{self.chance.choice(self.shape.actions)}"' for _ in range(2)]
        return self.chance.choice(
            (
                f"principal is {one}",
                f'principal == {one}::"ana"',
                f'principal in {one}::"ana"',
                f'principal in [{one}::"ana", {one}::"bo"]',
                f'principal is {one} in {one}::"bo"',
                "resource is Dataset",
                'resource != Dataset::"d"',
                f"action == {actions[0]}",
                f"action in [{', '.join(actions)}]",
                "principal has operator",
                "context has consent",
                "resource has nothing",
            )
        )

    def enum(self) -> Type:
        return Type("member", self.chance.choice(list(self.shape.enums)))

    def long(self, kind: str | None) -> str:
        return self.value(Type("long"), kind)

    def value(self, type_: Type, kind: str | None) -> str:
        """Return an expression of a type; an attribute, or something written out."""
        if self.chance.random() < 0.6 and self.fields(type_, kind):
            return self.field(type_, kind)
        match type_.kind:
            case "bool":
                return self.chance.choice(("true", "false"))
            case "long":
                # Cedar's text has no literal for the least whole number
                return str(self.chance.choice(NUMBERS[1:]))
            case "string":
                return quote(self.chance.choice(STRINGS))
            case "member":
                return f"{type_.of}::{quote(self.chance.choice(self.shape.enums[type_.of]))}"
            case _:
                some = [
                    self.value(Type("member", type_.of), kind)
                    for _ in range(self.chance.randrange(1, 4))
                ]
                return f"[{', '.join(some)}]"

    def field(self, type_: Type, kind: str | None) -> str:
        return self.chance.choice(self.fields(type_, kind))

    def fields(self, type_: Type, kind: str | None) -> list[str]:
        """Return every attribute of a type that any principal here has."""
        kinds = [kind] if kind else list(self.shape.principals)
        shared = set.intersection(*(set(self.shape.principals[one].items()) for one in kinds))
        groups: tuple[tuple[str, Iterable[tuple[str, Type]]], ...] = (
            ("context", self.shape.context.items()),
            ("resource", self.shape.data.items()),
            ("principal", sorted(shared, key=lambda item: item[0])),
        )
        return [f"{owner}.{name}" for owner, items in groups for name, of in items if of == type_]


class RequestMaker:
    """Makes requests that a charter allows, and spoils some attributes.

    Args:
        charter: The charter.
        shape: Its types.
        chance: Randomness, seeded.
    """

    def __init__(self, charter: Charter, shape: Shape, chance: random.Random) -> None:
        self.charter = charter
        self.shape = shape
        self.chance = chance

    def allowed(self) -> Request:
        """Return a request that the charter allows."""
        chance = self.chance
        role = chance.choice(sorted(self.charter.who_may))
        rule = self.charter.who_may[role]
        ways = [
            (action, stage, title)
            for action in rule.do
            for title, purpose in sorted(self.charter.purposes.items())
            for stage in rule.stages
            if action in SELF or action == "verify" or stage in purpose.stages
        ]
        action, stage, title = chance.choice(ways)
        covers = self.charter.purposes[title].covers()
        what = frozenset(chance.sample(covers, chance.randrange(1, len(covers) + 1)))
        kind = "Agent" if role == "agent" else chance.choice(("Human", "Workload"))
        values: dict[str, Plain] = {
            "principal.role": role,
            "principal.sub": "ana",
            "resource.what": what,
            "resource.purposes": frozenset({title}),
            "resource.places": frozenset(self.charter.jurisdictions[:1]),
            "resource.silos": frozenset(),
            "resource.telemetry": True,
            "resource.synthetic": False,
            "resource.assurance": 1,
            "resource.expires": 3,
            "resource.segment": "segment",
            "resource.owner": "ana",
            "context.purpose": title,
            "context.stage": "self" if action in SELF else stage,
            "context.now": 1,
            "context.people": 1000,
            "context.consent": True,
            "context.assurance": len(ASSURANCE) - 1,
            "context.holder": "key",
            "context.granted": True,
            "context.grant_purpose": title,
            "context.grant_stages": frozenset({stage}),
            "context.grant_what": what,
            "context.grant_segments": frozenset({"segment", "bo"}),
            "context.grant_expires": 2,
            "context.grant_holder": "key",
            "context.grant_role": role,
            "context.grant_approvals": 6,
            "context.grant_operator": "bo",
            "context.gates": frozenset(gate.id for gate in self.charter.gates),
        }
        if kind == "Agent":
            values["principal.operator"] = "bo"
        return Request(
            action=action,
            kind=kind,
            who=chance.choice(("ana", "bo")),
            data=chance.choice("de"),
            values=values,
        )

    def request(self, *, spoil: float) -> Request:
        """Return a request of which some things are other; ``spoil`` is the chance that any is."""
        asked = self.allowed()
        if self.chance.random() >= spoil:
            return asked
        values = dict(asked.values)
        for path in self.chance.sample(
            sorted(values), self.chance.choice((1, 1, 2, 3, len(values)))
        ):
            values[path] = self.plain(self.type_of(path, asked.kind))
        changed = replace(asked, values=values)
        if self.chance.random() < 0.2:
            changed = replace(changed, action=self.chance.choice(self.shape.actions))
        return changed

    def type_of(self, path: str, kind: str) -> Type:
        owner, _, name = path.partition(".")
        fields = {
            "context": self.shape.context,
            "resource": self.shape.data,
            "principal": self.shape.principals[kind],
        }
        return fields[owner][name]

    def plain(self, type_: Type) -> Plain:
        match type_.kind:
            case "bool":
                return self.chance.random() < 0.5
            case "long":
                return self.chance.choice(NUMBERS)
            case "string":
                return self.chance.choice((*STRINGS, "nobody wrote this"))
            case "member":
                return self.chance.choice(self.shape.enums[type_.of])
            case "set":
                names = self.shape.enums[type_.of]
                return frozenset(
                    self.chance.sample(names, self.chance.randrange(min(4, len(names) + 1)))
                )
            case _:
                return frozenset(self.chance.sample(STRINGS, self.chance.randrange(3)))


def evaluate(symbols: Symbols, truth: Truth, asked: Request) -> bool:
    """Return what a formula says of a request."""
    return evaluate_all(symbols, [truth], asked)[0]


def evaluate_all(symbols: Symbols, truths: Sequence[Truth], asked: Request) -> list[bool]:
    """Return what each of some formulas says of a request."""
    codes = dict(symbols.codes)
    pairs = list(_plain(symbols, asked, codes))
    pairs += _answers(symbols, asked, codes, pairs)
    return [_closed(truth, pairs) for truth in truths]


def _closed(truth: Truth, pairs: list[tuple[Any, Any]]) -> bool:
    if isinstance(truth, bool):
        return truth
    result = z3.simplify(z3.substitute(truth, *pairs))
    assert z3.is_true(result) or z3.is_false(result), "a formula left something open"
    return z3.is_true(result)


def _plain(symbols: Symbols, asked: Request, codes: dict[str, int]) -> Iterator[tuple[Any, Any]]:
    def code(text: str) -> Any:
        return z3.BitVecVal(codes.setdefault(text, len(codes) + 1000), CODE_BITS, symbols.z3)

    yield symbols.uid["principal"], code(asked.who)
    yield symbols.uid["resource"], code(asked.data)
    for path, value in symbols.values().items():
        if path not in asked.values:
            continue  # only an agent has an operator
        match value.type.kind:
            case "bool":
                yield value.term, z3.BoolVal(asked.truth(path), symbols.z3)
            case "long":
                yield value.term, symbols.long(asked.number(path))
            case "string":
                yield value.term, code(asked.text(path))
            case "member":
                yield value.term, symbols.member(value.type.of, asked.text(path))
            case "set":
                yield value.term, symbols.mask(value.type.of, asked.group(path))


def _answers(
    symbols: Symbols, asked: Request, codes: dict[str, int], pairs: list[tuple[Any, Any]]
) -> Iterator[tuple[Any, Any]]:
    """Yield what the sets of strings answer, for the strings that this kind of principal has."""
    written = {number: text for text, number in codes.items()}
    for path, value in symbols.values().items():
        if value.type.kind != "strings":
            continue
        group = asked.group(path)
        yield symbols.vacant(value.term), z3.BoolVal(not group, symbols.z3)
        for term, answer in symbols.asked(value.term).items():
            number = z3.simplify(z3.substitute(term, *pairs))
            if z3.is_bv_value(number):
                yield answer, z3.BoolVal(written[number.as_long()] in group, symbols.z3)


def decide(cedar: str, schema: str, shape: Shape, asked: Sequence[Request]) -> list[bool]:
    """Return what Cedar says of requests; a decision with an error on the way fails the test."""
    policies = cedarpy.PolicySet.from_str(cedar)
    types = cedarpy.Schema.from_str(schema)
    entities, questions = [], []
    for one in asked:
        # ids stand in policies, so that they stay; each request is decided among its own entities
        own = cedarpy.Entities.from_json_str(json.dumps(one.entities(shape)), schema=types)
        entities.append(own)
        questions.append(one.question(shape))
    results = [
        cedarpy.is_authorized(question, policies, own, types)
        for question, own in zip(questions, entities, strict=True)
    ]
    assert not any(one.diagnostics.errors for one in results)
    return [bool(one.allowed) for one in results]
