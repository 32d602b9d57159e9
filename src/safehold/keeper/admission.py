"""The check at every use of a grant: token, revocation, holder, approvals, caps.

The approvals are checked again against the board and the charter in force, never only the token: a minting key that
leaked alone opens nothing. Whatever is refused is written down as an attempt under the grant that the token names.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from safehold.access import (
    ApprovedGrant,
    Claims,
    Demand,
    PeopleFilter,
    operator_of,
    read_claims,
    verify_capability,
)
from safehold.canonical import unb64
from safehold.errors import (
    DeniedError,
    SafeholdError,
    SignInError,
    TamperedError,
    UnavailableError,
)
from safehold.keeper.ask import Asker
from safehold.keeper.contained import block_hash, things
from safehold.keeper.grant_records import GrantRecords
from safehold.keeper.messages import use_message
from safehold.keeper.minting import Minting
from safehold.keeper.touched import by_token
from safehold.keeper.uses import Caps
from safehold.ledger import Entry
from safehold.telemetry.stream import segment_name

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

# what a refused attempt says in public, beside that it was refused: whoever watches the ledger counts these
ACTIONS = {"pull": "pull_artifact"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What a caller means to do with a capability.

    Args:
        verb: The verb.
        purpose: The stated purpose.
        stage: Stage of the charter.
        recipe: The recipe.
        stream: The stream.
    """

    verb: str
    purpose: str
    stage: str
    recipe: str
    stream: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """A capability whose holder is proved and whose grant holds.

    Args:
        claims: What it allows.
        entry: Index of the grant's leaf.
        caps: The most that all uses of the grant may come to.
        people: Who is meant.
        check: Raises unless the capability, as it may have been narrowed, covers a demand.
        above: Ids of those whose grants it descends from, and of their operators.
    """

    claims: Claims
    entry: int
    caps: Caps
    people: PeopleFilter
    check: Callable[[Demand], object]
    above: frozenset[str]

    def asker(self) -> Asker:
        """Return who asks a release under it: the holder, for a run of an approved recipe."""
        return Asker(
            principal=self.claims.principal,
            action="run_approved_recipe",
            claims=self.claims,
            grant=self.entry,
            caps=self.caps,
            people=self.people,
            check=self.check,
            above=self.above,
        )


class Book(Protocol):
    """What the keeper knows of grants."""

    @property
    def records(self) -> GrantRecords:
        """What is written down of them."""
        ...

    def recall(self, name: str) -> tuple[ApprovedGrant, PeopleFilter, int, int]:
        """Return a grant as the board approves of it now, its filter, the index of its leaf, and when it ends."""
        ...

    def end(self, entry: int) -> None:
        """Close a grant if it has ended."""
        ...

    def close_ended(self) -> object:
        """Close every grant that has ended."""
        ...


class Admission:
    """The check.

    Args:
        desk: What the keeper works with.
        book: What it knows of grants.
        minting: The key that capabilities are minted with, and the one before it.
    """

    def __init__(self, desk: Desk, book: Book, minting: Minting) -> None:
        self._desk = desk
        self._book = book
        self._minting = minting

    def admit(self, arguments: Mapping[str, Any], use: Use) -> Admitted:
        """Return the capability that came with a request, if it holds and its grant does.

        Raises:
            SignInError: No capability, or the caller does not hold its key.
            DeniedError: It was revoked, is used up, has ended, or its approvals no longer hold.
        """
        token = str(arguments["token"])
        try:
            return self._admit(token, arguments, use)
        except (DeniedError, SignInError) as error:
            self._note_attempt(token, use, error)
            raise

    def _admit(self, token: str, arguments: Mapping[str, Any], use: Use) -> Admitted:
        desk = self._desk
        now, proof = desk.now_us(), unb64(str(arguments["proof"]))
        nonce = desk.nonces.spend(unb64(str(arguments["nonce"])), now)
        named = self._named(token)

        def check(demand: Demand) -> Claims:
            return self._minting.verify(
                lambda minted: verify_capability(
                    token,
                    minted,
                    nonce=nonce,
                    proof=proof,
                    message=use_message(use.verb, use.purpose),
                    # asked each time: a token that is revoked while it is decided opens nothing
                    revoked=_Hashed(frozenset() if named is None else desk.trust.blocks(named)),
                    now_us=desk.now_us(),
                    demand=demand,
                )
            )

        try:
            claims = self._claims(check, use)
        except DeniedError:
            with contextlib.suppress(UnavailableError, TamperedError):
                self._book.close_ended()  # the capability may have ended with its grant
            raise
        desk.trust.contained.require_free(by_token(desk, claims, -1 if named is None else named))
        approved, people, entry, ends_us = self._book.recall(claims.grant)
        if approved.grant.holder != claims.holder or approved.grant.purpose != claims.purpose:
            raise DeniedError("the capability is for another grant", rule="grant.mismatch")
        self._book.end(entry)
        if now >= ends_us:
            raise DeniedError("this grant has ended", rule="grant.expired", fix="ask for a new one")
        caps = Caps.of(approved.grant)
        if desk.trust.uses(entry) >= caps.runs:
            raise DeniedError("this grant is used up", rule="grant.runs", fix="ask for a new one")
        if desk.trust.closed(entry):
            raise DeniedError("this grant is closed", rule="grant.closed", fix="ask for a new one")
        above = self._above(entry)
        # an agent that was contained delegated before that: what it handed on ends with it
        desk.trust.contained.require_free(things(principals=above))
        return Admitted(
            claims=claims, entry=entry, caps=caps, people=people, check=check, above=above
        )

    def _above(self, entry: int) -> frozenset[str]:
        """Return the ids of those whose grants one descends from, and of their operators."""
        stated = (self._book.records.stated(one) for one in self._desk.trust.above(entry))
        who = [grant.requester for grant in stated if grant is not None]
        return frozenset(name for one in who for name in (one.id, operator_of(one)) if name)

    def _claims(self, check: Callable[[Demand], Claims], use: Use) -> Claims:
        # a narrowed capability may be for some segments only; each is checked again before its release
        refusal: DeniedError | None = None
        for place in self._desk.trust.charter().jurisdictions:
            try:
                return check(
                    Demand(
                        purpose=use.purpose,
                        segment=segment_name(place, use.stream),
                        streams=(use.stream,),
                        stage=use.stage,
                        recipe=use.recipe,
                    )
                )
            except DeniedError as error:
                refusal = refusal or error
        raise refusal or DeniedError("the charter has no place", rule="charter.place")

    def _named(self, token: str) -> int | None:
        """Return the leaf of the grant that a token of this keeper names; nothing is believed of it otherwise."""
        try:
            claims = self._minting.verify(lambda minted: read_claims(token, minted))
            return self._book.records.find(claims.grant)
        except SafeholdError:
            return None

    def _note_attempt(self, token: str, use: Use, error: SafeholdError) -> None:
        """Write down a refused attempt under the grant that a token names."""
        desk, named = self._desk, self._named(token)
        if named is None or error.entry is not None:
            return
        with contextlib.suppress(UnavailableError, TamperedError):
            error.entry = note_attempt(
                desk,
                named,
                thing=use.recipe,
                actor="caller",
                error=error,
                action=ACTIONS.get(use.recipe, ""),
            )


class _Hashed:
    """Revocation ids, of which only hashes are kept."""

    def __init__(self, hashes: frozenset[str]) -> None:
        self._hashes = hashes

    def __contains__(self, block: object) -> bool:
        return block_hash(str(block)) in self._hashes


def note_attempt(
    desk: Desk,
    grant: int,
    *,
    thing: str,
    actor: str,
    error: SafeholdError,
    purpose: str = "",
    action: str = "",
) -> int:
    """Append the refusal of an attempt under a grant and return its index."""
    (receipt,) = desk.log(
        Entry(
            kind="refusal",
            actor=actor,
            object=thing,
            detail={"rule": error.rule or error.code, "purpose": purpose},
            charter=desk.trust.digest(),
            public={"action": action} if action else {},
            ref=grant,
        )
    )
    desk.trust.note(receipt.index, {"k": "refusal", "ref": grant})
    return receipt.index
