"""Who may prove to be whom: people, workloads, agents; providers and trust domains that are believed."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from safehold.portal.api.answers import principals as told
from safehold.portal.api.field import Given, Paper, Text, Value, Whole, Word
from safehold.portal.api.route import Route

Names = Annotated[list[Word], Field(max_length=16)]


class Enrolled(Given):
    """Somebody, and what proves them."""

    principal: Word
    kind: Literal["human", "workload"]
    role: Word
    names: Names


class Policy(Given):
    """The most that an agent may ever ask for."""

    purposes: Names
    recipes: Names
    rows: Whole
    bytes: Whole
    runs: Whole
    calls: Whole


class Agent(Given):
    """An agent, for whom it acts, and the most that it may ever ask for."""

    principal: Word
    operator: Word
    names: Names
    via: Word = ""
    policy: Policy


class Named(Given):
    """Which agent; the caller where none is named."""

    agent: Word | None = None


class Draft(Given):
    """The part of a grant that an agent asks for."""

    parent: Word
    recipe: Word
    minutes: Whole
    reason: Text
    holder: Value


class Assertion(Given):
    """For which server a token is, and the assertion that the agent signed."""

    resource: Annotated[str, Field(max_length=2_000)]
    assertion: Annotated[str, Field(max_length=16_384)]


class Provider(Given):
    """An identity provider."""

    issuer: Annotated[str, Field(max_length=2_000)]
    client: Word


class Bundle(Given):
    """A trust domain, by its bundle."""

    domain: Word
    bundle: Paper


ROUTES: Final = (
    Route(method="GET", path="/principals", verb="principal.list", answer=told.PrincipalList, listed="principals",
          says="Who is enrolled, in which role, by whom."),
    Route(method="POST", path="/principals", verb="principal.enrol", given=Enrolled, answer=told.PrincipalEnrol,
          status=201, says="Enrol a person or a workload. That opens nothing."),
    Route(method="POST", path="/principals/{principal}/suspensions", verb="principal.suspend",
          answer=told.PrincipalEnrol, says="Suspend somebody at once, with every agent that acts for them."),
    Route(method="POST", path="/principals/{principal}/restorations", verb="principal.restore",
          answer=told.PrincipalEnrol, says="End a suspension."),
    Route(method="POST", path="/principals/{principal}/removals", verb="principal.remove",
          answer=told.PrincipalEnrol, says="Let somebody leave for good."),
    Route(method="POST", path="/providers", verb="principal.provider", given=Provider,
          answer=told.PrincipalProvider, says="Believe an OpenID provider."),
    Route(method="POST", path="/bundles", verb="principal.bundle", given=Bundle, answer=told.PrincipalBundle,
          says="Believe a SPIFFE trust domain by its bundle."),
    Route(method="POST", path="/identification", verb="principal.identify", answer=told.PrincipalIdentify,
          says="From now on nobody operates this home who has not signed in."),
    Route(method="GET", path="/agents", verb="agent.list", answer=told.AgentList, listed="agents",
          says="The agents, for whom each acts, what each may ask for at most."),
    Route(method="POST", path="/agents", verb="agent.enrol", given=Agent, answer=told.AgentEnrol, status=201,
          says="Enrol an agent for a person. That opens nothing."),
    Route(method="GET", path="/agent", verb="agent.show", given=Named, answer=told.AgentShow,
          says="One agent: the caller, where none is named."),
    Route(method="GET", path="/agent/counters", verb="counter.show", given=Named, answer=told.CounterShow,
          says="How much an agent used of its grants."),
    Route(method="POST", path="/agents/{agent}/suspensions", verb="agent.suspend", answer=told.AgentSuspend,
          says="Suspend an agent at once."),
    Route(method="POST", path="/agents/{agent}/tokens", verb="agent.token", given=Assertion,
          answer=told.AgentToken, says="A token by which an agent asks a server of tools."),
    Route(method="POST", path="/agent/drafts", verb="agent.draft", given=Draft, answer=told.AgentDraft,
          says="Draw up, as an agent, the part of a grant that its policy allows."),
)  # fmt: skip
__all__ = ["ROUTES"]
