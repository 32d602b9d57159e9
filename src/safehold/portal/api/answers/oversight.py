"""The shapes of answers about the charter and the board, as the keeper gives them."""

from __future__ import annotations

from typing import NotRequired

from pydantic import JsonValue
from typing_extensions import TypedDict


class BoardEnact(TypedDict):
    """What the keeper answers."""

    version: int
    digest: str
    change: str
    entry: int


class Proposed(TypedDict):
    """What the keeper answers of every proposal."""

    proposal: int
    about: str
    direction: str
    version: int
    digest: str
    proposed_by: str
    signed: list[JsonValue]
    refused: list[JsonValue]
    needed: int
    must_include: list[str]
    notice_s: int
    enact_from_us: int | None
    lapses_us: int | None
    allows: list[str]
    question: dict[str, JsonValue]


class BoardPropose(Proposed):
    """What the keeper answers."""

    newcomer_signed: NotRequired[bool]
    contested: NotRequired[bool]
    change: NotRequired[dict[str, JsonValue]]


class BoardRotate(TypedDict):
    """What the keeper answers."""

    version: int
    digest: str
    change: str
    entry: int


class BoardShowSeat(TypedDict):
    """A part of it."""

    seat: str
    person: str
    key: str


class BoardShowThresholds(TypedDict):
    """A part of it."""

    narrow: dict[str, JsonValue]
    renew: dict[str, JsonValue]
    replace: dict[str, JsonValue]
    restart: dict[str, JsonValue]
    stop: dict[str, JsonValue]
    widen: dict[str, JsonValue]


class BoardShowWitnessesWitnesse(TypedDict):
    """A part of it."""

    name: str
    vkeys: list[str]
    seat: str


class BoardShowWitnesses(TypedDict):
    """A part of it."""

    quorum: int
    witnesses: list[BoardShowWitnessesWitnesse]


class BoardShowProposal(TypedDict):
    """A part of it."""

    proposal: int
    about: str
    direction: str
    version: int
    digest: str
    proposed_by: str
    signed: list[str]
    refused: list[JsonValue]
    needed: int
    must_include: list[str]
    notice_s: int
    enact_from_us: int
    lapses_us: int
    allows: list[str]
    ends: list[JsonValue]
    question: dict[str, JsonValue]


class BoardShow(TypedDict):
    """What the keeper answers."""

    version: int
    digest: str
    expires_us: int
    expired: bool
    seats: list[BoardShowSeat]
    roster: dict[str, JsonValue]
    several_seats: list[JsonValue]
    thresholds: BoardShowThresholds
    witnesses: BoardShowWitnesses
    witnesses_differ: JsonValue
    versions: list[str]
    proposals: list[BoardShowProposal]
    limits: list[str]


class CharterEnact(TypedDict):
    """What the keeper answers."""

    version: int
    digest: str
    new: bool
    entry: NotRequired[int]
    direction: NotRequired[str]
    seats: NotRequired[list[str]]


class CharterLogLogRow(TypedDict):
    """A part of it."""

    entry: int
    at_us: int
    what: str
    version: int
    direction: NotRequired[str]
    seats: NotRequired[list[str]]
    state: NotRequired[str]
    about: NotRequired[str]
    seat: NotRequired[str]
    by: NotRequired[str]
    of: NotRequired[int]
    why: NotRequired[str]


class CharterLog(TypedDict):
    """What the keeper answers."""

    log: list[CharterLogLogRow]


class CharterProposalsProposal(TypedDict):
    """A part of it."""

    proposal: int
    about: str
    direction: str
    version: int
    digest: str
    proposed_by: str
    signed: list[str]
    refused: list[JsonValue]
    needed: int
    must_include: list[str]
    notice_s: int
    enact_from_us: int | None
    lapses_us: int | None
    allows: list[str]
    ends: NotRequired[list[JsonValue]]
    question: dict[str, JsonValue]
    newcomer_signed: NotRequired[bool]
    contested: NotRequired[bool]
    change: NotRequired[dict[str, JsonValue]]


class CharterProposals(TypedDict):
    """What the keeper answers."""

    proposals: list[CharterProposalsProposal]


class CharterPropose(Proposed):
    """What the keeper answers."""

    ends: list[str]


class CharterVote(TypedDict):
    """What the keeper answers."""

    proposal: int
    about: str
    direction: str
    version: int
    digest: str
    proposed_by: str
    signed: list[str]
    refused: list[str]
    needed: int
    must_include: list[str]
    notice_s: int
    enact_from_us: int | None
    lapses_us: int | None
    allows: list[str]
    ends: NotRequired[list[str]]
    question: dict[str, JsonValue]
    entry: NotRequired[int]
    ended: NotRequired[bool]
    newcomer_signed: NotRequired[bool]
    contested: NotRequired[bool]
    change: NotRequired[dict[str, JsonValue]]


class Contain(TypedDict):
    """What the keeper answers."""

    entry: int
    what: str
    target: str
    already: bool
    runs_ended: int
    runs_left: int
    leases_ended: int


class ContainmentLift(TypedDict):
    """What the keeper answers."""

    what: str
    lifted: int
    entry: int


class ContainmentListContainment(TypedDict):
    """A part of it."""

    entry: int
    what: str
    at_us: int
    lift_takes: dict[str, JsonValue]
    target: str
    by: str
    reason: str
    seats: NotRequired[list[str]]


class ContainmentList(TypedDict):
    """What the keeper answers."""

    containments: list[ContainmentListContainment]


class ContainmentPreview(TypedDict):
    """What the keeper answers."""

    what: str
    target: str
    contained: JsonValue
    running: list[JsonValue]
    grants: list[JsonValue]
    principals: list[JsonValue]
    segments: list[JsonValue]
    people: JsonValue
    fewer_than: int
    sources: int
    datasets: list[JsonValue]
    models: list[JsonValue]
    lift_takes: dict[str, JsonValue]


class DriftFoundRow(TypedDict):
    """A part of it."""

    clause: str
    sentence: str


class Drift(TypedDict):
    """What the keeper answers."""

    ok: bool
    compared: int
    found: list[DriftFoundRow]
    entry: int | None


class MilestonesMilestone(TypedDict):
    """A part of it."""

    promise: str
    says: str
    state: str
    must_be: str
    measured: float | None
    how: str
    entry: int | None
    at_ms: int | None


class Milestones(TypedDict):
    """What the keeper answers."""

    milestones: list[MilestonesMilestone]


class Resume(TypedDict):
    """What the keeper answers."""

    state: str
    entry: int
    waived: NotRequired[list[str]]


class Stop(TypedDict):
    """What the keeper answers."""

    state: str
    entry: int
    jobs_ended: int
    leases_ended: int


class Charter(TypedDict):
    """The charter in force."""

    charter: dict[str, JsonValue]
    digest: str


class Document(TypedDict):
    """One published text."""

    document: str
    state: str
    entry: int | None
    version: int | None
    open: JsonValue


class DocumentList(TypedDict):
    """What the keeper answers."""

    documents: list[Document]


class DocumentPublish(TypedDict):
    """What the keeper answers."""

    document: str
    sha256: str
    open: JsonValue
    entry: int
    file: str
