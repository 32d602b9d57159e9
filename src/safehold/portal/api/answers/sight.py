"""The shapes of answers about what people look at before they decide, and of audits and evidence."""

from __future__ import annotations

from typing import NotRequired

from pydantic import JsonValue
from typing_extensions import TypedDict


class Shown(TypedDict):
    """What the keeper answers; its fields stand in the reference of its noun."""


class Uses(TypedDict):
    """One's own uses, newest first; ``next`` is what ``before`` is for the following ones."""

    uses: list[dict[str, JsonValue]]
    next: int | None
    matching: int
    all: int
    size: int


class Journey(TypedDict):
    """What was made from somebody's data."""

    made: list[dict[str, JsonValue]]
    all: int


class Disclosed(TypedDict):
    """What was decided about names of accessors."""

    entry: int
    what: str
    until_us: int


class Begun(TypedDict):
    """A run of the drill that was announced."""

    run: str
    nonce: str
    entry: int


class Quote(TypedDict):
    """What a request would cost, or what speaks against it."""

    against: dict[str, JsonValue] | None
    price: NotRequired[dict[str, JsonValue]]
    reach: NotRequired[int]
    narrower: NotRequired[list[JsonValue]]


class Narrower(TypedDict):
    """Shorter ways to the same."""

    request: str
    reach: int
    narrower: list[JsonValue]


class PublicFile(TypedDict):
    """A published file of the ledger."""

    data: str
    kind: str


class PublicHome(TypedDict):
    """What anybody may know of a home."""

    origin: str
    synthetic: bool
    policy: JsonValue
    charter: dict[str, JsonValue] | None


class Audits(TypedDict):
    """The engagements of auditors."""

    audits: list[dict[str, JsonValue]]


class Engaged(TypedDict):
    """An engagement that began or ended."""

    engagement: int
    entry: int
    order: NotRequired[str]


class Answered(TypedDict):
    """An answer to a finding."""

    entry: int
    finding: int


class Controls(TypedDict):
    """The controls, each with a live probe."""

    frameworks: dict[str, str]
    controls: list[dict[str, JsonValue]]
