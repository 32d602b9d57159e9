"""The shapes of answers about the ledger and the home, as the keeper gives them."""

from __future__ import annotations

from typing import NotRequired

from pydantic import JsonValue
from typing_extensions import TypedDict


class DrillRecord(TypedDict):
    """What the keeper answers."""

    run: str
    first: int
    leaves: int


class FederateIdentity(TypedDict):
    """What the keeper answers."""

    identity: str


class Hello(TypedDict):
    """What the keeper answers."""

    home: str
    level: str


class KeyListLevel(TypedDict):
    """A part of it."""

    level: str
    kept: str
    where: NotRequired[dict[str, JsonValue]]
    since_ms: NotRequired[int]
    change: NotRequired[str]
    epochs: NotRequired[dict[str, JsonValue]]
    numbers: NotRequired[dict[str, JsonValue]]
    keys: NotRequired[list[str]]
    key: NotRequired[str]
    fixed: NotRequired[dict[str, JsonValue]]


class KeyList(TypedDict):
    """What the keeper answers."""

    levels: list[KeyListLevel]
    secrets: int


class KeyRotate(TypedDict):
    """What the keeper answers."""

    level: str
    rewrapped: NotRequired[int]
    kept: NotRequired[str]
    shares: NotRequired[list[str]]
    entry: int
    result: int
    old: NotRequired[str]
    segments: NotRequired[list[str]]
    key: NotRequired[str]


class LedgerAudit(TypedDict):
    """What the keeper answers."""

    epoch: int
    first: int
    stop: int
    entry: int
    root: str
    bundle: str


class LedgerCloseEpochClosedRow(TypedDict):
    """A part of it."""

    epoch: int
    first: int
    stop: int
    entry: int
    root: str


class LedgerCloseEpoch(TypedDict):
    """What the keeper answers."""

    closed: list[LedgerCloseEpochClosedRow]
    epochs: int


class LedgerPublish(TypedDict):
    """What the keeper answers."""

    size: int


class LedgerShow(TypedDict):
    """What the keeper answers."""

    index: int
    leaf: dict[str, JsonValue]
    actor: str
    object: str
    detail: dict[str, JsonValue]


class StatusContainedRow(TypedDict):
    """A part of it."""

    what: str
    count: int
    names: list[str]


class StatusLedger(TypedDict):
    """A part of it."""

    size: int
    cosigned: int
    signing: int


class StatusWitnesses(TypedDict):
    """A part of it."""

    remote: list[JsonValue]
    quorum: int
    strict: bool
    unreachable: dict[str, JsonValue]
    missing: JsonValue


class StatusOwedRow(TypedDict):
    """A part of it."""

    what: str
    keys: int
    due_us: int
    overdue: bool


class StatusKeeper(TypedDict):
    """A part of it."""

    level: str
    means: str
    root: str
    own_user: bool
    witnessed_elsewhere: bool
    lacks: list[str]
    memory: dict[str, JsonValue]


class StatusRequests(TypedDict):
    """A part of it."""

    open: int
    overdue: int
    next_due_us: int | None


class StatusPeriodicRow(TypedDict):
    """A part of it."""

    task: str
    last_us: int
    failures: int


class StatusMonitor(TypedDict):
    """A part of it."""

    ok: bool
    read: int
    broken: list[JsonValue]
    findings: int
    newest: list[JsonValue]


class StatusIncident(TypedDict):
    """A part of it."""

    severity: int
    name: str
    count: int


class StatusSentinel(TypedDict):
    """A part of it."""

    alive: bool
    read: int | None
    behind: int | None
    behind_s: int | None
    alerts: dict[str, JsonValue]


class Status(TypedDict):
    """What the keeper answers."""

    home: str
    synthetic: bool
    charter: dict[str, JsonValue] | None
    stopped: bool
    contained: list[StatusContainedRow]
    counts: dict[str, JsonValue]
    dropped_of_others: int
    ledger: StatusLedger
    witnesses: StatusWitnesses
    owed: list[StatusOwedRow]
    drift: list[str]
    keeper_level: str
    keeper: StatusKeeper
    sandbox_level: str
    sandboxes_abreast: int
    requests: StatusRequests
    periodic: list[StatusPeriodicRow]
    monitor: StatusMonitor | None
    incidents: list[StatusIncident]
    sentinel: StatusSentinel
    limits: list[str]


class LedgerRotate(TypedDict):
    """What the keeper answers."""

    entry: int
    signing: list[str]
    next: str
