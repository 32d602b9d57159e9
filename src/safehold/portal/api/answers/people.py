"""The shapes of answers about people, as the keeper gives them."""

from __future__ import annotations

from typing import NotRequired

from pydantic import JsonValue
from typing_extensions import TypedDict


class Gap(TypedDict):
    """What the keeper answers."""

    record: str
    keeper: str
    devices: list[str]
    entry: int


class PeopleChoose(TypedDict):
    """What the keeper answers."""

    choice: str
    at_us: int
    entry: int
    receipt: NotRequired[str]
    case: NotRequired[str]
    due_us: NotRequired[int]


class PeopleCountTakingPartFigure(TypedDict):
    """A part of it."""

    enrolled: int
    group: str
    taking_part: int


class PeopleCountTakingPart(TypedDict):
    """A part of it."""

    figures: list[PeopleCountTakingPartFigure]
    entry: int
    at_ms: int


class PeopleCount(TypedDict):
    """What the keeper answers."""

    enrolled: int
    erased: int
    taking_part: PeopleCountTakingPart | None


class PeopleEnrol(TypedDict):
    """What the keeper answers."""

    enrolled: int
    known: int


class PeopleEraseEffect(TypedDict):
    """A part of it."""

    id: str
    kind: str
    status: str
    delta_e12: NotRequired[int]
    epsilon_micro: NotRequired[int]
    purpose: NotRequired[str]


class PeopleEraseOutstanding(TypedDict):
    """A part of it."""

    unsupported: int
    pending: int


class PeopleErase(TypedDict):
    """What the keeper answers."""

    request: str
    keys: int
    entry: int
    result: int
    leaf: str
    r: str
    effects: list[PeopleEraseEffect]
    outstanding: PeopleEraseOutstanding
    complete: NotRequired[bool]
    asked_us: int
    due_us: int
    done_us: int
    late: bool
    receipt: str


class PeopleExport(TypedDict):
    """What the keeper answers."""

    bytes: int
    sha256: str
    entry: int
    release: int
    result: int


class PeopleInvite(TypedDict):
    """What the keeper answers."""

    code: str
    days: int
    replaces_a_key: bool
    entry: int


class PeopleMove(TypedDict):
    """What the keeper answers."""

    entry: int
    place: str
    in_charter: bool
    withheld: int
    recording: NotRequired[str]


class PeopleReceipt(TypedDict):
    """What the keeper answers."""

    receipt: str


class PeopleReceiptsReceipt(TypedDict):
    """A part of it."""

    entry: int
    choice: str
    at_us: int | None
    by: str
    receipt: str


class PeopleReceipts(TypedDict):
    """What the keeper answers."""

    receipts: list[PeopleReceiptsReceipt]


class PeopleShow(TypedDict):
    """What the keeper answers."""

    external: NotRequired[str]
    jurisdiction: NotRequired[str]
    streams: NotRequired[list[JsonValue]]
    consented_us: NotRequired[int]
    withdrawn_us: NotRequired[int]
    pauses: NotRequired[list[JsonValue]]
    evidence: NotRequired[str]
    anew_us: NotRequired[int]
    purposes: NotRequired[list[str]]
    objected: NotRequired[list[str]]
    contested: NotRequired[list[JsonValue]]
    cases: NotRequired[list[JsonValue]]
    moved_us: NotRequired[int]
    level: NotRequired[str]
    voice: NotRequired[bool]
    signed: NotRequired[bool]
    paused: NotRequired[bool]
    ends: NotRequired[JsonValue]
    person: NotRequired[str]
    enrolled: NotRequired[bool]
    key: NotRequired[bool]


class PeopleSymmetryFigure(TypedDict):
    """A part of it."""

    group: str
    enrolled: int
    taking_part: int


class PeopleSymmetry(TypedDict):
    """What the keeper answers."""

    figures: list[PeopleSymmetryFigure]
    epsilon: float
    entry: int


class PeopleTrail(TypedDict):
    """What the keeper answers."""

    package: str


class RightsAnswer(TypedDict):
    """What the keeper answers."""

    case: str
    outcome: str
    entry: int


class RightsListRequest(TypedDict):
    """A part of it."""

    case: str
    right: str
    asked_us: int
    due_us: int
    overdue: bool


class RightsList(TypedDict):
    """What the keeper answers."""

    requests: list[RightsListRequest]


class RightsRead(TypedDict):
    """What the keeper answers."""

    case: str
    right: str
    person: str
    about: list[str]
    days: list[JsonValue]
    text: str
    asked_us: int
    due_us: int


class SessionEnd(TypedDict):
    """What the keeper answers."""

    ended: bool
    entry: int


class SessionShow(TypedDict):
    """What the keeper answers."""

    principal: str
    kind: str
    role: str
    operator: NotRequired[str]
    person: NotRequired[str]


class PeopleErased(TypedDict):
    """All erasures, or one."""

    erasures: NotRequired[list[dict[str, JsonValue]]]


class PeopleLeave(TypedDict):
    """What an erasure would end, and what confirms it."""

    confirm: str
    until_us: int
    due_us: int
    effects: list[dict[str, JsonValue]]
