"""The grant: the durable record of who may do what, for one purpose, until when.

Its canonical bytes are what approvers sign. A capability is minted from it, and lives shorter.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from safehold import canonical
from safehold.access import principal as principals
from safehold.access.principal import Agent, Principal
from safehold.charter import Charter
from safehold.charter.model import GrantRule
from safehold.clock import SECOND_US
from safehold.errors import DeniedError, InvalidError
from safehold.signing import VerifyKey
from safehold.telemetry.schema import STREAM_TO_WHAT, STREAMS

DOMAIN: Final = "safehold.grant.v1"
VERSION: Final = "safehold-grant/1"
DERIVED: Final = "feature"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}")
_LISTS: Final = ("segments", "streams", "stages", "recipes")


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
        stages: Stages of the pipeline.
        recipes: Names of the recipes that may run.
        people: SHA-256 of the filter that chooses people, hex; empty for everybody who takes part.
        first_day: First UTC day of the telemetry, also of that behind features.
        last_day: Last UTC day of it.
        asked_us: When it was asked for, microseconds.
        expires_us: When it ends, microseconds.
        max_runs: How many runs it covers.
        reason: Why, in words or as a ticket.
        charter: Digest of the charter in force, hex.
    """

    id: str
    requester: Principal
    holder: VerifyKey
    purpose: str
    segments: tuple[str, ...]
    streams: tuple[str, ...]
    stages: tuple[str, ...]
    recipes: tuple[str, ...]
    people: str
    first_day: int
    last_day: int
    asked_us: int
    expires_us: int
    max_runs: int
    reason: str
    charter: str

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
            "first_day": self.first_day,
            "last_day": self.last_day,
            "asked_us": self.asked_us,
            "expires_us": self.expires_us,
            "max_runs": self.max_runs,
            "reason": self.reason,
            "charter": self.charter,
        }

    @classmethod
    def from_json(cls, tree: Any) -> Grant:
        """Read what ``to_json`` made.

        Raises:
            InvalidError: It is no grant.
        """
        try:
            grant = cls(
                requester=principals.from_json(tree["requester"]),
                holder=VerifyKey.from_text(tree["holder"]),
                segments=tuple(tree["segments"]),
                streams=tuple(tree["streams"]),
                stages=tuple(tree["stages"]),
                recipes=tuple(tree["recipes"]),
                id=tree["id"],
                purpose=tree["purpose"],
                people=tree["people"],
                first_day=tree["first_day"],
                last_day=tree["last_day"],
                asked_us=tree["asked_us"],
                expires_us=tree["expires_us"],
                max_runs=tree["max_runs"],
                reason=tree["reason"],
                charter=tree["charter"],
            )
            if grant.to_json() != tree:
                raise InvalidError("not a grant", rule="grant.shape")
            _check_shape(grant)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise InvalidError("not a grant", rule="grant.shape") from error
        return grant

    def digest(self) -> bytes:
        """Return the SHA-256 of the canonical bytes, 32 bytes: what an approval names."""
        return canonical.digest(self.to_json())


def whats(streams: tuple[str, ...] | frozenset[str]) -> tuple[str, ...]:
    """Return the charter's names of streams.

    Raises:
        InvalidError: There is no such stream.
    """
    unknown = [name for name in streams if name not in STREAMS and name != DERIVED]
    if unknown:
        raise InvalidError("there is no such stream", rule="grant.stream")
    return tuple(sorted(STREAM_TO_WHAT.get(name, name) for name in streams))


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
    if grant.expires_us - grant.asked_us > role.grant.max_s * SECOND_US:
        raise DeniedError("longer than this role's grants may last", rule="grant.length")
    if role.grant.budget is not None and grant.max_runs > role.grant.budget.runs:
        raise DeniedError("more runs than this role may have", rule="grant.runs")
    if sum(character.isalnum() for character in grant.reason) < 4:
        raise DeniedError(
            "a grant says why", rule="grant.reason", fix="name the ticket, or write a sentence"
        )
    return role.grant


def _check_shape(grant: Grant) -> None:
    for field in _LISTS:
        names = getattr(grant, field)
        if not names or len(set(names)) != len(names) or not all(map(_is_name, names)):
            raise InvalidError("not a list of different names", field=field, rule="grant.shape")
    for field in ("id", "purpose"):
        if not _is_name(getattr(grant, field)):
            raise InvalidError("not a name", field=field, rule="grant.shape")
    for field in ("first_day", "last_day", "asked_us", "expires_us", "max_runs"):
        if type(getattr(grant, field)) is not int:
            raise InvalidError("not a whole number", field=field, rule="grant.shape")
    if re.fullmatch(r"[0-9a-f]{64}", grant.charter) is None:
        raise InvalidError("not a digest", field="charter", rule="grant.shape")
    if re.fullmatch(r"(|[0-9a-f]{64})", grant.people) is None:
        raise InvalidError("not a digest", field="people", rule="grant.shape")
    if len(grant.reason) > 500:
        raise InvalidError("at most 500 characters", field="reason", rule="grant.shape")
    if grant.first_day > grant.last_day or grant.asked_us >= grant.expires_us or grant.max_runs < 1:
        raise InvalidError("ends before it begins, or covers nothing", rule="grant.shape")


def _is_name(text: Any) -> bool:
    return isinstance(text, str) and _NAME.fullmatch(text) is not None
