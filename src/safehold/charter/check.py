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
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import cedarpy

from safehold.charter.compile import Policy
from safehold.charter.compile import compile as compile_charter
from safehold.charter.grid import Grid, Request
from safehold.charter.model import Charter
from safehold.charter.vocabulary import ACTIONS
from safehold.errors import InvalidError, RedLineError

CARELESS: Final = "permit(principal, action, resource);"
BATCH: Final = 500  # requests a call: small enough to share among threads
THREADS: Final = 4
LIMITS_SHOWN: Final = (
    "shown for the compiled policy over this grid; values outside it are not covered",
    "a stated purpose is a claim; what is done under it is held by the recipe list and the ledger",
)


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
