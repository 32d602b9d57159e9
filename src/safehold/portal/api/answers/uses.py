"""The shapes of answers about uses, as the keeper gives them."""

from __future__ import annotations

from typing import NotRequired

from pydantic import JsonValue
from typing_extensions import TypedDict


class AttackDataset(TypedDict):
    """What the keeper answers."""

    dataset: str
    people: int
    left_out: dict[str, JsonValue]
    level: str
    gates: list[JsonValue]
    intent: int
    entry: int


class BudgetShowBudget(TypedDict):
    """A part of it."""

    purpose: str
    unit: str
    epsilon: float
    epsilon_left: float
    delta: float
    delta_left: float


class BudgetShow(TypedDict):
    """What the keeper answers."""

    budgets: list[BudgetShowBudget]


class DatasetLineageLineageRow(TypedDict):
    """A part of it."""

    id: str
    kind: str
    label: NotRequired[dict[str, JsonValue]]
    parents: list[str]
    created_us: NotRequired[int]
    mode: NotRequired[str]
    purpose: NotRequired[str]
    run: NotRequired[int]
    release: NotRequired[dict[str, JsonValue] | None]
    status: str


class DatasetLineage(TypedDict):
    """What the keeper answers."""

    lineage: list[DatasetLineageLineageRow]
    below: list[JsonValue]


class DatasetListDataset(TypedDict):
    """A part of it."""

    id: str
    kind: str
    label: dict[str, JsonValue]
    parents: list[str]
    created_us: int
    mode: str
    purpose: str
    release: NotRequired[dict[str, JsonValue]]


class DatasetList(TypedDict):
    """What the keeper answers."""

    datasets: list[DatasetListDataset]


class DatasetCompactTotals(TypedDict):
    """A part of it."""

    blocks: int
    objects: int
    bytes: int


class DatasetCompact(TypedDict):
    """What the keeper answers."""

    dry_run: bool
    runs: int
    blocks: int
    into: int
    bytes: int
    written: NotRequired[int]
    retired: NotRequired[int]
    passed_over: NotRequired[int]
    removed: NotRequired[int]
    before: DatasetCompactTotals
    after: DatasetCompactTotals


class DatasetSweep(TypedDict):
    """What the keeper answers."""

    day: int
    keys: int
    abandoned: int
    segments: NotRequired[int]
    entry: NotRequired[int]
    objects: int
    rebuilt: int
    left_over: NotRequired[int]


class EmbedGate(TypedDict):
    """A part of it."""

    attackers: str
    must_be: float
    dataset: str
    fewest: int
    gate: str
    level: str
    top1: float
    people: int
    state: str
    stream: str
    upper: float
    entry: int


class Embed(TypedDict):
    """What the keeper answers."""

    dataset: str
    state: str
    gates: list[EmbedGate]
    people: int
    vectors: int
    left_out: dict[str, JsonValue]
    level: str
    entry: int


class EmbedHead(TypedDict):
    """What the keeper answers."""

    artifact: str
    metrics: dict[str, JsonValue]
    dataset: str
    people: int
    left_out: dict[str, JsonValue]
    level: str
    intent: int
    entry: int


class EmbedNear(TypedDict):
    """What the keeper answers."""

    how: str
    people: int
    counts: dict[str, JsonValue]
    epsilon: float
    dataset: str
    left_out: dict[str, JsonValue]
    level: str
    intent: int
    entry: int


class EnclaveRunFigure(TypedDict):
    """A part of it."""

    value: float
    error: float
    groups: int


class EnclaveRun(TypedDict):
    """What the keeper answers."""

    counts: dict[str, JsonValue]
    words: list[JsonValue]
    figure: EnclaveRunFigure
    script: str
    people: int
    left_out: dict[str, JsonValue]
    level: str
    kernel: str
    mechanisms: list[str]
    program: str
    epsilon: float
    intent: int
    entry: int
    synthetic: bool


class Feature(TypedDict):
    """What the keeper answers."""

    dataset: str
    people: int
    rows: int
    left_out: dict[str, JsonValue]
    level: str
    entry: int


class GateListGate(TypedDict):
    """A part of it."""

    dataset: str
    gate: str
    attack: str
    must_be: str
    state: str
    measured: list[dict[str, JsonValue]]


class GateList(TypedDict):
    """What the keeper answers."""

    gates: list[GateListGate]


class Nonce(TypedDict):
    """What the keeper answers."""

    nonce: str


class PurposeListPurpose(TypedDict):
    """A part of it."""

    purpose: str
    plain: str
    stages: list[str]
    min_people: NotRequired[int]


class PurposeListRedLine(TypedDict):
    """A part of it."""

    id: str
    plain: str


class QueryFigure(TypedDict):
    """A part of it."""

    key: str
    bin: str
    value: float | None
    error: float | None
    low: float | None
    high: float | None
    people: int | None


class Query(TypedDict):
    """What the keeper answers."""

    release: str
    figures: list[QueryFigure]
    parts: dict[str, JsonValue]
    query: str
    people: int
    left_out: dict[str, JsonValue]
    epsilon: float
    delta: float
    epsilon_left: float
    delta_left: float
    level: str
    intent: int
    entry: int


class Train(TypedDict):
    """What the keeper answers."""

    artifact: str
    metrics: dict[str, JsonValue]
    people: int
    left_out: dict[str, JsonValue]
    level: str
    intent: int
    entry: int


class EmbedExport(TypedDict):
    """Nothing that any charter lets out so far."""


class Purpose(TypedDict):
    """One purpose of the charter."""

    purpose: str
    plain: str
    stages: list[str]
    min_people: int


class PurposeList(TypedDict):
    """What the keeper answers."""

    charter: str
    purposes: list[Purpose]
    red_lines: list[dict[str, JsonValue]]
