"""The shapes of answers about requests and grants, as the keeper gives them."""

from __future__ import annotations

from typing import NotRequired

from pydantic import JsonValue
from typing_extensions import TypedDict


class GrantDueDueRow(TypedDict):
    """A part of it."""

    grant: str
    state: str
    due_us: int


class GrantDue(TypedDict):
    """What the keeper answers."""

    due: list[GrantDueDueRow]


class GrantEnact(TypedDict):
    """What the keeper answers."""

    grant: str
    token: str
    runs_left: int


class GrantListGrant(TypedDict):
    """A part of it."""

    id: str
    purpose: str
    recipes: list[str]
    expires_us: int
    runs: int
    of: int
    revoked: bool
    closed: bool
    entry: int


class GrantList(TypedDict):
    """What the keeper answers."""

    grants: list[GrantListGrant]


class GrantReview(TypedDict):
    """What the keeper answers."""

    grant: str
    outcome: str
    entry: int


class GrantRevoke(TypedDict):
    """What the keeper answers."""

    grant: str
    entry: int


class GrantShowStated(TypedDict):
    """A part of it."""

    purpose: str
    reason: str
    segments: list[str]
    columns: list[str]
    recipes: list[str]
    days: list[int]
    people: int
    minutes: int
    runs: int
    rows: int
    bytes: int
    epsilon_micro: int


class GrantShowDone(TypedDict):
    """A part of it."""

    runs: int
    rows: int
    bytes: int
    epsilon_micro: int
    people: int
    segments: list[str]
    columns: list[str]
    refused: int


class GrantShowUse(TypedDict):
    """A part of it."""

    intent: int
    what: str
    people: int
    rows: int
    segments: list[str]
    columns: list[str]
    days: list[int]
    tokens: list[str]
    result: int
    outcome: str
    artifact: str


class GrantShowAttempt(TypedDict):
    """A part of it."""

    entry: int
    what: str
    rule: str


class GrantShowDifference(TypedDict):
    """A part of it."""

    kind: str
    what: str
    stated: int
    done: int


class GrantShowReview(TypedDict):
    """A part of it."""

    state: str
    due_us: int
    entries: NotRequired[list[int]]


class GrantShow(TypedDict):
    """What the keeper answers."""

    grant: str
    entry: int
    stated: GrantShowStated
    done: GrantShowDone
    uses: list[GrantShowUse]
    attempts: list[GrantShowAttempt]
    differences: list[GrantShowDifference]
    digest: str
    state: str
    review: GrantShowReview


class RequestListRequest(TypedDict):
    """A part of it."""

    request: str
    requester: str
    purpose: str
    break_glass: bool
    reason: str
    state: str
    decisions: dict[str, JsonValue]
    agreed: int
    needed: int
    minutes: int
    reach: int
    digest: str
    entry: int


class RequestDecide(RequestListRequest):
    """What the keeper answers: the request as it stands now."""


class RequestList(TypedDict):
    """What the keeper answers."""

    requests: list[RequestListRequest]


class RequestNew(TypedDict):
    """What the keeper answers."""

    request: str
    digest: str
    price: dict[str, JsonValue]
    reach: int
    entry: int


class RequestShowSeat(TypedDict):
    """A part of it."""

    seat: str
    said: str
    why: str


class RequestShow(TypedDict):
    """What the keeper answers."""

    request: str
    requester: str
    purpose: str
    break_glass: bool
    reason: str
    state: str
    decisions: dict[str, JsonValue]
    agreed: int
    needed: int
    minutes: int
    reach: int
    digest: str
    entry: int
    grant: dict[str, JsonValue]
    people: dict[str, JsonValue] | None
    price: dict[str, JsonValue]
    seats: list[RequestShowSeat]


class Due(TypedDict):
    """One review that waits."""

    grant: str
    due_us: int
