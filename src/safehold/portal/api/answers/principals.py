"""The shapes of answers about principals, as the keeper gives them."""

from __future__ import annotations

from typing import NotRequired

from pydantic import JsonValue
from typing_extensions import TypedDict


class AgentDraft(TypedDict):
    """What the keeper answers."""

    grant: dict[str, JsonValue]
    people: JsonValue
    digest: str


class AgentEnrol(TypedDict):
    """What the keeper answers."""

    agent: str
    operator: str
    entry: int


class AgentShow(TypedDict):
    """What the keeper answers."""

    id: str
    kind: str
    role: str
    state: str
    names: list[str]
    by: str
    since_us: int
    operator: str
    via: str
    policy: dict[str, JsonValue]
    issuer: str
    token_key: dict[str, JsonValue]


class AgentSuspend(TypedDict):
    """What the keeper answers."""

    agent: str
    entry: int


class AgentToken(TypedDict):
    """What the keeper answers."""

    access_token: str
    token_type: str
    expires_in: int
    entry: int


class CounterShowGrant(TypedDict):
    """A part of it."""

    grant: str
    parent: str
    depth: int
    runs: int
    of: int
    rows: int
    ended: bool


class CounterShow(TypedDict):
    """What the keeper answers."""

    grants: list[CounterShowGrant]
    ledger: int
    stopped: bool


class PrincipalEnrol(TypedDict):
    """What the keeper answers."""

    principal: str
    entry: int


class PrincipalIdentify(TypedDict):
    """What the keeper answers."""

    identified: bool
    entry: int


class PrincipalListPrincipal(TypedDict):
    """A part of it."""

    id: str
    kind: str
    role: str
    state: str
    names: list[str]
    by: str
    since_us: int
    operator: NotRequired[str]
    policy: NotRequired[dict[str, JsonValue]]
    via: NotRequired[str]


class PrincipalList(TypedDict):
    """What the keeper answers."""

    identified: bool
    principals: list[PrincipalListPrincipal]
    providers: list[JsonValue]


class PrincipalProvider(TypedDict):
    """What the keeper answers."""

    issuer: str
    client: str
    entry: int


class AgentList(TypedDict):
    """What the keeper answers."""

    agents: list[dict[str, JsonValue]]


class PrincipalBundle(TypedDict):
    """What the keeper answers."""

    domain: str
    entry: int
