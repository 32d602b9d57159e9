"""What a capability allows, and what one use of it asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from safehold.access import principal as principals
from safehold.access.grant import Grant
from safehold.access.principal import Principal
from safehold.canonical import b64, unb64
from safehold.errors import DeniedError, SignInError
from safehold.signing import VerifyKey

SETS: Final = ("segments", "streams", "columns", "stages", "recipes")
NUMBERS: Final = (
    "first_day", "last_day", "max_runs", "max_rows", "max_bytes", "max_per_hour", "epsilon_micro", "depth", "approvals",
    "grant_expires_us", "expires_us",
)  # fmt: skip
WORDS: Final = ("grant", "charter", "purpose", "people", "parent")
# what a capability says as the grant does
_SAME: Final = (
    "charter", "holder", "purpose", "people", "parent", "first_day", "last_day", "max_runs", "max_rows", "max_bytes",
    "max_per_hour", "epsilon_micro", "depth",
)  # fmt: skip
# what a demand says of a total, the claim that bounds it, and the rule
TOTALS: Final = (
    ("runs", "max_runs", "capability.runs"),
    ("rows", "max_rows", "capability.rows"),
    ("out_bytes", "max_bytes", "capability.bytes"),
    ("hourly", "max_per_hour", "capability.rate"),
    ("epsilon_micro", "epsilon_micro", "capability.epsilon"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a capability allows; only ``verify_capability`` makes one.

    Args:
        grant: Id of the grant.
        charter: Digest of the charter it was given under, hex.
        principal: Who holds it.
        holder: Their public key, proved.
        purpose: The one purpose.
        segments: Segments.
        streams: Streams.
        columns: Columns, as ``stream.column``.
        stages: Stages.
        recipes: Recipes.
        people: Hash of the filter of people, or empty.
        first_day: First UTC day of the data.
        last_day: Last UTC day of the data.
        max_runs: Runs that the grant covers.
        max_rows: Rows that all of them may open together.
        max_bytes: Bytes that all of them may send through the egress gate together.
        max_per_hour: Runs in any hour.
        epsilon_micro: Epsilon that all of them may spend together, millionths.
        depth: How often it was delegated; 0 if it was not.
        parent: Id of the grant it was delegated from, or empty.
        approvals: How many people approved it.
        grant_expires_us: When the grant ends, microseconds.
        expires_us: When this token ends, microseconds.
        revocation_ids: One id a block; revoking any of them ends the token.
    """

    grant: str
    charter: str
    principal: Principal
    holder: VerifyKey
    purpose: str
    segments: frozenset[str]
    streams: frozenset[str]
    columns: frozenset[str]
    stages: frozenset[str]
    recipes: frozenset[str]
    people: str
    first_day: int
    last_day: int
    max_runs: int
    max_rows: int
    max_bytes: int
    max_per_hour: int
    epsilon_micro: int
    depth: int
    parent: str
    approvals: int
    grant_expires_us: int
    expires_us: int
    revocation_ids: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return them as they stand in the first block of a token."""
        return {
            "principal": principals.to_json(self.principal),
            "holder": b64(self.holder.raw),
            **{name: sorted(getattr(self, name)) for name in SETS},
            **{name: getattr(self, name) for name in (*NUMBERS, *WORDS)},
        }

    @classmethod
    def from_json(cls, tree: Any, *, blocks: tuple[str, ...]) -> Claims:
        """Read what ``to_json`` made.

        Raises:
            SignInError: An older version minted it, or nobody did.
        """
        try:
            rest: dict[str, Any] = {name: frozenset(tree[name]) for name in SETS}
            rest |= {name: tree[name] for name in (*NUMBERS, *WORDS)}
            return cls(
                principal=principals.from_json(tree["principal"]),
                holder=VerifyKey(unb64(tree["holder"])),
                revocation_ids=blocks,
                **rest,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise SignInError(
                "this capability was not minted here", rule="capability.shape"
            ) from error


def claims_of(grant: Grant, *, approvals: int, grant_expires_us: int, expires_us: int) -> Claims:
    """Return what a capability says that is minted from a grant; it has no blocks yet."""
    rest: dict[str, Any] = {name: frozenset(getattr(grant, name)) for name in SETS}
    rest |= {name: getattr(grant, name) for name in _SAME}
    return Claims(
        grant=grant.id,
        principal=grant.requester,
        approvals=approvals,
        grant_expires_us=grant_expires_us,
        expires_us=expires_us,
        revocation_ids=(),
        **rest,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What one use of a capability asks for; totals count the earlier uses of the grant as well.

    Args:
        purpose: The stated purpose.
        segment: The segment.
        streams: The streams.
        stage: The stage.
        recipe: The recipe.
        columns: Columns that are opened, as ``stream.column``.
        runs: Runs, this one included.
        rows: Rows opened, at most.
        out_bytes: Bytes through the egress gate.
        hourly: Runs of the last hour, this one included.
        epsilon_micro: Epsilon spent, millionths.
    """

    purpose: str
    segment: str
    streams: tuple[str, ...]
    stage: str
    recipe: str
    columns: tuple[str, ...] = ()
    runs: int = 0
    rows: int = 0
    out_bytes: int = 0
    hourly: int = 0
    epsilon_micro: int = 0


def check_demand(claims: Claims, demand: Demand) -> None:
    """Pass if what the first block says covers a demand.

    Raises:
        DeniedError: It does not; the rule says in what.
    """
    if demand.purpose != claims.purpose:
        raise DeniedError("a purpose beyond this capability", rule="capability.purpose")
    if not demand.streams:
        raise DeniedError("no stream is named", rule="capability.stream")
    for name, wanted, allowed in (
        ("segment", {demand.segment}, claims.segments),
        ("stream", set(demand.streams), claims.streams),
        ("column", set(demand.columns), claims.columns),
        ("stage", {demand.stage}, claims.stages),
        ("recipe", {demand.recipe}, claims.recipes),
    ):
        if not wanted <= allowed:
            raise DeniedError(f"a {name} beyond this capability", rule=f"capability.{name}")
    for name, cap, rule in TOTALS:
        if getattr(demand, name) > getattr(claims, cap):
            raise DeniedError(
                f"more than this grant has: {rule.partition('.')[2]}",
                rule=rule,
                fix="ask for a new grant: safehold request new",
            )
