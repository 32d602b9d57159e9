"""The shapes of answers about alerts, as the keeper gives them."""

from __future__ import annotations

from typing import NotRequired

from pydantic import JsonValue
from typing_extensions import TypedDict


class AlertAck(TypedDict):
    """What the keeper answers."""

    alert: int
    state: str
    entry: int


class AlertListAlert(TypedDict):
    """A part of it."""

    alert: int
    entry: int
    t_us: int
    signal: str
    severity: int
    state: str
    principal: str
    sentence: str
    answers: list[str]
    count: int


class AlertList(TypedDict):
    """What the keeper answers."""

    alerts: list[AlertListAlert]
    open: int
    of: int


class AlertShowDoneRowDidRow(TypedDict):
    """A part of it."""

    answer: str
    entry: NotRequired[int]
    target: str
    what: str
    refused: NotRequired[str]


class AlertShowDoneRow(TypedDict):
    """A part of it."""

    entry: int
    did: list[AlertShowDoneRowDidRow]


class AlertShowAcked(TypedDict):
    """A part of it."""

    entry: int
    by: str
    reason: str


class AlertShow(TypedDict):
    """What the keeper answers."""

    alert: int
    entry: int
    t_us: int
    signal: str
    severity: int
    state: str
    principal: str
    sentence: str
    answers: list[str]
    count: int
    events: list[int]
    late: bool
    done: list[AlertShowDoneRow]
    acked: NotRequired[AlertShowAcked]


class SentinelDone(TypedDict):
    """What the keeper answers."""

    opened: int


class SentinelEventsEvent(TypedDict):
    """A part of it."""

    number: int
    t_us: int
    principal: str
    kind: str
    role: str
    team: str
    action: str
    objects: list[str]
    segment: str
    purpose: str
    rows: int
    bytes: int
    grant: JsonValue
    outcome: str


class SentinelEvents(TypedDict):
    """What the keeper answers."""

    events: list[SentinelEventsEvent]
    next: int
    size: int
    damaged: list[JsonValue]
