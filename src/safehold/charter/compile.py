"""The charter as Cedar: types, permits from ``who_may``, and one ``forbid`` for every promise.

1. Deny overrides: a promise is never held only by the absence of a permit, because one careless
   permit would break
   it. Each red line and each condition of use has its own ``forbid``.
2. Every name that the charter fixes (purpose, stage, role, kind of data, place) is an enumerated
   entity type, so a
   misspelling is a type error and not another purpose.
3. No attribute is optional and nothing is computed, so no policy can fail while it is evaluated;
   strict validation
   proves it before anything is loaded.
4. Forbidden uses are purposes of the schema too: a request that states one is well formed, and
   meets its red line.

Cedar policy language: https://docs.cedarpolicy.com/policies/syntax-policy.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import cedarpy

from safehold.charter.granted import OPERATE, repairs, takes_grant
from safehold.charter.model import Charter, Role
from safehold.charter.redline import forms
from safehold.charter.review import check_meaning
from safehold.charter.rule import GUARD, PERMIT, RED_LINE, Rule, among, quote, ref, refs
from safehold.charter.types import banned_terms, dataset_gates, gates, schema
from safehold.charter.vocabulary import (
    ACTIONS,
    DATA,
    GRANTED,
    LEARN,
    ROWS,
    SELF,
)
from safehold.errors import InvalidError, MissingError


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A compiled charter: text, types and parsed handles.

    Args:
        charter: What was compiled.
        rules: Every policy.
        cedar: All of them as text.
        schema: The types as text.
        policies: Parsed policies; parsing per request costs 15 to 28 times as much.
        types: Parsed schema, passed on every request.
        digest: SHA-256 of the charter's canonical bytes, hex.
        by_id: Every rule by its id.
    """

    charter: Charter
    rules: tuple[Rule, ...]
    cedar: str
    schema: str
    policies: Any = field(repr=False, compare=False)
    types: Any = field(repr=False, compare=False)
    digest: str
    by_id: Mapping[str, Rule] = field(repr=False, compare=False)

    def rule(self, name: str) -> Rule:
        """Return a rule by its id.

        Raises:
            MissingError: There is no such rule.
        """
        if name not in self.by_id:
            raise MissingError("the policy has no such rule", rule="charter.rule")
        return self.by_id[name]


def compile(charter: Charter) -> Policy:  # noqa: A001
    """Return the policy that a charter promises.

    Raises:
        InvalidError: The charter cannot be enforced: a forbidden purpose, a red line of prose
            alone, or policies
            that do not pass strict validation.
    """
    check_meaning(charter)
    rules = (*_red_lines(charter), *_guards(charter), *_permits(charter))
    return build(charter, rules)


def build(charter: Charter, rules: Sequence[Rule]) -> Policy:
    """Return validated handles for rules of a charter.

    Raises:
        InvalidError: The rules do not pass strict validation against the charter's types.
    """
    cedar = "\n\n".join(rule.text() for rule in rules)
    types = schema(charter)
    try:
        result = cedarpy.validate_policies(cedar, types)
        sound = bool(result.validation_passed)
        policies = cedarpy.PolicySet.from_str(cedar)
        types_ = cedarpy.Schema.from_str(types)
    except (ValueError, RuntimeError, TypeError) as error:
        raise InvalidError("the policy does not parse", rule="charter.cedar.parse") from error
    if not sound:
        raise InvalidError(
            "the policy does not pass strict validation, so an error in it could allow",
            rule="charter.cedar.strict",
            fix="report this: the compiler must not produce it",
        )
    return Policy(
        charter=charter,
        rules=tuple(rules),
        cedar=cedar,
        schema=types,
        policies=policies,
        types=types_,
        digest=charter.digest().hex(),
        by_id=MappingProxyType({rule.id: rule for rule in rules}),
    )


def _red_lines(charter: Charter) -> Iterator[Rule]:
    for written in charter.red_lines:
        line = forms(written)
        part = _parts(f"red_line.{line.id}", RED_LINE, line.words())
        banned = banned_terms(line)
        if banned:
            names = refs("Purpose", banned)
            yield part(
                "",
                f"{names}.contains(context.purpose) || {names}.contains(context.grant_purpose)"
                f" || {names}.containsAny(resource.purposes)",
            )
        if line.forbid_actions:
            yield part(among(line.forbid_actions))
        if line.forbid_beside:
            # a person's own right to see, take or erase is no table, and no line may take it away
            yield part(
                among(DATA),
                "resource.telemetry",
                f"{refs('Silo', line.forbid_beside)}.containsAny(resource.silos)",
            )
        if line.min_people is not None:
            yield part(among(GRANTED), f"context.people < {line.min_people}")


def _parts(id: str, kind: str, plain: str) -> Callable[..., Rule]:  # noqa: A002
    """Return a maker of the numbered rules that one promise becomes."""
    count = 0

    def make(action: str, *conditions: str) -> Rule:
        nonlocal count
        count += 1
        return Rule(
            id=id if count == 1 else f"{id}/{count}",
            kind=kind,
            plain=plain,
            head=f"forbid(principal, action{action}, resource)",
            terms=conditions,
        )

    return make


def _guards(charter: Charter) -> Iterator[Rule]:
    def guard(name: str, plain: str, actions: Iterable[str], *conditions: str) -> Rule:
        return _parts(f"guard.{name}", GUARD, plain)(among(tuple(actions)), *conditions)

    def granted(name: str, plain: str, *conditions: str) -> Iterator[Rule]:
        part = _parts(f"guard.{name}", GUARD, plain)
        yield part(among(GRANTED), *conditions)
        for purpose in repairs(charter):
            yield part(among(OPERATE), f"context.purpose == {ref('Purpose', purpose)}", *conditions)

    known = refs("Purpose", sorted(charter.purposes))
    places = refs("Place", sorted(set(charter.jurisdictions)))
    yield guard(
        "purpose",
        "Each use states one purpose of the charter",
        DATA,
        f"!{known}.contains(context.purpose)",
    )
    yield guard(
        "label",
        "Data is used only for what it was sealed for",
        DATA,
        "!resource.purposes.contains(context.purpose)",
    )
    yield guard(
        "unlabelled",
        "Data without kind, place or purpose is not used",
        DATA,
        "resource.what.isEmpty() || resource.places.isEmpty() || resource.purposes.isEmpty()",
    )
    yield guard("consent", "Only people who take part now are included", DATA, "!context.consent")
    yield guard(
        "jurisdiction",
        "Data is used only where the charter allows",
        DATA,
        f"!{places}.containsAll(resource.places)",
    )
    yield guard(
        "retention", "Data past its end is not used", DATA, "context.now >= resource.expires"
    )
    yield guard(
        "assurance",
        "The sandbox is as strong as the data demands",
        DATA,
        "!resource.synthetic && context.assurance < resource.assurance",
    )
    yield from granted("grant", "Nobody has standing access", "!context.granted")
    yield from granted(
        "grant-purpose",
        "A grant is for one purpose",
        "context.grant_purpose != context.purpose",
    )
    yield from granted(
        "grant-stage",
        "A grant names its stages",
        "!context.grant_stages.contains(context.stage)",
    )
    yield from granted(
        "grant-what",
        "A grant names its data",
        "!context.grant_what.containsAll(resource.what)",
    )
    yield from granted(
        "grant-segment",
        "A grant names its segments",
        "!context.grant_segments.contains(resource.segment)",
    )
    yield from granted("grant-expired", "A grant ends", "context.now >= context.grant_expires")
    yield from granted(
        "grant-holder",
        "A grant belongs to one key",
        'context.grant_holder != context.holder || context.holder == ""',
    )
    yield from granted(
        "grant-role", "A grant belongs to one role", "context.grant_role != principal.role"
    )
    yield Rule(
        id="guard.agent-operator",
        kind=GUARD,
        plain="An agent acts only under its own operator's grant",
        head="forbid(principal is Agent, action, resource)",
        terms=('principal.operator == "" || context.grant_operator != principal.operator',),
    )
    agent = 'Role::"agent"'
    if "agent" in charter.who_may:
        yield Rule(
            id="guard.agent-kind",
            kind=GUARD,
            plain="A person or a workload is no agent",
            head="forbid(principal, action, resource)",
            terms=(f"!(principal is Agent) && principal.role == {agent}",),
        )
    yield Rule(
        id="guard.agent-role",
        kind=GUARD,
        plain="An agent has the role of an agent",
        head="forbid(principal is Agent, action, resource)",
        terms=(f"principal.role != {agent}",) if "agent" in charter.who_may else (),
    )
    yield guard(
        "own-data",
        "Self-service reaches only one's own data",
        SELF,
        'resource.owner != principal.sub || resource.owner == ""',
    )
    if charter.gates:
        names = refs("Gate", gates(charter))
        yield guard(
            "gates",
            "A model leaves only after every attack on it failed",
            ("pull_artifact",),
            f"!context.gates.containsAll({names})",
        )
    if early := [gate.id for gate in dataset_gates(charter)]:
        yield guard(
            "data-gates",
            "Nothing is trained on data before the attacks on it failed",
            LEARN,
            f"context.stage == {ref('Stage', 'training')}",
            f"!context.gates.containsAll({refs('Gate', sorted(early))})",
        )
    for name, role in sorted(charter.who_may.items()):
        if role.grant is not None:
            yield from granted(
                f"approvers-{name}",
                f"A grant of {name} has {charter.least_approvals(name)} approvals",
                f"principal.role == {ref('Role', name)}",
                f"context.grant_approvals < {charter.least_approvals(name)}",
            )
        if role.sees_data is False:
            yield guard(
                f"blind-{name}",
                f"The role {name} never sees data",
                (*ROWS, "query"),
                f"principal.role == {ref('Role', name)}",
            )
    for action in ACTIONS:
        able = [name for name, role in sorted(charter.who_may.items()) if action in role.do]
        yield guard(
            f"closed-{action}",
            f"Only {', '.join(able) or 'nobody'} may {action.replace('_', ' ')}",
            (action,),
            *((f"!{refs('Role', able)}.contains(principal.role)",) if able else ()),
        )


def _permits(charter: Charter) -> Iterator[Rule]:
    count = 0
    for name, role in sorted(charter.who_may.items()):
        who = "principal is Agent" if name == "agent" else "principal"
        for action in role.do:
            for plain, conditions in _uses(charter, name, role, action):
                count += 1
                yield Rule(
                    id=f"permit.{count}",
                    kind=PERMIT,
                    plain=plain,
                    head=f"permit({who}, action == Action::{quote(action)}, resource)",
                    terms=conditions,
                )


def _uses(
    charter: Charter, name: str, role: Role, action: str
) -> Iterator[tuple[str, tuple[str, ...]]]:
    words = action.replace("_", " ")
    is_role = f"principal.role == {ref('Role', name)}"
    if action in SELF:
        yield (
            f"{name} may {words}",
            (
                is_role,
                "resource.owner == principal.sub",
                f"context.stage == {ref('Stage', 'self')}",
            ),
        )
        return
    if action == "verify":
        stages = refs("Stage", role.stages)
        yield f"{name} may verify", (is_role, f"{stages}.contains(context.stage)")
        return
    for title, purpose in sorted(charter.purposes.items()):
        shared = [stage for stage in role.stages if stage in purpose.stages]
        if not shared:
            continue
        conditions = [
            is_role,
            f"context.purpose == {ref('Purpose', title)}",
            f"{refs('Stage', shared)}.contains(context.stage)",
            f"{refs('What', purpose.covers())}.containsAll(resource.what)",
            "resource.purposes.contains(context.purpose)",
        ]
        if takes_grant(charter, action, title):
            conditions += [
                "context.granted",
                "context.grant_purpose == context.purpose",
                "context.now < context.grant_expires",
            ]
        yield f"{name} may {words} for {title}", tuple(conditions)
