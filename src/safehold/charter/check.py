"""Every promise of a charter, tried on the compiled policy.

For each red line and each condition of use, the requests that would break it are enumerated: all
actions of the
compiled schema, all roles, the stages, and every way to cross that line, with everything else as
favourable as it can
be. They are decided by the policy with a careless ``permit(principal, action, resource);`` added,
and none may be
allowed. A further permit only ever adds to what Cedar allows, so what holds with it holds without
it.

By default every action meets every value of each dimension (role, stage, term, purpose, ...) with
the others
held; ``exhaustive`` takes the whole product.
What this shows holds for the compiled policy over this grid. It is no proof for values outside it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

import cedarpy

from safehold.charter import types as names
from safehold.charter.compile import Policy
from safehold.charter.compile import compile as compile_charter
from safehold.charter.model import Charter, RedLine
from safehold.charter.redline import forms
from safehold.charter.types import NONE, OTHER
from safehold.charter.vocabulary import ACTIONS, ASSURANCE, DATA, GRANTED, SELF, STAGES
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
        exhaustive: Take the product of all dimensions (minutes) instead of each on its own
            (seconds).

    Raises:
        InvalidError: It does not compile, or its schema lacks an action of the language.
        RedLineError: A request that breaks a promise is allowed.
    """
    return examine(compile_charter(charter), exhaustive=exhaustive)


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
        # the grid builds its requests from the schema's own names; without the schema a malformed
        # one would
        # make a forbid err and so show up as a breach, which is the safe side, and it takes half
        # the time
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

    def _each(
        self, actions: Sequence[str], *dimensions: Sequence[Any]
    ) -> Iterator[tuple[str, tuple[Any, ...]]]:
        """Yield every action with the product of the dimensions, or with each varied on its own."""
        if self.exhaustive:
            points = list(product(*dimensions))
        else:
            first = tuple(dimension[0] for dimension in dimensions)
            points = [first]
            for place, dimension in enumerate(dimensions):
                points += [(*first[:place], one, *first[place + 1 :]) for one in dimension[1:]]
        yield from product(actions, points)

    def promises(self) -> Iterator[tuple[str, str, Iterator[Request]]]:
        """Yield every promise with the requests that would break it."""
        for written in self.charter.red_lines:
            line = forms(written)
            yield f"red_line.{line.id}", line.words(), self._crossings(written)
        for name, (actions, use, data) in _GUARDS.items():
            if name == "gates" and not self.charter.gates:
                continue
            yield f"guard.{name}", f"without {name}", self._spoilt(actions, use, data)
        for name, role in sorted(self.charter.who_may.items()):
            if role.grant is not None:
                few = {"grant_approvals": role.grant.approvers - 1}
                yield (
                    f"guard.approvers-{name}",
                    f"fewer approvals than {name} needs",
                    self._spoilt(GRANTED, few, {}, role=name),
                )
        for action in self.actions:
            yield f"guard.closed-{action}", f"{action} by other roles", self._closed(action)

    def _crossings(self, written: RedLine) -> Iterator[Request]:
        line = forms(written)
        people = self.principals
        if banned := names.banned_terms(line):
            for action, (who, term, stage) in self._each(self.actions, people, banned, STAGES):
                yield self.request(action, who, stage=stage, purpose=term)
            for action, (who, term, one) in self._each(self.actions, people, banned, self.purposes):
                both = [_e("Purpose", one), _e("Purpose", term)]
                yield self.request(action, who, purpose=one, use={"grant_purpose": both[1]})
                yield self.request(action, who, purpose=one, data={"purposes": both})
        kinds = names.kinds()
        for action, (who, stage, purpose, what) in self._each(
            line.forbid_actions, people, STAGES, self.purposes, kinds
        ):
            data = {"what": [_e("What", what)]}
            yield self.request(action, who, stage=stage, purpose=purpose, data=data)
        if line.forbid_beside:
            for action, (who, silo, purpose, stage) in self._each(
                self.actions, people, line.forbid_beside, self.purposes, STAGES
            ):
                data = {"silos": [_e("Silo", silo)]}
                yield self.request(action, who, stage=stage, purpose=purpose, data=data)
        if line.min_people is not None:
            few = (line.min_people - 1, 1, 0)
            for action, (who, count, stage, purpose) in self._each(
                GRANTED, people, few, STAGES, self.purposes
            ):
                use = {"people": count}
                yield self.request(action, who, stage=stage, purpose=purpose, use=use)

    def _spoilt(
        self,
        actions: Sequence[str],
        use: Mapping[str, Any],
        data: Mapping[str, Any],
        *,
        role: str | None = None,
    ) -> Iterator[Request]:
        # a request by nobody the charter names has no grant role to spoil
        people = [
            who
            for who in self.principals
            if role in (None, who[0]) and not ("grant_role" in use and who[0] == OTHER)
        ]
        for action, (who, stage, purpose) in self._each(actions, people, STAGES, self.purposes):
            yield self.request(action, who, stage=stage, purpose=purpose, use=use, data=data)

    def _closed(self, action: str) -> Iterator[Request]:
        people = [who for who in self.principals if not self._able(who[0], action)]
        for _, (who, stage, purpose) in self._each((action,), people, STAGES, self.purposes):
            yield self.request(action, who, stage=stage, purpose=purpose)

    def _able(self, role: str, action: str) -> bool:
        return role in self.charter.who_may and action in self.charter.who_may[role].do

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
            "people": max(names.least_people(charter), 1_000),
            "consent": True,
            "assurance": len(ASSURANCE) - 1,
            "holder": "key",
            "granted": True,
            "grant_purpose": _e("Purpose", purpose),
            "grant_stages": [_e("Stage", stage)],
            "grant_what": [_e("What", what) for what in names.kinds()],
            "grant_segments": ["segment"],
            "grant_expires": 2,
            "grant_holder": "key",
            "grant_role": _e("Role", role),
            "grant_approvals": 6,
            "grant_operator": "me",
            "gates": [_e("Gate", gate) for gate in names.gates(charter)],
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
    for role in names.roles(charter):
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


# what is spoilt, in the request and in the data, to break each condition of use
_Spoilt = tuple[Sequence[str], Mapping[str, Any], Mapping[str, Any]]
_GUARDS: Final[Mapping[str, _Spoilt]] = {
    "purpose": (DATA, {"purpose": _e("Purpose", NONE)}, {}),
    "label": (DATA, {}, {"purposes": [_e("Purpose", NONE)]}),
    "unlabelled": (DATA, {}, {"what": []}),
    "consent": (DATA, {"consent": False}, {}),
    "jurisdiction": (DATA, {}, {"places": [_e("Place", OTHER)]}),
    "retention": (DATA, {"now": 2, "grant_expires": 3}, {}),
    "assurance": (DATA, {"assurance": 0}, {}),
    "grant": (GRANTED, {"granted": False}, {}),
    "grant-purpose": (GRANTED, {"grant_purpose": _e("Purpose", NONE)}, {}),
    "grant-stage": (GRANTED, {"grant_stages": []}, {}),
    "grant-what": (GRANTED, {"grant_what": []}, {}),
    "grant-segment": (GRANTED, {"grant_segments": ["another"]}, {}),
    "grant-expired": (GRANTED, {"grant_expires": 1}, {}),
    "grant-holder": (GRANTED, {"holder": "another"}, {}),
    "grant-role": (GRANTED, {"grant_role": _e("Role", OTHER)}, {}),
    "own-data": (SELF, {}, {"owner": "another"}),
    "gates": (("pull_artifact",), {"gates": []}, {}),
}
