"""A charter judged in plain Python: the third opinion, beside the compiler and the prover.

It shares no formula with either. Tests compare all three on random requests, and a counterexample
that the solver finds must break the same promise here before anybody is shown it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from safehold.charter import terms
from safehold.charter.granted import takes_grant
from safehold.charter.model import Charter
from safehold.charter.prove.request import Request
from safehold.charter.redline import forms
from safehold.charter.vocabulary import ACTIONS, DATA, GRANTED, LEARN, ROWS, SELF


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What the charter says of a request.

    Args:
        broken: Ids of the promises it would break.
        named: Whether ``who_may``, purposes and stages name such a use at all.
    """

    broken: frozenset[str]
    named: bool

    @property
    def allowed(self) -> bool:
        """Whether the charter allows it."""
        return self.named and not self.broken


def judge(charter: Charter, asked: Request) -> Judgement:
    """Return what a charter says of a request."""
    broken = {
        *_red_lines(charter, asked),
        *(f"guard.{name}" for name in _guards(charter, asked)),
    }
    return Judgement(broken=frozenset(broken), named=_named(charter, asked))


def _red_lines(charter: Charter, asked: Request) -> Iterator[str]:
    stated = {asked.text("context.purpose"), asked.text("context.grant_purpose")}
    stated |= asked.group("resource.purposes")
    for written in charter.red_lines:
        line = forms(written)
        crossed = (
            any(_forbids(charter, word, use) for word in line.terms() for use in stated)
            or asked.action in line.forbid_actions
            or (
                asked.action in DATA
                and asked.truth("resource.telemetry")
                and not asked.group("resource.silos").isdisjoint(line.forbid_beside)
            )
            or (
                line.min_people is not None
                and asked.action in GRANTED
                and asked.number("context.people") < line.min_people
            )
        )
        if crossed:
            yield f"red_line.{line.id}"


def _forbids(charter: Charter, word: str, stated: str) -> bool:
    banned = terms.find(word, kind="use").name
    if stated in charter.purposes:
        own = (
            terms.find(word, kind="use", vocabulary=slot).name
            for slot, word in charter.purposes[stated].uses.slots()
        )
        return any(terms.overlaps(use, banned) for use in own)
    return stated in terms.within(banned)


def _guards(charter: Charter, asked: Request) -> Iterator[str]:
    if asked.action in DATA:
        yield from _on_data(charter, asked)
    if takes_grant(charter, asked.action, asked.text("context.purpose")):
        yield from _on_grant(charter, asked)
    role = asked.text("principal.role")
    if asked.kind == "Agent":
        operator = asked.text("principal.operator")
        if not operator or asked.text("context.grant_operator") != operator:
            yield "agent-operator"
        if role != "agent" or "agent" not in charter.who_may:
            yield "agent-role"
    elif role == "agent":
        yield "agent-kind"
    if asked.action in SELF and (
        not asked.text("resource.owner")
        or asked.text("resource.owner") != asked.text("principal.sub")
    ):
        yield "own-data"
    yield from _on_gates(charter, asked)
    if (
        role in charter.who_may
        and charter.who_may[role].sees_data is False
        and asked.action in {*ROWS, "query"}
    ):
        yield f"blind-{role}"
    for action in ACTIONS:
        if asked.action == action and (
            role not in charter.who_may or action not in charter.who_may[role].do
        ):
            yield f"closed-{action}"


def _on_gates(charter: Charter, asked: Request) -> Iterator[str]:
    passed = asked.group("context.gates")
    if asked.action == "pull_artifact" and any(gate.id not in passed for gate in charter.gates):
        yield "gates"
    learns = asked.action in LEARN and asked.text("context.stage") == "training"
    if learns and any(
        gate.id not in passed for gate in charter.gates if gate.attack == "reidentify"
    ):
        yield "data-gates"


def _on_data(charter: Charter, asked: Request) -> Iterator[str]:
    purpose = asked.text("context.purpose")
    if purpose not in charter.purposes:
        yield "purpose"
    if purpose not in asked.group("resource.purposes"):
        yield "label"
    if not all(asked.group(f"resource.{one}") for one in ("what", "places", "purposes")):
        yield "unlabelled"
    if not asked.truth("context.consent"):
        yield "consent"
    if asked.group("resource.places") - set(charter.jurisdictions):
        yield "jurisdiction"
    if asked.number("context.now") >= asked.number("resource.expires"):
        yield "retention"
    weak = asked.number("context.assurance") < asked.number("resource.assurance")
    if weak and not asked.truth("resource.synthetic"):
        yield "assurance"


def _on_grant(charter: Charter, asked: Request) -> Iterator[str]:
    if not asked.truth("context.granted"):
        yield "grant"
    if asked.text("context.grant_purpose") != asked.text("context.purpose"):
        yield "grant-purpose"
    if asked.text("context.stage") not in asked.group("context.grant_stages"):
        yield "grant-stage"
    if asked.group("resource.what") - asked.group("context.grant_what"):
        yield "grant-what"
    if asked.text("resource.segment") not in asked.group("context.grant_segments"):
        yield "grant-segment"
    if asked.number("context.now") >= asked.number("context.grant_expires"):
        yield "grant-expired"
    holder = asked.text("context.holder")
    if not holder or asked.text("context.grant_holder") != holder:
        yield "grant-holder"
    role = asked.text("principal.role")
    if asked.text("context.grant_role") != role:
        yield "grant-role"
    if role in charter.who_may:
        rule, given = charter.who_may[role].grant, asked.number("context.grant_approvals")
        if rule is not None and given < charter.least_approvals(role):
            yield f"approvers-{role}"


def _named(charter: Charter, asked: Request) -> bool:
    name = asked.text("principal.role")
    role = charter.who_may.get(name)
    if role is None or asked.action not in role.do or (asked.kind == "Agent") != (name == "agent"):
        return False
    stage = asked.text("context.stage")
    if asked.action in SELF:
        owner = asked.text("resource.owner")
        return stage == "self" and bool(owner) and owner == asked.text("principal.sub")
    if stage not in role.stages:
        return False
    return asked.action == "verify" or _for_purpose(charter, asked)


def _for_purpose(charter: Charter, asked: Request) -> bool:
    name = asked.text("context.purpose")
    purpose = charter.purposes.get(name)
    if purpose is None or asked.text("context.stage") not in purpose.stages:
        return False
    fits = name in asked.group("resource.purposes") and asked.group("resource.what") <= set(
        purpose.covers()
    )
    if not takes_grant(charter, asked.action, name):
        return fits
    return (
        fits
        and asked.truth("context.granted")
        and asked.text("context.grant_purpose") == name
        and asked.number("context.now") < asked.number("context.grant_expires")
    )
