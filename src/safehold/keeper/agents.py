"""What agents may ask the keeper for: what there is, a grant of their own, a token for one server, a tool.

Every call of a tool is decided here and is a leaf before anything is done. Words of an agent decide nothing: they are
looked up in closed lists, measured, and put away sealed.
"""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final

from safehold import ids
from safehold.access import Agent, Grant, operator_of
from safehold.access.grant import MINUTE_US, WAIT_US
from safehold.access.identity import jose
from safehold.access.identity.oidc import check_place
from safehold.clock import SECOND_US
from safehold.errors import (
    DeniedError,
    InvalidError,
    SignInError,
)
from safehold.keeper.caller import AGENT, HUMAN, LOCAL, WORKLOAD, caller
from safehold.keeper.desk import Desk
from safehold.keeper.enrolment import shown
from safehold.keeper.grants import Grants
from safehold.keeper.principals import Enrolled, Principals
from safehold.keeper.server import Report, Verb
from safehold.keeper.sign_in import TOKENS
from safehold.ledger import Entry
from safehold.signing import SigningKey, VerifyKey

TOOLS: Final = (
    "describe_purposes",
    "request_grant",
    "show_request",
    "build_features",
    "train",
    "attack_dataset",
    "show_budget",
    "show_counters",
)
TOKEN_S: Final = 900
ASSERTION_S: Final = 60
TOKEN_TYPE: Final = "at+jwt"  # noqa: S105 - RFC 9068
LONGEST_REASON: Final = 500
_RULE: Final = re.compile(r"[a-z][a-z0-9.-]{0,63}")


class Agents:
    """The verbs ``agent.*`` that change nothing, ``tool.call``, ``purpose.list`` and ``counter.show``.

    Args:
        desk: What the keeper works with.
        principals: The register.
        grants: What it knows of grants.
    """

    def __init__(self, desk: Desk, principals: Principals, grants: Grants) -> None:
        self._desk = desk
        self._principals = principals
        self._grants = grants
        self._key = SigningKey(desk.vault.derive(TOKENS))
        self._lock = threading.Lock()
        self._calls: dict[str, deque[int]] = {}
        self._seen: dict[str, int] = {}  # assertions, and when each may be forgotten

    def verbs(self) -> dict[str, Verb]:
        """Return them by name."""
        return {
            "agent.list": self.listing,
            "agent.show": self.show,
            "agent.draft": self.draft,
            "agent.token": self.token,
            "tool.call": self.tool,
            "tool.refused": self.refused,
            "purpose.list": self.purposes,
            "counter.show": self.counters,
        }

    def listing(
        self, _arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """List the agents, for whom each acts, and what each may ask for at most."""
        return {"agents": [shown(one) for one in self._principals.everybody() if one.kind == AGENT]}

    def show(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Show an agent to itself, to the workload through which it comes, to its operator, and to who operates."""
        found = self._named(arguments)
        return {
            **shown(found),
            "issuer": self.issuer,
            "token_key": jose.public_jwk(self._key.public.raw),
        }

    def draft(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return the grant that an agent may ask for at most: what stands above it, and in its policy as well.

        It is a draft: it counts once people have approved it.

        Raises:
            DeniedError: What stands above it has ended, or nothing of it is in the policy.
        """
        found = self._active(arguments)
        policy, desk = found.policy, self._desk
        if policy is None:
            raise DeniedError("an agent without a policy has no rights", rule="agent.policy")
        approved, people, _, ends_us = self._grants.recall(str(arguments["parent"]))
        parent = approved.grant
        # before anything of it is told: whom it covers is nobody else's to read
        if (operator_of(parent.requester) or parent.requester.id) != found.operator:
            raise DeniedError("the grant above is another operator's", rule="agent.operator")
        recipe = str(arguments["recipe"])
        if recipe not in set(parent.recipes) & set(policy.recipes):
            raise DeniedError("a recipe beyond this agent's policy", rule="agent.recipe")
        charter = desk.trust.charter()
        rule = charter.role(found.role).grant
        stages = set(parent.stages) & set(charter.role(found.role).stages)
        if not stages or rule is None:
            raise DeniedError("the charter gives agents no such stage", rule="grant.stage")
        now = desk.now_us()
        minutes = min(
            max(_whole(arguments, "minutes", most=1440), 1),
            rule.max_s // 60,
            max((ends_us - now) // MINUTE_US, 1),
        )
        holder = VerifyKey.from_text(str(arguments["holder"]))
        grant = Grant.from_json(
            parent.to_json()
            | {
                "id": ids.new_id("grant"),
                "requester": {
                    "kind": AGENT,
                    "id": found.id,
                    "role": found.role,
                    "operator": found.operator,
                },
                "holder": holder.text(),
                "stages": sorted(stages),
                "recipes": [recipe],
                "asked_us": now,
                "expires_us": now + minutes * MINUTE_US + WAIT_US,
                "minutes": minutes,
                "max_runs": min(
                    parent.max_runs,
                    policy.runs,
                    parent.max_runs if rule.budget is None else rule.budget.runs,
                ),
                "max_rows": min(parent.max_rows, policy.rows),
                "max_bytes": min(parent.max_bytes, policy.bytes),
                "reason": _text(arguments, "reason"),
                "depth": parent.depth + 1,
                "parent": parent.id,
            }
        )
        return {
            "grant": grant.to_json(),
            "people": people.to_json(),
            "digest": grant.digest().hex(),
        }

    def token(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return a token with which an agent reaches one server (RFC 8707, RFC 9068), bound to the agent's key.

        The agent asks itself, or the workload through which it comes hands in what the agent signed (RFC 7523).

        Raises:
            SignInError: The agent did not sign it, or it was seen before.
            DeniedError: It may not act, or comes another way.
        """
        found = self._active(arguments)
        resource = check_place(arguments["resource"])
        if caller().kind == WORKLOAD:
            self._check_assertion(found, str(arguments["assertion"]), resource)
        key = min(found.keys)
        now_s = self._desk.now_us() // SECOND_US
        token, ends_s = ids.new_id("tok"), now_s + TOKEN_S
        claims = {
            "iss": self.issuer,
            "aud": resource,
            # RFC 8693 section 4.1: whom it is about, and who acts for them
            "sub": found.operator,
            "act": {"sub": found.id},
            "client_id": found.id,
            "iat": now_s,
            "exp": ends_s,
            "jti": token,
            "cnf": {"jkt": jose.thumbprint(jose.public_jwk(VerifyKey.from_text(key).raw))},
        }
        (receipt,) = self._desk.log(
            Entry(
                kind="session",
                actor=found.id,
                object=token,
                detail={"resource": resource, "until_us": ends_s * SECOND_US},
                charter=self._desk.trust.digest(),
                public={"state": "token"},
            )
        )
        return {
            "access_token": jose.sign(claims, self._key, typ=TOKEN_TYPE),
            "token_type": "DPoP",
            "expires_in": TOKEN_S,
            "entry": receipt.index,
        }

    def tool(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Decide one call of a tool; when this returns, its leaf is durable.

        Raises:
            DeniedError: There is no such tool, the agent may not act, or it calls too often.
        """
        name = str(arguments["agent"])
        tool = str(arguments["tool"])
        try:
            found = self._active(arguments)
            self._require_tool(found, tool)
        except (DeniedError, SignInError) as error:
            error.entry = self._desk.note_refusal(
                name[:64],
                f"tool/{tool[:64]}",
                {"rule": error.rule or error.code, "via": caller().id},
            )
            raise
        (receipt,) = self._desk.log(
            Entry(
                kind="tool",
                actor=found.id,
                object=tool,
                detail={
                    "arguments": _digest(arguments),
                    "operator": found.operator,
                    "via": caller().id,
                },
                charter=self._desk.trust.digest(),
                public={"tool": tool},
            )
        )
        return {"entry": receipt.index}

    def refused(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Put into the ledger that a server of agents refused a call before it knew whose it was.

        Raises:
            DeniedError: The caller is no such server.
        """
        rule, count = str(arguments["rule"]), _whole(arguments, "count", most=1 << 32)
        if _RULE.fullmatch(rule) is None:
            raise InvalidError("not a rule", field="rule", rule="tool.rule")
        (receipt,) = self._desk.log(
            Entry(
                kind="refusal",
                actor=caller().id,
                object="tool",
                detail={"rule": rule, "count": count},
                charter=self._desk.trust.digest(),
            )
        )
        return {"entry": receipt.index}

    def purposes(
        self, _arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Describe the purposes of the charter in force, as the board signed them."""
        charter = self._desk.trust.charter()
        return {
            "charter": charter.id,
            "purposes": [
                {
                    "purpose": name,
                    "plain": one.plain,
                    "stages": list(one.stages),
                    "min_people": 0 if one.privacy is None else one.privacy.min_people,
                }
                for name, one in sorted(charter.purposes.items())
            ],
            "red_lines": [{"id": one.id, "plain": one.plain} for one in charter.red_lines],
        }

    def counters(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return how the grants of an agent, or of the caller, were used: counters, nothing of the data."""
        who = caller()
        name = self._named(arguments).id if "agent" in arguments else who.id
        if name == who.id and not who.proved:
            raise SignInError("you are signed out", rule="session.none", fix="safehold sign-in")
        return {
            "grants": self._grants.records.counted(name),
            "ledger": self._desk.ledger.size,
            "stopped": self._desk.trust.stopped,
        }

    @property
    def issuer(self) -> str:
        """The issuer of tokens."""
        return f"safehold:{self._desk.home.id}"

    def _named(self, arguments: Mapping[str, Any], *, strict: bool = False) -> Enrolled:
        """Return the agent that is meant, if the caller has to do with it."""
        who = caller()
        name = str(arguments.get("agent") or who.id)
        found = self._principals.find(name)
        if found is None or found.kind != AGENT:
            raise DeniedError("no such agent", rule="agent.missing")
        own = who.kind == AGENT and who.id == found.id
        way = who.kind == WORKLOAD and bool(found.via) and who.id == found.via
        near = not strict and (
            (who.kind == HUMAN and (who.id == found.operator or self._operates(who.role)))
            or who.kind == LOCAL
        )
        if not (own or way or near):
            raise DeniedError("this agent comes another way", rule="agent.via")
        return found

    def _active(self, arguments: Mapping[str, Any]) -> Enrolled:
        """Return the agent that acts, itself or through its workload, if it and its operator may act now."""
        found = self._principals.active(self._named(arguments, strict=True).id)
        try:
            operator = self._principals.active(found.operator)
        except DeniedError as error:
            raise DeniedError(
                "whom this agent acts for may not act", rule="agent.operator-ended"
            ) from error
        if operator.off:
            raise DeniedError("whom this agent acts for has signed off", rule="agent.operator-off")
        return found

    def _operates(self, role: str) -> bool:
        may = self._desk.trust.charter().who_may.get(role)
        return may is not None and "operate" in may.do

    def _require_tool(self, found: Enrolled, tool: str) -> None:
        if tool not in TOOLS:
            raise DeniedError("there is no such tool", rule="tool.unknown")
        now, most = self._desk.now_us(), 0 if found.policy is None else found.policy.calls
        with self._lock:
            calls = self._calls.setdefault(found.id, deque())
            while calls and calls[0] <= now - MINUTE_US:
                calls.popleft()
            if len(calls) >= most:
                raise DeniedError(
                    "this agent calls more often than its policy lets it",
                    rule="tool.rate",
                    fix="wait a minute",
                )
            calls.append(now)

    def _check_assertion(self, found: Enrolled, text: str, resource: str) -> None:
        """RFC 7523 section 3: the agent signed, for this server alone, a moment ago, and once."""
        key = jose.public_jwk(VerifyKey.from_text(min(found.keys)).raw)
        said = jose.verify_with(text, key, rule="agent.assertion", typ="JWT").claims
        now_s = self._desk.now_us() // SECOND_US
        ends, mark = said.get("exp"), said.get("jti")
        if (said.get("iss"), said.get("sub"), said.get("aud")) != (found.id, found.id, resource):
            raise SignInError("an assertion for something else", rule="agent.assertion.audience")
        if type(ends) is not int or not now_s < ends <= now_s + ASSERTION_S:
            raise SignInError("an assertion of another time", rule="agent.assertion.time")
        if not isinstance(mark, str) or not 0 < len(mark) <= 128:
            raise SignInError("an assertion without an id", rule="agent.assertion.replay")
        with self._lock:
            self._seen = {one: end for one, end in self._seen.items() if end >= now_s}
            if f"{found.id}/{mark}" in self._seen:
                raise SignInError("an assertion seen before", rule="agent.assertion.replay")
            self._seen[f"{found.id}/{mark}"] = ends


def _digest(arguments: Mapping[str, Any]) -> str:
    said = arguments.get("digest", "")
    if not isinstance(said, str) or len(said) != 64 or not set(said) <= set("0123456789abcdef"):
        raise InvalidError("not a digest", field="digest", rule="tool.digest")
    return said


def _text(arguments: Mapping[str, Any], name: str) -> str:
    said = arguments.get(name)
    if not isinstance(said, str) or not 0 < len(said) <= LONGEST_REASON or not said.isprintable():
        raise InvalidError("one line of text", field=name, rule="agent.text")
    return said


def _whole(arguments: Mapping[str, Any], name: str, *, most: int) -> int:
    said = arguments.get(name)
    if type(said) is not int or not 0 < said <= most:
        raise InvalidError("not a whole number in range", field=name, rule="agent.number")
    return said


__all__ = ["TOOLS", "Agent", "Agents"]
