"""The shapes of answers about models, as the keeper gives them."""

from __future__ import annotations

from typing import NotRequired

from pydantic import JsonValue
from typing_extensions import TypedDict


class ArtifactDecide(TypedDict):
    """What the keeper answers."""

    artifact: str
    state: str
    entry: int


class ArtifactListArtifact(TypedDict):
    """A part of it."""

    id: str
    purpose: str
    size: int
    expires: int
    sha256: str
    state: str
    reason: str


class ArtifactList(TypedDict):
    """What the keeper answers."""

    artifacts: list[ArtifactListArtifact]


class ArtifactPull(TypedDict):
    """What the keeper answers."""

    artifact: str
    sha256: str
    record: str
    statements: str
    signature: str
    leaf: str
    proof: str
    entry: int


class ArtifactQuarantineQuarantineRowGate(TypedDict):
    """A part of it."""

    gate: str
    attack: str
    measure: str
    must_be: str
    state: str
    micro: NotRequired[float]
    lower: NotRequired[float]
    upper: NotRequired[float]
    detectable: NotRequired[float]
    members: NotRequired[int]
    others: NotRequired[int]
    version: NotRequired[int]
    entry: NotRequired[int]
    planted: NotRequired[int]
    candidates: NotRequired[int]


class ArtifactQuarantineQuarantineRow(TypedDict):
    """A part of it."""

    artifact: str
    purpose: str
    reason: str
    entry: int
    sha256: str
    gates: list[ArtifactQuarantineQuarantineRowGate]
    release_takes: dict[str, JsonValue]
    delete_takes: dict[str, JsonValue]


class ArtifactQuarantine(TypedDict):
    """What the keeper answers."""

    quarantine: list[ArtifactQuarantineQuarantineRow]


class ArtifactShowProvenanceSubjectRow(TypedDict):
    """A part of it."""

    digest: dict[str, JsonValue]
    name: str


class ArtifactShowProvenance(TypedDict):
    """A part of it."""

    _type: str
    predicate: dict[str, JsonValue]
    predicateType: str
    subject: list[ArtifactShowProvenanceSubjectRow]


class ArtifactShowCardAttack(TypedDict):
    """A part of it."""

    gate: str
    attack: str
    must_be: str
    state: str


class ArtifactShowCard(TypedDict):
    """A part of it."""

    data: dict[str, JsonValue]
    expires: str
    format: str
    limits: list[str]
    not_for: list[str]
    purpose: dict[str, JsonValue]
    scores: dict[str, JsonValue]
    training: dict[str, JsonValue]
    artifact: str
    sha256: str
    attacks: list[ArtifactShowCardAttack]


class ArtifactShow(TypedDict):
    """What the keeper answers."""

    id: str
    verified: bool
    sha256: str
    record: dict[str, JsonValue]
    metrics: dict[str, JsonValue]
    provenance: ArtifactShowProvenance
    card: NotRequired[ArtifactShowCard]
    card_markdown: NotRequired[str]


class AttackCanaryGate(TypedDict):
    """A part of it."""

    artifact: str
    gate: str
    attack: str
    measure: str
    op: str
    bound: int
    state: str
    version: int
    micro: int
    lower: int
    upper: int
    confidence: int
    planted: int
    candidates: NotRequired[int]
    detectable: NotRequired[int]
    power: str
    entry: int


class AttackCanary(TypedDict):
    """What the keeper answers."""

    artifact: str
    attack: str
    planted: int
    level: str
    gates: list[AttackCanaryGate]
    state: str
    entry: int


class AttackModelGate(TypedDict):
    """A part of it."""

    artifact: str
    gate: str
    attack: str
    measure: str
    op: str
    bound: int
    state: str
    version: int
    micro: int
    lower: int
    upper: int
    confidence: int
    members: int
    others: int
    detectable: int
    power: str
    entry: int


class AttackModel(TypedDict):
    """What the keeper answers."""

    artifact: str
    attack: str
    people: int
    left_out: dict[str, JsonValue]
    level: str
    gates: list[AttackModelGate]
    state: str
    entry: int


class ArtifactImport(TypedDict):
    """What the keeper answers."""

    artifact: str
    state: str
    reason: str
    format: str
    sha256: str
    findings: int
    classes: dict[str, JsonValue]
    notes: list[str]
