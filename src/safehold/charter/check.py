"""Every promise of a charter, tried on the compiled policy.

For each red line and each condition of use, the requests that would break it are enumerated: all actions of the
compiled schema, all roles, the stages, and every way to cross that line, with everything else as favourable as it can
be. Each request is decided twice: by the policy, and by the policy with a careless ``permit(principal, action,
resource);`` added. Neither may allow it.

What this shows holds for the compiled policy over this grid. It is no proof for values outside it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

import cedarpy

from safehold.charter import compile as compiler
from safehold.charter.compile import NONE, OTHER, Policy
from safehold.charter.model import ACTIONS, ASSURANCE, DATA, GRANTED, SELF, STAGES, Charter
from safehold.charter.redline import forms
from safehold.errors import InvalidError, RedLineError

CARELESS: Final = "permit(principal, action, resource);"
BATCH: Final = 20_000  # requests a call; more only costs memory
LIMITS_SHOWN: Final = (
    "shown for the compiled policy over this grid; values outside it are not covered",
    "a stated purpose is a claim; what is done under it is held by the recipe list and the ledger",
)

Request = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One promise and how it was tried.

    Args:
        id: ``red_line.<id>`` or ``guard.<id>``.
        plain: What it says, for people.
        requests: How many requests would break it.
        allowed: How many of them the policy allowed.
        allowed_careless: How many it allowed with the careless permit added.
    """

    id: str
    plain: str
    requests: int
    allowed: int
    allowed_careless: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What ``check`` found; every promise held, or it would have raised.

    Args:
        charter: Id of the charter.
        version: Its version.
        digest: SHA-256 of its canonical bytes, hex.
        policies: Number of Cedar policies.
        actions: Actions of the compiled schema.
        promises: One finding a promise.
        limits: What is not shown.
    """

    charter: str
    version: int
    digest: str
    policies: int
    actions: tuple[str, ...]
    promises: tuple[Finding, ...]
    limits: tuple[str, ...] = LIMITS_SHOWN

    @property
    def requests(self) -> int:
        """How many requests were tried."""
        return sum(finding.requests for finding in self.promises)

    def to_json(self) -> dict[str, Any]:
        """Return the findings as JSON."""
        return {
            "charter": self.charter,
            "version": self.version,
            "digest": self.digest,
            "policies": self.policies,
            "actions": list(self.actions),
            "requests": self.requests,
            "promises": [
                {
                    "id": finding.id,
                    "plain": finding.plain,
                    "requests": finding.requests,
                    "allowed": finding.allowed,
                    "allowed_careless": finding.allowed_careless,
                }
                for finding in self.promises
            ],
            "limits": list(self.limits),
        }


def check(charter: Charter) -> Findings:
    """Compile a charter, validate it, and try every promise on the result.

    Raises:
        InvalidError: It does not compile, or its schema lacks an action of the language.
        RedLineError: A request that breaks a promise is allowed.
    """
    return examine(compiler.compile(charter))


def examine(policy: Policy) -> Findings:
    """Try every promise of a compiled policy.

    Raises:
        InvalidError: The schema lacks an action of the language, or a promise has nothing to try.
        RedLineError: A request that breaks a promise is allowed; the message says which and where.
    """
    actions = tuple(re.findall(r'^action "([a-z_]+)"', policy.schema, flags=re.MULTILINE))
    if set(actions) != set(ACTIONS):
        raise InvalidError("the schema lacks an action", rule="charter.check.actions")
    grid = Grid(policy.charter, actions)
    careless = cedarpy.PolicySet.from_str(f"{policy.cedar}\n{CARELESS}")
    entities = cedarpy.Entities.from_json_str(json.dumps(grid.entities), schema=policy.types)
    promises = []
    for id_, plain, requests in grid.promises():
        tried = list(requests)
        if not tried:
            raise InvalidError(f"nothing was tried for {id_}", rule="charter.check.empty")
        plainly = _allowed(tried, policy.policies, entities, policy.types)
        anyway = _allowed(tried, careless, entities, policy.types)
        if broken := plainly or anyway:
            worst = broken[0]
            raise RedLineError(
                f"{len(broken)} of {len(tried)} requests that break this are allowed, for example"
                f" {worst['action']} by {worst['principal']}",
                rule=f"charter.{id_}",
                fix="the policy does not hold this promise; do not sign this charter",
            )
        promises.append(
            Finding(id=id_, plain=plain, requests=len(tried), allowed=0, allowed_careless=0)
        )
    return Findings(
        charter=policy.charter.id,
        version=policy.charter.version,
        digest=policy.charter.digest().hex(),
        policies=len(policy.rules),
        actions=actions,
        promises=tuple(promises),
    )


def _allowed(
    requests: Sequence[Request], policies: Any, entities: Any, schema: Any
) -> list[Request]:
    found = []
    for start in range(0, len(requests), BATCH):
        part = list(requests[start : start + BATCH])
        for request, result in zip(
            part,
            cedarpy.is_authorized_batch(part, policies, entities, schema),
            strict=True,
        ):
            if result.diagnostics.errors:
                raise InvalidError("a request of the grid is malformed", rule="charter.check.grid")
            if result.allowed:
                found.append(request)
    return found


class Grid:
    """Requests that are as favourable as can be, and ways to spoil one thing in each.

    Args:
        charter: Whose promises are tried.
        actions: The actions of the compiled schema.
    """

    def __init__(self, charter: Charter, actions: Sequence[str]) -> None:
        self.charter = charter
        self.actions = actions
        self.purposes = tuple(sorted(charter.purposes))
        self.principals = tuple(_principals(charter))
        self._resources: dict[str, dict[str, Any]] = {}

    @property
    def entities(self) -> list[dict[str, Any]]:
        """Every principal and resource that a request of this grid names."""
        list(self.promises_flat())
        return [
            *(entity for _, _, entity in self.principals),
            *self._resources.values(),
        ]

    def promises_flat(self) -> Iterator[Request]:
        """Yield every request of the grid."""
        for _, _, requests in self.promises():
            yield from requests

    def promises(self) -> Iterator[tuple[str, str, Iterator[Request]]]:
        """Yield every promise with the requests that would break it."""
        for written in self.charter.red_lines:
            line = forms(written)
            yield f"red_line.{line.id}", line.words(), self._crossings(written)
        for name, (actions, spoil) in _GUARDS.items():
            if name == "gates" and not self.charter.gates:
                continue
            yield f"guard.{name}", f"without {name}", self._spoilt(actions, spoil)
        for name, role in sorted(self.charter.who_may.items()):
            if role.grant is not None:
                few = role.grant.approvers - 1
                yield (
                    f"guard.approvers-{name}",
                    f"fewer approvals than {name} needs",
                    self._spoilt(GRANTED, lambda use, _, few=few: use.update(grant_approvals=few), role=name),
                )
        for action in self.actions:
            yield f"guard.closed-{action}", f"{action} by other roles", self._closed(action)

    def _crossings(self, written: Any) -> Iterator[Request]:
        line = forms(written)
        one = self.purposes[0]
        for term in compiler.banned_terms(line):
            for action, who in product(self.actions, self.principals):
                for stage in STAGES:
                    yield self.request(action, who, stage=stage, purpose=term)
                yield self.request(action, who, purpose=one, use={"grant_purpose": _e("Purpose", term)})
                yield self.request(
                    action, who, purpose=one, data={"purposes": [_e("Purpose", one), _e("Purpose", term)]}
                )
        for action, who in product(line.forbid_actions, self.principals):
            for stage, purpose, what in product(STAGES, self.purposes, compiler.kinds(self.charter)):
                yield self.request(action, who, stage=stage, purpose=purpose, data={"what": [_e("What", what)]})
        for silo, action, who in product(line.forbid_beside, self.actions, self.principals):
            for purpose, stage in product(self.purposes, STAGES):
                yield self.request(action, who, stage=stage, purpose=purpose, data={"silos": [_e("Silo", silo)]})
        if line.min_people is not None:
            for action, who in product(GRANTED, self.principals):
                for stage, purpose, people in product(STAGES, self.purposes, (0, 1, line.min_people - 1)):
                    yield self.request(action, who, stage=stage, purpose=purpose, use={"people": people})

    def _spoilt(
        self, actions: Sequence[str], spoil: Callable[[Any, Any], Any], *, role: str | None = None
    ) -> Iterator[Request]:
        for action, who in product(actions, self.principals):
            if role is not None and who[0] != role:
                continue
            for purpose, stage in product(self.purposes, STAGES):
                use: dict[str, Any] = {}
                data: dict[str, Any] = {}
                spoil(use, data)
                yield self.request(action, who, stage=stage, purpose=purpose, use=use, data=data)

    def _closed(self, action: str) -> Iterator[Request]:
        for who, purpose, stage in product(self.principals, self.purposes, STAGES):
            role = self.charter.who_may.get(who[0])
            if role is None or action not in role.do:
                yield self.request(action, who, stage=stage, purpose=purpose)

    def request(
        self,
        action: str,
        who: tuple[str, str, dict[str, Any]],
        *,
        purpose: str,
        stage: str = "training",
        use: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> Request:
        """Return a request that nothing refuses, but for what ``use`` and ``data`` change."""
        charter = self.charter
        role, uid, _ = who
        context = {
            "purpose": _e("Purpose", purpose),
            "stage": _e("Stage", stage),
            "now": 1,
            "people": max(compiler.least_people(charter), 1_000),
            "consent": True,
            "assurance": len(ASSURANCE) - 1,
            "holder": "key",
            "granted": True,
            "grant_purpose": _e("Purpose", purpose),
            "grant_stages": [_e("Stage", stage)],
            "grant_what": [_e("What", what) for what in compiler.kinds(charter)],
            "grant_segments": ["segment"],
            "grant_expires": 2,
            "grant_holder": "key",
            "grant_role": _e("Role", role),
            "grant_approvals": 6,
            "grant_operator": "me",
            "gates": [_e("Gate", gate) for gate in compiler.gates(charter)],
        }
        attributes = {
            "what": [_e("What", "keys")],
            "purposes": [_e("Purpose", purpose)],
            "places": [_e("Place", charter.jurisdictions[0])],
            "silos": [],
            "telemetry": True,
            "synthetic": False,
            "assurance": 1,
            "expires": 2,
            "segment": "segment",
            "owner": "me",
        }
        attributes.update(data or {})
        return {
            "principal": uid,
            "action": f'Action::"{action}"',
            "resource": self._resource(attributes),
            "context": context | dict(use or {}),
        }

    def _resource(self, attributes: dict[str, Any]) -> str:
        name = json.dumps(attributes, sort_keys=True)
        known = self._resources.setdefault(
            name,
            {
                "uid": {"type": "Dataset", "id": f"d{len(self._resources)}"},
                "attrs": attributes,
                "parents": [],
            },
        )
        return f'Dataset::"{known["uid"]["id"]}"'


def _principals(charter: Charter) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for role in compiler.roles(charter):
        for kind in ("Agent",) if role == "agent" else ("Human", "Workload"):
            if kind == "Workload" and role in (OTHER, "employee", "auditor"):
                continue
            attrs: dict[str, Any] = {"role": _e("Role", role), "sub": "me"}
            if kind == "Agent":
                attrs["operator"] = "me"
            name = f"{kind}-{role}"
            yield (
                role,
                f'{kind}::"{name}"',
                {"uid": {"type": kind, "id": name}, "attrs": attrs, "parents": []},
            )


def _e(kind: str, name: str) -> dict[str, dict[str, str]]:
    return {"__entity": {"type": kind, "id": name}}


_Spoil = Callable[[dict[str, Any], dict[str, Any]], Any]
_GUARDS: Final[Mapping[str, tuple[Sequence[str], _Spoil]]] = {
    "purpose": (DATA, lambda use, data: use.update(purpose=_e("Purpose", NONE))),
    "label": (DATA, lambda use, data: data.update(purposes=[_e("Purpose", NONE)])),
    "unlabelled": (DATA, lambda use, data: data.update(what=[])),
    "consent": (DATA, lambda use, data: use.update(consent=False)),
    "jurisdiction": (DATA, lambda use, data: data.update(places=[_e("Place", OTHER)])),
    "retention": (DATA, lambda use, data: use.update(now=2, grant_expires=3)),
    "assurance": (DATA, lambda use, data: use.update(assurance=0)),
    "grant": (GRANTED, lambda use, data: use.update(granted=False)),
    "grant-purpose": (GRANTED, lambda use, data: use.update(grant_purpose=_e("Purpose", NONE))),
    "grant-stage": (GRANTED, lambda use, data: use.update(grant_stages=[])),
    "grant-what": (GRANTED, lambda use, data: use.update(grant_what=[])),
    "grant-segment": (GRANTED, lambda use, data: use.update(grant_segments=["another"])),
    "grant-expired": (GRANTED, lambda use, data: use.update(grant_expires=1)),
    "grant-holder": (GRANTED, lambda use, data: use.update(holder="another")),
    "own-data": (SELF, lambda use, data: data.update(owner="another")),
    "gates": (("pull_artifact",), lambda use, data: use.update(gates=[])),
}
