"""Capabilities: short tokens minted from an approved grant, useless without the holder's key.

Holds: a token lives at most an hour (an agent's 15 minutes), names everything it allows in its
first block, and can
only be narrowed afterwards: facts that a later block claims are never read. It is accepted only
with a signature of
the holder's key over a nonce that the verifier has just issued.
Does not hold: the verifier's limits of running time are generous (50 ms), because the library's 1
ms refuses valid
tokens on a busy machine; a token that needs more is refused.

Biscuit tokens: https://doc.biscuitsec.org/reference/specifications
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import biscuit_auth

from safehold.access import principal as principals
from safehold.access.approval import ApprovedGrant
from safehold.access.principal import Agent, Principal, kind_of, operator_of
from safehold.access.proof import POP_DOMAIN, proof_message
from safehold.clock import SECOND_US
from safehold.errors import DeniedError, InvalidError, SignInError, TamperedError
from safehold.signing import VerifyKey

LONGEST_S: Final = 3600
LONGEST_AGENT_S: Final = 900
MAX_TIME: Final = timedelta(milliseconds=50)
MAX_TOKEN: Final = 16_384  # characters; a minted token has about 1,500
MAX_BLOCKS: Final = 4
# the binding's type hints lag behind the binding
biscuit: Final[Any] = biscuit_auth
_ED25519: Final = biscuit.Algorithm.Ed25519
_RIGHTS: Final = ("segment", "stream", "stage", "recipe")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a verified capability allows; only ``verify_capability`` makes one.

    Args:
        grant: Id of the grant.
        charter: Digest of the charter it was given under, hex.
        principal: Who holds it.
        holder: Their public key, proved.
        purpose: The one purpose.
        segments: Segments.
        streams: Streams.
        stages: Stages.
        recipes: Recipes.
        people: Hash of the filter of people, or empty.
        first_day: First UTC day of the data.
        last_day: Last UTC day of the data.
        max_runs: Runs that the grant covers.
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
    stages: frozenset[str]
    recipes: frozenset[str]
    people: str
    first_day: int
    last_day: int
    max_runs: int
    approvals: int
    grant_expires_us: int
    expires_us: int
    revocation_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What one use of a capability asks for.

    Args:
        purpose: The stated purpose.
        segment: The segment.
        streams: The streams.
        stage: The stage.
        recipe: The recipe.
        rows: The most rows it will touch.
    """

    purpose: str
    segment: str
    streams: tuple[str, ...]
    stage: str
    recipe: str
    rows: int = 0


def mint(approved: ApprovedGrant, seed: bytes, *, now_us: int) -> str:
    """Return a capability for an approved grant.

    Args:
        approved: From ``verify_approvals``.
        seed: 32 bytes of the minting key.
        now_us: Microseconds.

    Raises:
        DeniedError: The grant has ended.
    """
    grant = approved.grant
    agent = isinstance(grant.requester, Agent)
    life_s = min(approved.token_s, LONGEST_AGENT_S if agent else LONGEST_S)
    expires_us = min(now_us + life_s * SECOND_US, grant.expires_us)
    # tokens count in whole seconds; rounding down never lets one live longer
    expires_us -= expires_us % SECOND_US
    if not grant.asked_us <= now_us < expires_us:
        raise DeniedError("this grant has ended or not begun", rule="capability.grant_ended")
    facts = {
        "grant": grant.id,
        "charter": grant.charter,
        "kind": kind_of(grant.requester),
        "requester": grant.requester.id,
        "role": grant.requester.role,
        "operator": operator_of(grant.requester),
        "holder": grant.holder.raw,
        "purpose": grant.purpose,
        "people": grant.people,
        "first_day": grant.first_day,
        "last_day": grant.last_day,
        "max_runs": grant.max_runs,
        "approvals": len(approved.approvals),
        "issued_us": now_us,
        "expires_us": expires_us,
        "grant_expires_us": grant.expires_us,
    }
    builder = biscuit.BiscuitBuilder(
        "".join(f"claim_{name}({{{name}}});" for name in facts)
        + "check if time($t), $t < {end}; check if holder_proof({holder});",
        facts | {"end": _moment(expires_us)},
    )
    for name in _RIGHTS:
        for item in getattr(grant, f"{name}s"):
            builder.add_fact(biscuit.Fact(f"right_{name}({{item}})", {"item": item}))
    key = biscuit.PrivateKey.from_bytes(seed, _ED25519)
    return str(builder.build(key).to_base64())


def attenuate(
    token: str,
    public_key: VerifyKey,
    *,
    segments: Sequence[str] | None = None,
    streams: Sequence[str] | None = None,
    stages: Sequence[str] | None = None,
    recipes: Sequence[str] | None = None,
    max_rows: int | None = None,
    expires_us: int | None = None,
) -> str:
    """Return a narrower token; nothing that is left out is changed, and nothing can be added.

    Raises:
        InvalidError: Nothing to narrow, or a token that does not parse.
    """
    checks: list[str] = []
    values: dict[str, Any] = {}
    for name, items in zip(_RIGHTS, (segments, streams, stages, recipes), strict=True):
        if items is None:
            continue
        alternatives = []
        for item in items:
            values[f"v{len(values)}"] = item
            alternatives.append(f"$x == {{v{len(values) - 1}}}")
        checks.append(f"check all want_{name}($x), {' || '.join(alternatives) or 'false'};")
    if max_rows is not None:
        values["rows"] = max_rows
        checks.append("check if rows($n), $n <= {rows};")
    if expires_us is not None:
        values["end"] = _moment(expires_us)
        checks.append("check if time($t), $t < {end};")
    if not checks:
        raise InvalidError("nothing to narrow", rule="capability.attenuate")
    parent = _open(token, public_key)
    return str(parent.append(biscuit.BlockBuilder("".join(checks), values)).to_base64())


def revocation_ids(token: str, public_key: VerifyKey) -> tuple[str, ...]:
    """Return the ids of a token's blocks; revoking the first ends all that was narrowed from it."""
    return tuple(_open(token, public_key).revocation_ids)


def verify_capability(
    token: str,
    public_key: VerifyKey,
    *,
    nonce: bytes,
    proof: bytes,
    message: bytes,
    revoked: Collection[str],
    now_us: int,
    demand: Demand | None = None,
) -> Claims:
    """Return what a capability allows its proven holder.

    Args:
        token: The capability.
        public_key: The minting key.
        nonce: From ``Nonces.spend``: issued here, not used before.
        proof: From ``Holder.prove``.
        message: What the holder signed beside the nonce, usually the canonical bytes of the
            request.
        revoked: Revocation ids that no longer count.
        now_us: Microseconds.
        demand: What this use asks for. Without it a narrowed token is refused unless it was
            narrowed in time only.

    Raises:
        SignInError: The token was not minted here, or the proof is not its holder's.
        DeniedError: It has ended, was revoked, or does not cover the demand; the rule says which.
    """
    opened = _open(token, public_key)
    blocks = tuple(opened.revocation_ids)
    if len(blocks) > MAX_BLOCKS:
        raise DeniedError("narrowed too often", rule="capability.blocks")
    if set(blocks) & set(revoked):
        raise DeniedError("this capability was revoked", rule="capability.revoked")
    # nothing in the token is believed before its holder is known: the claims are only read here
    claims = _read(opened, blocks)
    try:
        claims.holder.verify(POP_DOMAIN, proof_message(token, nonce, message), proof)
    except TamperedError as error:
        raise SignInError(
            "the holder of this capability has not proved themselves", rule="capability.holder"
        ) from error
    if now_us >= claims.expires_us:
        raise DeniedError(
            "this capability has ended", rule="capability.expired", fix="mint a new one"
        )
    if demand is not None:
        _check_demand(claims, demand)
    _authorize(opened, claims, demand, now_us)
    return claims


def _check_demand(claims: Claims, demand: Demand) -> None:
    if demand.purpose != claims.purpose:
        raise DeniedError("a purpose beyond this capability", rule="capability.purpose")
    if not demand.streams:
        raise DeniedError("no stream is named", rule="capability.stream")
    for name, wanted, allowed in (
        ("segment", {demand.segment}, claims.segments),
        ("stream", set(demand.streams), claims.streams),
        ("stage", {demand.stage}, claims.stages),
        ("recipe", {demand.recipe}, claims.recipes),
    ):
        if not wanted <= allowed:
            raise DeniedError(f"a {name} beyond this capability", rule=f"capability.{name}")


def _authorize(opened: Any, claims: Claims, demand: Demand | None, now_us: int) -> None:
    """Run every check of every block, with only facts that this verifier vouches for."""
    values: dict[str, Any] = {"now": _moment(now_us), "holder": claims.holder.raw}
    code = "time({now}); holder_proof({holder});"
    if demand is not None:
        values |= {
            "segment": demand.segment,
            "stage": demand.stage,
            "recipe": demand.recipe,
            "rows": demand.rows,
        }
        code += "want_segment({segment}); want_stage({stage}); want_recipe({recipe}); rows({rows});"
        for number, stream in enumerate(demand.streams):
            values[f"s{number}"] = stream
            code += f"want_stream({{s{number}}});"
    builder = biscuit.AuthorizerBuilder(code + "allow if claim_grant($g);", values)
    _limit(builder)
    try:
        builder.build(opened).authorize()
    except biscuit.AuthorizationError as error:
        raise DeniedError(
            "this capability was narrowed to less than is asked for", rule="capability.check"
        ) from error


def _read(opened: Any, blocks: tuple[str, ...]) -> Claims:
    """Return the claims of the first block; what later blocks claim is never read."""
    builder = biscuit.AuthorizerBuilder("")
    _limit(builder)
    authorizer = builder.build(opened)

    def terms(name: str) -> list[Any]:
        try:
            facts = authorizer.query(biscuit.Rule(f"found($x) <- {name}($x)"))
        except biscuit.AuthorizationError as error:
            raise DeniedError(
                "too much to read in this capability", rule="capability.limits"
            ) from error
        return [fact.terms[0] for fact in facts]

    def one(name: str) -> Any:
        values = terms(f"claim_{name}")
        if len(values) != 1:
            raise SignInError("this capability was not minted here", rule="capability.shape")
        return values[0]

    kind, role, name = one("kind"), one("role"), one("requester")
    principal = principals.from_json(
        {"kind": kind, "id": name, "role": role, "operator": one("operator")}
    )
    return Claims(
        grant=one("grant"),
        charter=one("charter"),
        principal=principal,
        holder=VerifyKey(bytes(one("holder"))),
        purpose=one("purpose"),
        segments=frozenset(terms("right_segment")),
        streams=frozenset(terms("right_stream")),
        stages=frozenset(terms("right_stage")),
        recipes=frozenset(terms("right_recipe")),
        people=one("people"),
        first_day=one("first_day"),
        last_day=one("last_day"),
        max_runs=one("max_runs"),
        approvals=one("approvals"),
        grant_expires_us=one("grant_expires_us"),
        expires_us=one("expires_us"),
        revocation_ids=blocks,
    )


def _open(token: str, public_key: VerifyKey) -> Any:
    if len(token) > MAX_TOKEN:
        raise SignInError("too long for a capability", rule="capability.size")
    key = biscuit.PublicKey.from_bytes(public_key.raw, _ED25519)
    try:
        return biscuit.Biscuit.from_base64(token, key)
    except (biscuit.BiscuitValidationError, ValueError) as error:
        raise SignInError(
            "this capability was not minted here", rule="capability.signature"
        ) from error


def _limit(builder: Any) -> None:
    limits = builder.limits()
    limits.max_time = MAX_TIME
    builder.set_limits(limits)


def _moment(at_us: int) -> datetime:
    return datetime.fromtimestamp(at_us // SECOND_US, tz=UTC)
