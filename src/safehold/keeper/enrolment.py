"""Enrolling people, workloads and agents: the verbs ``principal.*``, and those of ``agent.*`` that change the register.

Whoever is enrolled has a role of the charter and an identity that they must prove; being enrolled opens nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from safehold.access.identity import Bundle, Provider
from safehold.access.identity.keyset import discover
from safehold.errors import ConflictError, DeniedError, InvalidError, MissingError
from safehold.keeper.caller import AGENT, HUMAN, WORKLOAD, caller
from safehold.keeper.nobody import RESERVED
from safehold.keeper.principals import (
    ACTIVE,
    MOST_NAMES,
    REMOVED,
    SUSPENDED,
    AgentPolicy,
    Enrolled,
    Principals,
)
from safehold.keeper.server import Report, Verb
from safehold.signing import VerifyKey, speaking_key

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

ROLE: Final = "agent"
MOST_CALLS: Final = 600  # tool calls of an agent in a minute
LARGEST: Final = 1 << 50
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_SPIFFE: Final = re.compile(r"spiffe://[a-z0-9._-]{1,255}(?:/[A-Za-z0-9._-]+)+")
_OIDC: Final = re.compile(r"oidc:https?://[!-~]{1,1024}#[ -~]{1,255}")


class Enrolment:
    """The verbs.

    Args:
        desk: What the keeper works with.
        principals: The register.
    """

    def __init__(self, desk: Desk, principals: Principals) -> None:
        self._desk = desk
        self._principals = principals

    def verbs(self) -> dict[str, Verb]:
        """Return them by name."""
        return {
            "principal.enrol": self.enrol,
            "principal.list": self.listing,
            "principal.suspend": self.suspend,
            "principal.restore": self.restore,
            "principal.remove": self.remove,
            "principal.provider": self.provider,
            "principal.bundle": self.bundle,
            "principal.identify": self.identify,
            "agent.enrol": self.enrol_agent,
            "agent.suspend": self.suspend_agent,
        }

    def enrol(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Enrol a person or a workload with what proves them.

        Raises:
            InvalidError: Not a name, or not what proves somebody.
            DeniedError: The charter has no such role.
            ConflictError: Id or identity is taken.
        """
        kind, role = str(arguments["kind"]), str(arguments.get("role") or "")
        if kind not in {HUMAN, WORKLOAD}:
            raise InvalidError(
                "a person or a workload", field="kind", rule="principal.kind", fix="human, workload"
            )
        if role == ROLE or (kind == HUMAN and not role):
            raise DeniedError("the role agent is for agents", rule="principal.role")
        if role:
            self._desk.trust.charter().role(role)
        who = self._enrolled(arguments, kind=kind, role=role)
        return {"principal": who.id, "entry": self._principals.enrol(who)}

    def enrol_agent(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Enrol an agent for an operator, with the most that it may ever ask for.

        Raises:
            DeniedError: Somebody enrols it for another person, or the charter has no agents.
            InvalidError: A policy beyond the charter.
        """
        charter = self._desk.trust.charter()
        charter.role(ROLE)
        operator = self._principals.active(str(arguments["operator"]))
        if operator.kind != HUMAN:
            raise DeniedError("an agent acts for a person", rule="agent.operator")
        who = caller()
        if who.kind == HUMAN and who.id != operator.id:
            may = charter.who_may.get(who.role)
            if may is None or "operate" not in may.do:
                raise DeniedError(
                    "somebody enrols agents for themselves only", rule="agent.operator"
                )
        via = str(arguments.get("via") or "")
        if via and self._principals.active(via).kind != WORKLOAD:
            raise InvalidError("an agent comes through a workload", field="via", rule="agent.via")
        made = self._enrolled(
            arguments,
            kind=AGENT,
            role=ROLE,
            operator=operator.id,
            via=via,
            policy=_policy(arguments["policy"], set(charter.purposes)),
        )
        if not made.keys:
            raise InvalidError("an agent has a key of its own", field="names", rule="agent.key")
        return {"agent": made.id, "operator": operator.id, "entry": self._principals.enrol(made)}

    def listing(
        self, _arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """List who is enrolled, by whom, and what proves them."""
        return {
            "identified": self._principals.identified,
            "principals": [shown(one) for one in self._principals.everybody()],
            "providers": sorted(self._principals.providers()),
        }

    def suspend(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Suspend somebody at once, with every agent that acts for them; whoever operates may narrow."""
        name = str(arguments["principal"])
        return {
            "principal": name,
            "entry": self._principals.change(name, "suspended", state=SUSPENDED),
        }

    def suspend_agent(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Suspend an agent at once."""
        name = str(arguments["agent"])
        found = self._principals.find(name)
        if found is None or found.kind != AGENT:
            raise MissingError("no such agent", rule="agent.missing")
        return {"agent": name, "entry": self._principals.change(name, "suspended", state=SUSPENDED)}

    def restore(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """End a suspension."""
        name = str(arguments["principal"])
        found = self._principals.find(name)
        if found is not None and found.state != SUSPENDED:
            raise ConflictError("this principal is not suspended", rule="principal.active")
        if caller().id == name:
            raise DeniedError("nobody restores themselves", rule="principal.self")
        return {"principal": name, "entry": self._principals.change(name, "restored", state=ACTIVE)}

    def remove(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Let somebody leave for good; their id is never another's."""
        name = str(arguments["principal"])
        return {"principal": name, "entry": self._principals.change(name, "removed", state=REMOVED)}

    def provider(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Believe an identity provider, as it describes itself at its issuer."""
        found: Provider = discover(str(arguments["issuer"]), str(arguments["client"]))
        entry = self._principals.put_provider(found.issuer, found.to_json(), state="provider")
        return {"issuer": found.issuer, "client": found.client, "entry": entry}

    def bundle(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Believe a SPIFFE trust domain by its bundle."""
        found = Bundle.read(str(arguments["domain"]), arguments["bundle"])
        return {
            "domain": found.domain,
            "authorities": len(found.roots) + len(found.keys["keys"]),
            "entry": self._principals.put_bundle(found.domain, found.to_json()),
        }

    def identify(
        self, _arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """From now on nobody operates this home who has not proved who they are."""
        return {"identified": True, "entry": self._principals.require_identity()}

    def _enrolled(self, arguments: dict[str, Any], **fields: Any) -> Enrolled:
        name = str(arguments["principal"])
        if _ID.fullmatch(name) is None or name in RESERVED:
            raise InvalidError("not an id", field="principal", rule="principal.id")
        names = tuple(_name(one, fields["kind"]) for one in arguments["names"])
        if not 0 < len(set(names)) == len(names) <= MOST_NAMES:
            raise InvalidError("what proves them, once each", field="names", rule="principal.names")
        return Enrolled(
            id=name, names=names, by=caller().id, since_us=self._desk.now_us(), **fields
        )


def shown(one: Enrolled) -> dict[str, Any]:
    """Return what is shown of a principal."""
    policy = None if one.policy is None else asdict(one.policy)
    return {
        "id": one.id,
        "kind": one.kind,
        "role": one.role,
        "state": "off" if one.state == ACTIVE and one.off else one.state,
        "names": list(one.names),
        "by": one.by,
        "since_us": one.since_us,
        **({"operator": one.operator} if one.operator else {}),
        **({"via": one.via} if one.via else {}),
        **({"policy": policy} if policy is not None else {}),
    }


def _name(text: Any, kind: str) -> str:
    if isinstance(text, str):
        if text.startswith("key:"):
            # people alone have passkeys: no workload and no agent touches one
            read = speaking_key if kind == HUMAN else VerifyKey.from_text
            return f"key:{read(text.removeprefix('key:')).text()}"
        if _SPIFFE.fullmatch(text) or _OIDC.fullmatch(text):
            return text
    raise InvalidError(
        "nothing that proves somebody",
        field="names",
        rule="principal.names",
        fix="key:BASE64, key:passkey:RPID:BASE64, oidc:ISSUER#SUBJECT or spiffe://DOMAIN/PATH",
    )


def _policy(tree: Any, purposes: set[str]) -> AgentPolicy:
    try:
        policy = AgentPolicy.from_json(tree)
    except (KeyError, TypeError) as error:
        raise InvalidError("not an agent's policy", field="policy", rule="agent.policy") from error
    words = (*policy.purposes, *policy.recipes)
    numbers = (policy.rows, policy.bytes, policy.runs, policy.calls)
    if (
        not policy.purposes
        or not policy.recipes
        or not all(_ID.fullmatch(str(one)) for one in words)
        or not all(type(one) is int and 0 <= one <= LARGEST for one in numbers)
        or not 0 < policy.calls <= MOST_CALLS
        or not policy.runs
    ):
        raise InvalidError("not an agent's policy", field="policy", rule="agent.policy")
    if not set(policy.purposes) <= purposes:
        raise InvalidError(
            "a purpose that the charter has not", field="policy", rule="agent.purpose"
        )
    return policy
