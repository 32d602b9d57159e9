"""One decision of the charter's policy, with reasons.

1. Parsed policies and the schema are used on every request; a request that does not fit the schema
   is denied.
2. Any error while a policy is evaluated denies: Cedar itself skips a ``forbid`` that errs, and
   would allow.
3. A red line is told apart from every other refusal, because nobody can lift it.
4. What the charter fixes (silos, sensitivity, assurance) is looked up here and never claimed by the
   caller.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import cedarpy
import orjson

from safehold.access.claims import Claims
from safehold.access.explain import missing_terms
from safehold.access.grant import DERIVED, whats
from safehold.access.memory import Memory
from safehold.access.principal import Principal, kind_of, operator_of
from safehold.charter import Policy, Rule
from safehold.charter.model import Charter
from safehold.charter.rule import GUARD, RED_LINE
from safehold.charter.types import NONE, OTHER
from safehold.charter.vocabulary import ACTIONS, ASSURANCE, INTERNAL, STAGES
from safehold.errors import ConsentError, DeniedError, RedLineError

_MEMORY: Final = Memory()
_FIX: Final[Mapping[str, str]] = {
    "guard.grant": "ask for a grant: safehold request new",
    "guard.grant-expired": "ask for a new grant: safehold request new",
    "guard.consent": "leave out everybody who does not take part",
    "guard.data-gates": "measure the dataset, and let it pass: safehold attack dataset",
    "guard.assurance": "run where the sandbox is stronger: safehold doctor",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRequest:
    """One use that somebody asks for.

    Args:
        principal: Who asks, with identity proved.
        action: An action of the charter language.
        purpose: The one stated purpose; empty for actions that touch no data of others.
        stage: Stage of the pipeline.
        now_us: Microseconds.
        segment: Name of the segment.
        streams: Streams that are touched; ``feature`` for derived blocks.
        purposes: Purposes that the data was sealed for: the intersection over all of it.
        jurisdictions: Every place the data comes from.
        expires_us: The earliest end of retention in the data, microseconds.
        people: Number of different people in it.
        consent: True only if every one of them takes part now.
        silos: Silos that the run touches or that derived data descends from, beside those of its streams.
        synthetic: True if all of it is made up.
        assurance: Level of the sandbox it will run in.
        claims: The verified capability, where there is one.
        holder: Public key that was proved, base64; must be the capability's.
        owner: Whose data it is, for self-service.
        gates: Ids of the gates that the artifact, or the dataset, has passed.
    """

    principal: Principal
    action: str
    purpose: str
    stage: str
    now_us: int
    segment: str = ""
    streams: tuple[str, ...] = ()
    purposes: tuple[str, ...] = ()
    jurisdictions: tuple[str, ...] = ()
    expires_us: int = 0
    people: int = 0
    consent: bool = False
    silos: tuple[str, ...] = ()
    synthetic: bool = False
    assurance: str = "E0"
    claims: Claims | None = None
    holder: str = ""
    owner: str = ""
    gates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A use that is allowed; a refusal is an error instead.

    Args:
        action: What was asked for.
        purpose: For which purpose.
        rules: Ids of the permits that allow it.
        plain: The same in words.
        charter: Digest of the charter that decided, hex.
    """

    action: str
    purpose: str
    rules: tuple[str, ...]
    plain: tuple[str, ...]
    charter: str


def authorise(policy: Policy, request: AccessRequest) -> Decision:
    """Return the decision if the charter allows a use.

    Args:
        policy: The compiled charter in force.
        request: The use; every fact in it was established by the caller, not by whoever asks.

    Raises:
        RedLineError: It would cross a red line; the rule names it, the message says it in plain
            words.
        ConsentError: Somebody in the data does not take part now.
        DeniedError: Another condition does not hold, or nothing in the charter allows it.
    """
    question, entities = _translate(policy, request)
    found: Decision = _MEMORY.recall(
        policy, question, entities, lambda: _decide(policy, request, question, entities)
    )
    return found


def _decide(
    policy: Policy, request: AccessRequest, question: dict[str, Any], entities: list[Any]
) -> Decision:
    try:
        loaded = cedarpy.Entities.from_json_str(_written(entities), schema=policy.types)
        context = _written(question["context"])  # else it is written slower
        asked = {**question, "context": context}
        result = cedarpy.is_authorized(asked, policy.policies, loaded, policy.types)
    except (ValueError, RuntimeError, TypeError) as error:
        raise DeniedError(
            "this request names something the charter does not know", rule="policy.request"
        ) from error
    if result.diagnostics.errors or result.decision is cedarpy.Decision.NoDecision:
        raise DeniedError(
            "this request names something the charter does not know, or a policy could not be"
            " evaluated",
            rule="policy.error",
            fix="check purpose, stage and names against the charter: safehold charter show",
        )
    names = result.diagnostics.id_annotations_by_reason
    rules = [policy.rule(str(names[reason])) for reason in result.diagnostics.reasons]
    if not result.allowed:
        raise _refusal(policy, request, question, loaded, rules)
    return Decision(
        action=request.action,
        purpose=request.purpose,
        rules=tuple(sorted(rule.id for rule in rules)),
        plain=tuple(sorted(rule.plain for rule in rules)),
        charter=policy.digest,
    )


def _refusal(
    policy: Policy, request: AccessRequest, question: Any, entities: Any, rules: list[Rule]
) -> DeniedError:
    lines = sorted((rule for rule in rules if rule.kind == RED_LINE), key=lambda rule: rule.id)
    if lines:
        name = lines[0].id.partition("/")[0]
        return RedLineError(
            lines[0].plain, rule=f"charter.{name}", fix="nobody can lift this; no approval will"
        )
    guards = [rule for rule in rules if rule.kind == GUARD]
    if guards:
        # in the order of the compiled policy: what the data demands before what the grant lacks
        order = {rule.id: place for place, rule in enumerate(policy.rules)}
        first = min(guards, key=lambda rule: order[rule.id])
        kind = ConsentError if first.id == "guard.consent" else DeniedError
        name = first.id.partition("/")[0]  # one promise may be several rules
        return kind(first.plain, rule=f"charter.{name}", fix=_FIX.get(name))
    missing = missing_terms(policy, question, entities, action=request.action)
    return DeniedError(
        f"nothing in the charter allows this{missing.words()}",
        rule="charter.default_deny",
        fix="what the charter does not allow is forbidden",
    )


def _translate(policy: Policy, request: AccessRequest) -> tuple[dict[str, Any], list[Any]]:
    charter = policy.charter
    if request.action not in ACTIONS or request.stage not in STAGES:
        raise DeniedError("the charter language has no such action or stage", rule="policy.action")
    claims = request.claims
    named = [name for name in request.streams if name not in INTERNAL]
    kinds = (*whats(tuple(named)), *(name for name in request.streams if name in INTERNAL))
    silos, least, telemetry = _lookup(charter, kinds)
    places = [place if place in charter.jurisdictions else OTHER for place in request.jurisdictions]
    who = _uid(kind_of(request.principal).capitalize(), request.principal.id)
    attributes: dict[str, Any] = {
        "role": _e(
            "Role", request.principal.role if request.principal.role in charter.who_may else OTHER
        ),
        "sub": request.principal.id,
    }
    if operator := operator_of(request.principal):
        attributes["operator"] = operator
    data = {
        "what": [_e("What", kind) for kind in kinds],
        "purposes": [_e("Purpose", purpose) for purpose in request.purposes],
        "places": [_e("Place", place) for place in places],
        "silos": [_e("Silo", silo) for silo in sorted(silos | set(request.silos))],
        "telemetry": telemetry,
        "synthetic": request.synthetic,
        "assurance": least,
        "expires": request.expires_us,
        "segment": request.segment,
        "owner": request.owner,
    }
    context = {
        "purpose": _e("Purpose", request.purpose or NONE),
        "stage": _e("Stage", request.stage),
        "now": request.now_us,
        "people": request.people,
        "consent": request.consent,
        "assurance": ASSURANCE.index(request.assurance) if request.assurance in ASSURANCE else 0,
        "holder": request.holder,
        "gates": [_e("Gate", gate) for gate in request.gates],
        **_grant(policy, claims),
    }
    resource = _uid("Dataset", request.segment or request.owner or "none")
    question = {
        "principal": who,
        "action": _uid("Action", request.action),
        "resource": resource,
        "context": context,
    }
    return question, [
        {"uid": who, "attrs": attributes, "parents": []},
        {"uid": resource, "attrs": data, "parents": []},
    ]


def _grant(policy: Policy, claims: Claims | None) -> dict[str, Any]:
    if claims is None:
        return {
            "granted": False,
            "grant_purpose": _e("Purpose", NONE),
            "grant_stages": [],
            "grant_what": [],
            "grant_segments": [],
            "grant_expires": 0,
            "grant_holder": "",
            "grant_role": _e("Role", OTHER),
            "grant_approvals": 0,
            "grant_operator": "",
        }
    role = claims.principal.role
    return {
        # a grant of another charter version counts for nothing
        "granted": claims.charter == policy.digest,
        "grant_purpose": _e("Purpose", claims.purpose),
        "grant_stages": [_e("Stage", stage) for stage in sorted(claims.stages)],
        "grant_what": [_e("What", kind) for kind in whats(claims.streams)],
        "grant_segments": sorted(claims.segments),
        "grant_expires": min(claims.expires_us, claims.grant_expires_us),
        "grant_holder": claims.holder.text(),
        "grant_role": _e("Role", role if role in policy.charter.who_may else OTHER),
        "grant_approvals": claims.approvals,
        "grant_operator": operator_of(claims.principal),
    }


def _lookup(charter: Charter, kinds: tuple[str, ...]) -> tuple[set[str], int, bool]:
    """Return silos, least assurance level, and whether telemetry is among the data."""
    silos: set[str] = set()
    sensitivity, telemetry = 1, False
    items = {item.what: item for item in charter.collect}
    for kind in kinds:
        if kind == DERIVED:
            # what features were made from is at most as sensitive as everything that is collected
            sensitivity = max([sensitivity, *(item.sensitivity for item in charter.collect)])
            telemetry = True
        elif kind in items:
            sensitivity = max(sensitivity, items[kind].sensitivity)
            if (silo := items[kind].minimise.silo) is not None:
                silos.add(silo)
            else:
                telemetry = True
        elif kind not in INTERNAL:
            sensitivity, telemetry = 4, True
    return silos, charter.assurance.least(sensitivity), telemetry


def _written(value: Any) -> str:
    return orjson.dumps(value).decode()


def _uid(kind: str, name: str) -> dict[str, str]:
    return {"type": kind, "id": name}


def _e(kind: str, name: str) -> dict[str, dict[str, str]]:
    return {"__entity": {"type": kind, "id": name}}
