"""Grants: approved by seats, kept in the ledger, used through short-lived capabilities.

At every use the approvals are checked again against the board and the charter in force, never only the token:
a minting key that leaked alone opens nothing. How often a grant was used is counted in the ledger.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from safehold import canonical
from safehold.access import (
    Approval,
    ApprovedGrant,
    Claims,
    Demand,
    Grant,
    mint,
    verify_approvals,
    verify_capability,
)
from safehold.canonical import b64, unb64
from safehold.errors import (
    ConflictError,
    DeniedError,
    MissingError,
    ShreddedError,
    TamperedError,
    UnavailableError,
)
from safehold.keeper import tables
from safehold.keeper.ask import Asker
from safehold.keeper.desk import Desk, segment_name
from safehold.keeper.minting import Minting
from safehold.keeper.server import Report
from safehold.ledger import Entry

USE = "safehold.use/1"


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
        most_uses: How many intents may name that leaf.
        check: Raises unless the capability, as it may have been narrowed, covers a demand.
    """

    claims: Claims
    entry: int
    most_uses: int
    check: Callable[[Demand], object]

    def asker(self) -> Asker:
        """Return who asks a release under it: the holder, for a run of an approved recipe."""
        return Asker(
            principal=self.claims.principal,
            action="run_approved_recipe",
            claims=self.claims,
            grant=self.entry,
            most_uses=self.most_uses,
            check=self.check,
        )


class Grants:
    """The verbs about grants, and the check at every use.

    Args:
        desk: What the keeper works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.minting = Minting(desk.vault, desk.clock)
        self._leaves: dict[str, int] = {}  # id of a grant to the index of its leaf
        self._terms: dict[int, Grant] = {}  # of grants that are not closed, by that index

    def nonce(
        self, _arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return a fresh nonce for one use."""
        return {"nonce": b64(self._desk.nonces.issue(self._desk.now_us()))}

    def enact(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Take an approved grant, log it, and mint a capability; again for a longer grant.

        Raises:
            QuorumError: Too few seats approved it.
            DeniedError: The charter does not give it, a seat denied it, or it was revoked.
        """
        desk = self._desk
        desk.trust.require_running()
        with desk.lock:
            return self._enact(arguments)

    def _enact(self, arguments: dict[str, Any]) -> dict[str, Any]:
        desk = self._desk
        record = {"grant": arguments["grant"], "approvals": arguments["approvals"]}
        approved = self._approve(record)
        name = approved.grant.id
        row = self._row(name)
        known = self._leaf(name)
        if known is not None and desk.trust.revoked(known):
            raise DeniedError("this grant was revoked", rule="grant.revoked")
        if known is not None and desk.trust.closed(known):
            raise DeniedError("this grant is closed", rule="grant.closed", fix="ask for a new one")
        if known is not None and self._said(known) != record["grant"]:
            raise ConflictError("another grant has this id", rule="grant.id")
        if row is None:
            # a crash may have left the leaf without its row; a second leaf would have all its runs left
            entry = self._log(approved) if known is None else known
            # requester and reason are words about people, so the record is sealed
            desk.vault.seal_secret(_secret(name), canonical.encode(record))
            with desk.engine.begin() as connection:
                connection.execute(
                    tables.grant.insert().values(
                        id=name,
                        record=approved.grant.digest(),
                        entry=entry,
                        revoked=False,
                    )
                )
        elif self._record(row.id)["grant"] != record["grant"]:
            raise ConflictError("another grant has this id", rule="grant.id")
        return {
            "grant": name,
            "token": mint(approved, self.minting.seed, now_us=desk.now_us()),
            "runs_left": approved.grant.max_runs - desk.trust.uses(self._entry(name)),
        }

    def _log(self, approved: ApprovedGrant) -> int:
        """Append the leaf of a grant and return its index."""
        desk, grant = self._desk, approved.grant
        (receipt,) = desk.log(
            Entry(
                kind="grant",
                actor=grant.requester.id,
                object=grant.id,
                detail={
                    "grant": grant.to_json(),
                    "seats": sorted(one.seat for one in approved.approvals),
                },
                charter=desk.trust.digest(),
                public={"state": "approved"},
                key=f"grant/{grant.id}/{grant.digest().hex()}",
            )
        )
        desk.trust.note_grant(receipt.index)
        return receipt.index

    def listing(
        self, _arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """List the grants with their use so far."""
        desk = self._desk
        with desk.engine.begin() as connection:
            rows = connection.execute(sa.select(tables.grant).order_by(tables.grant.c.entry)).all()
        shown = []
        for row in rows:
            grant = Grant.from_json(self._record(row.id)["grant"])
            shown.append(
                {
                    "id": row.id,
                    "purpose": grant.purpose,
                    "recipes": list(grant.recipes),
                    "expires_us": grant.expires_us,
                    "runs": desk.trust.uses(row.entry),
                    "of": grant.max_runs,
                    "revoked": desk.trust.revoked(row.entry),
                    "closed": desk.trust.closed(row.entry),
                    "entry": row.entry,
                }
            )
        return {"grants": shown}

    def revoke(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """End a grant at once; whoever may speak to the keeper may narrow."""
        desk = self._desk
        name = str(arguments["grant"])
        entry = self._entry(name)
        receipt = desk.trust.revoke(
            Entry(
                kind="grant",
                actor="operator",
                object=name,
                detail={"step": "revoke"},
                charter=desk.trust.digest(),
                public={"state": "revoked"},
                ref=entry,
            )
        )
        with desk.engine.begin() as connection:
            connection.execute(
                tables.grant.update().where(tables.grant.c.id == name).values(revoked=True)
            )
        self.end(entry)
        return {"grant": name, "entry": receipt.index}

    def close_ended(self) -> list[int]:
        """Close every grant that has ended, with the range of its uses; return their leaves.

        Raises:
            UnavailableError: The ledger does not take it; a later turn closes them.
        """
        desk = self._desk
        ended = [(entry, self._ended(entry)) for entry in desk.trust.grants(only_open=True)]
        return [entry for entry, state in ended if state and self._close(entry, state)]

    def end(self, entry: int) -> None:
        """Close one grant if it has ended; what the ledger does not take now is closed later."""
        state = self._ended(entry)
        if state:
            with contextlib.suppress(UnavailableError, TamperedError):
                self._close(entry, state)

    def _close(self, entry: int, state: str) -> bool:
        desk = self._desk
        grant = self._terms.get(entry)
        receipt = desk.trust.close_grant(
            entry,
            Entry(
                kind="grant.closed",
                actor="keeper",
                object="" if grant is None else grant.id,
                detail={},
                charter=desk.trust.digest(),
                key=f"grant.closed/{entry}",
            ),
            state=state,
        )
        self._terms.pop(entry, None)
        return receipt is not None

    def _ended(self, entry: int) -> str | None:
        """Return why a grant has ended, or nothing while it may be used."""
        desk = self._desk
        if desk.trust.revoked(entry):
            return "revoked"
        if entry not in self._terms:
            try:
                self._terms[entry] = Grant.from_json(self._told(entry))
            except ShreddedError:  # long ago
                return "expired"
            except (MissingError, TamperedError):  # whoever would use it is refused
                return None
        grant = self._terms[entry]
        if desk.now_us() >= grant.expires_us:
            return "expired"
        return "used" if desk.trust.uses(entry) >= grant.max_runs else None

    def admit(self, arguments: dict[str, Any], use: Use) -> Admitted:
        """Return the capability that came with a request, if it holds and its grant does.

        Raises:
            SignInError: No capability, or the caller does not hold its key.
            DeniedError: It was revoked, is used up, has ended, or its approvals no longer hold.
        """
        desk = self._desk
        now = desk.now_us()
        token, proof = str(arguments["token"]), unb64(str(arguments["proof"]))
        nonce = desk.nonces.spend(unb64(str(arguments["nonce"])), now)

        def check(demand: Demand) -> Claims:
            return self.minting.verify(
                lambda minted: verify_capability(
                    token,
                    minted,
                    nonce=nonce,
                    proof=proof,
                    message=use_message(use.verb, use.purpose),
                    revoked=(),
                    now_us=desk.now_us(),
                    demand=demand,
                )
            )

        try:
            claims = self._claims(check, use)
        except DeniedError:
            with contextlib.suppress(UnavailableError, TamperedError):
                self.close_ended()  # the capability may have ended with its grant
            raise
        row, entry = self._row(claims.grant), self._entry(claims.grant)
        if row is None or row.revoked or desk.trust.revoked(entry):
            raise DeniedError("this grant was revoked", rule="grant.revoked")
        approved = self._approve(self._record(row.id))
        if approved.grant.holder != claims.holder or approved.grant.purpose != claims.purpose:
            raise DeniedError("the capability is for another grant", rule="grant.mismatch")
        self.end(entry)
        if now >= approved.grant.expires_us:
            raise DeniedError("this grant has ended", rule="grant.expired", fix="ask for a new one")
        if desk.trust.uses(entry) >= approved.grant.max_runs:
            raise DeniedError("this grant is used up", rule="grant.runs", fix="ask for a new one")
        if desk.trust.closed(entry):
            raise DeniedError("this grant is closed", rule="grant.closed", fix="ask for a new one")
        if approved.grant.people:
            raise DeniedError("no filter of people is carried out yet", rule="grant.people")
        return Admitted(claims=claims, entry=entry, most_uses=approved.grant.max_runs, check=check)

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

    def _approve(self, record: dict[str, Any]) -> ApprovedGrant:
        trust = self._desk.trust
        return verify_approvals(
            Grant.from_json(record["grant"]),
            [Approval.from_json(one) for one in record["approvals"]],
            trust.roster,
            trust.charter(),
        )

    def _row(self, name: str) -> Any:
        with self._desk.engine.begin() as connection:
            return connection.execute(
                sa.select(tables.grant).where(tables.grant.c.id == name)
            ).one_or_none()

    def _entry(self, name: str) -> int:
        """Return the index of a grant's leaf; the ledger says so, the row only repeats it."""
        row, entry = self._row(name), self._leaf(name)
        if entry is None:
            raise MissingError("no such grant", rule="grant.missing")
        if row is None or row.entry != entry:
            raise TamperedError("a grant's row is not what the ledger says", rule="grant.row")
        return entry

    def _record(self, name: str) -> Any:
        return canonical.decode(self._desk.vault.open_secret(_secret(name)))

    def _said(self, entry: int) -> Any:
        return self._desk.ledger.detail(entry)["detail"].get("grant")

    def _told(self, entry: int) -> Any:
        """Return a grant by its leaf, or by its record where what the leaf says was shredded."""
        try:
            return self._said(entry)
        except ShreddedError:
            with self._desk.engine.begin() as connection:
                row = connection.execute(
                    sa.select(tables.grant).where(tables.grant.c.entry == entry)
                ).one_or_none()
            if row is None:
                raise
            return self._record(row.id)["grant"]

    def _leaf(self, name: str) -> int | None:
        desk = self._desk
        if name not in self._leaves:
            seen = set(self._leaves.values())
            for index in desk.trust.grants():
                if index in seen:
                    continue
                try:  # the first leaf of an id is the grant: its uses name that one
                    self._leaves.setdefault(desk.ledger.detail(index)["object"], index)
                except ShreddedError:  # long ago; no capability lives that long
                    continue
        return self._leaves.get(name)


def _secret(name: str) -> str:
    return f"grant/{name}"


def use_message(verb: str, purpose: str) -> bytes:
    """Return what a caller signs, beside a nonce, to use a capability."""
    return canonical.encode({"v": USE, "verb": verb, "purpose": purpose})
