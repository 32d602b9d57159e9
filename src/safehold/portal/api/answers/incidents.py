"""The shapes of answers about incidents, as the keeper gives them."""

from __future__ import annotations

from typing import NotRequired

from pydantic import JsonValue
from typing_extensions import TypedDict


class IncidentBlastTarget(TypedDict):
    """A part of it."""

    key: NotRequired[str]
    segment: NotRequired[str]


class IncidentBlastWas(TypedDict):
    """A part of it."""

    people: JsonValue
    fewer_than: int
    erased: dict[str, JsonValue]
    untold_runs: int
    streams: list[str]
    classes: list[str]
    categories: list[str]
    days: dict[str, JsonValue]
    blocks: JsonValue
    derived: dict[str, JsonValue]
    models: dict[str, JsonValue]
    runs: dict[str, JsonValue]
    grants: list[JsonValue]
    releases: dict[str, JsonValue]


class IncidentBlastCould(TypedDict):
    """A part of it."""

    people: JsonValue
    fewer_than: int
    erased: dict[str, JsonValue]
    untold_runs: int
    streams: list[str]
    classes: list[str]
    categories: list[str]
    days: dict[str, JsonValue]
    blocks: JsonValue
    derived: dict[str, JsonValue]
    models: dict[str, JsonValue]
    runs: dict[str, JsonValue]
    grants: list[JsonValue]
    releases: dict[str, JsonValue]


class IncidentBlast(TypedDict):
    """What the keeper answers."""

    target: IncidentBlastTarget
    about: str
    size: int
    entry: int
    was: IncidentBlastWas
    could: IncidentBlastCould
    limits: list[str]


class IncidentCause(TypedDict):
    """What the keeper answers."""

    entry: int
    sha256: str
    incident: int
    state: str
    severity: int


class IncidentClockClock(TypedDict):
    """A part of it."""

    clock: str
    notice: str
    regime: str
    state: str
    aware_us: int
    due_us: int
    left_s: int
    took_s: int
    entry: JsonValue
    says: str
    law: str
    unless: str | None
    checked: str | None


class IncidentClock(TypedDict):
    """What the keeper answers."""

    incident: int
    aware_us: int
    clocks: list[IncidentClockClock]


class IncidentAgreed(TypedDict):
    """What the keeper answers."""

    entry: int
    incident: int
    state: str
    severity: int
    agreed: int
    of: int


class IncidentDraft(TypedDict):
    """What the keeper answers."""

    incident: int
    notice: str
    text: str


class IncidentLettersCould(TypedDict):
    """A part of it."""

    people: int | None
    fewer_than: NotRequired[int]


class IncidentLettersErased(TypedDict):
    """A part of it."""

    people: int


class IncidentLetters(TypedDict):
    """What the keeper answers."""

    entry: int
    incident: int
    sha256: str
    sealed: str
    people: dict[str, JsonValue]
    could: IncidentLettersCould
    erased: IncidentLettersErased
    uses: int
    uses_finished: int
    uses_untold: int
    refused: int
    segments: list[str]
    days: list[str]
    made: int


class IncidentListIncident(TypedDict):
    """A part of it."""

    incident: int
    entry: int
    changed_us: int
    state: str
    severity: int
    name: str
    said: bool
    opened_us: int
    late: list[str]
    stops_restart: bool


class IncidentList(TypedDict):
    """What the keeper answers."""

    incidents: list[IncidentListIncident]


class IncidentStep(TypedDict):
    """What the keeper answers."""

    entry: int
    incident: int
    state: str
    severity: int


class IncidentNotice(TypedDict):
    """What the keeper answers."""

    entry: int
    incident: int
    notice: str
    decision: str


class IncidentOpen(TypedDict):
    """What the keeper answers."""

    new: bool
    incident: int
    state: str
    severity: int


class IncidentReached(TypedDict):
    """What the keeper answers."""

    entry: int
    sha256: str
    sealed: str


class IncidentReportProof(TypedDict):
    """A part of it."""

    entry: int
    leaf: str
    proof: str


class IncidentReport(TypedDict):
    """What the keeper answers."""

    incident: int
    text: str
    html: str
    picture: str
    proofs: list[IncidentReportProof]


class IncidentRestart(TypedDict):
    """What the keeper answers."""

    stopped: bool
    missing: list[str]
    seats: int
    waived: bool


class IncidentShowAgreedRow(TypedDict):
    """A part of it."""

    about: str
    seat: str
    entry: int


class IncidentShowCause(TypedDict):
    """A part of it."""

    entry: int
    sha256: str


class IncidentShowAction(TypedDict):
    """A part of it."""

    entry: int
    done: bool


class IncidentShowClock(TypedDict):
    """A part of it."""

    clock: str
    notice: str
    regime: str
    state: str
    aware_us: int
    due_us: int | None
    left_s: int | None
    took_s: int
    entry: int | None
    says: str
    law: str
    unless: str | None
    checked: str | None


class IncidentShowStep(TypedDict):
    """A part of it."""

    entry: int
    at_us: int
    says: str


class IncidentShow(TypedDict):
    """What the keeper answers."""

    incident: int
    entry: int
    changed_us: int
    state: str
    severity: int
    name: str
    said: bool
    opened_us: int
    late: list[str]
    stops_restart: bool
    means: str
    proposed: dict[str, JsonValue]
    aware_us: int
    contained_us: int | None
    closed_us: int | None
    alert: JsonValue
    basis: int
    next: list[str]
    missing: list[str]
    agreed: list[IncidentShowAgreedRow]
    reach: dict[str, JsonValue] | None
    roles: dict[str, JsonValue]
    containments: list[JsonValue]
    causes: list[IncidentShowCause]
    actions: list[IncidentShowAction]
    notices: dict[str, JsonValue]
    clocks: list[IncidentShowClock]
    steps: list[IncidentShowStep]
    limits: list[str]


class IncidentTimelineEvent(TypedDict):
    """A part of it."""

    entry: int
    at_us: int
    kind: str
    lane: str
    says: str
    people: JsonValue


class IncidentTimeline(TypedDict):
    """What the keeper answers."""

    incident: int
    events: list[IncidentTimelineEvent]
    text: str
    picture: str
