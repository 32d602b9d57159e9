"""Every promise of a charter, tried on the compiled policy.

For each red line and each condition of use, the requests that would break it are enumerated: all actions of the
compiled schema, all roles, the stages, and every way to cross that line, with everything else as favourable as it can
be. They are decided by the policy with a careless ``permit(principal, action, resource);`` added, and none may be
allowed. A further permit only ever adds to what Cedar allows, so what holds with it holds without it.

By default each dimension beside action and role is varied on its own; ``exhaustive`` takes their whole product.
What this shows holds for the compiled policy over this grid. It is no proof for values outside it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any, Final

import cedarpy

from safehold.charter import compile as compiler
from safehold.charter.compile import NONE, OTHER, Policy
from safehold.charter.model import ACTIONS, ASSURANCE, DATA, GRANTED, SELF, STAGES, Charter, RedLine
from safehold.charter.redline import forms
from safehold.errors import InvalidError, RedLineError

CARELESS: Final = "permit(principal, action, resource);"
BATCH: Final = 500  # requests a call: small enough to share among threads
THREADS: Final = 4
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
        requests: How many requests that would break it were tried; all were denied.
    """

    id: str
    plain: str
    requests: int


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
                }
                for finding in self.promises
            ],
            "limits": list(self.limits),
        }


def check(charter: Charter, *, exhaustive: bool = False) -> Findings:
    """Compile a charter, validate it, and try every promise on the result.

    Args:
        charter: What to check.
        exhaustive: Take the product of all dimensions (minutes) instead of each on its own (seconds).

    Raises:
        InvalidError: It does not compile, or its schema lacks an action of the language.
        RedLineError: A request that breaks a promise is allowed.
    """
    return examine(compiler.compile(charter), exhaustive=exhaustive)


def examine(policy: Policy, *, exhaustive: bool = False) -> Findings:
    """Try every promise of a compiled policy.

    Raises:
        InvalidError: The schema lacks an action of the language, or a promise has nothing to try.
        RedLineError: A request that breaks a promise is allowed; the message says which and where.
    """
    actions = tuple(re.findall(r'^action "([a-z_]+)"', policy.schema, flags=re.MULTILINE))
    if set(actions) != set(ACTIONS):
        raise InvalidError("the schema lacks an action", rule="charter.check.actions")
    grid = Grid(policy.charter, actions, exhaustive=exhaustive)
    tried = [(id_, plain, list(requests)) for id_, plain, requests in grid.promises()]
    careless = cedarpy.PolicySet.from_str(f"{policy.cedar}\n{CARELESS}")
    entities = cedarpy.Entities.from_json_str(json.dumps(grid.entities), schema=policy.types)
    for id_, _, requests in tried:
        if not requests:
            raise InvalidError(f"nothing was tried for {id_}", rule="charter.check.empty")
        if broken := _allowed(requests, careless, entities):
            worst = broken[0]
            raise RedLineError(
                f"{len(broken)} of {len(requests)} requests that break this are allowed, for"
                f" example {worst['action']} by {worst['principal']}",
                rule=f"charter.{id_}",
                fix="the policy does not hold this promise; do not sign this charter",
            )
    return Findings(
        charter=policy.charter.id,
        version=policy.charter.version,
        digest=policy.charter.digest().hex(),
        policies=len(policy.rules),
        actions=actions,
        promises=tuple(
            Finding(id=id_, plain=plain, requests=len(requests)) for id_, plain, requests in tried
        ),
    )


def _allowed(requests: Sequence[Request], policies: Any, entities: Any) -> list[Request]:
    def decide(part: list[Request]) -> list[Any]:
        # the grid builds its requests from the schema's own names; without the schema a malformed one would
        # make a forbid err and so show up as a breach, which is the safe side, and it takes half the time
        results: list[Any] = cedarpy.is_authorized_batch(part, policies, entities)
        return results

    parts = [list(requests[start : start + BATCH]) for start in range(0, len(requests), BATCH)]
    with ThreadPoolExecutor(THREADS) as pool:  # Cedar runs outside the interpreter lock
        results = [result for decided in pool.map(decide, parts) for result in decided]
    if any(result.diagnostics.errors for result in results):
        raise InvalidError("a request of the grid is malformed", rule="charter.check.grid")
    return [request for request, result in zip(requests, results, strict=True) if result.allowed]


class Grid:
    """Requests that are as favourable as can be, and ways to spoil one thing in each.

    Args:
        charter: Whose promises are tried.
        actions: The actions of the compiled schema.
    """

    def __init__(
        self, charter: Charter, actions: Sequence[str], *, exhaustive: bool = False
    ) -> None:
        self.charter = charter
        self.actions = actions
        self.exhaustive = exhaustive
        self.purposes = tuple(sorted(charter.purposes))
        self.principals = tuple(_principals(charter))
        self._resources: dict[str, dict[str, Any]] = {}

    @property
    def entities(self) -> list[dict[str, Any]]:
        """Every principal, and every resource that a request made so far names."""
        return [*(entity for _, _, entity in self.principals), *self._resources.values()]

    def _vary(self, *dimensions: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
        """Yield the product of the dimensions, or each on its own with the others at their first."""
        if self.exhaustive:
            yield from product(*dimensions)
            return
        first = tuple(dimension[0] for dimension in dimensions)
        yield first
        for place, dimension in enumerate(dimensions):
            for value in dimension[1:]:
                yield (*first[:place], value, *first[place + 1 :])

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
                few = partial(_few_approvals, role.grant.approvers - 1)
                yield (
                    f"guard.approvers-{name}",
                    f"fewer approvals than {name} needs",
                    self._spoilt(GRANTED, few, role=name),
                )
        for action in self.actions:
            yield f"guard.closed-{action}", f"{action} by other roles", self._closed(action)

    def _crossings(self, written: RedLine) -> Iterator[Request]:
        line = forms(written)
        everywhere = tuple(product(self.actions, self.principals))
        if banned := compiler.banned_terms(line):
            for action, who in everywhere:
                for term, stage in self._vary(banned, STAGES):
                    yield self.request(action, who, stage=stage, purpose=term)
                for term, purpose in self._vary(banned, self.purposes):
                    both = [_e("Purpose", purpose), _e("Purpose", term)]
                    yield self.request(action, who, purpose=purpose, use={"grant_purpose": both[1]})
                    yield self.request(action, who, purpose=purpose, data={"purposes": both})
        kinds = compiler.kinds(self.charter)
        for action, who in product(line.forbid_actions, self.principals):
            for stage, purpose, what in self._vary(STAGES, self.purposes, kinds):
                data = {"what": [_e("What", what)]}
                yield self.request(action, who, stage=stage, purpose=purpose, data=data)
        if line.forbid_beside:
            for action, who in everywhere:
                for silo, purpose, stage in self._vary(line.forbid_beside, self.purposes, STAGES):
                    data = {"silos": [_e("Silo", silo)]}
                    yield self.request(action, who, stage=stage, purpose=purpose, data=data)
        if line.min_people is not None:
            few = (line.min_people - 1, 1, 0)
            for action, who in product(GRANTED, self.principals):
                for people, stage, purpose in self._vary(few, STAGES, self.purposes):
                    use = {"people": people}
                    yield self.request(action, who, stage=stage, purpose=purpose, use=use)

    def _spoilt(
        self, actions: Sequence[str], spoil: _Spoil, *, role: str | None = None
    ) -> Iterator[Request]:
        for action, who in product(actions, self.principals):
            if role is not None and who[0] != role:
                continue
            for stage, purpose in self._vary(STAGES, self.purposes):
                use: dict[str, Any] = {}
                data: dict[str, Any] = {}
                spoil(use, data)
                yield self.request(action, who, stage=stage, purpose=purpose, use=use, data=data)

    def _closed(self, action: str) -> Iterator[Request]:
        for who in self.principals:
            role = self.charter.who_may.get(who[0])
            if role is None or action not in role.do:
                for stage, purpose in self._vary(STAGES, self.purposes):
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


def _few_approvals(count: int, use: dict[str, Any], _: dict[str, Any]) -> None:
    use["grant_approvals"] = count


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
