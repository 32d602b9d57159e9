"""The shapes of answers about sources, as the keeper gives them."""

from __future__ import annotations

from typing import NotRequired

from pydantic import JsonValue
from typing_extensions import TypedDict


class Ingest(TypedDict):
    """What the keeper answers."""

    source: str
    already: bool
    tally: dict[str, JsonValue]
    refusals: list[JsonValue]
    level: NotRequired[str]


class IngestAsideCount(TypedDict):
    """A part of it."""

    rule: str
    stream: str
    day: int
    messages: int


class IngestAside(TypedDict):
    """What the keeper answers."""

    allowed: bool
    keep_days: int
    a_day: int
    messages: int
    counts: list[IngestAsideCount]


class IngestRepair(TypedDict):
    """What the keeper answers."""

    states: dict[str, JsonValue]
    rules: dict[str, JsonValue]
    left_out: dict[str, JsonValue]
    intent: int
    entry: int


class LeaseMark(TypedDict):
    """What the keeper answers."""

    at_us: int


class LeaseObtain(TypedDict):
    """What the keeper answers."""

    lease: str
    rules: dict[str, JsonValue]
    keeper: str


class LeaseSubmit(TypedDict):
    """What the keeper answers."""

    rows: int
    tally: dict[str, JsonValue]


class SourceAdd(TypedDict):
    """What the keeper answers."""

    device: str
    already: bool
    entry: NotRequired[int]


class SourceListDevice(TypedDict):
    """A part of it."""

    device: str
    key: str
    added_us: int
    first_lease_us: int | None
    removed_us: int | None


class SourceList(TypedDict):
    """What the keeper answers."""

    enrolled: NotRequired[int]
    recorded: NotRequired[int]
    removed: NotRequired[int]
    devices: NotRequired[list[SourceListDevice]]


class SourceRemove(TypedDict):
    """What the keeper answers."""

    device: str
    already: bool
    leases_ended: int
    entry: NotRequired[int]
