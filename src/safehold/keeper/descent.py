"""Whose grant it is, and what it descends from: the rules for agents at every request, enactment and use.

1. Whoever is enrolled asks for, enacts and uses what is theirs themselves, proved by a session; for an agent without
   a line of its own the workload does that through which it comes.
2. An agent has a grant only under its operator's, and only what is in its own policy as well: never longer, wider or
   deeper than what stands above it, and at most two steps below a person.
3. It ends with everything above it: revoked, closed, over or no longer approved; with its operator, suspended, gone or
   signed off; and while a review of the operator's is overdue. What is used under it counts above it too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from safehold.access import Agent, ApprovedGrant, Grant, PeopleFilter, Principal
from safehold.access.claims import SETS
from safehold.access.principal import kind_of
from safehold.errors import DeniedError, MissingError, SignInError
from safehold.keeper.caller import AGENT, HUMAN, WORKLOAD, Caller, caller
from safehold.keeper.contained import LEAF
from safehold.keeper.nobody import NOBODY
from safehold.keeper.principals import Enrolled, Principals
from safehold.keeper.uses import Caps

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

DEEPEST: Final = 2
# totals that a grant bounds, the field of an agent's policy that bounds them too, and the rule
_CAPS: Final = (
    ("max_runs", "runs", "agent.runs"),
    ("max_rows", "rows", "agent.rows"),
    ("max_bytes", "bytes", "agent.bytes"),
    ("max_per_hour", "", "agent.rate"),
    ("epsilon_micro", "", "agent.epsilon"),
)


@dataclass(frozen=True, slots=True)
class Above:
    """One grant that another descends from.

    Args:
        entry: Index of its leaf.
        caps: The most that its uses and those below it may come to.
    """

    entry: int
    caps: Caps


class Recall(Protocol):
    """Finds grants."""

    def recall(self, name: str) -> tuple[ApprovedGrant, PeopleFilter, int, int]:
        """Return a grant as the board approves of it now, its filter, the index of its leaf, and when it ends."""
        ...


class Descent:
    """The rules.

    Args:
        desk: What the keeper works with.
        principals: The register.
        overdue: Returns the grants of somebody whose review is overdue.
    """

    def __init__(
        self,
        desk: Desk,
        principals: Principals,
        *,
        overdue: Callable[[frozenset[str]], list[str]],
    ) -> None:
        self._desk = desk
        self._principals = principals
        self._overdue = overdue

    def require_own(self, principal: Principal) -> None:
        """Pass if the caller is whom a request or a grant names, as proved.

        Raises:
            SignInError: It names somebody who is enrolled, and nobody proved to be them.
            DeniedError: It names somebody else.
        """
        who = caller()
        if principal.id in NOBODY:  # what it did would look like the keeper's own work
            raise DeniedError("nobody has this name", rule="principal.claimed")
        found = self._principals.find(principal.id)
        if found is None and not isinstance(principal, Agent) and not self._principals.identified:
            if who.proved:
                raise DeniedError("this is in the name of somebody else", rule="principal.claimed")
            return
        if found is None:
            raise SignInError(
                "nobody of this id is enrolled",
                rule="principal.unknown",
                fix="safehold agent enrol",
            )
        if not who.proved:
            raise SignInError(
                "this is in the name of somebody who is enrolled",
                rule="principal.claimed",
                fix="safehold sign-in",
            )
        self._principals.active(found.id)
        if (found.kind, found.role, found.operator) != (
            kind_of(principal),
            principal.role,
            principal.operator if isinstance(principal, Agent) else "",
        ):
            raise DeniedError("this is not who they are enrolled as", rule="principal.claimed")
        _check_speaker(who, found)

    def require_seen(self, principal: Principal) -> None:
        """Pass if the caller may see what somebody asked for: agents, and what they come through, only their own."""
        who = caller()
        if who.kind == AGENT or (who.kind == WORKLOAD and not who.role):
            self.require_own(principal)

    def require(self, grant: Grant, grants: Recall) -> tuple[Above, ...]:
        """Return what a grant descends from, nearest first, if it may stand there and all of it holds.

        Args:
            grant: The grant.
            grants: Finds those above.

        Raises:
            SignInError: The agent, or its operator, is not enrolled.
            DeniedError: It may not, or something above has ended; the rule says what.
        """
        requester = grant.requester
        if not isinstance(requester, Agent):
            if grant.depth or grant.parent:
                raise DeniedError("only what an agent has descends", rule="agent.depth")
            return ()
        found = self._require_agent(grant, requester)
        self._check_policy(grant, found)
        return self._require_above(grant, requester, grants)

    def _require_agent(self, grant: Grant, requester: Agent) -> Enrolled:
        found = self._principals.active(requester.id)
        if found.kind != AGENT or found.operator != requester.operator:
            raise DeniedError("an agent acts for its own operator alone", rule="agent.operator")
        try:
            operator = self._principals.active(requester.operator)
        except DeniedError as error:
            raise DeniedError(
                "whom this agent acts for may not act", rule="agent.operator-ended"
            ) from error
        if operator.off:
            raise DeniedError(
                "whom this agent acts for has signed off",
                rule="agent.operator-off",
                fix="its operator signs in again: safehold sign-in",
            )
        if late := self._overdue(frozenset({operator.id})):
            raise DeniedError(
                f"a review of its operator's is overdue: {', '.join(late)}", rule="agent.review"
            )
        keys = found.keys
        if found.via:
            keys = keys | self._principals.active(found.via).keys
        if grant.holder.text() not in keys:
            raise DeniedError("held by a key that is not the agent's", rule="agent.holder")
        return found

    def _check_policy(self, grant: Grant, found: Enrolled) -> None:
        policy = found.policy
        if policy is None:
            raise DeniedError("an agent without a policy has no rights", rule="agent.policy")
        if grant.purpose not in policy.purposes:
            raise DeniedError("a purpose beyond this agent's policy", rule="agent.purpose")
        if not set(grant.recipes) <= set(policy.recipes):
            raise DeniedError("a recipe beyond this agent's policy", rule="agent.recipe")
        for field, most, rule in _CAPS:
            if most and getattr(grant, field) > getattr(policy, most):
                raise DeniedError(f"more {most} than this agent's policy has", rule=rule)

    def _require_above(self, grant: Grant, requester: Agent, grants: Recall) -> tuple[Above, ...]:
        if not 1 <= grant.depth <= DEEPEST or not grant.parent:
            raise DeniedError(
                "an agent's grant stands under its operator's, at most two steps below a person",
                rule="agent.depth",
            )
        try:
            approved, _, entry, parent_ends_us = grants.recall(grant.parent)
        except MissingError as error:
            raise DeniedError("there is no grant above this one", rule="agent.parent") from error
        except DeniedError as error:
            if _contained(error) or (error.rule or "").startswith("agent."):
                raise
            raise DeniedError(
                f"the grant above this one has ended ({error.rule})", rule="agent.parent-ended"
            ) from error
        parent = approved.grant
        trust = self._desk.trust
        if trust.revoked(entry) or trust.closed(entry) or self._desk.now_us() >= parent_ends_us:
            raise DeniedError("the grant above this one has ended", rule="agent.parent-ended")
        self._check_chain(grant, requester, parent)
        _check_narrower(grant, parent)
        return (Above(entry, Caps.of(parent)), *self.require(parent, grants))

    def _check_chain(self, grant: Grant, requester: Agent, parent: Grant) -> None:
        above = parent.requester
        if grant.depth != parent.depth + 1:
            raise DeniedError("a step was left out of the chain", rule="agent.depth")
        if isinstance(above, Agent):
            if above.operator != requester.operator:
                raise DeniedError("the grant above is another operator's", rule="agent.operator")
            if above.id == requester.id:
                raise DeniedError("an agent delegates to another one", rule="agent.parent")
            if self._desk.trust.charter().role(above.role).may_delegate is not True:
                raise DeniedError("the charter does not let agents delegate", rule="agent.delegate")
        elif kind_of(above) != HUMAN or above.id != requester.operator:
            raise DeniedError("the grant above is another operator's", rule="agent.operator")


def _check_narrower(grant: Grant, parent: Grant) -> None:
    if grant.charter != parent.charter or grant.purpose != parent.purpose:
        raise DeniedError("another purpose than the grant above", rule="agent.wider")
    for name in SETS:
        if not set(getattr(grant, name)) <= set(getattr(parent, name)):
            raise DeniedError(f"{name} beyond the grant above", rule="agent.wider")
    if grant.people != parent.people:
        raise DeniedError("other people than the grant above", rule="agent.wider")
    if grant.first_day < parent.first_day or grant.last_day > parent.last_day:
        raise DeniedError("days beyond the grant above", rule="agent.wider")
    for field, _, _ in _CAPS:
        if getattr(grant, field) > getattr(parent, field):
            raise DeniedError(f"{field} beyond the grant above", rule="agent.wider")


def _contained(error: DeniedError) -> bool:
    return (error.rule or "").startswith(f"{LEAF}.")


def _check_speaker(who: Caller, found: Enrolled) -> None:
    """Pass if a caller is this principal, or the workload through which this agent comes."""
    if who.id == found.id and who.kind == found.kind:
        return
    if not (found.kind == AGENT and found.via and (who.kind, who.id) == (WORKLOAD, found.via)):
        raise DeniedError("this is in the name of somebody else", rule="principal.claimed")
