"""Capabilities: short tokens minted from an approved grant, useless without the holder's key.

Holds: a token lives at most an hour (an agent's 15 minutes), names everything it allows in its
first block, and can
only be narrowed afterwards: facts that a later block claims are never read. It is accepted only
with a signature of
the holder's key over a nonce that the verifier has just issued.
Does not hold: the verifier's limit of running time is generous (50 ms), because the library's 1 ms refuses valid
tokens on a busy machine. It is a limit of computing: what the machine spends on others does not count. A token that
needs more is refused.

Biscuit tokens: https://doc.biscuitsec.org/reference/specifications
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Container, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import biscuit_auth

from safehold import canonical, ids
from safehold.access.approval import ApprovedGrant
from safehold.access.claims import TOTALS, Claims, Demand, check_demand, claims_of
from safehold.access.principal import Agent
from safehold.access.proof import POP_DOMAIN, proof_message
from safehold.clock import SECOND_US
from safehold.errors import DeniedError, InvalidError, SignInError, TamperedError
from safehold.signing import VerifyKey

LONGEST_S: Final = 3600
LONGEST_AGENT_S: Final = 900
MAX_TIME: Final = timedelta(milliseconds=50)
MAX_ATTEMPTS: Final = 20
OVER: Final = "execution limits"  # how the library says that a limit was reached
MAX_TOKEN: Final = 16_384  # characters; a minted token has about 2,500
MAX_BLOCKS: Final = 4
# the binding's type hints lag behind the binding
biscuit: Final[Any] = biscuit_auth
_ED25519: Final = biscuit.Algorithm.Ed25519
_LITERAL: Final = re.compile(r'"[A-Za-z0-9._:/@-]*"')
_PREDICATE: Final = re.compile(r"(?<![.\w$])[A-Za-z_][\w:]*\s*\(")
_OR: Final = re.compile(r"\bor\b")
_RIGHTS: Final = ("segment", "stream", "column", "stage", "recipe")


def mint(approved: ApprovedGrant, seed: bytes, *, begun_us: int, now_us: int) -> str:
    """Return a capability for an approved grant.

    Args:
        approved: From ``verify_approvals``.
        seed: 32 bytes of the minting key.
        begun_us: When the grant began: when its leaf was written, microseconds.
        now_us: Microseconds.

    Raises:
        DeniedError: The grant has ended.
    """
    grant = approved.grant
    agent = isinstance(grant.requester, Agent)
    life_s = min(approved.token_s, LONGEST_AGENT_S if agent else LONGEST_S)
    ends_us = grant.ends_us(begun_us)
    expires_us = min(now_us + life_s * SECOND_US, ends_us)
    # tokens count in whole seconds; rounding down never lets one live longer
    expires_us -= expires_us % SECOND_US
    if not grant.asked_us <= now_us < expires_us:
        raise DeniedError("this grant has ended or not begun", rule="capability.grant_ended")
    claims = claims_of(
        grant, approvals=len(approved.approvals), grant_expires_us=ends_us, expires_us=expires_us
    )
    builder = biscuit.BiscuitBuilder(
        "claims({claims}); nonce({nonce});"
        "check if time($t), $t < {end}; check if holder_proof({holder});",
        {
            "claims": canonical.encode(claims.to_json()).decode(),
            "nonce": ids.random_bytes(16),  # two tokens of one grant are revoked one by one
            "holder": grant.holder.raw,
            "end": _moment(expires_us),
        },
    )
    key = biscuit.PrivateKey.from_bytes(seed, _ED25519)
    return str(builder.build(key).to_base64())


def attenuate(
    token: str,
    public_key: VerifyKey,
    *,
    segments: Sequence[str] | None = None,
    streams: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    stages: Sequence[str] | None = None,
    recipes: Sequence[str] | None = None,
    max_runs: int | None = None,
    max_rows: int | None = None,
    max_bytes: int | None = None,
    max_per_hour: int | None = None,
    epsilon_micro: int | None = None,
    expires_us: int | None = None,
) -> str:
    """Return a narrower token; nothing that is left out is changed, and nothing can be added.

    Numbers bound totals of the whole grant: earlier uses count, also those that another token made.

    Raises:
        InvalidError: Nothing to narrow, or a token that does not parse.
    """
    checks: list[str] = []
    values: dict[str, Any] = {}
    for name, items in zip(_RIGHTS, (segments, streams, columns, stages, recipes), strict=True):
        if items is None:
            continue
        alternatives = []
        for item in items:
            values[f"v{len(values)}"] = item
            alternatives.append(f"$x == {{v{len(values) - 1}}}")
        checks.append(f"check all want_{name}($x), {' || '.join(alternatives) or 'false'};")
    caps = (max_runs, max_rows, max_bytes, max_per_hour, epsilon_micro)
    for (name, _, _), cap in zip(TOTALS, caps, strict=True):
        if cap is not None:
            values[f"most_{name}"] = cap
            checks.append(f"check if {name}($n), $n <= {{most_{name}}};")
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


def read_claims(token: str, public_key: VerifyKey) -> Claims:
    """Return what a token says that was minted here, whoever holds it: to write down an attempt, never to allow one.

    Raises:
        SignInError: It was not minted here.
    """
    opened = _open(token, public_key)
    return _read(opened, tuple(opened.revocation_ids))


def verify_capability(
    token: str,
    public_key: VerifyKey,
    *,
    nonce: bytes,
    proof: bytes,
    message: bytes,
    revoked: Container[str],
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
    if any(block in revoked for block in blocks):
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
        check_demand(claims, demand)
    _authorize(opened, claims, demand, now_us)
    return claims


def _authorize(opened: Any, claims: Claims, demand: Demand | None, now_us: int) -> None:
    """Run every check of every block, with only facts that this verifier vouches for."""
    values: dict[str, Any] = {"now": _moment(now_us), "holder": claims.holder.raw}
    code = "time({now}); holder_proof({holder});"
    if demand is not None:
        values |= {
            "segment": demand.segment,
            "stage": demand.stage,
            "recipe": demand.recipe,
            **{name: getattr(demand, name) for name, _, _ in TOTALS},
        }
        code += "want_segment({segment}); want_stage({stage}); want_recipe({recipe});"
        code += "".join(f"{name}({{{name}}});" for name, _, _ in TOTALS)
        for letter, kind, names in (
            ("s", "stream", demand.streams),
            ("c", "column", demand.columns),
        ):
            for number, name in enumerate(names):
                values[f"{letter}{number}"] = name
                code += f"want_{kind}({{{letter}{number}}});"
    source = code + "allow if claims($c);"
    try:
        _evaluate(opened, source, values, lambda authorizer: authorizer.authorize())
    except biscuit.AuthorizationError as error:
        raise DeniedError(
            "this capability was narrowed to less than is asked for", rule="capability.check"
        ) from error


def _read(opened: Any, blocks: tuple[str, ...]) -> Claims:
    """Return the claims of the first block; what later blocks claim is never read."""
    rule = biscuit.Rule("found($x) <- claims($x)")
    try:
        found = _evaluate(opened, "", {}, lambda authorizer: authorizer.query(rule))
    except biscuit.AuthorizationError as error:
        raise DeniedError(
            "too much to read in this capability", rule="capability.limits"
        ) from error
    if len(found) != 1 or not isinstance(found[0].terms[0], str):
        raise SignInError("this capability was not minted here", rule="capability.shape")
    return Claims.from_json(canonical.decode(found[0].terms[0].encode()), blocks=blocks)


def _open(token: str, public_key: VerifyKey) -> Any:
    if len(token) > MAX_TOKEN:
        raise SignInError("too long for a capability", rule="capability.size")
    key = biscuit.PublicKey.from_bytes(public_key.raw, _ED25519)
    try:
        opened = biscuit.Biscuit.from_base64(token, key)
    except (biscuit.BiscuitValidationError, ValueError) as error:
        raise SignInError(
            "this capability was not minted here", rule="capability.signature"
        ) from error
    for number in range(1, opened.block_count()):
        _check_block(opened.block_source(number))
    return opened


def _check_block(source: str) -> None:
    """Let a later block ask one thing at a time, so that it costs no more to evaluate than it is long.

    Anybody can append a block, without the holder's key, and the library looks at the time only between steps: one
    join over a few dozen facts of a block's own would keep the keeper busy for hours.

    Raises:
        DeniedError: It joins, or has text that is no name.
    """
    plain = _LITERAL.sub("0", source)
    parts = [part for line in plain.split(";") for part in _OR.split(line)]
    if '"' in plain or any(
        len(_PREDICATE.findall(part)) > (2 if "<-" in part else 1) for part in parts
    ):
        raise DeniedError(
            "this capability was narrowed in a way that is not evaluated",
            rule="capability.block",
            fix="narrow it with attenuate",
        )


def _evaluate(opened: Any, source: str, values: dict[str, Any], act: Callable[[Any], Any]) -> Any:
    """Return what an authorizer of a token says, within ``MAX_TIME`` of computing.

    The library measures by the clock on the wall. Where that ran out while this thread computed for less, the machine
    was busy with something else, and it is tried again: a valid token is not refused for that.

    Raises:
        AuthorizationError: A check does not hold, or the token takes too long.
    """
    for attempt in range(1, MAX_ATTEMPTS + 1):
        builder = biscuit.AuthorizerBuilder(source, values)
        limits = builder.limits()
        limits.max_time = MAX_TIME
        builder.set_limits(limits)
        begun = time.thread_time()
        try:
            return act(builder.build(opened))
        except biscuit.AuthorizationError as error:
            busy = time.thread_time() - begun < MAX_TIME.total_seconds()
            if attempt == MAX_ATTEMPTS or not busy or OVER not in str(error):
                raise
    raise AssertionError  # the last attempt returned or raised


def _moment(at_us: int) -> datetime:
    return datetime.fromtimestamp(at_us // SECOND_US, tz=UTC)
