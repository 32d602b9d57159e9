"""The grant: the durable record of who may do what, for one purpose, until when.

Its canonical bytes are what approvers sign. A capability is minted from it, and lives shorter.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from safehold import canonical
from safehold.access import principal as principals
from safehold.access.code import is_own
from safehold.access.emergency import check_emergency
from safehold.access.principal import Agent, Principal
from safehold.charter import Charter
from safehold.charter.model import GrantRule
from safehold.clock import DAY_US, SECOND_US
from safehold.errors import DeniedError, InvalidError
from safehold.signing import VerifyKey
from safehold.telemetry.stream import STREAM_TO_WHAT, STREAMS

DOMAIN: Final = "safehold.grant.v2"
VERSION: Final = "safehold-grant/2"
OLDER: Final = "safehold-grant/1"  # without columns and caps; nobody may use one any more
MINUTE_US: Final = 60 * SECOND_US
WAIT_US: Final = DAY_US  # a request that nobody approved in a day is asked again
LARGEST: Final = 2**53
DEEPEST: Final = 2  # how often what one person was granted may be handed on
DERIVED: Final = "feature"
EMBEDDING: Final = "embedding"  # in the words of a charter, derived as features are
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}")
_WORDS: Final = ("id", "purpose", "people", "reason", "charter", "parent")
_LISTS: Final = ("segments", "streams", "columns", "stages", "recipes")
_NUMBERS: Final = (
    "first_day", "last_day", "asked_us", "expires_us", "minutes", "max_runs", "max_rows", "max_bytes", "max_per_hour",
    "epsilon_micro", "depth",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One permission.

    Args:
        id: ``grt_...``.
        requester: Who asked and will use it.
        holder: Public key whose owner may use it.
        purpose: The one purpose, from the charter.
        segments: Names of the segments.
        streams: Names of the streams, ``feature`` included where it is used.
        columns: Columns of them that may be opened, as ``stream.column``; at least one of each stream.
        stages: Stages of the pipeline.
        recipes: Names of the recipes that may run.
        people: SHA-256 of the filter that chooses people, hex; empty for everybody who takes part.
        first_day: First UTC day of the telemetry, also of that behind features.
        last_day: Last UTC day of it.
        asked_us: When it was asked for, microseconds.
        expires_us: When it ends at the latest, microseconds.
        minutes: How long it may be used, from the moment its leaf is written.
        max_runs: How many runs it covers.
        max_rows: How many rows all runs may open together.
        max_bytes: How many bytes all runs may send through the egress gate together.
        max_per_hour: How many runs may begin in any hour.
        epsilon_micro: How much epsilon all runs may spend together, millionths.
        depth: How often it was delegated; 0 if it was not.
        parent: Id of the grant it was delegated from, or empty.
        break_glass: It is asked for in an emergency, on the charter's terms for one.
        reason: Why, in words or as a ticket.
        charter: Digest of the charter in force, hex.
    """

    id: str
    requester: Principal
    holder: VerifyKey
    purpose: str
    segments: tuple[str, ...]
    streams: tuple[str, ...]
    columns: tuple[str, ...]
    stages: tuple[str, ...]
    recipes: tuple[str, ...]
    people: str
    first_day: int
    last_day: int
    asked_us: int
    expires_us: int
    minutes: int
    max_runs: int
    max_rows: int
    max_bytes: int
    max_per_hour: int
    epsilon_micro: int
    reason: str
    charter: str
    depth: int = 0
    parent: str = ""
    break_glass: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the canonical tree."""
        return {
            "v": VERSION,
            "id": self.id,
            "requester": principals.to_json(self.requester),
            "holder": self.holder.text(),
            "purpose": self.purpose,
            **{name: list(getattr(self, name)) for name in _LISTS},
            "people": self.people,
            **{name: getattr(self, name) for name in _NUMBERS},
            "reason": self.reason,
            "charter": self.charter,
            "parent": self.parent,
            # said only where it is so: what was signed before keeps its bytes
            **({"break_glass": True} if self.break_glass else {}),
        }

    @classmethod
    def from_json(cls, tree: Any) -> Grant:
        """Read what ``to_json`` made.

        Raises:
            InvalidError: It is no grant.
        """
        if isinstance(tree, dict) and tree.get("v") == OLDER:
            raise InvalidError(
                "a grant of an older version", rule="grant.version", fix="ask for a new one"
            )
        try:
            rest: dict[str, Any] = {name: tuple(tree[name]) for name in _LISTS}
            rest |= {name: tree[name] for name in (*_NUMBERS, *_WORDS)}
            rest["break_glass"] = tree.get("break_glass", False) is True
            grant = cls(
                requester=principals.from_json(tree["requester"]),
                holder=VerifyKey.from_text(tree["holder"]),
                **rest,
            )
            if grant.to_json() != tree:
                raise InvalidError("not a grant", rule="grant.shape")
            _check_shape(grant)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise InvalidError("not a grant", rule="grant.shape") from error
        return grant

    def ends_us(self, begun_us: int) -> int:
        """Return when it ends, microseconds.

        Args:
            begun_us: When its leaf was written, microseconds.
        """
        return min(self.expires_us, begun_us + self.minutes * MINUTE_US)

    def digest(self) -> bytes:
        """Return the SHA-256 of the canonical bytes, 32 bytes: what an approval names."""
        return canonical.digest(self.to_json())


def whats(streams: tuple[str, ...] | frozenset[str]) -> tuple[str, ...]:
    """Return the charter's names of streams.

    Raises:
        InvalidError: There is no such stream.
    """
    unknown = [name for name in streams if name not in (*STREAMS, DERIVED, EMBEDDING)]
    if unknown:
        raise InvalidError("there is no such stream", rule="grant.stream")
    named = {DERIVED if name == EMBEDDING else STREAM_TO_WHAT.get(name, name) for name in streams}
    return tuple(sorted(named))


def check_grant(grant: Grant, charter: Charter) -> GrantRule:
    """Return what a charter demands of this grant, if it could give it to this requester at all.

    Raises:
        DeniedError: It asks for more than the role or the purpose has; the rule says what.
        InvalidError: It is not well formed.
    """
    _check_shape(grant)
    if grant.charter != charter.digest().hex():
        raise DeniedError(
            "this grant was asked under another charter", rule="grant.charter", fix="ask again"
        )
    _check_code(grant)
    role = charter.role(grant.requester.role)
    purpose = charter.purpose(grant.purpose)
    if role.grant is None:
        raise DeniedError("this role needs no grant and gets none", rule="grant.role")
    if isinstance(grant.requester, Agent) != (grant.requester.role == "agent"):
        raise DeniedError("the role agent is for agents", rule="grant.kind")
    allowed = set(role.stages) & set(purpose.stages)
    if not set(grant.stages) <= allowed:
        raise DeniedError("a stage beyond role and purpose", rule="grant.stage")
    if not set(whats(grant.streams)) <= set(purpose.covers()):
        raise DeniedError("a stream beyond the purpose", rule="grant.stream")
    if grant.minutes * 60 > role.grant.max_s or (
        grant.expires_us - grant.asked_us > WAIT_US + grant.minutes * MINUTE_US
    ):
        raise DeniedError("longer than this role's grants may last", rule="grant.length")
    if role.grant.budget is not None and grant.max_runs > role.grant.budget.runs:
        raise DeniedError("more runs than this role may have", rule="grant.runs")
    if sum(character.isalnum() for character in grant.reason) < 4:
        raise DeniedError(
            "a grant says why", rule="grant.reason", fix="name the ticket, or write a sentence"
        )
    return check_emergency(grant, charter, role.grant) if grant.break_glass else role.grant


def _check_code(grant: Grant) -> None:
    """Let code of somebody's own, or any query at all, be asked for alone, by a person, and never in a hurry."""
    if not any(map(is_own, grant.recipes)):
        return
    if isinstance(grant.requester, Agent):
        raise DeniedError("an agent runs reviewed recipes only", rule="grant.code")
    if len(grant.recipes) > 1 or grant.break_glass:
        raise DeniedError(
            "a script, or any query, is granted by itself, and in no emergency",
            rule="grant.code",
            fix="one request for each script; one for queries that nobody reviewed",
        )


def _check_shape(grant: Grant) -> None:
    for field in _LISTS:
        names = getattr(grant, field)
        if not names or len(set(names)) != len(names) or not all(map(_is_name, names)):
            raise InvalidError("not a list of different names", field=field, rule="grant.shape")
    for field in ("id", "purpose"):
        if not _is_name(getattr(grant, field)):
            raise InvalidError("not a name", field=field, rule="grant.shape")
    for field in _NUMBERS:
        if type(getattr(grant, field)) is not int or not 0 <= getattr(grant, field) < LARGEST:
            raise InvalidError("not a whole number", field=field, rule="grant.shape")
    if re.fullmatch(r"[0-9a-f]{64}", grant.charter) is None:
        raise InvalidError("not a digest", field="charter", rule="grant.shape")
    if re.fullmatch(r"(|[0-9a-f]{64})", grant.people) is None:
        raise InvalidError("not a digest", field="people", rule="grant.shape")
    if type(grant.parent) is not str or (grant.parent != "" and not _is_name(grant.parent)):
        raise InvalidError("not a name", field="parent", rule="grant.shape")
    if grant.depth > DEEPEST or (grant.depth > 0) != bool(grant.parent):
        raise InvalidError(
            "what is delegated names its parent, and not too deep",
            field="depth",
            rule="grant.shape",
        )
    _check_columns(grant)
    if type(grant.reason) is not str or len(grant.reason) > 500:
        raise InvalidError("at most 500 characters", field="reason", rule="grant.shape")
    if (
        grant.first_day > grant.last_day
        or grant.asked_us >= grant.expires_us
        or min(grant.minutes, grant.max_runs, grant.max_rows, grant.max_per_hour) < 1
    ):
        raise InvalidError("ends before it begins, or covers nothing", rule="grant.shape")


def _check_columns(grant: Grant) -> None:
    """Let each stream have its columns, and none that it has not."""
    from safehold.telemetry.schema import REST  # noqa: PLC0415 - Arrow, which no caller needs

    named: dict[str, set[str]] = {}
    for column in grant.columns:
        stream, _, name = column.partition(".")
        named.setdefault(stream, set()).add(name)
    if set(named) != set(grant.streams):
        raise InvalidError(
            "every stream is named with its columns", field="columns", rule="grant.columns"
        )
    for stream, names in named.items():
        if stream in REST and not names <= set(REST[stream].names):
            raise InvalidError("a stream has no such column", field="columns", rule="grant.columns")


def _is_name(text: Any) -> bool:
    return isinstance(text, str) and _NAME.fullmatch(text) is not None
